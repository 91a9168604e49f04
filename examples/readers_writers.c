/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Readers and writers of the textbooks: any number may read a page at the same time, but whoever
 * writes it does so alone.  All are processes; the page and its lock lie in a region of shared
 * memory.
 *
 * A writer writes one number into all lines, from the first to the last, and pauses in the middle;
 * readers check that all lines are the same.  With --kill somebody is killed (SIGKILL) every few
 * milliseconds, and another one takes its place.  A reader that dies lets go of the lock, and that is
 * all.  A writer that dies may leave half a page; the next one who gets the lock is told so, by
 * -EOWNERDEAD, and mends the page before anybody reads it:
 *
 *	the writer died		what it left		mending
 *	before line 0		all old			every line becomes line 0: the old page
 *	behind line 0		the first are new	every line becomes line 0: the new page
 *	behind the last		all new			nothing changes
 *
 * Who mends may die as well: line 0 stays, and the next one begins anew.
 *
 *	cc -Wall -Wextra -o readers_writers readers_writers.c $(pkg-config --cflags --libs tenon)
 *	./readers_writers --kill
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

#define PROCESSES_MOST 256u
#define PLACE TENON_PLACE_BYTES(PROCESSES_MOST) /* room for the lock */
#define LINES 1000u

struct page {
	/* Volatile: a process that dies has to have written them in this order.  What other
	 * processes see of living ones is the lock's affair. */
	volatile uint64_t line[LINES];
	atomic_uint stop;
	atomic_ulong reads, writes;
	atomic_ulong torn;   /* pages that were seen half written: none, if locks are locks */
	atomic_ulong mended; /* how often somebody was told of a death, */
	atomic_ulong halves; /* and found half a page */
};

static uint32_t readers = 4, writers = 2, run_seconds = 2;
static int killing;

static struct tenon_region *region;
static struct tenon_lock *lock;
static struct page *page;

static const char usage[] =
	"usage: readers_writers [OPTION ...]\n"
	"Readers share a page in shared memory with writers; nobody may see it half written.\n\n"
	"  --readers N   processes that read (4)\n"
	"  --writers N   processes that write (2)\n"
	"  --seconds N   how long (2)\n"
	"  --kill        kill one of them every 3 ms, and start another\n\n"
	"Prints how many pages were read and written, how many of those that were read were half\n"
	"written (none is right), how many processes died, and how often one who got the lock\n"
	"was told that its last holder had died, and mended the page.\n"
	"Exit status: 0; 1 half a page was seen, or something failed; 2 a bad option.\n";

/* Calls of Tenon answer 0 or a negative errno. */
static void need(int result, const char *what)
{
	if (result == 0)
		return;
	fprintf(stderr, "readers_writers: %s: %s\n", what, strerror(-result));
	exit(1);
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static int is_torn(void)
{
	for (uint32_t i = 1; i < LINES; i++)
		if (page->line[i] != page->line[0])
			return 1;
	return 0;
}

/* Gets the lock for writing, and a page that is whole. */
static void lock_whole_page(void)
{
	int result = tenon_lock_acquire(lock, TENON_NO_DEADLINE);

	if (result == -EOWNERDEAD) {
		atomic_fetch_add(&page->halves, is_torn());
		for (uint32_t i = 1; i < LINES; i++)
			page->line[i] = page->line[0];
		atomic_fetch_add(&page->mended, 1);
		result = tenon_lock_repaired(lock);
	}
	need(result, "lock");
}

static void write_page(void)
{
	uint64_t number;

	lock_whole_page();
	number = page->line[0] + 1;
	for (uint32_t i = 0; i < LINES; i++) {
		page->line[i] = number;
		if (i == LINES / 2)
			pause_us(100);
	}
	need(tenon_lock_release(lock), "unlock");
	atomic_fetch_add(&page->writes, 1);
	pause_us(500);
}

static void read_page(void)
{
	int result = tenon_lock_acquire_shared(lock, TENON_NO_DEADLINE);

	if (result == -EOWNERDEAD) {
		/* Those who share the lock only look.  To mend the page one has to hold it. */
		need(tenon_lock_release_shared(lock), "unlock");
		lock_whole_page();
		need(tenon_lock_release(lock), "unlock");
		return;
	}
	need(result, "lock for reading");
	atomic_fetch_add(&page->torn, is_torn());
	need(tenon_lock_release_shared(lock), "unlock");
	atomic_fetch_add(&page->reads, 1);
	pause_us(50);
}

/* Makes the region and what lies in it.  Programs that know nothing of each other would all do this,
 * and get the same region by its name.  Here the processes are children, which have their parent's
 * handles; so the name can go at once, and nothing is left behind, whoever is killed. */
static void set_up(void)
{
	struct tenon_region_options options = {
		.size = sizeof(options),
		.max_participants = PROCESSES_MOST,
		.bytes = PLACE + sizeof(*page),
	};
	char name[64];
	void *address;

	snprintf(name, sizeof(name), "/readers_writers.%d", (int)getpid());
	need(tenon_region_open(NULL, name, TENON_CREATE | TENON_EXCLUSIVE, &options, &region),
	     name);
	need(tenon_region_remove(NULL, name), name);
	need(tenon_lock_open_at(region, 0, TENON_CREATE, NULL, &lock), "lock");
	need(tenon_region_map(region, TENON_REGION_WRITE, &address, NULL), "mapping the region");
	page = (struct page *)((char *)address + PLACE); /* zeroed */
}

/* The first processes are readers, the others writers. */
static pid_t start(uint32_t index)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		need(-errno, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever kills the parent ends all */
	while (getppid() == parent && !atomic_load(&page->stop)) {
		if (index < readers)
			read_page();
		else
			write_page();
	}
	_exit(0);
}

static void await(pid_t pid, int expected)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != expected)
		need(-ECHILD, "a reader or a writer failed");
}

/* Lets them run, and kills if that is wanted; answers how many. */
static uint32_t run(pid_t *pids)
{
	int64_t end = tenon_deadline_after(run_seconds * INT64_C(1000000000));
	siginfo_t ended = {0};
	uint32_t deaths = 0, i;

	/* On a machine that has no time for us it takes longer until everybody has had a turn. */
	while (tenon_deadline_after(0) < end || !atomic_load(&page->reads) ||
	       !atomic_load(&page->writes)) {
		pause_us(3000);
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || ended.si_pid != 0)
			need(-ECHILD, "a reader or a writer failed");
		if (!killing)
			continue;
		i = (uint32_t)random() % (readers + writers);
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
		{"readers", required_argument, NULL, 0}, {"writers", required_argument, NULL, 0},
		{"seconds", required_argument, NULL, 0}, {"kill", no_argument, &killing, 1},
		{"help", no_argument, NULL, 'h'},	 {0},
	};
	static uint32_t *const numbers[] = {&readers, &writers, &run_seconds};
	int option, index = 0;
	char *end;

	while ((option = getopt_long(count, arguments, "", known, &index)) == 0) {
		unsigned long value = optarg ? strtoul(optarg, &end, 10) : 0;

		if (!optarg)
			continue;
		if (*end || value < 1 || value > 100) {
			fprintf(stderr, "readers_writers: --%s takes a number from 1 to 100\n",
				known[index].name);
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
	pid_t pids[PROCESSES_MOST];
	unsigned long torn;
	uint32_t deaths;

	parse(count, arguments);
	set_up();
	for (uint32_t i = 0; i < readers + writers; i++)
		pids[i] = start(i);
	deaths = run(pids);
	atomic_store(&page->stop, 1);
	for (uint32_t i = 0; i < readers + writers; i++)
		await(pids[i], 0);

	lock_whole_page(); /* the last one to write may have been the last one to be killed */
	atomic_fetch_add(&page->torn, is_torn());
	need(tenon_lock_release(lock), "unlock");
	torn = atomic_load(&page->torn);
	printf("%u readers, %u writers\n", readers, writers);
	printf("pages read %lu, written %lu, seen half written %lu\n", atomic_load(&page->reads),
	       atomic_load(&page->writes), torn);
	printf("processes killed %u, pages mended %lu, of which half written %lu\n", deaths,
	       atomic_load(&page->mended), atomic_load(&page->halves));
	tenon_lock_close(lock);
	tenon_region_close(region);
	return torn != 0;
}
