/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Waiting: first spinning, where the other side was last seen on another CPU or the last spinning was
 * worth it, then sleeping.
 *
 * The budget of spinning follows how long the last waits took: it is a whole one while waits are
 * short, and shrinks to next to nothing while they are long.  Nothing is read in the loop but the
 * word that the awaited side will write: each other word of that side that is looked at costs it a
 * line when it next writes, which is just what is being waited for.
 *
 * Spinning says once of the same words that it is worth looking.  A look that finds nothing where they
 * promise something has met the work of a sender that died in between, or of somebody who writes what he
 * likes: falling asleep repairs the one and bears the other.
 *
 * While there are leases, a sleeper is also told of the death of who holds one: object/deaths.c.
 */

#include <errno.h>

#include "object/deaths.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"

#define SPIN_FULL_NS 50000
#define SPIN_LEAST_NS 500
#define WAIT_SHORT_NS 100000
#define SPIN_BURST 48u /* pauses between two readings of the clock */
#define TRUSTED_BURSTS \
	4u /* that look at nothing else: longer than most waits that are worth spinning */
#define SPIN_LOOKS 8u /* between two pauses, which can take longer than the whole wait */
#define GROW_MESSAGES 64u
#define GROW_ROUNDS 16u
#define GROW_PAUSES 8u

struct tni_seen tni_wait_seen(const struct tenon_queue *queue)
{
	const struct tni_receive_side *side = &queue->control->receive;
	uint64_t sent = tni_load_acquire64(&queue->control->send.sent_seen); /* ORD(seen) */

	return (struct tni_seen){.version = tni_get64(&side->version),
				 .head = tni_receive_view(side).head,
				 .sent = sent,
				 .done = tni_get64(&side->done_seen),
				 .limit = tni_get64(&queue->control->max_bytes)};
}

/* While spinning: has the word changed that the other side will write? */
static bool may_go_on(struct tenon_queue *queue, const struct tni_reason *reason)
{
	const struct tni_a64 *word;

	switch (reason->class) {
	case TNI_CLASS_MESSAGE:
		if (tni_get64(&queue->control->receive.version) != reason->seen.version)
			return true;
		word = tni_log_word(queue, reason->seen.head);
		return !word || tni_get64(word) != 0;
	case TNI_CLASS_ROOM:
		/* Not whether there is room: the caller looked, and may know better. */
		return tni_load_acquire64(&queue->control->receive.done_seen) !=
		       reason->seen.done; /* ORD(seen) */
	default:
		return (tni_get64(&reason->receipt->state_pid) & TNI_RECEIPT_STATE_MASK) !=
		       TNI_RECEIPT_OPEN;
	}
}

/* Once more before sleeping, behind the announcement. */
static bool must_not_sleep(struct tenon_queue *queue, const struct tni_reason *reason)
{
	for (uint32_t side = 0; side < TNI_GATES; side++)
		if (tni_gate_is_orphaned(queue->house.gate[side]))
			return true;
	if (tni_is_destroyed(queue)) /* ORD(destroyed) */
		return true;
	/* Another limit than when it looked; none before the queue is said to have one, by which alone it knows that it has to
	 * look. */
	if ((reason->class == TNI_CLASS_ROOM || reason->or_room) && tni_bytes_are_limited(queue) &&
	    tni_get64(&queue->control->max_bytes) != reason->seen.limit)
		return true;
	if (reason->class != TNI_CLASS_MESSAGE)
		return may_go_on(queue, reason);
	/* ORD(seen): what came since the caller looked.  Not whether there is something: it looked. */
	return tni_load_acquire64(&queue->control->send.sent_seen) != reason->seen.sent ||
	       tni_get64(&queue->control->receive.version) != reason->seen.version;
}

static uint32_t waiter_of(uint32_t class)
{
	return class == TNI_CLASS_ROOM ? TNI_SEND : TNI_RECEIVE;
}

/* Whether the one that is waited for was last seen on this very processor, where spinning keeps it from
 * running, or never. */
static bool shares_cpu(const struct tenon_queue *queue, uint32_t class)
{
	uint32_t far = class == TNI_CLASS_MESSAGE ? TNI_SEND : TNI_RECEIVE;
	uint32_t cpu = tni_get32(&queue->house.gate[far]->cpu);

	return cpu == 0 || cpu == tni_cpu();
}

/* A message that begins in the line that is looked at goes on in the next one, which is to come with it, not behind it. */
static void ask_behind(struct tenon_queue *queue, const struct tni_reason *reason)
{
	const struct tni_a64 *word = tni_log_word(queue, reason->seen.head);

	if (word)
		tni_prefetch_read((const uint8_t *)word + 64);
}

static bool spin_burst(struct tenon_queue *queue, const struct tni_reason *reason)
{
	for (uint32_t i = 0; i < SPIN_BURST; i++) {
		for (uint32_t j = 0; j < SPIN_LOOKS; j++) {
			/* Not at once: somebody may just be writing there. */
			if (i > 0 && reason->class == TNI_CLASS_MESSAGE)
				ask_behind(queue, reason);
			if (may_go_on(queue, reason))
				return true;
		}
		tni_pause();
	}
	return false;
}

/* There is a little room.  To take it message by message would cost both sides a line each time. */
static void let_room_grow(struct tenon_queue *queue, const struct tni_reason *reason)
{
	const struct tni_a64 *done = &queue->control->receive.done_seen;
	uint64_t enough = queue->attributes.capacity / 8;

	if (enough > GROW_MESSAGES)
		enough = GROW_MESSAGES;
	for (uint32_t i = 0; i < GROW_ROUNDS; i++) {
		if (tni_get64(done) - reason->seen.done >= enough)
			return;
		for (uint32_t j = 0; j < GROW_PAUSES; j++)
			tni_pause();
	}
}

static bool is_same(const struct tni_seen *one, const struct tni_seen *other)
{
	return one->version == other->version && one->head == other->head &&
	       one->sent == other->sent && one->done == other->done && one->limit == other->limit;
}

bool tni_spin(struct tenon_queue *queue, struct tni_reason *reason, int64_t deadline_ns)
{
	uint32_t waiter = waiter_of(reason->class);
	bool trusted = tni_get32(&queue->spin_trust[waiter]), found = false;
	int64_t now_ns, end_ns;

	if (reason->spun && is_same(&reason->spun_seen, &reason->seen))
		return false;
	/* Who is to be given notice of what nobody waits for has to see who waits. */
	if (reason->class == TNI_CLASS_MESSAGE && tni_notice_is_wanted(queue))
		return false;
	if (reason->class == TNI_CLASS_MESSAGE)
		tni_note_idle(queue);
	/* Where spinning was worth it the last time, the other side's processor is not looked up: its
	 * word lies in a line that the other side needs just now.  Nor is the clock read. */
	for (uint32_t i = 0; trusted && !found && deadline_ns > 0 && i < TRUSTED_BURSTS; i++)
		found = spin_burst(queue, reason);
	if (!found && !shares_cpu(queue, reason->class)) {
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
		end_ns = now_ns + tni_get32(&queue->spin_ns[waiter]);
		if (end_ns > deadline_ns)
			end_ns = deadline_ns;
		while (!found && now_ns < deadline_ns) {
			found = spin_burst(queue, reason);
			now_ns = tni_clock_ns(CLOCK_MONOTONIC);
			if (now_ns >= end_ns || shares_cpu(queue, reason->class))
				break;
		}
	}
	if (found && reason->class == TNI_CLASS_ROOM)
		let_room_grow(queue, reason);
	if (found) {
		reason->spun = true;
		reason->spun_seen = reason->seen;
	}
	if (found != trusted)
		tni_set32(&queue->spin_trust[waiter], found);
	if (found && tni_get32(&queue->spin_ns[waiter]) != SPIN_FULL_NS)
		tni_set32(&queue->spin_ns[waiter], SPIN_FULL_NS);
	return found;
}

static void learn(struct tenon_queue *queue, uint32_t class, int64_t waited_ns)
{
	struct tni_a32 *budget = &queue->spin_ns[waiter_of(class)];
	uint32_t ns = tni_get32(budget);

	if (waited_ns < WAIT_SHORT_NS)
		tni_set32(budget, SPIN_FULL_NS);
	else if (ns > SPIN_LEAST_NS)
		tni_set32(budget, ns / 2);
}

/* For object/deaths.c: the holders of leases, and one who sleeps for a reason. */
struct waiting {
	struct tni_call *call;
	const struct tni_reason *reason;
};

static bool are_there_leases(void *context)
{
	return tni_has_foreign_leases(((struct waiting *)context)->call->queue);
}

static void find_holders(void *context, uint64_t bits[TNI_BITMAP_WORDS])
{
	tni_queue_find_holders(((struct waiting *)context)->call->queue, bits);
}

static int bring_back(void *context, int64_t deadline_ns)
{
	return tni_queue_bring_back(((struct waiting *)context)->call, deadline_ns);
}

static bool may_be_there(void *context)
{
	const struct waiting *waiting = context;

	return must_not_sleep(waiting->call->queue, waiting->reason);
}

static void count_wait(struct tenon_queue *queue, uint32_t class)
{
	if (class == TNI_CLASS_MESSAGE)
		tni_fetch_add64(&queue->control->receive.waits, 1);
	else if (class == TNI_CLASS_ROOM || queue->attributes.capacity == TENON_QUEUE_RENDEZVOUS)
		tni_fetch_add64(&queue->control->send.waits, 1);
}

void tni_wait_leave(struct tni_call *call)
{
	tni_pending_put(call->thread, call->pending);
}

/* Sleeps until there may be something to do.  Looks without a lock: two sleepers that lock only to
 * look would keep each other from sleeping. */
static int sleep_for(struct tni_call *call, const struct tni_reason *reason, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	struct waiting waiting = {call, reason};
	struct tni_holders holders = {.object = &queue->object,
				      .house = &queue->house,
				      .are_there = are_there_leases,
				      .find = find_holders,
				      .bring_back = bring_back,
				      .must_not_sleep = may_be_there,
				      .context = &waiting};
	struct tni_deaths deaths;
	struct tni_sleep sleep;
	bool woken = false; /* and has not passed it on */
	int result = 0;

	tni_deaths_begin(&deaths);
	tni_sleep_begin(&queue->house,
			TNI_CLASS_BIT(reason->class) |
				(reason->or_room ? TNI_CLASS_BIT(TNI_CLASS_ROOM) : 0),
			&sleep);
	sleep.lane = reason->lane;
	while (result >= 0) {
		tni_sleep_announce(&queue->house, &sleep);
		if (must_not_sleep(queue, reason))
			break;
		/* The kernel may have woken this one for a dead one's sake, who owed the wake to
		 * somebody else: unlocking tells whom the state lets go on.  Announced anew behind. */
		if (woken) {
			woken = false;
			result = tni_side_lock(call, TNI_RECEIVE, deadline_ns);
			if (result == 0)
				tni_side_unlock(call, TNI_RECEIVE);
			continue;
		}
		tni_object_hand_over(&queue->object, call->thread);
		if (call->blocked && tni_notice_is_wanted(queue))
			tni_notice_stake(call);
		result = tni_deaths_sleep(&deaths, &holders, &sleep, deadline_ns);
		woken = result > 0;
	}
	tni_sleep_end(&queue->house, &sleep);
	tni_deaths_end(&deaths, &holders, &sleep);
	/* Woken, and not to go on. */
	if (result == -ECANCELED || result == -EACCES || result == -EBADMSG)
		tni_gatehouse_rouse(&queue->house);
	return result < 0 ? result : 0;
}

int tni_wait(struct tni_call *call, const struct tni_reason *reason, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	int64_t start_ns = tni_clock_ns(CLOCK_MONOTONIC);
	void *outer = call->pending;
	int result;

	if (start_ns >= deadline_ns) {
		result = tni_queue_bring_back(call, 0);
		if (result > 0)
			return 0;
		tni_wait_leave(call);
		return result < 0 ? result : -ETIMEDOUT;
	}
	/* What is repaired or buried meanwhile leaves the entry as it is here. */
	tni_pending_set(call->thread, &queue->house.gate[0]->word);
	call->pending = tni_pending_get(call->thread);
	count_wait(queue, reason->class);
	result = sleep_for(call, reason, deadline_ns);
	learn(queue, reason->class, tni_clock_ns(CLOCK_MONOTONIC) - start_ns);
	if (tni_is_destroyed(queue) && result != -ECANCELED) {
		/* The wake may have been the only one that its giver lived to give. */
		tni_gatehouse_rouse(&queue->house);
		result = -EIDRM;
	}
	if (result == 0)
		result = tni_call_heal(call, deadline_ns);
	call->pending = outer;
	if (result != 0)
		tni_wait_leave(call);
	return result;
}

/* Hands the wake on that this call was given and does not use, or was given in the place of somebody else by
 * one who died: whom the state lets go on, as an unlocking would. */
void tni_queue_hand_on(struct tenon_queue *queue)
{
	bool typed = queue->attributes.order == TENON_QUEUE_TYPED;
	uint64_t done, changes;

	if (tni_is_destroyed(queue)) {
		tni_gatehouse_rouse(&queue->house);
		return;
	}
	if (tni_queue_available(queue) > 0)
		tni_gatehouse_wake(&queue->house, TNI_CLASS_MESSAGE, typed ? UINT32_MAX : 1);
	if (tni_bytes_are_limited(queue)) {
		if (!tni_room_is_told(queue, &done, &changes)) {
			tni_gatehouse_wake(&queue->house, TNI_CLASS_ROOM, UINT32_MAX);
			tni_room_told(queue, done, changes);
		}
	} else if (tni_queue_room(queue) > 0) {
		tni_gatehouse_wake(&queue->house, TNI_CLASS_ROOM, 1);
	}
	if (tni_get64(&queue->control->receive.done_seen) !=
	    tni_get64(&queue->control->receive.woken_done))
		tni_gatehouse_wake(&queue->house, TNI_CLASS_RECEIPT, UINT32_MAX);
}

int tenon_queue_wait(struct tenon_queue *queue, uint32_t events, int64_t deadline_ns,
		     uint32_t *ret_events)
{
	struct tni_reason reason = {.class = events == TENON_WRITABLE ? TNI_CLASS_ROOM
								      : TNI_CLASS_MESSAGE,
				    .or_room = events == (TENON_READABLE | TENON_WRITABLE)};
	struct tni_call call;
	bool slept = false;
	int result;

	if (!queue || events == 0 || events & ~(TENON_READABLE | TENON_WRITABLE))
		return -EINVAL;
	result = tni_call_begin(&call, queue);
	/* When the time is up, it looks once more. */
	while (result == 0 || result == -ETIMEDOUT) {
		uint32_t now = 0;

		reason.seen = tni_wait_seen(queue);
		if ((events & TENON_READABLE) && tni_queue_available(queue) > 0)
			now |= TENON_READABLE;
		if ((events & TENON_WRITABLE) && tni_queue_room(queue) > 0)
			now |= TENON_WRITABLE;
		if (slept)
			tni_queue_hand_on(queue);
		if (tni_is_destroyed(queue)) {
			tni_wait_leave(&call);
			return -EIDRM;
		}
		if (now != 0) {
			if (slept)
				tni_wait_leave(&call);
			if (ret_events)
				*ret_events = now;
			return 0;
		}
		if (result != 0)
			break;
		if (tni_spin(queue, &reason, deadline_ns))
			continue;
		result = tni_wait(&call, &reason, deadline_ns);
		slept = result == 0;
	}
	return result;
}
