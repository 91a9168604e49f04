/* SPDX-License-Identifier: Apache-2.0 */

/*
 *	PROGRAM [-n KILLS] [-e KILLS-AN-EPOCH] [-t SECONDS] [-s SEED] KIND...
 *
 * Each of the kinds has its share of the kills, and of the time.
 */

#include "moments.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tenon/tenon.h>

#include "folder.h"

#define SKIPPED 77
#define WORKER_NICENESS 10
/* The longest pause between two kills. */
#define PAUSE_MAX_NS 1500000
/* Now and then nobody is killed for longer. */
#define REST_MAX_NS 8000000
#define LOOK_NS 100000
/* All sleep for good: longer than anybody who looks again for the dead. */
#define ASLEEP_NS INT64_C(20000000)

struct moments_ledger *moments;
const char *moments_obstacle;

static const struct moments_kind *const kinds[] = {
	&moments_event,	    &moments_gate,    &moments_pulse,  &moments_pulse_auto,
	&moments_condition, &moments_barrier, &moments_once,   &moments_inherit,
	&moments_any,	    &moments_all,     &moments_region, &moments_sysv_sem,
	&moments_sysv_msg,  &moments_sysv_key};

static const struct moments_kind *kind;
static uint64_t random_state;
static char folder[FOLDER_BYTES];
static volatile sig_atomic_t ended;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* xorshift64*: seeds make runs alike, as far as the scheduler lets them be. */
uint32_t moments_random(uint32_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % bound;
}

bool moments_wrong(const char *what, int64_t figure)
{
	uint32_t none = 0;

	if (atomic_compare_exchange_strong(&moments->failed, &none, 1)) {
		snprintf(moments->why, sizeof(moments->why), "%s (%" PRId64 ")", what, figure);
		atomic_store(&moments->failed, 2);
	}
	return false;
}

int64_t moments_deadline(void)
{
	return tenon_deadline_after(MOMENTS_PATIENCE_NS);
}

bool moments_is_late(int64_t deadline_ns)
{
	return now_ns() > deadline_ns;
}

void moments_dally(void)
{
	for (uint32_t i = moments_random(4); i > 0; i--)
		sched_yield();
}

/* The state of a process or thread, of which that is the folder; 'X': it is gone. */
static char state_of(const char *path)
{
	char name[320], line[256];
	const char *end;
	FILE *file;

	snprintf(name, sizeof(name), "%s/stat", path);
	file = fopen(name, "re");
	if (!file)
		return 'X';
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end && end[1] != '\0' ? end[2] : 'X';
}

bool moments_is_dead(int32_t pid)
{
	char path[40], state;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	state = state_of(path);
	return state == 'X' || state == 'Z';
}

bool moments_is_asleep(int32_t pid)
{
	char path[40], thread[300];
	const struct dirent *entry;
	bool asleep = true;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	if (!threads)
		return false;
	while (asleep && (entry = readdir(threads)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(thread, sizeof(thread), "%s/%s", path, entry->d_name);
		asleep = state_of(thread) == 'S';
	}
	closedir(threads);
	return asleep;
}

void moments_own(_Atomic uint64_t *word)
{
	atomic_store(word, (uint64_t)getpid());
}

bool moments_disown(_Atomic uint64_t *word, const char *what)
{
	uint64_t own = (uint64_t)getpid();

	return atomic_compare_exchange_strong(word, &own, 0) || moments_wrong(what, (int64_t)own);
}

static void start(uint32_t index)
{
	struct moments_slot *slot = &moments->slot[index];
	uint64_t seed = random_state + index;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The main process must not wait for a processor behind all the workers. */
		setpriority(PRIO_PROCESS, 0, WORKER_NICENESS);
		random_state = seed | 1;
		/* Whoever looks at the slot finds this one there. */
		atomic_store(&slot->pid, getpid());
		kind->work(index);
		moments_wrong("a worker has ended", index);
		_exit(0);
	}
	if (pid < 0)
		moments_wrong("fork", -errno);
	else
		atomic_store(&slot->pid, pid);
}

/* The dying one does not wait for a processor either, where that is allowed; nor do its threads. */
static void hasten(int32_t pid)
{
	const struct dirent *entry;
	char path[40];
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads)) != NULL)
		if (entry->d_name[0] != '.')
			setpriority(PRIO_PROCESS, (id_t)strtoul(entry->d_name, NULL, 10), 0);
	if (threads)
		closedir(threads);
}

static bool end(uint32_t index)
{
	struct moments_slot *slot = &moments->slot[index];
	int32_t pid = atomic_load(&slot->pid);

	if (pid <= 0)
		return true;
	hasten(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	atomic_store(&slot->pid, 0);
	atomic_store(&slot->state, 0);
	atomic_fetch_add(&slot->incarnation, 1);
	atomic_fetch_add(&moments->deaths, 1);
	return !kind->bury || kind->bury(index);
}

static bool are_all_asleep(void)
{
	for (uint32_t i = 0; i < kind->workers; i++) {
		int32_t pid = atomic_load(&moments->slot[i].pid);

		if (pid > 0 && !moments_is_asleep(pid))
			return false;
	}
	return true;
}

static void pause_for(uint32_t most_ns)
{
	struct timespec moment = {0, moments_random(most_ns)};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

/* Until somebody has gone on. */
static bool await_progress(uint64_t before)
{
	int64_t deadline_ns = moments_deadline(), asleep_ns = 0;

	while (atomic_load(&moments->progress) == before && !atomic_load(&moments->failed) &&
	       !ended) {
		pause_for(LOOK_NS);
		if (moments_is_late(deadline_ns))
			return moments_wrong("nobody goes on", 0);
		if (!are_all_asleep()) {
			asleep_ns = 0;
			continue;
		}
		if (asleep_ns == 0)
			asleep_ns = now_ns();
		if (now_ns() - asleep_ns < ASLEEP_NS || atomic_load(&moments->progress) != before)
			continue;
		if (!kind->feed)
			return moments_wrong("all are asleep", 0);
		if (!kind->feed())
			return false;
		asleep_ns = 0;
	}
	return true;
}

static bool kill_one(void)
{
	uint32_t index = moments_random(kind->workers);
	uint64_t before;
	bool right = true;

	pause_for(PAUSE_MAX_NS);
	if (moments_random(8) == 0) {
		/* Without a death, of which all are told, and without a newcomer they go on as well. */
		pause_for(REST_MAX_NS);
		right = await_progress(atomic_load(&moments->progress));
	}
	right = right && end(index);
	before = atomic_load(&moments->progress);
	if (kind->needs_all)
		start(index);
	/* Now and then the next one dies before anybody has got over it. */
	if (right && moments_random(4) != 0)
		right = await_progress(before);
	if (!kind->needs_all)
		start(index);
	return right && !atomic_load(&moments->failed);
}

static bool run_epoch(uint64_t kills, int64_t end_ns, uint64_t *done)
{
	bool right;

	memset((void *)moments, 0, sizeof(*moments));
	right = kind->set_up() || moments_wrong("cannot be made", 0);
	for (uint32_t i = 0; right && i < kind->workers; i++)
		start(i);
	for (uint64_t i = 0; right && i < kills && now_ns() < end_ns && !ended; i++) {
		right = kill_one();
		++*done;
	}
	right = right && await_progress(atomic_load(&moments->progress));
	for (uint32_t i = 0; i < kind->workers; i++)
		right = end(i) && right;
	right = right && !atomic_load(&moments->failed) && kind->prove();
	kind->clear();
	if (right && folder_files(folder) != 0)
		right = moments_wrong("files are left", folder_files(folder));
	return right && !atomic_load(&moments->failed);
}

static bool run_kind(uint64_t kills, uint64_t an_epoch, int64_t end_ns)
{
	uint64_t done = 0, progress = 0;
	int64_t begun_ns = now_ns();
	bool right = true;

	while (right && done < kills && now_ns() < end_ns && !ended) {
		uint64_t left = kills - done;

		right = run_epoch(left < an_epoch ? left : an_epoch, end_ns, &done);
		progress += atomic_load(&moments->progress);
	}
	if (moments_obstacle) {
		printf("%s is skipped: %s\n", kind->name, moments_obstacle);
		return false;
	}
	printf("%s: %" PRIu64 " kills in %.1f s, %" PRIu64 " times somebody went on\n", kind->name,
	       done, (double)(now_ns() - begun_ns) / 1e9, progress);
	if (!right)
		printf("FAIL: %s: %s\n", kind->name, moments->why);
	fflush(stdout);
	return right;
}

static bool find_kind(const char *name)
{
	for (uint32_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		kind = kinds[i];
		if (strcmp(kind->name, name) == 0)
			return true;
	}
	printf("there is no kind %s\n", name);
	return false;
}

static void note_end(int signal)
{
	(void)signal;
	ended = 1;
}

int main(int count, char **arguments)
{
	uint64_t kills = UINT64_MAX, an_epoch = 100;
	double seconds = 5;
	bool right = true;
	int option;

	random_state = (uint64_t)time(NULL);
	while ((option = getopt(count, arguments, "n:e:s:t:")) != -1) {
		if (option == 'n') {
			kills = strtoull(optarg, NULL, 0);
			seconds = 1e8;
		} else if (option == 'e')
			an_epoch = strtoull(optarg, NULL, 0);
		else if (option == 's')
			random_state = strtoull(optarg, NULL, 0);
		else if (option == 't')
			seconds = strtod(optarg, NULL);
		else
			return 2;
	}
	random_state |= 1;
	moments = mmap(NULL, sizeof(*moments), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (moments == MAP_FAILED || an_epoch == 0 || optind == count || folder_make(folder) != 0)
		return 2;
	signal(SIGTERM, note_end);
	signal(SIGINT, note_end);
	printf("seed %" PRIu64 "\n", random_state);
	for (int i = optind; right && i < count; i++)
		right = find_kind(arguments[i]) &&
			run_kind(kills / (uint64_t)(count - optind), an_epoch,
				 now_ns() + (int64_t)(seconds * 1e9 / (count - optind)));
	folder_remove(folder);
	if (moments_obstacle)
		return SKIPPED;
	return right && !ended ? EXIT_SUCCESS : EXIT_FAILURE;
}
