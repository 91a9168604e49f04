/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls of System V whose n-th system call fails: see failing_sweep.h.  What has failed has made, sent, taken and set nothing,
 * its errno is one that the header names, no descriptor is left open, and it works then.  Only what was to be
 * removed may be so when a name of it could not be taken away; the next look at it does.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "../contract/sanitized.h"
#include "../crash/folder.h"
#include "failing_sweep.h"

#define KEY 0x5254
#define OTHER 0x5255
#define MESSAGE_BYTES 400
#define COUNT 600 /* several pages */

struct sysv_operation {
	const char *name;
	int (*run)(void);    /* 0 or negative errno */
	int messages, value; /* what it changes; of the first semaphore */
	int files;
	int descriptors; /* more, then */
	/* The queue and the set are made by another process, and not used by this one before. */
	bool is_first;
};

struct text {
	long type;
	char bytes[MESSAGE_BYTES];
};

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int queue, set;
static const struct sysv_operation *running;

static int answer(long result)
{
	return result < 0 ? -errno : 0;
}

static int make(void)
{
	return answer(tenon_msgget(OTHER, IPC_CREAT | 0600));
}

static int make_only(void)
{
	return answer(tenon_msgget(OTHER, IPC_CREAT | IPC_EXCL | 0600));
}

static int make_private(void)
{
	return answer(tenon_msgget(IPC_PRIVATE, 0600));
}

static int make_set(void)
{
	return answer(tenon_semget(OTHER, COUNT, IPC_CREAT | IPC_EXCL | 0600));
}

static int find(void)
{
	return answer(tenon_msgget(KEY, 0));
}

static int send(void)
{
	struct text text = {.type = 3};

	return answer(tenon_msgsnd(queue, &text, MESSAGE_BYTES, IPC_NOWAIT));
}

static int receive(void)
{
	struct text text;

	return answer(tenon_msgrcv(queue, &text, MESSAGE_BYTES, 0, IPC_NOWAIT));
}

static int copy(void)
{
	struct text text;

	return answer(tenon_msgrcv(queue, &text, MESSAGE_BYTES, 0, IPC_NOWAIT | 040000));
}

static int status_of(struct msqid_ds *ret_status)
{
	return answer(tenon_msgctl(queue, IPC_STAT, ret_status));
}

static int look(void)
{
	struct msqid_ds status;

	return status_of(&status);
}

static int inform(void)
{
	struct msginfo information;

	return answer(tenon_msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&information));
}

static int set_queue(void)
{
	struct msqid_ds status = {.msg_perm.uid = geteuid(),
				  .msg_perm.gid = getegid(),
				  .msg_perm.mode = 0640,
				  .msg_qbytes = 5000};

	return answer(tenon_msgctl(queue, IPC_SET, &status));
}

static int remove_queue(void)
{
	return answer(tenon_msgctl(queue, IPC_RMID, NULL));
}

static int remove_set(void)
{
	return answer(tenon_semctl(set, 0, IPC_RMID));
}

static int add(void)
{
	struct sembuf one = {0, 1, IPC_NOWAIT};

	return answer(tenon_semop(set, &one, 1));
}

static int add_undone(void)
{
	struct sembuf list[] = {{0, 1, SEM_UNDO}, {COUNT - 1, 3, SEM_UNDO}, {COUNT / 2, 0, 0}};

	return answer(tenon_semop(set, list, 3));
}

static int set_value(void)
{
	union semun argument = {.val = 1};

	return answer(tenon_semctl(set, 0, SETVAL, argument));
}

static int set_all(void)
{
	unsigned short values[COUNT];
	union semun argument = {.array = values};

	for (int i = 0; i < COUNT; i++)
		values[i] = 1;
	return answer(tenon_semctl(set, 0, SETALL, argument));
}

static int get_all(void)
{
	unsigned short values[COUNT];
	union semun argument = {.array = values};

	return answer(tenon_semctl(set, 0, GETALL, argument));
}

static const struct sysv_operation operations[] = {
	{"msgget, the first call of all", make, .files = 2, .is_first = true},
	{"msgget", make, .files = 2},
	{"msgget, only a new one", make_only, .files = 2},
	{"msgget, private", make_private, .files = 1},
	{"msgget, what is there", find, .files = 0},
	{"semget", make_set, .files = 2},
	{"msgsnd", send, .messages = 1},
	{"msgsnd, by the identifier alone", send, .messages = 1, .descriptors = 1,
	 .is_first = true},
	{"msgrcv", receive, .messages = -1},
	{"msgrcv, by the identifier alone", receive, .messages = -1, .descriptors = 1,
	 .is_first = true},
	{"msgrcv, a copy", copy, .messages = 0},
	{"IPC_STAT", look, .messages = 0},
	{"IPC_STAT, by the identifier alone", look, .descriptors = 1, .is_first = true},
	{"MSG_INFO", inform, .messages = 0},
	{"IPC_SET", set_queue, .messages = 0},
	{"IPC_RMID", remove_queue, .files = -2},
	{"IPC_RMID, by the identifier alone", remove_queue, .files = -2, .descriptors = 1,
	 .is_first = true},
	{"IPC_RMID of a set", remove_set, .files = -2},
	{"semop", add, .value = 1},
	{"semop, by the identifier alone", add, .value = 1, .descriptors = 1, .is_first = true},
	{"semop, undone", add_undone, .value = 1},
	{"SETVAL", set_value, .value = 1},
	{"SETALL", set_all, .value = 1},
	{"GETALL", get_all, .value = 0},
};

static void prepare(int *ret_ids)
{
	queue = tenon_msgget(KEY, IPC_CREAT | 0600);
	set = tenon_semget(KEY, COUNT, IPC_CREAT | 0600);
	if (queue < 0 || set < 0 || send() != 0 || send() != 0)
		failing_wrong("cannot be made", errno);
	ret_ids[0] = queue;
	ret_ids[1] = set;
}

static void prepare_elsewhere(void)
{
	int ends[2], ids[2], status;
	pid_t pid;

	if (pipe(ends) != 0)
		failing_wrong("no pipe", errno);
	pid = fork();
	if (pid == 0) {
		prepare(ids);
		_exit(write(ends[1], ids, sizeof(ids)) != sizeof(ids));
	}
	if (read(ends[0], ids, sizeof(ids)) != sizeof(ids) || waitpid(pid, &status, 0) != pid)
		failing_wrong("cannot be made elsewhere", errno);
	close(ends[0]);
	close(ends[1]);
	queue = ids[0];
	set = ids[1];
}

static int files(void)
{
	return (int)folder_files(getenv("TENON_NAMESPACE"));
}

struct found {
	int messages, mode, limit, value, files;
};

/* What is there; -1 of what is gone. */
static struct found find_all(void)
{
	struct found found = {-1, -1, -1, -1, files()};
	struct msqid_ds status;

	if (status_of(&status) == 0) {
		found.messages = (int)status.msg_qnum;
		found.mode = status.msg_perm.mode;
		found.limit = (int)status.msg_qbytes;
	}
	found.value = tenon_semctl(set, 0, GETVAL);
	found.files = files();
	return found;
}

static bool removes(void)
{
	return running->run == remove_queue || running->run == remove_set;
}

static void check_failed(const struct found *before)
{
	struct found found = find_all();

	if (removes() && (found.messages < 0 || found.value < 0))
		return;
	if (found.messages != before->messages || found.value != before->value)
		failing_wrong("failed, and changed it", found.messages * 100 + found.value);
	if (found.mode != before->mode || found.limit != before->limit)
		failing_wrong("failed, and has set it", found.mode);
	if (found.files != before->files)
		failing_wrong("failed, and left files", found.files);
}

static void check_done(const struct found *before)
{
	struct found found;

	if (removes()) {
		int id = running->run == remove_set ? tenon_semget(KEY, 0, 0)
						    : tenon_msgget(KEY, 0);

		if (id >= 0 || errno != ENOENT)
			failing_wrong("removed, and there", errno);
	}
	found = find_all();
	if (found.files != before->files + running->files)
		failing_wrong("so many files", found.files);
	if (removes())
		return;
	if (found.messages != before->messages + running->messages ||
	    found.value != before->value + running->value)
		failing_wrong("so many", found.messages * 100 + found.value);
	if (running->run == set_queue && (found.mode != 0640 || found.limit != 5000))
		failing_wrong("not set", found.mode);
}

/* In the traced process. */
static void scenario(void *context)
{
	struct found before = {2, 0600, 16384, 0, 4};
	int ids[2], descriptors, result;

	running = &operations[*(const uint32_t *)context];
	if (running->is_first) {
		prepare_elsewhere();
	} else {
		prepare(ids);
		before = find_all();
	}
	descriptors = failing_count_descriptors();

	failing_begin();
	result = running->run();
	failing_end();
	if (result != 0) {
		failing_told(result,
			     (const int[]){-EAGAIN, -EIO, -EIDRM, -EACCES, FAILING_LIST_END});
		if (failing_count_descriptors() > descriptors + (running->descriptors > 0))
			failing_wrong("descriptors are left", failing_count_descriptors());
		check_failed(&before);
		result = running->run();
		if (result != 0 && !(removes() && (result == -EINVAL || result == -EIDRM)))
			failing_wrong("works no more", result);
	}
	check_done(&before);
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return operations[operation].name;
}

static void inherit(uint32_t operation)
{
	(void)operation;
}

static void clean(void)
{
	const char *folder = getenv("TENON_NAMESPACE");

	folder_remove(folder);
	mkdir(folder, 0700);
}

int main(int argc, char **argv)
{
	static const struct failing_set all = {.operations = sizeof(operations) /
							     sizeof(operations[0]),
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	/* A sanitizer ends the process when it gets no memory. */
	if (IS_SANITIZED) {
		printf("1..0 # SKIP what memory is made of fails, and the sanitizer with it\n");
		return 0;
	}
	return failing_sweep_main(argc, argv, &all);
}
