/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whatever is written into a queue's mapping, others get errors: no crash, no endless loop, no wrong
 * access.
 *
 *	fresh	one word of a good file is changed, then a victim opens it and does everything
 *	held	the victim has the queue open, with leases, a loan and a receipt; then a word is changed
 *	several	as held, with two to five words, mostly such that are in use
 *	during	another process scribbles all the time
 *
 * By default, cases are drawn for --seconds; --words goes through every word, those in use with every
 * value; --all takes every value of every word, for days.
 *
 * A case is a number: mode, kind of queue and number say all about it, and --only runs it again.  The
 * victim is a process of its own; this one is its watchdog.  A stall is what a writer may do, so
 * every call has a way to end: a deadline, TENON_NONBLOCK, or an alarm.  Calls that can only wait for
 * a gate need the library to find out, within a second, that the gate's owner does not exist.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../crash/folder.h"
#include "copies.h"
#include "victim.h"

#define SECONDS_DEFAULT 14
#define WATCHDOG_MS 30000
#define BATCH_CASES 40u
#define BATCH_WORDS 500u
#define DURING_ROUNDS 40u
#define FAILURES_MOST 10u
#define VALUES IMAGE_VALUES
/* 32-bit words at every fourth byte, 64-bit words at every eighth: three words for eight bytes. */
#define WORDS_IN_8 3u
/* Gates' owners that are not there cost a second each. */
#define GATE_CASES 2u

enum mode { FRESH, HELD, SEVERAL, DURING, MODES };

static const char *const mode_names[MODES] = {"fresh", "held", "several", "during"};

struct shared {
	struct record record;
	_Atomic uint32_t next; /* of the batch's cases: the one under way */
	_Atomic uint64_t scribbles;
};

struct test_case {
	enum mode mode;
	uint32_t kind;
	uint64_t number;
};

struct scribble {
	uint64_t offset, value;
	uint32_t bytes;
};

static struct shared *shared;
static struct image image;
static uint64_t seed;
static uint64_t run_cases[MODES], failures;
static char folder[FOLDER_BYTES];

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Number of cases of one word in a mode of one word. */
static uint64_t single_cases(void)
{
	return image.data_bytes / 8 * WORDS_IN_8 * VALUES;
}

static struct scribble single(uint64_t number, uint64_t *random)
{
	uint64_t which = number % VALUES, word = number / VALUES;
	uint64_t at = word / WORDS_IN_8 * 8, part = word % WORDS_IN_8;
	uint64_t value = image_value(&image, which, at, random);

	if (part == 2)
		return (struct scribble){image_offset(&image, at), value, 8};
	return (struct scribble){image_offset(&image, at) + part * 4,
				 part == 1 && which >= 4 ? value >> 32 : value, 4};
}

static uint64_t number_at(uint64_t byte, uint64_t part, uint64_t which)
{
	return (byte / 8 * WORDS_IN_8 + part) * VALUES + which;
}

static uint32_t scribbles_of(const struct test_case *test, struct scribble *scribbles)
{
	uint64_t random = seed ^ (test->number * 31 + test->kind * 7 + test->mode);
	uint32_t count;

	if (test->mode != SEVERAL) {
		scribbles[0] = single(test->number, &random);
		return 1;
	}
	random = test->number;
	count = 2 + (uint32_t)(hostile_random(&random) % 4);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t byte = hostile_random(&random) % 4
					? image.hot[hostile_random(&random) % image.hot_count]
					: hostile_random(&random) % (image.data_bytes / 8) * 8;
		uint64_t part = hostile_random(&random) % WORDS_IN_8;

		scribbles[i] = single(number_at(byte, part, hostile_random(&random) % VALUES),
				      &random);
		if (is_gate(scribbles[i].offset))
			i--;
	}
	return count;
}

static void apply(int fd, const struct scribble *scribble)
{
	if (pwrite(fd, &scribble->value, scribble->bytes, (off_t)scribble->offset) < 0)
		_exit(3);
	atomic_fetch_add(&shared->scribbles, 1);
}

static void path_of(char *path, size_t bytes, const char *name)
{
	snprintf(path, bytes, "%s/q.%s", folder, name);
}

static void run_case(const struct test_case *test)
{
	const struct kind *kind = &kinds[test->kind];
	struct scribble scribbles[8];
	uint32_t count = scribbles_of(test, scribbles);
	struct holdings holdings;
	char path[FOLDER_BYTES + 32];
	int fd;

	path_of(path, sizeof(path), "copy");
	unlink(path);
	fd = image_write(&image, path);
	if (fd < 0)
		_exit(3);
	if (test->mode != FRESH)
		victim_hold(&shared->record, kind, "copy", &holdings);
	for (uint32_t i = 0; i < count; i++)
		apply(fd, &scribbles[i]);
	if (test->mode == FRESH)
		victim_hold(&shared->record, kind, "copy", &holdings);
	victim_operate(&shared->record, kind, "copy", &holdings, test->number);
	tenon_queue_remove(NULL, "copy");
	close(fd);
}

/* Scribbles until it is killed.  Puts the good bytes back every now and then, so that victims come
 * to the deeper places.  Gates' owners are left to the other modes: each costs a victim a second. */
static void scribble_on(int fd, uint64_t random)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (uint32_t i = 0; i < image.count; i++)
			if (pwrite(fd, image.extent[i].data, image.extent[i].bytes,
				   (off_t)image.extent[i].offset) < 0)
				_exit(3);
		for (uint32_t i = 0; i < 400; i++) {
			uint64_t byte = image.hot[hostile_random(&random) % image.hot_count];
			uint64_t part = hostile_random(&random) % WORDS_IN_8;
			uint64_t which = hostile_random(&random) % VALUES;
			struct scribble one = single(number_at(byte, part, which), &random);

			if (!is_gate(one.offset))
				apply(fd, &one);
		}
	}
}

static void run_during(const struct test_case *test)
{
	struct holdings holdings;
	char path[FOLDER_BYTES + 32];
	pid_t pid;
	int fd;

	path_of(path, sizeof(path), "copy");
	unlink(path);
	fd = image_write(&image, path);
	pid = fd < 0 ? -1 : fork();
	if (pid < 0)
		_exit(3);
	if (pid == 0)
		scribble_on(fd, test->number);
	for (uint32_t i = 0; i < DURING_ROUNDS; i++) {
		victim_hold(&shared->record, &kinds[test->kind], "copy", &holdings);
		victim_operate(&shared->record, &kinds[test->kind], "copy", &holdings,
			       test->number + i);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	tenon_queue_remove(NULL, "copy");
	close(fd);
}

static void run_batch(const struct test_case *cases, uint32_t count)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1000); /* most of a case is waiting for short deadlines */
	for (uint32_t i = atomic_load(&shared->next); i < count; i++) {
		atomic_store(&shared->next, i);
		if (cases[i].mode == DURING)
			run_during(&cases[i]);
		else
			run_case(&cases[i]);
		if (atomic_load(&shared->record.wrong))
			_exit(4);
	}
	_exit(0);
}

static void tell_failure(const struct test_case *test, const char *what)
{
	struct scribble scribbles[8];
	uint32_t count = test->mode == DURING ? 0 : scribbles_of(test, scribbles);

	failures++;
	printf("FAIL --seed %llu --only %s,%s,%llu: %s in %s\n", (unsigned long long)seed,
	       mode_names[test->mode], kinds[test->kind].name, (unsigned long long)test->number,
	       what, victim_operation_name(atomic_load(&shared->record.operation)));
	for (uint32_t i = 0; i < count; i++)
		printf("	at %#llx (control + %#llx) %u bytes %#llx\n",
		       (unsigned long long)scribbles[i].offset,
		       (unsigned long long)(scribbles[i].offset - control_offset()),
		       scribbles[i].bytes, (unsigned long long)scribbles[i].value);
	fflush(stdout);
}

/* Waits for a victim.  False: it made no step for as long as the watchdog allows. */
static bool await(pid_t pid, int *ret_status)
{
	struct timespec tick = {0, 200000000};
	uint64_t steps = atomic_load(&shared->record.steps);
	int64_t since = now_ms();
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		if (waitpid(pid, ret_status, WNOHANG) == pid)
			return true;
		sigtimedwait(&child, NULL, &tick);
		if (atomic_load(&shared->record.steps) != steps) {
			steps = atomic_load(&shared->record.steps);
			since = now_ms();
		} else if (now_ms() - since > WATCHDOG_MS) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, ret_status, 0);
			return false;
		}
	}
}

/* Runs cases of one kind, going on behind each that fails.  -1: the test itself is broken. */
static int run_cases_of(const struct test_case *cases, uint32_t count)
{
	atomic_store(&shared->next, 0);
	while (atomic_load(&shared->next) < count && failures < FAILURES_MOST) {
		char what[300];
		uint32_t at;
		int status;
		pid_t pid;

		atomic_store(&shared->record.wrong, 0);
		fflush(stdout);
		pid = fork();
		if (pid < 0)
			return -1;
		if (pid == 0) {
			setpgid(0, 0);
			run_batch(cases, count);
		}
		setpgid(pid, pid);
		if (!await(pid, &status))
			snprintf(what, sizeof(what), "endless");
		else if (WIFSIGNALED(status))
			snprintf(what, sizeof(what), "killed by signal %d", WTERMSIG(status));
		else if (WEXITSTATUS(status) == 4)
			snprintf(what, sizeof(what), "%s", shared->record.fault);
		else if (WEXITSTATUS(status) == 3)
			return -1;
		else if (status != 0)
			snprintf(what, sizeof(what), "exit %d", WEXITSTATUS(status));
		else
			break;
		kill(-pid, SIGKILL);
		at = atomic_load(&shared->next);
		tell_failure(&cases[at], what);
		atomic_store(&shared->next, at + 1);
	}
	for (uint32_t i = 0; i < count; i++)
		run_cases[cases[i].mode]++;
	return 0;
}

/* Makes the good file of a kind and reads it. */
static int load_kind(uint32_t kind)
{
	char path[FOLDER_BYTES + 32];
	int result = victim_prepare(&kinds[kind], "good");

	if (result == 0) {
		path_of(path, sizeof(path), "good");
		image_free(&image);
		result = image_read(&image, path);
	}
	tenon_queue_remove(NULL, "good");
	if (result != 0)
		fprintf(stderr, "%s: the good queue cannot be made: %s\n", kinds[kind].name,
			strerror(-result));
	return result;
}

static uint64_t random_single(uint64_t *random)
{
	for (;;) {
		uint64_t byte = hostile_random(random) % 3
					? image.hot[hostile_random(random) % image.hot_count]
					: hostile_random(random) % (image.data_bytes / 8) * 8;

		if (!is_gate(image_offset(&image, byte)))
			return number_at(byte, hostile_random(random) % WORDS_IN_8,
					 hostile_random(random) % VALUES);
	}
}

static int sample(uint32_t kind, uint64_t *random)
{
	struct test_case cases[3 * BATCH_CASES + 1];
	uint32_t count = 0;

	for (uint32_t i = 0; i < BATCH_CASES; i++) {
		cases[count++] = (struct test_case){FRESH, kind, random_single(random)};
		cases[count++] = (struct test_case){HELD, kind, random_single(random)};
		cases[count++] = (struct test_case){SEVERAL, kind, hostile_random(random)};
	}
	cases[count++] = (struct test_case){DURING, kind, hostile_random(random)};
	return run_cases_of(cases, count);
}

/* An owner of a gate who does not exist. */
static int sample_gates(uint32_t kind, uint64_t *random)
{
	struct test_case cases[GATE_CASES];
	uint64_t at = 0;
	uint32_t count = 0;

	for (; at < image.data_bytes && count < GATE_CASES; at += 8)
		if (is_gate(image_offset(&image, at)))
			cases[count++] = (struct test_case){
				HELD, kind, number_at(at, 0, hostile_random(random) % VALUES)};
	return run_cases_of(cases, count);
}

static int run_sampled(int64_t seconds)
{
	int64_t end = now_ms() + seconds * 1000;
	uint64_t random = seed;
	int result = 0;

	for (uint32_t i = (uint32_t)(hostile_random(&random) % kinds_count);
	     result == 0 && failures < FAILURES_MOST; i++) {
		result = load_kind(i % kinds_count);
		if (result == 0 && run_cases[HELD] == 0)
			result = sample_gates(i % kinds_count, &random);
		if (result == 0)
			result = sample(i % kinds_count, &random);
		if (now_ms() >= end)
			break;
	}
	return result;
}

static int run_all(void)
{
	struct test_case cases[1000];
	uint64_t random = seed;
	int result = 0;

	for (uint32_t kind = 0; kind < kinds_count && result == 0; kind++) {
		result = load_kind(kind);
		for (uint32_t mode = FRESH; mode < MODES && result == 0; mode++) {
			uint64_t total = mode == DURING	   ? 1000
					 : mode == SEVERAL ? single_cases() / 4
							   : single_cases();

			for (uint64_t i = 0;
			     i < total && result == 0 && failures < FAILURES_MOST;) {
				uint32_t count = 0;

				for (; count < 1000 && i < total; i++)
					cases[count++] = (struct test_case){
						mode, kind,
						mode < SEVERAL ? i : hostile_random(&random)};
				result = run_cases_of(cases, count);
			}
			printf("%s %s: %llu cases\n", kinds[kind].name, mode_names[mode],
			       (unsigned long long)total);
		}
	}
	return result;
}

/* The case of a word that is in use: every value of every part of it has a number.  Other words have
 * one, which chance chooses. */
static struct test_case word_case(uint32_t kind, bool in_use, uint64_t number)
{
	uint64_t random = seed ^ number << 8 ^ kind;
	uint64_t choice = hostile_random(&random);
	struct test_case test = {choice & 1 ? FRESH : HELD, kind, 0};

	if (in_use) {
		uint64_t byte = image.hot[number / (WORDS_IN_8 * VALUES)];

		test.number = number_at(byte, number / VALUES % WORDS_IN_8, number % VALUES);
	} else {
		test.number = number_at(number * 8, (choice >> 1) % WORDS_IN_8,
					(choice >> 8) % VALUES);
	}
	return test;
}

/* Every word of every kind: those in use with all values, then the others with one. */
static int run_words(int64_t seconds)
{
	struct test_case cases[BATCH_WORDS];
	int64_t end = now_ms() + seconds * 1000;
	uint64_t missed = 0;
	int result = 0;

	for (uint32_t i = 0; i < 2 * kinds_count && result == 0; i++) {
		uint32_t kind = i % kinds_count;
		bool in_use = i < kinds_count;
		uint64_t total, at = 0;

		result = load_kind(kind);
		total = in_use ? image.hot_count * WORDS_IN_8 * VALUES : image.data_bytes / 8;
		while (result == 0 && at < total && failures < FAILURES_MOST && now_ms() < end) {
			uint32_t count = 0;

			for (; count < BATCH_WORDS && at < total; at++) {
				struct test_case test = word_case(kind, in_use, at);
				uint64_t word = test.number / VALUES / WORDS_IN_8 * 8;

				/* A second each, or more: gates do not differ. */
				if (kind == 0 || !is_gate(image_offset(&image, word)))
					cases[count++] = test;
			}
			result = run_cases_of(cases, count);
		}
		missed += total - at;
		printf("%s %s: %llu of %llu cases\n", kinds[kind].name,
		       in_use ? "words in use" : "words", (unsigned long long)at,
		       (unsigned long long)total);
		fflush(stdout);
	}
	if (missed > 0)
		printf("%llu cases were not run for lack of time\n", (unsigned long long)missed);
	return result;
}

static int run_only(const char *what)
{
	char mode[16], name[32];
	unsigned long long number;
	struct test_case test = {.mode = MODES, .kind = kinds_count};

	if (sscanf(what, "%15[^,],%31[^,],%llu", mode, name, &number) != 3)
		return -1;
	for (uint32_t i = 0; i < MODES; i++)
		if (strcmp(mode, mode_names[i]) == 0)
			test.mode = i;
	for (uint32_t i = 0; i < kinds_count; i++)
		if (strcmp(name, kinds[i].name) == 0)
			test.kind = i;
	test.number = number;
	if (test.mode == MODES || test.kind == kinds_count || load_kind(test.kind) != 0)
		return -1;
	return run_cases_of(&test, 1);
}

static void report(void)
{
	const struct record *record = &shared->record;

	printf("cases:");
	for (uint32_t i = 0; i < MODES; i++)
		printf(" %llu %s%s", (unsigned long long)run_cases[i], mode_names[i],
		       i + 1 < MODES ? "," : "");
	printf("\nwords: %llu in the last file, %llu of them in use, %u values each, %llu "
	       "scribbled\n",
	       (unsigned long long)(image.data_bytes / 8 * WORDS_IN_8),
	       (unsigned long long)image.hot_count, VALUES,
	       (unsigned long long)atomic_load(&shared->scribbles));
	printf("operations: %u, %llu calls; answers:", victim_operations(),
	       (unsigned long long)atomic_load(&record->called));
	for (uint32_t i = 0; i < ERRORS_MAX; i++)
		if (atomic_load(&record->seen[i]) > 0)
			printf(" %s %llu", i == 0 ? "0" : strerrorname_np((int)i),
			       (unsigned long long)atomic_load(&record->seen[i]));
	printf("\n%llu failed\n", (unsigned long long)failures);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"all", no_argument, NULL, 'a'},	   {"only", required_argument, NULL, 'o'},
		{"seconds", required_argument, NULL, 't'}, {"seed", required_argument, NULL, 's'},
		{"words", no_argument, NULL, 'w'},	   {0}};
	const char *only = NULL;
	int64_t seconds = SECONDS_DEFAULT;
	bool all = false, words = false;
	sigset_t child;
	int option, result;

	seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'a')
			all = true;
		else if (option == 'o')
			only = optarg;
		else if (option == 't')
			seconds = strtoll(optarg, NULL, 0);
		else if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (option == 'w')
			words = true;
		else
			return 2;
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || folder_make(folder) != 0)
		return 2;
	printf("seed %llu\n", (unsigned long long)seed);
	result = only	 ? run_only(only)
		 : words ? run_words(seconds)
		 : all	 ? run_all()
			 : run_sampled(seconds);
	report();
	folder_remove(folder);
	return result != 0 ? 2 : failures > 0;
}
