/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Scribbles over the memory of a queue, a lock, a semaphore, an event that sets wait for, each beside members that are
 * sound: see scribbler.h.  A set for any sleeps by itself, a set for all has a lock that must be left as it was when not
 * all can be had, and a third one has its threads sleep, and is polled.
 */

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <tenon/waitset.h>

#include "object/queue_private.h"
#include "scribbled.h"

#define NAME "/attacked"
#define WAIT_NS INT64_C(1000000000)
#define NOTHING_ELSE 0
#define MEMBERS_MOST 8u
#define MESSAGE_BYTES 16u

/* What is waited for: as `user`. */
enum { ATTACKED = 1, LOCK, QUIET, TIMER, PROCESS, DESCRIPTOR };
enum { ANY, ALL, WATCHED, SETS };

/* A kind of member. */
struct attacked {
	int (*open)(uint32_t flags, void **ret_object);
	void (*close)(void *object);
	int (*add)(struct tenon_waitset *set, void *object, uint32_t *ret_member);
	/* What a set has taken is given back; and what may let it become ready. */
	void (*put_back)(void *object);
	void (*let)(void *object);
	int (*hold)(void *object);
	uint32_t (*waiting)(void *object);
	/* Its results, beside the errors of every call. */
	int results[8];
};

/* The object, and the sets that it is in. */
struct subject {
	const struct attacked *kind;
	void *object;
	struct tenon_lock *lock;
	struct tenon_event *quiet; /* never set */
	struct tenon_waitset *sets[SETS];
	uint32_t member[SETS];
	int descriptor; /* never readable */
};

/* How many a process has opened: they wait in turn. */
static uint32_t opened;

static void wrong(const char *what, int64_t figure)
{
	fprintf(stderr, "%s: %lld\n", what, (long long)figure);
	_exit(UNDOCUMENTED);
}

/* Queues. */

#define OF_QUEUE -EAGAIN, -ETIMEDOUT, -EMSGSIZE, -EIDRM

static int queue_open(uint32_t flags, void **ret_object)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .max_participants = SCRIBBLED_PARTICIPANTS,
					      .capacity = 4,
					      .max_message_bytes = MESSAGE_BYTES};

	return tenon_queue_open(NULL, NAME, flags, &options, (struct tenon_queue **)ret_object);
}

static void queue_close(void *object)
{
	tenon_queue_close(object);
}

static int queue_add(struct tenon_waitset *set, void *object, uint32_t *ret_member)
{
	return tenon_waitset_add_queue(set, object, TENON_READABLE, ATTACKED, ret_member);
}

/* Received: or else it stays readable. */
static void queue_put_back(void *object)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	char message[MESSAGE_BYTES];

	TOLD(tenon_queue_receive(object, message, sizeof(message), &options, NULL), OF_QUEUE);
}

static int send_to(struct tenon_queue *queue)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};

	return tenon_queue_send(queue, "message", 7, &options);
}

static void queue_let(void *object)
{
	TOLD(send_to(object), OF_QUEUE);
}

static int queue_hold(void *object)
{
	return send_to(object);
}

static uint32_t queue_waiting(void *object)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	return tenon_queue_status(object, &status) == 0 ? status.receivers_waiting : 0;
}

static void queue_remove(void)
{
	tenon_queue_remove(NULL, NAME);
}

/* Locks. */

static int lock_open(uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = SCRIBBLED_PARTICIPANTS};

	return tenon_lock_open(NULL, NAME, flags, &options, (struct tenon_lock **)ret_object);
}

static void lock_close(void *object)
{
	tenon_lock_close(object);
}

static int lock_add(struct tenon_waitset *set, void *object, uint32_t *ret_member)
{
	return tenon_waitset_add_lock(set, object, ATTACKED, ret_member);
}

static void lock_put_back(void *object)
{
	TOLD(tenon_lock_release(object), -EPERM);
}

static void lock_let(void *object)
{
	TOLD(tenon_lock_release_shared(object), -EPERM);
}

/* Shares it: so the set's own thread does not get it either. */
static int lock_hold(void *object)
{
	return tenon_lock_acquire_shared(object, tenon_deadline_after(WAIT_NS));
}

static uint32_t lock_waiting(void *object)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	return tenon_lock_status(object, &status) == 0 ? status.waiting : 0;
}

static void lock_remove(void)
{
	tenon_lock_remove(NULL, NAME);
}

/* Semaphores: two of three. */

static int semaphore_open(uint32_t flags, void **ret_object)
{
	struct tenon_semaphore_options options = {.size = sizeof(options),
						  .max_participants = SCRIBBLED_PARTICIPANTS,
						  .value = 3,
						  .maximum = 5};

	return tenon_semaphore_open(NULL, NAME, flags, &options,
				    (struct tenon_semaphore **)ret_object);
}

static void semaphore_close(void *object)
{
	tenon_semaphore_close(object);
}

static int semaphore_add(struct tenon_waitset *set, void *object, uint32_t *ret_member)
{
	return tenon_waitset_add_semaphore(set, object, 2, TENON_SEMAPHORE_UNDO, ATTACKED,
					   ret_member);
}

static void semaphore_put_back(void *object)
{
	TOLD(tenon_semaphore_release(object, 2, TENON_SEMAPHORE_UNDO, NULL), -EOVERFLOW);
}

static void semaphore_let(void *object)
{
	TOLD(tenon_semaphore_release(object, 1, 0, NULL), -EOVERFLOW);
}

static int semaphore_hold(void *object)
{
	return tenon_semaphore_try(object, 2, TENON_SEMAPHORE_UNDO);
}

static uint32_t semaphore_waiting(void *object)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};

	return tenon_semaphore_status(object, &status) == 0 ? status.waiting : 0;
}

static void semaphore_remove(void)
{
	tenon_semaphore_remove(NULL, NAME);
}

/* Events. */

static int event_open(uint32_t flags, void **ret_object)
{
	struct tenon_sync_options options = {.size = sizeof(options),
					     .max_participants = SCRIBBLED_PARTICIPANTS};

	return tenon_event_open(NULL, NAME, flags, &options, (struct tenon_event **)ret_object);
}

static void event_close(void *object)
{
	tenon_event_close(object);
}

static int event_add(struct tenon_waitset *set, void *object, uint32_t *ret_member)
{
	return tenon_waitset_add_event(set, object, ATTACKED, ret_member);
}

static void event_put_back(void *object)
{
	TOLD(tenon_event_reset(object), NOTHING_ELSE);
}

static void event_let(void *object)
{
	TOLD(tenon_event_pulse(object), NOTHING_ELSE);
	TOLD(tenon_event_set(object), NOTHING_ELSE);
}

static int event_hold(void *object)
{
	return tenon_event_set(object);
}

static uint32_t event_waiting(void *object)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	return tenon_event_status(object, &status) == 0 ? status.waiting : 0;
}

static void event_remove(void)
{
	tenon_event_remove(NULL, NAME);
}

/* Sets. */

static void must(int result)
{
	if (result != 0)
		_exit(IMPOSSIBLE);
}

/* What is sound beside it.  That of the set for all could be had at any time, but for the attacked one. */
static void add_others(struct subject *subject)
{
	int64_t far = tenon_deadline_after(INT64_C(3600000000000));

	must(tenon_waitset_add_event(subject->sets[ANY], subject->quiet, QUIET, NULL));
	must(tenon_waitset_add_timer(subject->sets[ANY], far, 0, TIMER, NULL));
	must(tenon_waitset_add_lock(subject->sets[ALL], subject->lock, LOCK, NULL));
	must(tenon_waitset_add_timer(subject->sets[ALL], 0, 1, TIMER, NULL));
	must(tenon_waitset_add_event(subject->sets[WATCHED], subject->quiet, QUIET, NULL));
	must(tenon_waitset_add_process(subject->sets[WATCHED], getpid(), PROCESS, NULL));
	must(tenon_waitset_add_descriptor(subject->sets[WATCHED], subject->descriptor, POLLIN,
					  DESCRIPTOR, NULL));
}

static void subject_close(void *object)
{
	struct subject *subject = object;

	for (uint32_t i = 0; i < SETS; i++)
		subject->sets[i] = tenon_waitset_close(subject->sets[i]);
	subject->lock = tenon_lock_close(subject->lock);
	subject->quiet = tenon_event_close(subject->quiet);
	close(subject->descriptor);
	subject->kind->close(subject->object);
	free(subject);
}

static int subject_open(const struct attacked *kind, uint32_t flags, void **ret_object)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	char name[32];
	int result;

	if (!subject)
		return -ENOMEM;
	result = kind->open(flags, &subject->object);
	if (result != 0) {
		free(subject);
		return result;
	}
	opened++;
	subject->kind = kind;
	subject->descriptor = eventfd(0, EFD_CLOEXEC);
	/* A lock to each process, so that it is free between calls. */
	snprintf(name, sizeof(name), "/sound%d", (int)getpid());
	must(tenon_lock_open(NULL, name, TENON_CREATE, NULL, &subject->lock));
	must(tenon_lock_remove(NULL, name));
	must(tenon_event_open(NULL, "/quiet", TENON_CREATE, NULL, &subject->quiet));
	for (uint32_t i = 0; i < SETS; i++)
		must(tenon_waitset_create(i == ALL ? TENON_WAITSET_ALL : 0, &subject->sets[i]));
	add_others(subject);
	for (uint32_t i = 0; i < SETS && result == 0; i++)
		result = kind->add(subject->sets[i], subject->object, &subject->member[i]);
	if (result == 0)
		*ret_object = subject;
	else
		subject_close(subject);
	return result;
}

/* One event of those that a wait told of. */
static void take(struct subject *subject, uint32_t which, const struct tenon_waitset_event *event)
{
	static const uint64_t users[SETS] = {[ANY] = ATTACKED, [WATCHED] = ATTACKED};
	bool is_taken = event->result == 0 || event->result == -EOWNERDEAD;

	if (which != ALL && event->user != users[which])
		wrong("what is not ready was told of", (int64_t)event->user);
	if (event->user == ATTACKED) {
		scribbler_told("the member's result", event->result, subject->kind->results);
		if (is_taken)
			subject->kind->put_back(subject->object);
	} else if (event->result != 0) {
		wrong("the result of one that is sound", event->result);
	} else if (event->user == LOCK && tenon_lock_release(subject->lock) != 0) {
		wrong("told that it is held, and it is not", event->result);
	}
}

/* What was taken is given back. */
static void wait_for(struct subject *subject, uint32_t which, int64_t deadline_ns)
{
	static const int answers[] = {0, -ETIMEDOUT, -ENOMEM, -EMFILE, -ENFILE, -EAGAIN, 1};
	struct tenon_waitset_event events[MEMBERS_MOST];
	uint32_t count = 0, i = 0;
	int result = tenon_waitset_wait(subject->sets[which], deadline_ns, events, MEMBERS_MOST,
					&count);

	while (answers[i] != result && answers[i] != 1)
		i++;
	if (answers[i] == 1)
		wrong("the wait", result);
	if (result == 0 && (count == 0 || count > MEMBERS_MOST))
		wrong("so many events", count);
	for (i = 0; i < count; i++)
		take(subject, which, &events[i]);
	if (which == ALL &&
	    (tenon_lock_try(subject->lock) != 0 || tenon_lock_release(subject->lock) != 0))
		wrong("a lock was kept that was not told of", result);
}

static void wait_polling(struct subject *subject, uint32_t which)
{
	struct pollfd entry = {.events = POLLIN};

	must(tenon_waitset_fd(subject->sets[which], &entry.fd));
	if (poll(&entry, 1, 1) < 0)
		_exit(IMPOSSIBLE);
	wait_for(subject, which, 0);
}

/* Takes it out, and puts it in again. */
static void renew(struct subject *subject, uint32_t which)
{
	must(tenon_waitset_remove(subject->sets[which], subject->member[which]));
	must(subject->kind->add(subject->sets[which], subject->object, &subject->member[which]));
}

static void subject_call(void *object)
{
	struct subject *subject = object;

	for (uint32_t which = 0; which < SETS; which++)
		wait_for(subject, which, scribbler_soon());
	subject->kind->let(subject->object);
	for (uint32_t which = 0; which < SETS; which++)
		wait_for(subject, which, scribbler_soon());
	renew(subject, opened % SETS);
	wait_polling(subject, WATCHED);
	subject->kind->let(subject->object);
	wait_polling(subject, ALL);
}

static int subject_hold(void *object)
{
	struct subject *subject = object;

	return subject->kind->hold(subject->object);
}

/* Each set in turn, and those that are left by chance. */
static void subject_wait(void *object)
{
	for (uint32_t i = 0; i < SETS; i++)
		wait_for(object, (opened + i) % SETS, tenon_deadline_after(WAIT_NS));
}

static uint32_t subject_waiting(void *object)
{
	struct subject *subject = object;

	return subject->kind->waiting(subject->object);
}

#define CONTROL(member)                                                                        \
	TNI_PARTICIPANTS_OFFSET + TNI_PAGE_BYTES + offsetof(struct tni_queue_control, member), \
		sizeof(((struct tni_queue_control *)NULL)->member)

/* Of a queue, what sets look at, and what lies beside it. */
static const struct scribbled_range queue_ranges[] = {
	{0, sizeof(struct tni_object_header), false},
	{TNI_PARTICIPANTS_OFFSET, 2 * sizeof(struct tni_participant), false},
	{CONTROL(send.gate.word), true},
	{CONTROL(send.version), false},
	{CONTROL(send.state), false},
	{CONTROL(send.sent_seen), false},
	{CONTROL(receive.gate.word), true},
	{CONTROL(receive.version), false},
	{CONTROL(receive.state), false},
	{CONTROL(receive.done_seen), false},
	{CONTROL(receive.gone_seen), false},
	{CONTROL(receive.leases), false},
	{CONTROL(receive.journal.count), false},
	{CONTROL(waitroom.event), false},
	{CONTROL(waitroom.asleep[TNI_CLASS_MESSAGE][0]), false},
	{CONTROL(poll_wanted), false},
	{CONTROL(max_bytes), false},
	{CONTROL(room), false},
	{CONTROL(idle), false},
	{0, 0, false},
};

/* -EAGAIN: a lock that somebody makes recursive, and held 2^32 - 1 times. */
#define ATTACKED_ACQUIRED -EOWNERDEAD, -EDEADLK, -ENOTRECOVERABLE, -ENOTSUP, -EAGAIN

#define ATTACK(noun, ...)                                                                    \
	static const struct attacked attacked_##noun = {.open = noun##_open,                 \
							.close = noun##_close,               \
							.add = noun##_add,                   \
							.put_back = noun##_put_back,         \
							.let = noun##_let,                   \
							.hold = noun##_hold,                 \
							.waiting = noun##_waiting,           \
							.results = {__VA_ARGS__,             \
								    SCRIBBLED_LIST_END}};    \
	static int open_with_##noun(struct tenon_region *region, uint32_t flags, void **ret) \
	{                                                                                    \
		return region ? -EINVAL : subject_open(&attacked_##noun, flags, ret);        \
	}

ATTACK(queue, -EIDRM)
ATTACK(lock, ATTACKED_ACQUIRED)
ATTACK(semaphore, NOTHING_ELSE)
ATTACK(event, NOTHING_ELSE)

#define KIND(noun, letter)                                                     \
	.name = #noun, .file = #letter ".attacked", .open = open_with_##noun,  \
	.remove = noun##_remove, .call = subject_call, .close = subject_close, \
	.hold = subject_hold, .wait = subject_wait, .waiting = subject_waiting, .sample = 12

int main(int argc, char **argv)
{
	static const struct scribbled kinds[] = {
		{KIND(queue, q), .ranges = queue_ranges},
		{KIND(lock, l), .waits_for_held = true},
		{KIND(semaphore, s), .waits_for_held = true},
		{KIND(event, e)},
	};

	return scribbler_main(argc, argv, kinds, sizeof(kinds) / sizeof(kinds[0]));
}
