/* SPDX-License-Identifier: Apache-2.0 */

/* Semaphore sets: semget(2), semop(2), semctl(2). */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include <tenon/semaphore_set.h>
#include <tenon/sysv.h>

#include "core/clock.h"
#include "core/manner.h"
#include "core/quiet.h"
#include "object/semaphore_set.h"
#include "sysv/errmap.h"
#include "sysv/limits.h"
#include "sysv/status.h"

#define VALUE_MAX 32767
#define PARTICIPANTS 1024u
#define FEW 8u

union argument {
	int value;
	struct semid_ds *status;
	unsigned short *values;
	struct seminfo *information;
};

static int add_up(uint32_t index, void *context);

/* Of those that cannot be looked into it is not known how many they have. */
static bool is_room(const struct tni_sysv_semaphore_limits *limits, uint64_t size)
{
	uint64_t semaphores = 0;

	if (limits->of_all >= (uint64_t)limits->of_set * limits->sets)
		return true;
	(void)!tni_sysv_list(&tni_sysv_sem, add_up, &semaphores);
	return semaphores + size <= limits->of_all;
}

static int make(int directory_fd, uint64_t size, int flags, mode_t mode, int *ret_fd)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options),
						      .mode = mode,
						      .max_participants = PARTICIPANTS,
						      .count = (uint32_t)size,
						      .maximum = VALUE_MAX};
	struct tni_sysv_semaphore_limits limits;

	(void)flags;
	tni_sysv_semaphore_limits(&limits);
	if (size == 0 || size > limits.of_set)
		return -EINVAL;
	if (!is_room(&limits, size))
		return -ENOSPC;
	return tni_set_make_nameless(directory_fd, &options, ret_fd);
}

static int open_set(const char *name, void **ret_object)
{
	struct tenon_semaphore_set *set;
	int result = tenon_semaphore_set_open(NULL, name, 0, NULL, &set);

	if (result == 0)
		*ret_object = set;
	return result;
}

static void close_set(void *object)
{
	tenon_semaphore_set_close(object);
}

static int end(void *object)
{
	return tenon_semaphore_set_destroy(object);
}

static bool is_ended(void *object)
{
	const struct tenon_semaphore_set *set = object;

	return tni_get32(&set->head->removed) != 0;
}

static int fits(uint64_t size, uint64_t wanted)
{
	return wanted > size ? -EINVAL : 0;
}

const struct tni_sysv_kind tni_sysv_sem = {.kind = TENON_KIND_SEMAPHORE_SET,
					   .row = 1u,
					   .make = make,
					   .open = open_set,
					   .close = close_set,
					   .end = end,
					   .is_ended = is_ended,
					   .is_over = tni_set_is_over,
					   .fits = fits,
					   .most = tni_sysv_sets_most};

int tenon_semget(key_t key, int count, int flags)
{
	int error = errno;
	TNI_NO_CANCEL;

	if (count < 0 || count > (int)TENON_SEMAPHORE_SET_MOST)
		return (int)tni_sysv_result(-EINVAL);
	return (int)tni_sysv_finish(tni_sysv_get(&tni_sysv_sem, key, (uint64_t)count, flags),
				    error);
}

/* As the other interface has them.  Whether one of them changes something. */
static bool translate(const struct sembuf *from, size_t count,
		      struct tenon_semaphore_operation *operations)
{
	bool is_altering = false;

	for (size_t i = 0; i < count; i++) {
		struct sembuf one = *(const volatile struct sembuf *)&from[i];

		operations[i].number = one.sem_num;
		operations[i].change = one.sem_op;
		operations[i].flags = (one.sem_flg & SEM_UNDO ? TENON_SEMAPHORE_SET_UNDO : 0) |
				      (one.sem_flg & IPC_NOWAIT ? TENON_SEMAPHORE_SET_NOWAIT : 0);
		is_altering |= one.sem_op != 0;
	}
	return is_altering;
}

static inline int operate_entered(struct tni_sysv_handle *handle,
				  const struct tenon_semaphore_operation *operations, size_t count,
				  bool is_altering, int64_t deadline_ns)
{
	int result;

	for (size_t i = 0; i < count; i++)
		if (operations[i].number >= handle->size)
			return -EFBIG;
	result = tni_sysv_admit(handle, is_altering ? TNI_SYSV_WRITE : TNI_SYSV_READ);
	if (result == 0)
		result = tenon_semaphore_set_operate(handle->object, operations, (uint32_t)count,
						     deadline_ns);
	return result == -ETIMEDOUT ? -EAGAIN : tni_sysv_learn(handle, result);
}

static inline int operate(int id, const struct tenon_semaphore_operation *operations, size_t count,
			  bool is_altering, int64_t deadline_ns)
{
	struct tni_sysv_handle *handle;
	int result = tni_sysv_enter(&tni_sysv_sem, id, &handle);
	struct tni_manner manner;

	if (result != 0)
		return result;
	tni_manner_begin(&manner, INT64_MAX, false);
	manner.never_restarts = true;
	result = operate_entered(handle, operations, count, is_altering, deadline_ns);
	tni_sysv_leave(handle);
	return tni_manner_end(&manner, result);
}

static __attribute__((noinline)) int operate_many(int id, const struct sembuf *from, size_t count,
						  int64_t deadline_ns)
{
	struct tenon_semaphore_operation operations[TENON_SEMAPHORE_SET_OPERATIONS_MOST];
	bool is_altering = translate(from, count, operations);

	return operate(id, operations, count, is_altering, deadline_ns);
}

static int deadline_of(const struct timespec *timeout, int64_t *ret_deadline_ns)
{
	if (!timeout)
		return 0;
	if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= TNI_SECOND_NS)
		return -EINVAL;
	*ret_deadline_ns = tenon_deadline_after(timeout->tv_sec > INT64_MAX / TNI_SECOND_NS - 1
							? -1
							: timeout->tv_sec * TNI_SECOND_NS +
								  timeout->tv_nsec);
	return 0;
}

static int operate_until(int id, const struct sembuf *operations, size_t count,
			 const struct timespec *timeout)
{
	struct tenon_semaphore_operation few[FEW];
	int64_t deadline_ns = TENON_NO_DEADLINE;
	bool is_altering;
	int result, error = errno;

	if (!tni_sysv_operations_fit(count))
		return (int)tni_sysv_result(-E2BIG);
	if (count == 0 || id < 0)
		return (int)tni_sysv_result(-EINVAL);
	if (!operations)
		return (int)tni_sysv_result(-EFAULT);
	result = deadline_of(timeout, &deadline_ns);
	if (result == 0 && count > FEW) {
		result = operate_many(id, operations, count, deadline_ns);
	} else if (result == 0) {
		is_altering = translate(operations, count, few);
		result = operate(id, few, count, is_altering, deadline_ns);
	}
	return (int)tni_sysv_finish(result, error);
}

int tenon_semtimedop(int id, struct sembuf *operations, size_t count,
		     const struct timespec *timeout)
{
	/* No cancellation point; with one thread there is nobody who could. */
	int before = __libc_single_threaded ? -1 : tni_cancel_off();
	int result = operate_until(id, operations, count, timeout);

	if (before >= 0)
		tni_cancel_back(&before);
	return result;
}

int tenon_semop(int id, struct sembuf *operations, size_t count)
{
	return tenon_semtimedop(id, operations, count, NULL);
}

static int stat_set(int id, int command, struct semid_ds *ret_status)
{
	struct tenon_semaphore_set_status status = {.size = sizeof(status)};
	struct tni_sysv_identity identity;
	struct tni_sysv_handle *handle;
	struct semid_ds answer;
	uint32_t value;
	int result = tni_sysv_look(&tni_sysv_sem, id, command != IPC_STAT, command == SEM_STAT_ANY,
				   &handle, &identity),
	    told;

	if (result < 0)
		return result;
	told = tenon_semaphore_set_get(handle->object, 0, &value);
	if (told == 0)
		told = tenon_semaphore_set_status(handle->object, &status);
	told = tni_sysv_learn(handle, told);
	tni_sysv_leave(handle);
	if (told == 0 && !ret_status)
		told = -EFAULT;
	if (told != 0)
		return told;
	if (status.changed_ns > identity.changed_ns)
		identity.changed_ns = status.changed_ns;
	memset(&answer, 0, sizeof(answer));
	tni_sysv_fill(&identity, &answer.sem_perm);
	answer.sem_otime = status.operated_ns / TNI_SECOND_NS;
	answer.sem_ctime = identity.changed_ns / TNI_SECOND_NS;
	answer.sem_nsems = status.count;
	*ret_status = answer;
	return result;
}

static int add_up(uint32_t index, void *context)
{
	struct tni_sysv_handle *handle;
	uint64_t *semaphores = context;

	if (tni_sysv_look_at(&tni_sysv_sem, index, &handle) == 0) {
		*semaphores += handle->size;
		tni_sysv_leave(handle);
	}
	return 0;
}

static int inform(int command, struct seminfo *ret_information)
{
	struct tni_sysv_semaphore_limits limits;
	struct seminfo information = {.semusz = 20, .semvmx = VALUE_MAX, .semaem = VALUE_MAX};
	uint64_t semaphores = 0;
	uint32_t count;
	int result = tni_sysv_count(&tni_sysv_sem, &count);

	tni_sysv_semaphore_limits(&limits);
	information.semmni = (int)limits.sets;
	information.semmns = information.semmap = information.semmnu = (int)limits.of_all;
	information.semmsl = (int)limits.of_set;
	information.semopm = information.semume = (int)limits.operations;
	if (result >= 0 && command == SEM_INFO) {
		(void)!tni_sysv_list(&tni_sysv_sem, add_up, &semaphores);
		information.semusz = (int)count;
		information.semaem = semaphores > INT32_MAX ? INT32_MAX : (int)semaphores;
	}
	if (result < 0)
		return result;
	if (!ret_information)
		return -EFAULT;
	*ret_information = information;
	return result;
}

static int get_all(struct tni_sysv_handle *handle, unsigned short *ret_values)
{
	uint32_t count = (uint32_t)handle->size, *values = calloc(count, sizeof(*values));
	int result = values ? tenon_semaphore_set_get_all(handle->object, values, count) : -ENOMEM;

	if (result == 0 && !ret_values)
		result = -EFAULT;
	for (uint32_t i = 0; result == 0 && i < count; i++)
		ret_values[i] = (unsigned short)values[i];
	free(values);
	return result;
}

static int set_all(struct tni_sysv_handle *handle, const unsigned short *from)
{
	uint32_t count = (uint32_t)handle->size, *values = calloc(count, sizeof(*values));
	int result = !from ? -EFAULT : values ? 0 : -ENOMEM;

	for (uint32_t i = 0; result == 0 && i < count; i++)
		values[i] = from[i];
	if (result == 0)
		result = tenon_semaphore_set_set_all(handle->object, values, count);
	free(values);
	return result;
}

static int read_member(struct tni_sysv_handle *handle, int number, int command)
{
	struct tenon_semaphore_set_member member;
	uint32_t value;
	int result;

	if (number < 0 || (uint64_t)number >= handle->size)
		return -EINVAL;
	/* What the dead have done last is the last operation. */
	result = tenon_semaphore_set_get(handle->object, (uint32_t)number, &value);
	if (result == 0)
		result = tenon_semaphore_set_read(handle->object, (uint32_t)number, &member);
	if (result != 0)
		return result;
	if (command == GETVAL)
		return (int)value;
	if (command == GETPID)
		return member.pid;
	return (int)(command == GETNCNT ? member.waiting : member.waiting_for_zero);
}

static int set_value(struct tni_sysv_handle *handle, int number, int value)
{
	int result;

	if (number < 0 || (uint64_t)number >= handle->size)
		return -EINVAL;
	result = tni_sysv_admit(handle, TNI_SYSV_WRITE);
	return result == 0
		       ? tenon_semaphore_set_set(handle->object, (uint32_t)number, (uint32_t)value)
		       : result;
}

static int control_entered(struct tni_sysv_handle *handle, int number, int command,
			   union argument argument)
{
	struct ipc_perm permission;
	int result = 0;

	switch (command) {
	case IPC_SET:
		permission = argument.status->sem_perm;
		return tni_sysv_change(handle, &permission, TNI_SYSV_NO_LIMIT);
	case SETVAL:
		return set_value(handle, number, argument.value);
	case SETALL:
		result = tni_sysv_admit(handle, TNI_SYSV_WRITE);
		return result == 0 ? set_all(handle, argument.values) : result;
	default:
		result = tni_sysv_admit(handle, TNI_SYSV_READ);
	}
	if (result != 0)
		return result;
	return command == GETALL ? get_all(handle, argument.values)
				 : read_member(handle, number, command);
}

static bool is_command(int command)
{
	return command == IPC_SET || (command >= GETPID && command <= SETALL);
}

static int control(int id, int number, int command, union argument argument)
{
	struct tni_sysv_handle *handle;
	int result;

	if (id < 0)
		return -EINVAL;
	if (command == SETVAL && (argument.value < 0 || argument.value > VALUE_MAX))
		return -ERANGE;
	if (command == IPC_SET && !argument.status)
		return -EFAULT;
	if (command == IPC_INFO || command == SEM_INFO)
		return inform(command, argument.information);
	if (command == IPC_STAT || command == SEM_STAT || command == SEM_STAT_ANY)
		return stat_set(id, command, argument.status);
	if (command == IPC_RMID)
		return tni_sysv_end(&tni_sysv_sem, id);
	if (!is_command(command))
		return -EINVAL;
	result = command == IPC_SET ? tni_sysv_enter_to_change(&tni_sysv_sem, id, &handle)
				    : tni_sysv_enter(&tni_sysv_sem, id, &handle);
	if (result != 0)
		return result;
	result = tni_sysv_learn(handle, control_entered(handle, number, command, argument));
	tni_sysv_leave(handle);
	return result;
}

int tenon_semctl(int id, int number, int command, ...)
{
	union argument argument = {.values = NULL};
	int error = errno;
	va_list list;
	TNI_NO_CANCEL;

	/* Where a command has none, whatever is there is not looked at. */
	va_start(list, command);
	argument = va_arg(list, union argument);
	va_end(list);
	tenon_sysv_credentials();
	return (int)tni_sysv_finish(control(id, number, command, argument), error);
}
