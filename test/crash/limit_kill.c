/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Queues with a limit of bytes, and queues that are destroyed, killed at the instructions of what is done to them:
 * points.h.  A bystander is asleep before the sleeper is, and first to be woken: where a queue is destroyed it has to end, too;
 * where there is a limit it waits for more room than there will be, and must not keep the wake.
 *
 * Whether the sleeper can go on is read from the words: any call on the queue would repair it, and wake.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object/queue_limit.h"
#include "points.h"
#include "step.h"

#define NAME "/victim"
#define LIMIT 100u
#define LONG_BYTES 1000u

enum operation {
	DESTROY_RECEIVERS,
	DESTROY_TYPED,
	DESTROY_SENDERS,
	DESTROY_RECEIPTS,
	DESTROY_POLLED,
	RAISE,
	RAISE_POLLED,
	FIRST_LIMIT,
	LIFT,
	RECEIVE,
	RECEIVE_TYPED,
	SEND,
	SEND_ASLEEP,
	COMMIT,
	CASES
};

/* What is queued at the beginning, as lengths; what the bystander and the sleeper do: 0 receive, else send so much. */
static const struct stage {
	uint32_t order, capacity;
	uint64_t limit;
	uint32_t queued[3], bystander, sleeper;
} stages[CASES] = {
	[DESTROY_RECEIVERS] = {TENON_QUEUE_FIFO, 4, 0, {0}, 0, 0},
	[DESTROY_TYPED] = {TENON_QUEUE_TYPED, 4, LIMIT, {0}, 0, 0},
	[DESTROY_SENDERS] = {TENON_QUEUE_FIFO, 1, 0, {7}, 8, 9},
	[DESTROY_RECEIPTS] = {TENON_QUEUE_PRIORITY, 4, 0, {0}, 8, 9},
	[DESTROY_POLLED] = {TENON_QUEUE_FIFO, 1, 0, {7}, 8, 9},
	[RAISE] = {TENON_QUEUE_FIFO, 8, LIMIT, {LIMIT}, LONG_BYTES, 50},
	[RAISE_POLLED] = {TENON_QUEUE_FIFO, 8, LIMIT, {LIMIT}, LONG_BYTES, 50},
	[FIRST_LIMIT] = {TENON_QUEUE_FIFO, 1, 0, {7}, 8, 9},
	[LIFT] = {TENON_QUEUE_TYPED, 8, LIMIT, {LIMIT}, 0, 50},
	[RECEIVE] = {TENON_QUEUE_FIFO, 8, LIMIT, {10, 90}, LIMIT, 10},
	[RECEIVE_TYPED] = {TENON_QUEUE_TYPED, 8, LIMIT, {10, 90}, LIMIT, 10},
	[SEND] = {TENON_QUEUE_FIFO, 8, LIMIT, {0}, 0, 0},
	[SEND_ASLEEP] = {TENON_QUEUE_FIFO, 8, LIMIT, {LIMIT}, 0, 40},
	[COMMIT] = {TENON_QUEUE_TYPED, 8, LIMIT, {0}, 0, 0},
};

static struct tenon_queue *own, *victims;
static struct tenon_loan loan;
static char bytes[LONG_BYTES];
static int writable; /* own one's */
static pid_t bystander;

static struct tenon_queue *open_queue(void)
{
	struct tenon_queue *queue = NULL;

	return tenon_queue_open(NULL, NAME, 0, NULL, &queue) == 0 ? queue : NULL;
}

static bool is_destruction(const struct points_case *one)
{
	return one->number <= DESTROY_POLLED;
}

static int send_bytes(struct tenon_queue *queue, uint32_t length, uint32_t flags)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .flags = flags,
					     .deadline_ns = points_deadline(),
					     .key = 1};
	uint64_t receipt;
	int result = tenon_queue_send(queue, bytes, length, &options);

	if (result != 0 || !(flags & TENON_WANT_RECEIPT))
		return result;
	result = tenon_queue_last_receipt(queue, &receipt);
	return result == 0 ? tenon_queue_receipt(queue, receipt, points_deadline(), NULL) : result;
}

/* The length, or an error. */
static int receive_bytes(struct tenon_queue *queue, uint32_t flags)
{
	struct tenon_receive_options options = {
		.size = sizeof(options), .flags = flags, .deadline_ns = points_deadline()};
	struct tenon_message message;
	char buffer[LONG_BYTES];
	int result = tenon_queue_receive(queue, buffer, sizeof(buffer), &options, &message);

	return result == 0 ? (int)message.bytes : result;
}

static int take_part(const struct points_case *one, uint32_t length)
{
	struct tenon_queue *queue = open_queue();
	int result = queue ? 0 : -EBADF;

	if (result == 0 && length > 0)
		return send_bytes(queue, length,
				  one->number == DESTROY_RECEIPTS ? TENON_WANT_RECEIPT : 0);
	if (result == 0)
		result = receive_bytes(queue, 0);
	return result > 0 ? 0 : result;
}

static int sleep_for_it(const struct points_case *one)
{
	return take_part(one, stages[one->number].sleeper);
}

static bool start_bystander(const struct points_case *one)
{
	bool is_there = is_destruction(one) || stages[one->number].bystander > 0;

	if (!is_there)
		return true;
	bystander = fork();
	if (bystander == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(take_part(one, stages[one->number].bystander) == -EIDRM ? 0 : 1);
	}
	while (bystander > 0 && !step_is_asleep(bystander, NULL))
		;
	return bystander > 0;
}

static void end_bystander(void)
{
	if (bystander > 0) {
		kill(bystander, SIGKILL);
		waitpid(bystander, NULL, 0);
	}
	bystander = 0;
}

/* It has been told of the end, by whoever woke it. */
static bool prove_bystander(void)
{
	int64_t deadline_ns = points_deadline();
	int status = 0;

	while (waitpid(bystander, &status, WNOHANG) == 0)
		if (step_now_ns() > deadline_ns)
			return points_wrong("the bystander sleeps on", 0);
	bystander = 0;
	return status == 0 || points_wrong("the bystander's end", status);
}

static bool set_stage(const struct points_case *one)
{
	const struct stage *stage = &stages[one->number];
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = stage->order,
					      .capacity = stage->capacity,
					      .max_message_bytes = LONG_BYTES,
					      .mode = 0600,
					      .max_participants = 16,
					      .max_bytes = stage->limit};
	int result = tenon_queue_open(NULL, NAME, TENON_QUEUE_CREATE, &options, &own);

	if (result == 0 && (one->number == DESTROY_POLLED || one->number == RAISE_POLLED))
		result = tenon_queue_writable_fd(own, &writable);
	for (uint32_t i = 0; i < 3 && stage->queued[i] > 0 && result == 0; i++)
		result = send_bytes(own, stage->queued[i], TENON_NONBLOCK);
	return result == 0 && start_bystander(one);
}

/* In the victim. */
static int prepare(const struct points_case *one)
{
	int fd;

	victims = open_queue();
	if (!victims)
		return -1;
	if (one->number == DESTROY_POLLED || one->number == RAISE_POLLED)
		return tenon_queue_writable_fd(victims, &fd);
	return one->number == COMMIT ? tenon_queue_loan(victims, 60, &loan) : 0;
}

static void operate(const struct points_case *one)
{
	struct tenon_send_options options = {.size = sizeof(options), .key = 1};

	switch (one->number) {
	case RAISE:
	case RAISE_POLLED:
		(void)!tenon_queue_set_max_bytes(victims, LIMIT + 50);
		break;
	case FIRST_LIMIT:
		(void)!tenon_queue_set_max_bytes(victims, LIMIT);
		break;
	case LIFT:
		(void)!tenon_queue_set_max_bytes(victims, 0);
		break;
	case RECEIVE:
	case RECEIVE_TYPED:
		(void)!receive_bytes(victims, 0);
		break;
	case SEND:
	case SEND_ASLEEP:
		(void)!send_bytes(victims, 60, 0);
		break;
	case COMMIT:
		(void)!tenon_queue_commit(victims, &loan, 60, &options);
		break;
	default:
		(void)!tenon_queue_destroy(victims);
	}
}

static bool is_right(const struct points_case *one, int answer)
{
	return answer == 0 || (is_destruction(one) && answer == -EIDRM && tni_is_destroyed(own));
}

static bool is_due(const struct points_case *one, bool finished)
{
	uint64_t done = tni_receive_view(&own->control->receive).done;

	switch (one->number) {
	case RAISE:
	case RAISE_POLLED:
	case LIFT:
		return tni_get64(&own->control->max_bytes) != LIMIT;
	case RECEIVE:
	case RECEIVE_TYPED:
	case SEND_ASLEEP:
		return done > 0;
	case SEND:
	case COMMIT:
		return finished || tni_send_view(&own->control->send).sent > 0;
	case FIRST_LIMIT:
		return false;
	default:
		return tni_is_destroyed(own);
	}
}

/* So that the sleeper can go on, whatever the victim has done. */
static int help(const struct points_case *one)
{
	const struct stage *stage = &stages[one->number];
	int result;

	if (stage->sleeper == 0 || one->number == LIFT) {
		result = stage->sleeper == 0 ? send_bytes(own, 3, TENON_NONBLOCK)
					     : receive_bytes(own, TENON_NONBLOCK);
		if (result == 0 && is_destruction(one))
			result = send_bytes(own, 3, TENON_NONBLOCK);
	} else {
		result = receive_bytes(own, 0);
	}
	/* The two of a queue of one: whoever is the second. */
	if (result > 0 && stage->bystander > 0 && stage->capacity == 1)
		result = receive_bytes(own, 0);
	if (result > 0 && one->number == DESTROY_RECEIPTS)
		result = receive_bytes(own, 0);
	return result > 0 ? 0 : result;
}

/* All of what is there has a length that somebody sent. */
static bool prove_messages(const struct points_case *one)
{
	static const int lengths[] = {3, 7, 8, 9, 10, 40, 50, 60, 90, LIMIT, LONG_BYTES};
	int length = 0;
	char text[200];

	(void)one;
	if (tenon_queue_check(own, text, sizeof(text)) != 0)
		return points_wrong(text, 0);
	while ((length = receive_bytes(own, TENON_NONBLOCK)) >= 0) {
		bool known = false;

		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			known |= length == lengths[i];
		if (!known)
			return points_wrong("a message of bytes", length);
	}
	return length == -EAGAIN || points_wrong("receive", length);
}

static bool prove_limit(void)
{
	struct tenon_queue *fresh = open_queue();
	bool right = fresh && tenon_queue_set_max_bytes(fresh, 20) == 0 &&
		     send_bytes(fresh, 20, TENON_NONBLOCK) == 0 &&
		     send_bytes(own, 1, TENON_NONBLOCK) == -EAGAIN &&
		     tenon_queue_set_max_bytes(own, 0) == 0 &&
		     receive_bytes(fresh, TENON_NONBLOCK) == 20 &&
		     send_bytes(own, 21, TENON_NONBLOCK) == 0 &&
		     receive_bytes(fresh, TENON_NONBLOCK) == 21;

	fresh = tenon_queue_close(fresh);
	return right || points_wrong("the limit afterwards", 0);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct pollfd entry = {.fd = writable, .events = POLLIN};
	struct tenon_queue *fresh;
	uint64_t limit;

	(void)answer;
	if (tni_is_destroyed(own)) {
		if (!is_destruction(one) || !prove_bystander())
			return points_wrong("it is destroyed", one->number);
		if (one->number == DESTROY_POLLED && poll(&entry, 1, 0) != 1)
			return points_wrong("who polls is not told", 0);
		fresh = open_queue();
		return (!fresh && tenon_queue_status(own, &status) == 0 && status.destroyed) ||
		       points_wrong("it is not destroyed for all", 0);
	}
	end_bystander();
	if (is_destruction(one) && finished)
		return points_wrong("it is not destroyed", 0);
	if (tenon_queue_status(own, &status) != 0 || status.damaged)
		return points_wrong("status", (int64_t)status.damaged);
	limit = stages[one->number].limit;
	if (status.max_bytes != limit && one->number > LIFT)
		return points_wrong("the limit", (int64_t)status.max_bytes);
	if (finished && status.max_bytes == limit && one->number >= RAISE && one->number <= LIFT)
		return points_wrong("the limit", (int64_t)status.max_bytes);
	return prove_messages(one) && prove_limit();
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	end_bystander();
	own = tenon_queue_close(own);
	tenon_queue_remove(NULL, NAME);
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
		.help = help, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__              \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("destroy-receivers", DESTROY_RECEIVERS, ),
		CASE("destroy-typed", DESTROY_TYPED, ),
		CASE("destroy-senders", DESTROY_SENDERS, ),
		CASE("destroy-receipts", DESTROY_RECEIPTS, ),
		CASE("destroy-polled", DESTROY_POLLED, ),
		CASE("raise", RAISE, ),
		CASE("raise-polled", RAISE_POLLED, ),
		CASE("first-limit", FIRST_LIMIT, .no_sleeper = true),
		CASE("lift", LIFT, ),
		CASE("receive", RECEIVE, ),
		CASE("receive-typed", RECEIVE_TYPED, ),
		CASE("send", SEND, ),
		CASE("send-asleep", SEND_ASLEEP, .may_wait = true),
		CASE("commit", COMMIT, ),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
