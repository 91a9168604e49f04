/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of a region with its first failing system call, then with its second, and so on
 * until it passes untouched.  Afterwards nothing has changed if it said so, no descriptor, mapping
 * or participant is left, and it works.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/region.h>

#include "../crash/folder.h"
#include "failing.h"

#define SKIPPED 77
#define NAME "/failing"
#define OTHER "/other"
#define CALLS_MOST 200u
#define PATIENCE_S 10u
#define BYTES 5000u
#define GROWN 20000u
#define MOST 100000u

enum call {
	OPEN,
	OPEN_GUARDED,
	CREATE,
	GROW,
	SEAL,
	MAP,
	BYTES_SEEN, /* after another has grown it */
	SNAPSHOT,
	VIEW,
	FD,
	COPY_FD,
	FROM_FD,
	FROM_READING_FD,
	FROM_COPY_FD,
	STATUS,
	CLOSE,
	REMOVE,
	FORKED,
	OPERATIONS
};

static const char *const names[OPERATIONS] = {
	"open",	   "open-guarded", "create",	      "grow",	      "seal",
	"map",	   "bytes",	   "snapshot",	      "view",	      "fd",
	"copy-fd", "from-fd",	   "from-reading-fd", "from-copy-fd", "status",
	"close",   "remove",	   "fork-grow"};

static struct tenon_region *inherited;
static int fd = -1;

static void end_with(const char *what, int64_t figure)
{
	printf("# %s: %lld\n", what, (long long)figure);
	fflush(stdout);
	_exit(1);
}

static int open_region(const char *name, uint32_t flags, struct tenon_region **region)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .bytes = BYTES, .max_bytes = MOST};

	return tenon_region_open(NULL, name, flags, &options, region);
}

static struct tenon_region *must_open(const char *name)
{
	struct tenon_region *region;
	int result = open_region(name, TENON_CREATE, &region);

	if (result != 0)
		end_with("cannot be opened", result);
	return region;
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3;

	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

/* Address space, but for the C library's own. */
static uint64_t count_mapped(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long long from, to;
	uint64_t bytes = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		if (!strstr(line, "[heap]") && !strstr(line, "[stack]") &&
		    sscanf(line, "%llx-%llx", &from, &to) == 2)
			bytes += to - from;
	if (file)
		fclose(file);
	return bytes;
}

static int operate(enum call operation, struct tenon_region **region)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	uint64_t bytes;
	void *address;
	int other;

	switch (operation) {
	case OPEN:
		return open_region(NAME, 0, region);
	case OPEN_GUARDED:
		return open_region(NAME, TENON_REGION_GUARD, region);
	case CREATE:
		return open_region(OTHER, TENON_CREATE | TENON_EXCLUSIVE, region);
	case SEAL:
		return tenon_region_seal(*region, TENON_REGION_SEAL_WRITE, TENON_NO_DEADLINE);
	case MAP:
		return tenon_region_map(*region, TENON_REGION_WRITE, &address, NULL);
	case BYTES_SEEN:
		return tenon_region_bytes(*region, &bytes);
	case SNAPSHOT:
		return tenon_region_snapshot(*region, 0, &address, &bytes);
	case VIEW:
		return tenon_region_snapshot(*region, TENON_REGION_COPY_ON_WRITE, &address, &bytes);
	case FD:
		return tenon_region_fd(*region, TENON_REGION_READ, &other);
	case COPY_FD:
		return tenon_region_fd(*region, TENON_REGION_SEALED_COPY, &other);
	case FROM_FD:
	case FROM_READING_FD:
	case FROM_COPY_FD:
		return tenon_region_from_fd(fd, 0, region);
	case STATUS:
		return tenon_region_status(*region, &status);
	case CLOSE:
		*region = tenon_region_close(*region);
		return 0;
	case REMOVE:
		return tenon_region_remove(NULL, OTHER);
	default:
		return tenon_region_grow(*region, GROWN, TENON_NO_DEADLINE);
	}
}

static bool makes_handle(enum call operation)
{
	return operation == OPEN || operation == OPEN_GUARDED || operation == CREATE ||
	       operation == FROM_FD || operation == FROM_READING_FD || operation == FROM_COPY_FD;
}

/* What is needed before. */
static void prepare(enum call operation, struct tenon_region *watch, struct tenon_region **region)
{
	static const uint32_t access[OPERATIONS] = {[FROM_FD] = TENON_REGION_WRITE,
						    [FROM_READING_FD] = TENON_REGION_READ,
						    [FROM_COPY_FD] = TENON_REGION_SEALED_COPY};
	void *address;

	if (access[operation] && tenon_region_fd(watch, access[operation], &fd) != 0)
		end_with("no descriptor", 0);
	if (operation == FORKED)
		*region = inherited;
	else if (!makes_handle(operation) && operation != REMOVE)
		*region = must_open(NAME);
	if (operation == REMOVE)
		tenon_region_close(must_open(OTHER));
	if (operation == CLOSE &&
	    tenon_region_map(*region, TENON_REGION_WRITE, &address, NULL) != 0)
		end_with("not mapped", 0);
	if (operation == BYTES_SEEN && tenon_region_grow(watch, GROWN, TENON_NO_DEADLINE) != 0)
		end_with("not grown", 0);
}

/* Another process uses it, as if nothing had been. */
static void prove(enum call operation, struct tenon_region *watch, struct tenon_region *region)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	bool grows = operation == GROW || operation == FORKED || operation == BYTES_SEEN;
	uint32_t attached = 1;
	void *address;
	uint64_t bytes;
	int result = tenon_region_bytes(watch, &bytes);

	if (result != 0 || bytes != (grows ? GROWN : BYTES))
		end_with("the size", (int64_t)bytes);
	if (tenon_region_status(watch, &status) != 0 || status.damaged)
		end_with("the status", status.damaged);
	if (region && operation != CREATE && operation != FROM_READING_FD &&
	    operation != FROM_COPY_FD)
		attached++;
	/* Whoever could not even take the lock back is counted until its process ends. */
	if (status.participants != attached && operation != CLOSE && operation != FORKED)
		end_with("participants", status.participants);
	result = tenon_region_grow(watch, GROWN + 1, TENON_NO_DEADLINE);
	if (result != 0)
		end_with("cannot grow", result);
	result = tenon_region_map(watch, TENON_REGION_WRITE, &address, &bytes);
	if (result != (operation == SEAL ? -EPERM : 0))
		end_with("cannot be mapped", result);
	if (result == 0)
		memset(address, 1, GROWN + 1);
}

/* In the traced process. */
static void scenario(void *context)
{
	enum call operation = *(const enum call *)context;
	struct tenon_region *watch = must_open(NAME), *region = NULL;
	int descriptors, result;
	uint64_t mapped;

	alarm(PATIENCE_S);
	prepare(operation, watch, &region);
	descriptors = count_descriptors();
	mapped = count_mapped();
	failing_begin();
	result = operate(operation, &region);
	failing_end();

	if (result != 0) {
		if (count_descriptors() != descriptors)
			end_with("descriptors are left", result);
		if (count_mapped() != mapped)
			end_with("mappings are left", result);
		if (makes_handle(operation) && region)
			end_with("a handle in spite of", result);
		/* It works now. */
		result = operate(operation, &region);
		if (result != 0 && !(operation == REMOVE && result == -ENOENT))
			end_with("works no more", result);
	}
	prove(operation, watch, region);
	_exit(0);
}

static enum failing_end run(enum call operation, uint32_t nth, uint32_t variant,
			    struct failing_hit *ret_hit, uint32_t *ret_variants)
{
	enum failing_end end;

	fflush(stdout);
	inherited = operation == FORKED ? must_open(NAME) : NULL;
	end = failing_run(scenario, &operation, nth, variant, ret_hit, ret_variants);
	inherited = tenon_region_close(inherited);
	tenon_region_remove(NULL, NAME);
	tenon_region_remove(NULL, OTHER);
	return end;
}

/* How many failed; -1: there is no tracing here. */
static int sweep(enum call operation, uint64_t *points)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		uint32_t variants = 1;

		for (uint32_t variant = 0; variant < variants; variant++) {
			struct failing_hit hit;
			enum failing_end end = run(operation, nth, variant, &hit, &variants);

			if (end == FAILING_IMPOSSIBLE)
				return -1;
			if (end == FAILING_UNTOUCHED)
				return failed;
			++*points;
			if (end != FAILING_CRASHED)
				continue;
			failed++;
			printf("# call %u, %s: %s%s\n", nth, hit.call, strerrorname_np(hit.error),
			       WIFSIGNALED(hit.status) ? ": killed" : "");
			if (hit.error == 0)
				return failed;
		}
	}
	return failed + 1;
}

/* The same with allocations; all system calls are made. */
static int sweep_memory(enum call operation, uint64_t *points)
{
	int failed = 0;

	for (uint32_t nth = 0; nth < CALLS_MOST; nth++) {
		struct failing_hit hit;
		uint32_t variants;
		enum failing_end end;

		*failing_memory = (struct failing_memory){.nth = nth};
		end = run(operation, FAILING_NONE, 0, &hit, &variants);
		failing_memory->nth = FAILING_NONE;
		if (end == FAILING_CRASHED) {
			failed++;
			printf("# allocation %u%s\n", nth,
			       WIFSIGNALED(hit.status) ? ": killed" : "");
		}
		if (!failing_memory->failed)
			return failed;
		++*points;
	}
	return failed + 1;
}

int main(void)
{
	char folder[FOLDER_BYTES];
	int failed = 0;

	failing_memory = mmap(NULL, sizeof(*failing_memory), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	failing_memory->nth = FAILING_NONE;
	if (folder_make(folder) != 0)
		return 2;
	for (uint32_t i = 0; i < OPERATIONS; i++) {
		uint64_t points = 0;
		int result = sweep(i, &points);

		if (result < 0) {
			printf("1..0 # SKIP no process may trace another here\n");
			folder_remove(folder);
			return SKIPPED;
		}
		result += sweep_memory(i, &points);
		failed += result;
		printf("%sok %u - %s: %llu failing calls\n", result ? "not " : "", i + 1, names[i],
		       (unsigned long long)points);
	}
	printf("1..%u\n", OPERATIONS);
	folder_remove(folder);
	return failed > 0;
}
