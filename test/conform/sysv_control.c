/* SPDX-License-Identifier: Apache-2.0 */

/* What the three ctl calls have in common. */

#include "sysv.h"

static time_t change_of(enum kind kind, int id)
{
	union status status = status_of(kind, id);

	return kind == MSG   ? status.msg.msg_ctime
	       : kind == SEM ? status.sem.sem_ctime
			     : status.shm.shm_ctime;
}

REQUIREMENT_OF_KINDS(set_mode, "ctl, DESCRIPTION, IPC_SET",
		     "IPC_SET sets the low nine bits of the mode, and no others")
{
	int id = make(kind);

	EXPECT_IS(set_perm(kind, id, 0640, geteuid(), getegid()), 0);
	EXPECT_IS(perm_of(kind, id).mode, 0640);
	EXPECT_IS(set_perm(kind, id, 0xfe00 | 0604, geteuid(), getegid()), 0);
	EXPECT_IS(perm_of(kind, id).mode, 0604);
}

REQUIREMENT_OF_KINDS(set_user, "ctl, DESCRIPTION, IPC_SET",
		     "IPC_SET sets owner and group; creator, key and identifier stay")
{
	int id = make_mode(kind, 0600);
	struct ipc_perm perm;

	if (geteuid() != 0)
		conform_skip("only root can give to others and go on");
	EXPECT_IS(set_perm(kind, id, 0600, ANN, BEN), 0);
	perm = perm_of(kind, id);
	EXPECT_IS(perm.uid, ANN);
	EXPECT_IS(perm.gid, BEN);
	EXPECT_IS(perm.cuid, geteuid());
	EXPECT_IS(perm.cgid, getegid());
	EXPECT_IS(perm.__key, KEY);
	EXPECT_IS(get(kind, KEY, 0), id);
}

REQUIREMENT_OF_KINDS(set_nothing_else, "ctl, DESCRIPTION, IPC_SET",
		     "what else stands in the structure is not set")
{
	int id = make_mode(kind, 0600);
	union status given, before = status_of(kind, id), after;

	memset(&given, 0x55, sizeof(given));
	if (kind == MSG)
		given.msg.msg_qbytes = before.msg.msg_qbytes;
	perm_in(kind, &given)->mode = 0600;
	perm_in(kind, &given)->uid = geteuid();
	perm_in(kind, &given)->gid = getegid();
	EXPECT_IS(control(kind, id, IPC_SET, &given), 0);
	after = status_of(kind, id);
	if (kind == MSG)
		after.msg.msg_ctime = before.msg.msg_ctime;
	else if (kind == SEM)
		after.sem.sem_ctime = before.sem.sem_ctime;
	else
		after.shm.shm_ctime = before.shm.shm_ctime;
	EXPECT_IS(memcmp(&before, &after, sizeof(after)), 0);
}

REQUIREMENT_OF_KINDS(set_changes, "ctl, DESCRIPTION, ctime", "IPC_SET sets the time of change")
{
	int id = make(kind);
	time_t before = change_of(kind, id), set;

	await_after(before);
	await_turn();
	set = time(NULL);
	EXPECT_IS(change_of(kind, id), before);
	EXPECT_IS(set_perm(kind, id, 0600, geteuid(), getegid()), 0);
	EXPECT_SINCE(change_of(kind, id), set);
}

REQUIREMENT_OF_KINDS(set_failed, "ctl, ERRORS, EINVAL",
		     "an owner or a group that there is not is EINVAL, and sets nothing")
{
	int id = make(kind);
	union status before = status_of(kind, id), after;

	await_after(time(NULL));
	EXPECT_ERROR(set_perm(kind, id, 0640, (uid_t)-1, getegid()), EINVAL);
	EXPECT_ERROR(set_perm(kind, id, 0640, geteuid(), (gid_t)-1), EINVAL);
	after = status_of(kind, id);
	EXPECT_IS(memcmp(&before, &after, sizeof(after)), 0);
}

REQUIREMENT_OF_KINDS(command, "ctl, ERRORS, EINVAL", "a command that there is not is EINVAL")
{
	static const int commands[] = {-1, 100, 0x7fffffff, 4, 21};
	int id = make(kind);
	union status status;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		EXPECT_ERROR(control(kind, id, commands[i], &status), EINVAL);
}

REQUIREMENT_OF_KINDS(status_padding, "ctl, DESCRIPTION, IPC_STAT",
		     "IPC_STAT writes each member, and nothing behind the structure")
{
	static const size_t sizes[] = {sizeof(struct msqid_ds), sizeof(struct semid_ds),
				       sizeof(struct shmid_ds)};
	int id = make(kind);
	struct {
		union status status;
		unsigned char behind[64];
	} first, second;

	memset(&first, 0x11, sizeof(first));
	memset(&second, 0x22, sizeof(second));
	EXPECT_IS(control(kind, id, IPC_STAT, &first.status), 0);
	EXPECT_IS(control(kind, id, IPC_STAT, &second.status), 0);
	EXPECT_IS(memcmp(&first, &second, sizes[kind]), 0);
	for (size_t i = sizes[kind]; i < sizeof(first); i++)
		EXPECT_IS(((unsigned char *)&first)[i], 0x11);
}

REQUIREMENT_OF_KINDS(
	pointer, "ctl(2), ERRORS, EFAULT",
	"a structure that leads nowhere is EFAULT; an object that is none is said first")
{
	int id = make(kind);
	void *nowhere = make_nowhere();

	EXPECT_ERROR(control(kind, id, IPC_STAT, nowhere), EFAULT);
	EXPECT_ERROR(control(kind, id, IPC_SET, nowhere), EFAULT);
	EXPECT_ERROR(control(kind, id, IPC_STAT, NULL), EFAULT);
	EXPECT_IS(control(kind, id, IPC_RMID, nowhere), 0);
	EXPECT_ERROR(control(kind, id, IPC_STAT, nowhere), EINVAL);
}

REQUIREMENT_OF_KINDS(info_pointer, "ctl(2), ERRORS, EFAULT",
		     "IPC_INFO that is to be told nowhere is EFAULT")
{
	EXPECT_ERROR(control(kind, 0, IPC_INFO, make_nowhere()), EFAULT);
}

REQUIREMENT_OF_KINDS(info_invalid, "ctl(2), ERRORS, EINVAL",
		     "an index that is negative or not used is EINVAL")
{
	static const int commands[][2] = {
		{MSG_STAT, MSG_STAT_ANY}, {SEM_STAT, SEM_STAT_ANY}, {SHM_STAT, SHM_STAT_ANY}};
	union status status;

	need_alone();
	for (int i = 0; i < 2; i++) {
		EXPECT_ERROR(control(kind, -1, commands[kind][i], &status), EINVAL);
		EXPECT_ERROR(control(kind, 1, commands[kind][i], &status), EINVAL);
	}
}

REQUIREMENT_OF_KINDS(
	info_walk, "ctl(2), IPC_INFO, _STAT",
	"from 0 to what IPC_INFO returns there are all of them, each with its identifier")
{
	static const int commands[][2] = {
		{MSG_STAT, MSG_STAT_ANY}, {SEM_STAT, SEM_STAT_ANY}, {SHM_STAT, SHM_STAT_ANY}};
	int ids[5], found[2] = {0}, last;
	union {
		union status status;
		unsigned char bytes[512];
	} buffer;

	need_alone();
	for (int i = 0; i < 5; i++)
		ids[i] = get(kind, key_of(i), IPC_CREAT | 0600);
	last = control(kind, 0, IPC_INFO, &buffer.status);
	EXPECT(last >= 4);
	for (int i = 0; i <= last; i++) {
		for (int way = 0; way < 2; way++) {
			int id = control(kind, i, commands[kind][way], &buffer.status);

			for (int j = 0; j < 5 && id >= 0; j++) {
				if (ids[j] == id) {
					EXPECT_IS(perm_in(kind, &buffer.status)->__key, key_of(j));
					EXPECT_IS(id & 0x7fff, i);
					found[way]++;
				}
			}
		}
	}
	EXPECT_IS(found[0], 5);
	EXPECT_IS(found[1], 5);
	for (int i = 0; i < 5; i++)
		erase(kind, ids[i]);
	EXPECT(control(kind, 0, IPC_INFO, &buffer.status) <= 0);
}

REQUIREMENT(direct_identity, "syscall(2); msgget(2), semget(2), shmget(2)",
	    "the system calls make, find and remove the same objects")
{
	union status status;

	need_direct();
	for (enum kind kind = MSG; kind <= SHM; kind++) {
		static const long gets[] = {SYS_msgget, SYS_semget, SYS_shmget};
		bool is_msg = kind == MSG, is_sem = kind == SEM;
		long id = syscall(gets[kind], KEY,
				  is_msg   ? IPC_CREAT | 0600
				  : is_sem ? 3
					   : PAGE,
				  IPC_CREAT | 0600);

		EXPECT(id >= 0);
		EXPECT_IS(get(kind, KEY, 0), id);
		EXPECT_IS(perm_of(kind, (int)id).mode, 0600);
		EXPECT_IS(is_msg   ? syscall(SYS_msgctl, id, IPC_STAT, &status)
			  : is_sem ? syscall(SYS_semctl, id, 0, IPC_STAT, &status)
				   : syscall(SYS_shmctl, id, IPC_STAT, &status),
			  0);
		EXPECT_IS(perm_in(kind, &status)->__key, KEY);
		EXPECT_IS(is_msg   ? syscall(SYS_msgctl, id, IPC_RMID, NULL)
			  : is_sem ? syscall(SYS_semctl, id, 0, IPC_RMID, 0)
				   : syscall(SYS_shmctl, id, IPC_RMID, NULL),
			  0);
		EXPECT_ERROR(get(kind, KEY, 0), ENOENT);
	}
}

REQUIREMENT_OF_KINDS(success_keeps_errno, "XSH 2.3, Error Numbers", "no call sets errno to zero")
{
	int id;

	errno = ERANGE;
	id = make_mode(kind, 0600);
	(void)status_of(kind, id);
	EXPECT_IS(get(kind, KEY, 0), id);
	erase(kind, id);
	EXPECT(errno != 0);
}
