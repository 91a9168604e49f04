/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_SYSV_SHM_H
#define TEST_CONFORM_SYSV_SHM_H

/* What the requirements of System V's shared memory share. */

#include "sysv.h"

#define NOWHERE ((void *)-1)

/* A new segment of so many bytes, without a key. */
int make_bytes(size_t bytes);
/* Attached anywhere. */
char *attach(int id, int flags);
void detach(const void *address);
/* An address where nothing is, of so many bytes. */
char *free_address(size_t bytes);
struct shmid_ds segment_of(int id);
unsigned long attached(int id);
/* Waits until it is attached so often. */
void await_attached(int id, unsigned long count);

/* Waits until the identifier is nobody's. */
void await_gone(int id);

/* A process that attaches it, and holds it until `end` is set. */
struct holder {
	int id, flags;
	int done, end;
};
struct holder *holder_of(int id, int flags);
void process_holds(void *holder);
/* Returns when it has attached it. */
pid_t start_holder(struct holder *holder);

#endif
