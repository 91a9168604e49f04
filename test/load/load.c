/* SPDX-License-Identifier: Apache-2.0 */

/*
 *	PROGRAM LEDGER SLOT SEED PARENT
 *	PROGRAM --list
 *
 * Mixed load, without end: load.h.  With --list, the names of the activities.
 */

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct load_ledger *load_ledger;

static int fork_round(void);

static const struct load_activity own[] = {{"fork", fork_round}, {NULL, NULL}};

static const struct load_activity *const tables[] = {
	own,
	load_classic,
#ifndef LOAD_IS_CLASSIC
	load_native_queues,
	load_native_objects,
#endif
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static uint64_t random_state;
static bool is_child, is_in_vain;

/* xorshift64* */
uint32_t load_random(uint32_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

int load_wrong(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, error ? strerror(error) : "wrong");
	return -1;
}

int load_expect(const char *what, int result, const int *errors)
{
	if (result >= 0)
		return 0;
	is_in_vain = true;
	for (; *errors != 0; errors++)
		if (result == -*errors)
			return 0;
	return load_wrong(what, -result);
}

size_t load_text(char text[LOAD_TEXT_BYTES])
{
	size_t bytes = load_random(8) ? 1 + load_random(64) : 1 + load_random(LOAD_TEXT_BYTES);

	memset(text, 'a' + (int)load_random(26), bytes);
	return bytes;
}

bool load_is_text(const char *text, size_t bytes)
{
	for (size_t i = 1; i < bytes; i++)
		if (text[i] != text[0])
			return false;
	return bytes > 0 && text[0] >= 'a' && text[0] <= 'z';
}

bool load_count(uint32_t guard, bool is_torn)
{
	uint64_t first = atomic_load(&load_ledger->guards[guard].first);
	bool right = is_torn || first == atomic_load(&load_ledger->guards[guard].second);

	atomic_store(&load_ledger->guards[guard].first, first + 1);
	return right && atomic_exchange(&load_ledger->guards[guard].second, first + 1) != first + 1;
}

static const struct load_activity *find_activity(uint32_t number)
{
	for (size_t i = 0; i < TABLES; i++)
		for (const struct load_activity *activity = tables[i]; activity->name; activity++)
			if (number-- == 0)
				return activity;
	return NULL;
}

static uint32_t count_activities(void)
{
	uint32_t count = 0;

	while (find_activity(count))
		count++;
	return count;
}

/* A child does what its parent does, with what that has open, and goes. */
static int fork_round(void)
{
	uint32_t number = 1 + load_random(count_activities() - 1);
	uint64_t seed = random_state;
	pid_t parent = getpid(), pid;
	int status;

	if (is_child || load_random(8) != 0)
		return 0;
	pid = fork();
	if (pid < 0)
		return load_wrong("fork", errno);
	if (pid == 0) {
		is_child = true;
		random_state = (seed ^ (uint64_t)getpid() << 20) | 1;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_SUCCESS);
		_exit(find_activity(number)->round() == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	if (waitpid(pid, &status, 0) != pid)
		return load_wrong("waitpid", errno);
	if (status != 0) {
		fprintf(stderr, "a child, at %s: ended with 0x%x\n", find_activity(number)->name,
			status);
		return -1;
	}
	return 0;
}

static int work(struct load_slot *slot)
{
	uint32_t activities = count_activities();

	for (;;) {
		uint32_t number = load_random(activities);
		const struct load_activity *activity = find_activity(number);

		atomic_store(&slot->activity, number + 1);
		is_in_vain = false;
		if (activity->round() != 0) {
			fprintf(stderr, "... at %s\n", activity->name);
			return EXIT_FAILURE;
		}
		atomic_store(&slot->activity, 0);
		atomic_fetch_add(&slot->whole[number], !is_in_vain);
		atomic_fetch_add(&slot->rounds, 1);
	}
}

int main(int count, char **arguments)
{
	unsigned long slot;
	int fd;

	if (count == 2 && strcmp(arguments[1], "--list") == 0) {
		for (uint32_t i = 0; i < count_activities(); i++)
			puts(find_activity(i)->name);
		return EXIT_SUCCESS;
	}
	if (count != 5 || (slot = strtoul(arguments[2], NULL, 10)) >= LOAD_SLOTS)
		return 2;
	random_state = strtoull(arguments[3], NULL, 0) | 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Who started this may have died before: nobody else would ever end it. */
	if (getppid() != (pid_t)strtol(arguments[4], NULL, 10))
		return EXIT_FAILURE;
	fd = open(arguments[1], O_RDWR | O_CLOEXEC);
	load_ledger = fd < 0 ? MAP_FAILED
			     : mmap(NULL, sizeof(*load_ledger), PROT_READ | PROT_WRITE, MAP_SHARED,
				    fd, 0);
	if (load_ledger == MAP_FAILED) {
		perror(arguments[1]);
		return 2;
	}
	close(fd);
	return work(&load_ledger->slots[slot]);
}
