/* SPDX-License-Identifier: Apache-2.0 */

/* What a barrier, and a once, promise to threads and processes, dead ones among them. */

#include <tenon/barrier.h>
#include <tenon/once.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"
#include "object/turnstile.h"

#define NAME "/barrier"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_barrier *make(uint32_t count)
{
	struct tenon_barrier_options options = {.size = sizeof(options), .count = count};
	struct tenon_barrier *barrier = NULL;

	EXPECT_IS(tenon_barrier_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE,
				     &options, &barrier),
		  0);
	REQUIRE(barrier);
	return barrier;
}

static struct tenon_barrier *open_barrier(void)
{
	struct tenon_barrier *barrier = NULL;

	EXPECT_IS(tenon_barrier_open(contract_folder, NAME, 0, NULL, &barrier), 0);
	REQUIRE(barrier);
	return barrier;
}

static int await(struct tenon_barrier *barrier, int64_t timeout_ns, uint32_t *ret_is_last)
{
	return tenon_barrier_wait(barrier, tenon_deadline_after(timeout_ns), ret_is_last);
}

static struct tenon_barrier_status status_of(struct tenon_barrier *barrier)
{
	struct tenon_barrier_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_barrier_status(barrier, &status), 0);
	return status;
}

/* Who is seen to have arrived may still have the gate; behind it, it has let go of that, too. */
static void await_arrived(struct tenon_barrier *barrier, uint32_t count)
{
	struct tni_sync *sync = (struct tni_sync *)barrier;
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);

	while (status_of(barrier).arrived != count)
		sched_yield();
	EXPECT_IS(tni_sync_lock(sync, thread, pending, INT64_MAX), 0);
	tni_sync_unlock(sync, thread, pending);
}

static void test_bad_input(void)
{
	struct tenon_barrier_options options = {.size = sizeof(options)};
	struct tenon_barrier *barrier;
	struct tenon_barrier_status status = {.size = 1};

	EXPECT_IS(tenon_barrier_open(contract_folder, NAME, TENON_CREATE, NULL, &barrier), -EINVAL);
	EXPECT_IS(tenon_barrier_open(contract_folder, NAME, TENON_CREATE, &options, &barrier),
		  -EINVAL);
	options.count = TENON_BARRIER_MOST + 1;
	EXPECT_IS(tenon_barrier_open(contract_folder, NAME, TENON_CREATE, &options, &barrier),
		  -EINVAL);
	barrier = make(2);
	EXPECT_IS(tenon_barrier_wait(NULL, 0, NULL), -EINVAL);
	EXPECT_IS(tenon_barrier_status(barrier, &status), -EINVAL);
	EXPECT(!tenon_barrier_close(NULL));
	barrier = tenon_barrier_close(barrier);
	EXPECT_IS(tenon_barrier_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_barrier_remove(contract_folder, NAME), -ENOENT);
}

static void test_alone(void)
{
	struct tenon_barrier *barrier = make(1), *two;
	struct tenon_barrier_options options = {.size = sizeof(options), .count = 2};
	uint32_t is_last = 9;

	EXPECT_IS(await(barrier, LIMIT_NS, &is_last), 0);
	EXPECT_IS(is_last, 1);
	EXPECT_IS(tenon_barrier_wait(barrier, 0, NULL), 0);
	EXPECT_IS(status_of(barrier).rounds, 2);
	barrier = tenon_barrier_close(barrier);
	EXPECT_IS(tenon_barrier_open(contract_folder, "/two", TENON_CREATE, &options, &two), 0);
	EXPECT_IS(await(two, WAIT_NS, NULL), -ETIMEDOUT);
	EXPECT_IS(tenon_barrier_wait(two, 0, NULL), -ETIMEDOUT);
	EXPECT_IS(status_of(two).arrived, 0);
	EXPECT_IS(status_of(two).rounds, 0);
	two = tenon_barrier_close(two);
}

#define CROWD 5u
#define ROUNDS 1000u

static _Atomic uint32_t *arrivals, *lasts;

/* Nobody is in a round before all have been in the one before. */
static void go_round(void *context)
{
	struct tenon_barrier *barrier = open_barrier();

	(void)context;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t is_last = 9, seen;

		atomic_fetch_add(arrivals, 1);
		EXPECT_IS(await(barrier, LIMIT_NS, &is_last), 0);
		seen = atomic_load(arrivals);
		EXPECT(seen >= (round + 1) * CROWD && seen <= (round + 2) * CROWD);
		atomic_fetch_add(lasts, is_last);
	}
}

static void test_rounds(void)
{
	struct tenon_barrier *barrier = make(CROWD);
	pid_t crowd[CROWD];

	arrivals = contract_share(sizeof(*arrivals));
	lasts = contract_share(sizeof(*lasts));
	for (uint32_t i = 0; i < CROWD; i++)
		crowd[i] = contract_start(go_round, NULL);
	for (uint32_t i = 0; i < CROWD; i++)
		contract_await(crowd[i]);
	EXPECT_IS(atomic_load(lasts), ROUNDS);
	EXPECT_IS(status_of(barrier).rounds, ROUNDS);
	EXPECT_IS(status_of(barrier).arrived, 0);
	barrier = tenon_barrier_close(barrier);
}

static void arrive(void *context)
{
	struct tenon_barrier *barrier = open_barrier();

	(void)context;
	EXPECT_IS(await(barrier, LIMIT_NS, NULL), 0);
}

/* Who died waiting has not arrived: the round takes another one. */
static void test_death(void)
{
	struct tenon_barrier *barrier = make(3);

	for (uint32_t round = 0; round < 100; round++) {
		pid_t victim = contract_start(arrive, NULL), other;

		await_arrived(barrier, 1);
		other = contract_start(arrive, NULL);
		await_arrived(barrier, 2);
		contract_kill(victim);
		EXPECT_IS(await(barrier, round == 0 ? WAIT_NS : 0, NULL), -ETIMEDOUT);
		EXPECT_IS(status_of(barrier).arrived, 1);
		victim = contract_start(arrive, NULL);
		await_arrived(barrier, 2);
		EXPECT_IS(await(barrier, LIMIT_NS, NULL), 0);
		contract_await(victim);
		contract_await(other);
	}
	EXPECT_IS(status_of(barrier).withdrawn, 100);
	barrier = tenon_barrier_close(barrier);
}

static atomic_uint *burying, *step;

static void lock_entry(uint32_t participant)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = TNI_ENTRY_LOCK_OFFSET + participant,
			     .l_len = 1};
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/b.%s", contract_folder, &NAME[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	EXPECT_IS(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

/* It has a participant's entry, and does not go on. */
static void be_burying(void *context)
{
	lock_entry(*(const uint32_t *)context);
	atomic_store(burying, 1);
	for (;;)
		pause();
}

/* The bugs: a dead one had arrived for as long as somebody else was burying it; and then where that one had no processor
 * for a millisecond. */
static void test_burial(void)
{
	struct tenon_barrier *barrier = make(2);
	struct tni_sync *sync = (struct tni_sync *)barrier;
	pid_t victim = contract_start(arrive, NULL), other;

	burying = contract_share(sizeof(*burying));
	await_arrived(barrier, 1);
	EXPECT_IS(tni_turnstile_help(sync, 1, INT64_MAX), 0);
	contract_kill(victim);
	other = contract_start(be_burying, &(uint32_t){1});
	while (!atomic_load(burying))
		sched_yield();
	EXPECT_IS(await(barrier, WAIT_NS, NULL), -ETIMEDOUT);
	EXPECT_IS(status_of(barrier).arrived, 0);
	EXPECT_IS(status_of(barrier).rounds, 0);
	EXPECT_IS(status_of(barrier).withdrawn, 1);
	/* Who has nothing to give back leaves the row alone: it may be another's who is about to be alive. */
	tni_set32(&tni_sync_row(sync, 1)->waiting, 1);
	EXPECT_IS(tni_turnstile_help(sync, 1, INT64_MAX), 0);
	EXPECT_IS(tni_get32(&tni_sync_row(sync, 1)->waiting), 1);
	contract_kill(other);
	EXPECT_IS(await(barrier, 0, NULL), -ETIMEDOUT);
	EXPECT_IS(status_of(barrier).withdrawn, 1);
	barrier = tenon_barrier_close(barrier);
	EXPECT_IS(tenon_barrier_remove(contract_folder, NAME), 0);
}

static uint64_t gate_of(const struct tenon_barrier *barrier)
{
	return tni_get64(&((const struct tni_sync *)barrier)->cell->gate.word);
}

/* It attaches in the place of the first participant behind the test's own, which is dead, has the gate for that, and does not
 * go on. */
static void be_attaching(void *context)
{
	const struct tenon_barrier *barrier = context;
	uint64_t owner = (uint64_t)getpid() | UINT64_C(1) << TNI_GATE_HOLDER_SHIFT;

	lock_entry(1);
	tni_set64(&((const struct tni_sync *)barrier)->cell->gate.word, owner);
	atomic_store(burying, 1);
	for (;;)
		pause();
}

/* Nobody takes the gate from one who lives, though the byte of that participant is not locked yet. */
static void test_stopped_attaching(void)
{
	struct tenon_barrier *barrier = make(2);
	const struct tni_sync *sync = (const struct tni_sync *)barrier;
	pid_t victim = contract_start(arrive, NULL), other;

	burying = contract_share(sizeof(*burying));
	await_arrived(barrier, 1);
	contract_kill(victim);
	other = contract_start(be_attaching, barrier);
	while (!atomic_load(burying))
		sched_yield();
	EXPECT_IS(await(barrier, 3 * SECOND_NS / 2, NULL), -ETIMEDOUT);
	EXPECT_IS((int64_t)(gate_of(barrier) & TNI_GATE_OWNER), other);
	/* As where the kernel has meant a thread of that number in another pid namespace. */
	tni_set64(&sync->object->shared->mixed, 1);
	tni_set64(&sync->cell->gate.word, TNI_GATE_OWNER_DIED | UINT64_C(1)
									<< TNI_GATE_HOLDER_SHIFT);
	EXPECT_IS(await(barrier, WAIT_NS, NULL), -ETIMEDOUT);
	EXPECT(gate_of(barrier) & TNI_GATE_OWNER_DIED);
	contract_kill(other);
	EXPECT_IS(await(barrier, WAIT_NS, NULL), -ETIMEDOUT);
	EXPECT(!(gate_of(barrier) & TNI_GATE_OWNER_DIED));
	EXPECT_IS(status_of(barrier).rounds, 0);
	EXPECT_IS(status_of(barrier).withdrawn, 1);
	barrier = tenon_barrier_close(barrier);
	EXPECT_IS(tenon_barrier_remove(contract_folder, NAME), 0);
}

/* With the gate: the claim of the victim, which is the third participant, is as when it died before its row said it; then it
 * repairs that, late, and has nothing to bury. */
static void be_repairing(void *context)
{
	struct tenon_barrier *barrier = open_barrier();
	struct tni_sync *sync = (struct tni_sync *)barrier;
	struct tni_turnstile *turnstile = tni_turnstile(sync);
	struct tni_thread *thread = tni_thread_self();
	void *pending = tni_pending_get(thread);
	struct tni_row *row;
	int64_t end_ns;

	(void)context;
	atomic_store(step, 1);
	while (atomic_load(step) != 2)
		sched_yield();
	EXPECT_IS(tni_sync_lock(sync, thread, pending, INT64_MAX), 0);
	row = tni_sync_row(sync, 2);
	tni_set64(&turnstile->note_row, 2);
	tni_set64(&turnstile->note_claim, tni_get64(&row->claim));
	tni_set64(&row->claim, 0);
	tni_fetch_or64(&turnstile->word, TNI_TURNSTILE_CLAIMING);
	atomic_store(step, 3);
	while (atomic_load(step) != 4)
		sched_yield();
	/* The other sleeps for the gate, or nearly. */
	end_ns = tenon_deadline_after(2 * WAIT_NS);
	while (tni_gatehouse_count(&sync->house, TNI_CLASS_LOCK_0) == 0 &&
	       tenon_deadline_after(0) < end_ns)
		sched_yield();
	EXPECT_IS(tni_turnstile_repair(sync), 0);
	tni_sync_unlock(sync, thread, pending);
	atomic_store(step, 5);
	for (;;)
		pause();
}

/* The bug: who had the gate next had looked for the dead before there was anything to be seen. */
static void test_late_repair(void)
{
	struct tenon_barrier *barrier = make(2);
	pid_t repairer, victim, other;

	burying = contract_share(sizeof(*burying));
	step = contract_share(sizeof(*step));
	repairer = contract_start(be_repairing, NULL);
	while (atomic_load(step) != 1)
		sched_yield();
	victim = contract_start(arrive, NULL);
	await_arrived(barrier, 1);
	atomic_store(step, 2);
	while (atomic_load(step) != 3)
		sched_yield();
	contract_kill(victim);
	other = contract_start(be_burying, &(uint32_t){2});
	while (!atomic_load(burying))
		sched_yield();
	atomic_store(step, 4);
	EXPECT_IS(await(barrier, 5 * WAIT_NS, NULL), -ETIMEDOUT);
	while (atomic_load(step) != 5)
		sched_yield();
	EXPECT_IS(status_of(barrier).rounds, 0);
	EXPECT_IS(status_of(barrier).arrived, 0);
	EXPECT_IS(status_of(barrier).withdrawn, 1);
	contract_kill(repairer);
	contract_kill(other);
	barrier = tenon_barrier_close(barrier);
	EXPECT_IS(tenon_barrier_remove(contract_folder, NAME), 0);
}

static struct tenon_once *open_once(uint32_t flags)
{
	struct tenon_once *once = NULL;

	EXPECT_IS(tenon_once_open(contract_folder, "/once", flags, NULL, &once), 0);
	REQUIRE(once);
	return once;
}

static int begin(struct tenon_once *once, int64_t timeout_ns)
{
	uint32_t what = 99;
	int result = tenon_once_begin(once, tenon_deadline_after(timeout_ns), &what);

	return result == 0 ? (int)what : result;
}

static void test_once(void)
{
	struct tenon_once *once = open_once(TENON_CREATE), *other = open_once(0);
	struct tenon_once_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_once_begin(NULL, 0, NULL), -EINVAL);
	EXPECT_IS(tenon_once_begin(once, 0, NULL), -EINVAL);
	EXPECT_IS(tenon_once_done(once), -EPERM);
	EXPECT_IS(tenon_once_failed(once), -EPERM);
	EXPECT_IS(begin(once, LIMIT_NS), TENON_ONCE_FIRST);
	EXPECT_IS(begin(once, LIMIT_NS), -EDEADLK);
	EXPECT_IS(tenon_once_done(other), -EPERM);
	EXPECT_IS(tenon_once_failed(once), 0);
	EXPECT_IS(begin(other, LIMIT_NS), TENON_ONCE_FIRST);
	EXPECT_IS(tenon_once_status(once, &status), 0);
	EXPECT_IS(status.owner_pid, getpid());
	EXPECT_IS(status.is_done, 0);
	EXPECT_IS(tenon_once_done(other), 0);
	EXPECT_IS(begin(once, LIMIT_NS), TENON_ONCE_DONE);
	EXPECT_IS(begin(other, 0), TENON_ONCE_DONE);
	EXPECT_IS(tenon_once_done(once), -EPERM);
	EXPECT_IS(tenon_once_status(once, &status), 0);
	EXPECT_IS(status.owner_pid, 0);
	EXPECT_IS(status.is_done, 1);
	once = tenon_once_close(once);
	EXPECT_IS(begin(other, 0), TENON_ONCE_DONE);
	other = tenon_once_close(other);
	EXPECT_IS(tenon_once_remove(contract_folder, "/once"), 0);
}

static _Atomic uint32_t *work;

/* Does it, unless it is to die amid it. */
static void do_once(void *context)
{
	struct tenon_once *once = open_once(TENON_CREATE);
	int what = begin(once, LIMIT_NS);

	EXPECT(what >= 0);
	if (what != TENON_ONCE_DONE) {
		atomic_fetch_add(work, 1);
		if (context && what == TENON_ONCE_FIRST)
			kill(getpid(), SIGKILL);
		/* The others are at it when it is done. */
		for (uint32_t i = 0; i < 1000; i++)
			sched_yield();
		atomic_fetch_add(work, 100);
		EXPECT_IS(tenon_once_done(once), 0);
	}
	EXPECT(atomic_load(work) >= 100);
}

static void test_once_by_many(void)
{
	work = contract_share(sizeof(*work));
	for (uint32_t round = 0; round < 40; round++) {
		bool dies = round % 2;
		pid_t first = dies ? contract_start(do_once, &dies) : 0, crowd[4];

		while (dies && atomic_load(work) == 0)
			sched_yield();
		for (uint32_t i = 0; i < 4; i++)
			crowd[i] = contract_start(do_once, NULL);
		for (uint32_t i = 0; i < 4; i++)
			contract_await(crowd[i]);
		if (dies)
			contract_kill(first);
		EXPECT_IS(atomic_load(work), dies ? 102 : 101);
		atomic_store(work, 0);
		EXPECT_IS(tenon_once_remove(contract_folder, "/once"), 0);
	}
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"what cannot be is refused", test_bad_input, NULL},
		{"alone, and in vain", test_alone, NULL},
		{"five processes go round together", test_rounds, NULL},
		{"who dies waiting has not arrived", test_death, NULL},
		{"who died waiting has not arrived, though whoever buries it is stopped",
		 test_burial, NULL},
		{"nor when its claim is repaired late", test_late_repair, NULL},
		{"who attaches and is stopped keeps the gate", test_stopped_attaching, NULL},
		{"once: first, failed, done", test_once, NULL},
		{"once: one of many does it, or another when that one dies", test_once_by_many,
		 NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
