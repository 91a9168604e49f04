/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_ALIKE_H
#define TEST_CONTRACT_ALIKE_H

/* Semaphores, events, conditions, barriers and onces, all alike. */

#include <stdint.h>
#include <sys/types.h>

struct alike {
	const char *name;
	char letter; /* of its file */
	int (*open)(const char *name, uint32_t flags, mode_t mode, uint32_t participants,
		    void **ret_object);
	void *(*close)(void *object);
	int (*remove)(const char *name);
	/* Something is held between the calls of it; the object is as before when it is through.
	 * The first answer that is not what it has to be, or 0. */
	int (*use)(void *object);
	/* From here on others have to wait.  May be NULL. */
	int (*bar)(void *object);
	/* Waits until somebody wakes it; 0. */
	int (*wait)(void *object, int64_t deadline_ns);
	/* Wakes one who waits; what bar() has done is through by it. */
	int (*wake)(void *object);
	/* Processes that are attached, and those that wait. */
	int (*look)(void *object, uint32_t *ret_participants, uint32_t *ret_waiting);
	/* Nobody has anything of it, and nobody waits, when only one process uses it. */
	void (*expect_sound)(void *object);
};

/* Who holds the lock with which conditions are waited for; 0: nobody. */
pid_t alike_guard_owner(void);

#define ALIKE_KINDS 5u
extern const struct alike alike_kinds[ALIKE_KINDS];

/* Count of a new semaphore, and its maximum. */
#define ALIKE_VALUE 1u
#define ALIKE_MAXIMUM 4u

#endif
