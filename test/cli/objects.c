/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the tests of the command need to be done with objects that the command itself does not do:
 *
 *	map NAME		maps the region for writing
 *	place NAME		places a lock, a semaphore of value 3 and an event in it, and holds the lock
 *	die NAME		the same with another lock, and dies holding it
 *	place-set NAME		places a set of 3 semaphores of value 2 in it, and takes 1 of the last, to be undone
 *	destroy-set NAME	the same, and destroys it
 *	begin NAME		places a once at its beginning, begins it, and dies
 *	operate NAME N CHANGE	one operation on semaphore N of the set, to be undone
 *	destroy NAME		destroys the set
 *
 * Each says "ready" when that is done (before an operation, for which it may have to wait, "begins"),
 * and stays until it is killed, or whoever started it has died.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>
#include <unistd.h>

#define STEP TENON_PLACE_BYTES(8u)

static void check(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-error));
	exit(1);
}

static void say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static struct tenon_region *open_region(const char *name)
{
	struct tenon_region *region;
	void *address;

	check(tenon_region_open(NULL, name, 0, NULL, &region), "open");
	check(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), "map");
	return region;
}

static struct tenon_lock *hold(struct tenon_region *region, uint64_t offset)
{
	struct tenon_sync_options options = {.size = sizeof(options)};
	struct tenon_lock *lock;

	check(tenon_lock_open_at(region, offset, TENON_CREATE, &options, &lock), "place a lock");
	check(tenon_lock_acquire(lock, TENON_NO_DEADLINE), "acquire");
	return lock;
}

static void place(struct tenon_region *region)
{
	struct tenon_semaphore_options value = {.size = sizeof(value), .value = 3};
	struct tenon_sync_options options = {.size = sizeof(options)};
	struct tenon_semaphore *semaphore;
	struct tenon_event *event;

	hold(region, 0);
	check(tenon_semaphore_open_at(region, STEP, TENON_CREATE, &value, &semaphore),
	      "place a semaphore");
	check(tenon_event_open_at(region, 2 * STEP, TENON_CREATE, &options, &event),
	      "place an event");
}

static void operate(struct tenon_semaphore_set *set, uint32_t number, int32_t change)
{
	struct tenon_semaphore_operation operation = {
		.number = number, .change = change, .flags = TENON_SEMAPHORE_SET_UNDO};

	check(tenon_semaphore_set_operate(set, &operation, 1, TENON_NO_DEADLINE), "operate");
}

static struct tenon_semaphore_set *place_set(struct tenon_region *region)
{
	struct tenon_semaphore_set_options options = {
		.size = sizeof(options), .count = 3, .value = 2};
	struct tenon_semaphore_set *set;

	check(tenon_semaphore_set_open_at(region, STEP, TENON_CREATE, &options, &set),
	      "place a set");
	operate(set, 2, -1);
	return set;
}

static void begin(struct tenon_region *region)
{
	struct tenon_once *once;
	uint32_t what;

	check(tenon_once_open_at(region, 0, TENON_CREATE, NULL, &once), "place a once");
	check(tenon_once_begin(once, TENON_NO_DEADLINE, &what), "begin");
}

static struct tenon_semaphore_set *open_set(const char *name)
{
	struct tenon_semaphore_set *set;

	check(tenon_semaphore_set_open(NULL, name, 0, NULL, &set), "open");
	return set;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (parent != getppid() || argc < 3)
		return 1;
	if (!strcmp(argv[1], "map")) {
		open_region(argv[2]);
	} else if (!strcmp(argv[1], "place")) {
		place(open_region(argv[2]));
	} else if (!strcmp(argv[1], "place-set")) {
		place_set(open_region(argv[2]));
	} else if (!strcmp(argv[1], "destroy-set")) {
		check(tenon_semaphore_set_destroy(place_set(open_region(argv[2]))), "destroy");
	} else if (!strcmp(argv[1], "die")) {
		hold(open_region(argv[2]), 3 * STEP);
		raise(SIGKILL);
	} else if (!strcmp(argv[1], "begin")) {
		begin(open_region(argv[2]));
		raise(SIGKILL);
	} else if (!strcmp(argv[1], "operate") && argc == 5) {
		say("begins");
		operate(open_set(argv[2]), (uint32_t)strtoul(argv[3], NULL, 10),
			(int32_t)strtol(argv[4], NULL, 10));
	} else if (!strcmp(argv[1], "destroy")) {
		check(tenon_semaphore_set_destroy(open_set(argv[2])), "destroy");
	} else {
		return 1;
	}
	say("ready");
	for (;;)
		pause();
}
