/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Semaphores of the POSIX face, killed at the instructions of their calls: points.h.  Those of sem_init lie in a page that all
 * share, which has nothing else; the named ones are Tenon's semaphores, and only what the face adds is new.  And its shared
 * memory: a file, which is there whole or not, and which others use meanwhile.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <semaphore.h>

#include "points.h"
#include "step.h"

#define NAME "/victim"
#define FAR_S 600
#define MEMORY_BYTES 8192

enum operation {
	POST,
	POST_TWICE,
	WAIT,
	WAIT_ASLEEP,
	TIMED_ASLEEP,
	CLOCK_ASLEEP,
	TIMED_OUT,
	WOKEN_FIRST,
	LEFT_ONE,
	NAMED_OPEN,
	NAMED_POST,
	NAMED_WAIT,
	NAMED_ASLEEP,
	NAMED_CLOSE,
	MEMORY_MAKE,
	MEMORY_USE,
	MEMORY_UNLINK,
};

static sem_t *shared; /* the page */
static sem_t *own, *victims;
static uint32_t given;
static char *memory; /* mapped here before */

static bool is_named(const struct points_case *one)
{
	return one->number >= NAMED_OPEN;
}

static uint32_t first_value(const struct points_case *one)
{
	return one->number == WAIT || one->number == NAMED_WAIT;
}

/* For whoever is not the process that made it. */
static sem_t *open_it(const struct points_case *one)
{
	if (!is_named(one))
		return shared;
	return sem_open(NAME, O_CREAT, 0600, first_value(one));
}

static struct timespec far(clockid_t clock)
{
	struct timespec at;

	clock_gettime(clock, &at);
	at.tv_sec += FAR_S;
	return at;
}

static int wait_long(sem_t *semaphore)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += POINTS_PATIENCE_NS / 1000000000;
	return sem_timedwait(semaphore, &at) == 0 ? 0 : -errno;
}

static int prepare(const struct points_case *one)
{
	if (one->number == NAMED_OPEN)
		return 0;
	victims = open_it(one);
	return victims == SEM_FAILED ? -1 : 0;
}

static void operate(const struct points_case *one)
{
	struct timespec at;

	switch (one->number) {
	case POST_TWICE:
		sem_post(victims);
		sem_post(victims);
		break;
	case POST:
	case NAMED_POST:
		sem_post(victims);
		break;
	case TIMED_ASLEEP:
		at = far(CLOCK_REALTIME);
		sem_timedwait(victims, &at);
		break;
	case CLOCK_ASLEEP:
		at = far(CLOCK_MONOTONIC);
		sem_clockwait(victims, CLOCK_MONOTONIC, &at);
		break;
	case TIMED_OUT:
		clock_gettime(CLOCK_REALTIME, &at);
		at.tv_nsec += 2000000;
		at.tv_sec += at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		sem_timedwait(victims, &at);
		break;
	case NAMED_OPEN:
		victims = open_it(one);
		break;
	case NAMED_CLOSE:
		sem_close(victims);
		break;
	default:
		sem_wait(victims);
	}
}

static int sleep_for_it(const struct points_case *one)
{
	sem_t *semaphore = open_it(one);

	return semaphore == SEM_FAILED ? -EBADF : wait_long(semaphore);
}

static bool is_right(const struct points_case *one, int answer)
{
	(void)one;
	return answer == 0;
}

static int64_t value(void)
{
	int count = -1;

	if (sem_getvalue(own, &count) != 0)
		points_wrong("value", 0);
	return count;
}

static bool is_due(const struct points_case *one, bool finished)
{
	(void)one;
	(void)finished;
	return value() > 0;
}

static int give(void)
{
	given++;
	return sem_post(own);
}

/* As if somebody had posted and died, and the kernel's wake had hit one who is to be woken in any case. */
static void give_silently(void)
{
	given++;
	atomic_fetch_add((_Atomic uint32_t *)own, 1);
}

static int help(const struct points_case *one)
{
	int result;

	if (one->number == LEFT_ONE)
		give_silently();
	result = give();
	if (one->number != LEFT_ONE && one->number != WOKEN_FIRST && result == 0)
		result = give();
	return result;
}

static bool takes(const struct points_case *one)
{
	return one->number >= WAIT && one->number != NAMED_OPEN && one->number != NAMED_POST &&
	       one->number != NAMED_CLOSE;
}

static bool prove(const struct points_case *one, bool finished, int answer)
{
	int64_t least = first_value(one) + given, most = least, there;
	int64_t before_ns = step_now_ns();

	(void)finished;
	there = value() + (answer == 0);
	if (takes(one))
		least--;
	if (one->number == POST || one->number == NAMED_POST)
		most++;
	if (one->number == POST_TWICE)
		most += 2;
	if (there < least || there > most)
		return points_wrong("the count", there);
	/* It works for who comes, and to its end. */
	if (sem_post(own) != 0 || wait_long(own) != 0)
		return points_wrong("the semaphore", errno);
	while (sem_trywait(own) == 0)
		;
	if (errno != EAGAIN || value() != 0)
		return points_wrong("an empty semaphore", errno);
	return !points_is_slow(step_now_ns() - before_ns) ||
	       points_slow("a survivor waited: ns", step_now_ns() - before_ns);
}

static bool set_stage(const struct points_case *one)
{
	given = 0;
	if (!shared)
		shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			      0);
	if (shared == MAP_FAILED)
		return false;
	if (!is_named(one) && sem_init(shared, 1, first_value(one)) != 0)
		return false;
	/* Somebody announced himself and was killed: the post that is recorded, without a sleeper, takes the long way too. */
	if (one->number == POST || one->number == POST_TWICE)
		((uint32_t *)(void *)shared)[1] = 1;
	own = open_it(one);
	return own != SEM_FAILED;
}

static void clear_stage(const struct points_case *one)
{
	if (!is_named(one))
		return;
	sem_close(own);
	sem_unlink(NAME);
}

/* Opens it, made or not, as long as it is to be, and maps it; NULL: it cannot. */
static char *map_memory(int flags)
{
	int fd = shm_open(NAME, O_RDWR | flags, 0600);
	char *bytes = NULL;

	if (fd >= 0 && ftruncate(fd, MEMORY_BYTES) == 0)
		bytes = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return bytes == MAP_FAILED ? NULL : bytes;
}

static bool set_memory(const struct points_case *one)
{
	memory = one->number == MEMORY_MAKE ? NULL : map_memory(O_CREAT | O_EXCL);
	if (memory)
		memory[0] = 'm';
	return memory || one->number == MEMORY_MAKE;
}

static int prepare_memory(const struct points_case *one)
{
	(void)one;
	return 0;
}

static void operate_memory(const struct points_case *one)
{
	char *bytes;

	if (one->number == MEMORY_UNLINK) {
		shm_unlink(NAME);
		return;
	}
	bytes = map_memory(one->number == MEMORY_MAKE ? O_CREAT | O_EXCL : 0);
	if (bytes) {
		bytes[1] = 'v';
		munmap(bytes, MEMORY_BYTES);
	}
}

/* What is there is whole; what was mapped before is as it was. */
static bool prove_memory(const struct points_case *one, bool finished, int answer)
{
	bool is_there = shm_unlink(NAME) == 0;
	char *bytes;

	(void)answer;
	if (one->number != MEMORY_MAKE && memory[0] != 'm')
		return points_wrong("the bytes", memory[0]);
	if (one->number == MEMORY_USE ? !is_there
				      : finished && is_there != (one->number == MEMORY_MAKE))
		return points_wrong("whether it is there", is_there);
	bytes = map_memory(O_CREAT | O_EXCL);
	if (!bytes || bytes[0] != 0)
		return points_wrong("a new one", errno);
	munmap(bytes, MEMORY_BYTES);
	return true;
}

static void clear_memory(const struct points_case *one)
{
	(void)one;
	shm_unlink(NAME);
	if (memory)
		munmap(memory, MEMORY_BYTES);
	memory = NULL;
}

#define MEMORY_CASE(text, operation)                                                           \
	{                                                                                      \
		.name = (text), .number = (operation), .no_sleeper = true,                     \
		.set_stage = set_memory, .prepare = prepare_memory, .operate = operate_memory, \
		.prove = prove_memory, .clear_stage = clear_memory,                            \
	}

#define CASE(text, operation, ...)                                                                 \
	{                                                                                          \
		.name = (text), .number = (operation), .set_stage = set_stage, .prepare = prepare, \
		.operate = operate, .sleep = sleep_for_it, .is_right = is_right, .is_due = is_due, \
		.help = help, .prove = prove, .clear_stage = clear_stage, __VA_ARGS__              \
	}

int main(int argc, char **argv)
{
	static const struct points_case cases[] = {
		CASE("post", POST, ),
		CASE("post-twice", POST_TWICE, ),
		CASE("wait", WAIT, .no_sleeper = true),
		CASE("wait-asleep", WAIT_ASLEEP, .may_wait = true),
		CASE("timed-asleep", TIMED_ASLEEP, .may_wait = true),
		CASE("clock-asleep", CLOCK_ASLEEP, .may_wait = true),
		CASE("timed-out", TIMED_OUT, .may_wait = true),
		CASE("woken-first", WOKEN_FIRST, .may_wait = true, .is_second = true,
		     .helps_again = true),
		CASE("left-one", LEFT_ONE, .may_wait = true, .is_second = true),
		CASE("named-open", NAMED_OPEN, .no_sleeper = true),
		CASE("named-post", NAMED_POST, ),
		CASE("named-wait", NAMED_WAIT, .no_sleeper = true),
		CASE("named-wait-asleep", NAMED_ASLEEP, .may_wait = true),
		CASE("named-close", NAMED_CLOSE, ),
		MEMORY_CASE("memory-make", MEMORY_MAKE),
		MEMORY_CASE("memory-use", MEMORY_USE),
		MEMORY_CASE("memory-unlink", MEMORY_UNLINK),
	};

	return points_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
