/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message queues of POSIX, killed at the instructions of their calls: points.h.
 *
 * The sleeper polls the descriptor, is registered for notice, or is blocked.  Afterwards no message is lost, the
 * descriptor says exactly what is whenever a call has found nothing, and another process may register at once.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tenon/posix.h>

#include "points.h"
#include "step.h"

#define NAME "/victim"
#define OTHER "/other"
#define CAPACITY 2
#define MESSAGE_BYTES 20000

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
	RECEIVE_TIMED
};
enum sleeping { POLLS, IS_REGISTERED, IS_BLOCKED };

static const struct kind {
	enum operation operation;
	enum sleeping sleeping;
	int messages;  /* at first */
	bool for_room; /* what the sleeper waits for, else a message */
} kinds[] = {
	{SEND, POLLS, 0, false},
	{SEND, IS_REGISTERED, 0, false},
	{SEND, IS_BLOCKED, 0, false},
	{SEND, POLLS, CAPACITY - 1, false},
	{SEND_LONG, POLLS, 0, false},
	{SEND_LONG, IS_REGISTERED, 0, false},
	{RECEIVE, POLLS, CAPACITY, true},
	{RECEIVE, IS_BLOCKED, CAPACITY, true},
	{RECEIVE, POLLS, 1, false},
	{OPEN, POLLS, 1, false},
	{MAKE, POLLS, 0, false},
	{REGISTER, POLLS, 0, false},
	{WITHDRAW, POLLS, 0, false},
	{REGISTERED_DIES, POLLS, 0, false},
	{CLOSE, POLLS, 0, false},
	{UNLINK, POLLS, 0, false},
	{SEND_TIMED, POLLS, CAPACITY, false},
	{RECEIVE_TIMED, POLLS, 0, false},
};

static mqd_t own = -1, victims = -1;
static char buffer[MESSAGE_BYTES];

static const struct kind *kind_of(const struct points_case *one)
{
	return &kinds[one->number];
}

static mqd_t open_queue(const char *name, int oflag)
{
	struct mq_attr attributes = {.mq_maxmsg = CAPACITY, .mq_msgsize = MESSAGE_BYTES};

	return tenon_mq_open(name, oflag | O_RDWR, 0600, &attributes);
}

static int receive(mqd_t queue)
{
	return (int)tenon_mq_receive(queue, buffer, sizeof(buffer), NULL);
}

static long messages(void)
{
	struct mq_attr attributes = {0};

	return tenon_mq_getattr(own, &attributes) == 0 ? attributes.mq_curmsgs : -1;
}

static bool set_stage(const struct points_case *one)
{
	own = open_queue(NAME, O_CREAT | O_NONBLOCK);
	for (int i = 0; i < kind_of(one)->messages; i++)
		if (tenon_mq_send(own, "first", 5, 0) != 0)
			return false;
	return own >= 0;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	tenon_mq_close(own);
	tenon_mq_unlink(NAME);
	tenon_mq_unlink(OTHER);
}

static int register_as(mqd_t queue, int notify)
{
	struct sigevent how = {.sigev_notify = notify, .sigev_signo = SIGUSR1};

	return tenon_mq_notify(queue, &how);
}

static int prepare(const struct points_case *one)
{
	enum operation operation = kind_of(one)->operation;

	victims = open_queue(NAME, O_NONBLOCK);
	if (victims < 0)
		return -1;
	if (operation == SEND_TIMED || operation == RECEIVE_TIMED)
		return tenon_mq_setattr(victims, &(struct mq_attr){.mq_flags = 0}, NULL);
	if (operation == WITHDRAW || operation == REGISTERED_DIES || operation == CLOSE)
		return register_as(victims, SIGEV_NONE);
	return 0;
}

static void operate(const struct points_case *one)
{
	struct timespec soon;

	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = 0;
	soon.tv_sec++;
	switch (kind_of(one)->operation) {
	case SEND:
		tenon_mq_send(victims, "short", 5, 1);
		break;
	case SEND_LONG:
		tenon_mq_send(victims, buffer, sizeof(buffer), 1);
		break;
	case RECEIVE:
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
		tenon_mq_notify(victims, NULL);
		break;
	case CLOSE:
		tenon_mq_close(victims);
		break;
	case UNLINK:
		tenon_mq_unlink(NAME);
		break;
	case SEND_TIMED:
		tenon_mq_timedsend(victims, "short", 5, 1, &soon);
		break;
	case RECEIVE_TIMED:
		tenon_mq_timedreceive(victims, buffer, sizeof(buffer), NULL, &soon);
		break;
	default:
		tenon_mq_setattr(victims, NULL, NULL);
	}
}

/* What the sleeper waits for, then. */
static int use(mqd_t queue, bool for_room)
{
	int result = for_room ? tenon_mq_send(queue, "sleeper", 7, 0) : receive(queue);

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

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (register_as(queue, SIGEV_SIGNAL) != 0)
		return -errno;
	if (sigtimedwait(&set, NULL, &patience) != SIGUSR1)
		return -ETIME;
	return sigtimedwait(&set, NULL, &none) == SIGUSR1 ? -EALREADY : use(queue, false);
}

static int sleep_for_it(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);
	bool blocks = kind->sleeping == IS_BLOCKED;
	mqd_t queue = open_queue(NAME, blocks ? 0 : O_NONBLOCK);

	if (queue < 0)
		return -errno;
	if (kind->sleeping == IS_REGISTERED)
		return await_notice(queue);
	return blocks ? use(queue, kind->for_room) : poll_for_it(queue, kind->for_room);
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static bool is_due(const struct points_case *one, bool finished)
{
	(void)finished;
	return kind_of(one)->for_room ? messages() < CAPACITY : messages() > 0;
}

static long helped;

static int help(const struct points_case *one)
{
	helped++;
	if (kind_of(one)->for_room)
		return receive(own) < 0 ? -errno : 0;
	return tenon_mq_send(own, "help", 4, 0) == 0 ? 0 : -errno;
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
	for (found = 0; found < CAPACITY + 1 && tenon_mq_send(own, "1", 1, 0) == 0; found++)
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
	return tenon_mq_notify(own, NULL) == 0 || points_wrong("withdrawing", errno);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	const struct kind *kind = kind_of(one);
	long least = kind->messages, most;
	int64_t before_ns = step_now_ns(), took_ns;
	bool right;

	if (answer != POINTS_NO_ANSWER)
		least += kind->for_room ? 1 : -1;
	least += helped * (kind->for_room ? -1 : 1);
	helped = 0;
	most = least;
	if (kind->operation == SEND || kind->operation == SEND_LONG) {
		most++;
		least += finished;
	}
	if (kind->operation == RECEIVE) {
		least--;
		most -= finished;
	}
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
#define CASE(text, row)                                                                 \
	ALONE(text, row, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
	      .help = help)
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
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
