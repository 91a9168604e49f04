/* SPDX-License-Identifier: Apache-2.0 */

/* mq_notify: what is told, to whom, and of which messages. */

#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>

#include "mq.h"

REQUIREMENT(notify_signal, "mq_notify, DESCRIPTION; sigevent(7), SIGEV_SIGNAL",
	    "a message that comes to the empty queue sends the signal, with SI_MESGQ, value, pid "
	    "and uid of the sender")
{
	mqd_t queue = make_queue(O_RDWR);
	siginfo_t info = {0};

	EXPECT_IS(notify_by_signal(queue, 4711), 0);
	put(queue, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_signo, NOTIFY_SIGNAL);
	EXPECT_IS(info.si_code, SI_MESGQ);
	EXPECT_IS(info.si_value.sival_int, 4711);
	EXPECT_IS(info.si_pid, getpid());
	EXPECT_IS(info.si_uid, getuid());
}

REQUIREMENT(notify_at_once, "mq_notify, on Linux",
	    "who sends it to himself has the signal when the send returns")
{
	mqd_t queue = make_queue(O_RDWR);
	siginfo_t info;
	int late = 0;

	/* Now and then another thread of the process may be faster, and then have no processor before it has sent it. */
	for (int i = 0; i < 10; i++) {
		EXPECT_IS(notify_by_signal(queue, 1), 0);
		put(queue, "x", 1);
		if (!take_signal(&info, 0)) {
			late++;
			EXPECT_TOLD();
		}
		drain(queue);
	}
	EXPECT(late <= 2);
}

REQUIREMENT(notify_pointer, "<signal.h>, union sigval", "the value may be a pointer")
{
	mqd_t queue = make_queue(O_RDWR);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = NOTIFY_SIGNAL,
				 .sigev_value.sival_ptr = &queue};
	siginfo_t info = {0};

	/* Blocks it as well. */
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_notify(queue, NULL), 0);
	EXPECT_IS(mq_notify(queue, &event), 0);
	put(queue, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT(info.si_value.sival_ptr == &queue);
}

REQUIREMENT(notify_handler, "mq_notify, DESCRIPTION",
	    "the signal runs the handler that is installed for it")
{
	mqd_t queue = make_queue(O_RDWR);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	sigset_t none, set;

	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	handle(SIGUSR2, 0);
	EXPECT_IS(mq_notify(queue, &event), 0);
	put(queue, "x", 1);
	EXPECT_ERROR(sigsuspend(&none), EINTR);
	EXPECT_IS(handled, 1);
}

REQUIREMENT(notify_realtime, "sigevent(7), SIGEV_SIGNAL", "the signal may be a real-time one")
{
	mqd_t queue = make_queue(O_RDWR);
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX, .sigev_value.sival_int = -5};
	struct timespec wait = {.tv_sec = SIGNAL_MS / 1000};
	siginfo_t info = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT_IS(mq_notify(queue, &event), 0);
	put(queue, "x", 1);
	EXPECT_IS(sigtimedwait(&set, &info, &wait), SIGRTMAX);
	EXPECT_IS(info.si_code, SI_MESGQ);
	EXPECT_IS(info.si_value.sival_int, -5);
}

REQUIREMENT(notify_other_sender, "mq_notify, DESCRIPTION; sigaction(2), SI_MESGQ",
	    "pid and uid are those of another process that sends")
{
	mqd_t queue = make_queue(O_RDWR);
	siginfo_t info = {0};
	pid_t child;

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	child = conform_start(process_sends, &queue);
	EXPECT(take_signal(&info, SIGNAL_MS));
	conform_await(child);
	EXPECT_IS(info.si_code, SI_MESGQ);
	EXPECT_IS(info.si_pid, child);
	EXPECT_IS(info.si_uid, getuid());
	take(queue, "told", 1);
}

REQUIREMENT(notify_other_user, "mq_notify, DESCRIPTION; sigaction(2), SI_MESGQ",
	    "a sender of another user causes the signal, and his uid is told")
{
	mqd_t queue = make_common();
	siginfo_t info = {0};
	pid_t child;

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	child = conform_start_as(NOBODY, process_sends, &queue);
	EXPECT(take_signal(&info, SIGNAL_MS));
	conform_await(child);
	EXPECT_IS(info.si_code, SI_MESGQ);
	EXPECT_IS(info.si_pid, child);
	EXPECT_IS(info.si_uid, NOBODY);
}

struct registrant {
	mqd_t queue;
	int ready;
	uid_t uid; /* of the sender */
};

static void is_told(void *context)
{
	struct registrant *registrant = context;
	siginfo_t info = {0};

	EXPECT_IS(notify_by_signal(registrant->queue, 1), 0);
	conform_set_word(&registrant->ready, 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_uid, registrant->uid);
}

REQUIREMENT(notify_user_by_root, "mq_notify, DESCRIPTION",
	    "a process of an ordinary user is told of what root sends")
{
	struct registrant *shared = conform_share(sizeof(*shared));
	pid_t child;

	shared->queue = make_common();
	shared->uid = getuid();
	child = conform_start_as(NOBODY, is_told, shared);
	(void)conform_await_word(&shared->ready);
	put(shared->queue, "x", 1);
	conform_await(child);
}

REQUIREMENT(notify_user_by_user, "mq_notify, DESCRIPTION",
	    "a process of an ordinary user is told of what another one sends")
{
	struct registrant *shared = conform_share(sizeof(*shared));
	pid_t child;

	shared->queue = make_common();
	shared->uid = ANN;
	child = conform_start_as(NOBODY, is_told, shared);
	(void)conform_await_word(&shared->ready);
	conform_act_as(ANN, process_sends, &shared->queue);
	conform_await(child);
}

REQUIREMENT(notify_once, "mq_notify, DESCRIPTION", "once told, the registration is gone")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	put(queue, "x", 1);
	EXPECT_TOLD();
	drain(queue);
	put(queue, "x", 1);
	EXPECT_NOT_TOLD();
	conform_act(process_registers, &queue);
}

REQUIREMENT(notify_again, "mq_notify, DESCRIPTION",
	    "who was told may register again, and is told again")
{
	mqd_t queue = make_queue(O_RDWR);

	for (int i = 0; i < 5; i++) {
		siginfo_t info = {0};

		EXPECT_IS(notify_by_signal(queue, i), 0);
		put(queue, "x", 1);
		EXPECT(take_signal(&info, SIGNAL_MS));
		EXPECT_IS(info.si_value.sival_int, i);
		drain(queue);
	}
}

REQUIREMENT(notify_not_empty, "mq_notify, DESCRIPTION",
	    "on a queue that holds messages one is told of none until it was emptied")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "before", 1);
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_NOT_TOLD();
	put(queue, "more", 1);
	EXPECT_NOT_TOLD();
	drain(queue);
	EXPECT_NOT_TOLD();
	put(queue, "first", 1);
	EXPECT_TOLD();
}

static void receives_one(void *context)
{
	char buffer[BYTES];

	EXPECT(mq_receive(*(mqd_t *)context, buffer, sizeof(buffer), NULL) >= 0);
}

REQUIREMENT(notify_blocked_receiver, "mq_notify, DESCRIPTION",
	    "a message that somebody is blocked for satisfies him, and the registration stays")
{
	mqd_t queue = make_queue(O_RDWR);
	pid_t receiver = conform_start(receives_one, &queue);

	conform_await_blocked(receiver, 0);
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	put(queue, "x", 1);
	conform_await(receiver);
	EXPECT_NOT_TOLD();
	conform_act(process_finds_busy, &queue);
	put(queue, "y", 1);
	EXPECT_TOLD();
}

REQUIREMENT(notify_blocked_thread, "mq_notify, DESCRIPTION",
	    "that holds for a receiver with a deadline, and in the process itself")
{
	struct caller caller = {.call = TIMEDRECEIVE, .queue = make_queue(O_RDWR)};

	EXPECT_IS(notify_by_signal(caller.queue, 1), 0);
	caller_block(&caller);
	put(caller.queue, "x", 1);
	caller_join(&caller);
	EXPECT_IS(caller.result, 1);
	EXPECT_NOT_TOLD();
	conform_act(process_finds_busy, &caller.queue);
}

REQUIREMENT(notify_beyond_receiver, "mq_notify, DESCRIPTION",
	    "of two messages for one blocked receiver the second one is told of")
{
	struct caller caller = {.call = RECEIVE, .queue = make_queue(O_RDWR)};

	EXPECT_IS(notify_by_signal(caller.queue, 1), 0);
	caller_block(&caller);
	put(caller.queue, "1", 1);
	put(caller.queue, "2", 1);
	EXPECT_TOLD();
	caller_join(&caller);
	EXPECT_IS(caller.text[0], '1');
	take(caller.queue, "2", 1);
}

static void receives_in_vain(void *context)
{
	struct timespec soon = after_ms(20);

	EXPECT_ERROR(call_until(TIMEDRECEIVE, *(mqd_t *)context, &soon), ETIMEDOUT);
}

REQUIREMENT(notify_receiver_gone, "mq_notify, DESCRIPTION",
	    "a receiver that was blocked and has gone keeps nothing from being told")
{
	mqd_t queue = make_queue(O_RDWR);
	pid_t child;

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	conform_act(receives_in_vain, &queue);
	child = conform_start(receives_one, &queue);
	conform_await_blocked(child, 0);
	conform_kill(child);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

static void polls(void *context)
{
	struct pollfd one = {.fd = *(mqd_t *)context, .events = POLLIN};

	EXPECT_IS(poll(&one, 1, -1), 1);
}

REQUIREMENT(notify_poller, "mq_notify, DESCRIPTION",
	    "who polls is not blocked in a receive: both are told")
{
	mqd_t queue = make_queue(O_RDWR);
	pid_t child = conform_start(polls, &queue);

	conform_await_blocked(child, 0);
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	put(queue, "x", 1);
	EXPECT_TOLD();
	conform_await(child);
}

REQUIREMENT(notify_two_queues, "mq_notify, DESCRIPTION",
	    "a process may be registered at several queues")
{
	mqd_t one = make_queue(O_RDWR), other = make_sized(OTHER, O_RDWR, 2, 8);
	siginfo_t info = {0};

	EXPECT_IS(notify_by_signal(one, 1), 0);
	EXPECT_IS(notify_by_signal(other, 2), 0);
	put(other, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_value.sival_int, 2);
	put(one, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_value.sival_int, 1);
}

REQUIREMENT(notify_write_only, "mq_notify, on Linux", "any access is enough to register")
{
	mqd_t queue = make_queue(O_WRONLY);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(notify_none, "sigevent(7), SIGEV_NONE",
	    "with SIGEV_NONE one is registered, nothing happens, and a message ends it")
{
	mqd_t queue = make_queue(O_RDWR);
	struct sigevent event = {.sigev_notify = SIGEV_NONE, .sigev_signo = SIGKILL};

	EXPECT_IS(mq_notify(queue, &event), 0);
	conform_act(process_finds_busy, &queue);
	put(queue, "x", 1);
	conform_act(process_registers, &queue);
	take(queue, "x", 1);
}

/* Of the thread that is told. */
static struct {
	mqd_t queue;
	int value, tid, detached, processors;
	size_t stack_bytes;
	pthread_t thread;
	int done;
} told;

static void thread_is_told(union sigval value)
{
	pthread_attr_t attributes;
	cpu_set_t processors;

	EXPECT_IS(pthread_getaffinity_np(pthread_self(), sizeof(processors), &processors), 0);
	told.processors = CPU_COUNT(&processors);
	told.value = value.sival_int;
	told.tid = (int)syscall(SYS_gettid);
	told.thread = pthread_self();
	EXPECT_IS(pthread_getattr_np(told.thread, &attributes), 0);
	EXPECT_IS(pthread_attr_getdetachstate(&attributes, &told.detached), 0);
	EXPECT_IS(pthread_attr_getstacksize(&attributes, &told.stack_bytes), 0);
	pthread_attr_destroy(&attributes);
	conform_set_word(&told.done, 1);
}

static int notify_by_thread(mqd_t queue, int value, pthread_attr_t *attributes)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD,
				 .sigev_notify_function = thread_is_told,
				 .sigev_notify_attributes = attributes,
				 .sigev_value.sival_int = value};

	return mq_notify(queue, &event);
}

REQUIREMENT(notify_thread, "XSH 2.4.1, SIGEV_THREAD", "a thread runs the function with the value")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_thread(queue, 815, NULL), 0);
	put(queue, "x", 1);
	(void)conform_await_word(&told.done);
	EXPECT_IS(told.value, 815);
	EXPECT(told.tid != getpid());
	EXPECT_IS(told.detached, PTHREAD_CREATE_DETACHED);
}

REQUIREMENT(notify_thread_attributes, "XSH 2.4.1, SIGEV_THREAD",
	    "the thread has the attributes that are given")
{
	mqd_t queue = make_queue(O_RDWR);
	pthread_attr_t attributes;
	size_t bytes = (size_t)PTHREAD_STACK_MIN + 300 * 4096;

	EXPECT_IS(pthread_attr_init(&attributes), 0);
	EXPECT_IS(pthread_attr_setstacksize(&attributes, bytes), 0);
	EXPECT_IS(notify_by_thread(queue, 1, &attributes), 0);
	EXPECT_IS(pthread_attr_destroy(&attributes), 0);
	put(queue, "x", 1);
	(void)conform_await_word(&told.done);
	EXPECT_IS(told.stack_bytes, bytes);
}

/* The first processor that this process may run on; -1: there is no other. */
static int first_processor(void)
{
	cpu_set_t all;
	int first = 0;

	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	while (!CPU_ISSET(first, &all))
		first++;
	return CPU_COUNT(&all) > 1 ? first : -1;
}

REQUIREMENT(notify_thread_attributes_gone, "XSH 2.4.1, SIGEV_THREAD",
	    "the attributes may be destroyed and used anew once mq_notify has returned")
{
	mqd_t queue = make_queue(O_RDWR);
	int processor = first_processor();
	pthread_attr_t attributes;
	cpu_set_t one;

	if (processor < 0)
		conform_skip("there is one processor");
	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	EXPECT_IS(pthread_attr_init(&attributes), 0);
	EXPECT_IS(pthread_attr_setaffinity_np(&attributes, sizeof(one), &one), 0);
	EXPECT_IS(notify_by_thread(queue, 1, &attributes), 0);
	EXPECT_IS(pthread_attr_destroy(&attributes), 0);
	memset(&attributes, -1, sizeof(attributes));
	put(queue, "x", 1);
	(void)conform_await_word(&told.done);
	EXPECT_IS(told.processors, 1);
}

static void thread_registers_again(union sigval value)
{
	char buffer[BYTES];

	EXPECT_IS(mq_receive(told.queue, buffer, sizeof(buffer), NULL), 1);
	if (value.sival_int < 5) {
		struct sigevent event = {.sigev_notify = SIGEV_THREAD,
					 .sigev_notify_function = thread_registers_again,
					 .sigev_value.sival_int = value.sival_int + 1};

		EXPECT_IS(mq_notify(told.queue, &event), 0);
	}
	__atomic_add_fetch(&told.done, 1, __ATOMIC_RELEASE);
}

REQUIREMENT(notify_thread_again, "mq_notify(3), EXAMPLES",
	    "the thread may receive, and register again")
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD,
				 .sigev_notify_function = thread_registers_again,
				 .sigev_value.sival_int = 1};
	mqd_t queue = make_queue(O_RDWR);

	told.queue = queue;
	EXPECT_IS(mq_notify(queue, &event), 0);
	for (int i = 1; i <= 5; i++) {
		put(queue, "x", 1);
		while (__atomic_load_n(&told.done, __ATOMIC_ACQUIRE) < i)
			(void)sched_yield();
	}
}

REQUIREMENT(notify_thread_other_sender, "XSH 2.4.1, SIGEV_THREAD",
	    "the thread runs where the registration was made, whoever sends")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_thread(queue, 3, NULL), 0);
	conform_act(process_sends, &queue);
	(void)conform_await_word(&told.done);
	EXPECT_IS(told.value, 3);
	take(queue, "told", 1);
}
