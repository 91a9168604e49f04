/* SPDX-License-Identifier: Apache-2.0 */

/* The mode of a named semaphore, and who makes it. */

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/stat.h>

#include "conform.h"

#define NOBODY 65534u

static void make_for_later(void *context)
{
	static const mode_t modes[] = {0, 0200, 0400, 0444, 0222, 0066};
	char name[40];
	sem_t *semaphore;

	(void)context;
	snprintf(name, sizeof(name), "/tenon-conform.%d.0", conform_run);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		semaphore = sem_open(name, O_CREAT | O_EXCL, modes[i], 1);
		REQUIRE(semaphore != SEM_FAILED);
		EXPECT_IS(sem_wait(semaphore), 0);
		EXPECT_IS(sem_post(semaphore), 0);
		EXPECT(sem_open(name, 0) == SEM_FAILED);
		EXPECT_IS(errno, EACCES);
		EXPECT_IS(sem_close(semaphore), 0);
		EXPECT_IS(sem_unlink(name), 0);
	}
}

REQUIREMENT(open_mode_later, "sem_open, DESCRIPTION, O_CREAT; open, DESCRIPTION, O_CREAT",
	    "the mode concerns who opens it later, and not who makes it with that")
{
	umask(0);
	conform_act_as(NOBODY, make_for_later, NULL);
}
