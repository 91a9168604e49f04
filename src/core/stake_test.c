/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Shows what stakes build on: the kernel marks the word of a thread that dies and wakes a sleeper on it, by
 * whatever mapping; libc's robust mutexes and stakes live in one list, put in and taken out in any order;
 * an entry that another thread leaves behind does no harm; a thread that ends is told of like one that is
 * killed; a forked child has none of its parent's; and a file that is cut off meanwhile does no harm where it is guarded.
 */

#include "core/stake.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/guard.h"
#include "core/test.h"

#define STAKES 3u
#if defined(__has_feature)
#define IS_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define IS_TSAN 1
#else
#define IS_TSAN 0
#endif

static uint8_t *page; /* this mapping is nobody's stake */
static struct tni_stake stakes[STAKES];

static struct tni_a32 *word_at(uint32_t slot)
{
	return (struct tni_a32 *)(page + TNI_STAKE_FIRST_OFFSET + slot * TNI_STAKE_BYTES);
}

static bool is_held(uint32_t slot)
{
	return tni_stake_is_held(&stakes[slot], tni_thread_self(), word_at(slot));
}

static void hold(uint32_t slot)
{
	REQUIRE(tni_stake_hold(&stakes[slot], tni_thread_self(), page, word_at(slot)) == 1);
	REQUIRE(is_held(slot));
	REQUIRE((tni_get32(word_at(slot)) & TNI_STAKE_OWNER) == tni_thread_self()->tid);
}

static void release(uint32_t slot)
{
	tni_stake_release(&stakes[slot], tni_thread_self(), false);
	REQUIRE(tni_get32(word_at(slot)) == 0);
}

/* Sleeps until the word changes from what it is, or was. */
static void await_change(uint32_t slot, uint32_t value)
{
	struct timespec patience = {5, 0};

	while (tni_get32(word_at(slot)) == value)
		REQUIRE(syscall(SYS_futex, word_at(slot), FUTEX_WAIT, value, &patience, NULL, 0) ==
				0 ||
			errno == EAGAIN || errno == EINTR);
}

static uint32_t await_held(uint32_t slot)
{
	while (tni_get32(word_at(slot)) == 0)
		sched_yield();
	return tni_get32(word_at(slot));
}

static pthread_mutex_t make_mutex(void)
{
	pthread_mutex_t mutex;
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return mutex;
}

/* How many entries the calling thread's list has. */
static uint32_t list_length(void)
{
	struct robust_list *head = &tni_thread_self()->robust->list, *at;
	uint32_t count = 0;

	for (at = head->next; at != head; at = (struct robust_list *)((uintptr_t)at->next & ~1ul))
		REQUIRE(count++ < 100);
	return count;
}

/* A child holds stakes between libc's mutexes, in several orders, and dies. */
static void die_with(uint32_t order)
{
	static pthread_mutex_t mutexes[2];

	mutexes[0] = make_mutex();
	mutexes[1] = make_mutex();
	pthread_mutex_lock(&mutexes[0]);
	hold(0);
	pthread_mutex_lock(&mutexes[1]);
	hold(1);
	if (order & 1)
		pthread_mutex_unlock(&mutexes[0]);
	if (order & 2)
		pthread_mutex_unlock(&mutexes[1]);
	if (order & 4) {
		release(0);
		hold(0);
	}
	hold(2);
	for (;;)
		pause();
}

static void test_killed(void)
{
	for (uint32_t order = 0; order < 8; order++) {
		uint32_t values[STAKES];
		pid_t child = fork();

		if (child == 0)
			die_with(order);
		values[2] = await_held(2);
		for (uint32_t i = 0; i < 2; i++)
			values[i] = tni_get32(word_at(i));
		REQUIRE(kill(child, SIGKILL) == 0);
		for (uint32_t i = 0; i < STAKES; i++) {
			await_change(i, values[i]);
			REQUIRE(tni_get32(word_at(i)) == (TNI_STAKE_WAITERS | TNI_STAKE_DIED));
			tni_set32(word_at(i), 0);
		}
		REQUIRE(waitpid(child, NULL, 0) == child);
	}
}

static void test_one_list(void)
{
	pthread_mutex_t one = make_mutex(), two = make_mutex();

	hold(0);
	pthread_mutex_lock(&one);
	hold(1);
	pthread_mutex_lock(&two);
	hold(2);
	REQUIRE(list_length() == 5);
	release(1);
	REQUIRE(list_length() == 4);
	pthread_mutex_unlock(&one);
	release(0);
	release(2);
	REQUIRE(list_length() == 1);
	pthread_mutex_unlock(&two);
	REQUIRE(list_length() == 0);
}

static void *hold_and_end(void *context)
{
	(void)context;
	hold(0);
	return NULL;
}

/* A thread ends; another one of the process holds anew. */
static void test_thread_ends(void)
{
	pthread_t thread;

	REQUIRE(pthread_create(&thread, NULL, hold_and_end, NULL) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	/* libc tells of the end before the kernel is through with the thread. */
	await_change(0, (uint32_t)tni_get64(&stakes[0].held) | TNI_STAKE_WAITERS);
	REQUIRE(!is_held(0));
	REQUIRE(tni_get32(word_at(0)) & TNI_STAKE_DIED);
	hold(0);
	release(0);
	REQUIRE(list_length() == 0);
}

static void *release_for_another(void *context)
{
	(void)context;
	release(0);
	return NULL;
}

/* Another thread lets go: the entry stays in the first one's list until that comes by. */
static void test_left_behind(void)
{
	pthread_t thread;
	pthread_mutex_t mutex = make_mutex();

	hold(0);
	REQUIRE(pthread_create(&thread, NULL, release_for_another, NULL) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	REQUIRE(!is_held(0) && list_length() == 1);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	hold(1);
	REQUIRE(list_length() == 1);
	release(1);
	REQUIRE(list_length() == 0);
}

static void test_forked(void)
{
	pid_t child;
	int status;

	hold(0);
	child = fork();
	if (child == 0) {
		struct tni_thread *thread = tni_thread_self();

		REQUIRE(!is_held(0));
		tni_stake_release(&stakes[0], thread, false);
		/* Its parent's word is not its to change. */
		REQUIRE(tni_get32(word_at(0)) != 0);
		REQUIRE(tni_stake_hold(&stakes[1], thread, page, word_at(1)) == 1);
		_exit(0);
	}
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(tni_get32(word_at(1)) == (TNI_STAKE_WAITERS | TNI_STAKE_DIED));
	REQUIRE(is_held(0));
	release(0);
	tni_set32(word_at(1), 0);
}

static void test_busy(void)
{
	struct tni_thread *thread = tni_thread_self();

	tni_pending_set(thread, word_at(0));
	REQUIRE(tni_stake_hold(&stakes[0], thread, page, word_at(0)) == -EBUSY);
	tni_pending_put(thread, NULL);
	REQUIRE(!is_held(0));
}

/* Of a file that is cut off in the midst of a call the guard knows the object's own mapping only. */
static void test_cut(void)
{
	struct tni_a32 broken = {0};
	struct tni_stake stake = {.hold = NULL};
	int fd = memfd_create("cut", MFD_CLOEXEC);
	struct tni_guard *guard;
	struct tni_a32 *word;
	uint8_t *own;

	for (int is_before = 0; is_before <= 1; is_before++) {
		REQUIRE(fd >= 0 && ftruncate(fd, TNI_PAGE_BYTES) == 0);
		own = mmap(NULL, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		REQUIRE(own != MAP_FAILED);
		guard = tni_guard_add(own, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, fd, 0, &broken);
		REQUIRE(guard);
		word = (struct tni_a32 *)(own + TNI_STAKE_FIRST_OFFSET);
		if (is_before)
			REQUIRE(ftruncate(fd, 0) == 0);
		REQUIRE(tni_stake_hold(&stake, tni_thread_self(), own, word) == 1);
		if (!is_before)
			REQUIRE(ftruncate(fd, 0) == 0);
		tni_stake_release(&stake, tni_thread_self(), false);
		REQUIRE(tni_get32(&broken) == 1);
		tni_set32(&broken, 0);
		tni_guard_remove(guard);
		munmap(own, TNI_PAGE_BYTES);
	}
	close(fd);
}

int main(void)
{
	int fd = memfd_create("stakes", MFD_CLOEXEC);

	tni_thread_self();
	REQUIRE(fd >= 0 && ftruncate(fd, TNI_PAGE_BYTES) == 0);
	page = mmap(NULL, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(page != MAP_FAILED);
	if (tni_stake_hold(&stakes[0], tni_thread_self(), page, word_at(0)) == -ENOTSUP) {
		printf("the C library's robust lists are of another kind\n");
		return 77;
	}
	release(0);
	test_killed();
	test_one_list();
	test_thread_ends();
	test_left_behind();
	test_forked();
	test_busy();
	if (IS_TSAN)
		fprintf(stderr, "skipped: a file that is cut off: ThreadSanitizer has a lock of "
				"its own in the "
				"handler's way\n");
	else
		test_cut();
	return 0;
}
