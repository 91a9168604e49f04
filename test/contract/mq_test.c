/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message queues of POSIX, where processes die, threads are cancelled and descriptors go behind the library's back.
 * What each call answers otherwise is shown in test/conform.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <tenon/posix.h>
#include <tenon/semaphore.h>

#include "contract.h"
#include "core/manner.h"
#include "object/queue_private.h"

#define NAME "/mq"
#define BYTES 64u
#define ROUNDS 3000u

static mqd_t open_queue(int oflag, long capacity)
{
	struct mq_attr attributes = {.mq_maxmsg = capacity, .mq_msgsize = BYTES};
	mqd_t queue = tenon_mq_open(NAME, oflag | O_CREAT, 0600, &attributes);

	REQUIRE(queue >= 0);
	return queue;
}

static int send_one(mqd_t queue)
{
	return tenon_mq_send(queue, "12345678", 8, 0);
}

static int receive_one(mqd_t queue)
{
	char message[BYTES];

	return (int)tenon_mq_receive(queue, message, sizeof(message), NULL);
}

static long messages_in(mqd_t queue)
{
	struct mq_attr attributes;

	REQUIRE(tenon_mq_getattr(queue, &attributes) == 0);
	return attributes.mq_curmsgs;
}

/* A handle of the native kind, to look by. */
static struct tenon_queue *look_in(void)
{
	return contract_open(NAME);
}

/* How many threads stand as blocked in the participants' entries. */
static uint32_t blocked_in(struct tenon_queue *queue)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < tni_object_participants_top(&queue->object); i++)
		count += tni_get32(&tni_object_participant(&queue->object, i)->blocked);
	return count;
}

static void await_blocked(uint32_t count)
{
	struct tenon_queue *queue = look_in();

	contract_await_receivers(queue, count);
	tenon_queue_close(queue);
}

static void block(void *context)
{
	receive_one(*(mqd_t *)context);
}

static void expect_signal(int expected)
{
	struct timespec patience = {.tv_sec = expected ? 30 : 0,
				    .tv_nsec = expected ? 0 : 100000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	EXPECT_IS(sigtimedwait(&set, NULL, &patience), expected ? SIGUSR1 : -1);
}

static int register_signal(mqd_t queue)
{
	struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return tenon_mq_notify(queue, &how);
}

static void send_in_child(void *context)
{
	EXPECT_IS(send_one(*(mqd_t *)context), 0);
}

/* The bug: whoever had died while he was blocked in receiving, before anybody registered, was counted as blocked for ever:
 * the message was withheld for him. */
static void test_dead_receiver_is_not_blocked(void)
{
	mqd_t queue = open_queue(O_RDWR, 4);
	struct tenon_queue *native = look_in();
	pid_t receiver = contract_start(block, &queue);

	contract_await_receivers(native, 1);
	contract_kill(receiver);
	EXPECT_IS(register_signal(queue), 0);
	/* Who comes anew would bury him. */
	EXPECT_IS(contract_send(native, 1, 0), 0);
	expect_signal(1);
	EXPECT_IS(messages_in(queue), 1);
	native = tenon_queue_close(native);
	EXPECT_IS(tenon_mq_close(queue), 0);
}

static uint32_t *may_send; /* shared */

static void send_when_told(void *context)
{
	while (!__atomic_load_n(may_send, __ATOMIC_SEQ_CST))
		sched_yield();
	send_in_child(context);
}

static uint32_t threads_of_this_process(void)
{
	DIR *folder = opendir("/proc/self/task");
	const struct dirent *entry;
	uint32_t count = 0;

	REQUIRE(folder);
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

/* The same, when he dies behind the registration, and behind the message.  Forked while no other thread is there, as those
 * that wait for notice are: the lock of a sanitizer's allocator, which they have now and then, would stay locked. */
static void test_receiver_dies_registered(void)
{
	mqd_t queue = open_queue(O_RDWR, 4);

	may_send = contract_share(sizeof(*may_send));
	for (uint32_t i = 0; i < 100; i++) {
		pid_t receiver, sender;

		while (threads_of_this_process() > 1)
			sched_yield();
		__atomic_store_n(may_send, 0, __ATOMIC_SEQ_CST);
		receiver = contract_start(block, &queue);
		sender = contract_start(send_when_told, &queue);
		await_blocked(1);
		EXPECT_IS(register_signal(queue), 0);
		if (i % 2)
			kill(receiver, SIGSTOP);
		else
			contract_kill(receiver);
		__atomic_store_n(may_send, 1, __ATOMIC_SEQ_CST);
		contract_await(sender);
		if (i % 2)
			contract_kill(receiver);
		if (messages_in(queue) == 1) {
			expect_signal(1);
			EXPECT_IS(receive_one(queue), 8);
		} else {
			EXPECT_IS(tenon_mq_notify(queue, NULL), 0);
		}
	}
	EXPECT_IS(tenon_mq_close(queue), 0);
}

/* The bug: a queue of another interface that answers -EAGAIN when it is full was asked again and again. */
static void test_queue_that_fails_when_full(void)
{
	struct tenon_queue *made = contract_make(NAME, TENON_QUEUE_FAIL, 1, BYTES);
	mqd_t queue = tenon_mq_open(NAME, O_RDWR);
	struct timespec until = {.tv_sec = 4000000000};

	REQUIRE(queue >= 0);
	EXPECT_IS(send_one(queue), 0);
	EXPECT_IS(send_one(queue), -1);
	EXPECT_IS(errno, EAGAIN);
	EXPECT_IS(tenon_mq_timedsend(queue, "1", 1, 0, &until), -1);
	EXPECT_IS(errno, EAGAIN);
	EXPECT_IS(tenon_mq_close(queue), 0);
	made = tenon_queue_close(made);
}

/* What a thread that is to be cancelled has done. */
struct work {
	mqd_t queue;
	bool sends;
	uint64_t done;
};

static void *work(void *context)
{
	struct work *work = context;

	for (;;) {
		int result = work->sends ? send_one(work->queue) : receive_one(work->queue);

		/* Whoever is cancelled has done nothing. */
		if (result >= 0)
			work->done++;
	}
	return NULL;
}

/* One that sends and one that receives, one of them cancelled.  Answers how much was sent less how much was received. */
static int64_t cancel_one(mqd_t queue, uint32_t round)
{
	struct work works[2] = {{.queue = queue, .sends = true}, {.queue = queue}};
	pthread_t threads[2];
	uint32_t first = round % 2;

	for (uint32_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, work, &works[i]) == 0);
	for (uint32_t i = 0; i < round * 7 % 20; i++)
		sched_yield();
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t which = i ^ first;
		void *end;

		REQUIRE(pthread_cancel(threads[which]) == 0);
		REQUIRE(pthread_join(threads[which], &end) == 0);
		EXPECT(end == PTHREAD_CANCELED);
	}
	return (int64_t)works[0].done - (int64_t)works[1].done;
}

/* The bug: what makes the descriptor readable and writable were cancellation points of their own: a thread was cancelled
 * behind its message, or with the queue locked. */
static void test_cancelled(void)
{
	mqd_t queue = open_queue(O_RDWR, 2);
	struct tenon_queue *native = look_in();
	struct tenon_queue_status status = {.size = sizeof(status)};
	int64_t inside = 0;

	for (uint32_t i = 0; i < ROUNDS / 10; i++) {
		inside += cancel_one(queue, i);
		REQUIRE(inside == messages_in(queue));
	}
	EXPECT_IS(blocked_in(native), 0);
	EXPECT_IS(tenon_queue_status(native, &status), 0);
	EXPECT_IS((int64_t)status.repairs, 0);
	native = tenon_queue_close(native);
	EXPECT_IS(tenon_mq_close(queue), 0);
}

/* Is cancelled when it is about to sleep, and not before. */
static void *sleep_cancelled(void *context)
{
	static struct tni_a32 word;
	struct futex_waitv words = {.uaddr = (uintptr_t)&word, .flags = FUTEX_32};
	struct tni_manner manner;

	tni_manner_begin(&manner, INT64_MAX, true);
	REQUIRE(pthread_cancel(pthread_self()) == 0);
	(void)!tni_manner_end(&manner, tni_words_wait(&words, 1, INT64_MAX, true));
	return context;
}

/* The bug: who joined a thread that was cancelled just before it slept was told that it had returned NULL. */
static void test_cancelled_before_sleep(void)
{
	pthread_t thread;
	void *end;

	REQUIRE(pthread_create(&thread, NULL, sleep_cancelled, NULL) == 0);
	REQUIRE(pthread_join(thread, &end) == 0);
	EXPECT(end == PTHREAD_CANCELED);
}

/* The bug: a program without standard descriptors printed into its queue. */
static void test_no_standard_descriptor(void)
{
	struct tenon_queue *queue;

	tenon_mq_close(open_queue(O_RDWR, 1));
	/* The folder has the first for a while. */
	close(STDIN_FILENO);
	close(STDERR_FILENO);
	queue = look_in();
	EXPECT(fcntl(STDIN_FILENO, F_GETFD) == -1);
	EXPECT(fcntl(STDERR_FILENO, F_GETFD) == -1);
	tenon_queue_close(queue);
}

/* What is wrong with the one that is there: it is spoilt, or as many are attached as may be. */
static void spoil(void)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/q.mq", contract_folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	REQUIRE(pwrite(fd, "spoilt", 6, 0) == 6);
	close(fd);
}

static void expect_there(void)
{
	struct mq_attr wrong = {.mq_maxmsg = -1};

	errno = 0;
	EXPECT_IS(tenon_mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), -1);
	EXPECT_IS(errno, EEXIST);
	/* As Linux has it, before what would be made is looked at. */
	EXPECT_IS(tenon_mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &wrong), -1);
	EXPECT_IS(errno, EEXIST);
}

/* The bug: O_EXCL opened what was there, and said what was wrong with that. */
static void test_exclusive(void)
{
	struct tenon_queue_options options = {.size = sizeof(options), .max_participants = 1};
	struct tenon_queue *queue = contract_create(NAME, &options);

	EXPECT_IS(tenon_mq_open(NAME, O_RDWR), -1);
	EXPECT_IS(errno, EUSERS);
	expect_there();
	queue = tenon_queue_close(queue);
	spoil();
	EXPECT_IS(tenon_mq_open(NAME, O_RDWR), -1);
	EXPECT_IS(errno, EBADMSG);
	expect_there();
}

/* The same of those that never did. */
static void test_exclusive_beside(void)
{
	struct tenon_semaphore_options options = {.size = sizeof(options), .max_participants = 1};
	struct tenon_semaphore *semaphore;

	REQUIRE(tenon_semaphore_open(NULL, NAME, TENON_CREATE, &options, &semaphore) == 0);
	EXPECT(tenon_sem_open(NAME, 0) == SEM_FAILED);
	EXPECT_IS(errno, EUSERS);
	EXPECT(tenon_sem_open(NAME, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED);
	EXPECT_IS(errno, EEXIST);
	tenon_semaphore_close(semaphore);
	EXPECT(tenon_shm_open(NAME, O_RDWR | O_CREAT, 0) >= 0);
	EXPECT_IS(tenon_shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600), -1);
	EXPECT_IS(errno, EEXIST);
}

/* A call that is at a descriptor when that is closed. */
static void *receive_at(void *context)
{
	EXPECT_IS(receive_one(*(mqd_t *)context), 8);
	return NULL;
}

static uint32_t attached_to(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	return status.participants;
}

static bool is_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[1024];
	bool found = false;

	REQUIRE(maps);
	while (!found && fgets(line, sizeof(line), maps))
		found = strstr(line, "q.mq") != NULL;
	fclose(maps);
	return found;
}

static void expect_not_mapped(void *context)
{
	(void)context;
	EXPECT(!is_mapped());
}

/* The bug: a child of fork(2) kept, for good, the queue whose descriptor its parent had closed while a thread was at it. */
static void test_fork_beside_closed(void)
{
	struct tenon_queue *native;
	mqd_t queue = open_queue(O_RDWR, 1), same = queue;
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, receive_at, &same) == 0);
	await_blocked(1);
	EXPECT_IS(tenon_mq_close(queue), 0);
	EXPECT(is_mapped());
	contract_await(contract_start(expect_not_mapped, NULL));
	native = look_in();
	EXPECT_IS(contract_send(native, 1, 0), 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	EXPECT_IS(attached_to(native), 1);
	native = tenon_queue_close(native);
	EXPECT(!is_mapped());
}

static pid_t forked; /* 0 in the child */
static uint32_t has_forked;

static void fork_amid(int number)
{
	(void)number;
	forked = fork();
	if (forked == 0)
		contract_child_begins();
	__atomic_store_n(&has_forked, 1, __ATOMIC_SEQ_CST);
}

struct fork_amid {
	pthread_t receiver;
	mqd_t queue;
};

static void *close_and_interrupt(void *context)
{
	struct fork_amid *amid = context;

	await_blocked(1);
	EXPECT_IS(tenon_mq_close(amid->queue), 0);
	/* A handler that runs before it sleeps would not end its call. */
	contract_await_asleep(getpid());
	pthread_kill(amid->receiver, SIGUSR2);
	/* Its end would need the lock of a sanitizer's allocator, which would stay locked in the child. */
	while (!__atomic_load_n(&has_forked, __ATOMIC_SEQ_CST))
		sched_yield();
	return NULL;
}

/* The child comes back from the call, too, and then lets go of the queue as its parent does. */
static void test_fork_amid_closed(void)
{
	struct sigaction action = {.sa_handler = fork_amid};
	struct fork_amid amid = {.receiver = pthread_self(), .queue = open_queue(O_RDWR, 2)};
	pthread_t thread;

	sigaction(SIGUSR2, &action, NULL);
	REQUIRE(pthread_create(&thread, NULL, close_and_interrupt, &amid) == 0);
	EXPECT_IS(receive_one(amid.queue), -1);
	EXPECT_IS(errno, EINTR);
	if (forked == 0) {
		EXPECT(!is_mapped());
		contract_child_ends();
	}
	REQUIRE(pthread_join(thread, NULL) == 0);
	contract_await(forked);
	EXPECT(!is_mapped());
}

struct close_amid {
	pthread_barrier_t begin, end;
	mqd_t queue; /* -1: no round any more */
};

/* Comes to many calls at the descriptor, and leaves the last one about when that is closed. */
static void *receive_until_closed(void *context)
{
	struct close_amid *amid = context;

	for (;;) {
		pthread_barrier_wait(&amid->begin);
		if (amid->queue < 0)
			return NULL;
		while (receive_one(amid->queue) < 0 && errno == EAGAIN)
			;
		pthread_barrier_wait(&amid->end);
	}
}

/* The bug: who closed and who left the descriptor each took the other for the one to let go of the queue. */
static void test_close_amid_calls(void)
{
	struct close_amid amid = {.queue = -1};
	pthread_t thread;

	pthread_barrier_init(&amid.begin, NULL, 2);
	pthread_barrier_init(&amid.end, NULL, 2);
	REQUIRE(pthread_create(&thread, NULL, receive_until_closed, &amid) == 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		amid.queue = open_queue(O_RDWR | O_NONBLOCK, 2);
		pthread_barrier_wait(&amid.begin);
		EXPECT_IS(receive_one(amid.queue), -1);
		EXPECT_IS(tenon_mq_close(amid.queue), 0);
		pthread_barrier_wait(&amid.end);
	}
	amid.queue = -1;
	pthread_barrier_wait(&amid.begin);
	REQUIRE(pthread_join(thread, NULL) == 0);
	EXPECT(!is_mapped());
}

/* The bug: a level that is neither 0 nor 1 was taken for raised, and never lowered: who polls was told of nothing for good. */
static void test_scribbled_level(void)
{
	mqd_t queue = open_queue(O_RDWR | O_NONBLOCK, 1);
	struct tenon_queue *native = look_in();
	struct pollfd entry = {.fd = queue, .events = POLLIN | POLLOUT};

	for (uint32_t side = 0; side < TNI_GATES; side++) {
		EXPECT_IS(send_one(queue), 0);
		tni_set32(&native->control->pair_level[side], 7);
		EXPECT_IS(send_one(queue), -1);
		EXPECT(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN);
		EXPECT_IS(receive_one(queue), 8);
		tni_set32(&native->control->pair_level[side], 7);
		EXPECT_IS(receive_one(queue), -1);
		EXPECT(poll(&entry, 1, 0) == 1 && entry.revents == POLLOUT);
	}
	tenon_queue_close(native);
	EXPECT_IS(tenon_mq_close(queue), 0);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a receiver that has died is not blocked", test_dead_receiver_is_not_blocked,
		 NULL},
		{"a receiver dies while somebody is registered", test_receiver_dies_registered,
		 NULL},
		{"a queue that fails when it is full", test_queue_that_fails_when_full, NULL},
		{"threads that are cancelled have done nothing", test_cancelled, NULL},
		{"a thread that is cancelled before it sleeps", test_cancelled_before_sleep, NULL},
		{"a level that was scribbled upon falls", test_scribbled_level, NULL},
		{"what is kept is no standard descriptor", test_no_standard_descriptor, NULL},
		{"a queue that is there is not opened to say so", test_exclusive, NULL},
		{"nor are a semaphore and shared memory", test_exclusive_beside, NULL},
		{"a fork beside a call at a closed descriptor", test_fork_beside_closed, NULL},
		{"a fork amid a call at a closed descriptor", test_fork_amid_closed, NULL},
		{"a descriptor is closed amid calls at it", test_close_amid_calls, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
