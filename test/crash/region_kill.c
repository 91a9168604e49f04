/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The region, killed at the instructions of its operations: points.h.  A rival, in some scenarios, comes to grow the region
 * itself when the victim is at its last instruction.  Afterwards the region has grown or has not, what is new is zero,
 * what was there is there, nobody but the living is attached, the survivors and one who opens it anew map, grow and seal
 * it without a wait, and no memory is left that nobody counts.
 */

#include <errno.h>
#include <string.h>

#include <tenon/region.h>

#include "points.h"
#include "step.h"

#define NAME "/victim"
#define PAGE 4096u
#define BYTES 5000u		/* at first */
#define GROWN (4 * PAGE + 100u) /* what the victim makes of it */
#define RIVAL (5 * PAGE)	/* what the other one does */
#define LAST (8 * PAGE)
#define MOST (16 * PAGE)

enum operation {
	OP_GROW,
	OP_SEAL,
	OP_SEAL_BUSY,
	OP_MAP,
	OP_UNMAP,
	OP_BYTES,
	OP_SNAPSHOT,
	OP_VIEW,
	OP_FD,
	OP_COPY_FD,
	OP_FROM_FD,
	OP_OPEN,
	OP_OPEN_GUARDED,
	OP_CREATE,
	OP_CLOSE,
	OP_STATUS,
};

static struct tenon_region *own; /* this process's */
static uint8_t *data;		 /* and its mapping */
static struct tenon_region *victims;
static void *victims_data;
static int victims_fd;

static struct tenon_region *open_region(uint32_t flags)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .bytes = BYTES, .max_bytes = MOST, .max_participants = 16};
	struct tenon_region *region;

	return tenon_region_open(NULL, NAME, flags, &options, &region) == 0 ? region : NULL;
}

/* In the victim. */
static int prepare(const struct points_case *one)
{
	if (one->number == OP_FROM_FD)
		return tenon_region_fd(own, TENON_REGION_WRITE, &victims_fd);
	if (one->number == OP_OPEN || one->number == OP_OPEN_GUARDED || one->number == OP_CREATE)
		return 0;
	victims = open_region(0);
	if (!victims)
		return -1;
	/* The guard's and the gate's first times are not of interest. */
	if (one->number == OP_UNMAP || one->number == OP_CLOSE)
		return tenon_region_map(victims, TENON_REGION_WRITE, &victims_data, NULL);
	return 0;
}

static void operate(const struct points_case *one)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	uint64_t bytes;
	void *address;
	int fd;

	switch (one->number) {
	case OP_GROW:
		(void)!tenon_region_grow(victims, GROWN, points_deadline());
		break;
	case OP_SEAL:
	case OP_SEAL_BUSY:
		(void)!tenon_region_seal(victims, TENON_REGION_SEAL_WRITE, points_deadline());
		break;
	case OP_MAP:
		tenon_region_map(victims, TENON_REGION_WRITE, &address, &bytes);
		break;
	case OP_UNMAP:
		tenon_region_unmap(victims, victims_data);
		break;
	case OP_BYTES:
		tenon_region_bytes(victims, &bytes);
		break;
	case OP_SNAPSHOT:
		tenon_region_snapshot(victims, 0, &address, &bytes);
		break;
	case OP_VIEW:
		tenon_region_snapshot(victims, TENON_REGION_COPY_ON_WRITE, &address, &bytes);
		break;
	case OP_FD:
		tenon_region_fd(victims, TENON_REGION_READ, &fd);
		break;
	case OP_COPY_FD:
		tenon_region_fd(victims, TENON_REGION_SEALED_COPY, &fd);
		break;
	case OP_FROM_FD:
		(void)!tenon_region_from_fd(victims_fd, 0, &victims);
		break;
	case OP_CLOSE:
		victims = tenon_region_close(victims);
		break;
	case OP_STATUS:
		tenon_region_status(victims, &status);
		break;
	default:
		victims = open_region(TENON_CREATE |
				      (one->number == OP_OPEN_GUARDED ? TENON_REGION_GUARD : 0));
	}
}

static bool is_all(uint64_t from, uint64_t to, uint8_t value)
{
	for (uint64_t i = from; i < to; i++)
		if (data[i] != value)
			return points_wrong("a byte is another", (int64_t)i);
	return true;
}

/* Grows beside the victim. */
static int grow_as_rival(const struct points_case *one)
{
	struct tenon_region *region = open_region(0);

	(void)one;
	return region ? tenon_region_grow(region, RIVAL, points_deadline()) : -EBADF;
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static bool prove_size(const struct points_case *one, bool rival)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	uint64_t bytes = 0;
	int result = tenon_region_bytes(own, &bytes);

	if (result != 0)
		return points_wrong("size", result);
	if (bytes != (rival ? RIVAL : BYTES) && (rival || one->number != OP_GROW || bytes != GROWN))
		return points_wrong("half grown", (int64_t)bytes);
	if (tenon_region_status(own, &status) != 0 || status.damaged || status.participants != 1 ||
	    status.writers != (data != NULL))
		return points_wrong("somebody is left", status.participants);
	return true;
}

/* Everything that a survivor may do, by this process or a handle of its own. */
static bool prove_one(const struct points_case *one, struct tenon_region *region, uint64_t bytes)
{
	int64_t before_ns = step_now_ns(), took_ns;
	struct tenon_region_status status = {.size = sizeof(status)};
	void *address = NULL;
	uint64_t seen = 0;
	int result = tenon_region_grow(region, bytes, points_deadline());

	if (result != 0)
		return points_wrong("a survivor cannot grow it", result);
	result = tenon_region_map(region, TENON_REGION_WRITE, &address, &seen);
	if (result == -EPERM && one->number == OP_SEAL)
		result = tenon_region_map(region, TENON_REGION_READ, &address, &seen);
	if (result != 0 || seen != bytes)
		return points_wrong("a survivor cannot map it", result);
	if (!data)
		data = address;
	took_ns = step_now_ns() - before_ns;
	if (points_is_slow(took_ns))
		return points_slow("a survivor waited: ns", took_ns);
	/* The header, participants, stakes, the control page and places, each as far as they are
	 * used. */
	if (tenon_region_status(region, &status) != 0 ||
	    status.memory_bytes > bytes + PAGE + 6 * PAGE)
		return points_wrong("memory is left", (int64_t)status.memory_bytes);
	return true;
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct tenon_region *fresh;
	uint64_t before = BYTES;
	bool right = prove_size(one, answer == 0) && tenon_region_bytes(own, &before) == 0 &&
		     prove_one(one, own, before) && is_all(0, BYTES, 1) && is_all(BYTES, before, 0);
	int result;

	(void)finished;
	fresh = open_region(TENON_CREATE);
	if (!fresh)
		return points_wrong("cannot be opened", 0);
	right = right && prove_one(one, fresh, LAST) && prove_one(one, own, LAST) &&
		is_all(before, LAST, 0);
	fresh = tenon_region_close(fresh);
	tenon_region_unmap(own, data);
	data = NULL;
	result = right ? tenon_region_seal(own, TENON_REGION_SEAL_WRITE, points_deadline()) : 0;
	return right && (result == 0 || points_wrong("cannot be sealed", result));
}

static bool set_stage(const struct points_case *one)
{
	void *address = NULL;

	own = open_region(TENON_CREATE);
	if (!own || tenon_region_map(own, TENON_REGION_WRITE, &address, NULL) != 0)
		return false;
	data = address;
	memset(data, 1, BYTES);
	/* To be seen if it is not zeroed when the region grows. */
	memset(data + BYTES, 9, 2 * PAGE - BYTES);
	if (one->number == OP_SEAL) {
		tenon_region_unmap(own, data);
		data = NULL;
	}
	return true;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	data = NULL;
	own = tenon_region_close(own);
	tenon_region_remove(NULL, NAME);
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .is_rival = true, .sleep = grow_as_rival,                      \
		.is_right = is_right, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__      \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("grow", OP_GROW, ),
		CASE("seal", OP_SEAL, ),
		CASE("seal-busy", OP_SEAL_BUSY, ),
		CASE("map", OP_MAP, .no_sleeper = true),
		CASE("unmap", OP_UNMAP, .no_sleeper = true),
		CASE("bytes", OP_BYTES, .no_sleeper = true),
		CASE("snapshot", OP_SNAPSHOT, .no_sleeper = true),
		CASE("view", OP_VIEW, .no_sleeper = true),
		CASE("fd", OP_FD, .no_sleeper = true),
		CASE("copy-fd", OP_COPY_FD, .no_sleeper = true),
		CASE("from-fd", OP_FROM_FD, .no_sleeper = true),
		CASE("open", OP_OPEN, .no_sleeper = true),
		CASE("open-guarded", OP_OPEN_GUARDED, .no_sleeper = true),
		CASE("create", OP_CREATE, .no_sleeper = true),
		CASE("close", OP_CLOSE, .no_sleeper = true),
		CASE("status", OP_STATUS, .no_sleeper = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
