/* SPDX-License-Identifier: Apache-2.0 */

/* Each call with random arguments; what it must answer is known before. */

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "model_world.h"

#define BATCH 40u
#define ENOUGH 300u /* messages in a queue without bounds */
#define MOST_BYTES 70000u
#define PASSED_NS 1

static uint8_t buffer[BATCH * 1024 + MOST_BYTES], pattern[MOST_BYTES];

uint64_t rnd(uint64_t bound)
{
	world->random ^= world->random << 13;
	world->random ^= world->random >> 7;
	world->random ^= world->random << 17;
	return (world->random >> 11) % bound;
}

bool one_in(uint64_t count)
{
	return rnd(count) == 0;
}

void trace(const char *format, ...)
{
	char *line = world->trace[world->steps++ % TRACE_LINES];
	int begun = snprintf(line, TRACE_BYTES,
			     "%llu process %u: ", (unsigned long long)world->steps, process);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + begun, TRACE_BYTES - (size_t)begun, format, arguments);
	va_end(arguments);
}

void expect(int64_t actual, int64_t expected, const char *what)
{
	const struct tenon_queue_options *options = &model->options;

	if (actual == expected)
		return;
	printf("# %s is %lld and not %lld; order %u full %u capacity %llu max %llu%s, seed %llu\n",
	       what, (long long)actual, (long long)expected, options->order, options->full,
	       (unsigned long long)options->capacity,
	       (unsigned long long)options->max_message_bytes, world->polled ? " polled" : "",
	       (unsigned long long)world->seed);
	for (uint32_t i = 0; i < TRACE_LINES; i++)
		printf("#   %s\n", world->trace[(world->steps + i) % TRACE_LINES]);
	contract_fail(__FILE__, __LINE__, what, actual);
	contract_give_up();
}

static void expect_message(const struct model_message *wanted, const struct tenon_message *message,
			   const void *data, uint64_t bytes)
{
	expect((int64_t)message->sequence, (int64_t)wanted->sequence, "sequence");
	expect((int64_t)message->bytes, (int64_t)wanted->bytes, "bytes");
	expect((int64_t)message->key, (int64_t)wanted->key, "key");
	expect(message->deliveries, wanted->deliveries, "deliveries");
	expect(message->sender_pid, wanted->sender_pid, "sender_pid");
	bytes = bytes < wanted->bytes ? bytes : wanted->bytes;
	model_fill(pattern, bytes, wanted->pattern);
	expect(bytes > 0 ? memcmp(pattern, data, bytes) : 0, 0, "difference of contents");
}

static uint64_t some_bytes(void)
{
	static const uint32_t edges[] = {0,    1,    7,	   8,	  9,	 63,	64,   65,
					 255,  256,  257,  1023,  1024,	 1025,	2047, 2048,
					 4095, 4096, 4097, 16383, 16384, 16385, 32768};
	uint64_t most = model->options.max_message_bytes, bytes;

	switch (rnd(8)) {
	case 0:
		return most - rnd(2 < most ? 2 : most + 1);
	case 1:
		bytes = rnd(most + 1);
		break;
	case 2:
	case 3:
		bytes = edges[rnd(sizeof(edges) / sizeof(edges[0]))];
		break;
	default:
		bytes = rnd(200);
		break;
	}
	return bytes < most ? bytes : most;
}

static uint64_t some_key(void)
{
	static const uint64_t keys[] = {0, 1, 2, 3, 7, 32766, 32767};
	static const uint64_t types[] = {0, 1, 2, 3, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};

	/* Times when all have one key, and times when they have not. */
	if (world->one_key != 0)
		return model->options.order == TENON_QUEUE_TYPED ? types[world->one_key]
								 : keys[world->one_key];
	return model->options.order == TENON_QUEUE_TYPED ? types[rnd(7)] : keys[rnd(7)];
}

static struct tenon_send_options some_send(void)
{
	struct tenon_send_options options = {.size = sizeof(options), .key = some_key()};

	if (one_in(2))
		options.flags = TENON_NONBLOCK;
	else
		options.deadline_ns = PASSED_NS;
	return options;
}

static struct tenon_receive_options some_receive(void)
{
	struct tenon_receive_options options = {.size = sizeof(options)};

	if (model->options.order == TENON_QUEUE_TYPED && one_in(2)) {
		options.select = (uint32_t)rnd(4);
		options.select_key = some_key();
	}
	if (one_in(2))
		options.flags = TENON_NONBLOCK;
	else
		options.deadline_ns = PASSED_NS;
	return options;
}

/* What a send answers. */
static int send_result(const struct tenon_send_options *options, uint64_t bytes)
{
	if (model_fits(model, bytes))
		return 0;
	switch (model->options.full) {
	case TENON_QUEUE_DROP_OLDEST:
		return model_next(model, TENON_SELECT_ANY, 0) ? 0 : -EAGAIN;
	case TENON_QUEUE_DROP_NEWEST:
		return 0;
	case TENON_QUEUE_FAIL:
		return -EAGAIN;
	default:
		return options->flags & TENON_NONBLOCK ? -EAGAIN : -ETIMEDOUT;
	}
}

/* Of a send that succeeded; NULL: it was dropped. */
static struct model_message *sent(uint64_t bytes, uint64_t key, uint64_t number)
{
	struct model_message *message;

	if (!model_fits(model, bytes)) {
		if (model->options.full == TENON_QUEUE_DROP_NEWEST) {
			model->dropped_newest++;
			return NULL;
		}
		model_end(model, model_next(model, TENON_SELECT_ANY, 0), 0);
	}
	message = model_send(model, bytes, key, number, getpid());
	REQUIRE(message);
	return message;
}

static bool is_full_enough(void)
{
	return model->options.capacity == TENON_QUEUE_UNBOUNDED && model->count > ENOUGH;
}

static struct model_receipt *free_receipt(uint32_t *ret_index)
{
	for (uint32_t i = 0; i < MODEL_RECEIPTS; i++) {
		if (model->receipts[i].handle != MODEL_NOBODY)
			continue;
		*ret_index = i;
		return &model->receipts[i];
	}
	return NULL;
}

static void keep_receipt(uint32_t own, struct model_message *message)
{
	uint32_t index = 0;
	struct model_receipt *receipt = free_receipt(&index);

	*receipt = (struct model_receipt){.handle = process * HANDLES_EACH + own,
					  .result = -ETIMEDOUT};
	expect(tenon_queue_last_receipt(queues[own], &receipt->number), 0, "last_receipt");
	message->receipt = index + 1;
}

static void do_send(uint32_t own, struct handle *handle)
{
	struct tenon_send_options options = some_send();
	uint64_t bytes = some_bytes(), number = ++world->patterns;
	struct model_message *message;
	uint32_t unused;
	int result = send_result(&options, bytes);

	(void)handle;
	if (is_full_enough())
		return;
	if (one_in(8) && free_receipt(&unused))
		options.flags |= TENON_WANT_RECEIPT;
	if (one_in(50))
		bytes = model->options.max_message_bytes + 1;
	if (bytes > model->options.max_message_bytes)
		result = -EMSGSIZE;
	if (model->options.order == TENON_QUEUE_PRIORITY && result == 0 && one_in(50)) {
		options.key = TENON_QUEUE_PRIORITY_MAX + 1;
		result = -EINVAL;
	}
	trace("send %llu bytes, key %llu, flags %x: %d", (unsigned long long)bytes,
	      (unsigned long long)options.key, options.flags, result);
	model_fill(buffer, bytes, number);
	expect(tenon_queue_send(queues[own], buffer, bytes, &options), result, "send");
	if (result != 0)
		return;
	message = sent(bytes, options.key, number);
	if (message && (options.flags & TENON_WANT_RECEIPT))
		keep_receipt(own, message);
}

static void do_send_batch(uint32_t own, struct handle *handle)
{
	struct tenon_send_options options = some_send();
	struct tenon_slice slices[BATCH];
	uint32_t count = 1 + (uint32_t)rnd(BATCH), done = 0;
	uint64_t first = world->patterns + 1, offset = 0;
	int result;

	(void)handle;
	if (is_full_enough())
		return;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t bytes = some_bytes();

		if (offset + bytes > sizeof(buffer))
			bytes = 0;
		model_fill(buffer + offset, bytes, ++world->patterns);
		slices[i] = (struct tenon_slice){.data = buffer + offset, .bytes = bytes};
		offset += bytes;
	}
	result = send_result(&options, slices[0].bytes);
	trace("send_batch %u, key %llu, flags %x: %d", count, (unsigned long long)options.key,
	      options.flags, result);
	expect(tenon_queue_send_batch(queues[own], slices, count, &options, &done), result,
	       "send_batch");
	if (result != 0)
		return;
	/* The rest goes as far as it goes without waiting. */
	options.flags = TENON_NONBLOCK;
	for (uint32_t i = 0; i < count; i++) {
		if (send_result(&options, slices[i].bytes) != 0) {
			expect(done, i, "sent of a batch");
			return;
		}
		(void)sent(slices[i].bytes, options.key, first + i);
	}
	expect(done, count, "sent of a batch");
}

static int receive_result(const struct tenon_receive_options *options,
			  const struct model_message *message)
{
	if (message)
		return 0;
	return options->flags & TENON_NONBLOCK ? -EAGAIN : -ETIMEDOUT;
}

static void do_receive(uint32_t own, struct handle *handle)
{
	struct tenon_receive_options options = some_receive();
	struct model_message *next = model_next(model, options.select, options.select_key);
	uint64_t capacity = one_in(8) ? some_bytes() : MOST_BYTES;
	int result = receive_result(&options, next);
	struct tenon_message message;

	(void)handle;
	if (one_in(3))
		options.flags |= TENON_TRUNCATE;
	if (next && next->bytes > capacity && !(options.flags & TENON_TRUNCATE))
		result = -EMSGSIZE;
	trace("receive into %llu, select %u %llu, flags %x: %d", (unsigned long long)capacity,
	      options.select, (unsigned long long)options.select_key, options.flags, result);
	expect(tenon_queue_receive(queues[own], buffer, capacity, &options, &message), result,
	       "receive");
	if (result != 0)
		return;
	expect_message(next, &message, buffer, capacity);
	model->last_receiver_pid = getpid();
	model_end(model, next, getpid());
}

static void do_receive_batch(uint32_t own, struct handle *handle)
{
	struct tenon_receive_options options = some_receive();
	struct model_message *next = model_next(model, options.select, options.select_key);
	uint64_t capacity = one_in(4) ? some_bytes() : sizeof(buffer), offset = 0;
	struct tenon_message messages[BATCH];
	uint32_t count = 1 + (uint32_t)rnd(BATCH), done = 0;
	int result = receive_result(&options, next);

	(void)handle;
	if (next && next->bytes > capacity)
		result = -EMSGSIZE;
	trace("receive_batch %u into %llu, select %u %llu, flags %x: %d", count,
	      (unsigned long long)capacity, options.select, (unsigned long long)options.select_key,
	      options.flags, result);
	expect(tenon_queue_receive_batch(queues[own], buffer, capacity, count, &options, messages,
					 &done),
	       result, "receive_batch");
	if (result != 0)
		return;
	REQUIRE(done >= 1 && done <= count);
	for (uint32_t i = 0; i < done; i++) {
		next = model_next(model, options.select, options.select_key);
		REQUIRE(next && offset + next->bytes <= capacity);
		expect_message(next, &messages[i], buffer + offset, next->bytes);
		offset += next->bytes;
		model_end(model, next, getpid());
	}
	model->last_receiver_pid = getpid();
}

static void do_take(uint32_t own, struct handle *handle)
{
	struct tenon_receive_options options = some_receive();
	struct model_message *next = model_next(model, options.select, options.select_key);
	int result = receive_result(&options, next);
	uint32_t i = (uint32_t)rnd(HELD);

	if (handle->leases[i].is_held)
		return;
	trace("take, select %u %llu: %d", options.select, (unsigned long long)options.select_key,
	      result);
	expect(tenon_queue_take(queues[own], &options, &handle->leases[i].lease), result, "take");
	if (result != 0)
		return;
	expect_message(next, &handle->leases[i].lease.message, handle->leases[i].lease.data,
		       next->bytes);
	handle->leases[i].is_held = true;
	handle->leases[i].sequence = next->sequence;
	next->holder = process * HANDLES_EACH + own;
	model->last_receiver_pid = getpid();
}

static void do_end_lease(uint32_t own, struct handle *handle)
{
	uint32_t i = (uint32_t)rnd(HELD), at = 0;
	bool done = one_in(2);

	if (!handle->leases[i].is_held)
		return;
	while (model->messages[at].sequence != handle->leases[i].sequence)
		at++;
	trace("%s of %llu", done ? "done" : "return",
	      (unsigned long long)handle->leases[i].sequence);
	if (one_in(4))
		expect(tenon_queue_done(queues[own ^ 1], &handle->leases[i].lease), -EINVAL,
		       "done of another handle's lease");
	model_fill(pattern, model->messages[at].bytes, model->messages[at].pattern);
	expect(memcmp(pattern, handle->leases[i].lease.data, model->messages[at].bytes), 0,
	       "difference of what is under lease");
	expect(done ? tenon_queue_done(queues[own], &handle->leases[i].lease)
		    : tenon_queue_return(queues[own], &handle->leases[i].lease),
	       0, "end of a lease");
	handle->leases[i].is_held = false;
	if (!done) {
		model_put_back(model, &model->messages[at]);
		return;
	}
	model_end(model, &model->messages[at], getpid());
	model->last_receiver_pid = 0;
}

static void do_loan(uint32_t own, struct handle *handle)
{
	uint32_t i = (uint32_t)rnd(HELD);
	uint64_t bytes = some_bytes();

	if (handle->loans[i].is_held)
		return;
	trace("loan of %llu", (unsigned long long)bytes);
	expect(tenon_queue_loan(queues[own], bytes, &handle->loans[i].loan), 0, "loan");
	memset(handle->loans[i].loan.data, 0xee, bytes);
	handle->loans[i].is_held = true;
	model->loaned++;
}

static void do_commit(uint32_t own, struct handle *handle)
{
	struct tenon_send_options options = some_send();
	uint32_t i = (uint32_t)rnd(HELD);
	struct tenon_loan *loan = &handle->loans[i].loan;
	uint64_t bytes, number = ++world->patterns;
	int result;

	if (!handle->loans[i].is_held || is_full_enough())
		return;
	bytes = one_in(2) ? loan->bytes : rnd(loan->bytes + 1);
	result = send_result(&options, bytes);
	trace("commit of %llu, key %llu: %d", (unsigned long long)bytes,
	      (unsigned long long)options.key, result);
	if (one_in(4))
		expect(tenon_queue_commit(queues[own ^ 1], loan, bytes, &options), -EINVAL,
		       "commit of another handle's loan");
	model_fill(loan->data, bytes, number);
	expect(tenon_queue_commit(queues[own], loan, bytes, &options), result, "commit");
	if (result != 0)
		return;
	handle->loans[i].is_held = false;
	model->loaned--;
	(void)sent(bytes, options.key, number);
}

static void do_abandon(uint32_t own, struct handle *handle)
{
	uint32_t i = (uint32_t)rnd(HELD);

	if (!handle->loans[i].is_held)
		return;
	trace("abandon");
	expect(tenon_queue_abandon(queues[own ^ 1], &handle->loans[i].loan), -EINVAL,
	       "abandon of another handle's loan");
	expect(tenon_queue_abandon(queues[own], &handle->loans[i].loan), 0, "abandon");
	handle->loans[i].is_held = false;
	model->loaned--;
}

static void do_peek(uint32_t own, struct handle *handle)
{
	uint64_t position = rnd(model_queued(model) + 2), capacity = one_in(4) ? some_bytes() : 256;
	const struct model_message *wanted = model_at(model, position);
	struct tenon_message message;

	(void)handle;
	trace("peek at %llu: %d", (unsigned long long)position, wanted ? 0 : -ENOENT);
	expect(tenon_queue_peek(queues[own], position, buffer, capacity, &message),
	       wanted ? 0 : -ENOENT, "peek");
	if (wanted)
		expect_message(wanted, &message, buffer, capacity);
}

static void do_receipt(uint32_t own, struct handle *handle)
{
	struct model_receipt *receipt = &model->receipts[rnd(MODEL_RECEIPTS)];
	int32_t pid = -1;

	(void)handle;
	if (receipt->handle != process * HANDLES_EACH + own)
		return;
	trace("receipt: %d", receipt->result);
	expect(tenon_queue_receipt(queues[own ^ 1], receipt->number, PASSED_NS, NULL), -EINVAL,
	       "receipt of another handle");
	expect(tenon_queue_receipt(queues[own], receipt->number, PASSED_NS, &pid), receipt->result,
	       "receipt");
	if (receipt->result == 0)
		expect(pid, receipt->pid, "receiver's pid");
	if (receipt->result != -ETIMEDOUT)
		receipt->handle = MODEL_NOBODY;
}

static void do_wait(uint32_t own, struct handle *handle)
{
	uint32_t events = 1 + (uint32_t)rnd(3), wanted = 0, now = 0;

	(void)handle;
	if ((events & TENON_READABLE) && model_queued(model) > 0)
		wanted |= TENON_READABLE;
	if ((events & TENON_WRITABLE) && model_room(model) > 0)
		wanted |= TENON_WRITABLE;
	trace("wait for %u: %u", events, wanted);
	expect(tenon_queue_wait(queues[own], events, PASSED_NS, &now), wanted ? 0 : -ETIMEDOUT,
	       "wait");
	expect(now, wanted, "events");
}

/* DROP_OLDEST has none here: how much it drops in vain beside leases is not of interest. */
static void do_limit(uint32_t own, struct handle *handle)
{
	uint64_t limit = one_in(3) ? 0 : 1 + rnd(4 * model->options.max_message_bytes + 8);

	(void)handle;
	if (model->options.full == TENON_QUEUE_DROP_OLDEST)
		return;
	trace("limit of %llu", (unsigned long long)limit);
	expect(tenon_queue_set_max_bytes(queues[own], limit), 0, "set_max_bytes");
	model->options.max_bytes = limit;
}

static void do_status(uint32_t own, struct handle *handle)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	uint64_t queued = model_queued(model);

	(void)handle;
	trace("status");
	expect(tenon_queue_status(queues[own], &status), 0, "status");
	expect((int64_t)status.max_bytes, (int64_t)model->options.max_bytes, "max_bytes");
	expect((int64_t)status.messages, (int64_t)queued, "messages");
	expect((int64_t)status.leased, (int64_t)(model->count - queued), "leased");
	expect((int64_t)status.loaned, (int64_t)model->loaned, "loaned");
	expect((int64_t)status.message_bytes, (int64_t)model_bytes(model, true), "message_bytes");
	expect((int64_t)status.sent, (int64_t)(model->appended + model->dropped_newest), "sent");
	expect((int64_t)status.sent_bytes, (int64_t)model->sent_bytes, "sent_bytes");
	expect((int64_t)status.received, (int64_t)model->received, "received");
	expect((int64_t)status.received_bytes, (int64_t)model->received_bytes, "received_bytes");
	expect((int64_t)status.dropped, (int64_t)(model->dropped_oldest + model->dropped_newest),
	       "dropped");
	expect((int64_t)status.redelivered, (int64_t)model->redelivered, "redelivered");
	expect((int64_t)status.high_messages, (int64_t)model->high_messages, "high_messages");
	expect((int64_t)status.high_bytes, (int64_t)model->high_bytes, "high_bytes");
	expect(status.participants, world->attached, "participants");
	expect(status.last_sender_pid, model->last_sender_pid, "last_sender_pid");
	/* Whether a lease's end counts is not said. */
	if (model->last_receiver_pid != 0)
		expect(status.last_receiver_pid, model->last_receiver_pid, "last_receiver_pid");
	expect((int64_t)(status.send_waits + status.receive_waits + status.repairs), 0,
	       "waits and repairs");
}

static void do_check(uint32_t own, struct handle *handle)
{
	char text[200] = "";
	int result;

	(void)handle;
	trace("check");
	result = tenon_queue_check(queues[own], text, sizeof(text));
	expect(result, 0, result == 0 ? "check" : text);
}

void one_call(uint32_t own, bool sends)
{
	static const struct {
		void (*call)(uint32_t own, struct handle *handle);
		uint32_t weight[2]; /* while the queue is being emptied, filled */
	} calls[] = {
		{do_send, {30, 60}},	    {do_send_batch, {4, 10}}, {do_receive, {60, 25}},
		{do_receive_batch, {8, 3}}, {do_take, {12, 12}},      {do_end_lease, {24, 12}},
		{do_loan, {6, 10}},	    {do_commit, {8, 12}},     {do_abandon, {2, 2}},
		{do_peek, {4, 4}},	    {do_receipt, {20, 20}},   {do_wait, {4, 4}},
		{do_status, {10, 10}},	    {do_check, {1, 1}},	      {do_limit, {2, 2}},
	};
	uint64_t sum = 0, chosen;
	uint32_t i = 0;

	for (uint32_t j = 0; j < sizeof(calls) / sizeof(calls[0]); j++)
		sum += calls[j].weight[sends];
	for (chosen = rnd(sum); chosen >= calls[i].weight[sends]; i++)
		chosen -= calls[i].weight[sends];
	calls[i].call(own, &world->handles[process * HANDLES_EACH + own]);
}
