/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The bounded buffer of the textbooks: producers put items into a ring of places, consumers take
 * them out.  All are processes; the ring lies in a region of shared memory, with what they wait on:
 *
 *	offset	0 …	empty	a semaphore: how many places are free
 *		…	full	a semaphore: how many places hold an item
 *		…	lock	who moves `in` or `out` holds it
 *		…	the buffer itself, see struct buffer
 *
 * A producer waits for a free place, fills it, and tells that one more is full; a consumer the other
 * way round.  With --busy there is one of each, and they wait as the textbook's first version does:
 * by looking at a counter again and again.  The items come as well; the CPU time is what to look at.
 *
 *	cc -Wall -Wextra -o bounded_buffer bounded_buffer.c $(pkg-config --cflags --libs tenon)
 *	./bounded_buffer --pause-us 500 --items 2000
 *	./bounded_buffer --pause-us 500 --items 2000 --busy
 */

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon/lock.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>

#define PLACES_MOST 4096u
#define PROCESSES_MOST 256u
#define PLACE TENON_PLACE_BYTES(PROCESSES_MOST) /* room for one lock or semaphore */
#define END UINT32_MAX				/* instead of an item: there are no more */

struct buffer {
	uint32_t in;	   /* next free place */
	uint32_t out;	   /* next full place */
	atomic_uint count; /* of full places, for the busy loop; else the semaphores count */
	uint32_t item[PLACES_MOST];
	atomic_uchar seen[]; /* for each item: how often it came out */
};

static uint32_t producers = 2, consumers = 2, items = 200000, places = 16, pause_us;
static int busy;

static struct tenon_region *region;
static struct tenon_semaphore *empty, *full;
static struct tenon_lock *lock;
static struct buffer *buffer;

static const char usage[] =
	"usage: bounded_buffer [OPTION ...]\n"
	"Producers hand items to consumers through a bounded buffer in shared memory.\n\n"
	"  --producers N   processes that make items (2)\n"
	"  --consumers N   processes that take them (2)\n"
	"  --items N       how many in all (200000)\n"
	"  --places N      of the buffer (16)\n"
	"  --pause-us N    a producer pauses so long before each item (0)\n"
	"  --busy          one producer and one consumer, which wait in a busy loop\n\n"
	"Prints whether each item came out exactly once, the items a second, and the CPU time\n"
	"that producers and consumers used: waiting for a semaphore uses none, a busy loop all "
	"there is.\n"
	"Exit status: 0; 1 something failed; 2 a bad option.\n";

/* Calls of Tenon answer 0 or a negative errno. */
static void need(int result, const char *what)
{
	if (result == 0)
		return;
	fprintf(stderr, "bounded_buffer: %s: %s\n", what, strerror(-result));
	exit(1);
}

static void put(uint32_t item)
{
	need(tenon_semaphore_acquire(empty, 1, 0, TENON_NO_DEADLINE), "waiting for a free place");
	need(tenon_lock_acquire(lock, TENON_NO_DEADLINE), "lock");
	buffer->item[buffer->in] = item;
	buffer->in = (buffer->in + 1) % places;
	need(tenon_lock_release(lock), "unlock");
	need(tenon_semaphore_release(full, 1, 0, NULL), "telling of a full place");
}

static uint32_t get(void)
{
	uint32_t item;

	need(tenon_semaphore_acquire(full, 1, 0, TENON_NO_DEADLINE), "waiting for an item");
	need(tenon_lock_acquire(lock, TENON_NO_DEADLINE), "lock");
	item = buffer->item[buffer->out];
	buffer->out = (buffer->out + 1) % places;
	need(tenon_lock_release(lock), "unlock");
	need(tenon_semaphore_release(empty, 1, 0, NULL), "telling of a free place");
	return item;
}

/* The textbook's first version.  It needs no lock, as only the one producer moves `in`, and only the
 * one consumer `out`; the count must be atomic, as both change it. */
static void put_busy(uint32_t item)
{
	while (atomic_load(&buffer->count) == places)
		; /* do nothing */
	buffer->item[buffer->in] = item;
	buffer->in = (buffer->in + 1) % places;
	atomic_fetch_add(&buffer->count, 1);
}

static uint32_t get_busy(void)
{
	uint32_t item;

	while (atomic_load(&buffer->count) == 0)
		; /* do nothing */
	item = buffer->item[buffer->out];
	buffer->out = (buffer->out + 1) % places;
	atomic_fetch_sub(&buffer->count, 1);
	return item;
}

static void produce(uint32_t number)
{
	struct timespec pause = {.tv_sec = pause_us / 1000000,
				 .tv_nsec = pause_us % 1000000 * 1000};

	for (uint32_t item = number; item < items; item += producers) {
		if (pause_us)
			nanosleep(&pause, NULL);
		if (busy)
			put_busy(item);
		else
			put(item);
	}
}

static void consume(uint32_t number)
{
	uint32_t item;

	(void)number;
	while ((item = busy ? get_busy() : get()) != END) {
		if (item >= items)
			need(-EBADMSG, "what came out of the buffer");
		atomic_fetch_add(&buffer->seen[item], 1);
	}
}

/* Makes the region and what lies in it.  Programs that know nothing of each other would all do this,
 * and get the same region by its name.  Here the processes are children, which have their parent's
 * handles; so the name can go at once, and nothing is left behind, whoever is killed. */
static void set_up(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options),
		.max_participants = PROCESSES_MOST,
		.bytes = 3 * PLACE + sizeof(*buffer) + items,
	};
	struct tenon_semaphore_options all = {.size = sizeof(all), .value = places};
	char name[64];
	void *address;

	snprintf(name, sizeof(name), "/bounded_buffer.%d", (int)getpid());
	need(tenon_region_open(NULL, name, TENON_CREATE | TENON_EXCLUSIVE, &options, &region),
	     name);
	need(tenon_region_remove(NULL, name), name);
	need(tenon_semaphore_open_at(region, 0, TENON_CREATE, &all, &empty), "empty");
	need(tenon_semaphore_open_at(region, PLACE, TENON_CREATE, NULL, &full), "full");
	need(tenon_lock_open_at(region, 2 * PLACE, TENON_CREATE, NULL, &lock), "lock");
	need(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), "mapping the region");
	buffer = (struct buffer *)((char *)address + 3 * PLACE); /* zeroed */
}

static void start(void (*run)(uint32_t number), uint32_t number)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		need(-errno, "fork");
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever kills the parent ends all */
	if (getppid() == parent)
		run(number);
	_exit(0);
}

static void await(uint32_t processes)
{
	int status;

	while (processes-- > 0)
		if (wait(&status) < 0 || status != 0)
			need(-ECHILD, "a producer or a consumer failed");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void parse(int count, char **arguments)
{
	static const struct option known[] = {
		{"producers", required_argument, NULL, 0},
		{"consumers", required_argument, NULL, 0},
		{"items", required_argument, NULL, 0},
		{"places", required_argument, NULL, 0},
		{"pause-us", required_argument, NULL, 0},
		{"busy", no_argument, &busy, 1},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static const struct {
		uint32_t *value, most;
	} numbers[] = {{&producers, 100},
		       {&consumers, 100},
		       {&items, 100000000},
		       {&places, PLACES_MOST},
		       {&pause_us, 1000000}};
	int option, index = 0;
	char *end;

	while ((option = getopt_long(count, arguments, "", known, &index)) == 0) {
		unsigned long value = optarg ? strtoul(optarg, &end, 10) : 0;

		if (!optarg)
			continue;
		if (*end || value < 1 || value > numbers[index].most) {
			fprintf(stderr, "bounded_buffer: --%s takes a number from 1 to %u\n",
				known[index].name, numbers[index].most);
			exit(2);
		}
		*numbers[index].value = (uint32_t)value;
	}
	if (option == 'h')
		exit(fputs(usage, stdout) < 0);
	if (option != -1 || optind < count) {
		fputs(usage, stderr);
		exit(2);
	}
	if (busy)
		producers = consumers = 1;
}

int main(int count, char **arguments)
{
	struct rusage used;
	double begin, took;
	uint32_t wrong = 0;

	parse(count, arguments);
	set_up();
	begin = seconds();
	for (uint32_t i = 0; i < consumers; i++)
		start(consume, i);
	for (uint32_t i = 0; i < producers; i++)
		start(produce, i);
	await(producers);
	for (uint32_t i = 0; i < consumers; i++) {
		if (busy)
			put_busy(END);
		else
			put(END);
	}
	await(consumers);
	took = seconds() - begin;
	getrusage(RUSAGE_CHILDREN, &used);

	for (uint32_t i = 0; i < items; i++)
		wrong += atomic_load(&buffer->seen[i]) != 1;
	printf("%u producers, %u consumers, %u places, %s\n", producers, consumers, places,
	       busy ? "busy loop" : "semaphores");
	printf("items %u, of which %u did not come out exactly once\n", items, wrong);
	printf("%.0f items a second\n", items / took);
	printf("%.2f CPU seconds in %.2f seconds\n",
	       (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
	       took);
	tenon_lock_close(lock);
	tenon_semaphore_close(full);
	tenon_semaphore_close(empty);
	tenon_region_close(region);
	return wrong ? 1 : 0;
}
