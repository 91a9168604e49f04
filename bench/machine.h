/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

/*
 * The machine under the benchmark: its clock, the two CPUs that are used, what else runs on them,
 * and the limits of the kernel's own queues.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The cheapest clock that all CPUs share; see machine_ns_per_tick(). */
static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return monotonic_ns();
#endif
}

static inline uint64_t process_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Learns the clock's rate, chooses the CPUs, moves into an IPC namespace of its own and raises the
 * limits of the kernel's queues in there, as far as it is permitted. */
void machine_prepare(void);

double machine_ns_per_tick(void);
uint64_t machine_ticks(double seconds);
bool machine_has_two_cpus(void);
void machine_pin(uint32_t which); /* the calling process, to the first or the second CPU */

/* Limits of the kernel's queues, after machine_prepare(). */
uint32_t machine_mq_depth(uint32_t bytes, uint32_t wanted); /* 0: no such messages at all */
uint32_t machine_msg_max(void);
uint32_t machine_msg_total(void);

/* What the used CPUs did between two looks. */
struct machine_load {
	double steal_share, others_share;
};
void machine_load_begin(void);
struct machine_load machine_load_end(void);

void machine_describe(FILE *file);
void machine_describe_json(FILE *file);

#endif
