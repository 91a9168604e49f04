/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The dining philosophers of the textbooks: N processes sit round a table with N forks, and each
 * needs the two forks beside it to eat.  A fork is a lock (or, with --semaphores, a semaphore of
 * one); all of them, and the table, lie in a region of shared memory.
 *
 * Nobody starves for a neighbour's sake.  If each took the left fork first, all could hold one and
 * wait for the other for ever.  So each takes the fork with the lower number first: then who holds
 * the highest fork that is held waits for nobody, eats, and gives both back.
 *
 * With --kill somebody is killed (SIGKILL) every few milliseconds, often with forks in hand, and
 * another one takes its seat.  The forks of the dead pass on at once:
 *
 *	a lock		the next one gets it, and is told that its holder died: -EOWNERDEAD
 *	a semaphore	what was acquired with UNDO comes back, and nobody is told; but the table
 *			still says who had the fork
 *
 *	cc -Wall -Wextra -o philosophers philosophers.c $(pkg-config --cflags --libs tenon)
 *	./philosophers --kill
 */

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon/lock.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>

#define SEATS_MOST 100u
#define PROCESSES_MOST 128u
#define PLACE TENON_PLACE_BYTES(PROCESSES_MOST) /* room for one fork */

struct table {
	volatile pid_t holder[SEATS_MOST]; /* of each fork; who has the fork writes it */
	atomic_ulong meals[SEATS_MOST];
	atomic_ulong taken_over; /* forks, from the dead */
	atomic_ulong shared;	 /* forks that two held at once: none, if locks are locks */
	atomic_uint stop;
};

static uint32_t seats = 5, run_seconds = 2;
static int killing, semaphores;

static struct tenon_region *region;
static struct tenon_lock *lock[SEATS_MOST];
static struct tenon_semaphore *semaphore[SEATS_MOST];
static struct table *table;

static const char usage[] =
	"usage: philosophers [OPTION ...]\n"
	"Philosophers eat with forks in shared memory, of which each neighbour wants one, too.\n\n"
	"  --seats N      philosophers, and forks (5)\n"
	"  --seconds N    how long (2)\n"
	"  --semaphores   the forks are semaphores that are given back on death, not locks\n"
	"  --kill         kill one of the philosophers every 3 ms, and seat another\n\n"
	"Prints how often was eaten at each seat (never 0), how many philosophers died, how many\n"
	"forks were taken over from the dead, and how many were in two hands (none is right).\n"
	"Exit status: 0; 1 two had one fork, or something failed; 2 a bad option.\n";

/* Calls of Tenon answer 0 or a negative errno. */
static void need(int result, const char *what)
{
	if (result == 0)
		return;
	fprintf(stderr, "philosophers: %s: %s\n", what, strerror(-result));
	exit(1);
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static void take(uint32_t number)
{
	int result, is_from_dead;

	if (semaphores) {
		result = tenon_semaphore_acquire(semaphore[number], 1, TENON_SEMAPHORE_UNDO,
						 TENON_NO_DEADLINE);
		is_from_dead = table->holder[number] != 0;
	} else {
		result = tenon_lock_acquire(lock[number], TENON_NO_DEADLINE);
		is_from_dead = result == -EOWNERDEAD;
		if (is_from_dead) /* a fork only wants to be wiped */
			result = tenon_lock_repaired(lock[number]);
		else if (table->holder[number] != 0)
			atomic_fetch_add(&table->shared, 1);
	}
	need(result, "taking a fork");
	atomic_fetch_add(&table->taken_over, is_from_dead);
	table->holder[number] = getpid();
}

static void give_back(uint32_t number)
{
	if (table->holder[number] != getpid())
		atomic_fetch_add(&table->shared, 1);
	table->holder[number] = 0;
	need(semaphores ? tenon_semaphore_release(semaphore[number], 1, TENON_SEMAPHORE_UNDO, NULL)
			: tenon_lock_release(lock[number]),
	     "giving back a fork");
}

static void dine(uint32_t seat)
{
	uint32_t left = seat, right = (seat + 1) % seats;
	uint32_t first = left < right ? left : right, second = left < right ? right : left;

	pause_us(random() % 1000); /* thinks */
	take(first);
	take(second);
	pause_us(random() % 1000); /* eats */
	atomic_fetch_add(&table->meals[seat], 1);
	give_back(second);
	give_back(first);
}

/* Makes the region and what lies in it.  Programs that know nothing of each other would all do this,
 * and get the same region by its name.  Here the processes are children, which have their parent's
 * handles; so the name can go at once, and nothing is left behind, whoever is killed. */
static void set_up(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options),
		.max_participants = PROCESSES_MOST,
		.bytes = seats * (uint64_t)PLACE + sizeof(*table),
	};
	struct tenon_semaphore_options one = {.size = sizeof(one), .value = 1, .maximum = 1};
	char name[64];
	void *address;

	snprintf(name, sizeof(name), "/philosophers.%d", (int)getpid());
	need(tenon_region_open(NULL, name, TENON_CREATE | TENON_EXCLUSIVE, &options, &region),
	     name);
	need(tenon_region_remove(NULL, name), name);
	for (uint64_t i = 0; i < seats; i++)
		need(semaphores
			     ? tenon_semaphore_open_at(region, i * PLACE, TENON_CREATE, &one,
						       &semaphore[i])
			     : tenon_lock_open_at(region, i * PLACE, TENON_CREATE, NULL, &lock[i]),
		     "a fork");
	need(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), "mapping the region");
	table = (struct table *)((char *)address + seats * (uint64_t)PLACE); /* zeroed */
}

static pid_t start(uint32_t seat)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		need(-errno, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever kills the parent ends all */
	srandom((unsigned int)getpid());
	while (getppid() == parent && !atomic_load(&table->stop))
		dine(seat);
	_exit(0);
}

static void await(pid_t pid, int expected)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != expected)
		need(-ECHILD, "a philosopher failed");
}

static int is_hungry(void)
{
	for (uint32_t i = 0; i < seats; i++)
		if (atomic_load(&table->meals[i]) == 0)
			return 1;
	return 0;
}

/* Lets them dine, and kills if that is wanted; answers how many. */
static uint32_t run(pid_t *pids)
{
	int64_t end = tenon_deadline_after(run_seconds * INT64_C(1000000000));
	siginfo_t ended = {0};
	uint32_t deaths = 0, i;

	/* On a machine that has no time for us it takes longer until everybody has eaten. */
	while (tenon_deadline_after(0) < end || is_hungry()) {
		pause_us(3000);
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || ended.si_pid != 0)
			need(-ECHILD, "a philosopher failed");
		if (!killing)
			continue;
		i = (uint32_t)random() % seats;
		kill(pids[i], SIGKILL);
		await(pids[i], SIGKILL);
		pids[i] = start(i);
		deaths++;
	}
	return deaths;
}

static void parse(int count, char **arguments)
{
	static const struct option known[] = {
		{"seats", required_argument, NULL, 0}, {"seconds", required_argument, NULL, 0},
		{"kill", no_argument, &killing, 1},    {"semaphores", no_argument, &semaphores, 1},
		{"help", no_argument, NULL, 'h'},      {0},
	};
	static uint32_t *const numbers[] = {&seats, &run_seconds};
	int option, index = 0;
	char *end;

	while ((option = getopt_long(count, arguments, "", known, &index)) == 0) {
		unsigned long value = optarg ? strtoul(optarg, &end, 10) : 0;

		if (!optarg)
			continue;
		if (*end || value < 2 - (unsigned int)index || value > SEATS_MOST) {
			fprintf(stderr, "philosophers: --%s takes a number from %d to %u\n",
				known[index].name, 2 - index, SEATS_MOST);
			exit(2);
		}
		*numbers[index] = (uint32_t)value;
	}
	if (option == 'h')
		exit(fputs(usage, stdout) < 0);
	if (option != -1 || optind < count) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int count, char **arguments)
{
	pid_t pids[SEATS_MOST];
	unsigned long shared;
	uint32_t deaths;

	parse(count, arguments);
	set_up();
	for (uint32_t i = 0; i < seats; i++)
		pids[i] = start(i);
	deaths = run(pids);
	atomic_store(&table->stop, 1);
	for (uint32_t i = 0; i < seats; i++)
		await(pids[i], 0);

	shared = atomic_load(&table->shared);
	printf("meals");
	for (uint32_t i = 0; i < seats; i++)
		printf(" %lu", atomic_load(&table->meals[i]));
	printf("\nphilosophers killed %u, forks taken over %lu, forks in two hands %lu\n", deaths,
	       atomic_load(&table->taken_over), shared);
	for (uint32_t i = 0; i < seats; i++) {
		tenon_lock_close(lock[i]);
		tenon_semaphore_close(semaphore[i]);
	}
	tenon_region_close(region);
	return shared != 0;
}
