/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Each operation of a region with its first failing system call, then with its second, and so on
 * until it passes untouched.  Afterwards nothing has changed if it said so, no descriptor, mapping
 * or participant is left, and it works.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <tenon/region.h>

#include "failing_sweep.h"

#define NAME "/failing"
#define OTHER "/other"
#define BYTES 5000u
#define GROWN 20000u
#define MOST 100000u

enum call {
	OPEN,
	OPEN_GUARDED,
	CREATE,
	NAMELESS,
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
	"open",	  "open-guarded", "create",  "nameless",	"grow",
	"seal",	  "map",	  "bytes",   "snapshot",	"view",
	"fd",	  "copy-fd",	  "from-fd", "from-reading-fd", "from-copy-fd",
	"status", "close",	  "remove",  "fork-grow"};

static struct tenon_region *inherited;
static int fd = -1;

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
		failing_wrong("cannot be opened", result);
	return region;
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
	case NAMELESS:
		return open_region(NULL, TENON_CREATE, region);
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
	       operation == NAMELESS || operation == FROM_FD || operation == FROM_READING_FD ||
	       operation == FROM_COPY_FD;
}

/* What is needed before. */
static void prepare(enum call operation, struct tenon_region *watch, struct tenon_region **region)
{
	static const uint32_t access[OPERATIONS] = {[FROM_FD] = TENON_REGION_WRITE,
						    [FROM_READING_FD] = TENON_REGION_READ,
						    [FROM_COPY_FD] = TENON_REGION_SEALED_COPY};
	void *address;

	if (access[operation] && tenon_region_fd(watch, access[operation], &fd) != 0)
		failing_wrong("no descriptor", 0);
	if (operation == FORKED)
		*region = inherited;
	else if (!makes_handle(operation) && operation != REMOVE)
		*region = must_open(NAME);
	if (operation == REMOVE)
		tenon_region_close(must_open(OTHER));
	if (operation == CLOSE &&
	    tenon_region_map(*region, TENON_REGION_WRITE, &address, NULL) != 0)
		failing_wrong("not mapped", 0);
	if (operation == BYTES_SEEN && tenon_region_grow(watch, GROWN, TENON_NO_DEADLINE) != 0)
		failing_wrong("not grown", 0);
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
		failing_wrong("the size", (int)bytes);
	if (tenon_region_status(watch, &status) != 0 || status.damaged)
		failing_wrong("the status", status.damaged);
	if (region && operation != CREATE && operation != NAMELESS &&
	    operation != FROM_READING_FD && operation != FROM_COPY_FD)
		attached++;
	/* Whoever could not even take the lock back is counted until its process ends. */
	if (status.participants != attached && operation != CLOSE && operation != FORKED)
		failing_wrong("participants", status.participants);
	result = tenon_region_grow(watch, GROWN + 1, TENON_NO_DEADLINE);
	if (result != 0)
		failing_wrong("cannot grow", result);
	result = tenon_region_map(watch, TENON_REGION_WRITE, &address, &bytes);
	if (result != (operation == SEAL ? -EPERM : 0))
		failing_wrong("cannot be mapped", result);
	if (result == 0)
		memset(address, 1, GROWN + 1);
}

/* In the traced process. */
static void scenario(void *context)
{
	enum call operation = (enum call) * (const uint32_t *)context;
	struct tenon_region *watch = must_open(NAME), *region = NULL;
	int descriptors, result;
	uint64_t mapped;

	prepare(operation, watch, &region);
	descriptors = failing_count_descriptors();
	mapped = failing_count_mapped();
	failing_begin();
	result = operate(operation, &region);
	failing_end();

	failing_told(result, (const int[]){-EIO, FAILING_LIST_END});
	if (result != 0) {
		if (failing_count_descriptors() != descriptors)
			failing_wrong("descriptors are left", result);
		if (failing_count_mapped() != mapped)
			failing_wrong("mappings are left", result);
		if (makes_handle(operation) && region)
			failing_wrong("a handle in spite of", result);
		/* It works now. */
		result = operate(operation, &region);
		if (result != 0 && !(operation == REMOVE && result == -ENOENT))
			failing_wrong("works no more", result);
	}
	prove(operation, watch, region);
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return names[operation];
}

static void inherit(uint32_t operation)
{
	inherited = operation == FORKED ? must_open(NAME) : NULL;
}

static void clean(void)
{
	inherited = tenon_region_close(inherited);
	tenon_region_remove(NULL, NAME);
	tenon_region_remove(NULL, OTHER);
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = OPERATIONS,
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	return failing_sweep_main(argc, argv, &set);
}
