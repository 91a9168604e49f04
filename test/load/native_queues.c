/* SPDX-License-Identifier: Apache-2.0 */

/* Queues of each order: load.h. */

#include "load.h"

#include <errno.h>
#include <string.h>

#include <tenon/event.h>
#include <tenon/queue.h>
#include <tenon/waitset.h>

#define BATCH 8u
#define PARTICIPANTS 64u

struct load_queue {
	const char *name;
	uint32_t order, full;
	uint64_t capacity;
	struct tenon_queue *queue;
};

static struct load_queue queues[] = {
	{"/fifo", TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 32, NULL},
	{"/priority", TENON_QUEUE_PRIORITY, TENON_QUEUE_WAIT, 32, NULL},
	{"/typed", TENON_QUEUE_TYPED, TENON_QUEUE_WAIT, 32, NULL},
	{"/newest", TENON_QUEUE_FIFO, TENON_QUEUE_DROP_OLDEST, 8, NULL},
	{"/meet", TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, TENON_QUEUE_RENDEZVOUS, NULL},
};

#define TIMELY LOAD_MAY(ETIMEDOUT, EAGAIN)

static int open_queue(const struct load_queue *place, struct tenon_queue **ret_queue)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = place->order,
					      .full = place->full,
					      .capacity = place->capacity,
					      .max_message_bytes = LOAD_TEXT_BYTES,
					      .mode = 0600,
					      .max_participants = PARTICIPANTS};

	return load_expect(place->name,
			   tenon_queue_open(NULL, place->name, TENON_CREATE, &options, ret_queue),
			   LOAD_MAY(EAGAIN));
}

static int64_t soon(void)
{
	return tenon_deadline_after(1 + load_random(1000000));
}

static uint64_t any_key(const struct load_queue *place)
{
	return place->order == TENON_QUEUE_FIFO ? 0 : 1 + load_random(4);
}

static int send_one(const struct load_queue *place)
{
	struct tenon_send_options options = {
		.size = sizeof(options), .deadline_ns = soon(), .key = any_key(place)};
	char text[LOAD_TEXT_BYTES];
	size_t bytes = load_text(text);

	return load_expect("send", tenon_queue_send(place->queue, text, bytes, &options), TIMELY);
}

static int send_batch(const struct load_queue *place)
{
	struct tenon_send_options options = {
		.size = sizeof(options), .deadline_ns = soon(), .key = any_key(place)};
	struct tenon_slice slices[BATCH];
	char text[LOAD_TEXT_BYTES];
	size_t bytes = load_text(text);
	uint32_t sent;

	for (uint32_t i = 0; i < BATCH; i++)
		slices[i] = (struct tenon_slice){text, bytes};
	return load_expect("send_batch",
			   tenon_queue_send_batch(place->queue, slices, BATCH, &options, &sent),
			   LOAD_MAY(ETIMEDOUT, EAGAIN, EOPNOTSUPP));
}

static int send_loan(const struct load_queue *place)
{
	struct tenon_send_options options = {
		.size = sizeof(options), .deadline_ns = soon(), .key = any_key(place)};
	char text[LOAD_TEXT_BYTES];
	size_t bytes = load_text(text);
	struct tenon_loan loan;
	int result = tenon_queue_loan(place->queue, bytes, &loan);

	if (result != 0)
		return load_wrong("loan", -result);
	memcpy(loan.data, text, bytes);
	result = load_random(4) ? tenon_queue_commit(place->queue, &loan, bytes, &options)
				: -ETIMEDOUT;
	/* A loan to a rendezvous that nobody came to is gone. */
	if (result != 0 && tenon_queue_abandon(place->queue, &loan) != 0 &&
	    place->capacity != TENON_QUEUE_RENDEZVOUS)
		return load_wrong("abandon", 0);
	return load_expect("commit", result, TIMELY);
}

static int is_whole(const char *text, uint64_t bytes)
{
	return load_is_text(text, bytes) ? 0 : load_wrong("a torn message", 0);
}

static int receive_one(const struct load_queue *place)
{
	struct tenon_receive_options options = {.size = sizeof(options), .deadline_ns = soon()};
	struct tenon_message message;
	char text[LOAD_TEXT_BYTES];
	int result;

	if (place->order == TENON_QUEUE_TYPED) {
		options.select = load_random(TENON_SELECT_LOWEST_TO + 1);
		options.select_key = 1 + load_random(4);
	}
	result = tenon_queue_receive(place->queue, text, sizeof(text), &options, &message);
	return result == 0 ? is_whole(text, message.bytes) : load_expect("receive", result, TIMELY);
}

static int receive_batch(const struct load_queue *place)
{
	struct tenon_receive_options options = {.size = sizeof(options), .deadline_ns = soon()};
	struct tenon_message messages[BATCH];
	char text[BATCH * LOAD_TEXT_BYTES];
	const char *at = text;
	uint32_t count;
	int result;

	result = tenon_queue_receive_batch(place->queue, text, sizeof(text), BATCH, &options,
					   messages, &count);
	if (result != 0)
		return load_expect("receive_batch", result, TIMELY);
	for (uint32_t i = 0; i < count; at += messages[i++].bytes)
		if (is_whole(at, messages[i].bytes) != 0)
			return -1;
	return 0;
}

static int take_one(const struct load_queue *place)
{
	struct tenon_receive_options options = {.size = sizeof(options), .deadline_ns = soon()};
	struct tenon_lease lease;
	int result = tenon_queue_take(place->queue, &options, &lease);

	if (result != 0)
		return load_expect("take", result, TIMELY);
	if (is_whole(lease.data, lease.message.bytes) != 0)
		return -1;
	result = load_random(4) ? tenon_queue_done(place->queue, &lease)
				: tenon_queue_return(place->queue, &lease);
	return load_expect("done", result, LOAD_MAY(0));
}

static int look_at(const struct load_queue *place)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	int result = tenon_queue_status(place->queue, &status);

	if (result != 0 || status.damaged || (place->capacity && status.messages > place->capacity))
		return load_wrong("status", -result);
	return load_expect("recover", tenon_queue_recover(place->queue, NULL), LOAD_MAY(0));
}

static int use(struct load_queue *place)
{
	switch (load_random(8)) {
	case 0:
		return send_batch(place);
	case 1:
		return send_loan(place);
	case 2:
		return send_one(place);
	case 3:
		return receive_batch(place);
	case 4:
		return take_one(place);
	case 5:
		return look_at(place);
	default:
		return receive_one(place);
	}
}

static int queue_round(void)
{
	struct load_queue *place = &queues[load_random(sizeof(queues) / sizeof(queues[0]))];
	int result;

	if (!place->queue && open_queue(place, &place->queue) != 0)
		return -1;
	result = use(place);
	if (load_random(256) == 0)
		place->queue = tenon_queue_close(place->queue);
	return result;
}

/* What is removed goes with the last who has it open. */
static int queue_remove_round(void)
{
	struct load_queue place = {"/queue-gone", TENON_QUEUE_FIFO, TENON_QUEUE_WAIT, 4, NULL};
	int result;

	if (open_queue(&place, &place.queue) != 0)
		return -1;
	/* Others may have made and removed it again and again meanwhile. */
	if (!place.queue)
		return 0;
	result = use(&place);
	if (load_random(2))
		result |= load_expect("remove", tenon_queue_remove(NULL, place.name),
				      LOAD_MAY(ENOENT));
	tenon_queue_close(place.queue);
	return result;
}

/* Waits for a queue, an event, and a while; some by the descriptor, for which a thread is started. */
static int wait_in(struct tenon_waitset *set, struct tenon_queue *queue, struct tenon_event *event)
{
	struct tenon_waitset_event seen[3];
	uint32_t count;
	int fd, result;

	result = tenon_waitset_add_queue(set, queue, TENON_READABLE, 0, NULL);
	if (result == 0)
		result = tenon_waitset_add_event(set, event, 1, NULL);
	if (result == 0)
		result = tenon_waitset_add_timer(set, soon(), 0, 2, NULL);
	if (result == 0 && load_random(8) == 0)
		result = tenon_waitset_fd(set, &fd);
	if (result == 0)
		result = tenon_waitset_wait(set, soon(), seen, 3, &count);
	return load_expect("waitset", result, LOAD_MAY(ETIMEDOUT));
}

static int waitset_round(void)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = PARTICIPANTS};
	struct tenon_waitset *set = NULL;
	struct tenon_event *event = NULL;
	struct tenon_queue *queue = NULL;
	int result = open_queue(&queues[0], &queue);

	if (result == 0)
		result = load_expect(
			"event", tenon_event_open(NULL, "/waited", TENON_CREATE, &options, &event),
			LOAD_MAY(0));
	if (result == 0)
		result = load_expect("waitset", tenon_waitset_create(0, &set), LOAD_MAY(0));
	if (result == 0 && load_random(2))
		result = load_expect("set", tenon_event_set(event), LOAD_MAY(0));
	if (result == 0)
		result = wait_in(set, queue, event);
	tenon_waitset_close(set);
	tenon_event_close(event);
	tenon_queue_close(queue);
	return result;
}

const struct load_activity load_native_queues[] = {
	/* Twice, and so as often again as the others: there are several orders. */
	{"queue", queue_round},	    {"queue", queue_round}, {"queue-remove", queue_remove_round},
	{"waitset", waitset_round}, {NULL, NULL},
};
