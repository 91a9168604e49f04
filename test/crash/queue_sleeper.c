/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Those who are asleep in a call when somebody dies, and go on as soon as there is something for
 * them.
 *
 * Looking at a queue repairs it, where the dead one had a lock, and so could hide that the kernel woke
 * nobody.  So nobody looks while a sleeper is on its feet; and in some of the runs (`blind`) nobody
 * looks for as long as any sleeper that was woken could need.
 */

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_crash.h"

/* Asleep for so long on end: not about to go on. */
#define BLIND_NS INT64_C(20000000)

static char buffer[MESSAGE_MAX_BYTES];

static uint32_t number_of(const struct run *run, const struct sleeper *sleeper)
{
	return NUMBER_SLEEPER + (uint32_t)(sleeper - run->sleepers);
}

static struct account *account_of(const struct run *run, const struct sleeper *sleeper)
{
	return &run->accounts[ACTOR_SLEEPER + (sleeper - run->sleepers)];
}

static int sleep_in_receive(struct run *run, struct tenon_queue *queue, struct account *account)
{
	struct selection selection = sleeper_selection(run->scenario);
	struct tenon_receive_options options = {
		.size = sizeof(options), .select = selection.select, .select_key = selection.key};
	uint32_t bytes = scenario_bytes(run->scenario);
	struct tenon_message message;
	int result = tenon_queue_receive(queue, buffer, sizeof(buffer), &options, &message), number;

	atomic_store(&account->returned_ns, step_now_ns());
	if (result != 0)
		return result;
	number = message_read(buffer, message.bytes, bytes);
	if (bytes == 0)
		number = (int)message.sequence;
	atomic_store(&account->broken, number < 0);
	atomic_store(&account->number, (uint32_t)number);
	atomic_store(&account->deliveries, message.deliveries);
	return 0;
}

static int sleep_for_receipt(struct tenon_queue *queue, uint32_t bytes,
			     struct tenon_send_options *options)
{
	uint64_t receipt;
	int32_t receiver;
	int result;

	options->flags = TENON_WANT_RECEIPT;
	result = tenon_queue_send(queue, buffer, bytes, options);
	if (result == 0)
		result = tenon_queue_last_receipt(queue, &receipt);
	return result == 0 ? tenon_queue_receipt(queue, receipt, 0, &receiver) : result;
}

static void be_sleeper(struct run *run, const struct sleeper *sleeper)
{
	struct account *account = account_of(run, sleeper);
	uint32_t bytes = scenario_bytes(run->scenario), number = number_of(run, sleeper), events;
	struct tenon_send_options options = {.size = sizeof(options),
					     .key = message_key(run->scenario, number)};
	struct tenon_queue *queue;
	int result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	message_write(buffer, bytes, number);
	if (tenon_queue_open(run->folder, QUEUE_NAME, 0, NULL, &queue) != 0)
		_exit(EXIT_FAILURE);
	atomic_store(&account->called, 1);
	switch (sleeper->role) {
	case ROLE_SEND:
		result = tenon_queue_send(queue, buffer, bytes, &options);
		break;
	case ROLE_WAIT_READABLE:
		result = tenon_queue_wait(queue, TENON_READABLE, TENON_NO_DEADLINE, &events);
		break;
	case ROLE_WAIT_WRITABLE:
		result = tenon_queue_wait(queue, TENON_WRITABLE, TENON_NO_DEADLINE, &events);
		break;
	case ROLE_RECEIPT:
		result = sleep_for_receipt(queue, bytes, &options);
		break;
	default:
		result = sleep_in_receive(run, queue, account);
		break;
	}
	if (sleeper->role != ROLE_RECEIVE)
		atomic_store(&account->returned_ns, step_now_ns());
	atomic_store(&account->result, result);
	step_notify(&account->returned);
	queue = tenon_queue_close(queue);
	_exit(EXIT_SUCCESS);
}

static int start(struct run *run, struct sleeper *sleeper)
{
	struct account *account = account_of(run, sleeper);
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	uint32_t rounds = 0;

	sleeper->pid = fork();
	if (sleeper->pid < 0)
		return fail(run, "fork: %s", strerror(errno));
	if (sleeper->pid == 0)
		be_sleeper(run, sleeper);
	while (!atomic_load(&account->called) || !step_is_asleep(sleeper->pid, NULL)) {
		if (waitpid(sleeper->pid, NULL, WNOHANG) != 0) {
			sleeper->pid = 0;
			return fail(run, "the sleeper ended");
		}
		if (atomic_load(&account->returned) || step_now_ns() > deadline_ns)
			return fail(run, "the sleeper does not go to sleep (result %d)",
				    (int)atomic_load(&account->result));
		step_give_way(&account->returned, &rounds);
	}
	return 0;
}

int sleepers_start(struct run *run)
{
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		struct sleeper *sleeper = &run->sleepers[i];

		sleeper->role = scenario_role(run->scenario, i);
		if (sleeper->role == ROLE_NONE)
			continue;
		if (start(run, sleeper) != 0)
			return -1;
		run->sent += sleeper->role == ROLE_RECEIPT;
		if (!run->scenario->first_operation) {
			run->slept[0] += sleeper->role == ROLE_SEND;
			run->slept[1] += sleeper->role == ROLE_RECEIVE;
		}
	}
	return 0;
}

int sleepers_halt(struct run *run)
{
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		struct sleeper *sleeper = &run->sleepers[i];
		int status;

		if (sleeper->pid <= 0)
			continue;
		kill(sleeper->pid, SIGSTOP);
		if (waitpid(sleeper->pid, &status, WUNTRACED) != sleeper->pid ||
		    !WIFSTOPPED(status)) {
			sleeper->pid = 0;
			return fail(run, "a sleeper cannot be stopped");
		}
		sleeper->stopped = true;
	}
	return 0;
}

void sleepers_continue(struct run *run)
{
	for (uint32_t i = 0; i < SLEEPERS; i++)
		if (run->sleepers[i].pid > 0 && run->sleepers[i].stopped)
			kill(run->sleepers[i].pid, SIGCONT);
}

void sleepers_stop(struct run *run)
{
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		struct sleeper *sleeper = &run->sleepers[i];

		if (sleeper->pid <= 0)
			continue;
		kill(sleeper->pid, SIGKILL);
		waitpid(sleeper->pid, NULL, 0);
		sleeper->pid = 0;
	}
}

/* Whether the queue, as it is now, has what the sleeper waits for.  What a dead process still has
 * under lease will be had, what the witness has will not. */
static bool is_entitled(const struct run *run, enum role role,
			const struct tenon_queue_status *status)
{
	uint64_t held = status->messages + status->leased, had = held - run->held_count;

	switch (role) {
	case ROLE_RECEIVE:
		/* Those who select sleep beside what is there from the beginning. */
		return sleeper_selection(run->scenario).select == TENON_SELECT_ANY
			       ? had > 0
			       : had > run->prefilled;
	case ROLE_WAIT_READABLE:
		return had > 0;
	case ROLE_SEND:
	case ROLE_WAIT_WRITABLE:
		return held < status->capacity;
	default:
		return held == 0;
	}
}

struct look {
	bool returned, awake, entitled;
	const struct sleeper *waiting; /* one of those who have not returned */
};

static void look_at(const struct run *run, const struct tenon_queue_status *status,
		    struct look *ret_look)
{
	memset(ret_look, 0, sizeof(*ret_look));
	ret_look->returned = true;
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		const struct sleeper *sleeper = &run->sleepers[i];

		if (sleeper->pid <= 0 || atomic_load(&account_of(run, sleeper)->returned))
			continue;
		ret_look->returned = false;
		ret_look->waiting = sleeper;
		ret_look->awake |= !step_is_asleep(sleeper->pid, NULL);
		ret_look->entitled |= status && is_entitled(run, sleeper->role, status);
	}
}

static void note_progress(struct run *run)
{
	for (uint32_t i = 0; i < SLEEPERS; i++) {
		const struct account *account = account_of(run, &run->sleepers[i]);
		int64_t ns = atomic_load(&account->returned_ns) - run->victim.killed_ns;

		if (run->sleepers[i].role == ROLE_NONE || !atomic_load(&account->returned))
			continue;
		if (ns > 0 && (run->progress_ns <= 0 || ns < run->progress_ns))
			run->progress_ns = ns;
	}
}

static int complain(struct run *run, const struct look *look,
		    const struct tenon_queue_status *status, const char *what)
{
	return fail(run, "%s %s (%llu messages, %llu leased)",
		    look->waiting->role == ROLE_SEND ? "a sender" : "the sleeper", what,
		    (unsigned long long)status->messages, (unsigned long long)status->leased);
}

/* Without looking, until all have returned or those who have not sleep on for long.  Then the queue
 * must have nothing for them: after a look they may go on because of that look. */
static int settle_blindly(struct run *run)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	int64_t asleep_since_ns = step_now_ns(), deadline_ns = asleep_since_ns + run->patience_ns;
	struct look look;
	int result;

	for (uint32_t rounds = 0;;) {
		look_at(run, NULL, &look);
		if (look.returned)
			return 0;
		if (look.awake)
			asleep_since_ns = step_now_ns();
		if (step_now_ns() > asleep_since_ns + BLIND_NS)
			break;
		if (step_now_ns() > deadline_ns)
			return fail(run, "the sleeper runs for ever");
		step_give_way(&account_of(run, look.waiting)->returned, &rounds);
	}
	result = tenon_queue_status(run->witness, &status);
	if (result != 0)
		return fail(run, "status: %s", strerror(-result));
	if (is_entitled(run, look.waiting->role, &status))
		return complain(run, &look, &status, "slept on until somebody looked");
	return 0;
}

int sleepers_settle(struct run *run)
{
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	struct tenon_queue_status status = {.size = sizeof(status)};
	bool blind = run->blind && !scenario_holds_lease(run->scenario);
	struct look look;
	uint32_t rounds = 0;

	run->progress_ns = -1;
	look_at(run, NULL, &look);
	if (look.returned)
		return 0;
	if (blind && settle_blindly(run) != 0)
		return -1;
	for (;;) {
		int result = 0;

		look_at(run, NULL, &look);
		if (look.returned)
			break;
		if (!look.awake) {
			result = tenon_queue_status(run->witness, &status);
			if (result != 0)
				return fail(run, "status: %s", strerror(-result));
			run->lease_was_open |= status.leased > 0;
			look_at(run, &status, &look);
			if (look.returned)
				break;
			if (!look.awake && !look.entitled)
				break;
		}
		if (step_now_ns() > deadline_ns)
			return complain(run, &look, &status,
					look.awake ? "runs for ever" : "sleeps on");
		step_give_way(&account_of(run, look.waiting)->returned, &rounds);
	}
	note_progress(run);
	return 0;
}

/* What one sleeper got goes into the account of all survivors. */
static int conclude(struct run *run, struct sleeper *sleeper)
{
	struct account *account = account_of(run, sleeper);
	int64_t deadline_ns = step_now_ns() + run->patience_ns;
	int result;
	uint32_t rounds = 0, number;

	while (!atomic_load(&account->returned)) {
		if (step_now_ns() > deadline_ns)
			return fail(run, "the sleeper sleeps on though a fresh process came");
		step_give_way(&account->returned, &rounds);
	}
	waitpid(sleeper->pid, NULL, 0);
	sleeper->pid = 0;
	result = atomic_load(&account->result);
	if (result != 0)
		return fail(run, "the sleeper's call failed: %s", strerror(-result));
	run->sent += sleeper->role == ROLE_SEND;
	if (sleeper->role != ROLE_RECEIVE)
		return 0;
	if (atomic_load(&account->broken))
		return fail(run, "the sleeper got a torn message");
	number = atomic_load(&account->number);
	if (scenario_bytes(run->scenario) == 0 && number >= run->prefilled) {
		run->seen_unnumbered++;
		return 0;
	}
	run->seen[number]++;
	run->deliveries[number] = atomic_load(&account->deliveries);
	return 0;
}

static int serve(struct run *run, enum role role, struct tenon_queue *fresh)
{
	int result;

	if (role != ROLE_RECEIVE && role != ROLE_WAIT_READABLE)
		return survivor_receive(run, fresh);
	result = survivor_send(run, fresh, NUMBER_FRESH + run->fresh_sent);
	run->fresh_sent += result == 0;
	return result;
}

/* For so many as sleep at the beginning: which of them is served by what is not known. */
static int serve_all(struct run *run, struct tenon_queue *fresh)
{
	enum role role = ROLE_NONE;
	uint32_t count = 0;
	int result = 0;

	for (uint32_t i = 0; i < SLEEPERS; i++)
		if (run->sleepers[i].pid > 0 &&
		    !atomic_load(&account_of(run, &run->sleepers[i])->returned)) {
			role = run->sleepers[i].role;
			count++;
		}
	for (; count > 0 && result == 0; count--)
		result = serve(run, role, fresh);
	return result == 0 ? 0 : fail(run, "the fresh process's first call: %s", strerror(-result));
}

int sleepers_serve(struct run *run, struct tenon_queue *fresh)
{
	/* The witness lets go of what it held, in the order that makes it as it was: that serves both. */
	while (run->held_count > 0) {
		int result = tenon_queue_return(run->witness, &run->held[--run->held_count]);

		if (result != 0)
			return fail(run, "return: %s", strerror(-result));
	}
	if (run->scenario->peer != PEER_BOTH && serve_all(run, fresh) != 0)
		return -1;
	for (uint32_t i = 0; i < SLEEPERS; i++)
		if (run->sleepers[i].pid > 0 && conclude(run, &run->sleepers[i]) != 0)
			return -1;
	return 0;
}
