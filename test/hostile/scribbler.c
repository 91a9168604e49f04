/* SPDX-License-Identifier: Apache-2.0 */

#include "scribbler.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "../crash/folder.h"
#include "abi/sync.h"
#include "patience.h"
#include "scribbled.h"

#define SOON_NS 30000
#define PATIENCE_S 60u
#define MELEE_NS INT64_C(1000000000)
#define MELEE_PATIENCE_S 60u
/* With --all it is that many times as long. */
#define MELEE_ALL 20
#define WORKERS 2u
#define SAMPLE_DEFAULT 4u

static bool all;

static const uint64_t fixed[] = {
	0,
	1,
	2,
	5,
	UINT64_MAX,
	UINT32_MAX,
	UINT64_C(1) << 16,
	UINT64_C(1) << 30,
	UINT64_C(1) << 31,
	UINT64_C(1) << 32,
	UINT64_C(1) << 48,
	UINT64_C(1) << 63,
	UINT64_C(0xf8000000) << 32,
	UINT64_C(0x123456789abcdef0),
};
#define FIXED (sizeof(fixed) / sizeof(fixed[0]))
/* Made from what is there, and from the number of a thread that waits, or else of the victim's. */
#define MADE 10u
#define OWN 7u
#define OTHERS 8u
#define VALUES ((uint32_t)FIXED + MADE)

static uint64_t value_of(uint32_t which, uint64_t old, pid_t thread)
{
	uint64_t owner = (uint64_t)thread;

	if (which < FIXED)
		return fixed[which];
	switch (which - FIXED) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return old ^ TNI_TURNSTILE_CLAIMING;
	case 3:
		return old ^ (TNI_TURNSTILE_OWED | TNI_TURNSTILE_WIDE);
	case 4:
		return old ^ TNI_TURNSTILE_SLEEPERS;
	case 5:
		return old << 32 | old >> 32;
	case 6:
		return ~old;
	case OWN:
		return owner;
	case OTHERS:
		return owner | UINT64_C(1) << TNI_GATE_HOLDER_SHIFT | TNI_GATE_WAITERS;
	default:
		return owner | TNI_GATE_OWNER_DIED;
	}
}

void scribbler_told(const char *call, int result, const int *also)
{
	static const int general[] = {0,       -EBADMSG, -ENOSPC, -ENOMEM,
				      -EUSERS, -EINVAL,	 -EMFILE, -ENFILE};

	for (size_t i = 0; i < sizeof(general) / sizeof(general[0]); i++)
		if (result == general[i])
			return;
	for (; *also != SCRIBBLED_LIST_END; also++)
		if (result == *also)
			return;
	fprintf(stderr, "an answer that the header does not name: %s: %d\n", call, result);
	_exit(UNDOCUMENTED);
}

int64_t scribbler_soon(void)
{
	return tenon_deadline_after(SOON_NS);
}

struct attack {
	const struct scribbled *kind;
	const struct scribbled_places *places;
	uint64_t offset;
	uint32_t state, number;
};

/* A gate that a thread seems to hold is waited for, a second each time: few such values will do.  The region's is waited
 * for without a deadline, and a living one's for as long as he lives. */
static bool is_slow(const struct attack *attack, uint32_t which, uint64_t value)
{
	bool is_regions = scribbled_is_regions_gate(attack->places, attack->offset);

	if (!scribbled_is_gate(attack->places, attack->offset) || (value & TNI_GATE_OWNER) == 0)
		return false;
	if (is_regions && attack->state == SCRIBBLED_WAITED && which >= FIXED + OWN)
		return true;
	if (all || (attack->kind->is_held_long && !is_regions))
		return false;
	if (is_regions || attack->kind->sample)
		return which != FIXED + OWN || attack->state != SCRIBBLED_IDLE;
	return which != FIXED + OWN && (which != FIXED + OTHERS || attack->state == SCRIBBLED_IDLE);
}

static void scribble(const struct attack *attack, uint32_t which, pid_t thread)
{
	int fd = scribbled_file(attack->kind);
	uint64_t old, value;

	if (pread(fd, &old, sizeof(old), (off_t)attack->offset) != sizeof(old))
		_exit(IMPOSSIBLE);
	value = value_of(which, old, thread);
	if (is_slow(attack, which, value))
		value = old;
	if (pwrite(fd, &value, sizeof(value), (off_t)attack->offset) != sizeof(value))
		_exit(IMPOSSIBLE);
	close(fd);
}

static void check_waiter(int status)
{
	if (status != 0 && status != SIGKILL) {
		fprintf(stderr, "who waited ended with %x\n", (unsigned)status);
		_exit(UNDOCUMENTED);
	}
}

/* Another process, that waits; not for long, since others may have to wait as long as it lives. */
static pid_t start_waiter(const struct scribbled *kind, void *object)
{
	int status;
	pid_t pid;

	do {
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			kind->wait(scribbled_must_open(kind).object);
			_exit(0);
		}
		if (pid < 0)
			_exit(IMPOSSIBLE);
		do {
			if (kind->waiting(object) != 0)
				return pid;
			sched_yield();
		} while (waitpid(pid, &status, WNOHANG) == 0);
		/* This process had no processor for all of that time: once more. */
		check_waiter(status);
	} while (true);
}

static void end_waiter(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		_exit(IMPOSSIBLE);
	check_waiter(status);
}

static uint32_t sample_of(const struct scribbled *kind)
{
	return kind->sample ? kind->sample : SAMPLE_DEFAULT;
}

static bool is_held(const struct scribbled *kind, uint32_t state)
{
	return state == SCRIBBLED_HELD || (state == SCRIBBLED_WAITED && kind->waits_for_held);
}

/* The victim's part. */
static void suffer(const void *context)
{
	const struct attack *attack = context;
	const struct scribbled *kind = attack->kind;

	for (uint32_t i = 0; i < VALUES; i++) {
		struct scribbled_handle handle;
		pid_t waiter = 0;

		if (!all && !scribbled_is_gate(attack->places, attack->offset) &&
		    (i + attack->number) % sample_of(kind) != 0)
			continue;
		scribbled_remove(kind);
		handle = scribbled_must_open(kind);
		if (is_held(kind, attack->state) && kind->hold(handle.object) != 0)
			_exit(IMPOSSIBLE);
		if (attack->state == SCRIBBLED_WAITED)
			waiter = start_waiter(kind, handle.object);
		scribble(attack, i, waiter > 0 ? waiter : getpid());
		scribbled_use_up(kind, &handle);
		if (waiter > 0)
			end_waiter(waiter);
	}
}

static const char *const state_names[SCRIBBLED_STATES] = {"idle", "held", "waited for"};

static bool is_state(const struct scribbled *kind, uint32_t state)
{
	return state == SCRIBBLED_HELD ? kind->hold != NULL
				       : state != SCRIBBLED_WAITED || kind->wait != NULL;
}

/* How many victims did not survive. */
static uint32_t sweep(const struct scribbled *kind)
{
	struct scribbled_places places = scribbled_find_places(kind);
	struct attack attack = {.kind = kind, .places = &places};
	uint32_t words = 0, failed = 0;

	for (uint64_t offset = 0; offset < places.end; offset += 8) {
		if (!scribbled_is_target(&places, offset))
			continue;
		words++;
		attack.offset = offset;
		for (uint32_t state = 0; state < SCRIBBLED_STATES; state++) {
			int status;

			attack.state = state;
			attack.number++;
			if (!is_state(kind, state))
				continue;
			status = patience_run(suffer, &attack, PATIENCE_S);
			if (status == 0)
				continue;
			failed++;
			printf("# offset %llu, %s: status %x\n", (unsigned long long)offset,
			       state_names[state], (unsigned)status);
		}
	}
	printf("# %s: %u words, %u values\n", kind->name, words,
	       all ? VALUES : VALUES / sample_of(kind));
	return failed;
}

struct melee {
	const struct scribbled *kind;
	const struct scribbled_places *places;
	struct tni_a32 *over;
};

/* One of those who use it meanwhile. */
static void work(const struct melee *melee)
{
	const struct scribbled *kind = melee->kind;

	while (!tni_get32(melee->over)) {
		struct scribbled_handle handle;

		if (scribbled_open(kind, TENON_CREATE, &handle) != 0)
			continue;
		for (uint32_t i = 0; i < 7 && !tni_get32(melee->over); i++) {
			if (kind->hold && i % 2 == 0)
				kind->hold(handle.object);
			kind->call(handle.object);
		}
		scribbled_use_up(kind, &handle);
	}
	_exit(0);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Every other time a word gets back what it was, so that there is something that works to be disturbed. */
static void scribble_for_a_while(const struct melee *melee, const pid_t worker[WORKERS],
				 uint8_t **ret_base)
{
	uint64_t random = 0x9e3779b97f4a7c15, count = 0, *image = malloc(melee->places->end);
	uint64_t *targets = malloc(melee->places->end);
	int64_t end_ns = tenon_deadline_after(all ? MELEE_ALL * MELEE_NS : MELEE_NS);
	int fd = scribbled_file(melee->kind);
	uint8_t *base = mmap(NULL, melee->places->end, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED || !image || !targets ||
	    pread(fd, image, melee->places->end, 0) != (ssize_t)melee->places->end)
		_exit(IMPOSSIBLE);
	for (uint64_t offset = 0; offset < melee->places->end; offset += 8)
		if (scribbled_is_target(melee->places, offset))
			targets[count++] = offset;
	while (tenon_deadline_after(0) < end_ns) {
		uint64_t offset = targets[next_random(&random) % count];
		struct tni_a64 *word = (struct tni_a64 *)(base + offset);
		uint64_t value = image[offset / 8];

		if (next_random(&random) % 2)
			value = value_of((uint32_t)(next_random(&random) % VALUES), tni_get64(word),
					 worker[next_random(&random) % WORKERS]);
		tni_set64(word, value);
	}
	tni_set32(melee->over, 1);
	*ret_base = base;
	close(fd);
	free(image);
	free(targets);
}

/* A gate is waited for as long as its holder seems to live, or may do so in another pid namespace: what says that is as
 * it was; and of processes that are said to be there this one has no such thread. */
static void let_the_dead_be_dead(uint8_t *base, uint64_t pid_namespace)
{
	struct tni_object_header *header = (struct tni_object_header *)base;
	struct tni_participant *entry = (struct tni_participant *)(base + TNI_PARTICIPANTS_OFFSET);

	tni_set64(&header->pid_namespace, pid_namespace);
	tni_set64(&header->mixed, 0);
	for (uint32_t i = 0; i < 2; i++) {
		tni_set64(&entry[i].pid_namespace, pid_namespace);
		tni_set32(&entry[i].pid, (uint32_t)getpid());
	}
}

static void fight(const void *context)
{
	struct melee melee = *(const struct melee *)context;
	struct scribbled_handle handle = scribbled_must_open(melee.kind);
	pid_t worker[WORKERS];
	uint8_t *base;
	struct stat own;
	int failed = 0;

	for (uint32_t i = 0; i < WORKERS; i++) {
		worker[i] = fork();
		if (worker[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			work(&melee);
		}
	}
	if (stat("/proc/self/ns/pid", &own) != 0)
		_exit(IMPOSSIBLE);
	scribble_for_a_while(&melee, worker, &base);
	for (uint32_t i = 0; i < WORKERS; i++) {
		int status = 0;
		pid_t ended;

		do {
			let_the_dead_be_dead(base, own.st_ino);
			sched_yield();
			ended = waitpid(worker[i], &status, WNOHANG);
		} while (ended == 0);
		if (ended != worker[i] || status != 0) {
			printf("# a worker ended with %x\n", (unsigned)status);
			failed++;
		}
	}
	scribbled_close(melee.kind, &handle);
	fflush(stdout);
	_exit(failed > 0);
}

/* Scribbles while others sleep and wake: those end soon after it has ended, at least. */
static bool survives_melee(const struct scribbled *kind)
{
	struct scribbled_places places = scribbled_find_places(kind);
	struct melee melee = {.kind = kind, .places = &places};
	int status;

	melee.over = mmap(NULL, sizeof(*melee.over), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (melee.over == MAP_FAILED)
		return false;
	status = patience_run(fight, &melee, MELEE_PATIENCE_S);
	munmap(melee.over, sizeof(*melee.over));
	scribbled_remove(kind);
	if (status != 0)
		printf("# status %x\n", (unsigned)status);
	return status == 0;
}

int scribbler_main(int argc, char **argv, const struct scribbled *kinds, uint32_t count)
{
	char folder[FOLDER_BYTES];
	const char *only = NULL;
	uint32_t number = 0, failed = 0;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--all") == 0)
			all = true;
		else if (strcmp(argv[i], "--placed") == 0)
			scribbled_is_placed = true;
		else
			only = argv[i];
	if (folder_make(folder) != 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t died;
		bool survived;

		if (only && strcmp(only, kinds[i].name) != 0)
			continue;
		died = sweep(&kinds[i]);
		scribbled_remove(&kinds[i]);
		printf("%sok %u - %s%s, word by word\n", died ? "not " : "", ++number,
		       scribbled_is_placed ? "placed " : "", kinds[i].name);
		survived = survives_melee(&kinds[i]);
		printf("%sok %u - %s%s, while others use it\n", survived ? "" : "not ", ++number,
		       scribbled_is_placed ? "placed " : "", kinds[i].name);
		failed += died + !survived;
	}
	printf("1..%u\n", number);
	folder_remove(folder);
	return failed > 0 || number == 0;
}
