/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message queues of POSIX, killed at the instructions of their calls: points.h.
 *
 * The sleeper polls the descriptor, is registered for notice, or is blocked.  Afterwards no message is lost, the
 * descriptor says exactly what is whenever a call has found nothing, and another process may register at once.
 *
 * Nothing of Tenon's is named here: it is compiled with tenon/compat, and, without it, for the preload library.
 */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "points.h"
#include "step.h"

#define NAME "/victim"
#define OTHER "/other"
#define CAPACITY 2
#define MESSAGE_BYTES 20000
/* Who receives so much takes no stake, by which the others would be told of his death. */
#define SHORT_BYTES 64

enum operation {
	SEND,
	SEND_LONG,
	RECEIVE,
	OPEN,
	MAKE,
	REGISTER,
	WITHDRAW,
	REGISTERED_DIES,
	CLOSE,
	UNLINK,
	SEND_TIMED,
	RECEIVE_TIMED,
	RECEIVE_BLOCKED,
	REGISTER_SIGNAL,
	SEND_TO_ITSELF,
	POLL,
	CLOSE_DESCRIPTOR,
	COPY_OVER,
	FORK,
};
/* IS_OWN: there is none, and this process is registered, without a thread that would look; IS_TOLD_LATER: it registers when the
 * victim is asleep, which is not helped then. */
enum sleeping { POLLS, IS_REGISTERED, IS_BLOCKED, IS_OWN, IS_TOLD_LATER };

static const struct kind {
	enum operation operation;
	enum sleeping sleeping;
	int messages;  /* at first */
	bool for_room; /* what the sleeper waits for, else a message */
	bool has_dead; /* one had registered, and was killed */
} kinds[] = {
	{SEND, POLLS, 0, false, false},
	{SEND, IS_REGISTERED, 0, false, false},
	{SEND, IS_BLOCKED, 0, false, false},
	{SEND, POLLS, CAPACITY - 1, false, false},
	{SEND_LONG, POLLS, 0, false, false},
	{SEND_LONG, IS_REGISTERED, 0, false, false},
	{RECEIVE, POLLS, CAPACITY, true, false},
	{RECEIVE, IS_BLOCKED, CAPACITY, true, false},
	{RECEIVE, POLLS, 1, false, false},
	{OPEN, POLLS, 1, false, false},
	{MAKE, POLLS, 0, false, false},
	{REGISTER, POLLS, 0, false, false},
	{WITHDRAW, POLLS, 0, false, false},
	{REGISTERED_DIES, POLLS, 0, false, false},
	{CLOSE, POLLS, 0, false, false},
	{UNLINK, POLLS, 0, false, false},
	{SEND_TIMED, POLLS, CAPACITY, false, false},
	{RECEIVE_TIMED, POLLS, 0, false, false},
	{RECEIVE, IS_REGISTERED, 1, false, false},
	{RECEIVE_BLOCKED, IS_REGISTERED, 0, false, false},
	{RECEIVE_BLOCKED, IS_REGISTERED, 0, false, true},
	{REGISTER, IS_BLOCKED, 0, false, true},
	{REGISTER, POLLS, 0, false, true},
	{SEND, IS_BLOCKED, 0, false, true},
	{REGISTER_SIGNAL, POLLS, 0, false, false},
	{SEND_TO_ITSELF, POLLS, 0, false, false},
	{POLL, POLLS, 0, false, false},
	{POLL, POLLS, CAPACITY - 1, false, false},
	{POLL, POLLS, CAPACITY, true, false},
	{CLOSE_DESCRIPTOR, POLLS, 0, false, false},
	{COPY_OVER, POLLS, 0, false, false},
	{FORK, POLLS, 0, false, false},
	{SEND, IS_OWN, 0, false, false},
	{RECEIVE_BLOCKED, IS_OWN, 0, false, false},
	{RECEIVE_BLOCKED, IS_TOLD_LATER, 0, false, false},
};

static mqd_t own = -1, victims = -1, another = -1;
static char buffer[MESSAGE_BYTES];
static size_t message_bytes;
static long helped;
static bool has_registered; /* this process: IS_OWN */
static bool has_left_it;    /* asleep: IS_TOLD_LATER */
/* Of the sleeper, shared: when it was told, and when it had registered; or 0. */
static _Atomic int64_t *told_ns, *registered_ns;

static const struct kind *kind_of(const struct points_case *one)
{
	return &kinds[one->number];
}

/* A message may be there that does not come to the empty queue. */
static bool has_old(const struct points_case *one)
{
	return kind_of(one)->operation == RECEIVE && kind_of(one)->sleeping == IS_REGISTERED;
}

static mqd_t open_queue(const char *name, int oflag)
{
	struct mq_attr attributes = {.mq_maxmsg = CAPACITY, .mq_msgsize = (long)message_bytes};

	return mq_open(name, oflag | O_RDWR, 0600, &attributes);
}

static int receive(mqd_t queue)
{
	return (int)mq_receive(queue, buffer, message_bytes, NULL);
}

static long messages(void)
{
	struct mq_attr attributes = {0};

	return mq_getattr(own, &attributes) == 0 ? attributes.mq_curmsgs : -1;
}

static int register_as(mqd_t queue, int notify)
{
	struct sigevent how = {.sigev_notify = notify, .sigev_signo = SIGUSR1};

	return mq_notify(queue, &how);
}

static int register_once(const struct points_case *one)
{
	(void)one;
	return register_as(own, SIGEV_NONE);
}

static bool set_stage(const struct points_case *one)
{
	helped = 0;
	has_registered = has_left_it = false;
	message_bytes = has_old(one) || kind_of(one)->sleeping >= IS_OWN ? SHORT_BYTES
									 : MESSAGE_BYTES;
	if (!told_ns)
		told_ns = mmap(NULL, 2 * sizeof(*told_ns), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (told_ns == MAP_FAILED)
		return false;
	registered_ns = told_ns + 1;
	atomic_store(told_ns, 0);
	atomic_store(registered_ns, 0);
	own = open_queue(NAME, O_CREAT | O_NONBLOCK);
	for (int i = 0; i < kind_of(one)->messages; i++)
		if (mq_send(own, "first", 5, 0) != 0)
			return false;
	if (kind_of(one)->has_dead && points_die_behind(register_once, one) != 0)
		return false;
	if (kind_of(one)->sleeping == IS_OWN && kind_of(one)->operation == SEND)
		has_registered = register_once(one) == 0;
	return own >= 0 && points_are_tenons();
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	mq_close(own);
	mq_unlink(NAME);
	mq_unlink(OTHER);
}

static void block_signal(int signal, sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, signal);
	sigprocmask(SIG_BLOCK, ret_set, NULL);
}

static int prepare(const struct points_case *one)
{
	enum operation operation = kind_of(one)->operation;

	sigset_t set;

	victims = open_queue(NAME, O_NONBLOCK);
	another = operation == COPY_OVER ? open_queue(NAME, O_NONBLOCK) : victims;
	if (victims < 0 || another < 0)
		return -1;
	switch (operation) {
	case SEND_TIMED:
	case RECEIVE_TIMED:
	case RECEIVE_BLOCKED:
		return mq_setattr(victims, &(struct mq_attr){.mq_flags = 0}, NULL);
	case WITHDRAW:
	case REGISTERED_DIES:
	case CLOSE:
	case CLOSE_DESCRIPTOR:
	case COPY_OVER:
		return register_as(victims, SIGEV_NONE);
	case SEND_TO_ITSELF:
		block_signal(SIGUSR1, &set);
		return register_as(victims, SIGEV_SIGNAL);
	case FORK:
		/* It would stop him who is traced. */
		block_signal(SIGCHLD, &set);
		return 0;
	default:
		return 0;
	}
}

/* The child sends, and its parent awaits its end. */
static void fork_sender(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(mq_send(victims, "short", 5, 1) != 0);
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void operate(const struct points_case *one)
{
	struct mq_attr attributes;
	struct timespec soon;

	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = 0;
	soon.tv_sec++;
	switch (kind_of(one)->operation) {
	case SEND:
	case SEND_TO_ITSELF:
		mq_send(victims, "short", 5, 1);
		break;
	case SEND_LONG:
		mq_send(victims, buffer, sizeof(buffer), 1);
		break;
	case RECEIVE:
	case RECEIVE_BLOCKED:
		receive(victims);
		break;
	case OPEN:
		open_queue(NAME, 0);
		break;
	case MAKE:
		open_queue(OTHER, O_CREAT);
		break;
	case REGISTER:
		register_as(victims, SIGEV_NONE);
		break;
	case WITHDRAW:
		mq_notify(victims, NULL);
		break;
	case CLOSE:
		mq_close(victims);
		break;
	case UNLINK:
		mq_unlink(NAME);
		break;
	case SEND_TIMED:
		mq_timedsend(victims, "short", 5, 1, &soon);
		break;
	case RECEIVE_TIMED:
		mq_timedreceive(victims, buffer, message_bytes, NULL, &soon);
		break;
	case REGISTER_SIGNAL:
		register_as(victims, SIGEV_SIGNAL);
		break;
	case POLL:
		poll(&(struct pollfd){.fd = victims, .events = POLLIN | POLLOUT}, 1, 0);
		break;
	case CLOSE_DESCRIPTOR:
		close(victims);
		break;
	case COPY_OVER:
		dup2(victims, another);
		mq_send(another, "short", 5, 1);
		break;
	case FORK:
		fork_sender();
		break;
	case REGISTERED_DIES:
		mq_getattr(victims, &attributes);
	}
}

/* What the sleeper waits for, then. */
static int use(mqd_t queue, bool for_room)
{
	int result = for_room ? mq_send(queue, "sleeper", 7, 0) : receive(queue);

	return result < 0 ? -errno : 0;
}

static int poll_for_it(mqd_t queue, bool for_room)
{
	short event = for_room ? POLLOUT : POLLIN;
	int result = -EAGAIN;

	/* It is told before it is there: beside a victim that is stepped it looks often. */
	while (result == -EAGAIN) {
		struct pollfd entry = {.fd = queue, .events = event};

		if (poll(&entry, 1, (int)(POINTS_PATIENCE_NS / 1000000)) != 1)
			return -ETIME;
		result = use(queue, for_room);
	}
	return result;
}

/* Is told once. */
static int await_notice(mqd_t queue)
{
	struct timespec patience = {.tv_sec = POINTS_PATIENCE_NS / 1000000000}, none = {0};
	sigset_t set;

	block_signal(SIGUSR1, &set);
	if (register_as(queue, SIGEV_SIGNAL) != 0)
		return -errno;
	atomic_store(registered_ns, step_now_ns());
	if (sigtimedwait(&set, NULL, &patience) != SIGUSR1)
		return -ETIME;
	atomic_store(told_ns, step_now_ns());
	return sigtimedwait(&set, NULL, &none) == SIGUSR1 ? -EALREADY : use(queue, false);
}

static int wait_for_it(const struct kind *kind, mqd_t queue)
{
	switch (kind->sleeping) {
	case IS_REGISTERED:
	case IS_TOLD_LATER:
		return await_notice(queue);
	case IS_BLOCKED:
		return use(queue, kind->for_room);
	default:
		return poll_for_it(queue, kind->for_room);
	}
}

static int sleep_for_it(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);
	uint32_t descriptors = points_descriptors();
	mqd_t queue = open_queue(NAME, kind->sleeping == IS_BLOCKED ? 0 : O_NONBLOCK);
	int result = queue < 0 ? -errno : wait_for_it(kind, queue);

	if (result != 0 || mq_close(queue) != 0)
		return result;
	return points_descriptors() == descriptors ? 0 : -EMFILE;
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static bool is_due(const struct points_case *one, bool finished)
{
	(void)finished;
	if (has_old(one))
		return helped > 0;
	return kind_of(one)->for_room ? messages() < CAPACITY : messages() > 0;
}

static int give(void)
{
	helped++;
	return mq_send(own, "help", 4, 0) == 0 ? 0 : -errno;
}

/* Whether nobody is registered. */
static bool is_free(void)
{
	return register_as(own, SIGEV_NONE) == 0 && mq_notify(own, NULL) == 0;
}

/* The notice is given if the one that was there is gone, and not otherwise. */
static int give_behind(const struct points_case *one)
{
	int result = give(), found = 0;

	if (result != 0 || is_free())
		return result;
	for (; receive(own) >= 0; found++)
		;
	helped -= found;
	result = give();
	if (found != kind_of(one)->messages + 1 &&
	    !points_wrong("not told of what came to the empty queue", found))
		result = -ENOMSG;
	return result;
}

static int help(const struct points_case *one)
{
	/* It finds the message, or was told of none. */
	if (atomic_load(told_ns) != 0)
		return 0;
	if (has_old(one))
		return give_behind(one);
	if (kind_of(one)->sleeping == IS_OWN)
		has_registered = register_once(one) == 0;
	if (kind_of(one)->sleeping == IS_TOLD_LATER && !has_left_it) {
		has_left_it = true;
		return 0;
	}
	/* It came when the victim had a lock, and waits for that first. */
	if (kind_of(one)->sleeping == IS_TOLD_LATER && atomic_load(registered_ns) == 0)
		return step_now_ns() < points_killed_ns() + POINTS_PATIENCE_NS ? 0 : -ETIME;
	if (!kind_of(one)->for_room)
		return give();
	helped++;
	return receive(own) < 0 ? -errno : 0;
}

static bool prove_state(short expected, const char *what)
{
	struct pollfd entry = {.fd = own, .events = POLLIN | POLLOUT};

	poll(&entry, 1, 0);
	return entry.revents == expected || points_wrong(what, entry.revents);
}

/* What is there, and what each call leaves to be polled. */
static bool prove_use(long least, long most)
{
	long found = 0;

	while (receive(own) >= 0)
		found++;
	if (errno != EAGAIN)
		return points_wrong("receiving", errno);
	if (found < least || found > most)
		return points_wrong("messages", found);
	if (!prove_state(POLLOUT, "empty, and polled"))
		return false;
	for (found = 0; found < CAPACITY + 1 && mq_send(own, "1", 1, 0) == 0; found++)
		if (!prove_state(found + 1 < CAPACITY ? POLLIN | POLLOUT : POLLIN,
				 "a message, and polled"))
			return false;
	if (found != CAPACITY)
		return points_wrong("room", found);
	while (receive(own) >= 0)
		;
	return prove_state(POLLOUT, "empty again, and polled");
}

static bool prove_registering(void)
{
	if (register_as(own, SIGEV_NONE) != 0)
		return points_wrong("registering", errno);
	return mq_notify(own, NULL) == 0 || points_wrong("withdrawing", errno);
}

/* With somebody blocked, who gets it, the notice is not given. */
static bool prove_unblocked(const struct points_case *one)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(receive(open_queue(NAME, 0)) < 0);
	while (!step_is_asleep(pid, NULL))
		sched_yield();
	if (give() != 0 || waitpid(pid, NULL, 0) != pid)
		return points_wrong("a blocked receiver", errno);
	helped--;
	return points_die_behind(register_once, one) != 0 ||
	       points_wrong("told of what a blocked one got", 0);
}

/* This process is registered still, or a message is there. */
static bool prove_registered(const struct points_case *one)
{
	bool is_over = points_die_behind(register_once, one) == 0;

	if (is_over != (messages() > 0))
		return points_wrong("registered or not, and messages", messages());
	if (!is_over && !prove_unblocked(one))
		return false;
	return is_over || mq_notify(own, NULL) == 0;
}

static bool sends(enum operation operation)
{
	return operation == SEND || operation == SEND_LONG || operation == SEND_TO_ITSELF ||
	       operation == COPY_OVER || operation == FORK;
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	const struct kind *kind = kind_of(one);
	long least = kind->messages, most;
	int64_t before_ns, took_ns;
	bool right;

	/* It starts processes, which may wait for a processor. */
	if (has_registered && !prove_registered(one))
		return false;
	before_ns = step_now_ns();
	if (answer != POINTS_NO_ANSWER)
		least += kind->for_room ? 1 : -1;
	least += helped * (kind->for_room ? -1 : 1);
	most = least;
	if (sends(kind->operation)) {
		most++;
		least += finished;
	}
	if (kind->operation == RECEIVE || kind->operation == RECEIVE_BLOCKED) {
		least--;
		most -= finished;
	}
	if (kind->operation == RECEIVE_BLOCKED && atomic_load(told_ns) != 0 &&
	    atomic_load(told_ns) < points_killed_ns())
		return points_wrong("told, and somebody was blocked", helped);
	right = prove_registering() && prove_use(least, most) && prove_registering();
	took_ns = step_now_ns() - before_ns;
	if (right && points_is_slow(took_ns))
		right = points_slow("a survivor waited: ns", took_ns);
	return right;
}

#define ALONE(text, row, ...)                                                                \
	{                                                                                    \
		.name = (text), .number = (row), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__  \
	}
#define CASE(text, row, ...)                                                            \
	ALONE(text, row, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
	      .help = help, __VA_ARGS__)
#define NO_SLEEPER .no_sleeper = true

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("send/polled", 0),
		CASE("send/registered", 1),
		CASE("send/blocked", 2),
		ALONE("send-last/alone", 3, NO_SLEEPER),
		CASE("send-long/polled", 4),
		CASE("send-long/registered", 5),
		CASE("receive-full/polled", 6),
		CASE("receive-full/blocked", 7),
		ALONE("receive-last/alone", 8, NO_SLEEPER),
		ALONE("open/alone", 9, NO_SLEEPER),
		CASE("make/polled", 10),
		CASE("register/polled", 11),
		CASE("withdraw/polled", 12),
		CASE("registered-dies/polled", 13),
		CASE("close/polled", 14),
		ALONE("unlink/alone", 15, NO_SLEEPER),
		ALONE("timed-send/alone", 16, NO_SLEEPER, .may_wait = true),
		ALONE("timed-receive/alone", 17, NO_SLEEPER, .may_wait = true),
		CASE("receive-last/registered", 18),
		CASE("receive-blocked/registered", 19, .may_wait = true, .helps_again = true),
		CASE("receive-blocked/registered/dead", 20, .may_wait = true, .helps_again = true),
		CASE("register/blocked/dead", 21),
		CASE("register/polled/dead", 22),
		CASE("send/blocked/dead", 23),
		CASE("register-signal/polled", 24, .has_threads = true),
		CASE("send-to-itself/polled", 25, .has_threads = true),
		CASE("poll/polled", 26, .is_rival = true),
		ALONE("poll-one/alone", 27, NO_SLEEPER),
		CASE("poll-full/polled", 28, .is_rival = true),
		CASE("close-descriptor/polled", 29),
		CASE("copy-over/polled", 30),
		CASE("fork/polled", 31, .has_threads = true, .forks = true),
		ALONE("send/own-registered", 32, NO_SLEEPER),
		ALONE("receive-blocked/own-registered", 33, NO_SLEEPER, .may_wait = true,
		      .help = help),
		CASE("receive-blocked/registered-later", 34, .may_wait = true, .is_second = true,
		     .helps_again = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
