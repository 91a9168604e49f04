/* SPDX-License-Identifier: Apache-2.0 */

/* What the requirements of System V's shared memory share. */

#include "sysv_shm.h"

#include <sched.h>
#include <sys/mman.h>

int make_bytes(size_t bytes)
{
	int id = note(SHM, shmget(IPC_PRIVATE, bytes, 0600));

	REQUIRE(id >= 0);
	return id;
}

char *attach(int id, int flags)
{
	char *address = shmat(id, NULL, flags);

	REQUIRE(address != NOWHERE);
	return address;
}

void detach(const void *address)
{
	EXPECT_IS(shmdt(address), 0);
}

char *free_address(size_t bytes)
{
	/* With room to begin at a multiple of SHMLBA. */
	size_t room = bytes + (size_t)SHMLBA;
	char *address = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(address != MAP_FAILED);
	REQUIRE(munmap(address, room) == 0);
	return (char *)(((uintptr_t)address + (uintptr_t)SHMLBA - 1) & ~((uintptr_t)SHMLBA - 1));
}

struct shmid_ds segment_of(int id)
{
	return status_of(SHM, id).shm;
}

unsigned long attached(int id)
{
	return segment_of(id).shm_nattch;
}

void await_attached(int id, unsigned long count)
{
	while (attached(id) != count)
		sched_yield();
}

void await_gone(int id)
{
	union status status;

	while (control(SHM, id, IPC_STAT, &status) == 0)
		sched_yield();
	/* EIDRM: it was found, and then removed. */
	EXPECT(errno == EINVAL || errno == EIDRM);
	EXPECT_ERROR(control(SHM, id, IPC_STAT, &status), EINVAL);
}

struct holder *holder_of(int id, int flags)
{
	struct holder *holder = conform_share(sizeof(*holder));

	holder->id = id;
	holder->flags = flags;
	return holder;
}

void process_holds(void *context)
{
	struct holder *holder = context;

	(void)attach(holder->id, holder->flags);
	conform_set_word(&holder->done, 1);
	(void)conform_await_word(&holder->end);
}

pid_t start_holder(struct holder *holder)
{
	pid_t child;

	holder->done = holder->end = 0;
	child = conform_start(process_holds, holder);
	(void)conform_await_word(&holder->done);
	return child;
}

int main(int count, char **arguments)
{
	return sysv_main("shmat", count, arguments);
}
