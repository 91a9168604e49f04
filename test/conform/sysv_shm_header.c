/* SPDX-License-Identifier: Apache-2.0 */

/* <sys/shm.h>: what it defines.  It is the first header here, since it has to stand alone. */

#include <sys/shm.h>

static void *(*const attaches)(int, const void *, int) = shmat;
static int (*const controls)(int, int, struct shmid_ds *) = shmctl;
static int (*const detaches)(const void *) = shmdt;
static int (*const gets)(key_t, size_t, int) = shmget;

static struct shmid_ds status_type;
static struct ipc_perm *const perm_member = &status_type.shm_perm;
static size_t *const segsz_member = &status_type.shm_segsz;
static pid_t *const lpid_member = &status_type.shm_lpid;
static pid_t *const cpid_member = &status_type.shm_cpid;
static shmatt_t *const nattch_member = &status_type.shm_nattch;
static time_t *const atime_member = &status_type.shm_atime;
static time_t *const dtime_member = &status_type.shm_dtime;
static time_t *const ctime_member = &status_type.shm_ctime;

#include <sys/resource.h>

#include "sysv_shm.h"

REQUIREMENT(header_types, "<sys/shm.h>, DESCRIPTION",
	    "it defines shmatt_t, and struct shmid_ds with its members and their types")
{
	EXPECT((shmatt_t)-1 > 0 && sizeof(shmatt_t) >= sizeof(unsigned short));
	EXPECT(perm_member && segsz_member && lpid_member && cpid_member && nattch_member);
	EXPECT(atime_member && dtime_member && ctime_member);
	EXPECT(SHMLBA >= PAGE);
}

REQUIREMENT(header_functions, "<sys/shm.h>, DESCRIPTION",
	    "it declares the four functions, and their addresses can be called")
{
	struct shmid_ds status;
	int id = note(SHM, gets(IPC_PRIVATE, PAGE, 0600));
	void *address;

	EXPECT(id >= 0);
	address = attaches(id, NULL, 0);
	EXPECT(address != NOWHERE);
	EXPECT_IS(controls(id, IPC_STAT, &status), 0);
	EXPECT_IS(status.shm_nattch, 1);
	EXPECT_IS(detaches(address), 0);
	EXPECT_IS(controls(id, IPC_RMID, NULL), 0);
}

REQUIREMENT(header_constants, "<sys/shm.h>, DESCRIPTION; shmget(2), shmop(2), shmctl(2)",
	    "flags and commands have the values that programs were compiled with")
{
	EXPECT_IS(SHM_RDONLY, 010000);
	EXPECT_IS(SHM_RND, 020000);
	EXPECT_IS(SHM_REMAP, 040000);
	EXPECT_IS(SHM_EXEC, 0100000);
	EXPECT_IS(SHM_R, 0400);
	EXPECT_IS(SHM_W, 0200);
	EXPECT_IS(SHM_LOCK, 11);
	EXPECT_IS(SHM_UNLOCK, 12);
	EXPECT_IS(SHM_STAT, 13);
	EXPECT_IS(SHM_INFO, 14);
	EXPECT_IS(SHM_STAT_ANY, 15);
	EXPECT_IS(SHM_DEST, 01000);
	EXPECT_IS(SHM_LOCKED, 02000);
	EXPECT_IS(SHM_HUGETLB, 04000);
	EXPECT_IS(SHM_NORESERVE, 010000);
}

REQUIREMENT(header_linux, "shmctl(2), DESCRIPTION",
	    "struct shminfo and struct shm_info have their members")
{
	struct shminfo limits = {.shmmax = 1, .shmmin = 2, .shmmni = 3, .shmseg = 4, .shmall = 5};
	struct shm_info used = {.used_ids = 1,
				.shm_tot = 2,
				.shm_rss = 3,
				.shm_swp = 4,
				.swap_attempts = 5,
				.swap_successes = 6};

	EXPECT_IS(limits.shmall, 5);
	EXPECT_IS(used.swap_successes, 6);
}

REQUIREMENT(get_size, "shmget, ERRORS, EINVAL; shmget(2), SHMMIN",
	    "a new segment has at least a byte, else it is EINVAL")
{
	EXPECT_ERROR(shmget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	EXPECT_ERROR(shmget(KEY, 0, 0), ENOENT);
	EXPECT(note(SHM, shmget(KEY, 1, IPC_CREAT | 0600)) >= 0);
}

REQUIREMENT(get_size_limit, "shmget, ERRORS, EINVAL; shmget(2), SHMMAX",
	    "a segment beyond the largest size is EINVAL")
{
	EXPECT_ERROR(shmget(KEY, SIZE_MAX, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(shmget(IPC_PRIVATE, SIZE_MAX, 0600), EINVAL);
	EXPECT_ERROR(shmget(KEY, 0, 0), ENOENT);
}

REQUIREMENT(get_existing_size, "shmget, ERRORS, EINVAL",
	    "of a segment that exists one may ask for less or for none, and for more it is EINVAL")
{
	int id = note(SHM, shmget(KEY, 5000, IPC_CREAT | 0600));

	EXPECT_IS(shmget(KEY, 0, 0), id);
	EXPECT_IS(shmget(KEY, 1, IPC_CREAT | 0600), id);
	EXPECT_IS(shmget(KEY, 5000, 0), id);
	EXPECT_ERROR(shmget(KEY, 5001, 0), EINVAL);
	EXPECT_ERROR(shmget(KEY, 5001, IPC_CREAT | 0600), EINVAL);
	EXPECT_ERROR(shmget(KEY, 5001, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EXPECT_IS(segment_of(id).shm_segsz, 5000);
}

REQUIREMENT(get_zero, "shmget, DESCRIPTION", "a new segment is zero, to the end of its last page")
{
	int id = make_bytes(3 * PAGE + 1);
	char *address = attach(id, 0);

	for (int i = 0; i < 4 * PAGE; i++)
		EXPECT_IS(address[i], 0);
	memset(address, 'x', 4 * PAGE);
	detach(address);
	erase(SHM, id);
	address = attach(make_bytes(4 * PAGE), 0);
	for (int i = 0; i < 4 * PAGE; i++)
		EXPECT_IS(address[i], 0);
}

REQUIREMENT(get_large, "shmget, DESCRIPTION",
	    "a segment may be large, and needs memory only where it is used")
{
	size_t bytes = (size_t)1 << 32;
	int id = note(SHM, shmget(IPC_PRIVATE, bytes, 0600 | SHM_NORESERVE));
	char *address;

	EXPECT(id >= 0);
	address = attach(id, 0);
	EXPECT_IS(segment_of(id).shm_segsz, bytes);
	address[0] = 'a';
	address[bytes - 1] = 'z';
	EXPECT_IS(address[bytes / 2], 0);
	EXPECT_IS(attach(id, SHM_RDONLY)[bytes - 1], 'z');
}

static long huge_pages(void)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "re");
	long pages = 0;

	if (file && fscanf(file, "%ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages;
}

REQUIREMENT(get_huge, "shmget(2), SHM_HUGETLB", "SHM_HUGETLB makes one of huge pages")
{
	size_t bytes = (size_t)2 << 20;
	int id;

	if (huge_pages() < 1)
		conform_skip("the system has no huge pages");
	id = note(SHM, shmget(IPC_PRIVATE, bytes, SHM_HUGETLB | 0600));
	if (id < 0 && (errno == EPERM || errno == ENOMEM))
		conform_skip("there are no huge pages for this user");
	EXPECT(id >= 0);
	attach(id, 0)[bytes - 1] = 'x';
	EXPECT_IS(segment_of(id).shm_segsz, bytes);
}

REQUIREMENT(lock, "shmctl(2), SHM_LOCK, SHM_UNLOCK; SHM_LOCKED",
	    "SHM_LOCK and SHM_UNLOCK set and clear the flag in the mode")
{
	int id = make(SHM);

	EXPECT_IS(shmctl(id, SHM_LOCK, NULL), 0);
	EXPECT_IS(perm_of(SHM, id).mode, 0600 | SHM_LOCKED);
	EXPECT_IS(shmctl(id, SHM_LOCK, NULL), 0);
	attach(id, 0)[0] = 'x';
	EXPECT_IS(set_perm(SHM, id, 0640, geteuid(), getegid()), 0);
	EXPECT_IS(perm_of(SHM, id).mode, 0640 | SHM_LOCKED);
	EXPECT_IS(shmctl(id, SHM_UNLOCK, NULL), 0);
	EXPECT_IS(perm_of(SHM, id).mode, 0640);
	EXPECT_IS(shmctl(id, SHM_UNLOCK, NULL), 0);
	EXPECT_ERROR(shmctl(-1, SHM_LOCK, NULL), EINVAL);
	EXPECT_ERROR(shmctl(INT32_MAX, SHM_UNLOCK, NULL), EINVAL);
}

static void locks_others(void *context)
{
	EXPECT_ERROR(shmctl(*(int *)context, SHM_LOCK, NULL), EPERM);
	EXPECT_ERROR(shmctl(*(int *)context, SHM_UNLOCK, NULL), EPERM);
}

static void locks_without_limit(void *context)
{
	struct rlimit none = {0};
	int id = make(SHM);

	(void)context;
	REQUIRE(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	EXPECT_ERROR(shmctl(id, SHM_LOCK, NULL), EPERM);
}

REQUIREMENT(lock_denied, "shmctl(2), ERRORS, EPERM",
	    "to lock is for owner and creator, and needs a limit of locked memory")
{
	int id = make_mode(SHM, 0666);

	conform_act_as(NOBODY, locks_others, &id);
	conform_act_as(NOBODY, locks_without_limit, NULL);
}
