// SPDX-License-Identifier: Apache-2.0
/* What the benchmark needs to know about, and asks of, the machine. */

#include "machine.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define RAISED_MESSAGE_BYTES (2u << 20)
#define RAISED_QUEUE_BYTES (64u << 20)
#define RAISED_QUEUE_DEPTH 4096u
#define MQ_OVERHEAD_BYTES 128u
#define MQ_PROBE_BYTES 8192u

static double ns_per_tick;
static int cpus[2];
static uint32_t cpu_count;
static bool ipc_private;
static uint32_t msg_max, msg_total, mq_depth_max, mq_size_max;
static uint64_t mq_bytes;

double machine_ns_per_tick(void)
{
	return ns_per_tick;
}

uint64_t machine_ticks(double seconds)
{
	return (uint64_t)(seconds * 1e9 / ns_per_tick);
}

bool machine_has_two_cpus(void)
{
	return cpu_count == 2;
}

/* RLIMIT_MSGQUEUE counts all queues of the user, with what the kernel needs for each message; two
 * have to fit. */
uint32_t machine_mq_depth(uint32_t bytes, uint32_t wanted)
{
	uint64_t fits = mq_bytes / 2 / ((uint64_t)bytes + MQ_OVERHEAD_BYTES);

	if (bytes > mq_size_max)
		return 0;
	if (wanted > mq_depth_max)
		wanted = mq_depth_max;
	return fits < wanted ? (uint32_t)fits : wanted;
}

uint32_t machine_msg_max(void)
{
	return msg_max;
}

uint32_t machine_msg_total(void)
{
	return msg_total;
}

static void learn_clock(void)
{
	uint64_t ns = monotonic_ns(), ticks = ticks_now(), now;

	do {
		now = monotonic_ns();
	} while (now - ns < 50000000u);
	ns_per_tick = (double)(now - ns) / (double)(ticks_now() - ticks);
}

static void choose_cpus(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0) {
		for (int cpu = 0; cpu < CPU_SETSIZE && cpu_count < 2; cpu++) {
			if (CPU_ISSET(cpu, &set))
				cpus[cpu_count++] = cpu;
		}
	}
	if (cpu_count == 0)
		cpu_count = 1;
}

void machine_pin(uint32_t which)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[which % cpu_count], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static uint32_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &value) != 1)
		value = 0;
	fclose(file);
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void write_number(const char *path, uint32_t value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Where it is refused, the old limit stays, and is read back below. */
	(void)dprintf(fd, "%u\n", value);
	close(fd);
}

static bool may_have_mq(uint32_t depth)
{
	struct mq_attr attributes = {.mq_maxmsg = depth, .mq_msgsize = MQ_PROBE_BYTES};
	char name[32];
	mqd_t queue;

	snprintf(name, sizeof(name), "/tenon-bench-probe-%d", (int)getpid());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
	if (queue < 0)
		return false;
	mq_unlink(name);
	mq_close(queue);
	return true;
}

/* What other queues of the user's leave of the limit, wherever they are: nothing else tells. */
static uint64_t find_mq_bytes(uint64_t limit)
{
	uint64_t each = MQ_PROBE_BYTES + MQ_OVERHEAD_BYTES;
	uint32_t fits = 0, step;

	for (step = 1; step <= mq_depth_max / 2 && step <= limit / each / 2; step *= 2)
		continue;
	for (; step > 0; step /= 2) {
		if (fits + step <= mq_depth_max && may_have_mq(fits + step))
			fits += step;
	}
	/* Not the limit, but the depth, was what ended it. */
	if (fits + 1 > mq_depth_max)
		return limit;
	return fits * each;
}

/* The limits are changed in an IPC namespace of our own only: a benchmark must not leave the machine
 * other than it found it, nor queues behind when it is killed. */
static void raise_limits(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	ipc_private = unshare(CLONE_NEWIPC) == 0;
	if (ipc_private) {
		write_number("/proc/sys/kernel/msgmax", RAISED_MESSAGE_BYTES);
		write_number("/proc/sys/kernel/msgmnb", RAISED_QUEUE_BYTES);
		write_number("/proc/sys/fs/mqueue/msg_max", RAISED_QUEUE_DEPTH);
		write_number("/proc/sys/fs/mqueue/msgsize_max", RAISED_MESSAGE_BYTES);
	}
	msg_max = read_number("/proc/sys/kernel/msgmax");
	msg_total = read_number("/proc/sys/kernel/msgmnb");
	mq_depth_max = read_number("/proc/sys/fs/mqueue/msg_max");
	mq_size_max = read_number("/proc/sys/fs/mqueue/msgsize_max");
	if (setrlimit(RLIMIT_MSGQUEUE, &limit) < 0 && getrlimit(RLIMIT_MSGQUEUE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_MSGQUEUE, &limit);
	}
	mq_bytes = limit.rlim_cur == RLIM_INFINITY ? limit.rlim_cur : find_mq_bytes(limit.rlim_cur);
}

void machine_prepare(void)
{
	choose_cpus();
	learn_clock();
	raise_limits();
}

/* Ticks of /proc/stat: busy includes what everybody did, steal is the hypervisor's. */
struct cpu_ticks {
	uint64_t busy, steal, total;
};

static struct cpu_ticks load_ticks;
static double load_own_seconds;

static struct cpu_ticks read_cpu_ticks(void)
{
	struct cpu_ticks sum = {0};
	char line[512], wanted[2][16];
	FILE *file = fopen("/proc/stat", "re");

	if (!file)
		return sum;
	for (uint32_t i = 0; i < cpu_count; i++)
		snprintf(wanted[i], sizeof(wanted[i]), "cpu%d ", cpus[i]);
	while (fgets(line, sizeof(line), file)) {
		unsigned long long user, nice, kernel, idle, iowait, irq, softirq, steal;
		bool used = false;

		for (uint32_t i = 0; i < cpu_count; i++)
			used = used || strncmp(line, wanted[i], strlen(wanted[i])) == 0;
		if (!used || sscanf(line, "%*s %llu %llu %llu %llu %llu %llu %llu %llu", &user,
				    &nice, &kernel, &idle, &iowait, &irq, &softirq, &steal) != 8)
			continue;
		sum.busy += user + nice + kernel + irq + softirq;
		sum.steal += steal;
		sum.total += user + nice + kernel + idle + iowait + irq + softirq + steal;
	}
	fclose(file);
	return sum;
}

static double own_cpu_seconds(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec +
			children.ru_stime.tv_sec) +
	       (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec +
			children.ru_stime.tv_usec) /
		       1e6;
}

void machine_load_begin(void)
{
	load_ticks = read_cpu_ticks();
	load_own_seconds = own_cpu_seconds();
}

struct machine_load machine_load_end(void)
{
	struct cpu_ticks now = read_cpu_ticks();
	double own_ticks = (own_cpu_seconds() - load_own_seconds) * (double)sysconf(_SC_CLK_TCK);
	double total = (double)(now.total - load_ticks.total);
	double others = (double)(now.busy - load_ticks.busy) - own_ticks;
	struct machine_load load = {0};

	if (total <= 0)
		return load;
	load.steal_share = (double)(now.steal - load_ticks.steal) / total;
	load.others_share = others > 0 ? others / total : 0;
	return load;
}

static void cpu_model(char *ret_model, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");

	snprintf(ret_model, size, "unknown CPU");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		const char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		snprintf(ret_model, size, "%s", value + 2);
		ret_model[strcspn(ret_model, "\n")] = '\0';
		break;
	}
	fclose(file);
}

void machine_describe(FILE *file)
{
	struct utsname name;
	char model[128];

	uname(&name);
	cpu_model(model, sizeof(model));
	fprintf(file, "Machine: %s, Linux %s", model, name.release);
	if (machine_has_two_cpus())
		fprintf(file, "; pinned to CPU %d and %d\n", cpus[0], cpus[1]);
	else
		fprintf(file, "; one CPU only: what needs two is skipped\n");
	fprintf(file, "Kernel queues: %s\n",
		ipc_private
			? "limits raised in an IPC namespace of the benchmark's own"
			: "no permission for an IPC namespace of our own: the machine's limits");
	fprintf(file, "  POSIX mq: %u messages of 64 B, %u of 8 KiB, %u of 64 KiB, %u of 1 MiB\n",
		machine_mq_depth(64, UINT32_MAX), machine_mq_depth(8192, UINT32_MAX),
		machine_mq_depth(65536, UINT32_MAX), machine_mq_depth(1u << 20, UINT32_MAX));
	fprintf(file, "  System V: messages of %u bytes, queues of %u\n", msg_max, msg_total);
#ifndef __OPTIMIZE__
	fprintf(file, "Warning: built without optimisation; the figures mean nothing.\n");
#endif
}

void machine_describe_json(FILE *file)
{
	struct utsname name;
	char model[128];

	uname(&name);
	cpu_model(model, sizeof(model));
	fprintf(file, "{\"cpu\": \"%s\", \"kernel\": \"%s\", \"cpus\": %u}", model, name.release,
		cpu_count);
}
