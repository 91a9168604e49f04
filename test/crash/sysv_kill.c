/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Message queues of System V, and what all its objects have in common, killed at the instructions of their calls:
 * points.h.  The others of it are sysv_sem_kill.c's.
 *
 * The sleeper is blocked, or makes the same key's queue.  Afterwards a key has one queue or none, whoever is blocked
 * has got EIDRM or the queue is whole, no message is lost or there twice, and the folder is empty behind one removal
 * and one look.
 *
 * Nothing of Tenon's is named here: it is compiled with tenon/compat, and, without it, for the preload library.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <unistd.h>

#include "points.h"
#include "step.h"

#define KEY ((key_t)0x54454e4f)
#define TEXT_BYTES 4000
#define QUEUE_BYTES 100 /* of a queue that is to be full */
#define TYPES 16
#define OWNER 4711 /* nobody has to be it */

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

enum operation {
	MAKE,
	MAKE_ONLY, /* IPC_EXCL */
	MAKE_PRIVATE,
	FIND,
	REMOVE,
	SET,
	STAT,
	SEND,
	RECEIVE,
	COPY,
};

/* What the sleeper is at: to receive, to send, to make the queue as the victim does. */
enum sleeping { RECEIVES, SENDS, MAKES };

static const struct kind {
	enum operation operation;
	enum sleeping sleeping;
	/* Of the victim's message or the one it wants; of the sleeper's. */
	long type;
	int flags;
	size_t bytes;
	long sleepers_type;
	size_t sleepers_bytes;
	int messages; /* at first: of the types 1, 2, ... */
	size_t their_bytes;
	bool is_small; /* full with QUEUE_BYTES */
	bool is_fresh; /* the victim has not used it before */
} kinds[] = {
	{.operation = MAKE, .sleeping = MAKES, .is_fresh = true},
	{.operation = MAKE_ONLY, .sleeping = MAKES, .is_fresh = true},
	{.operation = MAKE_PRIVATE, .sleeping = MAKES, .is_fresh = true},
	{.operation = FIND, .sleeping = RECEIVES, .is_fresh = true},
	{.operation = FIND, .sleeping = RECEIVES},
	{.operation = REMOVE, .sleeping = RECEIVES, .sleepers_type = 0},
	{.operation = REMOVE, .sleeping = RECEIVES, .sleepers_type = -5},
	{.operation = REMOVE,
	 .sleeping = SENDS,
	 .messages = 1,
	 .their_bytes = 60,
	 .sleepers_bytes = 70,
	 .is_small = true},
	{.operation = REMOVE, .sleeping = RECEIVES, .is_fresh = true},
	{.operation = SET, .sleeping = RECEIVES},
	{.operation = SET,
	 .sleeping = SENDS,
	 .messages = 1,
	 .their_bytes = 60,
	 .sleepers_bytes = 70,
	 .is_small = true},
	{.operation = STAT, .sleeping = RECEIVES, .is_fresh = true},
	{.operation = SEND, .sleeping = RECEIVES, .type = 7, .bytes = 20, .sleepers_type = 7},
	{.operation = SEND,
	 .sleeping = RECEIVES,
	 .type = 7,
	 .bytes = TEXT_BYTES,
	 .sleepers_type = -9},
	{.operation = SEND, .sleeping = RECEIVES, .type = 7, .sleepers_type = 8},
	{.operation = SEND, .sleeping = RECEIVES, .type = 7, .bytes = 20, .is_fresh = true},
	{.operation = SEND,
	 .sleeping = SENDS,
	 .type = 7,
	 .bytes = 70,
	 .sleepers_bytes = 100,
	 .messages = 1,
	 .their_bytes = 60,
	 .is_small = true},
	{.operation = SEND,
	 .sleeping = SENDS,
	 .type = 7,
	 .bytes = 30,
	 .sleepers_bytes = 80,
	 .messages = 1,
	 .their_bytes = 80,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 100,
	 .messages = 1,
	 .their_bytes = 60,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .type = 2,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 50,
	 .messages = 3,
	 .their_bytes = 30,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .type = -2,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 35,
	 .messages = 3,
	 .their_bytes = 30,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .type = 1,
	 .flags = MSG_EXCEPT,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 40,
	 .messages = 3,
	 .their_bytes = 30,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .flags = MSG_NOERROR,
	 .bytes = 5,
	 .sleepers_bytes = 40,
	 .messages = 3,
	 .their_bytes = 30,
	 .is_small = true},
	{.operation = RECEIVE,
	 .sleeping = SENDS,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 100,
	 .messages = 1,
	 .their_bytes = 60,
	 .is_small = true,
	 .is_fresh = true},
	{.operation = RECEIVE, .sleeping = RECEIVES, .bytes = TEXT_BYTES},
	{.operation = RECEIVE,
	 .sleeping = RECEIVES,
	 .type = 7,
	 .bytes = TEXT_BYTES,
	 .sleepers_type = 7},
	{.operation = COPY,
	 .sleeping = SENDS,
	 .type = 1,
	 .flags = IPC_NOWAIT | MSG_COPY,
	 .bytes = TEXT_BYTES,
	 .sleepers_bytes = 50,
	 .messages = 3,
	 .their_bytes = 30,
	 .is_small = true},
};

struct text {
	long type;
	char bytes[TEXT_BYTES];
};

/* Shared: what the others have found. */
static struct shared {
	_Atomic int id;		 /* the queue */
	_Atomic int victims_id;	 /* what its msgget answered, + 1 */
	_Atomic int sleepers_id; /* and the sleeper's */
} * shared;

static struct text buffer;
static int own, helped;

static const struct kind *kind_of(const struct points_case *one)
{
	return &kinds[one->number];
}

static int send_one(int id, long type, size_t bytes, int flags)
{
	static struct text text;

	text.type = type;
	memset(text.bytes, 'a' + (int)type, bytes);
	return msgsnd(id, &text, bytes, flags) == 0 ? 0 : -errno;
}

static bool makes(enum operation operation)
{
	return operation == MAKE || operation == MAKE_ONLY || operation == MAKE_PRIVATE;
}

/* Makes the queue and what is in it. */
static int make_queue(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);
	int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600), result = id < 0 ? -errno : 0;
	struct msqid_ds status;

	atomic_store(&shared->id, id);
	if (result == 0 && kind->is_small) {
		if (msgctl(id, IPC_STAT, &status) != 0)
			return -errno;
		status.msg_qbytes = QUEUE_BYTES;
		result = msgctl(id, IPC_SET, &status) == 0 ? 0 : -errno;
	}
	for (long type = 1; result == 0 && type <= kind->messages; type++)
		result = send_one(id, type, kind->their_bytes, IPC_NOWAIT);
	return result;
}

static bool set_stage(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);

	helped = 0;
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	atomic_store(&shared->victims_id, 0);
	atomic_store(&shared->sleepers_id, 0);
	own = -1;
	if (makes(kind->operation))
		return true;
	/* What this process has used the victim has, too. */
	if ((kind->is_fresh ? points_die_behind(make_queue, one) : make_queue(one)) != 0)
		return false;
	own = atomic_load(&shared->id);
	return points_are_tenons();
}

static int prepare(const struct points_case *one)
{
	(void)one;
	return 0;
}

static void set_queue(void)
{
	struct msqid_ds status = {.msg_perm.uid = OWNER,
				  .msg_perm.gid = OWNER,
				  .msg_perm.mode = 0640,
				  .msg_qbytes = 2 * QUEUE_BYTES};

	if (geteuid() != 0) {
		status.msg_perm.uid = geteuid();
		status.msg_perm.gid = getegid();
	}
	msgctl(own, IPC_SET, &status);
}

static int get_queue(enum operation operation)
{
	return operation == MAKE_PRIVATE ? msgget(IPC_PRIVATE, 0600)
	       : operation == FIND	 ? msgget(KEY, 0)
	       : operation == MAKE	 ? msgget(KEY, IPC_CREAT | 0600)
					 : msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
}

static void operate(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);
	struct msqid_ds status;

	switch (kind->operation) {
	case REMOVE:
		msgctl(own, IPC_RMID, NULL);
		break;
	case SET:
		set_queue();
		break;
	case STAT:
		msgctl(own, IPC_STAT, &status);
		break;
	case SEND:
		send_one(own, kind->type, kind->bytes, kind->flags);
		break;
	case RECEIVE:
	case COPY:
		(void)!msgrcv(own, &buffer, kind->bytes, kind->type, kind->flags);
		break;
	default:
		atomic_store(&shared->victims_id, get_queue(kind->operation) + 1);
	}
}

/* What is there by key, made if need be, works. */
static int make_and_use(const struct kind *kind)
{
	int id = get_queue(kind->operation == MAKE_ONLY ? MAKE_ONLY : MAKE);

	if (id < 0 && errno == EEXIST)
		id = get_queue(FIND);
	atomic_store(&shared->sleepers_id, id + 1);
	if (id < 0 || send_one(id, 1, 10, IPC_NOWAIT) != 0)
		return -errno;
	return msgrcv(id, &buffer, TEXT_BYTES, 1, IPC_NOWAIT) == 10 ? 0 : -errno;
}

static int sleep_for_it(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);

	if (kind->sleeping == MAKES)
		return make_and_use(kind);
	if (kind->sleeping == SENDS)
		return send_one(own, TYPES - 1, kind->sleepers_bytes, 0);
	return msgrcv(own, &buffer, TEXT_BYTES, kind->sleepers_type, 0) < 0 ? -errno : 0;
}

static bool is_removed(void)
{
	struct msqid_ds status;

	return msgctl(own, IPC_STAT, &status) != 0 && (errno == EINVAL || errno == EIDRM);
}

static bool is_right(const struct points_case *one, int answer)
{
	return answer == 0 ||
	       (answer == -EIDRM && kind_of(one)->operation == REMOVE && is_removed());
}

/* Whether there is what the sleeper waits for. */
static bool is_due(const struct points_case *one, bool finished)
{
	const struct kind *kind = kind_of(one);
	struct msqid_ds status;

	(void)finished;
	if (kind->sleeping == MAKES || msgctl(own, IPC_STAT, &status) != 0)
		return true;
	if (kind->sleeping == SENDS)
		return status.__msg_cbytes + kind->sleepers_bytes <= status.msg_qbytes;
	return status.msg_qnum > 0 && kind->sleepers_type != 8;
}

static int help(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);
	int result = 0;

	if (kind->sleeping == SENDS || kind->operation == SEND) {
		if (kind->sleeping == SENDS &&
		    msgrcv(own, &buffer, TEXT_BYTES, 0, IPC_NOWAIT) >= 0) {
			helped--;
			return 0;
		}
		if (kind->sleeping == SENDS)
			return errno == ENOMSG || errno == EIDRM || errno == EINVAL ? 0 : -errno;
	}
	result = send_one(own, kind->sleepers_type > 0 ? kind->sleepers_type : 5, 10, IPC_NOWAIT);
	helped += result == 0;
	return result == -EIDRM || result == -EINVAL ? 0 : result;
}

/* Takes all that is there: how many, or -1 if one is not as it was sent or is there twice. */
static int drain(void)
{
	uint32_t seen = 0;
	int count = 0;

	for (;; count++) {
		ssize_t bytes = msgrcv(own, &buffer, TEXT_BYTES, 0, IPC_NOWAIT);

		if (bytes < 0)
			return errno == ENOMSG ? count : (points_wrong("receiving", errno), -1);
		for (ssize_t i = 0; i < bytes; i++)
			if (buffer.bytes[i] != 'a' + (char)buffer.type)
				return points_wrong("a text of type", buffer.type), -1;
		if (buffer.type >= TYPES || (seen & 1u << buffer.type && buffer.type != 5))
			return points_wrong("a message twice, of type", buffer.type), -1;
		seen |= 1u << buffer.type;
	}
}

/* An empty queue takes as much as it may, and no more. */
static bool prove_empty(size_t most)
{
	struct msqid_ds status;
	size_t bytes = most < TEXT_BYTES ? most : TEXT_BYTES;

	if (msgctl(own, IPC_STAT, &status) != 0 || status.msg_qnum != 0 || status.__msg_cbytes != 0)
		return points_wrong("an empty queue", (int64_t)status.msg_qnum);
	for (size_t sent = 0; sent + bytes <= most; sent += bytes)
		if (send_one(own, 1, bytes, IPC_NOWAIT) != 0)
			return points_wrong("room", errno);
	if (send_one(own, 1, bytes, IPC_NOWAIT) != -EAGAIN)
		return points_wrong("a full queue", errno);
	while (msgrcv(own, &buffer, TEXT_BYTES, 0, IPC_NOWAIT) >= 0)
		;
	return errno == ENOMSG || points_wrong("an empty queue again", errno);
}

static bool prove_messages(const struct kind *kind, bool finished, int answer, size_t most_bytes)
{
	int least = kind->messages + helped, most, there = drain();

	if (there < 0)
		return false;
	if (answer == 0 && kind->sleeping != MAKES)
		least += kind->sleeping == SENDS ? 1 : -1;
	most = least;
	if (kind->operation == SEND) {
		most++;
		least += finished;
	} else if (kind->operation == RECEIVE) {
		least--;
		most -= finished;
	}
	if (there < least || there > most)
		return points_wrong("messages", there);
	return prove_empty(most_bytes);
}

/* A key has one queue or none; what was answered to somebody is that one. */
static bool prove_made(const struct kind *kind, bool finished)
{
	int victims = atomic_load(&shared->victims_id) - 1;
	int sleepers = atomic_load(&shared->sleepers_id) - 1;

	own = get_queue(FIND);
	if (kind->operation == MAKE_PRIVATE) {
		if (finished && victims < 0)
			return points_wrong("a private one", victims);
		own = victims;
	} else if (own < 0 && (errno != ENOENT || finished || sleepers >= 0)) {
		return points_wrong("finding it", errno);
	} else if (finished && victims != own && (victims >= 0 || sleepers < 0)) {
		return points_wrong("the victim has another", victims);
	} else if (sleepers >= 0 && sleepers != own) {
		return points_wrong("the sleeper has another", sleepers);
	}
	return own < 0 || prove_empty(TEXT_BYTES * 4);
}

/* All of it was set or nothing. */
static bool prove_set(const struct kind *kind, bool finished, size_t *ret_bytes)
{
	struct msqid_ds status;
	bool is_set;

	if (msgctl(own, IPC_STAT, &status) != 0)
		return points_wrong("IPC_STAT", errno);
	is_set = (status.msg_perm.mode & 0777) == 0640;
	if (finished && !is_set)
		return points_wrong("it is not set", status.msg_perm.mode);
	if (geteuid() == 0 &&
	    ((status.msg_perm.uid == OWNER) != is_set || (status.msg_perm.gid == OWNER) != is_set))
		return points_wrong("half is set", status.msg_perm.uid);
	if ((status.msg_qbytes == 2 * QUEUE_BYTES) != is_set)
		return points_wrong("half is set, bytes", (int64_t)status.msg_qbytes);
	if (!is_set && kind->is_small && status.msg_qbytes != QUEUE_BYTES)
		return points_wrong("bytes", (int64_t)status.msg_qbytes);
	*ret_bytes = status.msg_qbytes;
	return true;
}

static bool prove_removed(const struct kind *kind, bool finished, int answer)
{
	int found;

	if (!is_removed()) {
		if (finished || answer == -EIDRM)
			return points_wrong("it is not removed", 0);
		if (get_queue(FIND) != own)
			return points_wrong("its key", errno);
		return prove_messages(kind, false, answer,
				      kind->is_small ? QUEUE_BYTES : TEXT_BYTES * 4);
	}
	found = get_queue(FIND);
	if (found >= 0 || errno != ENOENT)
		return points_wrong("the key of what is removed", found);
	if (send_one(own, 1, 1, IPC_NOWAIT) != -EINVAL)
		return points_wrong("use of what is removed", errno);
	own = get_queue(MAKE_ONLY);
	return own >= 0 || points_wrong("a new one", errno);
}

static bool prove_all(const struct kind *kind, bool finished, int answer)
{
	size_t most = kind->is_small ? QUEUE_BYTES : TEXT_BYTES * 4;

	if (makes(kind->operation))
		return prove_made(kind, finished);
	if (kind->operation == REMOVE)
		return prove_removed(kind, finished, answer);
	if (get_queue(FIND) != own)
		return points_wrong("its key", errno);
	if (kind->operation == SET && !prove_set(kind, finished, &most))
		return false;
	return prove_messages(kind, finished, answer, most);
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	int64_t before_ns = step_now_ns();

	if (!prove_all(kind_of(one), finished, answer))
		return false;
	return !points_is_slow(step_now_ns() - before_ns) ||
	       points_slow("a survivor waited: ns", step_now_ns() - before_ns);
}

/* As ipcrm(1) does with --all: by index, since nobody may have been told the identifier. */
static void remove_all(void)
{
	struct msginfo information;
	struct msqid_ds status;
	int highest = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&information);

	for (int index = 0; index <= highest; index++) {
		int id = msgctl(index, MSG_STAT, &status);

		if (id >= 0)
			msgctl(id, IPC_RMID, NULL);
	}
}

static void clear_stage(const struct points_case *one)
{
	int id = get_queue(FIND);

	if (id >= 0)
		msgctl(id, IPC_RMID, NULL);
	if (kind_of(one)->operation == MAKE_PRIVATE)
		remove_all();
}

#define ALONE(text, row, ...)                                                                \
	{                                                                                    \
		.name = (text), .number = (row), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__  \
	}
#define CASE(text, row, ...)                                                            \
	ALONE(text, row, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
	      .help = help, __VA_ARGS__)
#define NO_SLEEPER .no_sleeper = true
#define WAITS .may_wait = true, .helps_again = true

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("make", 0, .is_rival = true),
		CASE("make-only", 1, .is_rival = true),
		ALONE("make-private", 2, NO_SLEEPER),
		ALONE("find-first", 3, NO_SLEEPER),
		ALONE("find", 4, NO_SLEEPER),
		CASE("remove/receiver", 5),
		CASE("remove/receiver-typed", 6),
		CASE("remove/sender", 7),
		ALONE("remove-first", 8, NO_SLEEPER),
		CASE("set", 9),
		CASE("set/sender", 10),
		ALONE("stat-first", 11, NO_SLEEPER),
		CASE("send/receiver", 12),
		CASE("send-long/receiver", 13),
		CASE("send-empty/receiver-of-another", 14),
		CASE("send-first", 15),
		CASE("send-full/sender", 16, WAITS, .is_second = true),
		CASE("send-full-short/sender", 17, WAITS),
		CASE("receive-last/sender", 18, .helps_again = true),
		CASE("receive-type/sender", 19, .helps_again = true),
		CASE("receive-lowest/sender", 20, .helps_again = true),
		CASE("receive-except/sender", 21, .helps_again = true),
		CASE("receive-short/sender", 22, .helps_again = true),
		CASE("receive-first/sender", 23, .helps_again = true),
		CASE("receive-blocked/receiver", 24, WAITS, .is_second = true),
		CASE("receive-blocked-type/receiver", 25, WAITS, .is_second = true),
		CASE("copy/sender", 26, .helps_again = true),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
