/* SPDX-License-Identifier: Apache-2.0 */

/* What an event promises to threads and processes, dead ones among them. */

#include <tenon/event.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"

#define NAME "/event"
#define WAIT_NS (SECOND_NS / 50)
#define LIMIT_NS (10 * SECOND_NS)

static struct tenon_event *make(uint32_t flags)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = flags};
	struct tenon_event *event = NULL;

	EXPECT_IS(tenon_event_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE, &options,
				   &event),
		  0);
	REQUIRE(event);
	return event;
}

static struct tenon_event *open_event(void)
{
	struct tenon_event *event = NULL;

	EXPECT_IS(tenon_event_open(contract_folder, NAME, 0, NULL, &event), 0);
	REQUIRE(event);
	return event;
}

static int await(struct tenon_event *event, int64_t timeout_ns)
{
	return tenon_event_wait(event, tenon_deadline_after(timeout_ns));
}

static struct tenon_event_status status_of(struct tenon_event *event)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_event_status(event, &status), 0);
	return status;
}

static void await_waiters(struct tenon_event *event, uint32_t count)
{
	while (status_of(event).waiting < count)
		sched_yield();
}

static void test_manual(void)
{
	struct tenon_event *event = make(TENON_EVENT_MANUAL);

	EXPECT_IS(status_of(event).manual, 1);
	EXPECT_IS(await(event, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(status_of(event).is_set, 1);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(await(event, LIMIT_NS), 0);
	EXPECT_IS(tenon_event_reset(event), 0);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(tenon_event_pulse(event), 0);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	EXPECT_IS(status_of(event).passed, 3);
	event = tenon_event_close(event);
}

static void test_auto(void)
{
	struct tenon_event *event = make(TENON_EVENT_IS_SET);

	EXPECT_IS(status_of(event).manual, 0);
	EXPECT_IS(status_of(event).is_set, 1);
	EXPECT_IS(await(event, LIMIT_NS), 0);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(tenon_event_wait(event, 0), 0);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	/* A pulse is for those who wait. */
	EXPECT_IS(tenon_event_pulse(event), 0);
	EXPECT_IS(await(event, WAIT_NS), -ETIMEDOUT);
	EXPECT_IS(tenon_event_set(event), 0);
	EXPECT_IS(tenon_event_pulse(event), 0);
	EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	event = tenon_event_close(event);
}

static void test_bad_input(void)
{
	struct tenon_sync_options options = {.size = sizeof(options), .flags = 4};
	struct tenon_event_status status = {.size = sizeof(status), .flags = 1};
	struct tenon_event *event = make(0), *other;

	EXPECT_IS(tenon_event_open(contract_folder, "/other", TENON_CREATE, &options, &other),
		  -EINVAL);
	EXPECT_IS(tenon_event_open(contract_folder, "/other", 0, NULL, &other), -ENOENT);
	EXPECT_IS(tenon_event_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE, NULL,
				   &other),
		  -EEXIST);
	EXPECT_IS(tenon_event_open(contract_folder, NAME, 0, NULL, NULL), -EINVAL);
	EXPECT_IS(tenon_event_set(NULL), -EINVAL);
	EXPECT_IS(tenon_event_reset(NULL), -EINVAL);
	EXPECT_IS(tenon_event_pulse(NULL), -EINVAL);
	EXPECT_IS(tenon_event_wait(NULL, 0), -EINVAL);
	EXPECT_IS(tenon_event_status(event, NULL), -EINVAL);
	EXPECT_IS(tenon_event_status(event, &status), -EINVAL);
	EXPECT(!tenon_event_close(NULL));
	event = tenon_event_close(event);
	EXPECT_IS(tenon_event_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_event_remove(contract_folder, NAME), -ENOENT);
}

#define CROWD 4u

static _Atomic uint32_t *passed;

static void pass_once(void *context)
{
	struct tenon_event *event = open_event();

	(void)context;
	EXPECT_IS(await(event, LIMIT_NS), 0);
	atomic_fetch_add(passed, 1);
}

static void start_crowd(struct tenon_event *event, pid_t crowd[CROWD])
{
	passed = contract_share(sizeof(*passed));
	for (uint32_t i = 0; i < CROWD; i++)
		crowd[i] = contract_start(pass_once, NULL);
	await_waiters(event, CROWD);
}

static void await_crowd(const pid_t crowd[CROWD])
{
	for (uint32_t i = 0; i < CROWD; i++)
		contract_await(crowd[i]);
}

/* A set one, and one that is only pulsed, lets all pass who wait. */
static void test_manual_crowd(void)
{
	struct tenon_event *event = make(TENON_EVENT_MANUAL);
	pid_t crowd[CROWD];

	start_crowd(event, crowd);
	EXPECT_IS(tenon_event_set(event), 0);
	await_crowd(crowd);
	EXPECT_IS(tenon_event_reset(event), 0);
	for (uint32_t round = 0; round < 10; round++) {
		start_crowd(event, crowd);
		EXPECT_IS(tenon_event_pulse(event), 0);
		await_crowd(crowd);
		EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
	}
	event = tenon_event_close(event);
}

static void await_passed(uint32_t count)
{
	while (atomic_load(passed) < count)
		sched_yield();
}

/* Each setting, and each pulse, lets one pass. */
static void test_auto_crowd(void)
{
	struct tenon_event *event = make(0);
	pid_t crowd[CROWD];

	for (uint32_t round = 0; round < 10; round++) {
		start_crowd(event, crowd);
		for (uint32_t i = 0; i < CROWD; i++) {
			EXPECT_IS(atomic_load(passed), i);
			EXPECT_IS(round % 2 ? tenon_event_set(event) : tenon_event_pulse(event), 0);
			await_passed(i + 1);
			EXPECT_IS(tenon_event_wait(event, 0), -ETIMEDOUT);
		}
		await_crowd(crowd);
	}
	event = tenon_event_close(event);
}

static void wait_for_ever(void *context)
{
	struct tenon_event *event = open_event();

	(void)context;
	for (;;)
		(void)!await(event, LIMIT_NS);
}

/* Of two who wait one is killed just when it is set: the other passes. */
static void test_killed_when_woken(void)
{
	struct tenon_event *event = make(0);

	passed = contract_share(sizeof(*passed));
	for (uint32_t round = 0; round < 300; round++) {
		pid_t victim = contract_start(wait_for_ever, NULL), other;
		uint64_t before = status_of(event).passed;

		await_waiters(event, 1);
		other = contract_start(pass_once, NULL);
		await_waiters(event, 2);
		EXPECT_IS(tenon_event_set(event), 0);
		for (uint32_t i = 0; i < round % 40; i++)
			(void)status_of(event);
		contract_kill(victim);
		/* It may have passed before it died; then it is set once more. */
		if (status_of(event).passed != before && atomic_load(passed) == round)
			EXPECT_IS(tenon_event_set(event), 0);
		contract_await(other);
		tenon_event_reset(event);
	}
	event = tenon_event_close(event);
}

static long switches_of(pid_t pid)
{
	char path[64], line[128];
	long switches = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	REQUIRE(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &switches) == 1)
			break;
	fclose(file);
	return switches;
}

/* The bug: who died waiting was looked for every 100 ms by all who waited later. */
static void test_idle_beside_the_dead(void)
{
	struct tenon_event *event = make(0);
	pid_t dead = contract_start(wait_for_ever, NULL), sleeper;
	long before;

	await_waiters(event, 1);
	contract_kill(dead);
	sleeper = contract_start(wait_for_ever, NULL);
	await_waiters(event, 1);
	EXPECT_IS(await(event, SECOND_NS / 4), -ETIMEDOUT);
	before = switches_of(sleeper);
	EXPECT_IS(await(event, SECOND_NS / 2), -ETIMEDOUT);
	EXPECT(switches_of(sleeper) - before <= 2);
	contract_kill(sleeper);
	event = tenon_event_close(event);
}

static struct tenon_event *in_handler;

static void on_signal(int signal)
{
	(void)signal;
	if (in_handler)
		EXPECT_IS(tenon_event_set(in_handler), 0);
}

static void interrupt_me(void *context)
{
	struct tenon_event *event = open_event();

	await_waiters(event, 1);
	/* It may not sleep yet; a handler that lets it pass runs once. */
	do
		kill(*(pid_t *)context, SIGUSR1);
	while (!in_handler && status_of(event).waiting > 0);
}

static void test_signals(void)
{
	struct tenon_event *event = make(0);
	struct sigaction action = {.sa_handler = on_signal};
	pid_t own = getpid(), child;

	sigaction(SIGUSR1, &action, NULL);
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(await(event, LIMIT_NS), -EINTR);
	signal(SIGUSR1, SIG_IGN);
	contract_await(child);
	sigaction(SIGUSR1, &action, NULL);
	in_handler = event;
	child = contract_start(interrupt_me, &own);
	EXPECT_IS(await(event, LIMIT_NS), 0);
	contract_await(child);
	event = tenon_event_close(event);
}

#define TRIPS 20000u

static void answer(void *context)
{
	struct tenon_event *ping = open_event(), *pong = NULL;

	(void)context;
	EXPECT_IS(tenon_event_open(contract_folder, "/pong", 0, NULL, &pong), 0);
	REQUIRE(pong);
	for (uint32_t i = 0; i < TRIPS; i++) {
		EXPECT_IS(await(ping, LIMIT_NS), 0);
		EXPECT_IS(tenon_event_set(pong), 0);
	}
}

/* No wake-up is lost. */
static void test_ping_pong(void)
{
	struct tenon_event *ping = make(0), *pong = NULL;
	pid_t child;

	EXPECT_IS(tenon_event_open(contract_folder, "/pong", TENON_CREATE, NULL, &pong), 0);
	REQUIRE(pong);
	child = contract_start(answer, NULL);
	for (uint32_t i = 0; i < TRIPS; i++) {
		EXPECT_IS(tenon_event_set(ping), 0);
		EXPECT_IS(await(pong, LIMIT_NS), 0);
	}
	contract_await(child);
	ping = tenon_event_close(ping);
	pong = tenon_event_close(pong);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"manual reset: all pass until it is reset", test_manual, NULL},
		{"auto reset: one passes", test_auto, NULL},
		{"what cannot be is refused", test_bad_input, NULL},
		{"set or pulsed, a manual one lets all pass who wait", test_manual_crowd, NULL},
		{"set or pulsed, an auto one lets one pass who waits", test_auto_crowd, NULL},
		{"who dies when it was woken leaves it to another", test_killed_when_woken, NULL},
		{"who sleeps beside the dead does not wake up", test_idle_beside_the_dead, NULL},
		{"a signal handler ends a wait, and may set", test_signals, NULL},
		{"there and back, no wake-up is lost", test_ping_pong, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
