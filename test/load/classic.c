/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What POSIX and System V have: load.h.  Nothing of Tenon's is named here: it is compiled with tenon/compat, and,
 * without it, for the preload library.
 */

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#define KEY 0x6c6f6164 /* and those behind it */
#define KEYS 3u
#define MEMORY_BYTES 65536u
#define POSTS 4
#define SEMAPHORES 3u

/* Of the wall clock. */
static struct timespec soon(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_nsec += 1 + (long)load_random(1000000);
	if (now.tv_nsec >= 1000000000) {
		now.tv_nsec -= 1000000000;
		now.tv_sec++;
	}
	return now;
}

/* What -1 with errno stands for, as the other calls answer it. */
static int answer(long result)
{
	return result < 0 ? -errno : 0;
}

static key_t any_key(void)
{
	return (key_t)(KEY + load_random(KEYS));
}

static int receive(mqd_t queue, bool waits)
{
	struct timespec deadline = soon();
	char text[LOAD_TEXT_BYTES];
	unsigned priority;
	ssize_t bytes;

	bytes = waits ? mq_timedreceive(queue, text, sizeof(text), &priority, &deadline)
		      : mq_receive(queue, text, sizeof(text), &priority);
	if (bytes >= 0)
		return load_is_text(text, (size_t)bytes) ? 0 : load_wrong("a torn message", 0);
	return load_expect("mq_receive", -errno, LOAD_MAY(ETIMEDOUT, EAGAIN));
}

static int send_one(mqd_t queue)
{
	struct timespec deadline = soon();
	char text[LOAD_TEXT_BYTES];
	size_t bytes = load_text(text);

	return load_expect("mq_timedsend",
			   answer(mq_timedsend(queue, text, bytes, load_random(3), &deadline)),
			   LOAD_MAY(ETIMEDOUT, EAGAIN));
}

/* One process at most is registered, and gone with its death. */
static int register_and_withdraw(mqd_t queue)
{
	struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
	int result = answer(mq_notify(queue, &nothing));

	if (result == 0)
		result = answer(mq_notify(queue, NULL));
	return load_expect("mq_notify", result, LOAD_MAY(EBUSY));
}

static int look_at(mqd_t queue)
{
	struct mq_attr attributes;

	if (mq_getattr(queue, &attributes) != 0)
		return load_wrong("mq_getattr", errno);
	return attributes.mq_curmsgs >= 0 && attributes.mq_curmsgs <= attributes.mq_maxmsg
		       ? 0
		       : load_wrong("mq_curmsgs", 0);
}

static int poll_it(mqd_t queue)
{
	struct pollfd entry = {.fd = queue, .events = POLLIN};

	if (poll(&entry, 1, 1) < 0)
		return load_wrong("poll", errno);
	return entry.revents & ~POLLIN ? load_wrong("revents", 0) : 0;
}

static int use_queue(mqd_t queue, bool waits)
{
	switch (load_random(8)) {
	case 0:
		return register_and_withdraw(queue);
	case 1:
		return look_at(queue);
	case 2:
		return poll_it(queue);
	case 3:
	case 4:
		return send_one(queue);
	default:
		return receive(queue, waits);
	}
}

static mqd_t open_queue(const char *name, int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = LOAD_TEXT_BYTES};

	return mq_open(name, O_RDWR | O_CREAT | flags, 0600, &attributes);
}

/* It is there as long as the run is; each process has it open for a while. */
static int mq_round(void)
{
	static mqd_t queue = (mqd_t)-1;
	int result;

	if (queue == (mqd_t)-1)
		queue = open_queue("/load", 0);
	if (queue == (mqd_t)-1)
		return load_wrong("mq_open", errno);
	result = use_queue(queue, true);
	if (result == 0 && load_random(64) == 0) {
		result = load_expect("mq_close", answer(mq_close(queue)), LOAD_MAY(0));
		queue = (mqd_t)-1;
	}
	return result;
}

static int mq_unlink_round(void)
{
	mqd_t queue = open_queue("/load-gone", O_NONBLOCK);
	int result;

	if (queue == (mqd_t)-1)
		return load_wrong("mq_open", errno);
	result = use_queue(queue, false);
	if (load_random(2))
		result |= load_expect("mq_unlink", answer(mq_unlink("/load-gone")),
				      LOAD_MAY(ENOENT));
	return result | load_expect("mq_close", answer(mq_close(queue)), LOAD_MAY(0));
}

/* Who dies takes units with him, which others put back. */
static int sem_round(void)
{
	sem_t *semaphore = sem_open("/load", O_CREAT, 0600, POSTS);
	struct timespec deadline = soon();
	int value, result;

	if (semaphore == SEM_FAILED)
		return load_wrong("sem_open", errno);
	result = sem_getvalue(semaphore, &value);
	if (result == 0 && value == 0 && load_random(4) == 0)
		result = sem_post(semaphore);
	if (result == 0)
		result = value > POSTS ? sem_trywait(semaphore)
				       : sem_timedwait(semaphore, &deadline);
	if (result == 0 && value <= POSTS)
		result = sem_post(semaphore);
	result = load_expect("sem_wait", answer(result), LOAD_MAY(ETIMEDOUT, EAGAIN));
	if (load_random(64) == 0)
		result |= load_expect("sem_unlink", answer(sem_unlink("/load")), LOAD_MAY(ENOENT));
	return result | load_expect("sem_close", answer(sem_close(semaphore)), LOAD_MAY(0));
}

static int shm_round(void)
{
	const char *name = load_random(2) ? "/load-0" : "/load-1";
	int fd = shm_open(name, O_RDWR | O_CREAT, 0600), result = 0;
	_Atomic uint32_t *words;

	if (fd < 0)
		return load_wrong("shm_open", errno);
	if (ftruncate(fd, MEMORY_BYTES) != 0)
		result = load_wrong("ftruncate", errno);
	words = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		result = load_wrong("mmap", errno);
	close(fd);
	if (result == 0) {
		atomic_fetch_add(&words[load_random(MEMORY_BYTES / sizeof(*words))], 1);
		munmap((void *)words, MEMORY_BYTES);
	}
	if (load_random(16) == 0)
		result |= load_expect("shm_unlink", answer(shm_unlink(name)), LOAD_MAY(ENOENT));
	return result;
}

struct load_message {
	long type;
	char text[LOAD_TEXT_BYTES];
};

static int receive_typed(int queue)
{
	static const long types[] = {0, 1, 2, -3};
	struct load_message message;
	ssize_t bytes = msgrcv(queue, &message, sizeof(message.text), types[load_random(4)],
			       IPC_NOWAIT);

	if (bytes < 0)
		return load_expect("msgrcv", -errno, LOAD_MAY(ENOMSG, EIDRM, EINVAL));
	return load_is_text(message.text, (size_t)bytes) ? 0 : load_wrong("a torn message", 0);
}

static int msg_round(void)
{
	int queue = msgget(any_key(), IPC_CREAT | 0600);
	struct load_message message = {.type = 1 + (long)load_random(3)};
	struct msqid_ds status;
	size_t bytes = load_text(message.text);

	if (queue < 0)
		return load_wrong("msgget", errno);
	switch (load_random(32)) {
	case 0:
		return load_expect("IPC_RMID", answer(msgctl(queue, IPC_RMID, NULL)),
				   LOAD_MAY(EIDRM, EINVAL));
	case 1:
		return load_expect("IPC_STAT", answer(msgctl(queue, IPC_STAT, &status)),
				   LOAD_MAY(EIDRM, EINVAL));
	default:
		if (load_random(2))
			return receive_typed(queue);
		return load_expect("msgsnd", answer(msgsnd(queue, &message, bytes, IPC_NOWAIT)),
				   LOAD_MAY(EAGAIN, EIDRM, EINVAL));
	}
}

/* What the dead have done is undone: where nobody is at it, each value is 0 again. */
static int semop_round(void)
{
	int set = semget(any_key(), SEMAPHORES, IPC_CREAT | 0600);
	struct sembuf up[2] = {{.sem_num = 0, .sem_op = 1, .sem_flg = SEM_UNDO},
			       {.sem_num = 2, .sem_op = 2, .sem_flg = SEM_UNDO}};
	struct sembuf down[2] = {{.sem_num = 2, .sem_op = -2, .sem_flg = SEM_UNDO},
				 {.sem_num = 0, .sem_op = -1, .sem_flg = SEM_UNDO}};
	struct sembuf zero = {.sem_num = 0};
	struct timespec moment = {.tv_nsec = 500000};
	int result;

	if (set < 0)
		return load_wrong("semget", errno);
	if (load_random(64) == 0)
		return load_expect("IPC_RMID", answer(semctl(set, 0, IPC_RMID)),
				   LOAD_MAY(EIDRM, EINVAL));
	if (load_random(4) == 0)
		return load_expect("semtimedop", answer(semtimedop(set, &zero, 1, &moment)),
				   LOAD_MAY(EAGAIN, EIDRM, EINVAL));
	result = semop(set, up, 2);
	if (result == 0)
		result = semop(set, down, 2);
	return load_expect("semop", answer(result), LOAD_MAY(EIDRM, EINVAL));
}

static int shmat_round(void)
{
	int segment = shmget(any_key(), MEMORY_BYTES, IPC_CREAT | 0600);
	_Atomic uint32_t *words;

	if (segment < 0)
		return load_wrong("shmget", errno);
	words = shmat(segment, NULL, 0);
	if (words == (void *)-1)
		return load_expect("shmat", -errno, LOAD_MAY(EIDRM, EINVAL));
	atomic_fetch_add(&words[load_random(MEMORY_BYTES / sizeof(*words))], 1);
	if (load_random(16) == 0 && load_expect("IPC_RMID", answer(shmctl(segment, IPC_RMID, NULL)),
						LOAD_MAY(EIDRM, EINVAL)) != 0)
		return -1;
	return load_expect("shmdt", answer(shmdt((void *)words)), LOAD_MAY(0));
}

const struct load_activity load_classic[] = {
	{"mq_*", mq_round},	{"mq_unlink", mq_unlink_round},
	{"sem_*", sem_round},	{"shm_*", shm_round},
	{"msg*", msg_round},	{"semop", semop_round},
	{"shmat", shmat_round}, {NULL, NULL},
};
