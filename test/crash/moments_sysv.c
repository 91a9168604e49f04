/* SPDX-License-Identifier: Apache-2.0 */

/* System V and random kills: moments.h.  Semaphores with SEM_UNDO, messages, and queues that come and go at one key. */

#include "moments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/sysv.h>

#include "folder.h"

#define KEY 0x5254
#define SEMAPHORES 3u
#define QUEUE_BYTES 100
#define WORKERS 6u
#define WINDOW 32u /* more than the queue has at once */
/* Who is blocked looks for the dead each 100 ms; all are found asleep each 20. */
#define ASLEEP_MOST 20u

/* word: who has what there is one of; behind it the last messages of each sender; and these counts. */
enum { HAS = 0, MESSAGES = 8, SENT = 250, RECEIVED };

struct text {
	long type;
	uint64_t number;
	char bytes[40];
};

union semun {
	int val;
	unsigned short *array;
};

static const unsigned short first_values[SEMAPHORES] = {1, 4, 0};
static int id = -1;

/* Somebody who is told by nobody looks himself, but soon. */
static bool feed(void)
{
	static uint64_t progress;
	static uint32_t rounds;

	if (progress != atomic_load(&moments->progress))
		rounds = 0;
	progress = atomic_load(&moments->progress);
	return ++rounds < ASLEEP_MOST || moments_wrong("all are asleep", rounds);
}

static bool make_set(void)
{
	unsigned short values[SEMAPHORES];
	union semun argument = {.array = values};

	memcpy(values, first_values, sizeof(values));
	id = tenon_semget(KEY, SEMAPHORES, IPC_CREAT | IPC_EXCL | 0600);
	return id >= 0 && tenon_semctl(id, 0, SETALL, argument) == 0;
}

/* One has the first; of the others the sum stays the same. */
static void hold_and_move(void)
{
	struct sembuf take[] = {{0, -1, SEM_UNDO}, {1, -1, SEM_UNDO}, {2, 1, SEM_UNDO}};
	struct sembuf give[] = {{2, -1, SEM_UNDO}, {1, 1, SEM_UNDO}, {0, 1, SEM_UNDO}};
	struct sembuf zero = {2, 0, 0};

	if (tenon_semop(id, take, 3) != 0) {
		moments_wrong("semop, taking", errno);
		return;
	}
	moments_own(&moments->word[HAS]);
	moments_dally();
	if (!moments_disown(&moments->word[HAS], "two have the semaphore"))
		return;
	if (tenon_semop(id, give, 3) != 0)
		moments_wrong("semop, giving", errno);
	else if (moments_random(8) == 0 && tenon_semop(id, &zero, 1) != 0)
		moments_wrong("semop, zero", errno);
	atomic_fetch_add(&moments->progress, 1);
}

static void work_set(uint32_t index)
{
	(void)index;
	while (!atomic_load(&moments->failed))
		hold_and_move();
}

static bool prove_set(void)
{
	unsigned short values[SEMAPHORES];
	union semun argument = {.array = values};

	if (tenon_semctl(id, 0, GETALL, argument) != 0)
		return moments_wrong("GETALL", errno);
	return memcmp(values, first_values, sizeof(values)) == 0 ||
	       moments_wrong("the count", values[0] * 10000 + values[1] * 100 + values[2]);
}

static void clear_set(void)
{
	tenon_semctl(tenon_semget(KEY, 0, 0), 0, IPC_RMID);
}

static bool make_queue(void)
{
	struct msqid_ds status;

	id = tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
	if (id < 0 || tenon_msgctl(id, IPC_STAT, &status) != 0)
		return false;
	status.msg_qbytes = QUEUE_BYTES;
	return tenon_msgctl(id, IPC_SET, &status) == 0;
}

static void send_next(uint32_t index)
{
	struct moments_slot *slot = &moments->slot[index];
	struct text text = {.type = index + 1, .number = atomic_fetch_add(&slot->word, 1) + 1};
	size_t bytes = sizeof(text.number) + moments_random(sizeof(text.bytes));

	memset(text.bytes, 'a' + (int)(text.number % 26), sizeof(text.bytes));
	if (tenon_msgsnd(id, &text, bytes, 0) != 0)
		moments_wrong("msgsnd", errno);
	atomic_fetch_add(&moments->word[SENT], 1);
}

static bool is_whole(const struct text *text, ssize_t bytes)
{
	if (bytes < (ssize_t)sizeof(text->number) || text->type < 1 || text->type > WORKERS)
		return false;
	for (size_t i = 0; i < (size_t)bytes - sizeof(text->number); i++)
		if (text->bytes[i] != 'a' + (char)(text->number % 26))
			return false;
	return true;
}

static void note(const struct text *text, ssize_t bytes)
{
	_Atomic uint64_t *word;

	if (!is_whole(text, bytes)) {
		moments_wrong("a message that is not whole, of type", text->type);
		return;
	}
	word = &moments->word[MESSAGES + ((uint64_t)text->type - 1) * WINDOW +
			      text->number % WINDOW];
	if (atomic_exchange(word, text->number) == text->number)
		moments_wrong("received twice", (int64_t)text->number);
}

static void receive_next(void)
{
	static const long types[] = {0, -(long)WORKERS};
	struct text text;
	ssize_t bytes;

	bytes = tenon_msgrcv(id, &text, sizeof(text) - sizeof(text.type), types[moments_random(2)],
			     moments_random(4) == 0 ? MSG_NOERROR : 0);
	if (bytes < 0)
		moments_wrong("msgrcv", errno);
	else
		note(&text, bytes);
	atomic_fetch_add(&moments->word[RECEIVED], 1);
}

static void work_queue(uint32_t index)
{
	while (!atomic_load(&moments->failed)) {
		if (index % 2)
			receive_next();
		else
			send_next(index);
		atomic_fetch_add(&moments->progress, 1);
	}
}

/* What was sent was received or is there, but for what the dead were at; each death leaves one in doubt at most. */
static bool prove_queue(void)
{
	int64_t doubtful = (int64_t)atomic_load(&moments->deaths), left = 0, lost;
	struct msqid_ds status;
	struct text text;
	ssize_t bytes;

	while ((bytes = tenon_msgrcv(id, &text, sizeof(text) - sizeof(text.type), 0, IPC_NOWAIT)) >=
	       0) {
		note(&text, bytes);
		left++;
	}
	if (errno != ENOMSG)
		return moments_wrong("msgrcv, at the end", errno);
	if (tenon_msgctl(id, IPC_STAT, &status) != 0 || status.msg_qnum != 0 ||
	    status.__msg_cbytes != 0)
		return moments_wrong("an empty queue", (int64_t)status.__msg_cbytes);
	lost = (int64_t)atomic_load(&moments->word[SENT]) -
	       (int64_t)atomic_load(&moments->word[RECEIVED]) - left;
	return llabs(lost) <= doubtful || moments_wrong("lost, or received twice", lost);
}

static void clear_queue(void)
{
	tenon_msgctl(tenon_msgget(KEY, 0), IPC_RMID, NULL);
}

static bool make_nothing(void)
{
	return true;
}

static bool is_gone(int error)
{
	return error == EINVAL || error == EIDRM;
}

/* What was got works, or was removed. */
static void use_and_remove(void)
{
	int queue = tenon_msgget(KEY, IPC_CREAT | 0600);
	struct text text = {.type = 1};

	if (queue < 0) {
		moments_wrong("msgget", errno);
		return;
	}
	if (tenon_msgsnd(queue, &text, sizeof(text.number), IPC_NOWAIT) != 0 && !is_gone(errno) &&
	    errno != EAGAIN)
		moments_wrong("msgsnd", errno);
	if (tenon_msgrcv(queue, &text, sizeof(text.number), 0, IPC_NOWAIT) < 0 && !is_gone(errno) &&
	    errno != ENOMSG)
		moments_wrong("msgrcv", errno);
	if (moments_random(3) == 0 && tenon_msgctl(queue, IPC_RMID, NULL) != 0 && !is_gone(errno))
		moments_wrong("IPC_RMID", errno);
	atomic_fetch_add(&moments->progress, 1);
}

static void work_key(uint32_t index)
{
	(void)index;
	while (!atomic_load(&moments->failed))
		use_and_remove();
}

/* One queue or none; and no name but its own. */
static bool prove_key(void)
{
	int queue = tenon_msgget(KEY, 0);

	if (queue >= 0 && tenon_msgctl(queue, IPC_RMID, NULL) != 0)
		return moments_wrong("IPC_RMID, at the end", errno);
	if (tenon_msgget(KEY, 0) >= 0 || errno != ENOENT)
		return moments_wrong("two at one key", errno);
	return true;
}

static void clear_nothing(void)
{
}

const struct moments_kind moments_sysv_sem = {.name = "sysv-sem",
					      .workers = WORKERS,
					      .set_up = make_set,
					      .work = work_set,
					      .feed = feed,
					      .prove = prove_set,
					      .clear = clear_set};

const struct moments_kind moments_sysv_msg = {.name = "sysv-msg",
					      .workers = WORKERS,
					      .set_up = make_queue,
					      .work = work_queue,
					      .feed = feed,
					      .prove = prove_queue,
					      .clear = clear_queue};

const struct moments_kind moments_sysv_key = {.name = "sysv-key",
					      .workers = WORKERS,
					      .set_up = make_nothing,
					      .work = work_key,
					      .feed = feed,
					      .prove = prove_key,
					      .clear = clear_nothing};
