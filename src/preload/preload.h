/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_PRELOAD_PRELOAD_H
#define TNI_PRELOAD_PRELOAD_H

/* What the files of the preload library share.  See preload.c. */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/defer.h"
#include "posix/mq.h"
#include "preload/next.h"

/* Exported.  The symbol map has the same list, and scripts/check_preload.py compares. */
#define TNI_STAND_IN __attribute__((__visibility__("default")))

/* Another name of a function, which libc has as well. */
#define TNI_STAND_IN_AS(name, of) \
	extern TNI_STAND_IN __typeof__(of) name __attribute__((__alias__(#of)))

/* Which faces are on; TENON_PRELOAD is a list of these words, separated by commas. */
#define TNI_FACE_POSIX_MQ 1u  /* posix-mq */
#define TNI_FACE_POSIX_SEM 2u /* posix-sem */
#define TNI_FACE_POSIX_SHM 4u /* posix-shm */
#define TNI_FACE_SYSV_MSG 8u  /* sysv-msg, and so on */
#define TNI_FACE_SYSV_SEM 16u
#define TNI_FACE_SYSV_SHM 32u
#define TNI_FACES_SYSV 56u
/* If the variable is not set. */
#define TNI_FACES_USUAL "posix-mq,sysv-msg,sysv-sem,sysv-shm"
#define TNI_FACES_KNOWN 0x80000000u

extern struct tni_a32 tni_faces_;
uint32_t tni_faces_read(void);

static inline bool tni_face_is_on(uint32_t face)
{
	uint32_t faces = tni_get32(&tni_faces_);

	if (__builtin_expect(faces == 0, 0))
		faces = tni_faces_read();
	return (faces & face) != 0;
}

/* Whether this process may have a descriptor of a message queue: it has called mq_….  What is done
 * to descriptors needs one load as long as it has not. */
extern struct tni_a32 tni_has_queues_;

/* Whether this process has attached shared memory of System V. */
extern struct tni_a32 tni_has_segments_;

/* inherited.c: those from before the program began are found; whether one is of a queue, which
 * then gets known; and it is not one of them any more, as it goes, or another takes the number. */
void tni_inherited_find(void);
bool tni_inherited_is(int fd);
bool tni_inherited_take(int fd);

static inline bool tni_is_queue(int fd)
{
	return __builtin_expect(tni_get32(&tni_has_queues_) != 0, 0) && fd >= 0 &&
	       (tni_mq_is(fd) || tni_inherited_is(fd));
}

/* mq.c: a call of message queues begins.  False: the face is off. */
bool tni_queue_begin(void);

/* What stands in, where the linker would take the name for what own.c has. */
extern __typeof__(close) __real_close;
extern __typeof__(dup3) __real_dup3;
extern __typeof__(fchmod) __real_fchmod;
extern __typeof__(fchown) __real_fchown;
extern __typeof__(ioctl) __real_ioctl;
extern __typeof__(read) __real_read;
extern __typeof__(write) __real_write;

/* The call of a face: handlers wait until it is at rest. */
#define TNI_CALL(expression)                    \
	({                                      \
		__typeof__(expression) answer_; \
                                                \
		tni_defer_begin();              \
		answer_ = (expression);         \
		tni_defer_end();                \
		answer_;                        \
	})

/* The same of one that answers nothing. */
#define TNI_CALL_VOID(expression)  \
	do {                       \
		tni_defer_begin(); \
		expression;        \
		tni_defer_end();   \
	} while (0)

/* Ends a call that has failed. */
static inline int tni_fail(int error)
{
	errno = error;
	return -1;
}

/* own.c: descriptors that are the library's, and that the program knows nothing of. */
bool tni_own_is(int fd);
void tni_own_give(int fd); /* it is the program's */
int tni_own_top(void);	   /* no number from here on is one */

/* descriptor.c: it is one of a queue. */
void tni_queue_note(int fd);

/* How long Linux says that a queue's file is. */
#define TNI_FILE_BYTES 80

/* file.c: whether it is one of a queue, where speed does not matter: libc may have closed it by
 * itself. */
bool tni_is_still_queue(int fd);
/* What the queue's descriptor is open for. */
bool tni_queue_may_read(int fd);
bool tni_queue_may_write(int fd);
/* The answer to who writes to it. */
int tni_refuse_write(int fd);
/* How much of it is left to be read. */
int tni_file_left(int fd);

/* file.c: the place in what reading an mqd gives; a copy begins where that stood of which it was
 * made. */
void tni_offset_reset(int fd);
void tni_offset_copy(int fd, int copy);

/* poll.c: these are about to be polled. */
void tni_watch(int fd);
void tni_watch_entries(const struct pollfd *entries, nfds_t count);
void tni_watch_sets(int count, const fd_set *readable, const fd_set *writable);

/* pointer.c: whether it leads nowhere; NULL is not given, and as it should be.  Not inline, where
 * libc's headers say that it cannot be NULL. */
bool tni_pointer_is_bad(const void *pointer);
/* For the handler of SIGSEGV: whether that was asked just there; it goes on, and knows the
 * answer. */
bool tni_pointer_mend(void *context);

/* signal.c: the handler of SIGSEGV is ours from now on. */
void tni_signal_catch_faults(void);

/* memory.c: libc's own functions of memory are looked up. */
void tni_memory_find(void);

#endif
