/* SPDX-License-Identifier: Apache-2.0 */

/* Keys and identifiers: what the three get calls have in common. */

#include <sys/stat.h>

#include "sysv.h"

REQUIREMENT_OF_KINDS(private_distinct, "get, DESCRIPTION, IPC_PRIVATE",
		     "IPC_PRIVATE makes one each time, with the key 0")
{
	int first = make(kind), second = make(kind);

	EXPECT(first != second);
	EXPECT_IS(perm_of(kind, first).__key, IPC_PRIVATE);
	EXPECT_IS(perm_of(kind, second).__key, IPC_PRIVATE);
}

REQUIREMENT_OF_KINDS(private_exclusive, "get(2), DESCRIPTION, IPC_PRIVATE",
		     "with IPC_PRIVATE all but the mode is ignored: it makes one")
{
	int first = get(kind, IPC_PRIVATE, IPC_CREAT | IPC_EXCL | 0600);
	int second = get(kind, IPC_PRIVATE, IPC_CREAT | IPC_EXCL | 0600);

	EXPECT(first >= 0 && second >= 0 && first != second);
}

REQUIREMENT_OF_KINDS(absent, "get, ERRORS, ENOENT",
		     "without IPC_CREAT a key that has none is ENOENT")
{
	EXPECT_ERROR(get(kind, KEY, 0), ENOENT);
	EXPECT_ERROR(get(kind, KEY, 0600), ENOENT);
	EXPECT_ERROR(get(kind, KEY, IPC_EXCL | 0600), ENOENT);
}

REQUIREMENT_OF_KINDS(creates, "get, DESCRIPTION, IPC_CREAT",
		     "IPC_CREAT makes one for a key that has none, and then finds it")
{
	int id = get(kind, KEY, IPC_CREAT | 0600);

	EXPECT(id >= 0);
	EXPECT_IS(get(kind, KEY, 0), id);
	EXPECT_IS(get(kind, KEY, IPC_CREAT | 0600), id);
	EXPECT_IS(perm_of(kind, id).__key, KEY);
}

REQUIREMENT_OF_KINDS(existing_kept, "get, DESCRIPTION",
		     "finding one changes neither its mode nor its owner nor its time of change")
{
	int id = get(kind, KEY, IPC_CREAT | 0600);
	union status before = status_of(kind, id), after;

	await_after(time(NULL));
	EXPECT_IS(get(kind, KEY, IPC_CREAT | 0400), id);
	after = status_of(kind, id);
	EXPECT_IS(memcmp(&before, &after, sizeof(after)), 0);
}

REQUIREMENT_OF_KINDS(exclusive, "get, ERRORS, EEXIST",
		     "IPC_CREAT and IPC_EXCL fail for a key that has one")
{
	int id = get(kind, KEY, IPC_CREAT | IPC_EXCL | 0600);

	EXPECT(id >= 0);
	EXPECT_ERROR(get(kind, KEY, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	EXPECT_IS(get(kind, KEY, 0), id);
}

REQUIREMENT_OF_KINDS(exclusive_alone, "get(2), DESCRIPTION, IPC_EXCL",
		     "IPC_EXCL without IPC_CREAT says nothing")
{
	int id = make_mode(kind, 0600);

	EXPECT_IS(get(kind, KEY, IPC_EXCL), id);
}

static void finds_existing(void *kind)
{
	EXPECT_ERROR(get(*(enum kind *)kind, KEY, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
}

REQUIREMENT_OF_KINDS(exclusive_denied, "get, ERRORS, EEXIST",
		     "it is EEXIST also to whom the mode denies it")
{
	make_mode(kind, 0);
	conform_act_as(NOBODY, finds_existing, &kind);
}

REQUIREMENT(keys_separate, "svipc(7), sysvipc(7), Resource access; ftok, DESCRIPTION",
	    "the keys of queues, sets and segments are separate ones")
{
	int msg = make_mode(MSG, 0600);

	EXPECT_ERROR(get(SEM, KEY, 0), ENOENT);
	EXPECT_ERROR(get(SHM, KEY, 0), ENOENT);
	(void)make_mode(SEM, 0600);
	(void)make_mode(SHM, 0600);
	EXPECT_IS(get(MSG, KEY, 0), msg);
	erase(SEM, get(SEM, KEY, 0));
	EXPECT_IS(get(MSG, KEY, 0), msg);
	EXPECT(get(SHM, KEY, 0) >= 0);
}

REQUIREMENT_OF_KINDS(keys_extreme, "get, DESCRIPTION; <sys/types.h>, key_t",
		     "each value but IPC_PRIVATE is a key, negative ones as well")
{
	static const key_t keys[] = {-1, INT32_MIN, INT32_MAX};
	int ids[3];

	need_alone();
	for (int i = 0; i < 3; i++) {
		ids[i] = get(kind, keys[i], IPC_CREAT | IPC_EXCL | 0600);
		EXPECT(ids[i] >= 0);
		EXPECT_IS(perm_of(kind, ids[i]).__key, keys[i]);
	}
	for (int i = 0; i < 3; i++) {
		EXPECT_IS(get(kind, keys[i], 0), ids[i]);
		erase(kind, ids[i]);
		EXPECT_ERROR(get(kind, keys[i], 0), ENOENT);
	}
}

static void is_mine(enum kind kind, uid_t uid, gid_t gid)
{
	struct ipc_perm perm = perm_of(kind, make(kind));

	EXPECT_IS(perm.uid, uid);
	EXPECT_IS(perm.cuid, uid);
	EXPECT_IS(perm.gid, gid);
	EXPECT_IS(perm.cgid, gid);
}

static void is_nobodys(void *kind)
{
	is_mine(*(enum kind *)kind, NOBODY, NOBODY);
}

REQUIREMENT_OF_KINDS(owner, "get, DESCRIPTION", "owner and creator are who made it")
{
	is_mine(kind, geteuid(), getegid());
	conform_act_as(NOBODY, is_nobodys, &kind);
}

static void is_effective(void *kind)
{
	REQUIRE(setresgid(NOBODY, ANN, NOBODY) == 0 && setresuid(NOBODY, ANN, NOBODY) == 0);
	is_mine(*(enum kind *)kind, ANN, ANN);
}

REQUIREMENT_OF_KINDS(owner_effective, "get, DESCRIPTION",
		     "that is the effective user and group, and not the real one")
{
	if (geteuid() != 0)
		conform_skip("only root can be several users");
	conform_act(is_effective, &kind);
}

REQUIREMENT_OF_KINDS(mode, "get, DESCRIPTION", "the low nine bits of the flags are the mode")
{
	for (int mode = 0; mode <= 0777; mode += 7) {
		int id = make_mode(kind, mode);
		union status status;

		/* Without permission to read, only root sees it. */
		if (control(kind, id, IPC_STAT, &status) == 0)
			EXPECT_IS(perm_in(kind, &status)->mode, mode);
		else
			EXPECT(geteuid() != 0 && !(mode & 0400));
		erase(kind, id);
	}
}

REQUIREMENT_OF_KINDS(no_umask, "get(2), DESCRIPTION", "the umask does not concern the mode")
{
	umask(0777);
	EXPECT_IS(perm_of(kind, make_mode(kind, 0666)).mode, 0666);
}

REQUIREMENT_OF_KINDS(sequence, "ctl(2), DESCRIPTION, __seq",
		     "the identifier has the sequence number above 15 bits of index")
{
	int id = make(kind);

	EXPECT_IS(perm_of(kind, id).__seq, id >> 15);
}

REQUIREMENT_OF_KINDS(made_now, "get, DESCRIPTION, ctime",
		     "a new one has its time of change, and the other times are 0")
{
	union status status;
	time_t before;

	await_turn();
	before = time(NULL);
	status = status_of(kind, make(kind));
	if (kind == MSG) {
		EXPECT_SINCE(status.msg.msg_ctime, before);
		EXPECT_IS(status.msg.msg_stime, 0);
		EXPECT_IS(status.msg.msg_rtime, 0);
	} else if (kind == SEM) {
		EXPECT_SINCE(status.sem.sem_ctime, before);
		EXPECT_IS(status.sem.sem_otime, 0);
	} else {
		EXPECT_SINCE(status.shm.shm_ctime, before);
		EXPECT_IS(status.shm.shm_atime, 0);
		EXPECT_IS(status.shm.shm_dtime, 0);
	}
}

REQUIREMENT_OF_KINDS(removed, "ctl, DESCRIPTION, IPC_RMID",
		     "who removes it removes the identifier and frees the key")
{
	int id = make_mode(kind, 0600), second;
	union status status;

	erase(kind, id);
	EXPECT_ERROR(get(kind, KEY, 0), ENOENT);
	EXPECT_ERROR(control(kind, id, IPC_STAT, &status), EINVAL);
	EXPECT_ERROR(control(kind, id, IPC_RMID, NULL), EINVAL);
	EXPECT_ERROR(set_perm(kind, id, 0600, geteuid(), getegid()), EINVAL);
	second = make_mode(kind, 0600);
	EXPECT(second != id);
	EXPECT_ERROR(control(kind, id, IPC_STAT, &status), EINVAL);
	EXPECT_IS(get(kind, KEY, 0), second);
}

REQUIREMENT_OF_KINDS(not_reused, "svipc(7), Resource access; ctl(2), __seq",
		     "an identifier is not given again at once")
{
	enum { TURNS = 200 };
	int ids[TURNS];

	for (int i = 0; i < TURNS; i++) {
		ids[i] = make(kind);
		for (int j = 0; j < i; j++)
			EXPECT(ids[i] != ids[j]);
		erase(kind, ids[i]);
	}
}

REQUIREMENT_OF_KINDS(many, "get, DESCRIPTION", "two hundred at a time are two hundred")
{
	enum { COUNT = 200 };
	int ids[COUNT];

	for (int i = 0; i < COUNT; i++) {
		ids[i] = make(kind);
		for (int j = 0; j < i; j++)
			EXPECT(ids[i] != ids[j]);
	}
	for (int i = 0; i < COUNT; i++)
		erase(kind, ids[i]);
}

/* How many there may be of a kind. */
static long limit_of(enum kind kind)
{
	union semun argument;
	struct msginfo msg = {0};
	struct seminfo sem = {0};
	struct shminfo shm = {0};

	argument.__buf = &sem;
	EXPECT(msgctl(0, IPC_INFO, (struct msqid_ds *)&msg) >= 0);
	EXPECT(semctl(0, 0, IPC_INFO, argument) >= 0);
	EXPECT(shmctl(0, IPC_INFO, (struct shmid_ds *)&shm) >= 0);
	return kind == MSG ? msg.msgmni : kind == SEM ? sem.semmni : (long)shm.shmmni;
}

REQUIREMENT_OF_KINDS(limit, "get, ERRORS, ENOSPC; ctl(2), IPC_INFO",
		     "one more than the limit of them is ENOSPC, and after a removal there is room")
{
	long limit = limit_of(kind);
	int id = -1;

	if (getenv("CONFORM_QUICK"))
		conform_skip("tenon run has as many made");
	need_alone();
	for (long i = 0; i < limit; i++) {
		id = get(kind, IPC_PRIVATE, 0600);
		REQUIRE(id >= 0);
	}
	EXPECT_ERROR(get(kind, IPC_PRIVATE, 0600), ENOSPC);
	EXPECT_ERROR(get(kind, KEY, IPC_CREAT | 0600), ENOSPC);
	erase(kind, id);
	EXPECT(get(kind, IPC_PRIVATE, 0600) >= 0);
}

struct race {
	enum kind kind;
	int flags, go, winners;
	int ids[4];
};

static void races(struct race *race, int which)
{
	(void)conform_await_word(&race->go);
	errno = 0;
	race->ids[which] = get(race->kind, KEY, race->flags);
	if (race->ids[which] >= 0)
		__atomic_add_fetch(&race->winners, 1, __ATOMIC_RELAXED);
	else
		EXPECT_IS(errno, EEXIST);
}

static void races_0(void *race)
{
	races(race, 0);
}

static void races_1(void *race)
{
	races(race, 1);
}

static void races_2(void *race)
{
	races(race, 2);
}

static void races_3(void *race)
{
	races(race, 3);
}

static void let_race(struct race *race)
{
	static void (*const runs[])(void *) = {races_0, races_1, races_2, races_3};
	pid_t children[4];

	race->go = 0;
	race->winners = 0;
	for (int i = 0; i < 4; i++)
		children[i] = conform_start(runs[i], race);
	conform_set_word(&race->go, 1);
	for (int i = 0; i < 4; i++)
		conform_await(children[i]);
}

REQUIREMENT_OF_KINDS(race, "get, DESCRIPTION, IPC_CREAT",
		     "of several that create by one key at once all get the same")
{
	struct race *race = conform_share(sizeof(*race));

	for (int turn = 0; turn < 50; turn++) {
		*race = (struct race){.kind = kind, .flags = IPC_CREAT | 0600};
		let_race(race);
		EXPECT_IS(race->winners, 4);
		for (int i = 1; i < 4; i++)
			EXPECT_IS(race->ids[i], race->ids[0]);
		erase(kind, race->ids[0]);
	}
}

REQUIREMENT_OF_KINDS(race_exclusive, "get, ERRORS, EEXIST",
		     "of several that create by one key exclusively one does")
{
	struct race *race = conform_share(sizeof(*race));

	for (int turn = 0; turn < 50; turn++) {
		*race = (struct race){.kind = kind, .flags = IPC_CREAT | IPC_EXCL | 0600};
		let_race(race);
		EXPECT_IS(race->winners, 1);
		erase(kind, get(kind, KEY, 0));
	}
}

static void makes_by_key(void *kind)
{
	(void)make_mode(*(enum kind *)kind, 0600);
}

REQUIREMENT_OF_KINDS(outlives, "get, DESCRIPTION; svipc(7)",
		     "it stays when all who knew of it have ended, until it is removed")
{
	int id;

	conform_act(makes_by_key, &kind);
	id = get(kind, KEY, 0);
	EXPECT(id >= 0);
	EXPECT_IS(perm_of(kind, id).__key, KEY);
	erase(kind, id);
}

static void stats(void *id)
{
	for (enum kind kind = MSG; kind <= SHM; kind++)
		EXPECT_IS(perm_of(kind, ((int *)id)[kind]).mode, 0600);
}

REQUIREMENT(id_global, "XSH 2.7.1, IPC General Description",
	    "an identifier is one's in every process that is told it")
{
	int ids[] = {make(MSG), make(SEM), make(SHM)};

	conform_act(stats, ids);
}

/* Opened by what is no such thing. */
REQUIREMENT_OF_KINDS(id_kind, "ctl, ERRORS, EINVAL", "an identifier that is nobody's is EINVAL")
{
	union status status;

	EXPECT_ERROR(control(kind, -1, IPC_STAT, &status), EINVAL);
	EXPECT_ERROR(control(kind, INT32_MIN, IPC_STAT, &status), EINVAL);
	EXPECT_ERROR(control(kind, INT32_MAX, IPC_STAT, &status), EINVAL);
	EXPECT_ERROR(control(kind, -1, IPC_RMID, NULL), EINVAL);
	EXPECT_ERROR(control(kind, INT32_MAX, IPC_RMID, NULL), EINVAL);
	EXPECT_ERROR(set_perm(kind, -1, 0600, geteuid(), getegid()), EINVAL);
	EXPECT_ERROR(set_perm(kind, INT32_MAX, 0600, geteuid(), getegid()), EINVAL);
}

int main(int count, char **arguments)
{
	return sysv_main("msgget", count, arguments);
}
