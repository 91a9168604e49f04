/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of the queue, with what it changes when it succeeds.  The queue is looked at through
 * a handle of its own, so that the one that operates has everything still to do: pages to reserve,
 * descriptors to open.
 */

#include "failing.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object/queue_private.h"

#define WAIT_NS 2000000

static uint8_t bytes[LONG_BYTES], room[4 * LONG_BYTES];

struct tenon_send_options failing_sending(uint32_t flags)
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
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK);

	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, &options);
}

static int send_plainly(struct state *state)
{
	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, NULL);
}

static int send_long(struct state *state)
{
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK);

	return tenon_queue_send(state->queue, bytes, LONG_BYTES, &options);
}

static int send_batch(struct state *state)
{
	struct tenon_slice slices[3] = {
		{bytes, SHORT_BYTES}, {bytes, SHORT_BYTES}, {bytes, SHORT_BYTES}};
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK);
	uint32_t sent;
	int result = tenon_queue_send_batch(state->queue, slices, 3, &options, &sent);

	return result == 0 && sent != 3 ? -ERANGE : result;
}

static int send_for_receipt(struct state *state)
{
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK | TENON_WANT_RECEIPT);

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
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK);

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

/* Sleeps for room, for somebody who receives, or for neither. */
static int send_in_vain(struct state *state)
{
	struct tenon_send_options options = failing_sending(0);

	options.deadline_ns = tenon_deadline_after(WAIT_NS);
	return tenon_queue_send(state->queue, bytes, SHORT_BYTES, &options);
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

/* A failing look at whether somebody lives leaves him alive; the next one finds him dead. */
static int recover_again(struct state *state)
{
	int result = tenon_queue_recover(state->queue, NULL);

	return result == 0 ? tenon_queue_recover(state->queue, NULL) : result;
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

/* Another process does something with the queue that is inherited, and stays until it is killed. */
static int start_helper(struct state *state, void (*run)(struct state *state))
{
	state->helper = fork();
	if (state->helper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(state);
		for (;;)
			pause();
	}
	return state->helper > 0 ? 0 : -errno;
}

static void bring(struct state *state)
{
	tenon_queue_send(state->watch, bytes, SHORT_BYTES, NULL);
}

/* A sender sleeps until its message is received. */
static int with_sender(struct state *state)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	int result = start_helper(state, bring);

	while (result == 0 && status.messages == 0)
		result = tenon_queue_status(state->watch, &status);
	return result;
}

static void take_and_die(struct state *state)
{
	struct tenon_lease lease;

	if (tenon_queue_take(state->watch, NULL, &lease) == 0)
		kill(getpid(), SIGKILL);
	_exit(1);
}

static void lock_and_die(struct state *state, uint32_t side)
{
	struct tni_call call;

	if (tni_call_begin(&call, state->watch) == 0 && tni_side_lock(&call, side, INT64_MAX) == 0)
		kill(getpid(), SIGKILL);
	_exit(1);
}

static void lock_senders_and_die(struct state *state)
{
	lock_and_die(state, TNI_SEND);
}

static void lock_receivers_and_die(struct state *state)
{
	lock_and_die(state, TNI_RECEIVE);
}

static int die(struct state *state, void (*run)(struct state *state))
{
	int status = 0, result = start_helper(state, run);

	if (result == 0 && waitpid(state->helper, &status, 0) != state->helper)
		result = -errno;
	state->helper = 0;
	return result == 0 && !WIFSIGNALED(status) ? -ERANGE : result;
}

static int with_dead_holder(struct state *state)
{
	return die(state, take_and_die);
}

static int with_dead_sender(struct state *state)
{
	return die(state, lock_senders_and_die);
}

static int with_dead_receiver(struct state *state)
{
	return die(state, lock_receivers_and_die);
}

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct operation operations[] = {
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
	{"send-full", NULL, send_in_vain, -ETIMEDOUT, .capacity = MESSAGES},
	{"drop-oldest", NULL, send_short, 0, .capacity = MESSAGES, .full = TENON_QUEUE_DROP_OLDEST},
	{"drop-newest", NULL, send_short, 0, .capacity = MESSAGES, .full = TENON_QUEUE_DROP_NEWEST},
	{"rendezvous-send", NULL, send_in_vain, -ETIMEDOUT, .is_rendezvous = true},
	{"rendezvous-receive", NULL, wait_in_vain, -ETIMEDOUT, .is_rendezvous = true},
	{"rendezvous-meet", with_sender, receive, 0, .messages = -1, .is_rendezvous = true},
	{"recover-lease", with_dead_holder, recover_again, 0, .messages = 1, .leased = -1,
	 .participants = -1},
	{"recover-lock", with_dead_receiver, recover_again, 0, .participants = -1},
	{"send-repair", with_dead_sender, send_short, 0, .messages = 1, .participants = ANY},
	{"receive-repair", with_dead_receiver, receive, 0, .messages = -1, .participants = ANY},
	{"take-repair", with_dead_receiver, take, 0, .messages = -1, .leased = 1,
	 .participants = ANY},
	{"fork-send", NULL, send_short, 0, .messages = 1, .participants = 1, .is_inherited = true},
	{"fork-receive", NULL, receive, 0, .messages = -1, .participants = 1, .is_inherited = true},
	{"fork-loan", NULL, loan, 0, .loaned = 1, .participants = 1, .is_inherited = true},
	{"fork-poll", NULL, readable_fd, 0, .participants = 1, .descriptors = 4,
	 .is_inherited = true},
};

uint32_t failing_operations(void)
{
	return sizeof(operations) / sizeof(operations[0]);
}

const struct operation *failing_operation(uint32_t operation)
{
	return &operations[operation];
}
