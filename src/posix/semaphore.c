/* SPDX-License-Identifier: Apache-2.0 */

/*
 * POSIX semaphores: which of the two kinds a sem_t is, and what waiting means to POSIX.  The address tells the kind:
 * posix/semaphore_named.h.
 */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>

#include <tenon/posix.h>
#include <tenon/semaphore.h>

#include "core/clock.h"
#include "core/manner.h"
#include "core/quiet.h"
#include "posix/errmap.h"
#include "posix/name.h"
#include "posix/semaphore_memory.h"
#include "posix/semaphore_named.h"

_Static_assert(sizeof(sem_t) == sizeof(struct tni_posix_semaphore), "sem_t");
_Static_assert(_Alignof(sem_t) >= _Alignof(struct tni_posix_semaphore), "sem_t");

static int answer(int result)
{
	return (int)tni_posix_result(result);
}

static struct tni_posix_semaphore *in_memory(sem_t *semaphore)
{
	return (struct tni_posix_semaphore *)(void *)semaphore;
}

sem_t *tenon_sem_open(const char *name, int flags, ...)
{
	TNI_NO_CANCEL;
	struct tni_named_semaphore *named;
	uint32_t value = 0;
	mode_t mode = 0;
	int result;
	va_list rest;

	if (flags & O_CREAT) {
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		value = va_arg(rest, unsigned);
		va_end(rest);
	}
	result = tni_named_semaphore_open(name, flags, mode, value, &named);
	if (answer(result) != 0)
		return SEM_FAILED;
	return (sem_t *)(void *)named;
}

int tenon_sem_close(sem_t *semaphore)
{
	TNI_NO_CANCEL;
	struct tni_named_semaphore *named = tni_named_semaphore(semaphore);

	return answer(named ? tni_named_semaphore_close(named) : -EINVAL);
}

int tenon_sem_unlink(const char *name)
{
	TNI_NO_CANCEL;
	const char *bare;
	int result = tni_posix_name(name, &bare);

	if (result == 0)
		result = tenon_semaphore_remove(NULL, bare);
	/* Nothing can have a name that is none. */
	return tni_posix_removed(result == -EINVAL ? -ENOENT : result);
}

int tenon_sem_init(sem_t *semaphore, int is_shared, unsigned value)
{
	/* All can be used by several processes. */
	(void)is_shared;
	if (value > SEM_VALUE_MAX)
		return answer(-EINVAL);
	*in_memory(semaphore) = (struct tni_posix_semaphore){.word = {value}};
	return 0;
}

int tenon_sem_destroy(sem_t *semaphore)
{
	(void)semaphore;
	return 0;
}

int tenon_sem_post(sem_t *semaphore)
{
	struct tni_named_semaphore *named = tni_named_semaphore(semaphore);
	int before, result;

	if (!named && __builtin_expect(tni_posix_semaphore_give(in_memory(semaphore)), 1))
		return 0;
	before = errno;
	result = named ? tenon_semaphore_release(named->handle, 1, 0, NULL)
		       : tni_posix_semaphore_post(in_memory(semaphore));
	errno = before;
	return answer(result);
}

int tenon_sem_trywait(sem_t *semaphore)
{
	struct tni_named_semaphore *named = tni_named_semaphore(semaphore);

	if (named)
		return answer(tenon_semaphore_try(named->handle, 1, 0));
	return answer(tni_posix_semaphore_try(in_memory(semaphore)) ? 0 : -EAGAIN);
}

/* Whether there was one without waiting, of those that lie in memory. */
static inline bool take_at_once(sem_t *semaphore)
{
	pthread_testcancel();
	return !tni_named_semaphore(semaphore) && tni_posix_semaphore_try(in_memory(semaphore));
}

/* `deadline_ns` of CLOCK_MONOTONIC, or `realtime_ns`; INT64_MAX is none. */
static __attribute__((__noinline__)) int wait_until(sem_t *semaphore, int64_t deadline_ns,
						    int64_t realtime_ns)
{
	struct tni_named_semaphore *named = tni_named_semaphore(semaphore);
	struct tni_manner manner;
	int result = 0;

	if (named) {
		result = tenon_semaphore_try(named->handle, 1, 0);
		if (result != -EAGAIN)
			return answer(result);
	}
	do {
		tni_manner_begin(&manner, realtime_ns, true);
		if (realtime_ns != INT64_MAX)
			deadline_ns = manner.deadline_ns;
		result = named ? tenon_semaphore_acquire(named->handle, 1, 0, deadline_ns)
			       : tni_posix_semaphore_wait(in_memory(semaphore), deadline_ns);
		result = tni_manner_end(&manner, result);
	} while (result == TNI_MANNER_AGAIN);
	return answer(result);
}

int tenon_sem_wait(sem_t *semaphore)
{
	if (__builtin_expect(take_at_once(semaphore), 1))
		return 0;
	return wait_until(semaphore, INT64_MAX, INT64_MAX);
}

int tenon_sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline)
{
	int64_t at_ns;

	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) || !tni_moment(deadline, &at_ns))
		return answer(-EINVAL);
	if (__builtin_expect(take_at_once(semaphore), 1))
		return 0;
	return clock == CLOCK_REALTIME ? wait_until(semaphore, INT64_MAX, at_ns)
				       : wait_until(semaphore, at_ns, INT64_MAX);
}

int tenon_sem_timedwait(sem_t *semaphore, const struct timespec *deadline)
{
	return tenon_sem_clockwait(semaphore, CLOCK_REALTIME, deadline);
}

int tenon_sem_getvalue(sem_t *semaphore, int *ret_value)
{
	struct tni_named_semaphore *named = tni_named_semaphore(semaphore);
	uint32_t value = 0;
	int result = 0;

	if (named)
		result = tenon_semaphore_value(named->handle, &value);
	else
		value = tni_posix_semaphore_value(in_memory(semaphore));
	if (result == 0)
		*ret_value = (int)value;
	return answer(result);
}
