/* SPDX-License-Identifier: Apache-2.0 */

/* Who may do what: XSH 2.7.1 and ipc(5) for the three kinds. */

#include <grp.h>

#include "sysv.h"

/* What is tried of an object by another process. */
struct attempt {
	enum kind kind;
	int id;
	/* Of the calls: 0, or the error. */
	int reading, writing, stating, owning;
	/* The group that it is in; and what is an additional one.  0: its own. */
	gid_t group, additional;
};

struct message {
	long type;
	char text[8];
};

static int read_of(const struct attempt *attempt)
{
	struct message message;
	void *address;

	switch (attempt->kind) {
	case MSG:
		/* ENOMSG: it may. */
		if (msgrcv(attempt->id, &message, sizeof(message.text), 7, IPC_NOWAIT) >= 0)
			return 0;
		return errno == ENOMSG ? 0 : errno;
	case SEM:
		return operate(attempt->id, 0, 0, IPC_NOWAIT) == 0 ? 0 : errno;
	default:
		address = shmat(attempt->id, NULL, SHM_RDONLY);
		if (address == (void *)-1)
			return errno;
		return shmdt(address) == 0 ? 0 : errno;
	}
}

static int write_of(const struct attempt *attempt)
{
	struct message message = {1, "text"};
	void *address;

	switch (attempt->kind) {
	case MSG:
		return msgsnd(attempt->id, &message, 4, IPC_NOWAIT) == 0 ? 0 : errno;
	case SEM:
		return operate(attempt->id, 1, 1, IPC_NOWAIT) == 0 ? 0 : errno;
	default:
		address = shmat(attempt->id, NULL, 0);
		if (address == (void *)-1)
			return errno;
		return shmdt(address) == 0 ? 0 : errno;
	}
}

static void attempts(void *context)
{
	const struct attempt *attempt = context;
	union status status;

	EXPECT_IS(read_of(attempt), attempt->reading);
	EXPECT_IS(write_of(attempt), attempt->writing);
	errno = 0;
	EXPECT_IS(control(attempt->kind, attempt->id, IPC_STAT, &status),
		  attempt->stating ? -1 : 0);
	EXPECT_IS(errno, attempt->stating);
}

static void attempts_in_group(void *context)
{
	const struct attempt *attempt = context;

	if (attempt->additional)
		REQUIRE(setgroups(1, &attempt->additional) == 0);
	else
		REQUIRE(setgroups(0, NULL) == 0);
	REQUIRE(setresgid(attempt->group, attempt->group, attempt->group) == 0);
	REQUIRE(setresuid(BEN, BEN, BEN) == 0);
	attempts(context);
}

static void need_root(void)
{
	if (geteuid() != 0)
		conform_skip("only root can be several users");
}

REQUIREMENT_OF_KINDS(owner_class, "XSH 2.7.1, IPC General Description",
		     "the owner has the owner's bits of the mode, and not the others'")
{
	struct attempt attempt = {.kind = kind};

	need_root();
	attempt.id = make_as(kind, NOBODY, 0600);
	conform_act_as(NOBODY, attempts, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0077, NOBODY, NOBODY), 0);
	attempt.reading = attempt.writing = attempt.stating = EACCES;
	conform_act_as(NOBODY, attempts, &attempt);
}

REQUIREMENT_OF_KINDS(others_class, "op, ERRORS, EACCES",
		     "others have the bits of others: to read, to alter, both, or none")
{
	struct attempt attempt = {.kind = kind, .id = make_mode(kind, 0)};

	attempt.reading = attempt.writing = attempt.stating = EACCES;
	conform_act_as(ANN, attempts, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0770, 0, 0), 0);
	conform_act_as(ANN, attempts, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0004, 0, 0), 0);
	attempt.reading = attempt.stating = 0;
	conform_act_as(ANN, attempts, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0006, 0, 0), 0);
	attempt.writing = 0;
	conform_act_as(ANN, attempts, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0002, 0, 0), 0);
	attempt.reading = attempt.stating = EACCES;
	/* An attachment for both needs both. */
	attempt.writing = kind == SHM ? EACCES : 0;
	conform_act_as(ANN, attempts, &attempt);
}

REQUIREMENT_OF_KINDS(group_class, "XSH 2.7.1, IPC General Description",
		     "who is in its group has the group's bits, and not the others'")
{
	struct attempt attempt = {.kind = kind, .group = ANN};

	need_root();
	attempt.id = make_mode(kind, 0);
	EXPECT_IS(set_perm(kind, attempt.id, 0060, 0, ANN), 0);
	conform_act(attempts_in_group, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0606, 0, ANN), 0);
	attempt.reading = attempt.writing = attempt.stating = EACCES;
	conform_act(attempts_in_group, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0060, 0, 0), 0);
	conform_act(attempts_in_group, &attempt);
}

REQUIREMENT_OF_KINDS(group_additional, "ipcperms; credentials(7), supplementary group IDs",
		     "an additional group counts as well")
{
	struct attempt attempt = {.kind = kind, .group = BEN, .additional = ANN};

	need_root();
	attempt.id = make_mode(kind, 0);
	EXPECT_IS(set_perm(kind, attempt.id, 0060, 0, ANN), 0);
	conform_act(attempts_in_group, &attempt);
}

REQUIREMENT_OF_KINDS(creator_class, "XSH 2.7.1, IPC General Description",
		     "the creator has the owner's bits also when another owns it")
{
	struct attempt attempt = {.kind = kind};

	need_root();
	attempt.id = make_as(kind, NOBODY, 0600);
	EXPECT_IS(set_perm(kind, attempt.id, 0600, ANN, ANN), 0);
	conform_act_as(NOBODY, attempts, &attempt);
	conform_act_as(ANN, attempts, &attempt);
	attempt.reading = attempt.writing = attempt.stating = EACCES;
	conform_act_as(BEN, attempts, &attempt);
}

REQUIREMENT_OF_KINDS(creator_group, "XSH 2.7.1, IPC General Description",
		     "the creator's group has the group's bits also when it is another's")
{
	struct attempt attempt = {.kind = kind, .group = NOBODY};

	need_root();
	attempt.id = make_as(kind, NOBODY, 0060);
	EXPECT_IS(set_perm(kind, attempt.id, 0060, 0, 0), 0);
	conform_act(attempts_in_group, &attempt);
}

REQUIREMENT_OF_KINDS(privileged, "capabilities(7), CAP_IPC_OWNER",
		     "root may all, whatever the mode is")
{
	struct attempt attempt = {.kind = kind};

	need_root();
	attempt.id = make_as(kind, NOBODY, 0);
	attempts(&attempt);
	EXPECT_IS(get(kind, KEY, 0666), attempt.id);
	EXPECT_IS(set_perm(kind, attempt.id, 0, ANN, ANN), 0);
	erase(kind, attempt.id);
}

static void gets(void *context)
{
	enum kind kind = *(enum kind *)context;

	EXPECT(get(kind, KEY, 0) >= 0);
	EXPECT(get(kind, KEY, 0400) >= 0);
	EXPECT(get(kind, KEY, 0004) >= 0);
	EXPECT(get(kind, KEY, IPC_CREAT | 0440) >= 0);
	EXPECT_ERROR(get(kind, KEY, 0600), EACCES);
	EXPECT_ERROR(get(kind, KEY, IPC_CREAT | 0200), EACCES);
	EXPECT_ERROR(get(kind, KEY, 0002), EACCES);
	EXPECT_ERROR(get(kind, KEY, 0020), EACCES);
}

REQUIREMENT_OF_KINDS(
	get_access, "get, ERRORS, EACCES",
	"what the flags ask for beyond the mode is EACCES; who asks for nothing finds it")
{
	make_mode(kind, 0604);
	conform_act_as(NOBODY, gets, &kind);
}

static void gets_own(void *context)
{
	enum kind kind = *(enum kind *)context;

	(void)make_mode(kind, 0200);
	EXPECT(get(kind, KEY, 0200) >= 0);
	EXPECT_ERROR(get(kind, KEY, 0400), EACCES);
}

REQUIREMENT_OF_KINDS(get_own_access, "get, ERRORS, EACCES", "that holds for the owner, too")
{
	conform_act_as(NOBODY, gets_own, &kind);
}

static void owns_not(void *context)
{
	const struct attempt *attempt = context;

	EXPECT_ERROR(set_perm(attempt->kind, attempt->id, 0600, NOBODY, NOBODY), EPERM);
	EXPECT_ERROR(control(attempt->kind, attempt->id, IPC_RMID, NULL), EPERM);
}

static void owns(void *context)
{
	const struct attempt *attempt = context;

	EXPECT_IS(set_perm(attempt->kind, attempt->id, 0600, ANN, ANN), 0);
}

static void erases(void *context)
{
	const struct attempt *attempt = context;

	erase(attempt->kind, attempt->id);
}

REQUIREMENT_OF_KINDS(
	set_others, "ctl, ERRORS, EPERM",
	"who is neither owner nor creator may not set or remove it, whatever the mode is")
{
	struct attempt attempt = {.kind = kind, .id = make_mode(kind, 0666)};

	conform_act_as(NOBODY, owns_not, &attempt);
	EXPECT_IS(perm_of(kind, attempt.id).mode, 0666);
}

REQUIREMENT_OF_KINDS(set_owner, "ctl, DESCRIPTION, IPC_SET",
		     "its owner may set and remove it; no permission to write is needed")
{
	struct attempt attempt = {.kind = kind, .id = make_mode(kind, 0600)};

	EXPECT_IS(set_perm(kind, attempt.id, 0, ANN, ANN), 0);
	conform_act_as(ANN, owns, &attempt);
	EXPECT_IS(set_perm(kind, attempt.id, 0, ANN, ANN), 0);
	conform_act_as(ANN, erases, &attempt);
	EXPECT_ERROR(get(kind, KEY, 0), ENOENT);
}

REQUIREMENT_OF_KINDS(set_creator, "ctl, DESCRIPTION, IPC_SET",
		     "its creator may set and remove it also when another owns it")
{
	struct attempt attempt = {.kind = kind};

	need_root();
	attempt.id = make_as(kind, NOBODY, 0600);
	EXPECT_IS(set_perm(kind, attempt.id, 0, ANN, ANN), 0);
	conform_act_as(NOBODY, owns, &attempt);
	conform_act_as(NOBODY, erases, &attempt);
	EXPECT_ERROR(get(kind, KEY, 0), ENOENT);
}

/* Which index it has. */
static int index_of(enum kind kind, int id)
{
	static const int commands[] = {MSG_STAT, SEM_STAT, SHM_STAT};
	union status status;

	for (int i = 0; i < 32768; i++) {
		if (control(kind, i, commands[kind], &status) == id)
			return i;
	}
	conform_fail(__FILE__, __LINE__, "it has no index", id);
	conform_give_up();
}

static void stats_by_index(void *context)
{
	static const int commands[][2] = {
		{MSG_STAT, MSG_STAT_ANY}, {SEM_STAT, SEM_STAT_ANY}, {SHM_STAT, SHM_STAT_ANY}};
	const struct attempt *attempt = context;
	union status status;

	EXPECT_ERROR(control(attempt->kind, attempt->id, commands[attempt->kind][0], &status),
		     EACCES);
	EXPECT(control(attempt->kind, attempt->id, commands[attempt->kind][1], &status) >= 0);
}

REQUIREMENT_OF_KINDS(stat_any, "ctl(2), _STAT, _STAT_ANY",
		     "the state by index needs permission to read, with _ANY it does not")
{
	/* Of an index in place of an identifier. */
	struct attempt attempt = {.kind = kind, .id = index_of(kind, make_mode(kind, 0600))};

	conform_act_as(NOBODY, stats_by_index, &attempt);
}

struct birth {
	enum kind kind;
	int *id;
};

static void makes(void *context)
{
	const struct birth *birth = context;

	*birth->id = make_mode(birth->kind, 0600);
}

REQUIREMENT_OF_KINDS(
	stat_any_stranger, "ctl(2), _STAT_ANY",
	"the state by index needs no permission of what the process has not made either")
{
	struct birth birth = {.kind = kind, .id = conform_share(sizeof(int))};
	struct attempt attempt = {.kind = kind};

	need_root();
	conform_act_as(ANN, makes, &birth);
	attempt.id = *birth.id & 0x7fff;
	conform_act_as(NOBODY, stats_by_index, &attempt);
}

REQUIREMENT_OF_KINDS(stat_any_changed, "ctl(2), _STAT_ANY; get, DESCRIPTION",
		     "who has become another user has the state of what he has made, by index or "
		     "without permission by key")
{
	struct attempt attempt = {.kind = kind};
	int id;

	need_root();
	id = get(kind, KEY, IPC_CREAT | IPC_EXCL | 0600);
	attempt.id = id & 0x7fff;
	REQUIRE(id >= 0 && setgroups(0, NULL) == 0 && setegid(ANN) == 0 && seteuid(ANN) == 0);
	stats_by_index(&attempt);
	EXPECT_IS(get(kind, KEY, 0), id);
	EXPECT_ERROR(get(kind, KEY, 0400), EACCES);
	EXPECT_ERROR(get(kind, KEY, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	REQUIRE(seteuid(0) == 0 && setegid(0) == 0);
}

REQUIREMENT_OF_KINDS(changed_user, "XSH 2.7.1, IPC General Description",
		     "a process is judged by what it is at the call, and not at the get")
{
	struct attempt attempt = {.kind = kind, .id = make_mode(kind, 0600)};

	need_root();
	attempts(&attempt);
	REQUIRE(setgroups(0, NULL) == 0 && setegid(ANN) == 0 && seteuid(ANN) == 0);
	attempt.reading = attempt.writing = attempt.stating = EACCES;
	attempts(&attempt);
	REQUIRE(seteuid(0) == 0 && setegid(0) == 0);
	attempt.reading = attempt.writing = attempt.stating = 0;
	if (kind == SEM)
		erase(kind, attempt.id), attempt.id = make_mode(kind, 0600);
	attempts(&attempt);
}
