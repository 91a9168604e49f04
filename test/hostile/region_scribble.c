/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over each word of a region's memory but its data, before it is opened and while it is
 * open, and lets a victim call everything and touch all memory that it is told of: it must end in
 * time, with answers that the header names, and alive.  A victim to a word and state, which has ten
 * seconds for all values.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/region.h>

#include "../crash/folder.h"
#include "abi/region.h"
#include "patience.h"

#define NAME "/attacked"
#define WAIT_NS 1000000
#define PATIENCE_S 60u
#define BYTES 5000u
#define MOST 30000u
#define PARTICIPANTS 4u

static const uint64_t values[] = {
	0,
	1,
	2,
	4,
	4096,
	8192,
	12000,
	MOST,
	MOST + 1,
	UINT64_MAX,
	UINT32_MAX,
	UINT64_C(1) << 30,
	UINT64_C(1) << 31,
	UINT64_C(1) << 43,
	UINT64_C(1) << 48,
	UINT64_C(1) << 63,
	UINT64_C(0xf8000000) << 32,
	UINT64_C(0x123456789abcdef0),
};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* Unsealed and open; open with a mapping for writing; before it is opened. */
enum state { FRESH, MAPPED, BEFORE, STATES };

static int told(int result)
{
	static const int documented[] = {0,	   -EBADMSG,   -EIO,	-ENOSPC, -ENOMEM, -EUSERS,
					 -EINVAL,  -EPERM,     -EACCES, -EAGAIN, -EFBIG,  -EBUSY,
					 -EDEADLK, -ETIMEDOUT, -EPROTO, -EMFILE, -ENFILE};

	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (result == documented[i])
			return result;
	fprintf(stderr, "an answer that the header does not name: %d\n", result);
	_exit(3);
}

/* Whatever a call says is there, is there. */
static void touch(void *address, uint64_t bytes, bool writing)
{
	volatile uint8_t *data = address;

	if (bytes > MOST && bytes < UINT64_C(1) << 40) {
		fprintf(stderr, "more than there can be: %llu\n", (unsigned long long)bytes);
		_exit(3);
	}
	for (uint64_t i = 0; i < bytes; i += 512) {
		uint8_t value = data[i];

		if (writing)
			data[i] = value;
	}
}

static int visit(const struct tenon_region_user *user, void *context)
{
	(void)user;
	++*(uint32_t *)context;
	return 0;
}

/* Everything but what changes it for good. */
static void do_all(struct tenon_region *region)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	struct tenon_region *other;
	uint32_t count = 0;
	uint64_t bytes = 0;
	void *address;
	int fd;

	told(tenon_region_status(region, &status));
	told(tenon_region_bytes(region, &bytes));
	if (told(tenon_region_map(region, TENON_REGION_READ, &address, &bytes)) == 0)
		touch(address, bytes, false);
	if (told(tenon_region_map(region, TENON_REGION_WRITE, &address, &bytes)) == 0)
		touch(address, bytes, true);
	told(tenon_region_grow(region, 6000, tenon_deadline_after(WAIT_NS)));
	told(tenon_region_grow(region, 9000, tenon_deadline_after(WAIT_NS)));
	if (told(tenon_region_map(region, TENON_REGION_WRITE, &address, &bytes)) == 0)
		touch(address, bytes, true);
	for (uint32_t flags = 0; flags < 2; flags++)
		if (told(tenon_region_snapshot(region, flags, &address, &bytes)) == 0)
			touch(address, bytes, true);
	told(tenon_region_attached(region, visit, &count));
	if (count > PARTICIPANTS)
		_exit(3);
	for (uint32_t access = 1; access <= 4; access *= 2) {
		if (told(tenon_region_fd(region, access, &fd)) != 0)
			continue;
		if (told(tenon_region_from_fd(fd, 0, &other)) == 0) {
			if (told(tenon_region_map(other, TENON_REGION_READ, &address, &bytes)) == 0)
				touch(address, bytes, false);
			told(tenon_region_status(other, &status));
			other = tenon_region_close(other);
		}
		close(fd);
	}
	told(tenon_region_seal(region, TENON_REGION_SEAL_WRITE, tenon_deadline_after(WAIT_NS)));
}

static void scribble(uint64_t offset, uint64_t value)
{
	char path[FOLDER_BYTES + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/r.attacked", getenv("TENON_NAMESPACE"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &value, sizeof(value), (off_t)offset) != sizeof(value))
		_exit(4);
	close(fd);
}

struct attack {
	uint64_t offset;
	enum state state;
};

static struct tenon_region *make(void)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .bytes = BYTES,
					       .max_bytes = MOST,
					       .max_participants = PARTICIPANTS};
	struct tenon_region *region;

	tenon_region_remove(NULL, NAME);
	if (tenon_region_open(NULL, NAME, TENON_CREATE, &options, &region) != 0)
		_exit(4);
	return region;
}

/* The victim's part. */
static void suffer(const void *context)
{
	const struct attack *attack = context;

	for (uint32_t i = 0; i < VALUES; i++) {
		struct tenon_region *region = make(), *other = NULL;
		void *address;

		if (attack->state == MAPPED &&
		    tenon_region_map(region, TENON_REGION_WRITE, &address, NULL) != 0)
			_exit(4);
		scribble(attack->offset, values[i]);
		if (attack->state == BEFORE) {
			region = tenon_region_close(region);
			if (told(tenon_region_open(NULL, NAME, 0, NULL, &region)) != 0)
				region = NULL;
		}
		if (region)
			do_all(region);
		if (told(tenon_region_open(NULL, NAME, 0, NULL, &other)) == 0)
			do_all(other);
		other = tenon_region_close(other);
		region = tenon_region_close(region);
	}
}

static bool survives(uint64_t offset, enum state state)
{
	struct attack attack = {offset, state};
	int status = patience_run(suffer, &attack, PATIENCE_S);

	if (status != 0)
		printf("# offset %llu, state %d: status %x\n", (unsigned long long)offset, state,
		       (unsigned)status);
	return status == 0;
}

int main(void)
{
	char folder[FOLDER_BYTES];
	uint32_t words = 0, failed = 0;
	uint64_t stakes = TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES;
	uint64_t control = stakes + 2 * TNI_PAGE_BYTES;

	if (folder_make(folder) != 0)
		return 2;
	for (uint64_t offset = 0; offset < control + 2 * TNI_PAGE_BYTES; offset += 8) {
		bool header = offset < sizeof(struct tni_object_header);
		bool participants = offset >= TNI_PARTICIPANTS_OFFSET &&
				    offset < TNI_PARTICIPANTS_OFFSET + 128;
		bool controls = offset >= control &&
				offset < control + offsetof(struct tni_region_control, reserved3);
		bool place = offset == control + TNI_PAGE_BYTES;

		if (!header && !participants && !controls && !place)
			continue;
		/* Sleepers' bits, but for the first of each class. */
		if (controls && offset >= control + 256 &&
		    offset < control + offsetof(struct tni_region_control, writers) &&
		    (offset - control) % 128 != 0)
			continue;
		words++;
		for (enum state state = 0; state < STATES; state++)
			failed += !survives(offset, state);
	}
	printf("region_scribble: %u words, %u values each, in %d states: %u failed\n", words,
	       (unsigned)VALUES, STATES, failed);
	folder_remove(folder);
	return failed > 0;
}
