/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shared memory of System V, killed at the instructions of its calls: points.h.  Afterwards nobody is counted but who lives, the
 * bytes are there as long as somebody has them, a key stands for nothing removed, and what is removed leaves nothing behind
 * when next somebody looks.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "points.h"
#include "step.h"

#define KEY 77
#define BYTES 5000u
#define DEST 01000u

enum operation {
	MAKE,
	USE_KEY,
	ATTACH,
	ATTACH_FIRST,
	ATTACH_UNMADE,
	ATTACH_REMOVED,
	DETACH,
	DETACH_LAST,
	REMOVE,
	REMOVE_ALONE,
	REMOVE_ENDED,
	FORK,
	STAT,
	SET,
};

static int id;
static char *own, *victims;

/* Of this process, at the beginning. */
static bool is_attached(const struct points_case *one)
{
	return one->number != MAKE && one->number != ATTACH_FIRST && one->number != ATTACH_UNMADE &&
	       one->number != REMOVE_ALONE;
}

static char *attach(void)
{
	char *bytes = tenon_shmat(id, NULL, 0);

	return bytes == (char *)-1 ? NULL : bytes;
}

static int64_t count(void)
{
	struct shmid_ds status;

	return tenon_shmctl(id, IPC_STAT, &status) == 0 ? (int64_t)status.shm_nattch : -errno;
}

/* As if its creator had died before that. */
static bool take_data_away(void)
{
	char path[4096];
	DIR *folder;
	const struct dirent *entry;
	bool is_done = false;

	if (tenon_namespace_path(path, sizeof(path)) != 0 || !(folder = opendir(path)))
		return false;
	while ((entry = readdir(folder)))
		if (strncmp(entry->d_name, "g-data.", 7) == 0)
			is_done = unlinkat(dirfd(folder), entry->d_name, 0) == 0;
	closedir(folder);
	return is_done;
}

static bool set_stage(const struct points_case *one)
{
	own = NULL;
	if (one->number == MAKE)
		return true;
	id = tenon_shmget(KEY, BYTES, IPC_CREAT | IPC_EXCL | 0600);
	if (id < 0 || (one->number == ATTACH_UNMADE && !take_data_away()))
		return false;
	if (!is_attached(one))
		return true;
	own = attach();
	if (!own)
		return false;
	strcpy(own, "own");
	return (one->number != ATTACH_REMOVED && one->number != DETACH_LAST) ||
	       tenon_shmctl(id, IPC_RMID, NULL) == 0;
}

/* In the victim, which has what this process has. */
static int prepare(const struct points_case *one)
{
	if (one->number == DETACH || one->number == DETACH_LAST || one->number == FORK)
		victims = own;
	else if (own)
		tenon_shmdt(own);
	return own || count() >= 0 || one->number == MAKE ? 0 : -1;
}

static int attach_and_die(const struct points_case *one)
{
	(void)one;
	return attach() ? 0 : -1;
}

/* When the victim is at its marker. */
static bool disturb(const struct points_case *one)
{
	if (one->number == DETACH_LAST) {
		tenon_shmdt(own);
		own = NULL;
	} else if (one->number == STAT) {
		return points_die_behind(attach_and_die, one) == 0;
	} else if (one->number == REMOVE_ENDED) {
		bool is_removed = tenon_shmctl(id, IPC_RMID, NULL) == 0;

		tenon_shmdt(own);
		own = NULL;
		return is_removed;
	}
	return true;
}

/* The child is there as long as the victim. */
static void fork_child(void)
{
	pid_t parent = getpid();

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void operate(const struct points_case *one)
{
	struct shmid_ds status;

	switch (one->number) {
	case MAKE:
		tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
		break;
	case USE_KEY:
		tenon_shmget(KEY, BYTES, 0600);
		break;
	case DETACH:
	case DETACH_LAST:
		tenon_shmdt(victims);
		break;
	case REMOVE:
	case REMOVE_ALONE:
		tenon_shmctl(id, IPC_RMID, NULL);
		break;
	case FORK:
		fork_child();
		break;
	case STAT:
	case REMOVE_ENDED:
		tenon_shmctl(id, IPC_STAT, &status);
		break;
	case SET:
		memset(&status, 0, sizeof(status));
		status.shm_perm.uid = geteuid();
		status.shm_perm.gid = getegid();
		status.shm_perm.mode = 0640;
		tenon_shmctl(id, IPC_SET, &status);
		break;
	default:
		victims = attach();
		if (victims)
			victims[10] = 'v';
	}
}

/* What everybody who comes can do with it. */
static bool prove_use(void)
{
	int64_t before = count();
	char *bytes = attach();

	if (!bytes)
		return points_wrong("cannot be attached", errno);
	if (own && strcmp(own, "own") != 0)
		return points_wrong("the bytes", own[0]);
	bytes[20] = 'x';
	if (own && own[20] != 'x')
		return points_wrong("other bytes", own[20]);
	if (count() != before + 1 || before != (own != NULL))
		return points_wrong("the count", count());
	if (tenon_shmdt(bytes) != 0 || count() != before)
		return points_wrong("detached, the count", count());
	return true;
}

/* Made anew by its key: with fresh bytes, and away without a trace. */
static bool prove_anew(void)
{
	int fresh = tenon_shmget(KEY, BYTES, IPC_CREAT | IPC_EXCL | 0600);
	char *bytes = fresh < 0 ? (char *)-1 : tenon_shmat(fresh, NULL, 0);

	if (bytes == (char *)-1)
		return points_wrong("a new one", errno);
	if (bytes[0] != 0 || bytes[10] != 0 || bytes[20] != 0)
		return points_wrong("old bytes", bytes[0]);
	return (tenon_shmdt(bytes) == 0 && tenon_shmctl(fresh, IPC_RMID, NULL) == 0) ||
	       points_wrong("removing a new one", errno);
}

static bool prove_removed(const struct points_case *one)
{
	(void)one;
	if (own && !prove_use())
		return false;
	if (own)
		tenon_shmdt(own);
	own = NULL;
	if (count() != -EINVAL)
		return points_wrong("removed, and still there", count());
	return prove_anew();
}

static bool is_removed(void)
{
	struct shmid_ds status;

	return tenon_shmctl(id, IPC_STAT, &status) != 0 || status.shm_perm.mode & DEST;
}

static bool prove_one(const struct points_case *one, bool finished)
{
	int key = tenon_shmget(KEY, 0, 0);

	if (one->number == MAKE) {
		if (key < 0 && finished)
			return points_wrong("made, and not there", errno);
		id = tenon_shmget(KEY, BYTES, IPC_CREAT | 0600);
		if (id < 0)
			return points_wrong("cannot be made", errno);
	}
	if (is_removed()) {
		if (key >= 0)
			return points_wrong("the key of what is removed", key);
		return prove_removed(one);
	}
	if (finished && (one->number == REMOVE || one->number == REMOVE_ALONE))
		return points_wrong("removed, and is not", 0);
	if (!prove_use())
		return false;
	if (tenon_shmctl(id, IPC_RMID, NULL) != 0)
		return points_wrong("cannot be removed", errno);
	return prove_removed(one);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	int64_t before_ns = step_now_ns();
	bool right = prove_one(one, finished);

	(void)answer;
	return right && (!points_is_slow(step_now_ns() - before_ns) ||
			 points_slow("a survivor waited: ns", step_now_ns() - before_ns));
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	if (own)
		tenon_shmdt(own);
	tenon_shmctl(id, IPC_RMID, NULL);
}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .no_sleeper = true, .set_stage = set_stage, \
		.prepare = prepare, .disturb = disturb, .operate = operate, .prove = prove,        \
		.clear_stage = clear_stage, __VA_ARGS__                                            \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("make", MAKE, ),
		CASE("use-key", USE_KEY, ),
		CASE("attach", ATTACH, ),
		CASE("attach-first", ATTACH_FIRST, ),
		CASE("attach-unmade", ATTACH_UNMADE, ),
		CASE("attach-removed", ATTACH_REMOVED, ),
		CASE("detach", DETACH, ),
		CASE("detach-last", DETACH_LAST, ),
		CASE("remove", REMOVE, ),
		CASE("remove-alone", REMOVE_ALONE, ),
		CASE("look-at-ended", REMOVE_ENDED, ),
		CASE("fork", FORK, .has_threads = true, .forks = true),
		CASE("stat", STAT, ),
		CASE("set", SET, ),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
