/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What this machine takes, under whatever load it is just now, from a SIGKILL to the progress of
 * somebody whom the kernel wakes for it: a process is stepped and killed as victims are, and its death
 * wakes another that sleeps at a robust mutex of libc's.  There is no queue in it.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_crash.h"

/* Somewhere in the middle of something. */
#define STEPS 20

/* Shared with the two processes. */
static struct scene {
	pthread_mutex_t mutex;
	struct account account;
} * scene;

static int make_scene(void)
{
	pthread_mutexattr_t attributes;

	if (!scene) {
		void *memory = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			return -ENOMEM;
		scene = memory;
	}
	memset(scene, 0, sizeof(*scene));
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&scene->mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return 0;
}

static int lock(void *context)
{
	(void)context;
	return -pthread_mutex_lock(&scene->mutex);
}

static void linger(void *context)
{
	(void)context;
	for (volatile uint32_t i = 0; i < STEPS; i++)
		;
}

static void be_sleeper(void)
{
	int result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_store(&scene->account.called, 1);
	result = pthread_mutex_lock(&scene->mutex);
	atomic_store(&scene->account.returned_ns, step_now_ns());
	atomic_store(&scene->account.result, result);
	step_notify(&scene->account.returned);
	_exit(EXIT_SUCCESS);
}

static bool await(pid_t sleeper, bool returned, int64_t patience_ns)
{
	int64_t deadline_ns = step_now_ns() + patience_ns;
	struct account *account = &scene->account;

	for (uint32_t rounds = 0; step_now_ns() < deadline_ns;) {
		if (returned ? atomic_load(&account->returned)
			     : atomic_load(&account->called) && step_is_asleep(sleeper, NULL))
			return true;
		step_give_way(&account->returned, &rounds);
	}
	return false;
}

int64_t reference_measure(struct run *run)
{
	struct step_plan plan = {
		.prepare = lock, .operate = linger, .patience_ns = run->patience_ns};
	struct step_victim victim;
	int64_t ns = -1;
	pid_t sleeper;

	if (make_scene() != 0 || step_start(&victim, &plan) != 0)
		return -1;
	sleeper = fork();
	if (sleeper == 0)
		be_sleeper();
	if (sleeper > 0 && await(sleeper, false, run->patience_ns) &&
	    step_to(&victim, STEPS) == STEP_STOPPED) {
		step_kill(&victim);
		if (await(sleeper, true, run->patience_ns) &&
		    atomic_load(&scene->account.result) == EOWNERDEAD)
			ns = atomic_load(&scene->account.returned_ns) - victim.killed_ns;
	}
	step_kill(&victim);
	if (sleeper > 0) {
		kill(sleeper, SIGKILL);
		waitpid(sleeper, NULL, 0);
	}
	return ns;
}
