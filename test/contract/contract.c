/* SPDX-License-Identifier: Apache-2.0 */

#include "contract.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../crash/folder.h"

#define SKIPPED 77
#define AT_ONCE_NS (SECOND_NS / 11)

const char *contract_folder;
uint32_t contract_case_index;

static char folder[FOLDER_BYTES];
static int failures;
/* Shared with the process of the case. */
static char *skip_reason;
#define REASON_BYTES 200

void contract_skip(const char *reason)
{
	snprintf(skip_reason, REASON_BYTES, "%s", reason);
	_exit(SKIPPED);
}

void contract_fail(const char *file, int line, const char *what, int64_t value)
{
	failures++;
	/* One write, since many processes say something. */
	printf("# %s:%d: %s (%lld) in process %d\n",
	       strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what, (long long)value,
	       getpid());
	fflush(stdout);
}

void contract_give_up(void)
{
	fflush(stdout);
	_exit(1);
}

void contract_child_begins(void)
{
	failures = 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void contract_child_ends(void)
{
	fflush(stdout);
	_exit(failures ? 1 : 0);
}

pid_t contract_start(void (*run)(void *context), void *context)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		contract_child_begins();
		run(context);
		contract_child_ends();
	}
	REQUIRE(child > 0);
	return child;
}

/* A case may have handlers, and the child may be about to send signals. */
static int wait_for(pid_t child)
{
	int status = 0;
	pid_t ended;

	do
		ended = waitpid(child, &status, 0);
	while (ended < 0 && errno == EINTR);
	EXPECT(ended == child);
	return status;
}

void contract_await(pid_t child)
{
	EXPECT_IS(wait_for(child), 0);
}

void contract_kill(pid_t child)
{
	kill(child, SIGKILL);
	(void)wait_for(child);
}

void contract_await_asleep(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		REQUIRE(file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
		fclose(file);
		sched_yield();
	}
}

static void end_at_once(void *context)
{
	(void)context;
}

bool contract_was_late(int64_t since_ns)
{
	int64_t now_ns = tenon_deadline_after(0), took_ns = now_ns - since_ns;

	if (took_ns <= AT_ONCE_NS)
		return false;
	contract_await(contract_start(end_at_once, NULL));
	return took_ns - (tenon_deadline_after(0) - now_ns) > AT_ONCE_NS;
}

void *contract_share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	return memory;
}

struct tenon_queue *contract_open(const char *name)
{
	struct tenon_queue *queue = NULL;

	EXPECT_IS(tenon_queue_open(contract_folder, name, 0, NULL, &queue), 0);
	REQUIRE(queue);
	return queue;
}

struct tenon_queue *contract_create(const char *name, const struct tenon_queue_options *options)
{
	struct tenon_queue_options usable;
	struct tenon_queue *queue = NULL;

	if (options && options->mode == 0) {
		usable = *options;
		usable.mode = TENON_QUEUE_DEFAULT_MODE;
		options = &usable;
	}
	EXPECT_IS(tenon_queue_open(contract_folder, name,
				   TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, options, &queue),
		  0);
	REQUIRE(queue);
	return queue;
}

struct tenon_queue *contract_make(const char *name, uint32_t full, uint64_t capacity,
				  uint64_t bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .full = full,
					      .capacity = capacity,
					      .max_message_bytes = bytes};

	return contract_create(name, &options);
}

static struct tenon_queue_status status_of(struct tenon_queue *queue)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_queue_status(queue, &status), 0);
	return status;
}

void contract_await_receivers(struct tenon_queue *queue, uint32_t count)
{
	while (status_of(queue).receivers_waiting < count)
		sched_yield();
}

void contract_await_senders(struct tenon_queue *queue, uint32_t count)
{
	while (status_of(queue).senders_waiting < count)
		sched_yield();
}

int contract_send(struct tenon_queue *queue, uint64_t number, int64_t timeout_ns)
{
	struct tenon_send_options options = {.size = sizeof(options),
					     .deadline_ns = tenon_deadline_after(timeout_ns)};

	return tenon_queue_send(queue, &number, sizeof(number), &options);
}

int contract_receive(struct tenon_queue *queue, uint64_t *ret_number, int64_t timeout_ns)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = tenon_deadline_after(timeout_ns)};
	struct tenon_message message;
	uint64_t number = 0;
	int result = tenon_queue_receive(queue, &number, sizeof(number), &options, &message);

	if (result == 0) {
		EXPECT_IS((int64_t)message.bytes, (int64_t)sizeof(number));
		*ret_number = number;
	}
	return result;
}

void contract_expect_sound(struct tenon_queue *queue)
{
	struct tenon_queue_status status = status_of(queue);
	char text[200] = "";

	if (tenon_queue_check(queue, text, sizeof(text)) != 0)
		printf("# %s\n", text);
	EXPECT(text[0] == '\0');
	EXPECT_IS((int64_t)status.messages, 0);
	EXPECT_IS((int64_t)status.leased, 0);
	EXPECT_IS((int64_t)status.loaned, 0);
	EXPECT_IS(status.damaged, 0);
}

/* Runs a case in a group of processes of its own.  Its exit status; -1: it had to be ended. */
static int run_case(const struct contract_case *one)
{
	struct pollfd ended = {.events = POLLIN};
	int status = -1, ready;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		contract_folder = folder;
		one->run();
		contract_child_ends();
	}
	if (child < 0)
		return -1;
	setpgid(child, child);
	ended.fd = (int)syscall(SYS_pidfd_open, child, 0);
	do
		ready = poll(&ended, 1, WATCHDOG_S * 1000);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		printf("# not done after %d s\n", WATCHDOG_S);
	/* What it left behind; it itself is not reaped yet, so the number is still its own. */
	kill(-child, SIGKILL);
	waitpid(child, &status, 0);
	close(ended.fd);
	return ready == 1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int contract_main(const struct contract_case *cases, uint32_t count)
{
	bool failed = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	skip_reason = contract_share(REASON_BYTES);
	printf("TAP version 13\n1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		int result;

		if (folder_make(folder) != 0) {
			printf("Bail out! no folder can be made under /dev/shm\n");
			return EXIT_FAILURE;
		}
		contract_case_index = i;
		result = run_case(&cases[i]);
		folder_remove(folder);
		printf("%s %u - %s", result == 0 || result == SKIPPED ? "ok" : "not ok", i + 1,
		       cases[i].name);
		if (result == SKIPPED)
			printf(" # SKIP %s", skip_reason);
		else if (cases[i].todo)
			printf(" # TODO %s", cases[i].todo);
		printf("\n");
		failed |= result != 0 && result != SKIPPED && !cases[i].todo;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
