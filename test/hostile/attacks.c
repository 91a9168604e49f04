/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attacks that take several words at once, or that chance finds rarely: each is made on purpose, on a
 * victim of its own, which has five seconds.  A victim may be given errors, whatever they are.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "../crash/folder.h"
#include "patience.h"
#include "stage.h"

#define PATIENCE_S 60u
/* Within which a wait with a deadline ends: far more than any machine needs, and less than that. */
#define LATE_NS INT64_C(20000000000)
/* A withdrawing sender asks every lease whether it holds the message. */
static void endless_leases(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS, 100);
	tni_set64(&stage->control->receive.leases.top, UINT64_MAX);
	send_bytes(stage, 8);
}

/* Two chunks of the log, each beginning with a jump to the other. */
static void jump_ring(struct stage *stage)
{
	uint64_t chunk;

	set_stage(stage, TENON_QUEUE_FIFO, 100, 64);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	for (chunk = 0; chunk < 2; chunk++) {
		struct tni_chunk *at = entry_of(stage, &stage->queue->chunks, chunk);

		tni_set64((struct tni_a64 *)(at + 1),
			  (1 - chunk) | (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT);
	}
	tni_set64(&stage->control->send.chunks.pool.top, 2);
	tni_set64(&stage->control->send.sent_seen, 5);
	receive_bytes(stage);
}

static void jump_ring_peeked(struct stage *stage)
{
	struct tenon_message message;
	uint64_t chunk;

	set_stage(stage, TENON_QUEUE_FIFO, 100, 64);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	for (chunk = 0; chunk < 2; chunk++) {
		struct tni_chunk *at = entry_of(stage, &stage->queue->chunks, chunk);

		tni_set64((struct tni_a64 *)(at + 1),
			  (1 - chunk) | (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT);
	}
	tni_set64(&stage->control->send.sent_seen, 5);
	(void)!tenon_queue_peek(stage->queue, 0, stage->bytes, 64, &message);
}

/* An ordered queue's log leads back into itself: the messages in it would be drained for ever. */
static void record_ring(struct stage *stage)
{
	struct tni_chunk *first, *second;
	uint64_t word = (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT;

	set_stage(stage, TENON_QUEUE_PRIORITY, 100, 64);
	for (uint32_t i = 0; i < 3; i++)
		send_bytes(stage, 8);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	first = entry_of(stage, &stage->queue->chunks, 0);
	second = entry_of(stage, &stage->queue->chunks, 1);
	/* Behind three records of a word, a key and 8 bytes. */
	tni_set64((struct tni_a64 *)(first + 1) + 9, word | 1);
	tni_set64((struct tni_a64 *)(second + 1), word);
	receive_bytes(stage);
}

/* The end of the file is nearer than a slot's label says. */
static void slot_past_the_end(struct stage *stage)
{
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	send_bytes(stage, SLOT_BYTES);
	slot = entry_of(stage, &stage->queue->slots, 0);
	tni_set64(&slot->room_bytes, stage->queue->data.entry_bytes);
	tni_set32(&slot->bytes, 60000);
	tni_set64((struct tni_a64 *)((uint8_t *)entry_of(stage, &stage->queue->chunks, 0) +
				     sizeof(struct tni_chunk)),
		  60000 | (uint64_t)TNI_RECORD_SLOT << TNI_RECORD_KIND_SHIFT);
	receive_bytes(stage);
}

/* The same, written: a free slot says that it has all its memory. */
static void write_past_the_end(struct stage *stage)
{
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	send_bytes(stage, SLOT_BYTES);
	receive_bytes(stage);
	slot = entry_of(stage, &stage->queue->slots, 0);
	tni_set64(&slot->room_bytes, stage->queue->data.entry_bytes);
	send_bytes(stage, 60000);
}

/* An owner died, and its journal is to be undone. */
static void repair_with(struct stage *stage, uint64_t count, uint64_t offset)
{
	struct tni_send_side *send = &stage->control->send;
	struct tni_receive_side *receive = &stage->control->receive;

	for (uint32_t i = 0; i < TNI_JOURNAL_ENTRIES; i++) {
		tni_set64(&send->journal.entry[i].offset, offset);
		tni_set64(&receive->journal.entry[i].offset, offset);
	}
	tni_set64(&send->journal.version, tni_get64(&send->version));
	tni_set64(&receive->journal.version, tni_get64(&receive->version));
	tni_set64(&send->journal.count, count);
	tni_set64(&receive->journal.count, count);
	tni_set64(&send->gate.word, TNI_GATE_OWNER_DIED);
	tni_set64(&receive->gate.word, TNI_GATE_OWNER_DIED);
	send_bytes(stage, 8);
	receive_bytes(stage);
	(void)!tenon_queue_check(stage->queue, NULL, 0);
}

static void last_journal(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 64);
	repair_with(stage, UINT64_MAX, 0);
	repair_with(stage, TNI_JOURNAL_ENTRIES + 1, 0);
	repair_with(stage, TNI_JOURNAL_ENTRIES, 0);
	repair_with(stage, TNI_JOURNAL_ENTRIES, stage->queue->chunks.offset + 4);
	repair_with(stage, 1, UINT64_MAX - 7);
	repair_with(stage, 1, stage->queue->object.extent_bytes);
	repair_with(stage, 1, stage->queue->chunks.offset);
}

/* The end of the file is nearer than that of its mapping, and there are holes before it. */
static void last_journal_past_the_end(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	repair_with(stage, 1, stage->queue->object.extent_bytes - 8);
}

/* More messages are announced than there are. */
static void false_news(struct stage *stage)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};
	struct tenon_receive_options forever = {.size = sizeof(forever)};

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.sent_seen, 3);
	/* A wait without a deadline ends when a signal comes; a loop would not. */
	setitimer(ITIMER_REAL, &timer, NULL);
	if (tenon_queue_receive(stage->queue, stage->bytes, 64, &forever, NULL) != -EINTR)
		_exit(4);
}

/* A gate whose owner does not exist, and a caller whom signals wake all the time. */
static void restless_locker(struct stage *stage)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.gate.word, 1);
	setitimer(ITIMER_REAL, &timer, NULL);
	(void)!tenon_queue_check(stage->queue, NULL, 0);
}

/* A gate whose owner is said to be the very thread that wants it: it lives for as long as it waits. */
static void owned_by_the_caller(struct stage *stage)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t self = (uint64_t)gettid();

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.gate.word, self);
	(void)!tenon_queue_check(stage->queue, NULL, 0);
	tni_set64(&stage->control->receive.gate.word, self | TNI_GATE_WAITERS);
	(void)!tenon_queue_status(stage->queue, &status);
	(void)!tenon_queue_recover(stage->queue, NULL);
}

/* The same, for a handle that is to be closed. */
static void closed_by_the_owner(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.gate.word, (uint64_t)gettid());
	tni_set64(&stage->control->receive.gate.word, (uint64_t)gettid());
	stage->queue = tenon_queue_close(stage->queue);
}

static struct tni_a32 idle_thread;

static void *idle(void *context)
{
	tni_set32(&idle_thread, (uint32_t)gettid());
	for (;;)
		pause();
	return context;
}

/* The words that tell of the death of who has a lease say that it died, or name another thread: who sleeps
 * beside the lease sleeps all the same, and in time; and the taker takes and lets go as before. */
static void stake_words(struct stage *stage)
{
	static const uint32_t values[] = {0, TNI_STAKE_DIED, 7, UINT32_MAX};
	struct tenon_lease lease;
	struct tenon_queue *other;
	int64_t end;

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	if (send_bytes(stage, 8) != 0 || tenon_queue_open(NULL, "attack", 0, NULL, &other) != 0 ||
	    tenon_queue_take(other, NULL, &lease) != 0)
		_exit(3);
	for (uint32_t i = 0; i < 16; i++) {
		tni_set32((struct tni_a32 *)(stage->base + stage->queue->object.stakes_offset +
					     TNI_STAKE_FIRST_OFFSET + i % 3 * TNI_STAKE_BYTES),
			  values[i % 4]);
		end = tenon_deadline_after(LATE_NS);
		if (receive_bytes(stage) != -ETIMEDOUT || tenon_deadline_after(0) >= end)
			_exit(4);
		if (tenon_queue_return(other, &lease) != 0 ||
		    tenon_queue_take(other, NULL, &lease) != 0)
			_exit(6);
	}
	if (tenon_queue_done(other, &lease) != 0)
		_exit(7);
	tenon_queue_close(other);
}

/* A gate whose owner lives and will never unlock it: a call with a deadline ends all the same. */
static void owned_by_another(struct stage *stage)
{
	pthread_t thread;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	if (pthread_create(&thread, NULL, idle, NULL) != 0)
		_exit(3);
	while (tni_get32(&idle_thread) == 0)
		sched_yield();
	tni_set64(&stage->control->send.gate.word, tni_get32(&idle_thread));
	if (send_bytes(stage, 8) != -ETIMEDOUT || send_bytes(stage, 60000) != -ETIMEDOUT)
		_exit(4);
	tni_set64(&stage->control->send.gate.word, 0);
	if (send_bytes(stage, 60000) != 0)
		_exit(5);
	tni_set64(&stage->control->receive.gate.word, tni_get32(&idle_thread));
	if (receive_bytes(stage) != -ETIMEDOUT)
		_exit(6);
}

/* A lease that nobody has, of the message that a rendezvous brings and has to take back. */
static void forge_lease(struct stage *stage, uint64_t participant)
{
	struct tni_lease *lease;

	set_stage(stage, TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS, 100);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->leases.offset, 4096) != 0)
		_exit(3);
	lease = entry_of(stage, &stage->queue->leases, 0);
	tni_set64(&lease->record, TNI_LEASE_IN_SLOT);
	tni_set64(&lease->state_participant, TNI_LEASE_TAKEN | participant << 32);
	tni_set64(&stage->control->receive.leases.top, 1);
	tni_set64(&stage->control->receive.leases.used, 1);
	send_bytes(stage, 8);
}

static void lease_of_nobody(struct stage *stage)
{
	forge_lease(stage, 3);
}

static void lease_of_the_sender(struct stage *stage)
{
	forge_lease(stage, 0);
}

/* Messages of one bucket of the index, of which none follows the last: the list leads back, and the
 * bucket counts more than there are. */
static void make_bucket_ring(struct stage *stage, uint32_t order)
{
	struct tenon_message message;
	struct tni_node *bucket;
	struct tni_slot *slot;

	set_stage(stage, order, 100, SLOT_BYTES);
	for (uint32_t i = 0; i < 3; i++)
		if (send_bytes(stage, SLOT_BYTES) != 0)
			_exit(3);
	if (tenon_queue_peek(stage->queue, 0, stage->bytes, 64, &message) != 0)
		_exit(3);
	bucket = entry_of(stage, &stage->queue->nodes, 0);
	tni_set64(&bucket->count, UINT64_MAX);
	for (uint32_t i = 1; i < 3; i++) {
		slot = entry_of(stage, &stage->queue->slots, i);
		tni_set64(&slot->sequence, 0);
		tni_set64(&slot->younger_link, 2);
	}
}

static void bucket_ring_returned(struct stage *stage)
{
	struct tenon_receive_options options;
	struct tenon_lease lease;

	make_bucket_ring(stage, TENON_QUEUE_PRIORITY);
	options = receiving();
	if (tenon_queue_take(stage->queue, &options, &lease) == 0)
		(void)!tenon_queue_return(stage->queue, &lease);
}

static void bucket_ring_peeked(struct stage *stage)
{
	struct tenon_message message;

	make_bucket_ring(stage, TENON_QUEUE_PRIORITY);
	tni_set64(&stage->control->send.sent_seen, UINT64_MAX / 2);
	(void)!tenon_queue_peek(stage->queue, TENON_QUEUE_MAX_CAPACITY - 1, stage->bytes, 64,
				&message);
}

static void age_ring_peeked(struct stage *stage)
{
	struct tenon_message message;

	make_bucket_ring(stage, TENON_QUEUE_TYPED);
	tni_set64(&stage->control->send.slots.pool.top, UINT64_MAX);
	(void)!tenon_queue_peek(stage->queue, 1, stage->bytes, 64, &message);
}

/* Counted as often as there could be messages, it is said, under the lock. */
static void own_younger_peeked(struct stage *stage)
{
	struct tenon_message message;
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_TYPED, TENON_QUEUE_UNBOUNDED, 64);
	if (send_bytes(stage, 8) != 0 || send_bytes(stage, 8) != 0 ||
	    tenon_queue_peek(stage->queue, 0, stage->bytes, 64, &message) != 0)
		_exit(3);
	slot = entry_of(stage, &stage->queue->held, 0);
	tni_set64(&slot->younger_link, stage->queue->slots.max + 1);
	tni_set64(&stage->control->receive.held.top, UINT64_MAX);
	tni_set64(&stage->control->send.slots.pool.top, UINT64_MAX);
	if (tenon_queue_peek(stage->queue, 1, stage->bytes, 64, &message) != -EBADMSG)
		_exit(4);
}

static int count_one(const struct tenon_participant *participant, void *context)
{
	(void)participant;
	*(uint32_t *)context += 1;
	return 0;
}

/* Tables that were used, it is said, as far as they can be: who walks through them neither asks for
 * their memory entry by entry nor takes it. */
static void endless_tables(struct stage *stage)
{
	struct stat before, after;
	uint32_t count = 0;
	int fd;

	set_stage(stage, TENON_QUEUE_FIFO, TENON_QUEUE_UNBOUNDED, 64);
	fd = dup(stage->queue->object.fd);
	tni_set64(&stage->control->send.loans.top, UINT64_MAX);
	tni_set64(&stage->control->send.receipts.top, UINT64_MAX);
	tni_set64(&stage->control->receive.leases.top, UINT64_MAX);
	if (fd < 0 || fstat(fd, &before) != 0)
		_exit(3);
	(void)!tenon_queue_participants(stage->queue, count_one, &count);
	stage->queue = tenon_queue_close(stage->queue);
	if (fstat(fd, &after) != 0 || after.st_blocks > before.st_blocks + 2048)
		_exit(4);
}

/* What a sender may still do to its message, and what it says of itself. */
static void message_in_motion(struct stage *stage)
{
	struct tenon_receive_options options;
	struct tenon_lease lease;
	struct tenon_message message;
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, SLOT_BYTES);
	if (send_bytes(stage, SLOT_BYTES) != 0 || send_bytes(stage, SLOT_BYTES) != 0)
		_exit(3);
	slot = entry_of(stage, &stage->queue->slots, 0);
	options = receiving();
	tni_set32(&slot->flags_sender, 4711u << 8);
	if (tenon_queue_take(stage->queue, &options, &lease) != 0)
		_exit(4);
	memset(entry_of(stage, &stage->queue->data, 0), 'x', 8);
	if (memcmp(lease.data, "xxxxxxxx", 8) != 0 || lease.message.sender_pid != 4711)
		_exit(5);
	if (tenon_queue_done(stage->queue, &lease) != 0)
		_exit(6);
	/* A copy is the receiver's own. */
	options = receiving();
	if (tenon_queue_receive(stage->queue, stage->bytes, SLOT_BYTES, &options, &message) != 0)
		_exit(7);
	memset(entry_of(stage, &stage->queue->data, 1), 'x', 64);
	if (memcmp(stage->bytes, "\0\0\0\0\0\0\0\0", 8) != 0 || message.bytes != SLOT_BYTES)
		_exit(8);
}

/* What the log says and what a look finds are not the same: no spinning until they are. */
static void index_without_room(struct stage *stage)
{
	struct tni_receive_side *side;

	set_stage(stage, TENON_QUEUE_TYPED, 10, 64);
	if (send_bytes(stage, 8) != 0)
		_exit(3);
	side = &stage->control->receive;
	tni_set64(&side->nodes.top, stage->queue->nodes.max);
	for (uint32_t i = 0; i < 2; i++)
		tni_set64(&side->state[i].ready, 1);
	tni_set32(&stage->control->send.gate.cpu, UINT32_MAX);
	if (receive_bytes(stage) == 0)
		_exit(4);
}

static void message_not_counted(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	if (send_bytes(stage, 8) != 0)
		_exit(3);
	tni_set64(&stage->control->send.sent_seen, 0);
	tni_set32(&stage->control->send.gate.cpu, UINT32_MAX);
	if (tenon_queue_wait(stage->queue, TENON_READABLE, tenon_deadline_after(WAIT_NS), NULL) ==
	    0)
		_exit(4);
}

/* It sleeps all the same, and a signal ends that. */
static void limit_not_told(struct stage *stage)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};

	set_stage(stage, TENON_QUEUE_FIFO, 1, 64);
	if (send_bytes(stage, 8) != 0)
		_exit(3);
	tni_set64(&stage->control->max_bytes, UINT64_MAX);
	setitimer(ITIMER_REAL, &timer, NULL);
	if (tenon_queue_send(stage->queue, stage->bytes, 8, NULL) != -EINTR)
		_exit(4);
}

static const struct attack {
	const char *name;
	void (*run)(struct stage *stage);
} attacks[] = {
	{"more leases than there can be, asked by a withdrawing sender", endless_leases},
	{"a log of jumps in a ring, received", jump_ring},
	{"a log of jumps in a ring, peeked", jump_ring_peeked},
	{"a log of messages in a ring, drained", record_ring},
	{"a message that reaches past the file's end", slot_past_the_end},
	{"a free slot that reaches past the file's end", write_past_the_end},
	{"a journal that changes while it is undone", astray_journal},
	{"a dead owner's journal that leads everywhere", last_journal},
	{"a dead owner's journal that leads past the file's end", last_journal_past_the_end},
	{"messages announced that are not there", false_news},
	{"a gate's owner that is not there, under signals", restless_locker},
	{"a gate's owner that is the caller itself", owned_by_the_caller},
	{"a gate's owner that is the caller itself, closing", closed_by_the_owner},
	{"a gate's owner that lives, and deadlines", owned_by_another},
	{"the words that tell of deaths, beside a lease", stake_words},
	{"a withdrawn message under a lease of nobody", lease_of_nobody},
	{"a withdrawn message under a lease of its sender", lease_of_the_sender},
	{"a bucket of the index in a ring, returned to", bucket_ring_returned},
	{"a bucket of the index in a ring, peeked far behind", bucket_ring_peeked},
	{"messages by age in a ring, peeked", age_ring_peeked},
	{"a message that is its own younger one, peeked", own_younger_peeked},
	{"tables used as far as they can be, walked through", endless_tables},
	{"a taken message changes, and names another sender; a received one is a copy",
	 message_in_motion},
	{"a rendezvous whose end cannot be known", rendezvous_without_front},
	{"a long message under a lease that was taken away", received_under_a_lost_lease},
	{"a message in the log for which the index has no room", index_without_room},
	{"a message in the log that is not counted, waited for", message_not_counted},
	{"a limit of bytes in a queue that is said to have none, full", limit_not_told},
	{"a log of jumps in a ring, looked through for its priorities", jump_ring_scanned},
	{"withdrawn messages in a ring of the log", withdrawn_record_ring},
	{"a withdrawn message that was given back, and is its own next", withdrawn_lease_ring},
	{"a withdrawn message that stays the first of its bucket", withdrawn_in_bucket},
	{"a log of voids in a ring", void_ring},
	{"a returned message that is its own next, checked", returned_ring_checked},
	{"a queue that is full however many are dropped", endless_dropping},
	{"short messages in a ring of an unbounded log, received", unbounded_ring_received},
	{"short messages in a ring of an unbounded log, peeked far behind", unbounded_ring_peeked},
	{"short messages in a ring of an unbounded log, checked", unbounded_ring_checked},
	{"long messages in a ring of an unbounded log, another selected", unbounded_slots_selected},
	{"an owner that died and lives, and calls that have no time", doubtful_owner},
};

static void on_signal(int number)
{
	(void)number;
}

static void suffer(const void *context)
{
	const struct attack *attack = context;
	struct sigaction action = {.sa_handler = on_signal};
	static struct stage stage;

	sigaction(SIGALRM, &action, NULL);
	attack->run(&stage);
}

static bool survives(const struct attack *attack)
{
	int status = patience_run(suffer, attack, PATIENCE_S);

	tenon_queue_remove(NULL, "attack");
	if (WIFSIGNALED(status))
		printf("# %s %d\n",
		       WTERMSIG(status) == SIGKILL ? "endless: ended with signal" : "signal",
		       WTERMSIG(status));
	else if (status != 0)
		printf("# exit %d\n", WEXITSTATUS(status));
	return status == 0;
}

int main(void)
{
	uint32_t count = sizeof(attacks) / sizeof(attacks[0]), failed = 0;
	char folder[FOLDER_BYTES];

	if (folder_make(folder) != 0)
		return 2;
	printf("1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		bool survived = survives(&attacks[i]);

		failed += !survived;
		printf("%sok %u - %s\n", survived ? "" : "not ", i + 1, attacks[i].name);
	}
	folder_remove(folder);
	return failed > 0;
}
