/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Waitsets, killed at the instructions of waiting and of giving what is waited for: points.h.
 *
 * There are two semaphores, an event, a lock and a queue.  In one half of the scenarios the victim waits for some of
 * them, and a sleeper waits for the same without a set; in the other the victim gives, and the sleeper waits in a set.
 * One unit is given: whoever does not use it leaves it to the other.
 */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/queue.h>
#include <tenon/semaphore.h>
#include <tenon/waitset.h>

#include "points.h"
#include "step.h"

#define NAME "/victim"
#define OTHER "/other"
#define UNDO TENON_SEMAPHORE_UNDO

enum thing { SEMAPHORE, OTHER_SEMAPHORE, EVENT, LOCK, QUEUE, PROCESS, THINGS };

#define BIT(thing) (1u << (thing))

/* How one waits in a set. */
enum manner {
	PLAINLY,
	POLLED,	 /* by its descriptor */
	WATCHED, /* beside a descriptor, so that others sleep in its stead */
};

enum operation { WAIT, ASK_FOR_DESCRIPTOR, CLOSE, REMOVE, GIVE, DIE };

/* What a case is about. */
struct kind {
	enum operation operation;
	enum thing thing;   /* that is waited for, and is not there at first, but for READY */
	uint32_t members;   /* of the set: bits of things */
	enum manner manner; /* of the one who waits in a set */
	uint32_t set_flags; /* of the set */
	bool is_ready;	    /* everything is there, and the sleeper waits for one unit more */
	bool gives_more;    /* with the thing comes a unit, which the victim may take instead */
};

#define ANY_FOUR (BIT(SEMAPHORE) | BIT(EVENT) | BIT(LOCK) | BIT(QUEUE))
#define ALL_FOUR (BIT(SEMAPHORE) | BIT(OTHER_SEMAPHORE) | BIT(EVENT) | BIT(LOCK))
#define ALL TENON_WAITSET_ALL

static const struct kind kinds[] = {
	{WAIT, SEMAPHORE, ANY_FOUR, PLAINLY, 0, true, false},
	{WAIT, SEMAPHORE, ANY_FOUR, PLAINLY, 0, false, false},
	{WAIT, EVENT, ANY_FOUR, PLAINLY, 0, false, false},
	{WAIT, LOCK, ANY_FOUR, PLAINLY, 0, false, false},
	{WAIT, QUEUE, ANY_FOUR, PLAINLY, 0, false, false},
	{WAIT, SEMAPHORE, ALL_FOUR, PLAINLY, ALL, true, false},
	{WAIT, SEMAPHORE, ALL_FOUR, PLAINLY, ALL, false, false},
	{WAIT, EVENT, ALL_FOUR, PLAINLY, ALL, false, false},
	{WAIT, LOCK, ALL_FOUR, PLAINLY, ALL, false, false},
	{WAIT, SEMAPHORE, ANY_FOUR, POLLED, 0, false, false},
	{WAIT, SEMAPHORE, ANY_FOUR, WATCHED, 0, false, false},
	{ASK_FOR_DESCRIPTOR, SEMAPHORE, ANY_FOUR, POLLED, 0, false, false},
	{CLOSE, SEMAPHORE, ANY_FOUR, POLLED, 0, false, false},
	{REMOVE, SEMAPHORE, ANY_FOUR, POLLED, 0, false, false},
	{GIVE, SEMAPHORE, ANY_FOUR, PLAINLY, 0, false, false},
	{GIVE, EVENT, ANY_FOUR, PLAINLY, 0, false, false},
	{GIVE, LOCK, ANY_FOUR, PLAINLY, 0, false, false},
	{GIVE, QUEUE, ANY_FOUR, PLAINLY, 0, false, false},
	{GIVE, SEMAPHORE, ALL_FOUR, PLAINLY, ALL, false, false},
	{GIVE, EVENT, ALL_FOUR, PLAINLY, ALL, false, false},
	{GIVE, LOCK, ALL_FOUR, PLAINLY, ALL, false, false},
	{GIVE, SEMAPHORE, ANY_FOUR, POLLED, 0, false, false},
	{GIVE, EVENT, ANY_FOUR, POLLED, 0, false, false},
	{GIVE, LOCK, ANY_FOUR, POLLED, 0, false, false},
	{GIVE, QUEUE, ANY_FOUR, POLLED, 0, false, false},
	{GIVE, SEMAPHORE, ALL_FOUR, POLLED, ALL, false, false},
	{GIVE, LOCK, ANY_FOUR, WATCHED, 0, false, false},
	{GIVE, EVENT, ANY_FOUR, WATCHED, 0, false, false},
	{DIE, PROCESS, ANY_FOUR | BIT(PROCESS), PLAINLY, 0, false, false},
	{WAIT, EVENT, ANY_FOUR, PLAINLY, 0, false, true},
	{WAIT, LOCK, ANY_FOUR, PLAINLY, 0, false, true},
	{WAIT, QUEUE, ANY_FOUR, PLAINLY, 0, false, true},
};

/* What one process has open. */
struct world {
	struct tenon_semaphore *semaphore, *other;
	struct tenon_event *event;
	struct tenon_lock *lock;
	struct tenon_queue *queue;
	struct tenon_waitset *set;
	uint32_t first_member;
	int fd;		   /* the set's */
	uint32_t capacity; /* of who waits in it */
};

static struct world own, victims;
static uint32_t given; /* units, by this process */
static bool has_lock;  /* this process */
static int pipe_fds[2];
static _Atomic int32_t *victims_pid; /* shared */

static const struct kind *kind_of(const struct points_case *one)
{
	return &kinds[one->number];
}

static bool is_all(const struct points_case *one)
{
	return kind_of(one)->set_flags & ALL;
}

/* Whether something is there at first. */
static bool is_there(const struct points_case *one, enum thing thing)
{
	const struct kind *kind = kind_of(one);

	return kind->is_ready ? kind->members & BIT(thing) && (is_all(one) || thing == kind->thing)
			      : is_all(one) && thing != kind->thing;
}

/* The victim has it, and gives it. */
static bool is_victims_lock(const struct points_case *one)
{
	return kind_of(one)->operation == GIVE && kind_of(one)->thing == LOCK;
}

static bool open_world(const struct points_case *one, uint32_t flags, struct world *world)
{
	struct tenon_semaphore_options semaphore = {.size = sizeof(semaphore),
						    .max_participants = 16,
						    .value = is_there(one, SEMAPHORE)};
	struct tenon_semaphore_options other = semaphore;
	struct tenon_sync_options general = {.size = sizeof(general), .max_participants = 16};
	struct tenon_sync_options event = general;
	struct tenon_queue_options queue = {.size = sizeof(queue),
					    .order = TENON_QUEUE_FIFO,
					    .capacity = 4,
					    .max_message_bytes = 8,
					    .mode = 0600,
					    .max_participants = 16};

	other.value = is_there(one, OTHER_SEMAPHORE);
	if (is_there(one, EVENT))
		event.flags |= TENON_EVENT_IS_SET;
	*world = (struct world){.fd = -1};
	return tenon_semaphore_open(NULL, NAME, flags, &semaphore, &world->semaphore) == 0 &&
	       tenon_semaphore_open(NULL, OTHER, flags, &other, &world->other) == 0 &&
	       tenon_event_open(NULL, NAME, flags, &event, &world->event) == 0 &&
	       tenon_lock_open(NULL, NAME, flags, &general, &world->lock) == 0 &&
	       tenon_queue_open(NULL, NAME, flags, &queue, &world->queue) == 0;
}

static void close_world(struct world *world)
{
	world->set = tenon_waitset_close(world->set);
	world->semaphore = tenon_semaphore_close(world->semaphore);
	world->other = tenon_semaphore_close(world->other);
	world->event = tenon_event_close(world->event);
	world->lock = tenon_lock_close(world->lock);
	world->queue = tenon_queue_close(world->queue);
}

static int add_things(struct world *world, uint32_t members)
{
	struct tenon_waitset *set = world->set;
	int result = 0;

	if (members & BIT(SEMAPHORE))
		result = tenon_waitset_add_semaphore(set, world->semaphore, 1, UNDO, SEMAPHORE,
						     &world->first_member);
	if (result == 0 && members & BIT(OTHER_SEMAPHORE))
		result = tenon_waitset_add_semaphore(set, world->other, 1, UNDO, OTHER_SEMAPHORE,
						     NULL);
	if (result == 0 && members & BIT(EVENT))
		result = tenon_waitset_add_event(set, world->event, EVENT, NULL);
	if (result == 0 && members & BIT(LOCK))
		result = tenon_waitset_add_lock(set, world->lock, LOCK, NULL);
	if (result == 0 && members & BIT(QUEUE))
		result = tenon_waitset_add_queue(set, world->queue, TENON_READABLE, QUEUE, NULL);
	if (result == 0 && members & BIT(PROCESS))
		result = tenon_waitset_add_process(set, atomic_load(victims_pid), PROCESS, NULL);
	return result;
}

/* The set, up to waiting. */
static int make_set(const struct points_case *one, struct world *world)
{
	const struct kind *kind = kind_of(one);
	int result = tenon_waitset_create(kind->set_flags, &world->set);

	world->capacity = kind->gives_more ? 1 : THINGS;
	if (result == 0)
		result = add_things(world, kind->members);
	if (result == 0 && kind->manner == WATCHED)
		result = tenon_waitset_add_descriptor(world->set, pipe_fds[0], POLLIN, THINGS,
						      NULL);
	if (result == 0 && kind->manner == POLLED && kind->operation != ASK_FOR_DESCRIPTOR)
		result = tenon_waitset_fd(world->set, &world->fd);
	return result;
}

/* Waits in it; gives back the lock, if that was had. */
static int wait_in_set(struct world *world)
{
	struct tenon_waitset_event events[THINGS];
	uint32_t count = 0;
	int result = -ETIMEDOUT;

	while (world->fd >= 0 && result == -ETIMEDOUT) {
		struct pollfd entry = {.fd = world->fd, .events = POLLIN};

		if (poll(&entry, 1, (int)(POINTS_PATIENCE_NS / 1000000)) != 1)
			return -ETIME;
		result = tenon_waitset_wait(world->set, 0, events, world->capacity, &count);
	}
	if (world->fd < 0)
		result = tenon_waitset_wait(world->set, points_deadline(), events, world->capacity,
					    &count);
	for (uint32_t i = 0; result == 0 && i < count; i++) {
		result = events[i].result == -EOWNERDEAD ? tenon_lock_repaired(world->lock)
							 : events[i].result;
		if (result == 0 && events[i].user == LOCK)
			result = tenon_lock_release(world->lock);
	}
	return result;
}

static int prepare(const struct points_case *one)
{
	const struct kind *kind = kind_of(one);

	atomic_store(victims_pid, getpid());
	if (!open_world(one, 0, &victims))
		return -1;
	if (kind->operation == GIVE)
		return is_victims_lock(one) ? tenon_lock_try(victims.lock) : 0;
	return kind->operation == DIE ? 0 : make_set(one, &victims);
}

static int give(const struct world *world, enum thing thing)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};

	switch (thing) {
	case SEMAPHORE:
		return tenon_semaphore_release(world->semaphore, 1, 0, NULL);
	case EVENT:
		return tenon_event_set(world->event);
	case LOCK:
		return tenon_lock_release(world->lock);
	case QUEUE:
		return tenon_queue_send(world->queue, "1234", 4, &options);
	default:
		return 0;
	}
}

static void operate(const struct points_case *one)
{
	switch (kind_of(one)->operation) {
	case GIVE:
		give(&victims, kind_of(one)->thing);
		break;
	case ASK_FOR_DESCRIPTOR:
		tenon_waitset_fd(victims.set, &victims.fd);
		break;
	case CLOSE:
		victims.set = tenon_waitset_close(victims.set);
		break;
	case REMOVE:
		tenon_waitset_remove(victims.set, victims.first_member);
		break;
	case WAIT:
		(void)!wait_in_set(&victims);
		break;
	default:
		tenon_event_reset(victims.event);
	}
}

/* For what there is one unit of, or two. */
static int wait_plainly(const struct points_case *one, struct world *world)
{
	struct tenon_receive_options options = {.size = sizeof(options),
						.deadline_ns = points_deadline()};
	uint64_t message;
	int result;

	switch (kind_of(one)->thing) {
	case SEMAPHORE:
		return tenon_semaphore_acquire(world->semaphore, 1 + kind_of(one)->is_ready, UNDO,
					       points_deadline());
	case EVENT:
		return tenon_event_wait(world->event, points_deadline());
	case QUEUE:
		return tenon_queue_receive(world->queue, &message, sizeof(message), &options, NULL);
	default:
		result = tenon_lock_acquire(world->lock, points_deadline());
		if (result == -EOWNERDEAD)
			result = tenon_lock_repaired(world->lock);
		return result == 0 ? tenon_lock_release(world->lock) : result;
	}
}

static int sleep_for_it(const struct points_case *one)
{
	enum operation operation = kind_of(one)->operation;
	struct world world;
	int result;

	if (!open_world(one, 0, &world))
		return -EBADF;
	if (operation != GIVE && operation != DIE)
		return wait_plainly(one, &world);
	result = make_set(one, &world);
	return result == 0 ? wait_in_set(&world) : result;
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static uint32_t value_of(struct tenon_semaphore *semaphore)
{
	uint32_t value = 0;

	if (tenon_semaphore_value(semaphore, &value) != 0)
		points_wrong("value", 0);
	return value;
}

static struct tenon_event_status event_status(void)
{
	struct tenon_event_status status = {.size = sizeof(status)};

	if (tenon_event_status(own.event, &status) != 0)
		points_wrong("status", 0);
	return status;
}

static struct tenon_lock_status lock_status(void)
{
	struct tenon_lock_status status = {.size = sizeof(status)};

	if (tenon_lock_status(own.lock, &status) != 0)
		points_wrong("status", 0);
	return status;
}

static struct tenon_queue_status queue_status(void)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	if (tenon_queue_status(own.queue, &status) != 0)
		points_wrong("status", 0);
	return status;
}

/* Whether what the sleeper waits for is there, or was and it has it. */
static bool is_due(const struct points_case *one, bool finished)
{
	(void)finished;
	switch (kind_of(one)->thing) {
	case SEMAPHORE:
		return value_of(own.semaphore) > kind_of(one)->is_ready;
	case EVENT:
		return event_status().is_set;
	case LOCK:
		return !has_lock;
	case QUEUE:
		return queue_status().messages > 0;
	default:
		return true;
	}
}

static int help(const struct points_case *one)
{
	int result;

	if (kind_of(one)->thing == LOCK && !has_lock)
		return 0;
	result = give(&own, kind_of(one)->thing);
	given += result == 0;
	/* Behind it: who was woken for the thing finds this first. */
	if (result == 0 && kind_of(one)->gives_more)
		result = give(&own, SEMAPHORE);
	if (kind_of(one)->thing == LOCK)
		has_lock = false;
	return result;
}

/* All with undo that was taken is back. */
static bool prove_units(const struct points_case *one)
{
	uint32_t least = is_there(one, SEMAPHORE), most, value = value_of(own.semaphore);

	if (kind_of(one)->thing == SEMAPHORE || kind_of(one)->gives_more)
		least += given;
	most = least;
	if (kind_of(one)->operation == GIVE && kind_of(one)->thing == SEMAPHORE)
		most++;
	if (value < least || value > most)
		return points_wrong("units", value);
	value = value_of(own.other);
	return value == is_there(one, OTHER_SEMAPHORE) || points_wrong("units of the other", value);
}

static int try_lock(struct tenon_lock *lock)
{
	int result = tenon_lock_acquire(lock, points_deadline());

	if (result == -EOWNERDEAD)
		result = tenon_lock_repaired(lock);
	return result == 0 ? tenon_lock_release(lock) : result;
}

/* Everything can be had, for this process and for who comes, one by one and all at once. */
static bool prove_use(const struct points_case *one, struct world *world)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_waitset_event events[THINGS];
	uint32_t count = 0;
	uint64_t message;
	int result = try_lock(world->lock);

	(void)one;
	if (result != 0)
		return points_wrong("the lock", result);
	while (tenon_queue_receive(world->queue, &message, sizeof(message), &options, NULL) == 0)
		;
	for (enum thing thing = SEMAPHORE; thing <= QUEUE; thing++)
		if (thing != LOCK && give(world, thing) != 0)
			return points_wrong("a survivor cannot give", thing);
	if (tenon_semaphore_release(world->other, 1, 0, NULL) != 0)
		return points_wrong("a survivor cannot give", OTHER_SEMAPHORE);
	if (tenon_waitset_create(ALL, &world->set) != 0 ||
	    add_things(world, ANY_FOUR | ALL_FOUR) != 0)
		return points_wrong("no set", 0);
	result = tenon_waitset_wait(world->set, 0, events, THINGS, &count);
	world->set = tenon_waitset_close(world->set);
	if (result != 0 || count != 5)
		return points_wrong("a survivor cannot have all", result);
	return tenon_lock_release(world->lock) == 0 || points_wrong("release", 0);
}

static bool prove_figures(void)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};

	if (tenon_semaphore_status(own.semaphore, &status) != 0 || status.participants != 1 ||
	    status.waiting != 0 || status.damaged)
		return points_wrong("is left: of the semaphore", status.waiting);
	if (event_status().participants != 1 || event_status().waiting != 0 ||
	    event_status().damaged)
		return points_wrong("is left: of the event", event_status().waiting);
	if (lock_status().participants != 1 || lock_status().waiting != 0 ||
	    lock_status().owner_pid != 0 || lock_status().damaged)
		return points_wrong("is left: of the lock", lock_status().owner_pid);
	/* A queue counts the dead until somebody looks for them. */
	if (tenon_queue_recover(own.queue, NULL) != 0 || queue_status().participants != 1 ||
	    queue_status().leased != 0 || queue_status().loaned != 0)
		return points_wrong("is left: of the queue", (int64_t)queue_status().leased);
	return true;
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	struct world fresh;
	int64_t before_ns = step_now_ns(), took_ns;
	bool right;

	(void)finished;
	(void)answer;
	if (has_lock)
		has_lock = tenon_lock_release(own.lock) != 0;
	right = prove_units(one) && prove_use(one, &own);
	right = open_world(one, TENON_CREATE, &fresh) && right && prove_use(one, &fresh);
	close_world(&fresh);
	took_ns = step_now_ns() - before_ns;
	if (right && points_is_slow(took_ns))
		right = points_slow("a survivor waited: ns", took_ns);
	return right && prove_figures();
}

static bool set_stage(const struct points_case *one)
{
	if (!victims_pid) {
		victims_pid = mmap(NULL, sizeof(*victims_pid), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (pipe(pipe_fds) != 0)
			return false;
	}
	given = 0;
	has_lock = false;
	if (!open_world(one, TENON_CREATE, &own))
		return false;
	/* In the victim's stead, where it is not the victim that has it. */
	has_lock = !is_there(one, LOCK) && !is_victims_lock(one);
	return !has_lock || tenon_lock_try(own.lock) == 0;
}

static void clear_stage(const struct points_case *one)
{
	(void)one;
	close_world(&own);
	tenon_semaphore_remove(NULL, NAME);
	tenon_semaphore_remove(NULL, OTHER);
	tenon_event_remove(NULL, NAME);
	tenon_lock_remove(NULL, NAME);
	tenon_queue_remove(NULL, NAME);
}

#define CASE(text, row, ...)                                                                       \
	{                                                                                          \
		.name = (text), .number = (row), .set_stage = set_stage, .prepare = prepare,       \
		.operate = operate, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
		.help = help, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__              \
	}
/* The victim sleeps first, and is woken first. */
#define WAITS .may_wait = true, .is_second = true

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("any-ready", 0, ),
		CASE("any-semaphore", 1, WAITS),
		CASE("any-semaphore-behind", 1, .may_wait = true),
		CASE("any-event", 2, WAITS, .helps_again = true),
		CASE("any-lock", 3, WAITS),
		CASE("any-queue", 4, WAITS),
		CASE("all-ready", 5, ),
		CASE("all-semaphore", 6, WAITS),
		CASE("all-event", 7, WAITS, .helps_again = true),
		CASE("all-lock", 8, WAITS),
		CASE("polled", 9, WAITS, .has_threads = true),
		CASE("watched", 10, WAITS, .has_threads = true),
		CASE("descriptor", 11, .has_threads = true),
		CASE("close", 12, .has_threads = true),
		CASE("remove", 13, .has_threads = true),
		CASE("give-semaphore/any", 14, ),
		CASE("give-event/any", 15, ),
		CASE("give-lock/any", 16, ),
		CASE("give-message/any", 17, ),
		CASE("give-semaphore/all", 18, ),
		CASE("give-event/all", 19, ),
		CASE("give-lock/all", 20, ),
		CASE("give-semaphore/polled", 21, ),
		CASE("give-event/polled", 22, ),
		CASE("give-lock/polled", 23, ),
		CASE("give-message/polled", 24, ),
		CASE("give-semaphore/all-polled", 25, ),
		CASE("give-lock/watched", 26, ),
		CASE("give-event/watched", 27, ),
		CASE("die/any", 28, ),
		CASE("any-event-or-more", 29, WAITS, .helps_again = true),
		CASE("any-lock-or-more", 30, WAITS),
		CASE("any-queue-or-more", 31, WAITS),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
