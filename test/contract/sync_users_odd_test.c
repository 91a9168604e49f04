/* SPDX-License-Identifier: Apache-2.0 */

/* What is told of who uses a synchronization object while a dead one is being buried, and where somebody has scribbled who
 * may write. */

#define PLACED 4u

#include <sched.h>

#include "sync_users.h"

/* One that is being buried. */

static void take_and_stay(void *context)
{
	struct tenon_semaphore *semaphore = open_semaphore();

	(void)context;
	EXPECT_IS(tenon_semaphore_acquire(semaphore, 1, TENON_SEMAPHORE_UNDO, FOREVER), 0);
	pause();
}

static void come(void *context)
{
	(void)context;
	open_semaphore();
	pause();
}

/* Waits until it is where it has to wait.  False: it has waited as long as it does, a millisecond, unseen, and is attached
 * elsewhere. */
static bool is_burying(struct tni_sync *sync, uint32_t participant, pid_t newcomer)
{
	const struct tni_participant *entries = sync->object->participants;

	while (tni_sync_asleep(sync, participant) == 0) {
		for (uint32_t i = 0; i < tni_object_participants_top(sync->object); i++)
			if (tni_get32(&entries[i].state) == TNI_PARTICIPANT_ATTACHED &&
			    (pid_t)tni_get32(&entries[i].pid) == newcomer)
				return false;
		sched_yield();
	}
	return true;
}

/* Whoever comes buries a dead one, and has to wait for the gate, which is held here, before what that held comes back. */
static void test_buried(void)
{
	struct tenon_semaphore *semaphore = open_semaphore();
	struct tni_thread *thread = tni_thread_self();
	struct tni_sync *sync = &semaphore->sync;
	void *pending = tni_pending_get(thread);
	struct tni_sync_user user = {0};
	pid_t victim, newcomer;

	EXPECT_IS(tenon_semaphore_release(semaphore, 1, 0, NULL), 0);
	victim = contract_start(take_and_stay, NULL);
	AWAIT(tell_semaphore(semaphore, victim).semaphore.undo == 1);
	while (tni_sync_next_user(sync, &user) && user.pid != victim)
		;
	REQUIRE(user.pid == victim);
	EXPECT_IS(tni_sync_lock(sync, thread, pending, INT64_MAX), 0);
	contract_kill(victim);
	EXPECT(tni_object_is_dead(sync->object, user.participant));
	newcomer = contract_start(come, NULL);
	while (!is_burying(sync, user.participant, newcomer)) {
		contract_kill(newcomer);
		newcomer = contract_start(come, NULL);
	}
	EXPECT(tni_get64(&sync->rows[user.participant].claim) == 1);
	expect_nobody_semaphore(semaphore);
	tni_sync_unlock(sync, thread, pending);
	contract_kill(newcomer);
	semaphore = tenon_semaphore_close(semaphore);
}

/* What somebody wrote who may write: figures, and nobody who is not there. */

static void test_lock_scribbled(void)
{
	struct tenon_lock *lock = open_lock();
	struct tni_sync *sync = &lock->sync;
	struct tni_object *object = sync->object;
	uint64_t word = tni_get64(&sync->cell->gate.word);
	uint32_t top = tni_get32(&object->shared->participants_top);
	struct tenon_lock_user user;

	EXPECT_IS(tenon_lock_try_shared(lock), 0);
	tni_set64(&sync->rows[object->participant].claim, UINT64_MAX);
	tni_set32(&object->shared->participants_top, UINT32_MAX);
	for (uint32_t i = 0; i < TNI_CLASSES * TNI_BITMAP_WORDS; i++)
		tni_set64(&sync->cell->waitroom.asleep[0][0] + i, UINT64_MAX);
	/* Held by a participant that there cannot be. */
	tni_set64(&sync->cell->gate.word, TNI_GATE_HOLDER | 1);
	tni_set32(&tni_lock_words(lock)->depth, UINT32_MAX);
	EXPECT_IS(tell_lock(lock, getpid()).visits, 1);
	user = tell_lock(lock, getpid()).lock;
	EXPECT(user.depth == 0 && user.shared == UINT32_MAX && user.waiting == 1 &&
	       user.waiting_shared == 1);
	/* And by this one. */
	tni_set64(&sync->cell->gate.word,
		  (uint64_t)object->participant << TNI_GATE_HOLDER_SHIFT | 1);
	EXPECT(tell_lock(lock, getpid()).lock.depth == UINT32_MAX);
	EXPECT(lock_status(lock).depth == UINT32_MAX);
	EXPECT_IS(lock_status(lock).waiting, 1);
	tni_set32(&tni_lock_words(lock)->draining, UINT32_MAX);
	EXPECT_IS(tell_lock(lock, getpid()).lock.depth, 0);
	tni_set64(&sync->cell->gate.word, word);
	tni_set32(&tni_lock_words(lock)->draining, 0);
	tni_set64(&sync->rows[object->participant].claim, 0);
	tni_set32(&object->shared->participants_top, top);
	lock = tenon_lock_close(lock);
}

static void test_rows_scribbled(void)
{
	struct tenon_event *event = open_event();
	struct tni_sync *sync = &event->sync;
	struct tni_object *object = sync->object;
	uint32_t top = tni_get32(&object->shared->participants_top);

	tni_set32(&object->shared->participants_top, UINT32_MAX);
	for (uint32_t i = 0; i < PARTICIPANTS; i++) {
		tni_set32(&sync->rows[i].waiting, UINT32_MAX);
		tni_set64(&sync->rows[i].claim, UINT64_MAX);
	}
	EXPECT_IS(tell_event(event, getpid()).visits, 1);
	EXPECT(tell_event(event, getpid()).event.waiting == UINT32_MAX);
	tni_set32(&sync->row->waiting, 0);
	EXPECT_IS(tell_event(event, getpid()).visits, 0);
	tni_set64(&sync->row->claim, 0);
	tni_set32(&object->shared->participants_top, top);
	event = tenon_event_close(event);
}

static void test_barrier_scribbled(void)
{
	struct tenon_barrier *barrier = open_barrier();
	struct tni_sync *sync = (struct tni_sync *)barrier;

	/* Of another round; of this one; and of one who does not wait. */
	tni_set32(&sync->row->waiting, UINT32_MAX);
	tni_set64(&sync->row->claim, UINT64_MAX);
	expect_nobody_barrier(barrier);
	tni_set64(&sync->row->claim, TNI_BARRIER_ARRIVED);
	EXPECT_IS(tell_barrier(barrier, getpid()).barrier.arrived, 65535);
	tni_set32(&sync->row->waiting, 0);
	expect_nobody_barrier(barrier);
	barrier = tenon_barrier_close(barrier);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"one that is being buried is not shown", test_buried, NULL},
		{"a lock on which somebody has scribbled", test_lock_scribbled, NULL},
		{"an event on whose rows somebody has", test_rows_scribbled, NULL},
		{"a barrier on whose rows somebody has", test_barrier_scribbled, NULL},
		{"placed: one that is being buried", test_buried, NULL},
		{"placed: a lock", test_lock_scribbled, NULL},
		{"placed: an event", test_rows_scribbled, NULL},
		{"placed: a barrier", test_barrier_scribbled, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
