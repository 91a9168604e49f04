/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of the queue, with what it changes when it succeeds.  The queue is looked at through
 * a handle of its own, so that the one that operates has everything still to do: pages to reserve,
 * descriptors to open.
 */

#include "failing.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <tenon/queue.h>

#define LONG_BYTES 20000u
#define SHORT_BYTES 40u
#define MESSAGES 4u
#define WAIT_NS 2000000

struct state {
	struct tenon_queue *watch, *queue;
	uint32_t order;
	struct tenon_lease lease;
	struct tenon_loan loan;
	uint64_t receipt;
	struct tenon_queue_options options;
};

static uint8_t bytes[LONG_BYTES], room[4 * LONG_BYTES];

static struct tenon_send_options sending(uint32_t flags)
{
	return (struct tenon_send_options){
		.size = sizeof(struct tenon_send_options), .flags = flags, .key = 2};
}

static struct tenon_receive_options receiving(uint32_t flags)
{
	return (struct tenon_receive_options){.size = sizeof(struct tenon_receive_options),
					      .flags = flags};
}

static int send_short(struct state *state)
{
	struct tenon_send_options options = sending(TENON_NONBLOCK);

	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, &options);
}

static int send_plainly(struct state *state)
{
	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, NULL);
}

static int send_long(struct state *state)
{
	struct tenon_send_options options = sending(TENON_NONBLOCK);

	return tenon_queue_send(state->queue, bytes, LONG_BYTES, &options);
}

static int send_batch(struct state *state)
{
	struct tenon_slice slices[3] = {
		{bytes, SHORT_BYTES}, {bytes, SHORT_BYTES}, {bytes, SHORT_BYTES}};
	struct tenon_send_options options = sending(TENON_NONBLOCK);
	uint32_t sent;
	int result = tenon_queue_send_batch(state->queue, slices, 3, &options, &sent);

	return result == 0 && sent != 3 ? -ERANGE : result;
}

static int send_for_receipt(struct state *state)
{
	struct tenon_send_options options = sending(TENON_NONBLOCK | TENON_WANT_RECEIPT);

	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, &options);
}

static int receive(struct state *state)
{
	struct tenon_receive_options options = receiving(TENON_NONBLOCK);

	return tenon_queue_receive(state->queue, room, sizeof(room), &options, NULL);
}

static int receive_batch(struct state *state)
{
	struct tenon_receive_options options = receiving(TENON_NONBLOCK);
	struct tenon_message messages[3];
	uint32_t count;
	int result = tenon_queue_receive_batch(state->queue, room, sizeof(room), 3, &options,
					       messages, &count);

	return result == 0 && count != 3 ? -ERANGE : result;
}

static int wait_in_vain(struct state *state)
{
	struct tenon_receive_options options = receiving(0);

	options.deadline_ns = tenon_deadline_after(WAIT_NS);
	return tenon_queue_receive(state->queue, room, sizeof(room), &options, NULL);
}

static int take(struct state *state)
{
	struct tenon_receive_options options = receiving(TENON_NONBLOCK);

	return tenon_queue_take(state->queue, &options, &state->lease);
}

static int finish(struct state *state)
{
	return tenon_queue_done(state->queue, &state->lease);
}

static int give_back(struct state *state)
{
	return tenon_queue_return(state->queue, &state->lease);
}

static int loan(struct state *state)
{
	return tenon_queue_loan(state->queue, LONG_BYTES, &state->loan);
}

static int commit(struct state *state)
{
	struct tenon_send_options options = sending(TENON_NONBLOCK);

	return tenon_queue_commit(state->queue, &state->loan, SHORT_BYTES, &options);
}

static int abandon(struct state *state)
{
	return tenon_queue_abandon(state->queue, &state->loan);
}

static int peek(struct state *state)
{
	return tenon_queue_peek(state->queue, MESSAGES - 1, room, sizeof(room), NULL);
}

static int wait_for_room(struct state *state)
{
	uint32_t events;

	return tenon_queue_wait(state->queue, TENON_WRITABLE, tenon_deadline_after(WAIT_NS),
				&events);
}

static int readable_fd(struct state *state)
{
	int fd;

	return tenon_queue_readable_fd(state->queue, &fd);
}

static int writable_fd(struct state *state)
{
	int fd;

	return tenon_queue_writable_fd(state->queue, &fd);
}

static int await_receipt(struct state *state)
{
	return tenon_queue_receipt(state->queue, state->receipt, tenon_deadline_after(WAIT_NS),
				   NULL);
}

static int look(struct state *state)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	return tenon_queue_status(state->queue, &status);
}

static int check(struct state *state)
{
	char text[200];

	return tenon_queue_check(state->queue, text, sizeof(text));
}

static int recover(struct state *state)
{
	return tenon_queue_recover(state->queue, NULL);
}

static int open_existing(struct state *state)
{
	return tenon_queue_open(NULL, "failing", 0, NULL, &state->queue);
}

static int shut(struct state *state)
{
	state->queue = tenon_queue_close(state->queue);
	return 0;
}

static int create(struct state *state)
{
	return tenon_queue_open(NULL, "another", TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				&state->options, &state->queue);
}

static int remove_name(struct state *state)
{
	(void)state;
	return tenon_queue_remove(NULL, "failing");
}

static int count_name(uint32_t kind, const char *name, void *context)
{
	(void)kind;
	(void)name;
	++*(uint32_t *)context;
	return 0;
}

static int list(struct state *state)
{
	uint32_t names = 0;
	int result = tenon_namespace_list(NULL, count_name, &names);

	(void)state;
	return result == 0 && names != 1 ? -ERANGE : result;
}

static int empty(struct state *state)
{
	int result;

	do
		result = receive(state);
	while (result == 0);
	return result == -EAGAIN ? 0 : result;
}

static int with_receipt(struct state *state)
{
	int result = empty(state);

	if (result == 0)
		result = send_for_receipt(state);
	if (result == 0)
		result = tenon_queue_last_receipt(state->queue, &state->receipt);
	return result == 0 ? receive(state) : result;
}

/* `before` runs first, through the watching handle where that is possible; `deltas` are of messages,
 * leases, loans, participants and descriptors. */
static const struct operation {
	const char *name;
	int (*before)(struct state *state);
	int (*run)(struct state *state);
	int normal;
	int messages, leased, loaned, participants, descriptors;
	bool own_handle; /* what `before` made belongs to the handle that operates */
	bool no_handle;	 /* the operation opens one */
} operations[] = {
	{"send", NULL, send_short, 0, 1, 0, 0, 0, 0, false, false},
	{"send-plain", NULL, send_plainly, 0, 1, 0, 0, 0, 0, false, false},
	{"send-long", NULL, send_long, 0, 1, 0, 0, 0, 0, false, false},
	{"send-batch", NULL, send_batch, 0, 3, 0, 0, 0, 0, false, false},
	{"send-receipt", NULL, send_for_receipt, 0, 1, 0, 0, 0, 0, false, false},
	{"receive", NULL, receive, 0, -1, 0, 0, 0, 0, false, false},
	{"receive-batch", NULL, receive_batch, 0, -3, 0, 0, 0, 0, false, false},
	{"receive-wait", empty, wait_in_vain, -ETIMEDOUT, 0, 0, 0, 0, 0, false, false},
	{"take", NULL, take, 0, -1, 1, 0, 0, 0, false, false},
	{"done", take, finish, 0, 0, -1, 0, 0, 0, true, false},
	{"return", take, give_back, 0, 1, -1, 0, 0, 0, true, false},
	{"loan", NULL, loan, 0, 0, 0, 1, 0, 0, false, false},
	{"commit", loan, commit, 0, 1, 0, -1, 0, 0, true, false},
	{"abandon", loan, abandon, 0, 0, 0, -1, 0, 0, true, false},
	{"peek", NULL, peek, 0, 0, 0, 0, 0, 0, false, false},
	{"wait", NULL, wait_for_room, 0, 0, 0, 0, 0, 0, false, false},
	{"readable-fd", NULL, readable_fd, 0, 0, 0, 0, 0, 4, false, false},
	{"writable-fd", NULL, writable_fd, 0, 0, 0, 0, 0, 1, false, false},
	{"receipt", with_receipt, await_receipt, 0, 0, 0, 0, 0, 0, true, false},
	{"status", NULL, look, 0, 0, 0, 0, 0, 0, false, false},
	{"check", NULL, check, 0, 0, 0, 0, 0, 0, false, false},
	{"recover", NULL, recover, 0, 0, 0, 0, 0, 0, false, false},
	{"open", NULL, open_existing, 0, 0, 0, 0, 1, 1, false, true},
	{"close", NULL, shut, 0, 0, 0, 0, -1, -1, false, false},
	{"close-leased", take, shut, 0, 1, -1, 0, -1, -1, true, false},
	{"create", NULL, create, 0, 0, 0, 0, 0, 1, false, true},
	{"remove", NULL, remove_name, 0, 0, 0, 0, 0, 0, false, false},
	{"list", NULL, list, 0, 0, 0, 0, 0, 0, false, false},
};

uint32_t failing_operations(void)
{
	return sizeof(operations) / sizeof(operations[0]);
}

const char *failing_operation_name(uint32_t operation)
{
	return operations[operation].name;
}

struct snapshot {
	struct tenon_queue_status status;
	int descriptors;
};

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* itself, "." and ".." */

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static void __attribute__((noreturn, format(printf, 1, 2))) end_with(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("# ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	fflush(stdout);
	_exit(1);
}

static struct snapshot look_from_outside(struct state *state)
{
	struct snapshot snapshot = {.status.size = sizeof(snapshot.status)};
	int result = tenon_queue_status(state->watch, &snapshot.status);

	if (result != 0)
		end_with("status: %d", result);
	snapshot.descriptors = count_descriptors();
	return snapshot;
}

static void expect(const char *when, const char *what, int64_t before, int64_t delta, int64_t after)
{
	if (before + delta != after)
		end_with("%s: %s were %lld, are %lld, %lld expected", when, what, (long long)before,
			 (long long)after, (long long)(before + delta));
}

static void compare(const char *when, const struct snapshot *before, const struct snapshot *after,
		    const struct operation *change)
{
	expect(when, "messages", (int64_t)before->status.messages, change->messages,
	       (int64_t)after->status.messages);
	expect(when, "leases", (int64_t)before->status.leased, change->leased,
	       (int64_t)after->status.leased);
	expect(when, "loans", (int64_t)before->status.loaned, change->loaned,
	       (int64_t)after->status.loaned);
	expect(when, "participants", before->status.participants, change->participants,
	       after->status.participants);
	/* Where the notice of deaths cannot be had, polling does without it. */
	if (change->descriptors != 4 || after->descriptors - before->descriptors != 1)
		expect(when, "descriptors", before->descriptors, change->descriptors,
		       after->descriptors);
	expect(when, "marks of damage", 0, 0, after->status.damaged);
}

static void prepare(struct state *state, const struct operation *operation)
{
	struct tenon_send_options options = sending(TENON_NONBLOCK);
	int result;

	state->options = (struct tenon_queue_options){.size = sizeof(state->options),
						      .order = state->order,
						      .capacity = 64,
						      .max_message_bytes = LONG_BYTES,
						      .mode = 0600,
						      .max_participants = 8};
	result = tenon_queue_open(NULL, "failing", TENON_QUEUE_CREATE, &state->options,
				  &state->watch);
	for (uint32_t i = 0; result == 0 && i < MESSAGES; i++)
		result = tenon_queue_send(state->watch, bytes, SHORT_BYTES, &options);
	if (result == 0 && !operation->no_handle)
		result = tenon_queue_open(NULL, "failing", 0, NULL, &state->queue);
	if (result == 0 && operation->before) {
		struct tenon_queue *own = state->queue;

		if (!operation->own_handle)
			state->queue = state->watch;
		result = operation->before(state);
		state->queue = own;
	}
	if (result != 0)
		end_with("preparing: %d", result);
}

/* Nothing is left when all is closed. */
static void look_at_the_end(struct state *state, int descriptors)
{
	struct snapshot last;
	char text[200] = "";
	int result;

	tenon_queue_close(state->queue);
	result = tenon_queue_check(state->watch, text, sizeof(text));
	if (result != 0)
		end_with("the check says %d: %s", result, text);
	last = look_from_outside(state);
	expect("at the end", "leases", 0, 0, (int64_t)last.status.leased);
	expect("at the end", "loans", 0, 0, (int64_t)last.status.loaned);
	expect("at the end", "participants", 1, 0, last.status.participants);
	tenon_queue_close(state->watch);
	expect("at the end", "descriptors", descriptors, 0, count_descriptors());
}

void failing_scenario(void *context)
{
	static const struct operation nothing = {.name = "nothing"};
	const struct scenario *scenario = context;
	const struct operation *operation = &operations[scenario->operation];
	struct state state = {.order = scenario->order};
	int descriptors = count_descriptors(), result;
	struct snapshot before, after;

	prepare(&state, operation);
	before = look_from_outside(&state);
	failing_begin();
	result = operation->run(&state);
	failing_end();
	after = look_from_outside(&state);
	if (result != operation->normal) {
		static const int allowed[] = {ENOSPC, ENOMEM, EMFILE, ENFILE, EINTR, EAGAIN};
		bool is_allowed = false;

		for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
			is_allowed |= result == -allowed[i];
		if (!is_allowed)
			end_with("answers %d", result);
		compare("after the failure", &before, &after, &nothing);
		result = operation->run(&state);
		if (result != operation->normal)
			end_with("the next call answers %d", result);
		after = look_from_outside(&state);
	}
	compare("after success", &before, &after, operation);
	look_at_the_end(&state, descriptors);
}
