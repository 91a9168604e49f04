// SPDX-License-Identifier: Apache-2.0
/* The list of probes, and what several of them share. */

#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loops.h"

const struct probe *probe_find(const char *name, size_t length)
{
	const struct probe *const lists[] = {probes_open, probes_memory, probes_idle, probes_death,
					     probes_growth};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct probe *probe = lists[i]; probe->name; probe++) {
			if (strlen(probe->name) == length && memcmp(probe->name, name, length) == 0)
				return probe;
		}
	}
	return NULL;
}

int probe_check(struct run *run, const char *what, int result)
{
	if (result < 0)
		loop_fault(run, what, result);
	return result;
}

int probe_queue(struct run *run, struct tenon_queue_options options, char *ret_name,
		struct tenon_queue **ret_queue)
{
	static uint32_t counter;

	options.size = sizeof(options);
	options.mode = TENON_QUEUE_DEFAULT_MODE;
	snprintf(ret_name, PROBE_NAME_BYTES, "/probe-%d-%u", (int)getpid(), counter++);
	return probe_check(run, "create",
			   tenon_queue_open(NULL, ret_name,
					    TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, &options,
					    ret_queue));
}

pid_t probe_fork(struct run *run, uint32_t cpu)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		machine_pin(cpu);
	} else if (pid < 0) {
		loop_fault(run, "fork", -errno);
	}
	return pid;
}

void probe_kill(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

void probe_sleep(double seconds)
{
	struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static char state_of(pid_t pid)
{
	char path[32], line[256];
	const char *behind_name = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file && fgets(line, sizeof(line), file))
		behind_name = strrchr(line, ')');
	if (file)
		fclose(file);
	return behind_name && behind_name[1] ? behind_name[2] : '?';
}

bool probe_is_asleep(pid_t pid)
{
	for (uint32_t tries = 0; tries < 5000; tries++) {
		if (state_of(pid) == 'S')
			return true;
		probe_sleep(0.001);
	}
	return false;
}
