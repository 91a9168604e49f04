/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_CONTAINED_H
#define TEST_CONTRACT_CONTAINED_H

/* Processes in containers: with pid and mount namespaces of their own. */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contract.h"

/* The mount namespace's own view: another /proc, and the folder at another place. */
static inline void move_in(void)
{
	REQUIRE(unshare(CLONE_NEWNS) == 0);
	REQUIRE(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	REQUIRE(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
	REQUIRE(mkdir("/mnt/queues", 0700) == 0);
	REQUIRE(mount(contract_folder, "/mnt/queues", NULL, MS_BIND, NULL) == 0);
	REQUIRE(mount("proc", "/proc", "proc", 0, NULL) == 0);
	contract_folder = "/mnt/queues";
}

/* A child that is number 1 of a pid namespace of its own. */
static inline pid_t start_contained(void (*run)(void *context), void *context)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t child;

	if (unshare(CLONE_NEWPID) != 0)
		contract_skip("this process may not make pid namespaces");
	fflush(stdout);
	child = fork();
	if (child == 0) {
		contract_child_begins();
		REQUIRE(getpid() == 1);
		move_in();
		run(context);
		contract_child_ends();
	}
	REQUIRE(child > 0 && setns(own, CLONE_NEWPID) == 0);
	close(own);
	return child;
}

#endif
