/* SPDX-License-Identifier: Apache-2.0 */

/*
 * System V, when several are at the same key or identifier at once: processes, threads, children that are forked amid
 * the calls of others, handlers that call in.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "../crash/folder.h"
#include "contract.h"
#include "sanitized.h"

#define KEY 0x5254
#define PROCESSES 4
#define ROUNDS 1500
#define THREADS 4
#define FORKS 12
#define DEATHS 60
#define MANY 1000
#define SKIPPED 77 /* as contract_skip() ends */

struct text {
	long type;
	char bytes[8];
};

static struct shared {
	_Atomic uint32_t made, removed, forked;
	_Atomic int id;
	_Atomic bool is_over;
} * shared;

static bool is_gone(int error)
{
	return error == EINVAL || error == EIDRM;
}

static int send_one(int id, int flags)
{
	struct text text = {.type = 1, .bytes = "message"};

	return tenon_msgsnd(id, &text, sizeof(text.bytes), flags);
}

static ssize_t receive_one(int id, int flags)
{
	struct text text;

	return tenon_msgrcv(id, &text, sizeof(text.bytes), 0, flags);
}

/* What has a name in the folder; its key and its identifier may have one each. */
static void expect_nothing_left(void)
{
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* One that was got by key works or was removed; and is not any more, once the key has another. */
static void use_queue(int id)
{
	int other = tenon_msgget(KEY, 0);
	struct msqid_ds status;

	if (other >= 0 && other != id) {
		EXPECT_IS(tenon_msgctl(id, IPC_STAT, &status), -1);
		EXPECT(is_gone(errno));
	}
	if (other < 0)
		EXPECT_IS(errno, ENOENT);
	if (send_one(id, IPC_NOWAIT) != 0)
		EXPECT(is_gone(errno) || errno == EAGAIN);
	if (receive_one(id, IPC_NOWAIT) < 0)
		EXPECT(is_gone(errno) || errno == ENOMSG);
}

static void make_use_remove(unsigned *seed)
{
	int id = tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);

	if (id >= 0)
		atomic_fetch_add(&shared->made, 1);
	else
		EXPECT_IS(errno, EEXIST);
	if (id < 0)
		id = tenon_msgget(KEY, 0);
	if (id < 0) {
		EXPECT_IS(errno, ENOENT);
		return;
	}
	use_queue(id);
	if (rand_r(seed) % 3 == 0) {
		if (tenon_msgctl(id, IPC_RMID, NULL) == 0)
			atomic_fetch_add(&shared->removed, 1);
		else
			EXPECT(is_gone(errno));
	}
}

static void play_rounds(void *context, int rounds)
{
	unsigned seed = (unsigned)(uintptr_t)context;

	for (int i = 0; i < rounds; i++)
		make_use_remove(&seed);
}

static void play_key(void *context)
{
	play_rounds(context, ROUNDS);
}

/* A child's way there is longer than what it is for. */
static void play_shortly(void *context)
{
	play_rounds(context, ROUNDS / 10);
}

/* As many as were made are removed: each once, by one. */
static void expect_balance(void)
{
	int id = tenon_msgget(KEY, 0);

	if (id >= 0 && tenon_msgctl(id, IPC_RMID, NULL) == 0)
		atomic_fetch_add(&shared->removed, 1);
	EXPECT(atomic_load(&shared->made) > 10);
	EXPECT_IS(atomic_load(&shared->removed), atomic_load(&shared->made));
	expect_nothing_left();
}

static void one_key(void)
{
	pid_t children[PROCESSES];

	shared = contract_share(sizeof(*shared));
	for (uintptr_t i = 0; i < PROCESSES; i++)
		children[i] = contract_start(play_key, (void *)(i + 1));
	for (int i = 0; i < PROCESSES; i++)
		contract_await(children[i]);
	expect_balance();
}

static void *run_key(void *context)
{
	play_key(context);
	return NULL;
}

/* Other than the processes above, these share what they have open; and children may come in between. */
static void run_threads(int forks)
{
	pthread_t thread[THREADS];

	shared = contract_share(sizeof(*shared));
	for (uintptr_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&thread[i], NULL, run_key, (void *)(i + 1)) == 0);
	for (int i = 0; i < forks; i++) {
		pid_t child = contract_start(play_shortly, (void *)(uintptr_t)(i + 20));

		contract_await(child);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	expect_balance();
}

static void threads(void)
{
	run_threads(0);
}

static void threads_and_forks(void)
{
	if (IS_SANITIZED)
		contract_skip("the sanitizer's allocator may be locked by another thread when a "
			      "process forks");
	run_threads(FORKS);
}

static void *change_always(void *context)
{
	int id = atomic_load(&shared->id);
	struct msqid_ds status;

	(void)context;
	if (tenon_msgctl(id, IPC_STAT, &status) == 0)
		while (tenon_msgctl(id, IPC_SET, &status) == 0)
			;
	return NULL;
}

/* Its child is another process's then, and stays till the end. */
static void fork_and_die(void *context)
{
	pthread_t thread;
	pid_t parent = getpid();

	(void)context;
	REQUIRE(pthread_create(&thread, NULL, change_always, NULL) == 0);
	for (int i = 0; i < 20; i++)
		sched_yield();
	if (fork() != 0)
		for (;;)
			pause();
	kill(parent, SIGKILL);
	atomic_fetch_add(&shared->forked, 1);
	while (!atomic_load(&shared->is_over))
		usleep(1000);
	_exit(0);
}

/* The child of one who died in the midst of a change kept the lock, and everybody else waited for ever. */
static void forked_amid(void)
{
	struct msqid_ds status;

	shared = contract_share(sizeof(*shared));
	atomic_store(&shared->id, tenon_msgget(KEY, IPC_CREAT | 0600));
	for (uint32_t i = 0; i < DEATHS; i++) {
		pid_t pid = contract_start(fork_and_die, NULL);

		waitpid(pid, NULL, 0);
		while (atomic_load(&shared->forked) <= i)
			sched_yield();
		EXPECT_IS(tenon_msgctl(atomic_load(&shared->id), IPC_STAT, &status), 0);
		EXPECT_IS(tenon_msgctl(atomic_load(&shared->id), IPC_SET, &status), 0);
	}
	atomic_store(&shared->is_over, true);
	EXPECT_IS(tenon_msgctl(atomic_load(&shared->id), IPC_RMID, NULL), 0);
	expect_nothing_left();
}

static _Atomic uint32_t handled;
static int handlers_id;

static void set_in_handler(int number)
{
	struct msqid_ds status;
	int error = errno;

	(void)number;
	if (tenon_msgctl(handlers_id, IPC_STAT, &status) == 0)
		EXPECT(tenon_msgctl(handlers_id, IPC_SET, &status) == 0 || errno == EDEADLK);
	atomic_fetch_add(&handled, 1);
	errno = error;
}

/* A handler waited for the lock of the thread that it had interrupted. */
static void handler_sets(void)
{
	struct itimerval timer = {{0, 200}, {0, 200}}, none = {{0, 0}, {0, 0}};
	struct msqid_ds status;

	handlers_id = tenon_msgget(KEY, IPC_CREAT | 0600);
	REQUIRE(handlers_id >= 0 && tenon_msgctl(handlers_id, IPC_STAT, &status) == 0);
	signal(SIGALRM, set_in_handler);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (atomic_load(&handled) < 500)
		EXPECT(tenon_msgctl(handlers_id, IPC_SET, &status) == 0 || errno == EDEADLK);
	setitimer(ITIMER_REAL, &none, NULL);
	EXPECT_IS(tenon_msgctl(handlers_id, IPC_RMID, NULL), 0);
	expect_nothing_left();
}

static void remove_in_handler(int number)
{
	(void)number;
	if (tenon_msgctl(handlers_id, IPC_RMID, NULL) != 0)
		_exit(2);
	exit(0);
}

static void block_and_exit(void *context)
{
	(void)context;
	signal(SIGUSR1, remove_in_handler);
	receive_one(handlers_id, 0);
	_exit(3);
}

static void receive_until_removed(void *context)
{
	(void)context;
	EXPECT_IS(receive_one(handlers_id, 0), -1);
	EXPECT_IS(errno, EIDRM);
	EXPECT_IS(receive_one(handlers_id, 0), -1);
	EXPECT_IS(errno, EINVAL);
}

static void await_blocked(uint32_t count)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_queue *queue;
	char name[TENON_SYSV_NAME_BYTES];

	REQUIRE(tenon_sysv_name(handlers_id, name) == 0);
	queue = contract_open(name);
	do
		REQUIRE(tenon_queue_status(queue, &status) == 0);
	while (status.receivers_waiting < count);
	tenon_queue_close(queue);
}

/* As some programs do when they are told to end. */
static void handler_removes(void)
{
	pid_t other, one;

	handlers_id = tenon_msgget(KEY, IPC_CREAT | 0600);
	REQUIRE(handlers_id >= 0);
	other = contract_start(receive_until_removed, NULL);
	one = contract_start(block_and_exit, NULL);
	await_blocked(2);
	kill(one, SIGUSR1);
	contract_await(one);
	contract_await(other);
	expect_nothing_left();
}

static int take_all_descriptors(int *ret_fds, int most)
{
	int count = 0;

	while (count < most && (ret_fds[count] = open("/dev/null", O_RDONLY)) >= 0)
		count++;
	return count;
}

static void make_elsewhere(void *context)
{
	(void)context;
	atomic_store(&shared->id, tenon_msgget(KEY, IPC_CREAT | 0600));
	REQUIRE(send_one(atomic_load(&shared->id), IPC_NOWAIT) == 0);
}

/* Without descriptors nothing is half done. */
static void no_descriptors(void)
{
	struct rlimit limit = {100, 100};
	int fds[100], count, id;

	shared = contract_share(sizeof(*shared));
	contract_await(contract_start(make_elsewhere, NULL));
	id = atomic_load(&shared->id);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	count = take_all_descriptors(fds, 100);
	EXPECT_IS(receive_one(id, IPC_NOWAIT), -1);
	EXPECT_IS(errno, EMFILE);
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
	EXPECT_IS(errno, EMFILE);
	EXPECT_IS(tenon_msgget(KEY + 1, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EMFILE);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	EXPECT_IS(receive_one(id, IPC_NOWAIT), 8);
	/* It is removed or it is not, with one descriptor more each time. */
	count = take_all_descriptors(fds, 100);
	while (tenon_msgctl(id, IPC_RMID, NULL) != 0) {
		EXPECT_IS(errno, EMFILE);
		EXPECT_IS(send_one(id, IPC_NOWAIT), 0);
		REQUIRE(count > 0);
		close(fds[--count]);
	}
	while (count > 0)
		close(fds[--count]);
	EXPECT_IS(send_one(id, IPC_NOWAIT), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
	EXPECT_IS(errno, ENOENT);
	expect_nothing_left();
}

/* Identifiers of what was removed are nobody's, although some of the indices have come again. */
static void old_identifiers(void)
{
	static int ids[MANY];
	static bool is_used[32768];
	uint32_t again = 0;

	for (int i = 0; i < MANY; i++) {
		ids[i] = tenon_msgget(IPC_PRIVATE, 0600);
		REQUIRE(ids[i] >= 0 && send_one(ids[i], IPC_NOWAIT) == 0);
		again += is_used[ids[i] & 0x7fff];
		is_used[ids[i] & 0x7fff] = true;
		/* They are drawn by lot, and one out of 2^31 is the same. */
		for (int j = i > 50 ? i - 50 : 0; j < i; j++)
			EXPECT(ids[j] == ids[i] ||
			       (send_one(ids[j], IPC_NOWAIT) != 0 && errno == EINVAL));
		EXPECT_IS(tenon_msgctl(ids[i], IPC_RMID, NULL), 0);
	}
	for (int i = 0; i < MANY; i++)
		EXPECT(send_one(ids[i], IPC_NOWAIT) != 0 && errno == EINVAL);
	printf("# %u indices came again\n", again);
	expect_nothing_left();
}

/* Makes a queue and removes it, under the eyes of its parent. */
static void make_and_remove(void *context)
{
	int id;

	(void)context;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		contract_skip("ptrace(2) is not allowed");
	raise(SIGSTOP);
	id = tenon_msgget(KEY, IPC_CREAT | 0600);
	EXPECT(id >= 0);
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), 0);
}

/* Lets the child go on up to its n-th stop at a system call.  False: it has ended. */
static bool stop_at(pid_t child, uint32_t stop)
{
	int status = 0;

	REQUIRE(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		contract_skip("ptrace(2) is not allowed");
	for (uint32_t i = 0; i < stop && WIFSTOPPED(status); i++) {
		REQUIRE(ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0);
		REQUIRE(waitpid(child, &status, 0) == child);
	}
	return WIFSTOPPED(status);
}

/* The bug: who listed them went on with what he took for left over, and waited for who was stopped amid it. */
static void list_beside_stopped(void)
{
	uint32_t stop;

	for (stop = 1;; stop++) {
		pid_t child = contract_start(make_and_remove, NULL);
		struct msginfo info;

		if (!stop_at(child, stop))
			break;
		EXPECT(tenon_msgctl(0, MSG_INFO, (struct msqid_ds *)&info) >= 0);
		REQUIRE(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0);
		contract_await(child);
	}
	printf("# at %u stops\n", stop);
	EXPECT(stop > 20);
	expect_nothing_left();
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"processes at one key", one_key, NULL},
		{"threads at one key", threads, NULL},
		{"threads at one key, and forks", threads_and_forks, NULL},
		{"forked amid a change", forked_amid, NULL},
		{"a handler that changes", handler_sets, NULL},
		{"a handler that removes and exits", handler_removes, NULL},
		{"no descriptors", no_descriptors, NULL},
		{"old identifiers", old_identifiers, NULL},
		{"who lists does not wait for the stopped", list_beside_stopped, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
