/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_SYSV_SHM_H
#define TEST_CONTRACT_SYSV_SHM_H

/* What the tests of System V's shared memory have in common. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tenon/sysv.h>

#define PAGE 4096u
#define KEY 0x5eed
#define BYTES 10000u
#define SHM_DEST_BIT 01000u
#define SHM_LOCKED_BIT 02000u

struct shmid_ds shm_status(int id);
/* shm_nattch */
uint64_t shm_count(int id);

/* One of BYTES without a key. */
int shm_make(void);
char *shm_attach(int id);
void shm_remove(int id);

/* Files of segments in the namespace. */
uint32_t shm_files(void);
/* It is removed, without a trace, and was the only one. */
void shm_expect_gone(int id);

/* A child that tells numbers and is told some. */
struct child {
	pid_t pid;
	int from, to;
};

int64_t child_hear(const struct child *child);
void child_tell(const struct child *self, int64_t number);
/* 0 in the child.  `is_raw`: without the handlers of fork(3). */
pid_t child_start(struct child *ret_child, bool is_raw);
/* Waits for its good end, or kills it. */
void child_finish(const struct child *child, bool kills);

#endif
