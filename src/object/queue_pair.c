/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One descriptor that is readable while there is a message and writable while there is room, as Linux's message
 * queue descriptors are: a FIFO with room for two packets (O_DIRECT), opened for both by everybody.
 *
 *	packets		poll(2) says
 *	0		writable
 *	1		readable and writable
 *	2		readable
 *
 * Each side has a level: senders whether it is readable, receivers whether it is writable.  There are to be as many
 * packets as it is readable, and one more if it is not writable.  A level is changed by one compare-and-swap, and who changed
 * it puts in or takes out one packet, no other: so two directions at once need not look at each other.
 *
 *	raise	P1 level = 1	under the lock of who sends, takes, or puts back
 *		P2 one step	dies here: the lock is taken over by who repairs, and counts
 *		P3 publish	dies here: the level says more than there is, until who looks finds nothing
 *	lower	L1 level = 0, under the lock of the side that raises it, when there is nothing
 *		L2 one step	dies here: as above
 *		L3 look once more, since what is put back is so under the other lock
 *	count	C1 epoch + 1	who repairs, who begins to poll, and who has the FIFO open anew
 *				dies here: the lock that it has is taken over by who repairs, and counts; or the next
 *				one who begins to poll, or opens it, counts
 *		C2 packets as they are to be, until no one else has counted meanwhile
 *				dies here: the same
 *
 * Who counts cannot know whether another's step is yet to come; so whoever steps looks at the epoch before and behind, and
 * counts too if somebody did.  What is wrong for another reason (a stranger has read the FIFO) shows when a step finds it full
 * or empty, and to who looks in vain again and again.
 *
 * Who finds nothing looks whether somebody has died with a lock, and repairs, though the level is right.  Whoever begins to
 * poll says so (TNI_WANTED_PAIR), brings both levels in order, and says that (TNI_PAIR_SETTLED); should it die before, the
 * next one does it.
 *
 * So what somebody waits for is told before it is there, and who dies leaves a descriptor that promises too much, never
 * one that promises too little.  A queue that was never polled has none of this.
 *
 * ORD epoch: who steps changes the level and then looks at the epoch; who counts changes the epoch and then looks at the levels.
 * One of them sees the other.
 *
 * ORD flags: who sees a change of O_NONBLOCK as done asks fcntl(2) behind it, and sees it as begun as well.
 *
 * Known fault: if one is killed between its step and its look at the epoch, in the same instants in which another one counts
 * (that is: after another death, or an opening), a packet too many or too few may stay until somebody sends or receives.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "object/queue_limit.h"
#include "object/queue_private.h"

#define PACKETS_MOST 2
#define PIPE_BYTES (PACKETS_MOST * TNI_PAGE_BYTES)
/* Two who count at once may undo each other's steps; so often in a row they do not. */
#define COUNT_ATTEMPTS 200u
/* Of those who look in vain one in so many counts. */
#define LOOKS_IN_VAIN 64u
#define HIGH_DESCRIPTOR 256

bool tni_pair_is_wanted(const struct tenon_queue *queue)
{
	return __builtin_expect(tni_get32(&queue->control->poll_wanted) & TNI_WANTED_PAIR, 0);
}

static void set_size(int fd)
{
	if (fcntl(fd, F_GETPIPE_SZ) != (int)PIPE_BYTES)
		fcntl(fd, F_SETPIPE_SZ, (int)PIPE_BYTES);
}

/* Out of the way of programs that close the numbers they might have and open others: to write to those would be worse than
 * to tell nobody. */
static int move_up(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* The one that this process changes it by, which it keeps, since the name may go. */
static int own_descriptor(struct tenon_queue *queue, bool make)
{
	int fd = (int)tni_get32(&queue->pair_fd) - 1;
	uint32_t unset = 0;

	if (fd >= 0)
		return fd;
	fd = tni_fifo_open(queue, TNI_FIFO_PAIR, make);
	if (fd < 0)
		return fd;
	/* Packets, which do not run into each other. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK | O_DIRECT) != 0) {
		int result = -errno;

		close(fd);
		return result;
	}
	set_size(fd);
	fd = move_up(fd);
	if (!tni_cas32(&queue->pair_fd, &unset, (uint32_t)fd + 1)) {
		close(fd);
		fd = (int)unset - 1;
	}
	return fd;
}

void tni_pair_close(struct tenon_queue *queue)
{
	int fd = (int)tni_get32(&queue->pair_fd) - 1;

	tni_set32(&queue->pair_fd, 0);
	if (fd >= 0)
		close(fd);
}

static int packets_wanted(const struct tenon_queue *queue)
{
	const struct tni_a32 *level = queue->control->pair_level;

	/* ORD(epoch) */
	return (tni_load_total32(&level[TNI_SEND]) != 0) +
	       (tni_load_total32(&level[TNI_RECEIVE]) == 0);
}

void tni_pair_count(struct tenon_queue *queue)
{
	struct tni_a32 *epoch = &queue->control->pair_epoch;
	uint32_t own = tni_fetch_add_total32(epoch, 1) + 1; /* ORD(epoch) */
	int fd = own_descriptor(queue, false), packets;
	char packet;

	for (uint32_t i = 0; fd >= 0 && i < COUNT_ATTEMPTS; i++) {
		int wanted = packets_wanted(queue);

		if (ioctl(fd, FIONREAD, &packets) != 0)
			return;
		if (packets < wanted)
			(void)!write(fd, "", 1);
		else if (packets > wanted)
			(void)!read(fd, &packet, 1);
		else if (tni_get32(epoch) == own)
			return;
		own = tni_get32(epoch);
	}
}

/* Changes a level, and by one packet what the descriptor says.  Who has not got it leaves the level, and the next one
 * tells, who has. */
static void change(struct tenon_queue *queue, uint32_t side, uint32_t to)
{
	struct tni_a32 *epoch = &queue->control->pair_epoch, *level;
	int fd = own_descriptor(queue, false);
	uint32_t before = tni_get32(epoch), from;
	ssize_t bytes;
	char packet;

	level = &queue->control->pair_level[side];
	from = tni_get32(level);
	/* Whatever else than 0 somebody may have written there is 1. */
	if (fd < 0 || (from != 0) == to || !tni_cas_total32(level, &from, to)) /* ORD(epoch) */
		return;
	/* A packet more when it becomes readable, or ceases to be writable. */
	bytes = to == (side == TNI_SEND) ? write(fd, "", 1) : read(fd, &packet, 1);
	if (bytes != 1 || tni_load_total32(epoch) != before) /* ORD(epoch) */
		tni_pair_count(queue);
}

void tni_pair_raise(struct tenon_queue *queue, uint32_t side)
{
	if (tni_get32(&queue->control->pair_level[side]) == 0)
		change(queue, side, 1);
}

/* Under the lock of the side. */
static void settle(struct tenon_queue *queue, uint32_t side)
{
	if (!tni_poll_is_ready(queue, side)) {
		change(queue, side, 0);
		if (!tni_poll_is_ready(queue, side))
			return;
	}
	change(queue, side, 1);
}

void tni_pair_lower(struct tni_call *call, uint32_t side)
{
	struct tenon_queue *queue = call->queue;
	uint32_t cpu;

	(void)!tni_call_heal(call, tni_grace_ns());
	if (tni_poll_is_ready(queue, side))
		return;
	if (tni_get32(&queue->control->pair_level[side]) == 0) {
		if (tni_fetch_add32(&queue->pair_looks, 1) % LOOKS_IN_VAIN == LOOKS_IN_VAIN - 1)
			tni_pair_count(queue);
		return;
	}
	if (tni_side_visit(call, side, tni_grace_ns(), &cpu) != 0)
		return;
	settle(queue, side);
	tni_side_part(call, side, cpu);
}

bool tni_pair_is_watched(const struct tenon_queue *queue)
{
	return tni_get32(&queue->control->poll_wanted) & TNI_PAIR_SETTLED;
}

int tni_pair_watch(struct tenon_queue *queue)
{
	struct tni_call call;
	int result;

	if (tni_pair_is_watched(queue))
		return 0;
	result = own_descriptor(queue, true);
	if (result >= 0)
		result = tni_call_begin(&call, queue);
	if (result == 0)
		tni_queue_mark(queue, TNI_WANTED_PAIR);
	/* Who goes the short way asks under the lock whether somebody polls: behind these two all know. */
	for (uint32_t side = 0; result == 0 && side < TNI_GATES; side++) {
		result = tni_side_lock(&call, side, INT64_MAX);
		if (result != 0)
			break;
		settle(queue, side);
		tni_side_unlock(&call, side);
	}
	if (result == 0) {
		tni_pair_count(queue);
		tni_queue_mark(queue, TNI_PAIR_SETTLED);
	}
	return result;
}

void tni_pair_flags_begin(struct tenon_queue *queue)
{
	tni_fetch_add32(&queue->control->flag_changes_begun, 1);
}

void tni_pair_flags_end(struct tenon_queue *queue)
{
	tni_fetch_add32(&queue->control->flag_changes_done, 1); /* ORD(flags) */
}

uint32_t tni_pair_flags_count(const struct tenon_queue *queue)
{
	uint32_t done = tni_load_acquire32(&queue->control->flag_changes_done), /* ORD(flags) */
		begun = tni_get32(&queue->control->flag_changes_begun);

	return begun << 1 | (begun != done);
}

int tni_pair_open(struct tenon_queue *queue, int flags, int *ret_fd)
{
	int own = own_descriptor(queue, true), fd;

	if (own < 0)
		return own;
	fd = tni_fifo_open(queue, TNI_FIFO_PAIR, false);
	/* Removed meanwhile: by the one that is open. */
	if (fd == -ENOENT) {
		int result = tni_file_reopen_at_once(own, O_RDWR, &fd);

		if (result != 0)
			return result;
	}
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETFL, flags) != 0) {
		int result = -errno;

		close(fd);
		return result;
	}
	/* Who had it open last has taken the packets with him. */
	if (tni_pair_is_wanted(queue))
		tni_pair_count(queue);
	*ret_fd = fd;
	return 0;
}

bool tni_pair_is_likely(int fd)
{
	return fcntl(fd, F_GETPIPE_SZ) == (int)PIPE_BYTES;
}

int tni_pair_identify(int fd, char *ret_namespace, size_t capacity_bytes, uint64_t *ret_inode,
		      uint64_t *ret_id)
{
	unsigned long long inode, id;
	char link[32], *name;
	struct stat status;
	ssize_t bytes;
	int end = 0;

	if (fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode))
		return -EBADF;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, ret_namespace, capacity_bytes - 1);
	if (bytes < 0)
		return -EBADF;
	ret_namespace[bytes] = '\0';
	name = strrchr(ret_namespace, '/');
	if (!name || sscanf(name, "/.q.%16llx.%16llx.m%n", &inode, &id, &end) != 2 || end == 0 ||
	    (name[end] != '\0' && name[end] != ' '))
		return -EBADF;
	*name = '\0';
	*ret_inode = inode;
	*ret_id = id;
	return 0;
}
