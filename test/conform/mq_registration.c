/* SPDX-License-Identifier: Apache-2.0 */

/* mq_notify: who may register, and what ends a registration. */

#include <sys/wait.h>

#include "mq.h"

REQUIREMENT(notify_busy, "mq_notify, ERRORS, EBUSY",
	    "one process can be registered at a queue; another one is refused")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	conform_act(process_finds_busy, &queue);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(notify_busy_self, "mq_notify, ERRORS, EBUSY", "who is registered cannot register again")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_ERROR(notify_by_signal(queue, 2), EBUSY);
	EXPECT_ERROR(notify_by_signal(again, 2), EBUSY);
	process_finds_busy(&queue);
}

REQUIREMENT(notify_remove, "mq_notify, DESCRIPTION, NULL",
	    "NULL removes the registration of the process")
{
	mqd_t queue = make_queue(O_RDWR), again = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_notify(queue, NULL), 0);
	put(queue, "x", 1);
	EXPECT_NOT_TOLD();
	conform_act(process_registers, &queue);
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_notify(again, NULL), 0);
	conform_act(process_registers, &queue);
}

REQUIREMENT(notify_remove_none, "mq_notify, on Linux",
	    "NULL is no error for who is not registered, and leaves another's registration")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_notify(queue, NULL), 0);
	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_notify(queue, NULL), 0);
	EXPECT_IS(mq_notify(queue, NULL), 0);
}

static void removes_none(void *context)
{
	EXPECT_IS(mq_notify(*(mqd_t *)context, NULL), 0);
}

REQUIREMENT(notify_remove_other, "mq_notify, DESCRIPTION, NULL",
	    "a child is not registered: its NULL leaves the parent's registration")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	conform_act(removes_none, &queue);
	conform_act(process_finds_busy, &queue);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(notify_no_signal, "mq_notify, ERRORS, EINVAL; mq_notify(3)",
	    "a number that is no signal's is EINVAL, and nobody is registered")
{
	mqd_t queue = make_queue(O_RDWR);
	static const int wrong[] = {-1, 65, 1000};

	for (int i = 0; i < 3; i++) {
		struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = wrong[i]};

		EXPECT_ERROR(mq_notify(queue, &event), EINVAL);
	}
	process_registers(&queue);
}

REQUIREMENT(notify_signal_zero, "mq_notify, on Linux",
	    "0 is taken for a signal: nothing is sent, and a message ends the registration")
{
	mqd_t queue = make_queue(O_RDWR);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 0};

	EXPECT_IS(mq_notify(queue, &event), 0);
	process_finds_busy(&queue);
	put(queue, "x", 1);
	process_registers(&queue);
}

REQUIREMENT(notify_no_way, "mq_notify(3), EINVAL",
	    "a sigev_notify that is none is EINVAL, and nobody is registered")
{
	mqd_t queue = make_queue(O_RDWR);
	static const int wrong[] = {-1, 3, 77};

	for (int i = 0; i < 3; i++) {
		struct sigevent event = {.sigev_notify = wrong[i], .sigev_signo = SIGUSR1};

		EXPECT_ERROR(mq_notify(queue, &event), EINVAL);
	}
	process_registers(&queue);
}

REQUIREMENT(notify_no_queue, "mq_notify, ERRORS, EBADF",
	    "what is no descriptor of a queue is EBADF, with NULL as well")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(mq_close(queue), 0);
	EXPECT_ERROR(notify_by_signal(queue, 1), EBADF);
	EXPECT_ERROR(mq_notify(queue, NULL), EBADF);
	EXPECT_ERROR(mq_notify(NONE, NULL), EBADF);
	EXPECT_ERROR(notify_by_signal((mqd_t)STDOUT_FILENO, 1), EBADF);
}

/* Nobody is registered, and this process is not told. */
static void expect_gone(mqd_t queue)
{
	conform_act(process_registers, &queue);
	put(queue, "x", 1);
	EXPECT_NOT_TOLD();
}

REQUIREMENT(close_unregisters, "mq_close, DESCRIPTION",
	    "closing the descriptor ends the registration that was made by it")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_close(queue), 0);
	expect_gone(other);
}

REQUIREMENT(close_other_unregisters, "mq_close, on Linux",
	    "closing any of the process's descriptors of the queue ends it")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_close(other), 0);
	expect_gone(queue);
}

REQUIREMENT(close_copy_unregisters, "mq_close, on Linux; dup(2)",
	    "closing a copy of the descriptor ends it")
{
	mqd_t queue = make_queue(O_RDWR), copy = dup(queue);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_close(copy), 0);
	expect_gone(queue);
}

REQUIREMENT(plain_close_unregisters, "mq_close, on Linux; close(2)",
	    "close ends it as mq_close does")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(close(queue), 0);
	expect_gone(other);
}

REQUIREMENT(replacing_unregisters, "mq_close, on Linux; dup2(2)",
	    "putting another file onto the descriptor by dup2 ends it")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(dup2(null, queue), queue);
	expect_gone(other);
}

REQUIREMENT(close_range_unregisters, "mq_close, on Linux; close_range(2)",
	    "close_range ends it as mq_close does")
{
	mqd_t other = make_queue(O_RDWR), queue = open_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(close_range((unsigned)queue, (unsigned)queue, 0), 0);
	expect_gone(other);
}

static void closes(void *context)
{
	EXPECT_IS(mq_close(*(mqd_t *)context), 0);
}

REQUIREMENT(close_elsewhere, "mq_close, DESCRIPTION, that of this process",
	    "that a child closes what it inherited leaves the registration")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	conform_act(closes, &queue);
	conform_act(process_finds_busy, &queue);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

static void opens_and_closes(void *context)
{
	(void)context;
	EXPECT_IS(mq_close(open_queue(O_RDWR)), 0);
}

REQUIREMENT(close_of_another, "mq_close, DESCRIPTION, that of this process",
	    "that another process opens and closes the queue, or ends, leaves the registration")
{
	mqd_t queue = make_queue(O_RDWR);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	conform_act(opens_and_closes, NULL);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(close_other_queue, "mq_close, DESCRIPTION",
	    "closing another queue leaves the registration")
{
	mqd_t queue = make_queue(O_RDWR), other = make_sized(OTHER, O_RDWR, 2, 8);

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_close(other), 0);
	put(queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(unlink_keeps_registration, "mq_unlink, DESCRIPTION",
	    "unlinking leaves the registration, and a new queue of the name has its own")
{
	mqd_t queue = make_queue(O_RDWR), new;
	siginfo_t info = {0};

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	EXPECT_IS(mq_unlink(NAME), 0);
	new = make_queue(O_RDWR);
	EXPECT_IS(notify_by_signal(new, 2), 0);
	put(queue, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_value.sival_int, 1);
	put(new, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_value.sival_int, 2);
}

struct life {
	mqd_t queue;
	int ready, go;
	int told[2], held[2];
};

static void registers_and_waits(void *context)
{
	struct life *life = context;

	EXPECT_IS(notify_by_signal(life->queue, 1), 0);
	conform_set_word(&life->ready, 1);
	(void)conform_await_word(&life->go);
}

REQUIREMENT(exit_unregisters, "mq_close, DESCRIPTION; exit",
	    "the end of the process ends its registration")
{
	struct life *life = conform_share(sizeof(*life));
	pid_t child;

	life->queue = make_queue(O_RDWR);
	child = conform_start(registers_and_waits, life);
	(void)conform_await_word(&life->ready);
	process_finds_busy(&life->queue);
	conform_set_word(&life->go, 1);
	conform_await(child);
	process_registers(&life->queue);
}

REQUIREMENT(death_unregisters, "mq_close, DESCRIPTION; signal(7), SIGKILL",
	    "a process that is killed is registered no longer")
{
	struct life *life = conform_share(sizeof(*life));
	pid_t child;

	life->queue = make_queue(O_RDWR);
	child = conform_start(registers_and_waits, life);
	(void)conform_await_word(&life->ready);
	process_finds_busy(&life->queue);
	conform_kill(child);
	EXPECT_IS(notify_by_signal(life->queue, 1), 0);
	put(life->queue, "x", 1);
	EXPECT_TOLD();
}

REQUIREMENT(death_unregisters_user, "mq_close, DESCRIPTION; signal(7), SIGKILL",
	    "that holds if another user's process was registered")
{
	struct life *life = conform_share(sizeof(*life));
	pid_t child;

	life->queue = make_common();
	child = conform_start_as(NOBODY, registers_and_waits, life);
	(void)conform_await_word(&life->ready);
	process_finds_busy(&life->queue);
	conform_kill(child);
	conform_act_as(ANN, process_registers, &life->queue);
}

static void registers_and_executes(void *context)
{
	struct life *life = context;
	char told[20], held[20];

	EXPECT_IS(notify_by_signal(life->queue, 1), 0);
	snprintf(told, sizeof(told), "%d", life->told[1]);
	snprintf(held, sizeof(held), "%d", life->held[0]);
	close(life->held[1]);
	conform_execute("wait", told, held);
}

REQUIREMENT(exec_unregisters, "mq_close, DESCRIPTION; exec",
	    "exec closes the descriptor, which ends the registration")
{
	struct life *life = conform_share(sizeof(*life));
	char byte;
	pid_t child;

	life->queue = make_queue(O_RDWR);
	REQUIRE(pipe(life->told) == 0 && pipe(life->held) == 0);
	child = conform_start(registers_and_executes, life);
	close(life->told[1]);
	EXPECT_IS(read(life->told[0], &byte, 1), 1);
	process_registers(&life->queue);
	put(life->queue, "x", 1);
	close(life->held[1]);
	conform_await(child);
}

static void child_of_registrant(void *context)
{
	mqd_t queue = *(mqd_t *)context;

	put(queue, "x", 1);
	/* The signal is the parent's. */
	EXPECT_NOT_TOLD();
}

REQUIREMENT(fork_not_registered, "fork, DESCRIPTION; mq_notify",
	    "a child does not inherit the registration: what it sends is told to the parent")
{
	mqd_t queue = make_queue(O_RDWR);
	siginfo_t info = {0};
	pid_t child;

	EXPECT_IS(notify_by_signal(queue, 1), 0);
	child = conform_start(child_of_registrant, &queue);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_pid, child);
	conform_await(child);
}

static void *registers(void *context)
{
	EXPECT_IS(notify_by_signal(*(mqd_t *)context, 9), 0);
	return NULL;
}

REQUIREMENT(notify_process_wide, "mq_notify, DESCRIPTION, calling process",
	    "the registration is the process's: the thread that made it may end")
{
	mqd_t queue = make_queue(O_RDWR);
	siginfo_t info = {0};
	pthread_t thread;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, NOTIFY_SIGNAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	REQUIRE(pthread_create(&thread, NULL, registers, &queue) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	put(queue, "x", 1);
	EXPECT(take_signal(&info, SIGNAL_MS));
	EXPECT_IS(info.si_value.sival_int, 9);
}
