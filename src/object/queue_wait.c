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
 * While there are leases, a sleeper is also told of the death of who holds one, and looks for dead
 * holders from time to time where that could not be had: see core/stake.c.
 */

#include <errno.h>
#include <sched.h>
#include <string.h>

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
/* How often a sleeper looks for the dead, beside a lease of whose holder's death nobody will tell. */
#define LEASE_TICK_NS (100 * TNI_MILLISECOND_NS)
/* After the kernel told of a death: it takes the dead one's memory apart before it drops its file lock.
 * So long is looked without sleeping; then after a part of the time since the notice, this at least. */
#define NOTICE_SPIN_NS 200000
#define NOTICE_PART 8
#define NOTICE_TICK_NS 25000

struct tni_seen tni_wait_seen(const struct tenon_queue *queue)
{
	const struct tni_receive_side *side = &queue->control->receive;
	uint64_t sent = tni_load_acquire64(&queue->control->send.sent_seen); /* ORD(seen) */

	return (struct tni_seen){.version = tni_get64(&side->version),
				 .head = tni_receive_view(side).head,
				 .sent = sent,
				 .done = tni_get64(&side->done_seen)};
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

static bool spin_burst(struct tenon_queue *queue, const struct tni_reason *reason)
{
	for (uint32_t i = 0; i < SPIN_BURST; i++) {
		for (uint32_t j = 0; j < SPIN_LOOKS; j++)
			if (may_go_on(queue, reason))
				return true;
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
	       one->sent == other->sent && one->done == other->done;
}

bool tni_spin(struct tenon_queue *queue, struct tni_reason *reason, int64_t deadline_ns)
{
	uint32_t waiter = waiter_of(reason->class);
	bool trusted = tni_get32(&queue->spin_trust[waiter]), found = false;
	int64_t now_ns, end_ns;

	if (reason->spun && is_same(&reason->spun_seen, &reason->seen))
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

/* When to look next: behind a notice, which came `told_ns`, in proportion to how long ago that is. */
static int64_t next_tick(int64_t tick_ns, int64_t told_ns)
{
	int64_t next_ns = 2 * tick_ns;

	if (told_ns != 0)
		next_ns = (tni_clock_ns(CLOCK_MONOTONIC) - told_ns) / NOTICE_PART;
	if (next_ns < NOTICE_TICK_NS)
		next_ns = NOTICE_TICK_NS;
	return next_ns < LEASE_TICK_NS ? next_ns : LEASE_TICK_NS;
}

static bool has_one_cpu(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1;
}

/* Buries who is dead.  Behind a notice it looks for some time without sleeping, unless that would keep
 * the one that is dying from the only processor. */
static int bury_dead(struct tni_call *call, const struct tni_reason *reason, bool is_told,
		     int64_t deadline_ns)
{
	int64_t now_ns = tni_clock_ns(CLOCK_MONOTONIC), end_ns = now_ns + NOTICE_SPIN_NS;
	uint32_t buried;
	int result = tni_queue_recover(call, deadline_ns, &buried);

	if (!is_told || has_one_cpu())
		return result;
	while (result == 0 && buried == 0 && now_ns < end_ns && now_ns < deadline_ns &&
	       !must_not_sleep(call->queue, reason)) {
		for (uint32_t i = 0; i < SPIN_BURST; i++)
			tni_pause();
		result = tni_queue_bring_back(call, deadline_ns);
		now_ns = tni_clock_ns(CLOCK_MONOTONIC);
	}
	return result < 0 ? result : 0;
}

/* Puts the stakes of others into the vector.  True: somebody who has a lease is not among them, and nobody
 * will tell of his death; `ret_died`: the kernel has told already. */
static bool gather_stakes(struct tenon_queue *queue, struct tni_sleep *sleep, bool *ret_died)
{
	struct tni_object *object = &queue->object;
	uint64_t holders[TNI_BITMAP_WORDS];

	sleep->stakes = 0;
	*ret_died = false;
	if (tni_has_foreign_leases(queue))
		tni_queue_find_holders(queue, holders);
	else
		memset(holders, 0, sizeof(holders));
	holders[object->participant / 64] &= ~(UINT64_C(1) << (object->participant % 64));
	for (uint32_t i = 0; i < tni_object_stakes_top(object); i++) {
		const struct tni_a32 *word = tni_object_stake(object, i);
		uint32_t value = word ? tni_get32(word) : 0;

		if (value & TNI_STAKE_DIED && holders[i / 64] >> (i % 64) & 1)
			*ret_died = true;
		if (!(value & TNI_STAKE_OWNER) || i == object->participant ||
		    sleep->stakes == TNI_SLEEP_STAKES_MOST)
			continue;
		sleep->stake[sleep->stakes].word = word;
		sleep->stake[sleep->stakes++].value = value;
		holders[i / 64] &= ~(UINT64_C(1) << (i % 64));
	}
	for (uint32_t i = 0; i < TNI_BITMAP_WORDS; i++)
		if (holders[i] != 0)
			return true;
	return false;
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

/* One who sleeps, and what it knows of deaths. */
struct sleeper {
	struct tni_sleep sleep;
	int64_t told_ns; /* when the kernel last told of one; 0 never */
	int64_t tick_ns; /* to the next look for the dead, where nobody tells */
	bool woken;	 /* and has not passed it on */
	bool looked;	 /* for who died before it slept */
	bool blind;	 /* somebody has a lease of whose death nobody will tell */
	bool ticked;	 /* it is time for a look */
};

/* Whether somebody whose stake was in the vector has died since. */
static bool has_seen_death(const struct sleeper *sleeper)
{
	for (uint32_t i = 0; i < sleeper->sleep.stakes; i++)
		if (tni_get32(sleeper->sleep.stake[i].word) & TNI_STAKE_DIED)
			return true;
	return false;
}

/* Goes to sleep, after a look for the dead if that is due.  As tni_sleep_wait(). */
static int fall_asleep(struct tni_call *call, struct sleeper *sleeper, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	int64_t until_ns = deadline_ns;
	bool died;
	int result;

	sleeper->blind = gather_stakes(queue, &sleeper->sleep, &died);
	if (tni_has_foreign_leases(queue) && !sleeper->looked) {
		sleeper->looked = true;
		result = tni_queue_bring_back(call, deadline_ns);
		return result > 0 ? 0 : result;
	}
	if (died && sleeper->told_ns == 0) {
		sleeper->told_ns = tni_clock_ns(CLOCK_MONOTONIC);
		sleeper->tick_ns = NOTICE_TICK_NS;
	}
	if (sleeper->blind)
		until_ns = tni_clock_ns(CLOCK_MONOTONIC) + sleeper->tick_ns;
	if (until_ns > deadline_ns)
		until_ns = deadline_ns;
	result = tni_sleep_wait(&queue->house, &sleeper->sleep, until_ns);
	sleeper->ticked = result == -ETIMEDOUT && until_ns < deadline_ns;
	return sleeper->ticked ? 0 : result;
}

/* Looks for the dead when it was told of one, or nobody tells.  The kernel tells before it gives the dead
 * one's file locks up, by which it is known to be dead. */
static int find_dead(struct tni_call *call, struct sleeper *sleeper,
		     const struct tni_reason *reason, bool is_told, int64_t deadline_ns)
{
	if (!is_told && !sleeper->ticked)
		return 0;
	if (is_told)
		sleeper->told_ns = tni_clock_ns(CLOCK_MONOTONIC);
	sleeper->tick_ns = next_tick(sleeper->tick_ns, sleeper->told_ns);
	return tni_has_foreign_leases(call->queue) ? bury_dead(call, reason, is_told, deadline_ns)
						   : 0;
}

/* Sleeps until there may be something to do.  Looks without a lock: two sleepers that lock only to
 * look would keep each other from sleeping. */
static int sleep_for(struct tni_call *call, const struct tni_reason *reason, int64_t deadline_ns)
{
	struct tenon_queue *queue = call->queue;
	struct sleeper sleeper = {.tick_ns = LEASE_TICK_NS};
	int result = 0;

	tni_sleep_begin(&queue->house,
			TNI_CLASS_BIT(reason->class) |
				(reason->or_room ? TNI_CLASS_BIT(TNI_CLASS_ROOM) : 0),
			&sleeper.sleep);
	while (result == 0) {
		tni_sleep_announce(&queue->house, &sleeper.sleep);
		if (must_not_sleep(queue, reason))
			break;
		/* The kernel may have woken this one for a dead one's sake, who owed the wake to
		 * somebody else: unlocking tells whom the state lets go on.  Announced anew behind. */
		if (sleeper.woken) {
			sleeper.woken = false;
			result = tni_side_lock(call, TNI_RECEIVE, deadline_ns);
			if (result == 0)
				tni_side_unlock(call, TNI_RECEIVE);
			continue;
		}
		sleeper.ticked = false;
		result = fall_asleep(call, &sleeper, deadline_ns);
		if (result < 0)
			break;
		/* Words that others change again and again do not keep it beyond its time. */
		if (result == 0 && !sleeper.ticked && tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			result = -ETIMEDOUT;
		if (result < 0)
			break;
		sleeper.woken = result > 0;
		/* Woken for two reasons at once, one is told of one. */
		result = find_dead(call, &sleeper, reason,
				   result == TNI_WOKEN_DEATH ||
					   (result > 0 && has_seen_death(&sleeper)),
				   deadline_ns);
	}
	tni_sleep_end(&queue->house, &sleeper.sleep);
	/* The kernel tells one sleeper of a death: whoever leaves before the dead one's leases are back, for
	 * whatever reason, has the others look. */
	if (tni_has_foreign_leases(queue) &&
	    ((sleeper.told_ns != 0 && sleeper.blind) || has_seen_death(&sleeper))) {
		for (uint32_t class = TNI_CLASS_MESSAGE; class < TNI_CLASSES; class ++)
			tni_gatehouse_wake(&queue->house, class, UINT32_MAX);
	}
	return result;
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
	if (result == 0)
		result = tni_call_heal(call, deadline_ns);
	call->pending = outer;
	if (result != 0)
		tni_wait_leave(call);
	return result;
}

/* Hands the wake on that this call was given and does not use, or was given in the place of somebody else by
 * one who died: whom the state lets go on, as an unlocking would. */
static void hand_on(const struct tni_call *call)
{
	struct tenon_queue *queue = call->queue;
	bool typed = queue->attributes.order == TENON_QUEUE_TYPED;

	if (tni_queue_available(queue) > 0)
		tni_gatehouse_wake(&queue->house, TNI_CLASS_MESSAGE, typed ? UINT32_MAX : 1);
	if (tni_queue_room(queue) > 0)
		tni_gatehouse_wake(&queue->house, TNI_CLASS_ROOM, 1);
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
			hand_on(&call);
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
