/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_LAYOUT_H
#define TNI_CORE_LAYOUT_H

/*
 * Every member of every structure of src/abi, and the parts of the words that have some, from which
 * the fingerprint of the layout is made.
 *
 * A table here cannot forget a member: padding has names in src/abi, so that the members of a
 * structure are together as long as the structure, and the assertions at the end say so.  What
 * stands in the tables is the order in which members are mixed: two that change places have other
 * offsets, and so there is another fingerprint.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/queue.h"
#include "abi/region.h"
#include "abi/segment.h"
#include "abi/semaphore_set.h"
#include "abi/sync.h"
#include "abi/sysv.h"
#include "core/index.h"

/* M(structure, member) for each member; S(structure, its list) for each structure. */
/* clang-format off */
#define TNI_LAYOUT_OBJECT_HEADER(M) \
	M(tni_object_header, magic) M(tni_object_header, layout_version) \
	M(tni_object_header, byte_order) M(tni_object_header, fingerprint) \
	M(tni_object_header, kind) M(tni_object_header, participants_max) \
	M(tni_object_header, id) M(tni_object_header, created_ns) \
	M(tni_object_header, extent_bytes) M(tni_object_header, access) \
	M(tni_object_header, hollow) M(tni_object_header, reserved) \
	M(tni_object_header, damaged) M(tni_object_header, participants_top) \
	M(tni_object_header, pid_namespace) M(tni_object_header, mixed) \
	M(tni_object_header, stakes_top) M(tni_object_header, reserved2)

#define TNI_LAYOUT_PARTICIPANT(M) \
	M(tni_participant, state) M(tni_participant, pid) M(tni_participant, uid) \
	M(tni_participant, staked) M(tni_participant, attached_ns) \
	M(tni_participant, pid_namespace) M(tni_participant, blocked) \
	M(tni_participant, notice_serial) M(tni_participant, notice_pid) \
	M(tni_participant, notice_uid) M(tni_participant, attachments) \
	M(tni_participant, data_fd) M(tni_participant, reserved2)

#define TNI_LAYOUT_GATE(M) \
	M(tni_gate, word) M(tni_gate, cpu) M(tni_gate, repairs)

#define TNI_LAYOUT_WAITROOM(M) \
	M(tni_waitroom, event) M(tni_waitroom, reserved) \
	M(tni_waitroom, asleep)

#define TNI_LAYOUT_LANES(M) \
	M(tni_lanes, used) M(tni_lanes, event) M(tni_lanes, reserved) M(tni_lanes, told) \
	M(tni_lanes, reserved2)

#define TNI_LAYOUT_QUEUE_ATTRIBUTES(M) \
	M(tni_queue_attributes, order) M(tni_queue_attributes, full) \
	M(tni_queue_attributes, capacity) M(tni_queue_attributes, max_message_bytes) \
	M(tni_queue_attributes, chunk_bytes) M(tni_queue_attributes, inline_max_bytes) \
	M(tni_queue_attributes, data_bytes) M(tni_queue_attributes, receipts_max) \
	M(tni_queue_attributes, loans_max) M(tni_queue_attributes, leases_max) \
	M(tni_queue_attributes, nodes_max) M(tni_queue_attributes, chunks_max) \
	M(tni_queue_attributes, slots_max) M(tni_queue_attributes, held_max) \
	M(tni_queue_attributes, held_bytes) M(tni_queue_attributes, reserved)

#define TNI_LAYOUT_JOURNAL_ENTRY(M) \
	M(tni_journal_entry, offset) M(tni_journal_entry, old)

#define TNI_LAYOUT_JOURNAL(M) \
	M(tni_journal, version) M(tni_journal, count) M(tni_journal, entry)

#define TNI_LAYOUT_POOL(M) \
	M(tni_pool, free_link) M(tni_pool, top) M(tni_pool, used)

#define TNI_LAYOUT_TRANSFER(M) \
	M(tni_transfer, pool) M(tni_transfer, grab_link) M(tni_transfer, grab_expect) \
	M(tni_transfer, reserved) M(tni_transfer, freed) M(tni_transfer, reserved2)

#define TNI_LAYOUT_SEND_STATE(M) \
	M(tni_send_state, tail) M(tni_send_state, sent) M(tni_send_state, bytes) \
	M(tni_send_state, reserved)

#define TNI_LAYOUT_RECEIVE_STATE(M) \
	M(tni_receive_state, head) M(tni_receive_state, drained) M(tni_receive_state, ready) \
	M(tni_receive_state, done) M(tni_receive_state, bytes) M(tni_receive_state, limbo_slot) \
	M(tni_receive_state, limbo_chunk) M(tni_receive_state, reserved)

#define TNI_LAYOUT_SEND_SIDE(M) \
	M(tni_send_side, gate) M(tni_send_side, reserved0) M(tni_send_side, version) M(tni_send_side, done_cache) \
	M(tni_send_side, last_ns) M(tni_send_side, last_participant) M(tni_send_side, last_pid) \
	M(tni_send_side, done_bytes_cache) M(tni_send_side, reserved) M(tni_send_side, state) \
	M(tni_send_side, sent_seen) M(tni_send_side, bytes_seen) M(tni_send_side, dropped) \
	M(tni_send_side, high_messages) M(tni_send_side, high_bytes) M(tni_send_side, waits) \
	M(tni_send_side, level) M(tni_send_side, woken_sent) M(tni_send_side, told_sent) M(tni_send_side, reserved2) \
	M(tni_send_side, receipts) M(tni_send_side, loans) M(tni_send_side, orphans) \
	M(tni_send_side, reserved3) M(tni_send_side, chunks) M(tni_send_side, slots) \
	M(tni_send_side, journal) M(tni_send_side, reserved4)

#define TNI_LAYOUT_RECEIVE_SIDE(M) \
	M(tni_receive_side, gate) M(tni_receive_side, reserved0) M(tni_receive_side, version) M(tni_receive_side, last_ns) \
	M(tni_receive_side, last_participant) M(tni_receive_side, last_pid) \
	M(tni_receive_side, reserved) M(tni_receive_side, state) M(tni_receive_side, done_seen) \
	M(tni_receive_side, gone_seen) M(tni_receive_side, bytes_seen) \
	M(tni_receive_side, dropped) M(tni_receive_side, dropped_bytes) \
	M(tni_receive_side, withdrawn) M(tni_receive_side, withdrawn_bytes) \
	M(tni_receive_side, redelivered) M(tni_receive_side, waits) M(tni_receive_side, level) \
	M(tni_receive_side, woken_returned) M(tni_receive_side, woken_done) \
	M(tni_receive_side, voids) M(tni_receive_side, told_returned) M(tni_receive_side, reserved2) M(tni_receive_side, leases) M(tni_receive_side, nodes) \
	M(tni_receive_side, returned_link) M(tni_receive_side, key_root) \
	M(tni_receive_side, age_root) M(tni_receive_side, held) M(tni_receive_side, reserved3) \
	M(tni_receive_side, journal) M(tni_receive_side, reserved4)

#define TNI_LAYOUT_QUEUE_IDLE(M) \
	M(tni_queue_idle, done) M(tni_queue_idle, bytes) M(tni_queue_idle, reserved)

#define TNI_LAYOUT_QUEUE_CONTROL(M) \
	M(tni_queue_control, send) M(tni_queue_control, receive) M(tni_queue_control, waitroom) \
	M(tni_queue_control, poll_wanted) M(tni_queue_control, notice) \
	M(tni_queue_control, pair_level) M(tni_queue_control, pair_epoch) M(tni_queue_control, flag_changes_begun) M(tni_queue_control, flag_changes_done) M(tni_queue_control, max_bytes) \
	M(tni_queue_control, idle) M(tni_queue_control, uniform) M(tni_queue_control, room) \
	M(tni_queue_control, lanes)

#define TNI_LAYOUT_QUEUE_ROOM(M) \
	M(tni_queue_room, changes) M(tni_queue_room, woken_done) M(tni_queue_room, woken_changes) \
	M(tni_queue_room, reserved)

#define TNI_LAYOUT_QUEUE_UNIFORM(M) \
	M(tni_queue_uniform, from) M(tni_queue_uniform, key) M(tni_queue_uniform, reserved)

#define TNI_LAYOUT_QUEUE_NOTICE(M) \
	M(tni_queue_notice, state) M(tni_queue_notice, serial) M(tni_queue_notice, participant) \
	M(tni_queue_notice, event) M(tni_queue_notice, sender_pid) \
	M(tni_queue_notice, sender_uid) M(tni_queue_notice, signal) M(tni_queue_notice, reserved)

#define TNI_LAYOUT_CHUNK(M) \
	M(tni_chunk, next_link) M(tni_chunk, pins) M(tni_chunk, retired) M(tni_chunk, hollow) \
	M(tni_chunk, reserved)

#define TNI_LAYOUT_SLOT(M) \
	M(tni_slot, next_link) M(tni_slot, younger_link) M(tni_slot, older_link) \
	M(tni_slot, key) M(tni_slot, sequence) M(tni_slot, room_bytes) M(tni_slot, bytes) \
	M(tni_slot, deliveries) M(tni_slot, receipt_link) M(tni_slot, flags_sender)

#define TNI_LAYOUT_LOAN(M) \
	M(tni_loan, next_link) M(tni_loan, slot) M(tni_loan, state_participant) \
	M(tni_loan, serial)

#define TNI_LAYOUT_LEASE(M) \
	M(tni_lease, next_link) M(tni_lease, state_participant) M(tni_lease, sequence) \
	M(tni_lease, record) M(tni_lease, bytes_deliveries) M(tni_lease, sender) \
	M(tni_lease, reserved)

#define TNI_LAYOUT_RECEIPT(M) \
	M(tni_receipt, next_link) M(tni_receipt, state_pid) M(tni_receipt, slot) \
	M(tni_receipt, owner)

#define TNI_LAYOUT_NODE(M) \
	M(tni_node, next_link) M(tni_node, key) M(tni_node, first_link) M(tni_node, last_link) \
	M(tni_node, count) M(tni_node, child)

#define TNI_LAYOUT_LOCK_WORDS(M) \
	M(tni_lock_words, state) M(tni_lock_words, depth) M(tni_lock_words, acquired) \
	M(tni_lock_words, waited) M(tni_lock_words, deaths) M(tni_lock_words, shared) \
	M(tni_lock_words, draining) \
	M(tni_lock_words, reserved)

#define TNI_LAYOUT_TURNSTILE(M) \
	M(tni_turnstile, word) M(tni_turnstile, cpu) M(tni_turnstile, claims) \
	M(tni_turnstile, waits) M(tni_turnstile, given_back) M(tni_turnstile, note_row) \
	M(tni_turnstile, note_claim) M(tni_turnstile, reserved)

#define TNI_LAYOUT_ROW(M) \
	M(tni_row, claim) M(tni_row, waiting) M(tni_row, wanted) M(tni_row, passed) \
	M(tni_row, let) M(tni_row, owing) M(tni_row, reserved) M(tni_row, pages) \
	M(tni_row, reserved2)

#define TNI_LAYOUT_CELL(M) \
	M(tni_cell, flags) M(tni_cell, limit) M(tni_cell, reserved) M(tni_cell, waitroom) \
	M(tni_cell, turnstile) M(tni_cell, reserved2) M(tni_cell, lock) M(tni_cell, gate) \
	M(tni_cell, reserved3)

#define TNI_LAYOUT_REGION_CONTROL(M) \
	M(tni_region_control, max_bytes) M(tni_region_control, reserved) \
	M(tni_region_control, gate) M(tni_region_control, bytes) M(tni_region_control, grown) \
	M(tni_region_control, seals) M(tni_region_control, reserved2) \
	M(tni_region_control, waitroom) M(tni_region_control, writers) \
	M(tni_region_control, reserved3)

#define TNI_LAYOUT_SET_ENTRY(M) \
	M(tni_set_entry, what) M(tni_set_entry, old)

#define TNI_LAYOUT_SET_WAITER(M) \
	M(tni_set_waiter, owner) M(tni_set_waiter, number) M(tni_set_waiter, needed) \
	M(tni_set_waiter, change)

#define TNI_LAYOUT_SET_HEAD(M) \
	M(tni_set_head, maximum) M(tni_set_head, reserved) M(tni_set_head, removed) \
	M(tni_set_head, owed) M(tni_set_head, waiters_top) M(tni_set_head, note) \
	M(tni_set_head, open) M(tni_set_head, note_number) M(tni_set_head, note_word) \
	M(tni_set_head, operated_ns) M(tni_set_head, operations) M(tni_set_head, changed_ns) \
	M(tni_set_head, undone) M(tni_set_head, reserved2)

#define TNI_LAYOUT_SEGMENT_CONTROL(M) \
	M(tni_segment_control, flags) M(tni_segment_control, creator_pid) \
	M(tni_segment_control, state) M(tni_segment_control, last_pid) \
	M(tni_segment_control, attached_ns) M(tni_segment_control, detached_ns)

#define TNI_LAYOUT_SYSV_PERMISSION(M) \
	M(tni_sysv_permission, uid) M(tni_sysv_permission, gid) M(tni_sysv_permission, mode) \
	M(tni_sysv_permission, reserved) M(tni_sysv_permission, changed_ns) \
	M(tni_sysv_permission, limit)

#define TNI_LAYOUT_SYSV_PART(M) \
	M(tni_sysv_part, kind) M(tni_sysv_part, key) M(tni_sysv_part, creator_uid) \
	M(tni_sysv_part, creator_gid) M(tni_sysv_part, size) M(tni_sysv_part, id) \
	M(tni_sysv_part, state) M(tni_sysv_part, version) M(tni_sysv_part, reserved) \
	M(tni_sysv_part, permission)

#define TNI_LAYOUT(S) \
	S(tni_object_header, TNI_LAYOUT_OBJECT_HEADER) \
	S(tni_participant, TNI_LAYOUT_PARTICIPANT) \
	S(tni_gate, TNI_LAYOUT_GATE) \
	S(tni_waitroom, TNI_LAYOUT_WAITROOM) \
	S(tni_lanes, TNI_LAYOUT_LANES) \
	S(tni_queue_attributes, TNI_LAYOUT_QUEUE_ATTRIBUTES) \
	S(tni_journal_entry, TNI_LAYOUT_JOURNAL_ENTRY) \
	S(tni_journal, TNI_LAYOUT_JOURNAL) \
	S(tni_pool, TNI_LAYOUT_POOL) \
	S(tni_transfer, TNI_LAYOUT_TRANSFER) \
	S(tni_send_state, TNI_LAYOUT_SEND_STATE) \
	S(tni_receive_state, TNI_LAYOUT_RECEIVE_STATE) \
	S(tni_send_side, TNI_LAYOUT_SEND_SIDE) \
	S(tni_receive_side, TNI_LAYOUT_RECEIVE_SIDE) \
	S(tni_queue_idle, TNI_LAYOUT_QUEUE_IDLE) \
	S(tni_queue_uniform, TNI_LAYOUT_QUEUE_UNIFORM) \
	S(tni_queue_room, TNI_LAYOUT_QUEUE_ROOM) \
	S(tni_queue_notice, TNI_LAYOUT_QUEUE_NOTICE) \
	S(tni_queue_control, TNI_LAYOUT_QUEUE_CONTROL) \
	S(tni_chunk, TNI_LAYOUT_CHUNK) \
	S(tni_slot, TNI_LAYOUT_SLOT) \
	S(tni_loan, TNI_LAYOUT_LOAN) \
	S(tni_lease, TNI_LAYOUT_LEASE) \
	S(tni_receipt, TNI_LAYOUT_RECEIPT) \
	S(tni_node, TNI_LAYOUT_NODE) \
	S(tni_lock_words, TNI_LAYOUT_LOCK_WORDS) \
	S(tni_turnstile, TNI_LAYOUT_TURNSTILE) \
	S(tni_row, TNI_LAYOUT_ROW) \
	S(tni_cell, TNI_LAYOUT_CELL) \
	S(tni_region_control, TNI_LAYOUT_REGION_CONTROL) \
	S(tni_set_entry, TNI_LAYOUT_SET_ENTRY) \
	S(tni_set_waiter, TNI_LAYOUT_SET_WAITER) \
	S(tni_set_head, TNI_LAYOUT_SET_HEAD) \
	S(tni_segment_control, TNI_LAYOUT_SEGMENT_CONTROL) \
	S(tni_sysv_permission, TNI_LAYOUT_SYSV_PERMISSION) \
	S(tni_sysv_part, TNI_LAYOUT_SYSV_PART)

/* What the words that have parts are made of, and the numbers that stand in them. */
#define TNI_LAYOUT_PARTS \
	TNI_GATE_OWNER, TNI_GATE_OWNER_DIED, TNI_GATE_WAITERS, TNI_GATE_EPOCH_ONE, \
	TNI_GATE_EPOCH, TNI_GATE_HOLDER, TNI_GATE_FLAGS, TNI_GATE_FLAG(0), TNI_CLASS_LOCK_0, \
	TNI_CLASS_LOCK_1, TNI_CLASS_MESSAGE, TNI_CLASS_ROOM, TNI_CLASS_RECEIPT, TNI_LANES, \
	TNI_PARTICIPANT_FREE, TNI_PARTICIPANT_ATTACHED, TNI_STAKES_A_PAGE, \
	TNI_STAKE_FIRST_OFFSET, TNI_STAKE_BYTES, TNI_STAKE_OWNER, TNI_STAKE_WAITERS, TNI_STAKE_DIED, TNI_FREED_LINK, \
	TNI_FREED_PUSH_ONE, TNI_FREED_PUSHES, TNI_FREED_GRAB_ONE, TNI_FREED_GRABS, \
	TNI_GRAB_VALID, TNI_LIMBO_VALID, TNI_LIMBO_DROPPED, TNI_RECORD_BYTES_MASK, \
	TNI_RECORD_KIND_SHIFT, TNI_RECORD_KIND_MASK, TNI_RECORD_SENDER_SHIFT, \
	TNI_RECORD_INLINE, TNI_RECORD_SLOT, TNI_RECORD_JUMP, TNI_RECORD_VOID, TNI_SLOT_CANCELLED, \
	TNI_LOAN_FREE, TNI_LOAN_HELD, TNI_LEASE_FREE, TNI_LEASE_TAKEN, TNI_LEASE_RETURNED, \
	TNI_LEASE_IN_SLOT, TNI_RECEIPT_FREE, TNI_RECEIPT_OPEN, TNI_RECEIPT_DONE, \
	TNI_RECEIPT_CANCELLED, TNI_RECEIPT_STATE_MASK, TNI_RECEIPT_ORPHAN, TNI_TREE_KEY, \
	TNI_TREE_AGE, TNI_WANTED_PAIR, TNI_PAIR_SETTLED, TNI_WANTED_NOTICE, TNI_BYTES_LIMITED, TNI_QUEUE_DESTROYED, TNI_NOTICE_NONE, TNI_NOTICE_ARMED, \
	TNI_NOTICE_WITHHELD, TNI_NOTICE_FIRING, TNI_ACCESS_GIVEN, TNI_SYSV_OFFSET, TNI_SYSV_INDEX_BITS, \
	TNI_SYSV_BORN, TNI_SYSV_REMOVING, TNI_SYSV_REMOVED, TNI_SYSV_UNSETTLED, TNI_SEGMENT_OFFSET, \
	TNI_SEGMENT_SPARSE, TNI_SEGMENT_REMOVED, TNI_SEGMENT_LOCKED, TNI_FORK_BIT, TNI_LOCK_SOUND, TNI_LOCK_OWNER_DIED, TNI_LOCK_LOST, TNI_LOCK_DONE, \
	TNI_TURNSTILE_VALUE, TNI_TURNSTILE_CLAIMING, TNI_TURNSTILE_WIDE, TNI_TURNSTILE_OWED, \
	TNI_TURNSTILE_EPOCH_ONE, TNI_TURNSTILE_EPOCH, TNI_TURNSTILE_SLEEPERS, TNI_EVENT_SET, TNI_EVENT_TOKEN, \
	TNI_EVENT_PULSE_ONE, TNI_EVENT_PULSES, TNI_BARRIER_ARRIVED, TNI_BARRIER_ROUND_ONE, \
	TNI_BARRIER_ROUND, \
	TNI_REGION_PLACES, TNI_REGION_SEAL_GROW, TNI_REGION_SEAL_WRITE, TNI_REGION_SEALING, \
	TNI_SET_ENTRIES, TNI_SET_WAITERS, TNI_SET_VALUE, TNI_SET_PID_SHIFT, \
	TNI_SET_ENTRY_VALUE, TNI_SET_ENTRY_UNDO, TNI_SET_ENTRY_CLAIM, \
	TNI_SET_ENTRY_PARTICIPANT, TNI_SET_ENTRY_NUMBER, TNI_SET_WAITER_OWNER, \
	TNI_SET_WAITER_GRANTED, TNI_SET_WAITER_NUMBER, TNI_SET_WAITER_ZERO, TNI_SET_WAITER_ONLY, \
	TNI_SET_NEVER, TNI_SET_NOTE_NONE, TNI_SET_NOTE_ONE, TNI_SET_NOTE_ALL
/* clang-format on */

#define TNI_LAYOUT_BYTES_(structure, member) +sizeof(((struct structure *)NULL)->member)
#define TNI_LAYOUT_WHOLE_(structure, list)                                  \
	_Static_assert(sizeof(struct structure) == list(TNI_LAYOUT_BYTES_), \
		       "core/layout.h lacks a member of " #structure);
TNI_LAYOUT(TNI_LAYOUT_WHOLE_)

#endif
