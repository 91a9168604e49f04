/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libtenon-preload.so stands in for calls of libc in programs that were not made for Tenon; `tenon run` puts it in
 * front of libc by LD_PRELOAD.  Each call goes to a face of the library or, if that face is off or the descriptor is
 * none of a queue, to libc's own, which next.h has.
 *
 *	mq.c sem.c shm.c	the calls of the POSIX face
 *	sysv.c user.c proc.c	those of System V, who the caller is, and what /proc says
 *	descriptor.c file*.c	what else is done to descriptors: a queue's shall be as Linux's
 *	stream.c poll.c
 *	inherited.c		those that were there before
 *	direct.c		the same by syscall(2)
 *	library.c		libraries that would not see those here
 *	mapping.c		what is mapped of shared memory objects, for its guard
 *	pointer.c		EFAULT
 *	signal.c		handlers, which wait until the library is at rest
 *	own.c memory.c		what the library in here calls itself, and its descriptors
 *
 * The library calls libc, too, and must not come back to here: what it refers to under a name that stands in is
 * renamed by the linker (--wrap), and own.c has it.  scripts/check_preload.py looks that none is
 * forgotten.
 *
 * It may be called before its constructor has run, in children of fork(2) and vfork(2), in threads that nobody told of,
 * and in signal handlers.  So nothing here locks, but sigaction() for an instant amid which handlers wait, and nothing
 * allocates.
 *
 * The symbols have no version: one such answers for every version of a name that a program was linked with.
 *
 * ORD next: a function that was looked up is released by who found it and acquired by who calls it.
 */

#include "preload/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/file.h"

struct tni_apointer tni_next_[TNI_NEXT_COUNT];
struct tni_a32 tni_faces_, tni_has_queues_;

static const char *const names[] = {
#define NAME(name) #name,
	TNI_NEXT_NAMES(NAME)
#undef NAME
};

/* In the place of what this libc does not have. */
static long is_missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* Where somebody has put libc in front of this library: what comes first, unless that is what stands in. */
static void *find_first(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);
	Dl_info its, own;

	if (!found || dladdr(found, &its) == 0 || dladdr((void *)is_missing, &own) == 0)
		return NULL;
	return its.dli_fbase == own.dli_fbase ? NULL : found;
}

void *tni_next_find(enum tni_next_index index)
{
	int error = errno;
	void *found = dlsym(RTLD_NEXT, names[index]);

	if (!found)
		found = find_first(names[index]);
	if (!found)
		found = (void *)is_missing;
	tni_store_release_pointer(&tni_next_[index], found); /* ORD(next) */
	errno = error;
	return found;
}

static uint32_t face_of(const char *word, size_t bytes)
{
	static const struct {
		const char *word;
		uint32_t face;
	} faces[] = {{"posix-mq", TNI_FACE_POSIX_MQ},	{"posix-sem", TNI_FACE_POSIX_SEM},
		     {"posix-shm", TNI_FACE_POSIX_SHM}, {"sysv-msg", TNI_FACE_SYSV_MSG},
		     {"sysv-sem", TNI_FACE_SYSV_SEM},	{"sysv-shm", TNI_FACE_SYSV_SHM}};

	for (size_t i = 0; i < sizeof(faces) / sizeof(faces[0]); i++)
		if (strlen(faces[i].word) == bytes && memcmp(faces[i].word, word, bytes) == 0)
			return faces[i].face;
	/* Of a newer `tenon run`. */
	return 0;
}

uint32_t tni_faces_read(void)
{
	const char *list = secure_getenv("TENON_PRELOAD");
	uint32_t faces = TNI_FACES_KNOWN;

	if (!list)
		list = TNI_FACES_USUAL;
	while (*list) {
		size_t bytes = strcspn(list, ",");

		faces |= face_of(list, bytes);
		list += bytes + (list[bytes] == ',');
	}
	tni_set32(&tni_faces_, faces);
	return faces;
}

/* Shells and their scripts choose low numbers. */
#define OWN_DESCRIPTORS_FROM 512u

static void leave_room(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		tni_file_least_ = (int)(limit.rlim_cur / 2 < OWN_DESCRIPTORS_FROM
						? limit.rlim_cur / 2
						: OWN_DESCRIPTORS_FROM);
	if (tni_file_least_ <= STDERR_FILENO)
		tni_file_least_ = STDERR_FILENO + 1;
}

/* Before the threads that the program makes. */
static __attribute__((constructor(101))) void begin(void)
{
	for (unsigned i = 0; i < TNI_NEXT_COUNT; i++)
		tni_next((enum tni_next_index)i);
	leave_room();
	tni_memory_find();
	tni_memory_is_borrowed();
	if (tni_face_is_on(TNI_FACE_POSIX_MQ)) {
		tni_mq_tell_all();
		tni_inherited_find();
	}
}
