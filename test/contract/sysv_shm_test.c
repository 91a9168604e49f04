/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory of System V: who has it attached, and what becomes of it when they end, however that is. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "contract.h"

#define PAGE 4096u
#define KEY 0x5eed
#define BYTES 10000u
#define SHM_DEST_BIT 01000u
#define SHM_LOCKED_BIT 02000u

extern char **environ;

static struct shmid_ds status_of(int id)
{
	struct shmid_ds status;

	memset(&status, 0xff, sizeof(status));
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), 0);
	return status;
}

static uint64_t count_of(int id)
{
	return status_of(id).shm_nattch;
}

static int make(void)
{
	int id = tenon_shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600);

	REQUIRE(id >= 0);
	return id;
}

static char *attach(int id)
{
	char *bytes = tenon_shmat(id, NULL, 0);

	REQUIRE(bytes != (char *)-1);
	return bytes;
}

/* Files of segments in the namespace. */
static uint32_t files(void)
{
	DIR *folder = opendir(contract_folder);
	const struct dirent *entry;
	uint32_t count = 0;

	REQUIRE(folder);
	while ((entry = readdir(folder)))
		count += entry->d_name[0] == 'g';
	closedir(folder);
	return count;
}

/* Removed, without a trace. */
static void expect_gone(int id)
{
	struct shmid_ds status;

	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(files(), 0);
}

static void remove_it(int id)
{
	EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), 0);
}

static void basics(void)
{
	int64_t before = time(NULL);
	int id = make();
	struct shmid_ds status = status_of(id);
	char *first, *second;

	EXPECT_IS(status.shm_segsz, BYTES);
	EXPECT_IS(status.shm_nattch, 0);
	EXPECT_IS(status.shm_atime, 0);
	EXPECT_IS(status.shm_dtime, 0);
	EXPECT(status.shm_ctime >= before);
	EXPECT_IS(status.shm_cpid, getpid());
	EXPECT_IS(status.shm_lpid, 0);
	EXPECT_IS(status.shm_perm.mode, 0600);
	EXPECT_IS(status.shm_perm.__key, IPC_PRIVATE);
	EXPECT_IS(status.shm_perm.cuid, geteuid());
	first = attach(id);
	second = attach(id);
	EXPECT(first != second && (uintptr_t)first % PAGE == 0);
	strcpy(first + 5000, "hello");
	EXPECT(strcmp(second + 5000, "hello") == 0);
	/* To the end of its last page. */
	first[3 * PAGE - 1] = 'x';
	EXPECT(second[3 * PAGE - 1] == 'x');
	status = status_of(id);
	EXPECT_IS(status.shm_nattch, 2);
	EXPECT(status.shm_atime >= before);
	EXPECT_IS(status.shm_lpid, getpid());
	EXPECT_IS(tenon_shmdt(first + PAGE), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmdt(first), 0);
	EXPECT_IS(tenon_shmdt(first), -1);
	EXPECT_IS(errno, EINVAL);
	status = status_of(id);
	EXPECT_IS(status.shm_nattch, 1);
	EXPECT(status.shm_dtime >= before);
	EXPECT_IS(tenon_shmdt(second), 0);
	EXPECT_IS(tenon_shmdt(NULL), -1);
	EXPECT_IS(count_of(id), 0);
	/* It keeps its bytes. */
	EXPECT(strcmp(attach(id) + 5000, "hello") == 0);
	remove_it(id);
}

static void keys_and_sizes(void)
{
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | IPC_EXCL | 0600);

	REQUIRE(id >= 0);
	EXPECT_IS(tenon_shmget(KEY, BYTES, IPC_CREAT | IPC_EXCL | 0600), -1);
	EXPECT_IS(errno, EEXIST);
	EXPECT_IS(tenon_shmget(KEY, 0, 0), id);
	EXPECT_IS(tenon_shmget(KEY, BYTES, IPC_CREAT | 0600), id);
	EXPECT_IS(tenon_shmget(KEY, BYTES + 1, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmget(KEY + 1, BYTES, 0600), -1);
	EXPECT_IS(errno, ENOENT);
	EXPECT_IS(tenon_shmget(KEY + 1, 0, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmget(KEY + 1, SIZE_MAX, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmget(KEY + 1, (size_t)1 << 62, IPC_CREAT | 0600), -1);
	EXPECT(errno == ENOSPC || errno == ENOMEM);
	EXPECT_IS(status_of(id).shm_perm.__key, KEY);
	remove_it(id);
	expect_gone(id);
	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
}

static void bad_calls(void)
{
	int id = make();
	struct shmid_ds status;

	EXPECT(tenon_shmat(-1, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmctl(-1, IPC_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, NULL), -1);
	EXPECT_IS(errno, EFAULT);
	EXPECT_IS(tenon_shmctl(id, 77, &status), -1);
	EXPECT_IS(errno, EINVAL);
	remove_it(id);
}

/* A child tells what it is to tell, and waits until it is killed. */
struct child {
	pid_t pid;
	int from, to;
};

static int64_t hear(const struct child *child)
{
	int64_t number = -1;

	EXPECT_IS(read(child->from, &number, sizeof(number)), sizeof(number));
	return number;
}

static void tell(const struct child *self, int64_t number)
{
	EXPECT_IS(write(self->to, &number, sizeof(number)), sizeof(number));
}

/* 0 in the child. */
static pid_t start(struct child *ret_child, bool is_raw)
{
	int up[2], down[2];
	pid_t pid;

	REQUIRE(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
	pid = is_raw ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	*ret_child = (struct child){pid, pid ? up[0] : down[0], pid ? down[1] : up[1]};
	close(pid ? up[1] : up[0]);
	close(pid ? down[0] : down[1]);
	return pid;
}

static void finish(const struct child *child, bool kills)
{
	int status;

	if (kills)
		kill(child->pid, SIGKILL);
	EXPECT_IS(waitpid(child->pid, &status, 0), child->pid);
	if (!kills)
		EXPECT_IS(status, 0);
	close(child->from);
	close(child->to);
}

/* From its first moment on, without having called anything. */
static void forked_child_counts(void)
{
	int id = make(), other = make();
	char *first = attach(id);
	struct child child;

	attach(id);
	if (start(&child, false) == 0) {
		hear(&child);
		tell(&child, tenon_shmdt(first));
		hear(&child);
		_exit(0);
	}
	EXPECT_IS(count_of(id), 4);
	EXPECT_IS(count_of(other), 0);
	first[0] = 'c';
	tell(&child, 0);
	EXPECT_IS(hear(&child), 0);
	EXPECT_IS(count_of(id), 3);
	EXPECT_IS(status_of(id).shm_lpid, child.pid);
	EXPECT_IS(first[0], 'c');
	finish(&child, true);
	EXPECT_IS(count_of(id), 2);
	EXPECT_IS(tenon_shmdt(first), 0);
	EXPECT_IS(count_of(id), 1);
	remove_it(id);
	remove_it(other);
}

/* And their children. */
static void grandchildren(void)
{
	int id = make();
	struct child child, grandchild;

	attach(id);
	if (start(&child, false) == 0) {
		if (start(&grandchild, false) == 0) {
			hear(&grandchild);
			_exit(0);
		}
		tell(&child, grandchild.pid);
		hear(&child);
		finish(&grandchild, true);
		tell(&child, (int64_t)count_of(id));
		hear(&child);
		_exit(0);
	}
	hear(&child);
	EXPECT_IS(count_of(id), 3);
	tell(&child, 0);
	EXPECT_IS(hear(&child), 2);
	finish(&child, true);
	EXPECT_IS(count_of(id), 1);
	remove_it(id);
}

static void raw_child_counts_when_it_calls(void)
{
	int id = make();
	struct child child;
	char *bytes = attach(id);

	if (start(&child, true) == 0) {
		tell(&child, (int64_t)count_of(id));
		hear(&child);
		tell(&child, tenon_shmdt(bytes));
		hear(&child);
		_exit(0);
	}
	EXPECT_IS(hear(&child), 2);
	EXPECT_IS(count_of(id), 2);
	tell(&child, 0);
	EXPECT_IS(hear(&child), 0);
	EXPECT_IS(count_of(id), 1);
	finish(&child, true);
	remove_it(id);
}

static void exec_detaches(void)
{
	int id = make(), ready[2];
	char *arguments[] = {"cat", NULL};
	struct child child;

	attach(id);
	REQUIRE(pipe(ready) == 0);
	if (start(&child, false) == 0) {
		dup2(child.from, STDIN_FILENO);
		dup2(child.to, STDOUT_FILENO);
		execvp("cat", arguments);
		_exit(1);
	}
	/* What comes back has been through the other program. */
	tell(&child, 7);
	EXPECT_IS(hear(&child), 7);
	EXPECT_IS(count_of(id), 1);
	finish(&child, true);
	remove_it(id);
}

static void spawned_changes_nothing(void)
{
	int id = make();
	char *arguments[] = {"true", NULL}, *bytes = attach(id);
	pid_t pid;

	REQUIRE(posix_spawnp(&pid, "true", NULL, NULL, arguments, environ) == 0);
	EXPECT_IS(waitpid(pid, NULL, 0), pid);
	pid = vfork();
	if (pid == 0)
		_exit(0);
	EXPECT_IS(waitpid(pid, NULL, 0), pid);
	EXPECT_IS(count_of(id), 1);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(count_of(id), 0);
	remove_it(id);
}

static void exit_says_when(void)
{
	int64_t before = time(NULL);
	int id = make();
	struct child child;

	if (start(&child, false) == 0) {
		attach(id);
		exit(0);
	}
	finish(&child, false);
	EXPECT_IS(count_of(id), 0);
	EXPECT_IS(status_of(id).shm_lpid, child.pid);
	EXPECT(status_of(id).shm_dtime >= before);
	remove_it(id);
}

static void killed_is_gone_at_once(void)
{
	for (int round = 0; round < 200; round++) {
		int id = make();
		struct child child;
		struct shmid_ds status;

		if (start(&child, false) == 0) {
			attach(id);
			attach(id);
			tell(&child, 0);
			hear(&child);
		}
		hear(&child);
		EXPECT_IS(count_of(id), 2);
		finish(&child, true);
		status = status_of(id);
		EXPECT_IS(status.shm_nattch, 0);
		EXPECT_IS(status.shm_lpid, child.pid);
		EXPECT(status.shm_dtime != 0);
		remove_it(id);
		expect_gone(id);
	}
}

static void removed_while_attached(void)
{
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600), other;
	char *bytes, *again;
	struct child child;
	struct shmid_ds status;

	REQUIRE(id >= 0);
	bytes = attach(id);
	strcpy(bytes, "kept");
	if (start(&child, false) == 0) {
		hear(&child);
		/* One that does not have it: in a program of its own it would be so. */
		tenon_shmdt(bytes);
		again = tenon_shmat(id, NULL, 0);
		tell(&child, again != (char *)-1 ? again[0] : -errno);
		hear(&child);
		_exit(0);
	}
	remove_it(id);
	status = status_of(id);
	EXPECT_IS(status.shm_perm.mode, (int)(0600 | SHM_DEST_BIT));
	EXPECT_IS(status.shm_perm.__key, IPC_PRIVATE);
	EXPECT_IS(status.shm_nattch, 2);
	/* The memory has no name any more, nor the key. */
	EXPECT_IS(files(), 1);
	/* Once more does nothing. */
	remove_it(id);
	other = tenon_shmget(KEY, 1, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(other >= 0 && other != id);
	tell(&child, 0);
	EXPECT_IS(hear(&child), 'k');
	EXPECT_IS(count_of(id), 2);
	again = attach(id);
	EXPECT(strcmp(again, "kept") == 0);
	EXPECT_IS(tenon_shmdt(again), 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	/* By now only the child has it, from whom it can be had. */
	again = attach(id);
	EXPECT(strcmp(again, "kept") == 0);
	EXPECT_IS(tenon_shmdt(again), 0);
	EXPECT_IS(tenon_shmctl(other, IPC_RMID, NULL), 0);
	finish(&child, true);
	expect_gone(id);
}

static void last_detach_ends_it(void)
{
	int id = make();
	char *bytes = attach(id);

	remove_it(id);
	EXPECT_IS(files(), 1);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(files(), 0);
	expect_gone(id);
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
	attach(id);
	remove_it(id);
	REQUIRE(rename(saved, path) == 0);
	EXPECT_IS(tenon_shmget(KEY, 0, 0), -1);
	EXPECT_IS(errno, ENOENT);
	REQUIRE(access(path, F_OK) != 0);
	other = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
	EXPECT(other >= 0 && other != id);
	EXPECT_IS(count_of(id), 1);
	remove_it(other);
}

/* The data's file; the first that is found. */
static void find_data(char *ret_path, size_t capacity)
{
	DIR *folder = opendir(contract_folder);
	const struct dirent *entry;

	REQUIRE(folder);
	ret_path[0] = '\0';
	while ((entry = readdir(folder)))
		if (strncmp(entry->d_name, "g-data.", 7) == 0)
			snprintf(ret_path, capacity, "%s/%s", contract_folder, entry->d_name);
	closedir(folder);
	REQUIRE(ret_path[0]);
}

/* Its creator died before it had its data. */
static void data_is_made_by_who_comes(void)
{
	int id = make();
	char path[1024], *bytes;

	find_data(path, sizeof(path));
	REQUIRE(unlink(path) == 0);
	bytes = attach(id);
	EXPECT_IS(bytes[BYTES - 1], 0);
	bytes[0] = 'd';
	EXPECT_IS(attach(id)[0], 'd');
	EXPECT_IS(files(), 2);
	remove_it(id);
}

static void cut_off_is_zeros(void)
{
	int id = make();
	char path[1024], *bytes = attach(id);

	memset(bytes, 'x', BYTES);
	find_data(path, sizeof(path));
	REQUIRE(truncate(path, PAGE) == 0);
	EXPECT_IS(bytes[0], 'x');
	EXPECT_IS(bytes[PAGE], 0);
	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EIO);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	remove_it(id);
	expect_gone(id);
}

static void addresses(void)
{
	int id = make();
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *bytes;

	REQUIRE(room != MAP_FAILED);
	EXPECT(tenon_shmat(id, room, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	EXPECT(tenon_shmat(id, NULL, SHM_REMAP) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	EXPECT(tenon_shmat(id, room + 1, SHM_REMAP) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	EXPECT(tenon_shmat(id, room + PAGE, SHM_REMAP) == room + PAGE);
	room[PAGE] = 'r';
	EXPECT_IS(count_of(id), 1);
	/* In the place of the one that is there. */
	EXPECT(tenon_shmat(id, room + PAGE, SHM_REMAP) == room + PAGE);
	EXPECT_IS(room[PAGE], 'r');
	EXPECT_IS(count_of(id), 1);
	EXPECT_IS(tenon_shmdt(room + PAGE), 0);
	munmap(room, 8 * PAGE);
	EXPECT(tenon_shmat(id, room + 1, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	bytes = tenon_shmat(id, room + PAGE + 17, SHM_RND);
	EXPECT(bytes == room + PAGE);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(count_of(id), 0);
	remove_it(id);
}

static void protections(void)
{
	int id = tenon_shmget(IPC_PRIVATE, BYTES, 0700);
	char *reads = tenon_shmat(id, NULL, SHM_RDONLY), *bytes = attach(id);
	void *code;
	struct child child;
	int status;

	REQUIRE(reads != (char *)-1);
	bytes[1] = 'p';
	EXPECT_IS(reads[1], 'p');
	EXPECT_IS(mprotect(reads, PAGE, PROT_READ | PROT_WRITE), -1);
	EXPECT_IS(errno, EACCES);
	if (start(&child, false) == 0) {
		*(volatile char *)reads = 1;
		_exit(0);
	}
	EXPECT(waitpid(child.pid, &status, 0) == child.pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV);
	/* Where the folder does not let programs be run, it is said so. */
	code = tenon_shmat(id, NULL, SHM_EXEC);
	EXPECT(code != (void *)-1 || errno == EACCES);
	remove_it(id);
}

static void unmapped_by_the_program(void)
{
	int id = make();
	char *bytes = attach(id), *again;

	REQUIRE(munmap(bytes, BYTES) == 0);
	EXPECT_IS(tenon_shmdt(bytes), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(count_of(id), 0);
	/* Others may lie there by then. */
	bytes = attach(id);
	REQUIRE(munmap(bytes, BYTES) == 0);
	REQUIRE(mmap(bytes, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0) == bytes);
	bytes[0] = 'm';
	EXPECT_IS(tenon_shmdt(bytes), -1);
	EXPECT_IS(bytes[0], 'm');
	munmap(bytes, BYTES);
	/* Pieces of it. */
	bytes = attach(id);
	REQUIRE(mprotect(bytes + PAGE, PAGE, PROT_READ) == 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	again = mmap(bytes, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		     -1, 0);
	EXPECT(again == bytes);
	EXPECT_IS(count_of(id), 0);
	remove_it(id);
}

/* Of another user, of no rights. */
static void as_nobody(void (*run)(int id), int id)
{
	struct child child;

	if (geteuid() != 0)
		contract_skip("only root can become somebody else");
	if (start(&child, false) == 0) {
		contract_child_begins();
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		tenon_sysv_credentials();
		run(id);
		contract_child_ends();
	}
	finish(&child, false);
}

static void expect_reader(int id)
{
	struct shmid_ds status;

	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EACCES);
	EXPECT(tenon_shmat(id, NULL, SHM_RDONLY) != (void *)-1);
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, &status), 0);
	EXPECT_IS(status.shm_nattch, 1);
	EXPECT_IS(tenon_shmctl(id, IPC_RMID, NULL), -1);
	EXPECT_IS(errno, EPERM);
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), -1);
	EXPECT_IS(errno, EPERM);
	EXPECT_IS(tenon_shmctl(id, SHM_LOCK, NULL), -1);
	EXPECT_IS(errno, EPERM);
	EXPECT_IS(tenon_shmget(KEY, 0, 0600), -1);
	EXPECT_IS(errno, EACCES);
	EXPECT_IS(tenon_shmget(KEY, 0, 0400), id);
}

static void expect_writer(int id)
{
	char *bytes = tenon_shmat(id, NULL, 0);

	REQUIRE(bytes != (char *)-1);
	bytes[0] = 'w';
}

static void expect_nobody(int id)
{
	EXPECT(tenon_shmat(id, NULL, SHM_RDONLY) == (void *)-1);
	EXPECT_IS(errno, EACCES);
}

static void permissions(void)
{
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0644);
	struct shmid_ds status;

	REQUIRE(id >= 0 && chmod(contract_folder, 01777) == 0);
	as_nobody(expect_reader, id);
	status = status_of(id);
	status.shm_perm.mode = 0666;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	as_nobody(expect_writer, id);
	EXPECT_IS(attach(id)[0], 'w');
	status.shm_perm.mode = 0600;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	as_nobody(expect_nobody, id);
	status.shm_perm.uid = 65534;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	EXPECT_IS(status_of(id).shm_perm.uid, 65534);
	as_nobody(expect_writer, id);
	remove_it(id);
}

static void figures(void)
{
	struct shminfo limits;
	struct shm_info used;
	struct shmid_ds status;
	int id, other, highest;

	EXPECT_IS(tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)&used), 0);
	EXPECT_IS(used.used_ids, 0);
	id = make();
	other = tenon_shmget(IPC_PRIVATE, 10 * PAGE, 0600 | SHM_NORESERVE);
	highest = tenon_shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
	EXPECT(highest == (id & 0x7fff) || highest == (other & 0x7fff));
	EXPECT_IS(limits.shmmin, 1);
	EXPECT_IS(limits.shmmni, 32768);
	EXPECT(limits.shmmax == ULONG_MAX - (1UL << 24));
	EXPECT_IS(tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)&used), highest);
	EXPECT_IS(used.used_ids, 2);
	EXPECT_IS(used.shm_tot, 13);
	EXPECT_IS(used.shm_rss, 4);
	EXPECT_IS(tenon_shmctl(id & 0x7fff, SHM_STAT, &status), id);
	EXPECT_IS(status.shm_segsz, BYTES);
	EXPECT_IS(tenon_shmctl(other & 0x7fff, 15, &status), other);
	EXPECT_IS(tenon_shmctl((id & 0x7fff) == 5 ? 6 : 5, SHM_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	remove_it(id);
	remove_it(other);
}

static void locked(void)
{
	int id = make();

	attach(id);
	EXPECT_IS(tenon_shmctl(id, SHM_LOCK, NULL), 0);
	EXPECT_IS(status_of(id).shm_perm.mode, (int)(0600 | SHM_LOCKED_BIT));
	EXPECT_IS(tenon_shmctl(id, SHM_UNLOCK, NULL), 0);
	EXPECT_IS(status_of(id).shm_perm.mode, 0600);
	remove_it(id);
}

static void huge_pages(void)
{
	EXPECT_IS(tenon_shmget(IPC_PRIVATE, BYTES, 0600 | SHM_HUGETLB), -1);
	EXPECT(errno == ENOMEM || errno == EPERM);
	EXPECT_IS(files(), 0);
}

/* Some attach and detach, one removes: nobody has what is not the segment, and nothing is left. */
static void attach_and_detach(void *context)
{
	int *id = context;

	for (uint32_t i = 0;; i++) {
		char *bytes = tenon_shmat(*id, NULL, i % 3 ? 0 : SHM_RDONLY);

		if (bytes == (char *)-1) {
			EXPECT(errno == EINVAL || errno == EIDRM || errno == EACCES);
			if (errno != EACCES)
				return;
			continue;
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

		*id = make();
		bytes = attach(*id);
		bytes[0] = 's';
		EXPECT_IS(tenon_shmdt(bytes), 0);
		for (uint32_t i = 0; i < 3; i++)
			children[i] = contract_start(attach_and_detach, id);
		for (uint32_t i = 0; i < round; i++)
			sched_yield();
		remove_it(*id);
		for (uint32_t i = 0; i < 3; i++)
			contract_await(children[i]);
		expect_gone(*id);
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
	int id = make();
	char *bytes = attach(id);

	for (uint32_t round = 0; round < 100; round++) {
		pid_t child = contract_start(fork_always, NULL);

		for (uint32_t i = 0; i < round; i++)
			sched_yield();
		contract_kill(child);
		/* A child of its may still be about to end. */
		for (uint32_t i = 0; count_of(id) != 1 && i < 100000; i++)
			sched_yield();
		EXPECT_IS(count_of(id), 1);
	}
	remove_it(id);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	expect_gone(id);
}

/* A fork that fails leaves nobody counted. */
static void failed_fork(void)
{
	int id = make();
	struct rlimit limit = {0, 0};
	struct child child;

	if (geteuid() != 0)
		contract_skip("only root can become somebody of whom there is nobody else");
	if (start(&child, false) == 0) {
		attach(id);
		setrlimit(RLIMIT_NPROC, &limit);
		if (setresuid(54321, 54321, 0) != 0)
			_exit(2);
		tell(&child, fork() < 0 ? 0 : 1);
		hear(&child);
		_exit(0);
	}
	EXPECT_IS(hear(&child), 0);
	EXPECT_IS(count_of(id), 1);
	finish(&child, true);
	EXPECT_IS(count_of(id), 0);
	remove_it(id);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"attached, written and detached", basics, NULL},
		{"keys and sizes", keys_and_sizes, NULL},
		{"bad calls", bad_calls, NULL},
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
		{"data that its creator left out is made", data_is_made_by_who_comes, NULL},
		{"what is cut off reads zeros", cut_off_is_zeros, NULL},
		{"addresses", addresses, NULL},
		{"protections", protections, NULL},
		{"unmapped by the program", unmapped_by_the_program, NULL},
		{"permissions", permissions, NULL},
		{"IPC_INFO, SHM_INFO, SHM_STAT", figures, NULL},
		{"SHM_LOCK", locked, NULL},
		{"SHM_HUGETLB", huge_pages, NULL},
		{"removed while others attach and detach", removed_in_the_midst, NULL},
		{"killed while forking", killed_forking, NULL},
		{"a fork that fails", failed_fork, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
