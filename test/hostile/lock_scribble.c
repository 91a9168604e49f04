/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over each word of a lock's memory, free and held, and lets a victim call everything: it must end in
 * time, with answers that the header names, and alive.  A victim to a word and state, which has ten seconds
 * for all values.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tenon/lock.h>

#include "../crash/folder.h"
#include "abi/sync.h"
#include "patience.h"

#define NAME "/attacked"
#define WAIT_NS 1000000
#define PATIENCE_S 10u

static const uint64_t values[] = {
	0,
	1,
	2,
	UINT64_MAX,
	UINT32_MAX,
	UINT64_C(1) << 30,
	UINT64_C(1) << 31,
	UINT64_C(1) << 49,
	UINT64_C(1) << 63,
	UINT64_C(0xf8000000) << 32,
	UINT64_C(0x123456789abcdef0),
};
#define VALUES (sizeof(values) / sizeof(values[0]))

static void told(int result)
{
	static const int documented[] = {0,	  -EBADMSG,    -ENOSPC,		 -ENOMEM,  -EUSERS,
					 -EINVAL, -EOWNERDEAD, -ETIMEDOUT,	 -EDEADLK, -EAGAIN,
					 -EPERM,  -EBUSY,      -ENOTRECOVERABLE, -ENOTSUP, -EPROTO,
					 -EMFILE, -ENFILE,     -EEXIST};

	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (result == documented[i])
			return;
	fprintf(stderr, "an answer that the header does not name: %d\n", result);
	_exit(3);
}

static void do_all(struct tenon_lock *lock)
{
	struct tenon_lock_status status = {.size = sizeof(status)};
	struct tenon_lock *other;
	int result;

	told(tenon_lock_status(lock, &status));
	told(tenon_lock_try(lock));
	told(tenon_lock_release(lock));
	told(tenon_lock_acquire(lock, tenon_deadline_after(WAIT_NS)));
	told(tenon_lock_acquire(lock, tenon_deadline_after(WAIT_NS)));
	told(tenon_lock_repaired(lock));
	told(tenon_lock_release(lock));
	result = tenon_lock_open(NULL, NAME, 0, NULL, &other);
	told(result);
	if (result == 0)
		other = tenon_lock_close(other);
	told(tenon_lock_lost(lock));
}

static void scribble(uint64_t offset, uint64_t value)
{
	char path[FOLDER_BYTES + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/l.attacked", getenv("TENON_NAMESPACE"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, &value, sizeof(value), (off_t)offset) != sizeof(value))
		_exit(4);
	close(fd);
}

struct attack {
	uint64_t offset;
	bool held; /* the victim has the lock when its memory changes */
};

/* The victim's part. */
static void suffer(const void *context)
{
	const struct attack *attack = context;
	struct tenon_sync_options options = {
		.size = sizeof(options), .flags = TENON_LOCK_RECURSIVE, .max_participants = 4};

	for (uint32_t i = 0; i < VALUES; i++) {
		struct tenon_lock *lock;

		tenon_lock_remove(NULL, NAME);
		if (tenon_lock_open(NULL, NAME, TENON_CREATE, &options, &lock) != 0)
			_exit(4);
		if (attack->held && tenon_lock_acquire(lock, tenon_deadline_after(WAIT_NS)) != 0)
			_exit(4);
		scribble(attack->offset, values[i]);
		do_all(lock);
		lock = tenon_lock_close(lock);
	}
}

static bool survives(uint64_t offset, bool held)
{
	struct attack attack = {offset, held};
	int status = patience_run(suffer, &attack, PATIENCE_S);

	if (status != 0)
		printf("# offset %llu, %s: status %x\n", (unsigned long long)offset,
		       held ? "held" : "free", (unsigned)status);
	return status == 0;
}

int main(void)
{
	char folder[FOLDER_BYTES];
	uint32_t words = 0, failed = 0;
	uint64_t cell = TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES;

	if (folder_make(folder) != 0)
		return 2;
	for (uint64_t offset = 0; offset < cell + TNI_PAGE_BYTES; offset += 8) {
		bool header = offset < sizeof(struct tni_object_header);
		bool participant = offset >= TNI_PARTICIPANTS_OFFSET &&
				   offset < TNI_PARTICIPANTS_OFFSET + 64;
		bool front = offset >= cell && offset < cell + 256;
		bool back = offset >= cell + offsetof(struct tni_cell, lock);

		if (!header && !participant && !front && !back)
			continue;
		words++;
		failed += !survives(offset, false);
		failed += !survives(offset, true);
	}
	printf("lock_scribble: %u words, %u values each, free and held: %u failed\n", words,
	       (unsigned)VALUES, failed);
	folder_remove(folder);
	return failed > 0;
}
