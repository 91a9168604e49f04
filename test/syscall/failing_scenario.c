/* SPDX-License-Identifier: Apache-2.0 */

/* An operation between two looks at the queue from outside, in the process whose calls fail. */

#include "failing.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tenon_queue *inherited;

void failing_inherit(const struct scenario *scenario)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = scenario->order,
					      .capacity = 64,
					      .max_message_bytes = LONG_BYTES,
					      .mode = 0600,
					      .max_participants = 8};

	inherited = NULL;
	if (failing_operation(scenario->operation)->is_inherited &&
	    tenon_queue_open(NULL, "failing", TENON_QUEUE_CREATE, &options, &inherited) != 0)
		printf("# nothing can be inherited\n");
}

void failing_disinherit(void)
{
	inherited = tenon_queue_close(inherited);
}

static void end_helper(struct state *state)
{
	if (state->helper > 0) {
		kill(state->helper, SIGKILL);
		waitpid(state->helper, NULL, 0);
	}
	state->helper = 0;
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
	if (change->participants != ANY)
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
	struct tenon_send_options options = failing_sending(TENON_NONBLOCK);
	int result;

	state->options = (struct tenon_queue_options){.size = sizeof(state->options),
						      .order = state->order,
						      .full = operation->full,
						      .capacity = operation->capacity,
						      .max_message_bytes = LONG_BYTES,
						      .mode = 0600,
						      .max_participants = 8};
	if (state->options.capacity == 0 && !operation->is_rendezvous)
		state->options.capacity = 64;
	result = tenon_queue_open(NULL, "failing", TENON_QUEUE_CREATE, &state->options,
				  &state->watch);
	for (uint32_t i = 0; result == 0 && i < MESSAGES && !operation->is_rendezvous; i++)
		result = tenon_queue_send(state->watch, (uint8_t[SHORT_BYTES]){0}, SHORT_BYTES,
					  &options);
	if (operation->is_inherited)
		state->queue = inherited;
	else if (result == 0 && !operation->no_handle)
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
static void look_at_the_end(struct state *state, const struct operation *operation, int descriptors)
{
	struct snapshot last;
	char text[200] = "";
	int result;

	tenon_queue_close(state->queue);
	end_helper(state);
	if (tenon_queue_recover(state->watch, NULL) != 0)
		end_with("nobody can be buried");
	result = tenon_queue_check(state->watch, text, sizeof(text));
	if (result != 0)
		end_with("the check says %d: %s", result, text);
	last = look_from_outside(state);
	expect("at the end", "leases", 0, 0, (int64_t)last.status.leased);
	expect("at the end", "loans", 0, 0, (int64_t)last.status.loaned);
	expect("at the end", "participants", 1, operation->is_inherited, last.status.participants);
	tenon_queue_close(state->watch);
	/* The inherited handle's own is closed here as well. */
	expect("at the end", "descriptors", descriptors, -operation->is_inherited,
	       count_descriptors());
}

void failing_scenario(void *context)
{
	const struct scenario *scenario = context;
	const struct operation *operation = failing_operation(scenario->operation);
	struct state state = {.order = scenario->order};
	int descriptors = count_descriptors(), result;
	struct snapshot before, after;
	/* Who has attached, or buried somebody, need not take it back. */
	const struct operation nothing = {.name = "nothing",
					  .participants = operation->is_inherited	   ? ANY
							  : operation->participants == ANY ? ANY
											   : 0};

	prepare(&state, operation);
	before = look_from_outside(&state);
	failing_begin();
	result = operation->run(&state);
	failing_end();
	after = look_from_outside(&state);
	if (result != operation->normal) {
		static const int allowed[] = {ENOSPC, ENOMEM, EMFILE, ENFILE, EINTR, EAGAIN, EIO};
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
	look_at_the_end(&state, operation, descriptors);
}
