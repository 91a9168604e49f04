/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over each word of a segment's object, that is everything but the program's bytes, before it is opened, while it is
 * attached and while it is removed, and lets a victim call everything and touch all memory that it is given: it must end in time,
 * with answers that the header names, alive, and having harmed no other segment.  A victim to a word and state, which has ten
 * seconds for all values.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "../crash/folder.h"
#include "abi/object.h"
#include "abi/segment.h"
#include "abi/sysv.h"
#include "patience.h"

#define PATIENCE_S 60u
#define KEY 5
#define BYTES 5000u

static const uint64_t values[] = {
	0,
	1,
	2,
	3,
	5,
	4096,
	12000,
	UINT64_MAX,
	UINT32_MAX,
	UINT64_C(1) << 15,
	UINT64_C(1) << 31,
	UINT64_C(1) << 43,
	UINT64_C(1) << 63,
	UINT64_C(3) << 32,
	UINT64_C(0x0000000500000001),
	UINT64_C(0x123456789abcdef0),
};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* Open and attached; the same and removed; before this process opens it; that, and attached and removed by another. */
enum state { ATTACHED, REMOVED, BEFORE, ANOTHERS, STATES };

static void told(int result)
{
	static const int documented[] = {EACCES, EBADMSG, EEXIST, EIDRM, EINVAL, EIO,
					 ENOENT, ENOMEM,  ENOSPC, EPERM, EPROTO, EUSERS};

	if (result >= 0)
		return;
	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (errno == documented[i])
			return;
	fprintf(stderr, "an answer that the header does not name: %d\n", errno);
	_exit(3);
}

static int at_segment(const char *file_name)
{
	char path[FOLDER_BYTES + 300];

	snprintf(path, sizeof(path), "%s/%s", getenv("TENON_NAMESPACE"), file_name);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void scribble(const char *file_name, uint64_t offset, uint64_t value)
{
	int fd = at_segment(file_name);

	if (fd < 0 || pwrite(fd, &value, sizeof(value), (off_t)offset) != sizeof(value))
		_exit(4);
	close(fd);
}

static void touch(char *bytes, bool writes)
{
	if (bytes == (char *)-1) {
		told(-1);
		return;
	}
	for (uint32_t i = 0; i < BYTES; i += 512)
		if (writes)
			((volatile char *)bytes)[i]++;
		else
			(void)((volatile char *)bytes)[i];
	told(tenon_shmdt(bytes));
}

static void do_all(int id)
{
	struct shmid_ds status;
	struct shm_info information;

	told(tenon_shmctl(id, IPC_STAT, &status));
	told(tenon_shmctl(id & 0x7fff, SHM_STAT, &status));
	told(tenon_shmctl(0, SHM_INFO, (struct shmid_ds *)&information));
	touch(tenon_shmat(id, NULL, 0), true);
	touch(tenon_shmat(id, NULL, SHM_RDONLY), false);
	told(tenon_shmctl(id, SHM_LOCK, NULL));
	told(tenon_shmctl(id, SHM_UNLOCK, NULL));
	told(tenon_shmctl(id, IPC_SET, &status));
	told(tenon_shmget(KEY, BYTES, 0600));
}

static int make(int key)
{
	int id = tenon_shmget(key, BYTES, IPC_CREAT | IPC_EXCL | 0600);

	if (id < 0)
		_exit(4);
	return id;
}

/* What another victim before this one has left. */
static void clear(void)
{
	const char *path = getenv("TENON_NAMESPACE");
	DIR *folder = opendir(path);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] == 'g')
			unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
}

/* Attached and removed by another process, which is there until told. */
static pid_t start_other(int id, int pipe_ends[2])
{
	char byte = 0;
	pid_t pid;

	if (pipe(pipe_ends) != 0)
		_exit(4);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (tenon_shmat(id, NULL, 0) == (void *)-1 || tenon_shmctl(id, IPC_RMID, NULL) != 0)
			_exit(4);
		(void)!write(pipe_ends[1], &byte, 1);
		close(pipe_ends[1]);
		for (;;)
			pause();
	}
	close(pipe_ends[1]);
	if (read(pipe_ends[0], &byte, 1) != 1)
		_exit(4);
	return pid;
}

struct attack {
	uint64_t offset;
	enum state state;
};

static void attack_once(const struct attack *attack, uint64_t value)
{
	char file_name[32];
	int id, ends[2];
	char *bytes = NULL;
	pid_t other = 0;

	clear();
	id = make(KEY);
	snprintf(file_name, sizeof(file_name), "g.sysv-%04x", id & 0x7fff);
	if (attack->state == ANOTHERS)
		other = start_other(id, ends);
	if (attack->state == ATTACHED || attack->state == REMOVED)
		bytes = tenon_shmat(id, NULL, 0);
	if (attack->state == REMOVED)
		told(tenon_shmctl(id, IPC_RMID, NULL));
	scribble(file_name, attack->offset, value);
	do_all(id);
	if (bytes)
		touch(bytes, true);
	told(tenon_shmctl(id, IPC_RMID, NULL));
	do_all(id);
	if (other) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		close(ends[0]);
		told(tenon_shmctl(id, IPC_RMID, NULL));
	}
}

/* The victim's part. */
static void suffer(const void *context)
{
	for (uint32_t i = 0; i < VALUES; i++)
		attack_once(context, values[i]);
}

static bool survives(uint64_t offset, enum state state)
{
	struct attack attack = {offset, state};
	int status = patience_run(suffer, &attack, PATIENCE_S);

	if (status != 0)
		printf("# offset %llu, state %d: status %x\n", (unsigned long long)offset, state,
		       (unsigned)status);
	return status == 0;
}

/* The header of one says that it is another, and who holds it that it is a file of the victim's own. */
static void lead_astray(const void *context)
{
	char file_name[32], other_name[32], secret[] = "secret";
	uint64_t id_of_other;
	int victim, other, fd, ends[2];
	char *bytes, *mapped;
	pid_t pid;

	(void)context;
	clear();
	other = make(KEY + 1);
	bytes = tenon_shmat(other, NULL, 0);
	strcpy(bytes, "other");
	tenon_shmdt(bytes);
	victim = make(KEY);
	snprintf(file_name, sizeof(file_name), "g.sysv-%04x", victim & 0x7fff);
	snprintf(other_name, sizeof(other_name), "g.sysv-%04x", other & 0x7fff);
	fd = at_segment(other_name);
	if (pread(fd, &id_of_other, 8, offsetof(struct tni_object_header, id)) != 8)
		_exit(4);
	close(fd);
	scribble(file_name, offsetof(struct tni_object_header, id), id_of_other);
	told(tenon_shmctl(victim, IPC_RMID, NULL));
	bytes = tenon_shmat(other, NULL, 0);
	if (bytes == (char *)-1 || strcmp(bytes, "other") != 0) {
		fprintf(stderr, "another's memory is lost\n");
		_exit(3);
	}
	tenon_shmdt(bytes);
	clear();
	/* Removed, and held by another, whose entry names a descriptor of a file without a name in the same folder. */
	victim = make(KEY);
	snprintf(file_name, sizeof(file_name), "g.sysv-%04x", victim & 0x7fff);
	fd = open(getenv("TENON_NAMESPACE"), O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 || pwrite(fd, secret, sizeof(secret), 2 * 4096) != sizeof(secret))
		_exit(4);
	pid = start_other(victim, ends);
	for (uint32_t i = 0; i < 4; i++)
		scribble(file_name,
			 TNI_PARTICIPANTS_OFFSET + i * sizeof(struct tni_participant) +
				 offsetof(struct tni_participant, attachments),
			 (uint64_t)fd << 32 | 1);
	mapped = tenon_shmat(victim, NULL, 0);
	if (mapped != (char *)-1) {
		fprintf(stderr, "a file of the victim's own was attached\n");
		_exit(3);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ends[0]);
}

int main(void)
{
	char folder[FOLDER_BYTES];
	uint32_t words = 0, failed = 0;

	if (folder_make(folder) != 0)
		return 2;
	for (uint64_t offset = 0; offset < TNI_PARTICIPANTS_OFFSET + 128; offset += 8) {
		bool header = offset < sizeof(struct tni_object_header);
		bool part = offset >= TNI_SYSV_OFFSET &&
			    offset < TNI_SYSV_OFFSET + sizeof(struct tni_sysv_part);
		bool control = offset >= TNI_SEGMENT_OFFSET &&
			       offset < TNI_SEGMENT_OFFSET + sizeof(struct tni_segment_control);

		if (!header && !part && !control && offset < TNI_PARTICIPANTS_OFFSET)
			continue;
		words++;
		for (enum state state = 0; state < STATES; state++)
			failed += !survives(offset, state);
	}
	if (patience_run(lead_astray, NULL, PATIENCE_S) != 0) {
		printf("# led astray\n");
		failed++;
	}
	printf("shm_scribble: %u words, %u values each, in %d states: %u failed\n", words,
	       (unsigned)VALUES, STATES, failed);
	folder_remove(folder);
	return failed > 0;
}
