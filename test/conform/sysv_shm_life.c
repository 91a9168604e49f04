/* SPDX-License-Identifier: Apache-2.0 */

/* Who has it attached, its removal, and struct shmid_ds. */

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "sysv_shm.h"

REQUIREMENT(count_attached, "shmat, shmdt, DESCRIPTION, shm_nattch",
	    "each attachment counts, until it is detached")
{
	int id = make(SHM);
	char *first, *second;

	EXPECT_IS(attached(id), 0);
	first = attach(id, 0);
	EXPECT_IS(attached(id), 1);
	second = attach(id, SHM_RDONLY);
	EXPECT_IS(attached(id), 2);
	detach(first);
	EXPECT_IS(attached(id), 1);
	detach(second);
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(count_failed, "shmat, DESCRIPTION", "what fails does not count")
{
	int id = make(SHM);

	EXPECT_ERROR((intptr_t)shmat(id, (void *)1, 0), EINVAL);
	EXPECT_ERROR((intptr_t)shmat(id, NULL, SHM_REMAP), EINVAL);
	EXPECT_ERROR(shmdt((void *)PAGE), EINVAL);
	EXPECT_IS(attached(id), 0);
}

REQUIREMENT(count_processes, "shmat, DESCRIPTION, shm_nattch",
	    "the attachments of other processes count, and end with them")
{
	int id = make(SHM);
	struct holder *first = holder_of(id, 0), *second = holder_of(id, SHM_RDONLY);
	pid_t children[] = {start_holder(first), start_holder(second)};

	EXPECT_IS(attached(id), 2);
	conform_set_word(&first->end, 1);
	conform_await(children[0]);
	await_attached(id, 1);
	conform_kill(children[1]);
	await_attached(id, 0);
}

static void sees_two(void *context)
{
	int id = *(int *)context;
	char *address = attach(id, 0);
	pid_t child = fork();

	if (child == 0) {
		EXPECT_IS(attached(id), 2);
		detach(address);
		EXPECT_IS(attached(id), 1);
		_exit(0);
	}
	conform_await(child);
	EXPECT_IS(attached(id), 1);
}

REQUIREMENT(count_fork, "fork(2); shmop(2), NOTES",
	    "what a child inherits counts, and it can detach it for itself")
{
	int id = make(SHM);

	conform_act(sees_two, &id);
	await_attached(id, 0);
}

static void forks_and_ends(void *context)
{
	struct holder *holder = context;

	(void)attach(holder->id, 0);
	if (fork() == 0) {
		conform_set_word(&holder->done, 1);
		(void)conform_await_word(&holder->end);
		_exit(0);
	}
	(void)conform_await_word(&holder->done);
}

REQUIREMENT(count_fork_parent, "fork(2); shmop(2), NOTES",
	    "what a child inherited is attached also when its parent has ended")
{
	struct holder *holder = holder_of(make(SHM), 0);

	conform_act(forks_and_ends, holder);
	await_attached(holder->id, 1);
	conform_set_word(&holder->end, 1);
	await_attached(holder->id, 0);
}

static void executes(void *context)
{
	int id = *(int *)context;
	char text[16];

	(void)attach(id, 0);
	EXPECT_IS(attached(id), 1);
	snprintf(text, sizeof(text), "%d", id);
	conform_execute("attached", text, "0");
}

REQUIREMENT(count_exec, "exec, DESCRIPTION; execve(2); shmop(2), NOTES",
	    "exec detaches: the program that is executed has none")
{
	int id = make(SHM);

	conform_act(executes, &id);
	await_attached(id, 0);
}

extern char **environ;

REQUIREMENT(count_spawn, "posix_spawn, DESCRIPTION; vfork(2)",
	    "a program that is spawned has none, and its parent keeps its own")
{
	char text[16], *arguments[] = {"conform", "--executed", "attached", text, "1", NULL};
	int id = make(SHM);
	char *address = attach(id, 0);
	pid_t child;

	snprintf(text, sizeof(text), "%d", id);
	address[0] = 's';
	REQUIRE(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
	conform_await(child);
	EXPECT_IS(attached(id), 1);
	EXPECT_IS(address[0], 's');
}

REQUIREMENT(count_unmapped, "shmop(2); munmap(2)", "what is unmapped is not attached any more")
{
	int id = make(SHM);
	char *address = attach(id, 0);

	EXPECT_IS(munmap(address, PAGE), 0);
	EXPECT_IS(attached(id), 0);
	EXPECT_ERROR(shmdt(address), EINVAL);
}

static void attaches_often(void *context)
{
	for (int i = 0; i < 1000; i++) {
		char *address = attach(*(int *)context, 0);

		__atomic_add_fetch(address, 1, __ATOMIC_RELAXED);
		detach(address);
	}
}

REQUIREMENT(count_storm, "shmat, shmdt, DESCRIPTION, shm_nattch",
	    "of many who attach and detach at once none is lost or counted twice")
{
	int id = make(SHM);
	pid_t children[3];

	for (int i = 0; i < 3; i++)
		children[i] = conform_start(attaches_often, &id);
	for (int i = 0; i < 3; i++)
		conform_await(children[i]);
	EXPECT_IS(attached(id), 0);
	EXPECT_IS((unsigned char)attach(id, 0)[0], 3000 % 256);
}

REQUIREMENT(remove_attached, "shmctl, DESCRIPTION, IPC_RMID; shmctl(2)",
	    "what is removed while it is attached ends with the last attachment")
{
	int id = make_mode(SHM, 0600);
	char *first = attach(id, 0), *second = attach(id, 0);
	union status status;

	first[0] = 'x';
	erase(SHM, id);
	EXPECT_ERROR(get(SHM, KEY, 0), ENOENT);
	second[1] = 'y';
	EXPECT_IS(first[1], 'y');
	detach(first);
	EXPECT_IS(attached(id), 1);
	EXPECT_IS(second[0], 'x');
	detach(second);
	EXPECT_ERROR(control(SHM, id, IPC_STAT, &status), EINVAL);
	EXPECT_ERROR((intptr_t)shmat(id, NULL, 0), EINVAL);
}

REQUIREMENT(remove_marked, "shmctl(2), IPC_RMID, SHM_DEST",
	    "what is removed and still attached has SHM_DEST in its mode, and the key 0")
{
	int id = make_mode(SHM, 0640);
	struct ipc_perm perm;

	(void)attach(id, 0);
	EXPECT_IS(perm_of(SHM, id).mode, 0640);
	erase(SHM, id);
	perm = perm_of(SHM, id);
	EXPECT_IS(perm.mode, 0640 | SHM_DEST);
	EXPECT_IS(perm.__key, 0);
	EXPECT_IS(set_perm(SHM, id, 0600, geteuid(), getegid()), 0);
	EXPECT_IS(perm_of(SHM, id).mode, 0600 | SHM_DEST);
	/* And again, which changes nothing. */
	erase(SHM, id);
	EXPECT_IS(attached(id), 1);
}

REQUIREMENT(remove_then_attach, "shmop(2), shmctl(2), NOTES",
	    "Linux attaches what is removed as long as it is attached")
{
	int id = make(SHM);
	char *first = attach(id, 0), *second;

	erase(SHM, id);
	second = attach(id, 0);
	second[0] = 'x';
	EXPECT_IS(first[0], 'x');
	EXPECT_IS(attached(id), 2);
	detach(first);
	EXPECT_IS(attached(id), 1);
	EXPECT_IS(attach(id, SHM_RDONLY)[0], 'x');
}

REQUIREMENT(remove_key_free, "shmctl, DESCRIPTION, IPC_RMID",
	    "the key of what is removed and attached makes another one")
{
	int id = make_mode(SHM, 0600), other;
	char *address = attach(id, 0);

	address[0] = 'o';
	erase(SHM, id);
	other = make_mode(SHM, 0600);
	EXPECT(other != id);
	EXPECT_IS(attach(other, 0)[0], 0);
	EXPECT_IS(address[0], 'o');
	EXPECT_IS(get(SHM, KEY, 0), other);
}

REQUIREMENT(remove_killed, "shmctl(2), IPC_RMID",
	    "what is removed ends also when the last who has it attached is killed")
{
	int id = make(SHM);
	struct holder *holder = holder_of(id, 0);
	pid_t child = start_holder(holder);

	erase(SHM, id);
	EXPECT_IS(attached(id), 1);
	conform_kill(child);
	await_gone(id);
}

REQUIREMENT(remove_forked, "shmctl(2), IPC_RMID; fork(2)",
	    "what is removed stays for a child that inherited it")
{
	struct holder *holder = holder_of(make(SHM), 0);

	conform_act(forks_and_ends, holder);
	erase(SHM, holder->id);
	await_attached(holder->id, 1);
	EXPECT_IS(perm_of(SHM, holder->id).mode, 0600 | SHM_DEST);
	conform_set_word(&holder->end, 1);
	await_gone(holder->id);
}

REQUIREMENT(status_new, "shmget, DESCRIPTION",
	    "a new segment has its size and its creator, and nobody and no time of use")
{
	int id = make_bytes(12345);
	struct shmid_ds segment = segment_of(id);

	EXPECT_IS(segment.shm_segsz, 12345);
	EXPECT_IS(segment.shm_cpid, getpid());
	EXPECT_IS(segment.shm_lpid, 0);
	EXPECT_IS(segment.shm_nattch, 0);
	EXPECT_IS(segment.shm_atime, 0);
	EXPECT_IS(segment.shm_dtime, 0);
}

REQUIREMENT(status_attached, "shmat, DESCRIPTION, shm_atime, shm_lpid",
	    "to attach sets the time of that and the last process")
{
	int id = make(SHM);
	struct holder *holder = holder_of(id, 0);
	struct shmid_ds segment;
	time_t before;
	pid_t child;

	await_turn();
	before = time(NULL);
	(void)attach(id, 0);
	segment = segment_of(id);
	EXPECT_SINCE(segment.shm_atime, before);
	EXPECT_IS(segment.shm_lpid, getpid());
	EXPECT_IS(segment.shm_dtime, 0);
	child = start_holder(holder);
	EXPECT_IS(segment_of(id).shm_lpid, child);
	EXPECT_IS(segment_of(id).shm_cpid, getpid());
	conform_kill(child);
}

REQUIREMENT(status_detached, "shmdt, DESCRIPTION, shm_dtime, shm_lpid",
	    "to detach sets the time of that and the last process, and so does an end")
{
	int id = make(SHM);
	char *address = attach(id, 0);
	struct holder *holder = holder_of(id, 0);
	pid_t child = start_holder(holder);
	struct shmid_ds segment, old = segment_of(id);
	time_t before;

	await_after(old.shm_atime);
	await_turn();
	before = time(NULL);
	detach(address);
	segment = segment_of(id);
	EXPECT_SINCE(segment.shm_dtime, before);
	EXPECT_IS(segment.shm_lpid, getpid());
	EXPECT_IS(segment.shm_atime, old.shm_atime);
	EXPECT_IS(segment.shm_ctime, old.shm_ctime);
	await_after(segment.shm_dtime);
	await_turn();
	before = time(NULL);
	conform_kill(child);
	await_attached(id, 0);
	segment = segment_of(id);
	EXPECT_SINCE(segment.shm_dtime, before);
	EXPECT_IS(segment.shm_lpid, child);
}

REQUIREMENT(info_limits, "shmctl(2), IPC_INFO", "IPC_INFO tells the limits")
{
	struct shminfo info;

	memset(&info, 0xee, sizeof(info));
	EXPECT(shmctl(0, IPC_INFO, (struct shmid_ds *)&info) >= 0);
	EXPECT_IS(info.shmmin, 1);
	EXPECT_IS(info.shmseg, info.shmmni);
	EXPECT(info.shmmni >= 4096);
	EXPECT(info.shmmax >= (size_t)1 << 33);
	EXPECT(info.shmall >= (size_t)1 << 21);
}

REQUIREMENT(info_memory, "shmctl(2), SHM_INFO",
	    "SHM_INFO tells how many segments and pages there are, and in memory")
{
	struct shm_info info;
	int id;

	need_alone();
	id = make_bytes(10 * PAGE + 1);
	(void)make_bytes(1);
	memset(&info, 0xee, sizeof(info));
	EXPECT(shmctl(0, SHM_INFO, (struct shmid_ds *)&info) >= 1);
	EXPECT_IS(info.used_ids, 2);
	EXPECT_IS(info.shm_tot, 12);
	EXPECT_IS(info.shm_rss + info.shm_swp, 0);
	memset(attach(id, 0), 1, 3 * PAGE);
	EXPECT(shmctl(0, SHM_INFO, (struct shmid_ds *)&info) >= 1);
	EXPECT_IS(info.shm_rss + info.shm_swp, 3);
}
