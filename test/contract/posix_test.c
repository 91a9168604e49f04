/* SPDX-License-Identifier: Apache-2.0 */

/* POSIX semaphores and shared memory: what Tenon's promise beside the standard, which test/conform has. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tenon/posix.h>
#include <tenon/semaphore.h>

#include "contract.h"
#include "posix/shm.h"

#define PAGE 4096u
#define HOSTILE_ROUNDS 2000u

static struct timespec after_ms(long ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += (at.tv_nsec + ms * 1000000) / SECOND_NS;
	at.tv_nsec = (at.tv_nsec + ms * 1000000) % SECOND_NS;
	return at;
}

static int value_of(sem_t *semaphore)
{
	int value = -1;

	EXPECT_IS(tenon_sem_getvalue(semaphore, &value), 0);
	return value;
}

/* One file, one address; another file of that name, another. */
static void one_address(void)
{
	sem_t *first = tenon_sem_open("/s", O_CREAT, 0600, 1), *again = tenon_sem_open("s", 0);
	sem_t *other;

	REQUIRE(first != SEM_FAILED);
	EXPECT(first == again);
	EXPECT_IS(tenon_sem_unlink("/s"), 0);
	other = tenon_sem_open("/s", O_CREAT, 0600, 5);
	EXPECT(other != SEM_FAILED && other != first);
	EXPECT_IS(value_of(other), 5);
	EXPECT_IS(tenon_sem_close(first), 0);
	EXPECT_IS(value_of(again), 1);
	EXPECT_IS(tenon_sem_close(again), 0);
	EXPECT_IS(tenon_sem_close(again), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_sem_close(other), 0);
}

/* A named one is a semaphore of Tenon's. */
static void is_an_object(void)
{
	sem_t *face = tenon_sem_open("/s", O_CREAT, 0640, 2);
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	struct tenon_semaphore *object;

	REQUIRE(face != SEM_FAILED && tenon_semaphore_open(NULL, "/s", 0, NULL, &object) == 0);
	EXPECT_IS(tenon_semaphore_status(object, &status), 0);
	EXPECT_IS(status.value, 2);
	EXPECT_IS(status.mode, 0640);
	EXPECT_IS(tenon_semaphore_release(object, 1, 0, NULL), 0);
	EXPECT_IS(value_of(face), 3);
	tenon_semaphore_close(object);
	tenon_sem_close(face);
}

/* Nobody may open one that was made so. */
static void mode_of_nobody(void)
{
	sem_t *face = tenon_sem_open("/s", O_CREAT, 0, 2);
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	struct tenon_semaphore *object;

	REQUIRE(face != SEM_FAILED);
	if (tenon_semaphore_open(NULL, "/s", 0, NULL, &object) != 0)
		return;
	/* Root may. */
	EXPECT_IS(tenon_semaphore_status(object, &status), 0);
	EXPECT_IS(status.mode, 0);
	tenon_semaphore_close(object);
}

static void *post_soon(void *semaphore)
{
	tenon_sem_post(semaphore);
	return NULL;
}

/* Whatever the bytes are, each call comes to its end. */
static void hostile_bytes(void)
{
	_Alignas(16) static unsigned char bytes[sizeof(sem_t)];
	sem_t *semaphore = (sem_t *)(void *)bytes;
	uint64_t seed = 1;
	int value;

	for (uint32_t round = 0; round < HOSTILE_ROUNDS; round++) {
		struct timespec at = after_ms(0);

		for (uint32_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			bytes[i] = (unsigned char)(seed >> 56);
		}
		/* The count 0 in half of them, so that they wait. */
		if (round % 2)
			memset(bytes, 0, 4);
		at.tv_nsec += 200000;
		at.tv_sec += at.tv_nsec / SECOND_NS;
		at.tv_nsec %= SECOND_NS;
		(void)!tenon_sem_timedwait(semaphore, &at);
		(void)!tenon_sem_trywait(semaphore);
		(void)!tenon_sem_post(semaphore);
		EXPECT_IS(tenon_sem_getvalue(semaphore, &value), 0);
		EXPECT(value >= 0);
	}
}

/* Somebody writes to it all the time: a deadline is kept. */
static volatile bool stop_writing;

static void *write_always(void *semaphore)
{
	volatile uint32_t *words = semaphore;

	while (!stop_writing) {
		words[2]++;
		words[3]++;
	}
	return NULL;
}

static void hostile_writer(void)
{
	static sem_t semaphore;
	struct timespec at = after_ms(100);
	pthread_t writer;

	tenon_sem_init(&semaphore, 1, 0);
	REQUIRE(pthread_create(&writer, NULL, write_always, &semaphore) == 0);
	EXPECT_IS(tenon_sem_timedwait(&semaphore, &at), -1);
	EXPECT_IS(errno, ETIMEDOUT);
	stop_writing = true;
	pthread_join(writer, NULL);
}

/* A waiter may free the memory as soon as it has the one that was given. */
static void freed_at_once(void)
{
	for (uint32_t i = 0; i < 300; i++) {
		sem_t *semaphore = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_t thread;

		REQUIRE(semaphore != MAP_FAILED);
		tenon_sem_init(semaphore, 0, 0);
		REQUIRE(pthread_create(&thread, NULL, post_soon, semaphore) == 0);
		EXPECT_IS(tenon_sem_wait(semaphore), 0);
		munmap(semaphore, PAGE);
		pthread_join(thread, NULL);
	}
}

static int list_one(uint32_t kind, const char *name, void *context)
{
	if (kind == TENON_KIND_MEMORY)
		strcpy(context, name);
	return 0;
}

/* A name that is too long for a file's is shown whole, and goes without a trace. */
static void long_name(void)
{
	char name[257] = "/", listed[260] = "";
	int fd;

	memset(name + 1, 'n', 255);
	fd = tenon_shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	REQUIRE(fd >= 0);
	EXPECT_IS(tenon_namespace_list(NULL, list_one, listed), 0);
	EXPECT(strcmp(listed, name) == 0);
	EXPECT_IS(tenon_shm_unlink(name), 0);
	EXPECT_IS(rmdir(contract_folder), 0);
	mkdir(contract_folder, 0700);
	close(fd);
}

/* The bug: shm_open waited for a writer of what somebody had put into its place. */
static void not_memory(void)
{
	char path[200];
	int fd = tenon_shm_open("/m", O_RDWR | O_CREAT, 0600);

	REQUIRE(fd >= 0);
	EXPECT_IS(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/m.m", contract_folder);
	REQUIRE(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	EXPECT_IS(tenon_shm_open("/m", O_RDONLY, 0), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shm_open("/m", O_RDWR, 0), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_shm_unlink("/m"), 0);
}

static int find_own(const struct tenon_shm_user *user, void *context)
{
	if (user->pid == getpid())
		*(struct tenon_shm_user *)context = *user;
	return 0;
}

static void *map(int fd, size_t bytes)
{
	void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(address != MAP_FAILED);
	return address;
}

static void users(void)
{
	int fd = tenon_shm_open("/m", O_RDWR | O_CREAT, 0600);
	struct tenon_shm_status status = {.size = sizeof(status)};
	struct tenon_shm_user own = {0};

	REQUIRE(fd >= 0 && ftruncate(fd, 3 * PAGE) == 0);
	*(char *)map(fd, 3 * PAGE) = 1;
	EXPECT_IS(tenon_shm_users("/m", find_own, &own, NULL), 0);
	EXPECT_IS(own.descriptors, 1);
	EXPECT_IS(own.mapped_bytes, 3 * PAGE);
	EXPECT_IS(own.maps_for_writing, 1);
	EXPECT_IS(tenon_shm_status("/m", &status), 0);
	EXPECT_IS(status.bytes, 3 * PAGE);
	EXPECT_IS(status.memory_bytes, PAGE);
	EXPECT_IS(tenon_shm_status("/none", &status), -ENOENT);
}

/* A child that touches a page; the signal that ends it, or 0. */
static int touch(volatile char *address)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		contract_child_begins();
		*address = 1;
		_exit(0);
	}
	REQUIRE(waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* A sanitizer has a handler of its own, to which the guard would give what it does not know. */
static void without_handler(void)
{
	signal(SIGBUS, SIG_DFL);
}

/* What was there when it was mapped reads as zeros; what was not is SIGBUS. */
static void guard(void)
{
	int fd = tenon_shm_open("/m", O_RDWR | O_CREAT, 0600);
	char *address;

	without_handler();
	REQUIRE(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
	address = map(fd, 8 * PAGE);
	memset(address, 'x', 4 * PAGE);
	EXPECT_IS(touch(address + 4 * PAGE), SIGBUS);
	tni_shm_mapped(fd, 0, address, 8 * PAGE, PROT_READ | PROT_WRITE);
	EXPECT_IS(ftruncate(fd, PAGE), 0);
	EXPECT_IS(address[0], 'x');
	EXPECT_IS(touch(address + 5 * PAGE), SIGBUS);
	EXPECT_IS(touch(address + 2 * PAGE), 0);
	EXPECT_IS(address[2 * PAGE], 0);
	EXPECT_IS(address[0], 'x');
}

/* Of a part that was unmapped nothing is left guarded, and the rest is. */
static void guard_parts(void)
{
	int fd = tenon_shm_open("/m", O_RDWR | O_CREAT, 0600);
	char *address;

	without_handler();
	REQUIRE(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0);
	address = map(fd, 4 * PAGE);
	tni_shm_mapped(fd, 0, address, 4 * PAGE, PROT_READ | PROT_WRITE);
	tni_shm_unmapped(address + PAGE, PAGE);
	REQUIRE(mmap(address + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		     PAGE) != MAP_FAILED);
	close(fd);
	fd = tenon_shm_open("/m", O_RDWR, 0);
	EXPECT_IS(ftruncate(fd, 0), 0);
	EXPECT_IS(touch(address + PAGE), SIGBUS);
	EXPECT_IS(touch(address), 0);
	EXPECT_IS(touch(address + 3 * PAGE), 0);
	EXPECT_IS(address[3 * PAGE], 0);
}

/* Files of others are none of its business. */
static void guard_others(void)
{
	char path[200];
	char *address;
	int fd;

	without_handler();
	snprintf(path, sizeof(path), "%s/other", contract_folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, PAGE) == 0);
	address = map(fd, PAGE);
	tni_shm_mapped(fd, 0, address, PAGE, PROT_READ | PROT_WRITE);
	EXPECT_IS(ftruncate(fd, 0), 0);
	EXPECT_IS(touch(address), SIGBUS);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"one address", one_address, NULL},
		{"a named semaphore is an object", is_an_object, NULL},
		{"mode 0", mode_of_nobody, NULL},
		{"hostile bytes", hostile_bytes, NULL},
		{"a hostile writer", hostile_writer, NULL},
		{"freed at once", freed_at_once, NULL},
		{"a long name", long_name, NULL},
		{"what is no memory", not_memory, NULL},
		{"who uses shared memory", users, NULL},
		{"the guard", guard, NULL},
		{"the guard of parts", guard_parts, NULL},
		{"the guard and other files", guard_others, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
