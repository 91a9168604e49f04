/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The notice of a message that comes to the empty queue while nobody is blocked in receiving: given once, to one
 * process that has registered, as mq_notify(3) has it.
 *
 * How many threads of a process wait for a message stands in its participant entry, from before they first sleep until
 * they have taken one or have given up.  Each of them is to get one of the messages that are there: so a message
 * "comes to the empty queue, and nobody is blocked" when there were just as many messages as blocked threads.
 *
 *	ARMED	  registered
 *	WITHHELD  the same; a message came that somebody blocked is to get: should that one give up or die, whoever counts
 *		  it out looks once more, and fires if there are more messages than blocked threads
 *	FIRING	  the message is just being published
 *
 * All of it is changed under the senders' lock.
 *
 *	N1 state = FIRING	dies: who repairs the side finds the message published, and fires, or not, and arms
 *	N2 publish		dies: the same
 *	N3 the registration's number into its process's participant entry
 *				dies: who repairs writes it once more, the process has not seen it without the lock
 *	N4 state = NONE		from now on another may register
 *				dies: the registered process, which sleeps on the event and on the stakes of all others,
 *				is told of the death by the kernel, and looks
 *	N5 count the event
 *
 * So whoever sends while somebody is registered has a stake (core/stake.c), and so has who waits to receive.
 *
 * One that is counted without a stake, since it has not come to take it yet, or died before anybody registered, is asked
 * after instead: whoever registers and whoever waits for notice looks whether it lives, the latter again and again.
 *
 * ORD blocked: who withholds says so, and then counts once more; who is not blocked any more is counted out, and then
 * looks whether something is withheld.  One of them sees the other.
 *
 * ORD notice: the event is counted behind what it tells of, and read before looking for that.
 */

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/manner.h"
#include "object/deaths.h"
#include "object/queue_private.h"

/* The bit that marks the death behind a stake, which the event never has: both stand in one vector. */
#define EVENT_MASK (~TNI_STAKE_DIED)
/* Where there are too many stakes, it looks this often. */
#define BLIND_NS (100 * TNI_MILLISECOND_NS)
/* Others receive at every one of so many looks: then they are no dead ones. */
#define LOOKS 100u

static struct tni_queue_notice *notice_of(struct tenon_queue *queue)
{
	return &queue->control->notice;
}

bool tni_notice_is_wanted(const struct tenon_queue *queue)
{
	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & TNI_WANTED_NOTICE, 0);
}

static void set_wanted(struct tenon_queue *queue, bool wanted)
{
	struct tni_a32 *word = &queue->control->poll_wanted;
	uint32_t before = tni_get32(word), after;

	do
		after = wanted ? before | TNI_WANTED_NOTICE : before & ~TNI_WANTED_NOTICE;
	while (!tni_cas32(word, &before, after));
}

void tni_notice_rouse(struct tenon_queue *queue)
{
	struct tni_a32 *event = &notice_of(queue)->event;
	uint32_t before = tni_get32(event);

	/* ORD(notice) */
	while (!tni_cas32(event, &before, (before + 1) & EVENT_MASK))
		;
	syscall(SYS_futex, event, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Threads of all processes that wait for a message. */
static uint64_t blocked(struct tenon_queue *queue)
{
	uint32_t top = tni_object_participants_top(&queue->object);
	uint64_t count = 0;

	for (uint32_t i = 0; i < top; i++) {
		const struct tni_participant *entry = tni_object_participant(&queue->object, i);
		uint32_t threads;

		if (!entry || tni_get32(&entry->state) != TNI_PARTICIPANT_ATTACHED)
			continue;
		threads = tni_load_total32(&entry->blocked); /* ORD(blocked) */
		/* Dead ones whom somebody may be at burying do not wait. */
		if (threads > 0 && !tni_object_is_vouched(&queue->object, i) &&
		    tni_object_is_dead(&queue->object, i))
			continue;
		count += threads;
	}
	return count;
}

/* Messages that are there, under the senders' lock.  By what the receivers have committed: one who is killed behind that has
 * not shown it to the senders, and nobody might repair his side before it is too late for the notice. */
static uint64_t available(const struct tenon_queue *queue)
{
	const struct tni_receive_side *side = &queue->control->receive;

	for (uint32_t i = 0; i < LOOKS; i++) {
		uint64_t version = tni_load_acquire64(&side->version); /* ORD(look) */
		struct tni_receive_view view = tni_receive_view(side);
		uint64_t gone = view.drained - view.ready, sent;

		if (tni_load_acquire64(&side->version) != version) /* ORD(look) */
			continue;
		sent = tni_get64(&queue->control->send.sent_seen);
		return sent > gone ? sent - gone : 0;
	}
	/* They live. */
	return tni_queue_available(queue);
}

static bool is_armed(uint32_t state)
{
	return state == TNI_NOTICE_ARMED || state == TNI_NOTICE_WITHHELD;
}

void tni_notice_stake(struct tni_call *call)
{
	struct tni_object *object = &call->queue->object;
	void *pending = tni_pending_get(call->thread);
	bool taken;

	if (tni_object_has_stake(object, call->thread))
		return;
	/* A stake comes into the list by the pending entry. */
	tni_pending_put(call->thread, NULL);
	taken = tni_object_ensure_stake(object, call->thread);
	tni_pending_put(call->thread, pending);
	if (taken)
		object->rouse(object);
}

void tni_notice_before(struct tenon_queue *queue, uint64_t count)
{
	struct tni_queue_notice *notice = notice_of(queue);
	uint64_t there = available(queue), waiting;

	if (!is_armed(tni_get32(&notice->state)))
		return;
	waiting = blocked(queue);
	if (there > waiting)
		return;
	if (there + count <= waiting) {
		tni_store_total32(&notice->state, TNI_NOTICE_WITHHELD); /* ORD(blocked) */
		if (there + count <= blocked(queue))
			return;
	}
	tni_set32(&notice->sender_pid, queue->pid);
	tni_set32(&notice->sender_uid, getuid());
	tni_set32(&notice->state, TNI_NOTICE_FIRING);
	tni_step();
}

static void end(struct tenon_queue *queue)
{
	tni_set32(&notice_of(queue)->state, TNI_NOTICE_NONE);
	set_wanted(queue, false);
}

static void fire(struct tenon_queue *queue, bool rouse)
{
	struct tni_queue_notice *notice = notice_of(queue);
	struct tni_participant *entry = tni_object_participant(&queue->object,
							       tni_get32(&notice->participant));

	if (entry) {
		tni_set32(&entry->notice_pid, tni_get32(&notice->sender_pid));
		tni_set32(&entry->notice_uid, tni_get32(&notice->sender_uid));
		tni_set32(&entry->notice_serial, tni_get32(&notice->serial));
	}
	tni_step();
	end(queue);
	tni_step();
	if (rouse)
		tni_notice_rouse(queue);
}

void tni_notice_after(struct tenon_queue *queue)
{
	const struct tni_queue_notice *notice = notice_of(queue);

	/* A process that tells itself looks when its call is done, before its other thread does. */
	if (tni_get32(&notice->state) == TNI_NOTICE_FIRING)
		fire(queue, tni_get32(&notice->participant) != queue->object.participant);
}

/* Fires what is due, under the senders' lock. */
static void look_again(struct tenon_queue *queue)
{
	struct tni_queue_notice *notice = notice_of(queue);
	uint32_t state = tni_get32(&notice->state);

	if (state != TNI_NOTICE_WITHHELD && state != TNI_NOTICE_FIRING)
		return;
	if (available(queue) > blocked(queue)) {
		if (state == TNI_NOTICE_WITHHELD)
			tni_set32(&notice->sender_pid, tni_get32(&queue->control->send.last_pid));
		fire(queue, true);
	} else if (state == TNI_NOTICE_FIRING) {
		tni_set32(&notice->state, TNI_NOTICE_ARMED);
	}
}

void tni_notice_repair(struct tenon_queue *queue)
{
	look_again(queue);
}

void tni_notice_block(struct tni_call *call)
{
	struct tenon_queue *queue = call->queue;
	struct tni_participant *own = tni_object_participant(&queue->object,
							     queue->object.participant);

	if (tni_notice_is_wanted(queue))
		tni_notice_stake(call);
	if (call->blocked || !own)
		return;
	call->blocked = own;
	call->blocked_participant = queue->object.participant;
	tni_fetch_add32(&own->blocked, 1);
}

void tni_notice_unblock(struct tni_call *call)
{
	if (!call->blocked)
		return;
	/* Of a child that was forked by a handler meanwhile: its parent is blocked. */
	if (call->thread->generation != tni_process_generation() ||
	    call->queue->object.participant != call->blocked_participant) {
		call->blocked = NULL;
		return;
	}
	/* ORD(blocked) */
	tni_fetch_add_total32(&call->blocked->blocked, UINT32_MAX);
	call->blocked = NULL;
	/* What was withheld for its sake. */
	if (!tni_notice_is_wanted(call->queue) ||
	    tni_load_total32(&notice_of(call->queue)->state) != TNI_NOTICE_WITHHELD)
		return;
	/* The registered process looks itself, should somebody be stopped with the lock: this call may have a deadline. */
	if (tni_side_lock(call, TNI_SEND, tni_grace_ns()) != 0) {
		tni_notice_rouse(call->queue);
		return;
	}
	look_again(call->queue);
	tni_side_unlock(call, TNI_SEND);
}

void tni_notice_forget(struct tenon_queue *queue, uint32_t participant)
{
	struct tni_queue_notice *notice = notice_of(queue);
	struct tni_participant *entry = tni_object_participant(&queue->object, participant);

	if (tni_get32(&notice->state) != TNI_NOTICE_NONE &&
	    tni_get32(&notice->participant) == participant)
		end(queue);
	if (entry && tni_get32(&entry->blocked) != 0) {
		tni_set32(&entry->blocked, 0);
		look_again(queue);
	}
}

/* Whether this process, and by this number. */
static bool is_ours(struct tenon_queue *queue, uint32_t serial)
{
	const struct tni_queue_notice *notice = notice_of(queue);

	return tni_get32(&notice->state) != TNI_NOTICE_NONE &&
	       tni_get32(&notice->participant) == queue->object.participant &&
	       tni_get32(&notice->serial) == serial;
}

static int begin(struct tni_call *call, struct tenon_queue *queue, int64_t deadline_ns)
{
	int result = tni_call_begin(call, queue);

	return result == 0 ? tni_side_lock(call, TNI_SEND, deadline_ns) : result;
}

/* Whether it is counted as blocked, and nobody would be told of its death. */
static bool is_untold(struct tenon_queue *queue, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(&queue->object, participant);
	const struct tni_a32 *stake;

	if (!entry || participant == queue->object.participant || tni_get32(&entry->blocked) == 0 ||
	    tni_get32(&entry->state) != TNI_PARTICIPANT_ATTACHED)
		return false;
	stake = tni_object_stake(&queue->object, participant);
	return !stake || !(tni_get32(stake) & TNI_STAKE_OWNER);
}

/* Buries those whose stakes say that they have died, and those who have died without one.  True: it has to be asked
 * again, untold.  `ret_is_told`: of somebody's death, who is not dead yet. */
static bool bury_dead(struct tenon_queue *queue, bool *ret_is_told)
{
	struct tni_object *object = &queue->object;
	uint32_t top = tni_object_participants_top(object);
	bool again = false;

	*ret_is_told = false;
	for (uint32_t i = 0; i < top; i++) {
		const struct tni_a32 *word = tni_object_stake(object, i);
		bool has_died = word && tni_get32(word) & TNI_STAKE_DIED;

		if (i == object->participant || !(has_died || is_untold(queue, i)))
			continue;
		if (tni_object_recover_one(object, i, tni_grace_ns()) > 0)
			continue;
		again = true;
		*ret_is_told |= has_died;
	}
	return again;
}

int tni_notice_register(struct tenon_queue *queue, uint32_t signal, uint32_t *ret_serial)
{
	struct tni_queue_notice *notice = notice_of(queue);
	struct tni_call call;
	int result = tni_call_begin(&call, queue);
	uint32_t holder;
	bool is_told;

	if (result != 0)
		return result;
	/* One that has died and that nobody has buried; one of another number that the memory may say. */
	holder = tni_get32(&notice->participant);
	if (tni_get32(&notice->state) != TNI_NOTICE_NONE &&
	    holder < queue->object.header.participants_max)
		result = tni_object_recover_one(&queue->object, holder, INT64_MAX);
	if (result >= 0) {
		bury_dead(queue, &is_told);
		result = tni_side_lock(&call, TNI_SEND, INT64_MAX);
	}
	if (result != 0)
		return result;
	if (tni_get32(&notice->state) != TNI_NOTICE_NONE &&
	    tni_get32(&notice->participant) < queue->object.header.participants_max) {
		result = -EBUSY;
	} else {
		*ret_serial = tni_get32(&notice->serial) + 1;
		*ret_serial += *ret_serial == 0;
		tni_set32(&notice->serial, *ret_serial);
		tni_set32(&notice->participant, queue->object.participant);
		tni_set32(&notice->signal, signal);
		set_wanted(queue, true);
		tni_set32(&notice->state, TNI_NOTICE_ARMED);
	}
	tni_side_unlock(&call, TNI_SEND);
	/* Those who wait to receive take stakes. */
	if (result == 0)
		tni_gatehouse_rouse(&queue->house);
	return result;
}

int tni_notice_withdraw(struct tenon_queue *queue, uint32_t serial)
{
	struct tni_call call;
	int result = begin(&call, queue, INT64_MAX);

	if (result == 0) {
		if (is_ours(queue, serial))
			end(queue);
		tni_side_unlock(&call, TNI_SEND);
	}
	/* Also if the memory says that it is another's, or is damaged: who waits for it ends by that, and would sleep on. */
	tni_notice_rouse(queue);
	return result;
}

void tni_notice_leave(struct tenon_queue *queue)
{
	/* A child's number is its parent's until it attaches. */
	if (tni_notice_is_wanted(queue) &&
	    tni_get32(&queue->object.generation) == tni_process_generation() &&
	    tni_get32(&notice_of(queue)->participant) == queue->object.participant)
		(void)!tni_notice_withdraw(queue, tni_get32(&notice_of(queue)->serial));
}

int32_t tni_notice_holder(struct tenon_queue *queue, uint32_t *ret_signal)
{
	const struct tni_queue_notice *notice = notice_of(queue);
	const struct tni_participant *entry = tni_object_participant(
		&queue->object, tni_get32(&notice->participant));

	*ret_signal = tni_get32(&notice->signal);
	if (tni_get32(&notice->state) == TNI_NOTICE_NONE || !entry)
		return 0;
	return (int32_t)tni_get32(&entry->pid);
}

/* 1: a message has come, of which `ret_entry` tells; 0: not yet; -ECANCELED.  The senders' side is locked then. */
static int look(struct tenon_queue *queue, uint32_t serial, struct tni_participant **ret_entry)
{
	struct tni_participant *entry;

	look_again(queue);
	entry = tni_object_participant(&queue->object, queue->object.participant);
	*ret_entry = entry;
	if (entry && tni_get32(&entry->notice_serial) == serial)
		return 1;
	return is_ours(queue, serial) ? 0 : -ECANCELED;
}

int tni_notice_take(struct tenon_queue *queue, uint32_t serial, int64_t deadline_ns,
		    int32_t *ret_sender_pid, uint32_t *ret_sender_uid)
{
	struct tni_participant *entry;
	struct tni_call call;
	int result = begin(&call, queue, deadline_ns);

	if (result != 0)
		return result;
	result = look(queue, serial, &entry);
	if (result > 0) {
		*ret_sender_pid = (int32_t)tni_get32(&entry->notice_pid);
		*ret_sender_uid = tni_get32(&entry->notice_uid);
		tni_set32(&entry->notice_serial, 0);
		result = 0;
	} else if (result == 0) {
		result = -EAGAIN;
	}
	tni_side_unlock(&call, TNI_SEND);
	return result;
}

/* For no longer than `blind_ns`, where nobody would tell. */
static int sleep_once(struct tenon_queue *queue, const struct tni_sleep *sleep, uint32_t event,
		      int64_t blind_ns, int64_t deadline_ns)
{
	struct futex_waitv words[TNI_SLEEP_STAKES_MOST + 1];
	int64_t until_ns = deadline_ns;
	uint32_t count = 0;
	int result;

	if (blind_ns == 0 && sleep->stakes == TNI_SLEEP_STAKES_MOST)
		blind_ns = BLIND_NS;
	if (blind_ns != 0)
		until_ns = tni_clock_ns(CLOCK_MONOTONIC) + blind_ns;
	if (until_ns > deadline_ns)
		until_ns = deadline_ns;
	for (uint32_t i = 0; i < sleep->stakes; i++)
		words[count++] = (struct futex_waitv){.val = sleep->stake[i].value,
						      .uaddr = (uintptr_t)sleep->stake[i].word,
						      .flags = FUTEX_32};
	words[count++] = (struct futex_waitv){
		.val = event, .uaddr = (uintptr_t)&notice_of(queue)->event, .flags = FUTEX_32};
	result = tni_words_wait(words, count, until_ns, false);
	return result == -ETIMEDOUT && until_ns < deadline_ns ? 0 : result;
}

/* How long to sleep where nobody would tell; 0: as long as may be.  The kernel tells of a death before it can be seen by the
 * dead one's lock: then soon, and then after a part of the time since (object/deaths.c). */
static int64_t look_for_dead(struct tenon_queue *queue, int64_t *told_ns)
{
	bool is_told, is_blind = bury_dead(queue, &is_told);

	if (!is_told)
		*told_ns = 0;
	else if (*told_ns == 0)
		*told_ns = tni_clock_ns(CLOCK_MONOTONIC);
	return is_blind ? tni_deaths_tick(BLIND_NS, *told_ns) : 0;
}

int tni_notice_wait(struct tenon_queue *queue, uint32_t serial, int64_t deadline_ns)
{
	struct tni_sleep sleep;
	int64_t told_ns = 0;

	for (;;) {
		struct tni_participant *entry;
		struct tni_call call;
		/* ORD(notice): read before looking. */
		uint32_t event = tni_load_acquire32(&notice_of(queue)->event);
		int64_t blind_ns;
		int result;

		/* Who has died before is found dead, and the stake of who dies behind is another than it was here. */
		tni_sleep_set(&sleep, 0);
		tni_object_add_stakes(&queue->object, &sleep);
		blind_ns = look_for_dead(queue, &told_ns);
		result = begin(&call, queue, INT64_MAX);
		if (result != 0)
			return result;
		result = look(queue, serial, &entry);
		tni_side_unlock(&call, TNI_SEND);
		if (result != 0)
			return result > 0 ? 0 : result;
		if (tni_clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return -ETIMEDOUT;
		result = sleep_once(queue, &sleep, event, blind_ns, deadline_ns);
		if (result == -ENOSYS)
			syscall(SYS_futex, &notice_of(queue)->event, FUTEX_WAIT, event,
				&(struct timespec){.tv_nsec = BLIND_NS}, NULL, 0);
	}
}
