/* SPDX-License-Identifier: Apache-2.0 */

/* sem_overview(7).  libc's own are in user space already, and its threads' programs use them all the time: these are on
 * only if somebody asks. */

#include <tenon/posix.h>

#include "preload/preload.h"

static bool is_on(void)
{
	return tni_face_is_on(TNI_FACE_POSIX_SEM);
}

TNI_STAND_IN sem_t *sem_open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	unsigned value = 0;
	va_list more;

	if (flags & O_CREAT) {
		va_start(more, flags);
		mode = va_arg(more, mode_t);
		value = va_arg(more, unsigned);
		va_end(more);
	}
	return is_on() ? TNI_CALL(tenon_sem_open(name, flags, mode, value))
		       : TNI_NEXT(sem_open)(name, flags, mode, value);
}

TNI_STAND_IN int sem_close(sem_t *semaphore)
{
	return is_on() ? TNI_CALL(tenon_sem_close(semaphore)) : TNI_NEXT(sem_close)(semaphore);
}

TNI_STAND_IN int sem_unlink(const char *name)
{
	return is_on() ? TNI_CALL(tenon_sem_unlink(name)) : TNI_NEXT(sem_unlink)(name);
}

TNI_STAND_IN int sem_init(sem_t *semaphore, int shared, unsigned value)
{
	return is_on() ? TNI_CALL(tenon_sem_init(semaphore, shared, value))
		       : TNI_NEXT(sem_init)(semaphore, shared, value);
}

TNI_STAND_IN int sem_destroy(sem_t *semaphore)
{
	return is_on() ? TNI_CALL(tenon_sem_destroy(semaphore)) : TNI_NEXT(sem_destroy)(semaphore);
}

TNI_STAND_IN int sem_wait(sem_t *semaphore)
{
	return is_on() ? TNI_CALL(tenon_sem_wait(semaphore)) : TNI_NEXT(sem_wait)(semaphore);
}

TNI_STAND_IN int sem_trywait(sem_t *semaphore)
{
	return is_on() ? TNI_CALL(tenon_sem_trywait(semaphore)) : TNI_NEXT(sem_trywait)(semaphore);
}

TNI_STAND_IN int sem_timedwait(sem_t *semaphore, const struct timespec *deadline)
{
	return is_on() ? TNI_CALL(tenon_sem_timedwait(semaphore, deadline))
		       : TNI_NEXT(sem_timedwait)(semaphore, deadline);
}

TNI_STAND_IN int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *deadline)
{
	return is_on() ? TNI_CALL(tenon_sem_clockwait(semaphore, clock, deadline))
		       : TNI_NEXT(sem_clockwait)(semaphore, clock, deadline);
}

TNI_STAND_IN int sem_post(sem_t *semaphore)
{
	return is_on() ? TNI_CALL(tenon_sem_post(semaphore)) : TNI_NEXT(sem_post)(semaphore);
}

TNI_STAND_IN int sem_getvalue(sem_t *semaphore, int *ret_value)
{
	return is_on() ? TNI_CALL(tenon_sem_getvalue(semaphore, ret_value))
		       : TNI_NEXT(sem_getvalue)(semaphore, ret_value);
}
