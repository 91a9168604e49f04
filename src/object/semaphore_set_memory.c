/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory of a set, and what changes in it: all under the gate.
 *
 * One value alone is one store.  Whatever else goes together is written in place, when all old words are in the journal:
 *
 *	J1 old words into the journal	dies: nothing happened
 *	J2 `open` := how many		dies: the old words are written back, which changes nothing
 *	J3 new words			dies: the old words are written back
 *	J4 `open` := 0			dies: all done
 *
 * Setting changes too much for that: undo counts of all processes.  It is noted, and then done to the end by whoever is
 * there:
 *
 *	N1 what is to be set		dies: nothing happened
 *	N2 `note` := that it is to be	dies: whoever repairs does N3 and N4, from the beginning
 *	N3 undo counts := 0, values	dies: the same
 *	N4 `note` := 0			dies: all done
 *
 * The dead one's undo counts are added one by one, each with its value by J1 to J4: whoever buries it after a burier's
 * death goes on with the rest.
 *
 * A row's claim is how many undo counts its process has, and which pages of them there are stands there, too.
 */

#include "object/semaphore_set.h"

#define HEAD_PAGE_ENTRIES \
	((TNI_PAGE_BYTES - sizeof(struct tni_set_head)) / sizeof(struct tni_set_entry))
#define UNDO_A_PAGE (TNI_PAGE_BYTES / (uint32_t)sizeof(uint32_t))

struct layout {
	uint64_t values, next_values, waiters, undo, undo_stride, end;
};

static struct layout layout_of(uint32_t participants, uint32_t limit)
{
	uint64_t values_bytes = tni_page_up(limit * sizeof(struct tni_a64));
	struct layout layout;

	layout.values = tni_page_up(sizeof(struct tni_set_head) +
				    TNI_SET_ENTRIES * sizeof(struct tni_set_entry));
	layout.next_values = layout.values + values_bytes;
	layout.waiters = layout.next_values + values_bytes;
	layout.undo = layout.waiters + TNI_SET_WAITERS * sizeof(struct tni_set_waiter);
	layout.undo_stride = 64;
	while (layout.undo_stride < TNI_PAGE_BYTES && layout.undo_stride < limit * sizeof(uint32_t))
		layout.undo_stride *= 2;
	if (limit * sizeof(uint32_t) > TNI_PAGE_BYTES)
		layout.undo_stride = tni_page_up(limit * sizeof(uint32_t));
	layout.end = layout.undo + tni_page_up(participants * layout.undo_stride);
	return layout;
}

uint64_t tni_set_extra_bytes(uint32_t participants, uint32_t limit)
{
	return layout_of(participants, limit).end;
}

int tni_set_fill(const struct tni_sync *sync, int fd, uint64_t offset, uint8_t *extra)
{
	uint32_t maximum = (uint32_t)sync->making_word, value = (uint32_t)(sync->making_word >> 32);
	struct layout layout = layout_of(sync->making.max_participants, sync->making_limit);
	struct tni_set_head *head = (struct tni_set_head *)extra;
	struct tni_a64 *values = (struct tni_a64 *)(extra + layout.values);
	int result = tni_sync_back(sync, fd, offset, TNI_PAGE_BYTES);

	if (result == 0)
		result = tni_sync_back(sync, fd, offset + layout.values,
				       layout.next_values - layout.values);
	if (result != 0)
		return result;
	head->maximum = maximum;
	tni_set64(&head->changed_ns, (uint64_t)tni_stamp_ns());
	for (uint32_t i = 0; i < sync->making_limit && value != 0; i++)
		tni_set64(&values[i], value);
	return 0;
}

/* A part of the extra memory. */
static int reserve(struct tenon_semaphore_set *set, uint64_t offset, uint64_t bytes)
{
	struct tni_object *object = set->sync.object;

	return tni_sync_back(&set->sync, object->fd,
			     (uint64_t)(set->sync.extra - object->base) + offset, bytes);
}

int tni_set_map(struct tni_sync *sync)
{
	struct tenon_semaphore_set *set = (struct tenon_semaphore_set *)sync;
	struct layout layout = layout_of(sync->object->header.participants_max, sync->limit);
	int result = reserve(set, 0, TNI_PAGE_BYTES);

	if (result == 0)
		result = reserve(set, layout.values, layout.next_values - layout.values);
	if (result != 0)
		return result;
	set->head = (struct tni_set_head *)sync->extra;
	set->journal = (struct tni_set_entry *)(set->head + 1);
	set->values = (struct tni_a64 *)(sync->extra + layout.values);
	set->next_values = (struct tni_a64 *)(sync->extra + layout.next_values);
	set->waiters = (struct tni_set_waiter *)(sync->extra + layout.waiters);
	set->undo_offset = layout.undo;
	set->undo_stride = layout.undo_stride;
	set->maximum = *(const volatile uint32_t *)&set->head->maximum;
	if (set->maximum == 0 || set->maximum > TENON_SEMAPHORE_SET_VALUE_MAX)
		return -EBADMSG;
	return tni_get32(&set->head->removed) ? -EIDRM : 0;
}

static uint64_t removed_offset(uint32_t participants)
{
	return tni_sync_extra_offset(participants) + offsetof(struct tni_set_head, removed);
}

bool tni_set_is_over(int fd)
{
	return tni_object_read_word(fd, TENON_KIND_SEMAPHORE_SET, removed_offset) != 0;
}

static int back_once(struct tenon_semaphore_set *set, struct tni_a32 *known, uint64_t offset,
		     uint64_t bytes)
{
	int result = 0;

	if (tni_get32(known) == 0) {
		result = reserve(set, offset, bytes);
		if (result == 0)
			tni_set32(known, 1);
	}
	return result;
}

int tni_set_back_journal(struct tenon_semaphore_set *set)
{
	return back_once(set, &set->journal_known, 0,
			 (uint64_t)((uint8_t *)set->values - set->sync.extra));
}

int tni_set_back_next(struct tenon_semaphore_set *set)
{
	return back_once(set, &set->next_known,
			 (uint64_t)((uint8_t *)set->next_values - set->sync.extra),
			 set->sync.limit * sizeof(struct tni_a64));
}

int tni_set_back_waiters(struct tenon_semaphore_set *set, uint32_t count)
{
	uint32_t a_page = TNI_PAGE_BYTES / sizeof(struct tni_set_waiter);
	uint32_t whole = (count + a_page - 1) / a_page * a_page;
	int result = 0;

	if (count > tni_get32(&set->waiters_known)) {
		result = reserve(set, (uint64_t)((uint8_t *)set->waiters - set->sync.extra),
				 whole * sizeof(struct tni_set_waiter));
		if (result == 0)
			tni_set32(&set->waiters_known, whole);
	}
	return result;
}

/* Of a participant whose row says that it has one. */
static int back_undo_page(struct tenon_semaphore_set *set, uint32_t participant, uint32_t number)
{
	uint64_t offset = participant * set->undo_stride + number * sizeof(uint32_t);
	uint64_t page = offset / TNI_PAGE_BYTES;
	struct tni_a64 *known = &set->undo_known[page / 64];
	int result = 0;

	if (!(tni_get64(known) >> (page % 64) & 1)) {
		result = reserve(set, set->undo_offset + page * TNI_PAGE_BYTES, TNI_PAGE_BYTES);
		if (result == 0)
			tni_fetch_or64(known, UINT64_C(1) << (page % 64));
	}
	return result;
}

int tni_set_back_undo(struct tenon_semaphore_set *set, uint32_t participant, uint32_t number)
{
	struct tni_row *row = tni_sync_row(&set->sync, participant);
	uint64_t bit = UINT64_C(1) << (number / UNDO_A_PAGE);
	int result;

	if (!row)
		return -ENOSPC;
	result = back_undo_page(set, participant, number);
	if (result == 0 && !(tni_get64(&row->pages) & bit))
		tni_fetch_or64(&row->pages, bit);
	return result;
}

/* The row of a participant that has undo counts in the page of a semaphore; else NULL. */
static struct tni_row *row_with(struct tenon_semaphore_set *set, uint32_t participant,
				uint32_t number)
{
	struct tni_row *row = tni_sync_row(&set->sync, participant);

	if (!row || tni_get64(&row->claim) == 0 ||
	    !(tni_get64(&row->pages) >> (number / UNDO_A_PAGE) & 1))
		return NULL;
	return row;
}

/* Makes sure of the memory of a participant's undo counts, as far as there are any. */
static int back_row(struct tenon_semaphore_set *set, uint32_t participant)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < set->sync.limit; i += UNDO_A_PAGE)
		if (row_with(set, participant, i))
			result = back_undo_page(set, participant, i);
	return result;
}

/* Calls `visit` for each undo count of a participant that is not 0, and counts them.  A NULL only counts. */
static int each_undo(struct tenon_semaphore_set *set, uint32_t participant,
		     void (*visit)(struct tenon_semaphore_set *set, uint32_t participant,
				   uint32_t number),
		     uint64_t *ret_count)
{
	uint32_t limit = set->sync.limit;
	int result = back_row(set, participant);

	*ret_count = 0;
	for (uint32_t i = 0; result == 0 && i < limit; i++) {
		if (i % UNDO_A_PAGE == 0 && !row_with(set, participant, i)) {
			i += UNDO_A_PAGE - 1;
			continue;
		}
		if (tni_get32(tni_set_undo(set, participant, i)) == 0)
			continue;
		++*ret_count;
		if (visit)
			visit(set, participant, i);
	}
	return result;
}

/* J1. */
static void put_entry(struct tenon_semaphore_set *set, uint32_t *entries, uint64_t kind,
		      uint32_t participant, uint32_t number, uint64_t old)
{
	struct tni_set_entry *entry = &set->journal[(*entries)++];

	tni_set64(&entry->what,
		  kind | (uint64_t)participant << TNI_SET_ENTRY_PARTICIPANT_SHIFT | number);
	tni_set64(&entry->old, old);
}

static void set_open(struct tenon_semaphore_set *set, uint32_t entries)
{
	tni_step();
	tni_set64(&set->head->open, entries);
	tni_step();
}

/* What is added when a process dies. */
static void give_back_one(struct tenon_semaphore_set *set, uint32_t participant, uint32_t number)
{
	struct tni_a32 *undo = tni_set_undo(set, participant, number);
	uint64_t pid = (uint32_t)tni_sync_pid(&set->sync, participant);
	uint32_t count = tni_get32(undo), entries = 0;
	int64_t value = (int64_t)tni_set_value(set, number) + (int32_t)count;

	if (value < 0)
		value = 0;
	if (value > set->maximum)
		value = set->maximum;
	put_entry(set, &entries, TNI_SET_ENTRY_VALUE, 0, number, tni_get64(&set->values[number]));
	put_entry(set, &entries, TNI_SET_ENTRY_UNDO, participant, number, count);
	set_open(set, entries);
	tni_set64(&set->values[number], (uint64_t)value | pid << TNI_SET_PID_SHIFT);
	tni_step();
	tni_set32(undo, 0);
	set_open(set, 0);
}

static int give_back(struct tenon_semaphore_set *set, uint32_t participant)
{
	struct tni_row *row = tni_sync_row(&set->sync, participant);
	uint64_t count;
	int result;

	if (!row)
		return -ENOSPC;
	tni_turnstile_pay(&set->sync, row);
	if (tni_get64(&row->claim) == 0 || tni_get32(&set->head->removed))
		return 0;
	result = each_undo(set, participant, give_back_one, &count);
	if (result != 0)
		return result;
	tni_set64(&set->head->undone, tni_get64(&set->head->undone) + 1);
	tni_set64(&set->head->operated_ns, (uint64_t)tni_stamp_ns());
	tni_step();
	tni_set64(&row->claim, 0);
	return 0;
}

int tni_set_bury(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	struct tenon_semaphore_set *set = (struct tenon_semaphore_set *)sync;
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result;

	if (tni_get32(&tni_turnstile(sync)->claims) == 0 && tni_get32(&set->head->waiters_top) == 0)
		return 0;
	result = tni_sync_lock(sync, thread, pending, deadline_ns);
	if (result != 0)
		return result;
	if (tni_get32(&tni_turnstile(sync)->claims) != 0)
		result = give_back(set, participant);
	tni_set_forget(set, participant);
	tni_set_leave(set, thread, pending);
	return result;
}

int tni_set_help(struct tni_sync *sync, uint32_t participant, int64_t deadline_ns)
{
	struct tenon_semaphore_set *set = (struct tenon_semaphore_set *)sync;
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	int result = tni_sync_lock(sync, thread, pending, deadline_ns);

	if (result != 0)
		return result;
	if (tni_turnstile_is_left(sync, participant)) {
		result = give_back(set, participant);
		tni_set_forget(set, participant);
		/* It keeps it where the set is removed. */
		if (result == 0)
			result = tni_get64(&tni_sync_row(sync, participant)->claim) == 0;
	}
	tni_set_leave(set, thread, pending);
	return result;
}

/* The own row, whose memory is there by now, if the list has undo counts; else NULL. */
static struct tni_row *row_for(struct tenon_semaphore_set *set,
			       const struct tni_set_touched *touched, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (touched[i].has_undo)
			return tni_sync_own_row(&set->sync);
	return NULL;
}

/* What undo counts become beside each touched semaphore; answers the row's new claim. */
static uint64_t put_entries(struct tenon_semaphore_set *set, const struct tni_row *row,
			    const struct tni_set_touched *touched, uint32_t count,
			    uint32_t *entries)
{
	uint32_t own = set->sync.object->participant;
	uint64_t claim = row ? tni_get64(&row->claim) : 0, before = claim;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = touched[i].number, undo;

		put_entry(set, entries, TNI_SET_ENTRY_VALUE, 0, number,
			  tni_get64(&set->values[number]));
		if (!touched[i].has_undo)
			continue;
		undo = tni_get32(tni_set_undo(set, own, number));
		put_entry(set, entries, TNI_SET_ENTRY_UNDO, own, number, undo);
		claim += (uint64_t)(touched[i].undo != 0) - (uint64_t)(undo != 0);
	}
	if (claim != before)
		put_entry(set, entries, TNI_SET_ENTRY_CLAIM, own, 0, before);
	return claim;
}

void tni_set_commit(struct tenon_semaphore_set *set, const struct tni_set_touched *touched,
		    uint32_t count)
{
	uint32_t own = set->sync.object->participant, entries = 0;
	uint64_t pid = tni_set_own_pid(set), claim;
	struct tni_row *row;

	if (count == 1 && !touched[0].has_undo) {
		tni_set64(&set->values[touched[0].number], touched[0].value | pid);
		return;
	}
	row = row_for(set, touched, count);
	claim = put_entries(set, row, touched, count, &entries);
	set_open(set, entries);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = touched[i].number;

		tni_set64(&set->values[number], touched[i].value | pid);
		if (touched[i].has_undo)
			tni_set32(tni_set_undo(set, own, number), (uint32_t)touched[i].undo);
		tni_step();
	}
	if (row)
		tni_set64(&row->claim, claim);
	set_open(set, 0);
}

/* The word of an entry, whose memory is there then; false: it cannot be. */
static bool write_back(struct tenon_semaphore_set *set, uint64_t what, uint64_t old)
{
	uint64_t number = what & TNI_SET_ENTRY_NUMBER;
	uint64_t participant = (what & TNI_SET_ENTRY_PARTICIPANT) >>
			       TNI_SET_ENTRY_PARTICIPANT_SHIFT;
	struct tni_row *row = tni_sync_row(&set->sync, (uint32_t)participant);

	if (number >= set->sync.limit || !row)
		return false;
	switch (what & TNI_SET_ENTRY_KIND) {
	case TNI_SET_ENTRY_VALUE:
		tni_set64(&set->values[number], old);
		return true;
	case TNI_SET_ENTRY_UNDO:
		if (back_undo_page(set, (uint32_t)participant, (uint32_t)number) != 0)
			return false;
		tni_set32(tni_set_undo(set, (uint32_t)participant, (uint32_t)number),
			  (uint32_t)old);
		return true;
	case TNI_SET_ENTRY_CLAIM:
		tni_set64(&row->claim, old);
		return true;
	default:
		return false;
	}
}

/* Takes back what a dead one was about. */
static int roll_back(struct tenon_semaphore_set *set)
{
	uint64_t open = tni_get64(&set->head->open);
	bool right = open <= TNI_SET_ENTRIES;

	if (right && open > HEAD_PAGE_ENTRIES && tni_set_back_journal(set) != 0)
		right = false;
	for (uint64_t i = right ? open : 0; i-- > 0;)
		right = write_back(set, tni_get64(&set->journal[i].what),
				   tni_get64(&set->journal[i].old)) &&
			right;
	set_open(set, 0);
	return right ? 0 : -EBADMSG;
}

static void clear_one(struct tenon_semaphore_set *set, uint32_t participant, uint32_t number)
{
	tni_set32(tni_set_undo(set, participant, number), 0);
}

/* N3. */
static int set_one(struct tenon_semaphore_set *set)
{
	uint64_t number = tni_get64(&set->head->note_number);

	if (number >= set->sync.limit)
		return -EBADMSG;
	for (uint32_t i = 0; i < tni_object_participants_top(set->sync.object); i++) {
		struct tni_row *row = row_with(set, i, (uint32_t)number);

		if (!row || back_undo_page(set, i, (uint32_t)number) != 0 ||
		    tni_get32(tni_set_undo(set, i, (uint32_t)number)) == 0)
			continue;
		clear_one(set, i, (uint32_t)number);
		tni_step();
		tni_set64(&row->claim, tni_get64(&row->claim) - 1);
	}
	tni_set64(&set->values[number], tni_get64(&set->head->note_word));
	return 0;
}

static int set_all(struct tenon_semaphore_set *set)
{
	int result = tni_set_back_next(set);

	if (result != 0)
		return result;
	for (uint32_t i = 0; i < tni_object_participants_top(set->sync.object); i++) {
		struct tni_row *row = tni_sync_row(&set->sync, i);
		uint64_t count;

		if (!row || tni_get64(&row->claim) == 0)
			continue;
		result = each_undo(set, i, clear_one, &count);
		if (result != 0)
			return result;
		tni_step();
		tni_set64(&row->claim, 0);
	}
	for (uint32_t i = 0; i < set->sync.limit; i++)
		tni_set64(&set->values[i], tni_get64(&set->next_values[i]));
	return 0;
}

int tni_set_follow_note(struct tenon_semaphore_set *set)
{
	uint32_t note = tni_get32(&set->head->note);
	int result = note == TNI_SET_NOTE_NONE	? 0
		     : note == TNI_SET_NOTE_ONE ? set_one(set)
		     : note == TNI_SET_NOTE_ALL ? set_all(set)
						: -EBADMSG;

	tni_set64(&set->head->changed_ns, (uint64_t)tni_stamp_ns());
	tni_step();
	tni_set32(&set->head->note, TNI_SET_NOTE_NONE);
	tni_step();
	return result;
}

int tni_set_back_note(struct tenon_semaphore_set *set)
{
	int result = 0;

	for (uint32_t i = 0; result == 0 && i < tni_object_participants_top(set->sync.object); i++)
		result = back_row(set, i);
	return result;
}

/* Whoever died between an undo count and its row's claim left the claim too high. */
static void count_again(struct tenon_semaphore_set *set)
{
	for (uint32_t i = 0; i < tni_object_participants_top(set->sync.object); i++) {
		struct tni_row *row = tni_sync_row(&set->sync, i);
		uint64_t claim;

		if (row && tni_get64(&row->claim) != 0 && each_undo(set, i, NULL, &claim) == 0)
			tni_set64(&row->claim, claim);
	}
}

int tni_set_repair(struct tni_sync *sync)
{
	struct tenon_semaphore_set *set = (struct tenon_semaphore_set *)sync;
	int result = roll_back(set), noted = 0;

	if (tni_get32(&set->head->note) != TNI_SET_NOTE_NONE) {
		noted = tni_set_follow_note(set);
		count_again(set);
	}
	tni_set_plan(sync);
	return result == 0 && noted == 0 ? 0 : tni_sync_damaged(sync);
}

int tni_set_enter(struct tenon_semaphore_set *set, struct tni_thread *thread, void *pending,
		  int64_t deadline_ns)
{
	int result = tni_sync_begin(&set->sync, thread);

	if (result != 0)
		return result;
	result = tni_sync_lock(&set->sync, thread, pending, deadline_ns);
	/* Who does not want to wait for others waits for the gate: it is not held for long. */
	if (__builtin_expect(result == -ETIMEDOUT, 0))
		result = tni_sync_lock(&set->sync, thread, pending, tni_grace_ns());
	if (__builtin_expect(result == 0 && tni_get32(&set->head->removed), 0)) {
		tni_set_leave(set, thread, pending);
		return -EIDRM;
	}
	return result;
}

void tni_set_leave(struct tenon_semaphore_set *set, struct tni_thread *thread, void *pending)
{
	/* Who waits and has not announced itself yet may be granted what it waits for. */
	if (__builtin_expect(tni_get32(&set->head->waiters_top) != 0, 0) &&
	    !(tni_get64(&set->sync.cell->gate.word) & TNI_GATE_FLAG(TNI_CLASS_MESSAGE)))
		tni_set_plan(&set->sync);
	tni_sync_unlock(&set->sync, thread, pending);
}
