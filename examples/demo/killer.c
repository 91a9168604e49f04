/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Kills workers, always with SIGKILL.  Half of the time at once, wherever the victim is: nearly
 * always it is reading a file, since a call of Tenon takes less than a microsecond.  So the other
 * half is aimed: the worker is asked to stop before its next call of one kind, is led on for a
 * random number of single instructions with ptrace(2), and dies there, inside the call.
 */

#include "demo.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* A message that was delivered so often is left in peace: a file that takes longer to read than a
 * worker lives would else never be done. */
#define SPARED_DELIVERIES 3u
#define STEPPING_NS (20 * NS_PER_MS)
/* Where nothing is known yet, the length of a call is taken to be this many instructions. */
#define FIRST_LENGTH 200u

static const enum phase aims[] = {
	PHASE_TAKE,    PHASE_SEND, PHASE_DONE,	 PHASE_SEND,
	PHASE_BETWEEN, PHASE_TAKE, PHASE_ATTACH, PHASE_DONE,
};

static uint64_t random_below(struct killer *killer, uint64_t bound)
{
	/* xorshift64: where a kill falls must differ, no more. */
	killer->random ^= killer->random << 13;
	killer->random ^= killer->random >> 7;
	killer->random ^= killer->random << 17;
	return killer->random % bound;
}

static void plan(struct killer *killer)
{
	int64_t period = NS_PER_S / killer->per_second;

	killer->next_ns = now_ns() + period / 2 + (int64_t)random_below(killer, (uint64_t)period);
}

void killer_init(struct killer *killer, const struct demo *demo, uint32_t per_second)
{
	uint32_t i;

	*killer = (struct killer){
		.board = demo->board,
		.workers = demo->options.workers,
		.per_second = per_second,
		.next_ns = INT64_MAX,
		.random = (uint64_t)now_ns() | 1,
	};
	for (i = 0; i < PHASE_COUNT; i++)
		killer->length[i] = FIRST_LENGTH;
	if (per_second)
		plan(killer);
}

static void kill_worker(struct killer *killer, pid_t pid, uint32_t index)
{
	uint32_t phase;

	end_child(pid);
	phase = __atomic_load_n(&killer->board->slots[index].phase, __ATOMIC_ACQUIRE);
	killer->kills++;
	killer->kills_in[phase % PHASE_COUNT]++;
}

static bool spared(const struct slot *slot)
{
	return __atomic_load_n(&slot->deliveries, __ATOMIC_ACQUIRE) >= SPARED_DELIVERIES;
}

bool killer_strike(struct killer *killer, const pid_t *pids, uint32_t *ret_index)
{
	uint32_t index = (uint32_t)random_below(killer, killer->workers);
	struct slot *slot = &killer->board->slots[index];
	enum phase aim = PHASE_NONE;

	plan(killer);
	if (spared(slot))
		return false;
	if (!board_read(&killer->board->untraceable) && random_below(killer, 2))
		aim = aims[random_below(killer, sizeof(aims) / sizeof(aims[0]))];
	if (aim != PHASE_NONE && aim != PHASE_ATTACH) {
		__atomic_store_n(&slot->aim, (uint32_t)aim, __ATOMIC_RELEASE);
		return false;
	}
	/* Nobody who is running attaches any more: the victim's successor will. */
	if (aim == PHASE_ATTACH)
		killer->ambush = true;
	kill_worker(killer, pids[index], index);
	*ret_index = index;
	return true;
}

/* Lets the worker execute one instruction.  False: it does not come back; it sleeps in the kernel. */
static bool step(pid_t pid, int64_t until_ns)
{
	int status;

	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL))
		return false;
	while (waitpid(pid, &status, WNOHANG | __WALL) == 0)
		if (now_ns() > until_ns)
			return false;
	return WIFSTOPPED(status);
}

/* Leads the worker to a random instruction of the call, and learns how long the call is. */
static void lead_into(struct killer *killer, pid_t pid, const struct slot *slot, uint32_t aim)
{
	int64_t until = now_ns() + STEPPING_NS;
	uint32_t *length = &killer->length[aim];
	uint32_t limit, steps;

	while (__atomic_load_n(&slot->phase, __ATOMIC_ACQUIRE) != aim)
		if (!step(pid, until))
			return;
	if (aim == PHASE_BETWEEN)
		return;
	limit = (uint32_t)random_below(killer, *length);
	for (steps = 0; steps < limit; steps++) {
		if (!step(pid, until))
			return;
		if (__atomic_load_n(&slot->phase, __ATOMIC_ACQUIRE) != aim) {
			*length = steps + 1;
			return;
		}
	}
	*length += *length / 16;
}

bool killer_stopped(struct killer *killer, pid_t pid, uint32_t index)
{
	struct slot *slot = &killer->board->slots[index];
	uint32_t aim = __atomic_exchange_n(&slot->aim, (uint32_t)PHASE_NONE, __ATOMIC_ACQ_REL);

	if (aim == PHASE_NONE || !killer->per_second || spared(slot)) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return false;
	}
	lead_into(killer, pid, slot, aim);
	kill_worker(killer, pid, index);
	return true;
}
