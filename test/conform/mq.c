/* SPDX-License-Identifier: Apache-2.0 */

/* What the requirements of message queues share, and the program that they are. */

#include "mq.h"

#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(CONFORM_COMPAT) && !(defined(mq_open) && defined(mq_notify) && defined(close))
#error "the headers of the original names are not those of Tenon"
#endif

#define NAMES 10

volatile sig_atomic_t handled;

const char *name_of(int which)
{
	static char names[NAMES][40];

	/* Once, since threads of a requirement use it at the same time. */
	if (!names[which][0])
		snprintf(names[which], sizeof(names[which]), "/tenon-conform.%d.%d", conform_run,
			 which);
	return names[which];
}

mqd_t make_sized(const char *name, int oflag, long messages, long bytes)
{
	struct mq_attr attributes = {.mq_maxmsg = messages, .mq_msgsize = bytes};
	mqd_t queue = mq_open(name, O_CREAT | O_EXCL | oflag, 0600, &attributes);

	REQUIRE(queue != NONE);
	return queue;
}

mqd_t make_queue(int oflag)
{
	return make_sized(NAME, oflag, MESSAGES, BYTES);
}

void make_mode(mode_t mode)
{
	struct mq_attr attributes = {.mq_maxmsg = MESSAGES, .mq_msgsize = BYTES};
	mode_t mask = umask(0);
	mqd_t queue = mq_open(NAME, O_CREAT | O_EXCL | O_RDWR, mode, &attributes);

	umask(mask);
	REQUIRE(queue != NONE);
	EXPECT_IS(mq_close(queue), 0);
}

mqd_t open_queue(int oflag)
{
	mqd_t queue = mq_open(NAME, oflag);

	REQUIRE(queue != NONE);
	return queue;
}

mqd_t make_common(void)
{
	make_mode(0666);
	return open_queue(O_RDWR);
}

struct mq_attr attributes_of(mqd_t queue)
{
	struct mq_attr attributes = {0};

	EXPECT_IS(mq_getattr(queue, &attributes), 0);
	return attributes;
}

void put(mqd_t queue, const char *text, unsigned priority)
{
	struct timespec passed = {0};

	EXPECT_IS(mq_timedsend(queue, text, strlen(text), priority, &passed), 0);
}

void take(mqd_t queue, const char *text, unsigned priority)
{
	char buffer[8192] = "";
	struct timespec passed = {0};
	unsigned found = ~0u;
	ssize_t bytes = mq_timedreceive(queue, buffer, sizeof(buffer), &found, &passed);

	EXPECT_IS(bytes, strlen(text));
	EXPECT_IS(found, priority);
	EXPECT(bytes < 0 || memcmp(buffer, text, strlen(text)) == 0);
}

void fill(mqd_t queue)
{
	for (long i = attributes_of(queue).mq_curmsgs; i < attributes_of(queue).mq_maxmsg; i++)
		put(queue, "fill", 0);
}

void drain(mqd_t queue)
{
	char buffer[8192];
	struct timespec passed = {0};

	while (mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &passed) >= 0)
		;
	EXPECT_IS(errno, ETIMEDOUT);
}

struct timespec after_ms(int64_t ms)
{
	struct timespec moment;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &moment);
	ns = moment.tv_sec * SECOND_NS + moment.tv_nsec + ms * 1000000;
	return (struct timespec){.tv_sec = ns / SECOND_NS, .tv_nsec = ns % SECOND_NS};
}

int64_t since(const struct timespec *moment)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - moment->tv_sec) * SECOND_NS + now.tv_nsec - moment->tv_nsec;
}

/* Without a deadline it is as untimed, though the C library's header denies that. */
__attribute__((no_sanitize("undefined"))) static ssize_t call_to(enum call call, mqd_t queue,
								 const struct timespec *deadline,
								 char *text, unsigned *ret_priority)
{
	switch (call) {
	case SEND:
		return mq_send(queue, "sent", 4, 1);
	case TIMEDSEND:
		return mq_timedsend(queue, "sent", 4, 1, deadline);
	case RECEIVE:
		return mq_receive(queue, text, BYTES, ret_priority);
	default:
		return mq_timedreceive(queue, text, BYTES, ret_priority, deadline);
	}
}

ssize_t call_until(enum call call, mqd_t queue, const struct timespec *deadline)
{
	char text[BYTES];

	return call_to(call, queue, deadline, text, NULL);
}

ssize_t make_call(enum call call, mqd_t queue)
{
	struct timespec far = after_ms(1000 * WATCHDOG_S * 2);

	return call_until(call, queue, &far);
}

mqd_t make_blocking(enum call call)
{
	mqd_t queue = make_queue(O_RDWR);

	if (is_send(call))
		fill(queue);
	return queue;
}

void let_go(enum call call, mqd_t queue)
{
	char buffer[BYTES];
	struct timespec passed = {0};

	if (is_send(call))
		EXPECT(mq_timedreceive(queue, buffer, sizeof(buffer), NULL, &passed) >= 0);
	else
		put(queue, "go", 1);
}

static void *thread_calls(void *context)
{
	struct caller *caller = context;
	struct timespec far = after_ms(1000 * WATCHDOG_S * 2);

	conform_set_word(&caller->tid, (int)syscall(SYS_gettid));
	errno = 0;
	caller->result = call_to(caller->call, caller->queue,
				 caller->deadline ? caller->deadline : &far, caller->text,
				 &caller->priority);
	caller->error = errno;
	conform_set_word(&caller->done, 1);
	return NULL;
}

void caller_start(struct caller *caller)
{
	caller->tid = 0;
	caller->done = 0;
	REQUIRE(pthread_create(&caller->thread, NULL, thread_calls, caller) == 0);
}

void caller_block(struct caller *caller)
{
	caller_start(caller);
	conform_await_blocked(getpid(), conform_await_word(&caller->tid));
}

void caller_join(struct caller *caller)
{
	REQUIRE(pthread_join(caller->thread, NULL) == 0);
}

uint32_t callers_await_one(struct caller *callers, uint32_t count)
{
	for (uint32_t i = 0;; i = (i + 1) % count) {
		if (__atomic_load_n(&callers[i].done, __ATOMIC_ACQUIRE) == 1) {
			callers[i].done = 2;
			return i;
		}
		(void)sched_yield();
	}
}

static void count(int signal)
{
	(void)signal;
	handled++;
}

void handle(int signal, int flags)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = flags};

	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

void process_calls(void *context)
{
	const struct process *process = context;
	struct timespec far = after_ms(1000 * WATCHDOG_S * 2);

	EXPECT_IS(call_until(process->call, process->queue,
			     process->deadline ? process->deadline : &far),
		  process->result);
}

int notify_by_signal(mqd_t queue, int value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = NOTIFY_SIGNAL,
				 .sigev_value.sival_int = value};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, NOTIFY_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return mq_notify(queue, &event);
}

bool take_signal(siginfo_t *ret_info, int wait_ms)
{
	struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, NOTIFY_SIGNAL);
	return sigtimedwait(&set, ret_info, &wait) == NOTIFY_SIGNAL;
}

void process_registers(void *queue)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	EXPECT_IS(mq_notify(*(mqd_t *)queue, &event), 0);
	EXPECT_IS(mq_notify(*(mqd_t *)queue, NULL), 0);
}

void process_finds_busy(void *queue)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	EXPECT_ERROR(mq_notify(*(mqd_t *)queue, &event), EBUSY);
}

void process_sends(void *queue)
{
	put(*(mqd_t *)queue, "told", 1);
}

static const char *unusable(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = 8192};
	static char reason[100];

	if (CONFORM_UNDER_TSAN)
		return "the thread sanitizer puts signals off until a call ends";
	if (strcmp(conform_implementation, "kernel") != 0)
		return NULL;
	for (int i = 0; i < 3; i++) {
		if (mq_open(name_of(i), O_CREAT | O_RDWR, 0600, &attributes) == NONE) {
			snprintf(reason, sizeof(reason), "the kernel opens no message queues: %s",
				 strerror(errno));
			break;
		}
	}
	for (int i = 0; i < 3; i++)
		(void)mq_unlink(name_of(i));
	return reason[0] ? reason : NULL;
}

static void clean(void)
{
	for (int i = 0; i < NAMES; i++)
		(void)mq_unlink(name_of(i));
}

/* A queue with a message that was inherited: as a file, polled, copied, and then as a queue. */
static void look(mqd_t queue)
{
	struct pollfd entry = {.fd = queue, .events = POLLIN};
	struct stat status = {0};
	char text[100] = "";
	mqd_t copy;

	EXPECT_IS(poll(&entry, 1, 0), 1);
	EXPECT_IS(fstat(queue, &status), 0);
	EXPECT(S_ISREG(status.st_mode));
	EXPECT(read(queue, text, sizeof(text)) > 6);
	EXPECT(memcmp(text, "QSIZE:3", 7) == 0);
	EXPECT_ERROR(write(queue, "x", 1), EINVAL);
	copy = dup(queue);
	EXPECT_IS(close(queue), 0);
	take(copy, "abc", 1);
	put(copy, "after", 2);
}

/* The arguments are what to do and, mostly, the number of a queue's descriptor. */
static int executed(int count, char **arguments)
{
	mqd_t queue = count > 1 ? (mqd_t)strtol(arguments[1], NULL, 10) : NONE;
	struct stat status;

	if (count == 2 && strcmp(arguments[0], "use") == 0) {
		take(queue, "before", 1);
		put(queue, "after", 2);
	} else if (count == 2 && strcmp(arguments[0], "gone") == 0) {
		EXPECT_ERROR(mq_send(queue, "x", 1, 0), EBADF);
		EXPECT_ERROR(fcntl(queue, F_GETFD), EBADF);
	} else if (count == 2 && strcmp(arguments[0], "look") == 0) {
		look(queue);
	} else if (count == 2 && strcmp(arguments[0], "close") == 0) {
		EXPECT_IS(close(queue), 0);
		EXPECT_ERROR(read(queue, &status, 1), EBADF);
		EXPECT_IS(dup2(open("/dev/null", O_RDONLY), queue), queue);
		EXPECT_IS(read(queue, &status, 1), 0);
		EXPECT_IS(fstat(queue, &status), 0);
		EXPECT(S_ISCHR(status.st_mode));
	} else if (count == 3 && strcmp(arguments[0], "wait") == 0) {
		/* Says by one descriptor that it runs, and ends when the other one does. */
		int other = (int)strtol(arguments[2], NULL, 10);
		char byte = 0;

		EXPECT_IS(write(queue, &byte, 1), 1);
		EXPECT_IS(read(other, &byte, 1), 0);
	} else {
		conform_fail(__FILE__, __LINE__, "no such thing to execute", count);
	}
	/* Its failures are counted where nobody looks. */
	return conform_failed() ? 1 : 0;
}

int main(int count, char **arguments)
{
	static const struct conform_suite suite = {
		.symbol = "mq_open",
		.unusable = unusable,
		.clean = clean,
		.executed = executed,
	};

	return conform_main(&suite, count, arguments);
}
