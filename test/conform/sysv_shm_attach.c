/* SPDX-License-Identifier: Apache-2.0 */

/* shmat and shmdt: where, how, and by whom. */

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "sysv_shm.h"

REQUIREMENT(attach_anywhere, "shmat, DESCRIPTION, shmaddr NULL",
	    "without an address the system chooses one: a page's, and a new one each time")
{
	int id = make_bytes(2 * PAGE);
	char *first = attach(id, 0), *second = attach(id, 0);

	EXPECT_IS((uintptr_t)first % PAGE, 0);
	EXPECT(first != second);
	strcpy(first + PAGE, "text");
	EXPECT_IS(strcmp(second + PAGE, "text"), 0);
	second[0] = 'x';
	EXPECT_IS(first[0], 'x');
}

REQUIREMENT(attach_at, "shmat, DESCRIPTION, shmaddr", "with an address that is free it is there")
{
	int id = make_bytes(2 * PAGE);
	char *wanted = free_address(2 * PAGE);
	char *address = shmat(id, wanted, 0);

	EXPECT(address == wanted);
	address[2 * PAGE - 1] = 'x';
	EXPECT_IS(attach(id, 0)[2 * PAGE - 1], 'x');
}

REQUIREMENT(attach_unaligned, "shmat, ERRORS, EINVAL",
	    "an address that is no multiple of SHMLBA is EINVAL without SHM_RND")
{
	int id = make_bytes(PAGE);
	char *wanted = free_address(PAGE);

	EXPECT_ERROR((intptr_t)shmat(id, wanted + 1, 0), EINVAL);
	EXPECT_ERROR((intptr_t)shmat(id, wanted + PAGE / 2, SHM_RDONLY), EINVAL);
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(attach_rounded, "shmat, DESCRIPTION, SHM_RND",
	    "with SHM_RND the address is rounded down to a multiple of SHMLBA")
{
	int id = make_bytes(PAGE);
	char *wanted = free_address(PAGE);

	EXPECT(shmat(id, wanted + 1234, SHM_RND) == wanted);
	detach(wanted);
	EXPECT(shmat(id, wanted, SHM_RND) == wanted);
}

REQUIREMENT(attach_occupied, "shmop(2), SHM_REMAP; ERRORS, EINVAL",
	    "an address where something is is EINVAL, and that stays")
{
	int id = make_bytes(2 * PAGE), other = make_bytes(PAGE);
	char *address = attach(other, 0), *wanted;

	address[0] = 'o';
	EXPECT_ERROR((intptr_t)shmat(id, address, 0), EINVAL);
	EXPECT_IS(address[0], 'o');
	wanted = free_address(2 * PAGE);
	EXPECT(shmat(other, wanted + PAGE, 0) == wanted + PAGE);
	EXPECT_ERROR((intptr_t)shmat(id, wanted, 0), EINVAL);
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(attach_replaces, "shmop(2), SHM_REMAP",
	    "with SHM_REMAP it takes the place of what is there; without an address it is EINVAL")
{
	int id = make_bytes(PAGE), other = make_bytes(PAGE);
	char *address = attach(other, 0);

	address[0] = 'o';
	EXPECT(shmat(id, address, SHM_REMAP) == address);
	EXPECT_IS(address[0], 0);
	EXPECT_IS(attached(other), 0);
	EXPECT_IS(attached(id), 1);
	EXPECT_ERROR((intptr_t)shmat(id, NULL, SHM_REMAP), EINVAL);
	detach(address);
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(attach_no_segment, "shmat, ERRORS, EINVAL", "an identifier that is nobody's is EINVAL")
{
	int id = make_bytes(PAGE);

	EXPECT_ERROR((intptr_t)shmat(-1, NULL, 0), EINVAL);
	EXPECT_ERROR((intptr_t)shmat(INT32_MAX, NULL, 0), EINVAL);
	erase(SHM, id);
	EXPECT_ERROR((intptr_t)shmat(id, NULL, 0), EINVAL);
}

static sigjmp_buf escape;

static void escapes(int signal)
{
	siglongjmp(escape, signal);
}

/* Whether it can be written. */
static bool can_write(volatile char *address)
{
	struct sigaction action = {.sa_handler = escapes}, old;
	bool written = false;

	sigaction(SIGSEGV, &action, &old);
	if (sigsetjmp(escape, 1) == 0) {
		*address = 'w';
		written = true;
	}
	sigaction(SIGSEGV, &old, NULL);
	return written;
}

REQUIREMENT(attach_read_only, "shmat, DESCRIPTION, SHM_RDONLY",
	    "what is attached for reading cannot be written: that is SIGSEGV")
{
	int id = make_bytes(PAGE);
	char *both = attach(id, 0), *reads = attach(id, SHM_RDONLY);

	if (CONFORM_UNDER_ASAN)
		conform_skip("the address sanitizer handles SIGSEGV");
	both[5] = 'r';
	EXPECT_IS(reads[5], 'r');
	EXPECT(!can_write(reads));
	EXPECT(can_write(both));
	EXPECT_IS(reads[0], 'w');
}

REQUIREMENT(attach_read_only_stays, "shmop(2), SHM_RDONLY; mprotect(2), ERRORS, EACCES",
	    "what is attached for reading cannot be made writable")
{
	char *address = attach(make_bytes(PAGE), SHM_RDONLY);

	EXPECT_ERROR(mprotect(address, PAGE, PROT_READ | PROT_WRITE), EACCES);
	EXPECT_IS(mprotect(address, PAGE, PROT_NONE), 0);
}

static void attaches_denied(void *context)
{
	int id = *(int *)context;

	EXPECT_ERROR((intptr_t)shmat(id, NULL, 0), EACCES);
	(void)attach(id, SHM_RDONLY);
	EXPECT_ERROR((intptr_t)shmat(id, NULL, SHM_RDONLY | SHM_EXEC), EACCES);
}

REQUIREMENT(attach_denied, "shmat, ERRORS, EACCES; shmop(2), SHM_EXEC",
	    "for writing and for executing the mode has to permit that")
{
	int id = make_mode(SHM, 0604);

	conform_act_as(NOBODY, attaches_denied, &id);
	EXPECT_IS(attached(id), 0);
}

/* How the pages at an address may be used, as /proc/self/maps has it: "rwxs". */
static void permission_at(const void *address, char text[5])
{
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned long long from, to;
	char line[600];

	text[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx %4s", &from, &to, text) == 3 &&
		    (uintptr_t)address >= from && (uintptr_t)address < to)
			break;
		text[0] = '\0';
	}
	if (file)
		fclose(file);
}

REQUIREMENT(attach_executable, "shmop(2), SHM_EXEC",
	    "with SHM_EXEC what lies there can be executed")
{
	int id = note(SHM, shmget(IPC_PRIVATE, PAGE, 0700));
	char text[5];

	permission_at(attach(id, 0), text);
	EXPECT_IS(strcmp(text, "rw-s"), 0);
	permission_at(attach(id, SHM_EXEC), text);
	EXPECT_IS(strcmp(text, "rwxs"), 0);
	permission_at(attach(id, SHM_EXEC | SHM_RDONLY), text);
	EXPECT_IS(strcmp(text, "r-xs"), 0);
}

REQUIREMENT(detach_removes, "shmdt, DESCRIPTION",
	    "what is detached is no more in the address space")
{
	int id = make_bytes(3 * PAGE);
	char *first = attach(id, 0), *second = attach(id, 0), text[5];

	first[2 * PAGE] = 'x';
	detach(first);
	permission_at(first, text);
	EXPECT_IS(text[0], 0);
	permission_at(first + 2 * PAGE, text);
	EXPECT_IS(text[0], 0);
	EXPECT_IS(second[2 * PAGE], 'x');
}

REQUIREMENT(
	detach_nothing, "shmdt, ERRORS, EINVAL",
	"an address at which no segment begins is EINVAL: nothing, the middle, or what is detached")
{
	int id = make_bytes(3 * PAGE);
	char *address = attach(id, 0), stack[1];
	void *mapped = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERROR(shmdt(NULL), EINVAL);
	EXPECT_ERROR(shmdt(stack), EINVAL);
	EXPECT_ERROR(shmdt(mapped), EINVAL);
	EXPECT_ERROR(shmdt(address + PAGE), EINVAL);
	EXPECT_ERROR(shmdt(address + 1), EINVAL);
	EXPECT_IS(attached(id), 1);
	detach(address);
	EXPECT_ERROR(shmdt(address), EINVAL);
}

REQUIREMENT(detach_keeps, "shmdt, DESCRIPTION; svipc(7)",
	    "what was written stays when nobody has it attached")
{
	int id = make_bytes(PAGE);
	char *address = attach(id, 0);

	strcpy(address, "stays");
	detach(address);
	EXPECT_IS(attached(id), 0);
	EXPECT_IS(strcmp(attach(id, 0), "stays"), 0);
}

static void writes(void *context)
{
	char *address = attach(*(int *)context, 0);

	EXPECT_IS(address[PAGE], 'a');
	address[PAGE] = 'b';
}

REQUIREMENT(shared, "shmat, DESCRIPTION", "what one process writes the others read")
{
	int id = make_bytes(2 * PAGE);
	char *address = attach(id, 0);

	address[PAGE] = 'a';
	conform_act(writes, &id);
	EXPECT_IS(address[PAGE], 'b');
}

static void writes_inherited(void *address)
{
	*(char *)address = 'c';
}

REQUIREMENT(shared_fork, "fork(2); shmop(2), NOTES",
	    "a child has what its parent had attached, and shares it")
{
	char *address = attach(make_bytes(PAGE), 0);

	conform_act(writes_inherited, address);
	EXPECT_IS(*address, 'c');
}

static void adds(void *context)
{
	int *counter = (int *)attach(*(int *)context, 0);

	for (int i = 0; i < 100000; i++)
		__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

REQUIREMENT(shared_atomic, "shmat, DESCRIPTION",
	    "it is the same memory also for instructions that are atomic")
{
	int id = make_bytes(PAGE);
	pid_t children[3];

	for (int i = 0; i < 3; i++)
		children[i] = conform_start(adds, &id);
	for (int i = 0; i < 3; i++)
		conform_await(children[i]);
	EXPECT_IS(*(int *)attach(id, 0), 300000);
}

REQUIREMENT(attach_many, "shmat, DESCRIPTION; shmop(2), SHMSEG",
	    "one process may attach a segment, and many segments, many times")
{
	enum { COUNT = 100 };
	char *addresses[COUNT];
	int id = make_bytes(PAGE), other[COUNT];

	for (int i = 0; i < COUNT; i++) {
		other[i] = make_bytes(PAGE);
		addresses[i] = attach(id, 0);
		*(int *)attach(other[i], 0) = i;
	}
	EXPECT_IS(attached(id), COUNT);
	for (int i = 0; i < COUNT; i++) {
		EXPECT_IS(*(int *)attach(other[i], SHM_RDONLY), i);
		EXPECT_IS(attached(other[i]), 2);
		detach(addresses[i]);
	}
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(direct, "syscall(2); shmop(2)", "the system calls attach and detach the same segments")
{
	int id = make_bytes(PAGE);
	char *address = attach(id, 0), *other;

	need_direct();
	address[0] = 'd';
	other = (char *)syscall(SYS_shmat, id, NULL, SHM_RDONLY);
	EXPECT(other != NOWHERE && other[0] == 'd');
	EXPECT_IS(attached(id), 2);
	EXPECT_IS(syscall(SYS_shmdt, other), 0);
	EXPECT_IS(attached(id), 1);
	EXPECT_ERROR(syscall(SYS_shmdt, other), EINVAL);
	EXPECT_ERROR(syscall(SYS_shmat, -1, NULL, 0), EINVAL);
}
