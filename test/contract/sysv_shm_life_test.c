/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory of System V: who has it attached, and what becomes of it when they end, however that is. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "sysv_shm.h"

extern char **environ;

/* From its first moment on, without having called anything. */
static void forked_child_counts(void)
{
	int id = shm_make(), other = shm_make();
	char *first = shm_attach(id);
	struct child child;

	shm_attach(id);
	if (child_start(&child, false) == 0) {
		child_hear(&child);
		child_tell(&child, tenon_shmdt(first));
		child_hear(&child);
		_exit(0);
	}
	EXPECT_IS(shm_count(id), 4);
	EXPECT_IS(shm_count(other), 0);
	first[0] = 'c';
	child_tell(&child, 0);
	EXPECT_IS(child_hear(&child), 0);
	EXPECT_IS(shm_count(id), 3);
	EXPECT_IS(shm_status(id).shm_lpid, child.pid);
	EXPECT_IS(first[0], 'c');
	child_finish(&child, true);
	EXPECT_IS(shm_count(id), 2);
	EXPECT_IS(tenon_shmdt(first), 0);
	EXPECT_IS(shm_count(id), 1);
	shm_remove(id);
	shm_remove(other);
}

/* And their children. */
static void grandchildren(void)
{
	int id = shm_make();
	struct child child, grandchild;

	shm_attach(id);
	if (child_start(&child, false) == 0) {
		if (child_start(&grandchild, false) == 0) {
			child_hear(&grandchild);
			_exit(0);
		}
		child_tell(&child, grandchild.pid);
		child_hear(&child);
		child_finish(&grandchild, true);
		child_tell(&child, (int64_t)shm_count(id));
		child_hear(&child);
		_exit(0);
	}
	child_hear(&child);
	EXPECT_IS(shm_count(id), 3);
	child_tell(&child, 0);
	EXPECT_IS(child_hear(&child), 2);
	child_finish(&child, true);
	EXPECT_IS(shm_count(id), 1);
	shm_remove(id);
}

static void raw_child_counts_when_it_calls(void)
{
	int id = shm_make();
	struct child child;
	char *bytes = shm_attach(id);

	if (child_start(&child, true) == 0) {
		child_tell(&child, (int64_t)shm_count(id));
		child_hear(&child);
		child_tell(&child, tenon_shmdt(bytes));
		child_hear(&child);
		_exit(0);
	}
	EXPECT_IS(child_hear(&child), 2);
	EXPECT_IS(shm_count(id), 2);
	child_tell(&child, 0);
	EXPECT_IS(child_hear(&child), 0);
	EXPECT_IS(shm_count(id), 1);
	child_finish(&child, true);
	shm_remove(id);
}

static void exec_detaches(void)
{
	int id = shm_make(), ready[2];
	char *arguments[] = {"cat", NULL};
	struct child child;

	shm_attach(id);
	REQUIRE(pipe(ready) == 0);
	if (child_start(&child, false) == 0) {
		dup2(child.from, STDIN_FILENO);
		dup2(child.to, STDOUT_FILENO);
		execvp("cat", arguments);
		_exit(1);
	}
	/* What comes back has been through the other program. */
	child_tell(&child, 7);
	EXPECT_IS(child_hear(&child), 7);
	EXPECT_IS(shm_count(id), 1);
	child_finish(&child, true);
	shm_remove(id);
}

static void spawned_changes_nothing(void)
{
	int id = shm_make();
	char *arguments[] = {"true", NULL}, *bytes = shm_attach(id);
	pid_t pid;

	REQUIRE(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ) == 0);
	EXPECT_IS(waitpid(pid, NULL, 0), pid);
	pid = vfork();
	if (pid == 0)
		_exit(0);
	EXPECT_IS(waitpid(pid, NULL, 0), pid);
	EXPECT_IS(shm_count(id), 1);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(shm_count(id), 0);
	shm_remove(id);
}

static void exit_says_when(void)
{
	int64_t before = time(NULL);
	int id = shm_make();
	struct child child;

	if (child_start(&child, false) == 0) {
		shm_attach(id);
		exit(0);
	}
	child_finish(&child, false);
	EXPECT_IS(shm_count(id), 0);
	EXPECT_IS(shm_status(id).shm_lpid, child.pid);
	EXPECT(shm_status(id).shm_dtime >= before);
	shm_remove(id);
}

static void killed_is_gone_at_once(void)
{
	for (int round = 0; round < 200; round++) {
		int id = shm_make();
		struct child child;
		struct shmid_ds status;

		if (child_start(&child, false) == 0) {
			shm_attach(id);
			shm_attach(id);
			child_tell(&child, 0);
			child_hear(&child);
		}
		child_hear(&child);
		EXPECT_IS(shm_count(id), 2);
		child_finish(&child, true);
		status = shm_status(id);
		EXPECT_IS(status.shm_nattch, 0);
		EXPECT_IS(status.shm_lpid, child.pid);
		EXPECT(status.shm_dtime != 0);
		shm_remove(id);
		shm_expect_gone(id);
	}
}

static void removed_while_attached(void)
{
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600), other;
	char *bytes, *again;
	struct child child;
	struct shmid_ds status;

	REQUIRE(id >= 0);
	bytes = shm_attach(id);
	strcpy(bytes, "kept");
	if (child_start(&child, false) == 0) {
		child_hear(&child);
		/* One that does not have it: in a program of its own it would be so. */
		tenon_shmdt(bytes);
		again = tenon_shmat(id, NULL, 0);
		child_tell(&child, again != (char *)-1 ? again[0] : -errno);
		child_hear(&child);
		_exit(0);
	}
	shm_remove(id);
	status = shm_status(id);
	EXPECT_IS(status.shm_perm.mode, (int)(0600 | SHM_DEST_BIT));
	EXPECT_IS(status.shm_perm.__key, IPC_PRIVATE);
	EXPECT_IS(status.shm_nattch, 2);
	/* The memory has no name any more, nor the key. */
	EXPECT_IS(shm_files(), 1);
	/* Once more does nothing. */
	shm_remove(id);
	other = tenon_shmget(KEY, 1, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(other >= 0 && other != id);
	child_tell(&child, 0);
	EXPECT_IS(child_hear(&child), 'k');
	EXPECT_IS(shm_count(id), 2);
	again = shm_attach(id);
	EXPECT(strcmp(again, "kept") == 0);
	EXPECT_IS(tenon_shmdt(again), 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	/* By now only the child has it, from whom it can be had. */
	again = shm_attach(id);
	EXPECT(strcmp(again, "kept") == 0);
	EXPECT_IS(tenon_shmdt(again), 0);
	EXPECT_IS(tenon_shmctl(other, IPC_RMID, NULL), 0);
	child_finish(&child, true);
	shm_expect_gone(id);
}

static void last_detach_ends_it(void)
{
	int id = shm_make();
	char *bytes = shm_attach(id);

	shm_remove(id);
	EXPECT_IS(shm_files(), 1);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(shm_files(), 0);
	shm_expect_gone(id);
}

/* Killed between the two steps of removing: whoever comes next goes on. */
static void key_of_the_removed_is_free(void)
{
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600), other;
	char path[512], saved[512];

	REQUIRE(id >= 0);
	snprintf(path, sizeof(path), "%s/g-key.%08x", contract_folder, KEY);
	snprintf(saved, sizeof(saved), "%s/saved", contract_folder);
	REQUIRE(link(path, saved) == 0);
	shm_attach(id);
	shm_remove(id);
	REQUIRE(rename(saved, path) == 0);
	EXPECT_IS(tenon_shmget(KEY, 0, 0), -1);
	EXPECT_IS(errno, ENOENT);
	REQUIRE(access(path, F_OK) != 0);
	other = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
	EXPECT(other >= 0 && other != id);
	EXPECT_IS(shm_count(id), 1);
	shm_remove(other);
}

/* Some attach and detach, one removes: nobody has what is not the segment, and nothing is left. */
static void attach_and_detach(void *context)
{
	int *id = context;

	for (uint32_t i = 0;; i++) {
		char *bytes = tenon_shmat(*id, NULL, i % 3 ? 0 : SHM_RDONLY);

		if (bytes == (char *)-1) {
			EXPECT(errno == EINVAL || errno == EIDRM);
			return;
		}
		EXPECT_IS(bytes[0], 's');
		EXPECT_IS(tenon_shmdt(bytes), 0);
	}
}

static void removed_in_the_midst(void)
{
	int *id = contract_share(sizeof(*id));

	for (uint32_t round = 0; round < 100; round++) {
		pid_t children[3];
		char *bytes;

		*id = shm_make();
		bytes = shm_attach(*id);
		bytes[0] = 's';
		EXPECT_IS(tenon_shmdt(bytes), 0);
		for (uint32_t i = 0; i < 3; i++)
			children[i] = contract_start(attach_and_detach, id);
		for (uint32_t i = 0; i < round; i++)
			sched_yield();
		shm_remove(*id);
		for (uint32_t i = 0; i < 3; i++)
			contract_await(children[i]);
		shm_expect_gone(*id);
	}
}

/* Whoever is killed, nobody is counted but who lives. */
static void fork_always(void *context)
{
	for (;;) {
		pid_t pid = fork();

		(void)context;
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void killed_forking(void)
{
	int id = shm_make();
	char *bytes = shm_attach(id);

	for (uint32_t round = 0; round < 100; round++) {
		pid_t child = contract_start(fork_always, NULL);

		for (uint32_t i = 0; i < round; i++)
			sched_yield();
		contract_kill(child);
		/* A child of its may still be about to end, and have no processor to do it. */
		while (shm_count(id) != 1)
			sched_yield();
	}
	shm_remove(id);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_expect_gone(id);
}

/* A fork that fails leaves nobody counted. */
static void failed_fork(void)
{
	int id = shm_make();
	struct rlimit limit = {0, 0};
	struct child child;

	if (geteuid() != 0)
		contract_skip("only root can become somebody of whom there is nobody else");
	if (child_start(&child, false) == 0) {
		shm_attach(id);
		setrlimit(RLIMIT_NPROC, &limit);
		if (setresuid(54321, 54321, 0) != 0)
			_exit(2);
		child_tell(&child, fork() < 0 ? 0 : 1);
		child_hear(&child);
		_exit(0);
	}
	EXPECT_IS(child_hear(&child), 0);
	EXPECT_IS(shm_count(id), 1);
	child_finish(&child, true);
	EXPECT_IS(shm_count(id), 0);
	shm_remove(id);
}

/* In a namespace of its own of the kernel's, with a limit of so many. */
static bool set_limit(const char *path, const char *text)
{
	int fd = unshare(CLONE_NEWIPC) == 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	bool answer = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return answer;
}

/* 0: one can be made, and is removed while it is attached by who is killed then. */
static int make_and_die(void)
{
	struct child child;
	int64_t answer;

	if (child_start(&child, false) == 0) {
		int id = tenon_shmget(IPC_PRIVATE, BYTES, 0600);

		if (id >= 0)
			shm_attach(id);
		child_tell(&child, id < 0 ? errno : tenon_shmctl(id, IPC_RMID, NULL));
		child_hear(&child);
		_exit(0);
	}
	answer = child_hear(&child);
	child_finish(&child, true);
	return (int)answer;
}

/* What nobody has looked at since then does not take the place of others. */
static void killed_leave_room(void)
{
	struct child child;

	if (geteuid() != 0)
		contract_skip("only root can set a limit");
	if (child_start(&child, false) == 0) {
		int result = set_limit("/proc/sys/kernel/shmmni", "4") ? 0 : -1;

		for (int i = 0; result == 0 && i < 10; i++)
			result = make_and_die();
		child_tell(&child, result);
		child_hear(&child);
		_exit(0);
	}
	EXPECT_IS(child_hear(&child), 0);
	child_finish(&child, true);
}

/* The bug: what was removed, and whose last holders were killed, stayed until there was no room for more. */
static void killed_leave_nothing(void)
{
	for (int i = 0; i < 30; i++)
		REQUIRE(make_and_die() == 0);
	/* One out of 128 who make something clears some of it away. */
	for (int i = 0; shm_files() > 0 && i < 8000; i++) {
		int id = tenon_shmget(IPC_PRIVATE, 1, 0600);

		REQUIRE(id >= 0 && tenon_shmctl(id, IPC_RMID, NULL) == 0);
	}
	EXPECT_IS(shm_files(), 0);
}

#define ROUNDS 200

/* 0, or what went wrong. */
static int attach_removed(void)
{
	int id = tenon_shmget(IPC_PRIVATE, BYTES, 0600);
	void *at = id < 0 ? (void *)-1 : tenon_shmat(id, NULL, 0);

	if (at == (void *)-1 || tenon_shmctl(id, IPC_RMID, NULL) != 0 || tenon_shmdt(at) != 0)
		return errno;
	return 0;
}

/* One that another process makes, and removes in the end. */
static int attach_of_other(void)
{
	struct child child;
	void *at;
	int id, result = 0;

	if (child_start(&child, false) == 0) {
		id = tenon_shmget(IPC_PRIVATE, BYTES, 0600);
		child_tell(&child, id);
		child_hear(&child);
		child_tell(&child, tenon_shmctl(id, IPC_RMID, NULL));
		_exit(0);
	}
	id = (int)child_hear(&child);
	at = tenon_shmat(id, NULL, 0);
	if (at == (void *)-1 || tenon_shmdt(at) != 0)
		result = errno;
	child_tell(&child, 0);
	child_hear(&child);
	child_finish(&child, false);
	return result;
}

/* A process has not more open than it has use for. */
static void over_is_closed(void)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
	struct child child;

	if (child_start(&child, false) == 0) {
		int result = 0;

		setrlimit(RLIMIT_NOFILE, &limit);
		for (int i = 0; result == 0 && i < ROUNDS; i++)
			result = attach_removed();
		for (int i = 0; result == 0 && i < ROUNDS; i++)
			result = attach_of_other();
		child_tell(&child, result);
		child_hear(&child);
		_exit(0);
	}
	EXPECT_IS(child_hear(&child), 0);
	child_finish(&child, true);
}

/* Whose end takes the kernel a while: it has many descriptors to close. */
static void start_holder(struct child *child, int *ret_id)
{
	if (child_start(child, false) == 0) {
		int id = shm_make();

		shm_attach(id);
		for (int i = 0; i < 3000 && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0; i++)
			;
		child_tell(child, tenon_shmctl(id, IPC_RMID, NULL) == 0 ? id : -1);
		child_hear(child);
		_exit(0);
	}
	*ret_id = (int)child_hear(child);
}

/* It can be attached, or it is over, and nothing in between. */
static void holder_dies_slowly(void)
{
	for (int round = 0; round < 50; round++) {
		struct child holder, user;
		void *at;
		int id;

		start_holder(&holder, &id);
		if (child_start(&user, false) == 0) {
			bool has_told = false;

			while ((at = tenon_shmat(id, NULL, 0)) != (void *)-1) {
				if (!has_told)
					child_tell(&user, 0);
				has_told = true;
				tenon_shmdt(at);
			}
			child_tell(&user, errno);
			_exit(0);
		}
		EXPECT_IS(child_hear(&user), 0);
		child_finish(&holder, true);
		id = (int)child_hear(&user);
		EXPECT(id == EIDRM || id == EINVAL);
		child_finish(&user, false);
	}
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"a child of fork is counted from its first moment", forked_child_counts, NULL},
		{"and so is its own", grandchildren, NULL},
		{"a raw clone is counted when it calls", raw_child_counts_when_it_calls, NULL},
		{"exec detaches", exec_detaches, NULL},
		{"spawning changes nothing", spawned_changes_nothing, NULL},
		{"who exits says when", exit_says_when, NULL},
		{"who is killed is not counted any more", killed_is_gone_at_once, NULL},
		{"removed while attached", removed_while_attached, NULL},
		{"the last to detach ends what is removed", last_detach_ends_it, NULL},
		{"the key of what is removed is free", key_of_the_removed_is_free, NULL},
		{"removed while others attach and detach", removed_in_the_midst, NULL},
		{"killed while forking", killed_forking, NULL},
		{"a fork that fails", failed_fork, NULL},
		{"what the killed have left leaves room", killed_leave_room, NULL},
		{"what the killed have left goes", killed_leave_nothing, NULL},
		{"what is over is closed", over_is_closed, NULL},
		{"the last to have it takes a while to die", holder_dies_slowly, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
