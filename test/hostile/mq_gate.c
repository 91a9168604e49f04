/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A message queue's locks in the hands of a stranger, who writes into them that somebody has them: a process that lives and
 * has nothing to do with the queue, one that is dead, nobody that could be, or a process that has the queue open.  Calls with
 * a deadline end in time, whoever it is; others wait as long as the last one lives, asleep, and else take the lock.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "../crash/folder.h"
#include "core/clock.h"
#include "mq_calls.h"
#include "object/queue_private.h"
#include "patience.h"
#include "scribbled.h"

#define PATIENCE_S 60u
#define SOON_NS (100 * TNI_MILLISECOND_NS)
/* Far more than any machine needs. */
#define LATE_NS (20 * TNI_SECOND_NS)
/* Of a processor, besides a quarter of the time. */
#define BUSY_NS (TNI_SECOND_NS / 5)
#define CALLERS 4u

enum { STRANGER, DEAD, NOBODY, DIED, PARTICIPANT, OWNERS };

static const char *const owner_names[OWNERS] = {
	[STRANGER] = "a process that has nothing to do with it",
	[DEAD] = "a process that is dead",
	[NOBODY] = "nobody that can be",
	[DIED] = "a process that lives and is said to have died",
	[PARTICIPANT] = "a process that has it open",
};

struct forgery {
	uint32_t owner, side;
};

static void wrong(const char *what, long figure)
{
	fprintf(stderr, "%s: %ld\n", what, figure);
	_exit(UNDOCUMENTED);
}

static void expect(const char *call, int result, int other)
{
	if (result != 0 && errno != other)
		wrong(call, errno);
}

static void send_and_receive(mqd_t queue)
{
	char message[MQ_CALLS_MESSAGE_BYTES];

	expect("send", tenon_mq_send(queue, "message", 7, 1), 0);
	expect("receive", tenon_mq_receive(queue, message, sizeof(message), NULL) < 0 ? -1 : 0, 0);
}

/* One that lives until it is killed; uses the queue before, if there is one: from then on it is attached. */
static pid_t start_living(mqd_t queue)
{
	int ends[2];
	char ready;
	pid_t pid;

	if (pipe(ends) != 0)
		_exit(IMPOSSIBLE);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (queue >= 0)
			send_and_receive(queue);
		(void)!write(ends[1], "", 1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(ends[0], &ready, 1) != 1)
		_exit(IMPOSSIBLE);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void end_living(pid_t pid)
{
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		_exit(IMPOSSIBLE);
}

/* Answers who is to be killed later. */
static pid_t forge(const struct forgery *forgery, struct tenon_queue *native, mqd_t queue)
{
	struct tni_a64 *word = &native->house.gate[forgery->side]->word;
	pid_t pid = start_living(forgery->owner == PARTICIPANT ? queue : (mqd_t)-1);
	uint64_t owner = (uint64_t)pid;

	if (forgery->owner == DEAD)
		end_living(pid);
	else if (forgery->owner == NOBODY)
		owner = TNI_GATE_OWNER;
	else if (forgery->owner == DIED)
		owner |= TNI_GATE_OWNER_DIED;
	tni_set64(word, owner);
	return forgery->owner == DEAD ? 0 : pid;
}

/* Calls with a deadline. */
static void call_timed(mqd_t queue)
{
	int64_t begin_ns = tni_clock_ns(CLOCK_MONOTONIC);
	struct timespec until = tni_timespec(tni_clock_ns(CLOCK_REALTIME) + SOON_NS);
	char message[MQ_CALLS_MESSAGE_BYTES];
	int64_t lasted_ns;

	expect("timedsend", tenon_mq_timedsend(queue, "message", 7, 1, &until), ETIMEDOUT);
	expect("timedreceive",
	       tenon_mq_timedreceive(queue, message, sizeof(message), NULL, &until) < 0 ? -1 : 0,
	       ETIMEDOUT);
	lasted_ns = tni_clock_ns(CLOCK_MONOTONIC) - begin_ns;
	if (lasted_ns > LATE_NS)
		wrong("so long a call lasted", (long)lasted_ns);
}

static void *notify(void *context)
{
	expect("notify", mq_calls_register(*(mqd_t *)context) == 0 ? 0 : -1, EBUSY);
	expect("withdraw", tenon_mq_notify(*(mqd_t *)context, NULL), 0);
	return NULL;
}

static void *exchange(void *context)
{
	send_and_receive(*(mqd_t *)context);
	return NULL;
}

static void *open_and_close(void *context)
{
	mqd_t queue = tenon_mq_open(MQ_CALLS_NAME, O_RDWR);

	(void)context;
	expect("open", queue >= 0 ? 0 : -1, 0);
	expect("close", tenon_mq_close(queue), 0);
	return NULL;
}

static void *look(void *context)
{
	struct mq_attr attributes;

	expect("getattr", tenon_mq_getattr(*(mqd_t *)context, &attributes), 0);
	return NULL;
}

static void check_processor(int64_t begin_ns)
{
	int64_t busy_ns = tni_clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	if (busy_ns > (tni_clock_ns(CLOCK_MONOTONIC) - begin_ns) / 4 + BUSY_NS)
		wrong("so long it was busy, of nanoseconds", (long)busy_ns);
}

/* The victim's part. */
static void suffer(const void *context)
{
	static void *(*const calls[CALLERS])(void *) = {notify, exchange, open_and_close, look};
	const struct forgery *forgery = context;
	int64_t begin_ns = tni_clock_ns(CLOCK_MONOTONIC);
	struct tenon_queue *native;
	pthread_t threads[CALLERS];
	mqd_t queue;
	pid_t pid;

	if (mq_calls_make() != 0 || tenon_queue_open(NULL, MQ_CALLS_NAME, 0, NULL, &native) != 0)
		_exit(IMPOSSIBLE);
	queue = (mqd_t)mq_calls_open(O_RDWR);
	if (queue < 0)
		_exit(IMPOSSIBLE);
	pid = forge(forgery, native, queue);
	call_timed(queue);
	for (uint32_t i = 0; i < CALLERS; i++)
		if (pthread_create(&threads[i], NULL, calls[i], &queue) != 0)
			_exit(IMPOSSIBLE);
	/* Who waits for a living one goes on when that dies. */
	if (forgery->owner == PARTICIPANT) {
		/* Asleep, since this process's time is looked at, and the threads may get theirs late. */
		while (tni_gatehouse_count(&native->house, TNI_CLASS_LOCK_0 + forgery->side) == 0)
			usleep(1000);
		call_timed(queue);
		end_living(pid);
	}
	for (uint32_t i = 0; i < CALLERS; i++)
		if (pthread_join(threads[i], NULL) != 0)
			_exit(IMPOSSIBLE);
	tenon_queue_close(native);
	mq_calls_close(queue);
	check_processor(begin_ns);
	if (pid > 0 && forgery->owner != PARTICIPANT)
		end_living(pid);
	_exit(0);
}

int main(void)
{
	static const char *const side_names[TNI_GATES] = {"senders", "receivers"};
	uint32_t number = 0, failed = 0;
	char folder[FOLDER_BYTES];

	if (folder_make(folder) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint32_t owner = 0; owner < OWNERS; owner++)
		for (uint32_t side = 0; side < TNI_GATES; side++) {
			struct forgery forgery = {owner, side};
			int status = patience_run(suffer, &forgery, PATIENCE_S);

			printf("%sok %u - the %s' lock is said to be held by %s\n",
			       status == 0 ? "" : "not ", ++number, side_names[side],
			       owner_names[owner]);
			if (status != 0)
				printf("# status %x\n", (unsigned)status);
			failed += status != 0;
			(void)!tenon_mq_unlink(MQ_CALLS_NAME);
		}
	printf("1..%u\n", number);
	folder_remove(folder);
	return failed > 0;
}
