/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Attacks that take several words at once, or that chance finds rarely: each is made on purpose, on a
 * victim of its own, which has five seconds.  A victim may be given errors, whatever they are.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/queue.h>

#include "../crash/folder.h"
#include "object/queue_private.h"

#define PATIENCE_S 5u
#define WAIT_NS 2000000

struct stage {
	struct tenon_queue *queue;	   /* the victim's */
	struct tni_queue_control *control; /* through the attacker's mapping */
	uint8_t *base;
	uint8_t bytes[70000];
};

static struct tenon_send_options sending(void)
{
	return (struct tenon_send_options){.size = sizeof(struct tenon_send_options),
					   .deadline_ns = tenon_deadline_after(WAIT_NS)};
}

static struct tenon_receive_options receiving(void)
{
	return (struct tenon_receive_options){.size = sizeof(struct tenon_receive_options),
					      .deadline_ns = tenon_deadline_after(WAIT_NS)};
}

static int send_bytes(struct stage *stage, uint64_t bytes)
{
	struct tenon_send_options options = sending();

	return tenon_queue_send(stage->queue, stage->bytes, bytes, &options);
}

static int receive_bytes(struct stage *stage)
{
	struct tenon_receive_options options = receiving();

	return tenon_queue_receive(stage->queue, stage->bytes, sizeof(stage->bytes), &options,
				   NULL);
}

static void set_stage(struct stage *stage, uint32_t order, uint64_t capacity, uint64_t bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = capacity,
					      .max_message_bytes = bytes,
					      .mode = 0600,
					      .max_participants = 4};

	if (tenon_queue_open(NULL, "attack", TENON_QUEUE_CREATE, &options, &stage->queue) != 0)
		_exit(3);
	stage->base = mmap(NULL, stage->queue->object.extent_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE, stage->queue->object.fd, 0);
	if (stage->base == MAP_FAILED)
		_exit(3);
	stage->control = (struct tni_queue_control *)(stage->base +
						      ((uint8_t *)stage->queue->control -
						       stage->queue->object.base));
}

static void *entry_of(struct stage *stage, const struct tni_table *table, uint64_t index)
{
	return stage->base + table->offset + index * table->entry_bytes;
}

/* A withdrawing sender asks every lease whether it holds the message. */
static void endless_leases(struct stage *stage)
{
	set_stage(stage, TENON_QUEUE_FIFO, TENON_QUEUE_RENDEZVOUS, 100);
	tni_set64(&stage->control->receive.leases.top, UINT64_MAX);
	send_bytes(stage, 8);
}

/* Two chunks of the log, each beginning with a jump to the other. */
static void jump_ring(struct stage *stage)
{
	uint64_t chunk;

	set_stage(stage, TENON_QUEUE_FIFO, 100, 64);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	for (chunk = 0; chunk < 2; chunk++) {
		struct tni_chunk *at = entry_of(stage, &stage->queue->chunks, chunk);

		tni_set64((struct tni_a64 *)(at + 1),
			  (1 - chunk) | (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT);
	}
	tni_set64(&stage->control->send.chunks.pool.top, 2);
	tni_set64(&stage->control->send.sent_seen, 5);
	receive_bytes(stage);
}

static void jump_ring_peeked(struct stage *stage)
{
	struct tenon_message message;
	uint64_t chunk;

	set_stage(stage, TENON_QUEUE_FIFO, 100, 64);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	for (chunk = 0; chunk < 2; chunk++) {
		struct tni_chunk *at = entry_of(stage, &stage->queue->chunks, chunk);

		tni_set64((struct tni_a64 *)(at + 1),
			  (1 - chunk) | (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT);
	}
	tni_set64(&stage->control->send.sent_seen, 5);
	(void)!tenon_queue_peek(stage->queue, 0, stage->bytes, 64, &message);
}

/* An ordered queue's log leads back into itself: the messages in it would be drained for ever. */
static void record_ring(struct stage *stage)
{
	struct tni_chunk *first, *second;
	uint64_t word = (uint64_t)TNI_RECORD_JUMP << TNI_RECORD_KIND_SHIFT;

	set_stage(stage, TENON_QUEUE_PRIORITY, 100, 64);
	for (uint32_t i = 0; i < 3; i++)
		send_bytes(stage, 8);
	if (fallocate(stage->queue->object.fd, 0, (off_t)stage->queue->chunks.offset, 65536) != 0)
		_exit(3);
	first = entry_of(stage, &stage->queue->chunks, 0);
	second = entry_of(stage, &stage->queue->chunks, 1);
	tni_set64((struct tni_a64 *)(first + 1) + 6, word | 1);
	tni_set64((struct tni_a64 *)(second + 1), word);
	receive_bytes(stage);
}

/* The end of the file is nearer than a slot's label says. */
static void slot_past_the_end(struct stage *stage)
{
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	send_bytes(stage, 8);
	slot = entry_of(stage, &stage->queue->slots, 0);
	tni_set64(&slot->room_bytes, stage->queue->slots.entry_bytes - sizeof(*slot));
	tni_set32(&slot->bytes, 60000);
	tni_set64((struct tni_a64 *)((uint8_t *)entry_of(stage, &stage->queue->chunks, 0) +
				     sizeof(struct tni_chunk)),
		  60000 | (uint64_t)TNI_RECORD_SLOT << TNI_RECORD_KIND_SHIFT);
	receive_bytes(stage);
}

/* The same, written: a free slot says that it has all its memory. */
static void write_past_the_end(struct stage *stage)
{
	struct tni_slot *slot;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 60000);
	send_bytes(stage, 8);
	receive_bytes(stage);
	slot = entry_of(stage, &stage->queue->slots, 0);
	tni_set64(&slot->room_bytes, stage->queue->slots.entry_bytes - sizeof(*slot));
	send_bytes(stage, 60000);
}

static struct tni_a32 over;

static void *lead_astray(void *context)
{
	struct stage *stage = context;

	while (!tni_get32(&over))
		for (uint32_t i = 0; i < 16; i++) {
			tni_set64(&stage->control->send.journal.entry[i].offset, UINT64_C(1) << 45);
			tni_set64(&stage->control->receive.journal.entry[i].offset, UINT64_C(1)
											    << 45);
		}
	return NULL;
}

/* Operations that are taken back: their journal changes in between. */
static void astray_journal(struct stage *stage)
{
	struct tni_slot *slot;
	pthread_t attacker;
	int64_t end;

	set_stage(stage, TENON_QUEUE_PRIORITY, 10, 64);
	send_bytes(stage, 8);
	slot = entry_of(stage, &stage->queue->slots, 0);
	if (pthread_create(&attacker, NULL, lead_astray, stage) != 0)
		_exit(3);
	end = tenon_deadline_after(INT64_C(2000000000));
	while (tenon_deadline_after(0) < end) {
		/* A chunk that cannot be: the send fails behind its first steps. */
		tni_set64(&stage->control->send.state[0].tail, UINT64_MAX);
		tni_set64(&stage->control->send.state[1].tail, UINT64_MAX);
		tni_set64(&stage->control->send.slots.pool.free_link, 0);
		tni_set64(&stage->control->send.slots.pool.top, 1);
		tni_set64(&slot->sequence, 0);
		send_bytes(stage, 8);
	}
	tni_set32(&over, 1);
	pthread_join(attacker, NULL);
}

/* More messages are announced than there are. */
static void false_news(struct stage *stage)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};
	struct tenon_receive_options forever = {.size = sizeof(forever)};

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.sent_seen, 3);
	/* A wait without a deadline ends when a signal comes; a loop would not. */
	setitimer(ITIMER_REAL, &timer, NULL);
	(void)!tenon_queue_receive(stage->queue, stage->bytes, 64, &forever, NULL);
}

/* A gate whose owner does not exist, and a caller whom signals wake all the time. */
static void restless_locker(struct stage *stage)
{
	struct itimerval timer = {{0, 20000}, {0, 20000}};

	set_stage(stage, TENON_QUEUE_FIFO, 10, 64);
	tni_set64(&stage->control->send.gate.word, 1);
	setitimer(ITIMER_REAL, &timer, NULL);
	(void)!tenon_queue_check(stage->queue, NULL, 0);
}

static const struct attack {
	const char *name;
	void (*run)(struct stage *stage);
} attacks[] = {
	{"more leases than there can be, asked by a withdrawing sender", endless_leases},
	{"a log of jumps in a ring, received", jump_ring},
	{"a log of jumps in a ring, peeked", jump_ring_peeked},
	{"a log of messages in a ring, drained", record_ring},
	{"a message that reaches past the file's end", slot_past_the_end},
	{"a free slot that reaches past the file's end", write_past_the_end},
	{"a journal that changes while it is undone", astray_journal},
	{"messages announced that are not there", false_news},
	{"a gate's owner that is not there, under signals", restless_locker},
};

static void on_signal(int number)
{
	(void)number;
}

static bool survives(const struct attack *attack)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct timespec patience = {PATIENCE_S, 0}, none = {0, 0};
	sigset_t set;
	int status;
	pid_t pid;

	fflush(stdout);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid = fork();
	if (pid == 0) {
		static struct stage stage;

		sigaction(SIGALRM, &action, NULL);
		attack->run(&stage);
		_exit(0);
	}
	if (pid < 0)
		return false;
	if (sigtimedwait(&set, NULL, &patience) < 0)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return false;
	while (sigtimedwait(&set, NULL, &none) > 0)
		;
	tenon_queue_remove(NULL, "attack");
	if (WIFSIGNALED(status))
		printf("# %s %d\n",
		       WTERMSIG(status) == SIGKILL ? "endless: ended with signal" : "signal",
		       WTERMSIG(status));
	else if (status != 0)
		printf("# exit %d\n", WEXITSTATUS(status));
	return status == 0;
}

int main(void)
{
	uint32_t count = sizeof(attacks) / sizeof(attacks[0]), failed = 0;
	char folder[FOLDER_BYTES];

	if (folder_make(folder) != 0)
		return 2;
	printf("1..%u\n", count);
	for (uint32_t i = 0; i < count; i++) {
		bool survived = survives(&attacks[i]);

		failed += !survived;
		printf("%sok %u - %s\n", survived ? "" : "not ", i + 1, attacks[i].name);
	}
	folder_remove(folder);
	return failed > 0;
}
