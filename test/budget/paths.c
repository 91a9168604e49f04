/* SPDX-License-Identifier: Apache-2.0 */

/* The hot paths: a message sent and received, a lock acquired and released, and so on, where nobody has to wait. */

#include "budget.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/posix.h>
#include <tenon/queue.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>
#include <tenon/sysv.h>

#define BYTES 64u
/* That lie in a queue all the time. */
#define QUEUED 1000u
#define KINDS 8u

#define NEED(condition)                                        \
	do {                                                   \
		if (!(condition)) {                            \
			fprintf(stderr, "# %s\n", #condition); \
			exit(EXIT_FAILURE);                    \
		}                                              \
	} while (0)

static struct tenon_queue *queue;
static struct tenon_lock *lock;
static struct tenon_semaphore *semaphore;
static struct tenon_semaphore_set *set;
static struct tenon_event *event;
static mqd_t mq;
static sem_t sem;
static int id;
static uint64_t turn;

static struct {
	long type;
	char text[BYTES];
} message = {.type = 1};

static void open_queue(uint32_t order, uint32_t queued)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = 2 * QUEUED,
					      .max_message_bytes = BYTES,
					      .mode = 0600};
	struct tenon_send_options send = {.size = sizeof(send)};

	NEED(tenon_queue_open(NULL, "/budget", TENON_QUEUE_CREATE, &options, &queue) == 0);
	for (uint32_t i = 0; i < queued; i++) {
		send.key = i % KINDS;
		NEED(tenon_queue_send(queue, message.text, BYTES, &send) == 0);
	}
}

static void begin_fifo(void)
{
	open_queue(TENON_QUEUE_FIFO, 0);
}

static void begin_fifo_queued(void)
{
	open_queue(TENON_QUEUE_FIFO, QUEUED);
}

static void begin_priority(void)
{
	open_queue(TENON_QUEUE_PRIORITY, 0);
}

static void begin_priority_queued(void)
{
	open_queue(TENON_QUEUE_PRIORITY, QUEUED);
}

static void begin_typed(void)
{
	open_queue(TENON_QUEUE_TYPED, 0);
}

static void begin_typed_queued(void)
{
	open_queue(TENON_QUEUE_TYPED, QUEUED);
}

static void pass(void)
{
	struct tenon_message received;

	NEED(tenon_queue_send(queue, message.text, BYTES, NULL) == 0);
	NEED(tenon_queue_receive(queue, message.text, BYTES, NULL, &received) == 0);
}

/* Of one kind after the other: the oldest of the highest priority, or of that type. */
static void pass_key(void)
{
	struct tenon_send_options send = {.size = sizeof(send), .key = turn++ % KINDS};
	struct tenon_receive_options receive = {.size = sizeof(receive)};
	struct tenon_message received;

	NEED(tenon_queue_send(queue, message.text, BYTES, &send) == 0);
	NEED(tenon_queue_receive(queue, message.text, BYTES, &receive, &received) == 0);
}

static void pass_type(void)
{
	struct tenon_send_options send = {.size = sizeof(send), .key = turn++ % KINDS};
	struct tenon_receive_options receive = {
		.size = sizeof(receive), .select = TENON_SELECT_EXACTLY, .select_key = send.key};
	struct tenon_message received;

	NEED(tenon_queue_send(queue, message.text, BYTES, &send) == 0);
	NEED(tenon_queue_receive(queue, message.text, BYTES, &receive, &received) == 0);
}

static void pass_in_place(void)
{
	struct tenon_lease lease;
	struct tenon_loan loan;

	NEED(tenon_queue_loan(queue, BYTES, &loan) == 0);
	memset(loan.data, 'x', BYTES);
	NEED(tenon_queue_commit(queue, &loan, BYTES, NULL) == 0);
	NEED(tenon_queue_take(queue, NULL, &lease) == 0);
	NEED(tenon_queue_done(queue, &lease) == 0);
}

static void begin_lock(void)
{
	NEED(tenon_lock_open(NULL, "/budget", TENON_CREATE, NULL, &lock) == 0);
}

static void hold(void)
{
	NEED(tenon_lock_acquire(lock, TENON_NO_DEADLINE) == 0);
	NEED(tenon_lock_release(lock) == 0);
}

static void share(void)
{
	NEED(tenon_lock_acquire_shared(lock, TENON_NO_DEADLINE) == 0);
	NEED(tenon_lock_release_shared(lock) == 0);
}

static void begin_semaphore(void)
{
	NEED(tenon_semaphore_open(NULL, "/budget", TENON_CREATE, NULL, &semaphore) == 0);
}

static void count(void)
{
	NEED(tenon_semaphore_release(semaphore, 1, 0, NULL) == 0);
	NEED(tenon_semaphore_acquire(semaphore, 1, 0, TENON_NO_DEADLINE) == 0);
}

static void begin_event(void)
{
	NEED(tenon_event_open(NULL, "/budget", TENON_CREATE, NULL, &event) == 0);
}

static void tell(void)
{
	NEED(tenon_event_set(event) == 0);
	NEED(tenon_event_reset(event) == 0);
}

static void begin_set(void)
{
	struct tenon_semaphore_set_options options = {.size = sizeof(options), .count = 1};

	NEED(tenon_semaphore_set_open(NULL, "/budget", TENON_CREATE, &options, &set) == 0);
}

static void operate(void)
{
	struct tenon_semaphore_operation up = {.change = 1}, down = {.change = -1};

	NEED(tenon_semaphore_set_operate(set, &up, 1, TENON_NO_DEADLINE) == 0);
	NEED(tenon_semaphore_set_operate(set, &down, 1, TENON_NO_DEADLINE) == 0);
}

static void begin_mq(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = BYTES};

	mq = tenon_mq_open("/budget", O_RDWR | O_CREAT, 0600, &attributes);
	NEED(mq != (mqd_t)-1);
}

static void pass_mq(void)
{
	NEED(tenon_mq_send(mq, message.text, BYTES, 0) == 0);
	NEED(tenon_mq_receive(mq, message.text, BYTES, NULL) == BYTES);
}

static void begin_sem(void)
{
	NEED(tenon_sem_init(&sem, 1, 0) == 0);
}

static void count_sem(void)
{
	NEED(tenon_sem_post(&sem) == 0);
	NEED(tenon_sem_wait(&sem) == 0);
}

static void begin_msg(void)
{
	id = tenon_msgget(IPC_PRIVATE, 0600);
	NEED(id >= 0);
}

static void pass_msg(void)
{
	NEED(tenon_msgsnd(id, &message, BYTES, 0) == 0);
	NEED(tenon_msgrcv(id, &message, BYTES, 1, 0) == BYTES);
}

static void begin_semop(void)
{
	id = tenon_semget(IPC_PRIVATE, 1, 0600);
	NEED(id >= 0);
}

static void semop_twice(short flags)
{
	struct sembuf up = {.sem_op = 1, .sem_flg = flags}, down = {.sem_op = -1, .sem_flg = flags};

	NEED(tenon_semop(id, &up, 1) == 0);
	NEED(tenon_semop(id, &down, 1) == 0);
}

static void count_semop(void)
{
	semop_twice(0);
}

static void count_undo(void)
{
	semop_twice(SEM_UNDO);
}

const struct budget_path budget_paths[] = {
	{"fifo", begin_fifo, pass},
	{"fifo-queued", begin_fifo_queued, pass},
	{"priority", begin_priority, pass},
	{"priority-eight-queued", begin_priority_queued, pass_key},
	{"typed", begin_typed, pass},
	{"typed-eight-queued", begin_typed_queued, pass_type},
	{"in-place", begin_fifo, pass_in_place},
	{"lock", begin_lock, hold},
	{"lock-shared", begin_lock, share},
	{"semaphore", begin_semaphore, count},
	{"event", begin_event, tell},
	{"semaphore-set", begin_set, operate},
	{"mq", begin_mq, pass_mq},
	{"sem", begin_sem, count_sem},
	{"msg", begin_msg, pass_msg},
	{"semop", begin_semop, count_semop},
	{"semop-undo", begin_semop, count_undo},
	{NULL, NULL, NULL},
};
