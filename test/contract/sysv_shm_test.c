/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory of System V: the calls, as Linux has them. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contract.h"
#include "object/segment.h"
#include "sysv_shm.h"

static void basics(void)
{
	int64_t before = time(NULL);
	int id = shm_make();
	struct shmid_ds status = shm_status(id);
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
	first = shm_attach(id);
	second = shm_attach(id);
	EXPECT(first != second && (uintptr_t)first % PAGE == 0);
	strcpy(first + 5000, "hello");
	EXPECT(strcmp(second + 5000, "hello") == 0);
	/* To the end of its last page. */
	first[3 * PAGE - 1] = 'x';
	EXPECT(second[3 * PAGE - 1] == 'x');
	status = shm_status(id);
	EXPECT_IS(status.shm_nattch, 2);
	EXPECT(status.shm_atime >= before);
	EXPECT_IS(status.shm_lpid, getpid());
	EXPECT_IS(tenon_shmdt(first + PAGE), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmdt(first), 0);
	EXPECT_IS(tenon_shmdt(first), -1);
	EXPECT_IS(errno, EINVAL);
	status = shm_status(id);
	EXPECT_IS(status.shm_nattch, 1);
	EXPECT(status.shm_dtime >= before);
	EXPECT_IS(tenon_shmdt(second), 0);
	EXPECT_IS(tenon_shmdt(NULL), -1);
	EXPECT_IS(shm_count(id), 0);
	/* It keeps its bytes. */
	EXPECT(strcmp(shm_attach(id) + 5000, "hello") == 0);
	shm_remove(id);
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
	EXPECT_IS(shm_status(id).shm_perm.__key, KEY);
	shm_remove(id);
	shm_expect_gone(id);
	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
}

static void bad_calls(void)
{
	int id = shm_make();
	struct shmid_ds status;

	EXPECT(tenon_shmat(-1, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmctl(-1, IPC_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shmctl(id, IPC_STAT, NULL), -1);
	EXPECT_IS(errno, EFAULT);
	EXPECT_IS(tenon_shmctl(id, 77, &status), -1);
	EXPECT_IS(errno, EINVAL);
	shm_remove(id);
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
	int id = shm_make();
	char path[1024], *bytes;

	find_data(path, sizeof(path));
	REQUIRE(unlink(path) == 0);
	bytes = shm_attach(id);
	EXPECT_IS(bytes[BYTES - 1], 0);
	bytes[0] = 'd';
	EXPECT_IS(shm_attach(id)[0], 'd');
	EXPECT_IS(shm_files(), 2);
	shm_remove(id);
}

static void cut_off_is_zeros(void)
{
	int id = shm_make();
	char path[1024], *bytes = shm_attach(id);

	memset(bytes, 'x', BYTES);
	find_data(path, sizeof(path));
	REQUIRE(truncate(path, PAGE) == 0);
	EXPECT_IS(bytes[0], 'x');
	EXPECT_IS(bytes[PAGE], 0);
	EXPECT(tenon_shmat(id, NULL, 0) == (void *)-1);
	EXPECT_IS(errno, EIO);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	shm_remove(id);
	shm_expect_gone(id);
}

static void addresses(void)
{
	int id = shm_make();
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
	EXPECT_IS(shm_count(id), 1);
	/* In the place of the one that is there. */
	EXPECT(tenon_shmat(id, room + PAGE, SHM_REMAP) == room + PAGE);
	EXPECT_IS(room[PAGE], 'r');
	EXPECT_IS(shm_count(id), 1);
	EXPECT_IS(tenon_shmdt(room + PAGE), 0);
	munmap(room, 8 * PAGE);
	EXPECT(tenon_shmat(id, room + 1, 0) == (void *)-1);
	EXPECT_IS(errno, EINVAL);
	bytes = tenon_shmat(id, room + PAGE + 17, SHM_RND);
	EXPECT(bytes == room + PAGE);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(shm_count(id), 0);
	shm_remove(id);
}

static void protections(void)
{
	int id = tenon_shmget(IPC_PRIVATE, BYTES, 0700);
	char *reads = tenon_shmat(id, NULL, SHM_RDONLY), *bytes = shm_attach(id);
	void *code;
	struct child child;
	int status;

	REQUIRE(reads != (char *)-1);
	bytes[1] = 'p';
	EXPECT_IS(reads[1], 'p');
	EXPECT_IS(mprotect(reads, PAGE, PROT_READ | PROT_WRITE), -1);
	EXPECT_IS(errno, EACCES);
	if (child_start(&child, false) == 0) {
		/* Of a sanitizer's runtime there may be a handler. */
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)reads = 1;
		_exit(0);
	}
	EXPECT(waitpid(child.pid, &status, 0) == child.pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV);
	/* Where the folder does not let programs be run, it is said so. */
	code = tenon_shmat(id, NULL, SHM_EXEC);
	EXPECT(code != (void *)-1 || errno == EACCES);
	shm_remove(id);
}

static void unmapped_by_the_program(void)
{
	int id = shm_make();
	char *bytes = shm_attach(id), *again;

	REQUIRE(munmap(bytes, BYTES) == 0);
	EXPECT_IS(tenon_shmdt(bytes), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(shm_count(id), 0);
	/* Others may lie there by then. */
	bytes = shm_attach(id);
	REQUIRE(munmap(bytes, BYTES) == 0);
	REQUIRE(mmap(bytes, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0) == bytes);
	bytes[0] = 'm';
	EXPECT_IS(tenon_shmdt(bytes), -1);
	EXPECT_IS(bytes[0], 'm');
	munmap(bytes, BYTES);
	/* Pieces of it. */
	bytes = shm_attach(id);
	REQUIRE(mprotect(bytes + PAGE, PAGE, PROT_READ) == 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	again = mmap(bytes, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		     -1, 0);
	EXPECT(again == bytes);
	EXPECT_IS(shm_count(id), 0);
	munmap(again, 3 * PAGE);
	/* Without its beginning it is still there. */
	bytes = shm_attach(id);
	REQUIRE(munmap(bytes, PAGE) == 0);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(tenon_shmdt(bytes), -1);
	EXPECT_IS(shm_count(id), 0);
	shm_remove(id);
}

/* Of another user, of no rights. */
static void as_nobody(void (*run)(int id), int id)
{
	struct child child;

	if (geteuid() != 0)
		contract_skip("only root can become somebody else");
	if (child_start(&child, false) == 0) {
		contract_child_begins();
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		tenon_sysv_credentials();
		run(id);
		contract_child_ends();
	}
	child_finish(&child, false);
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
	status = shm_status(id);
	status.shm_perm.mode = 0666;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	as_nobody(expect_writer, id);
	EXPECT_IS(shm_attach(id)[0], 'w');
	status.shm_perm.mode = 0600;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	as_nobody(expect_nobody, id);
	status.shm_perm.uid = 65534;
	EXPECT_IS(tenon_shmctl(id, IPC_SET, &status), 0);
	EXPECT_IS(shm_status(id).shm_perm.uid, 65534);
	as_nobody(expect_writer, id);
	shm_remove(id);
}

static void figures(void)
{
	struct shminfo limits;
	struct shm_info used;
	struct shmid_ds status;
	int id, other, highest, none = 5;

	EXPECT_IS(tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)&used), 0);
	EXPECT_IS(used.used_ids, 0);
	id = shm_make();
	other = tenon_shmget(IPC_PRIVATE, 10 * PAGE, 0600 | SHM_NORESERVE);
	highest = tenon_shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
	EXPECT(highest == (id & 0x7fff) || highest == (other & 0x7fff));
	/* The others are the administrator's: sysv_limits_test.c. */
	EXPECT_IS(limits.shmmin, 1);
	EXPECT_IS(tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)&used), highest);
	EXPECT_IS(used.used_ids, 2);
	EXPECT_IS(used.shm_tot, 13);
	EXPECT_IS(used.shm_rss, 3);
	EXPECT_IS(tenon_shmctl(id & 0x7fff, SHM_STAT, &status), id);
	EXPECT_IS(status.shm_segsz, BYTES);
	EXPECT_IS(tenon_shmctl(other & 0x7fff, 15, &status), other);
	while (none == (id & 0x7fff) || none == (other & 0x7fff))
		none++;
	EXPECT_IS(tenon_shmctl(none, SHM_STAT, &status), -1);
	EXPECT_IS(errno, EINVAL);
	shm_remove(id);
	shm_remove(other);
}

static void locked(void)
{
	int id = shm_make();

	shm_attach(id);
	EXPECT_IS(tenon_shmctl(id, SHM_LOCK, NULL), 0);
	EXPECT_IS(shm_status(id).shm_perm.mode, (int)(0600 | SHM_LOCKED_BIT));
	EXPECT_IS(tenon_shmctl(id, SHM_UNLOCK, NULL), 0);
	EXPECT_IS(shm_status(id).shm_perm.mode, 0600);
	shm_remove(id);
}

/* As the preload library says it. */
static void unmapped_as_told(void)
{
	int id = shm_make();
	char *bytes = shm_attach(id);

	REQUIRE(munmap(bytes, BYTES) == 0);
	/* Not the whole of it. */
	tni_segment_unmapped(bytes, PAGE);
	EXPECT_IS(shm_count(id), 1);
	tni_segment_unmapped(bytes, BYTES);
	EXPECT_IS(shm_count(id), 0);
	shm_remove(id);
}

static int count_user(const struct tenon_segment_user *user, void *context)
{
	EXPECT_IS(user->attachments, 2);
	EXPECT_IS(user->pid, getpid());
	++*(uint32_t *)context;
	return 0;
}

static void as_tools_see_it(void)
{
	struct tenon_segment_status status = {.size = sizeof(status)};
	int id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0640);
	char name[TENON_SYSV_NAME_BYTES];
	struct tenon_segment *segment;
	char *bytes = shm_attach(id);
	uint32_t users = 0;

	EXPECT_IS(tenon_sysv_name(id, name), 0);
	REQUIRE(tenon_segment_open(name, &segment) == 0);
	shm_attach(id);
	EXPECT_IS(tenon_segment_status(segment, &status), 0);
	EXPECT_IS(status.identifier, id);
	EXPECT_IS(status.key, KEY);
	EXPECT_IS(status.mode, 0640);
	EXPECT_IS(status.bytes, BYTES);
	EXPECT_IS(status.attachments, 2);
	EXPECT_IS(status.participants, 1);
	EXPECT_IS(status.is_removed, 0);
	EXPECT_IS(tenon_segment_attached(segment, count_user, &users), 0);
	EXPECT_IS(users, 1);
	EXPECT_IS(tenon_segment_remove(name), 0);
	EXPECT_IS(tenon_segment_status(segment, &status), 0);
	EXPECT_IS(status.is_removed, 1);
	EXPECT_IS(status.key, IPC_PRIVATE);
	segment = tenon_segment_close(segment);
	EXPECT_IS(tenon_shmdt(bytes), 0);
	EXPECT_IS(tenon_segment_open("/sysv-zzzz", &segment), -ENOENT);
	EXPECT_IS(tenon_segment_status(NULL, &status), -EINVAL);
	EXPECT_IS(tenon_segment_attached(NULL, count_user, NULL), -EINVAL);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"attached, written and detached", basics, NULL},
		{"keys and sizes", keys_and_sizes, NULL},
		{"bad calls", bad_calls, NULL},
		{"data that its creator left out is made", data_is_made_by_who_comes, NULL},
		{"what is cut off reads zeros", cut_off_is_zeros, NULL},
		{"addresses", addresses, NULL},
		{"protections", protections, NULL},
		{"unmapped by the program", unmapped_by_the_program, NULL},
		{"permissions", permissions, NULL},
		{"IPC_INFO, SHM_INFO, SHM_STAT", figures, NULL},
		{"SHM_LOCK", locked, NULL},
		{"unmapped, as the preload library says", unmapped_as_told, NULL},
		{"as tools see it", as_tools_see_it, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
