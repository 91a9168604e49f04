/* SPDX-License-Identifier: Apache-2.0 */

/* What the requirements of System V's objects share. */

#include "sysv.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>

#if defined(CONFORM_COMPAT) && !(defined(msgget) && defined(semget) && defined(shmget))
#error "the headers of the original names are not those of Tenon"
#endif

#define NOTED_MAX 65536u

volatile sig_atomic_t handled;

/* What is to be removed: of all processes of the run. */
static struct {
	uint32_t count;
	struct {
		enum kind kind;
		int id;
	} one[NOTED_MAX];
} * noted;

__attribute__((constructor)) static void share_noted(void)
{
	noted = conform_share(sizeof(*noted));
}

key_t key_of(int which)
{
	return (key_t)(0x74000000u | ((uint32_t)conform_run & 0xfffffu) << 4 | (uint32_t)which);
}

int note(enum kind kind, int id)
{
	int error = errno;

	if (id >= 0) {
		uint32_t index = __atomic_fetch_add(&noted->count, 1, __ATOMIC_RELAXED);

		REQUIRE(index < NOTED_MAX);
		noted->one[index].kind = kind;
		noted->one[index].id = id;
	}
	errno = error;
	return id;
}

int get(enum kind kind, key_t key, int flags)
{
	switch (kind) {
	case MSG:
		return note(kind, msgget(key, flags));
	case SEM:
		return note(kind, semget(key, SEMAPHORES, flags));
	default:
		return note(kind, shmget(key, PAGE, flags));
	}
}

int make(enum kind kind)
{
	int id = get(kind, IPC_PRIVATE, 0600);

	REQUIRE(id >= 0);
	return id;
}

int make_mode(enum kind kind, int mode)
{
	int id = get(kind, KEY, IPC_CREAT | IPC_EXCL | mode);

	REQUIRE(id >= 0);
	return id;
}

struct making {
	enum kind kind;
	int mode;
};

static void process_makes(void *context)
{
	const struct making *making = context;

	(void)make_mode(making->kind, making->mode);
}

int make_as(enum kind kind, uid_t user, int mode)
{
	struct making making = {kind, mode};
	int id;

	conform_act_as(user, process_makes, &making);
	id = get(kind, KEY, 0);
	REQUIRE(id >= 0);
	return id;
}

int control(enum kind kind, int id, int command, union status *status)
{
	union semun argument = {.buf = status ? &status->sem : NULL};

	switch (kind) {
	case MSG:
		return msgctl(id, command, status ? &status->msg : NULL);
	case SEM:
		return semctl(id, 0, command, argument);
	default:
		return shmctl(id, command, status ? &status->shm : NULL);
	}
}

union status status_of(enum kind kind, int id)
{
	union status status;

	memset(&status, 0xee, sizeof(status));
	REQUIRE(control(kind, id, IPC_STAT, &status) == 0);
	return status;
}

struct ipc_perm *perm_in(enum kind kind, union status *status)
{
	switch (kind) {
	case MSG:
		return &status->msg.msg_perm;
	case SEM:
		return &status->sem.sem_perm;
	default:
		return &status->shm.shm_perm;
	}
}

struct ipc_perm perm_of(enum kind kind, int id)
{
	union status status = status_of(kind, id);

	return *perm_in(kind, &status);
}

void erase(enum kind kind, int id)
{
	EXPECT_IS(control(kind, id, IPC_RMID, NULL), 0);
}

int set_perm(enum kind kind, int id, int mode, uid_t uid, gid_t gid)
{
	union status status = {0};
	struct ipc_perm *perm = perm_in(kind, &status);

	if (kind == MSG)
		status.msg.msg_qbytes = 16384;
	perm->mode = (unsigned short)mode;
	perm->uid = uid;
	perm->gid = gid;
	return control(kind, id, IPC_SET, &status);
}

void await_after(time_t moment)
{
	while (time(NULL) <= moment)
		sched_yield();
}

void await_turn(void)
{
	time_t then = time(NULL);
	struct timespec now;

	do
		EXPECT_IS(clock_gettime(CLOCK_REALTIME, &now), 0);
	while (now.tv_sec <= then);
}

pid_t block(void (*run)(void *context), void *context)
{
	pid_t child = conform_start(run, context);

	conform_await_blocked(child, 0);
	return child;
}

pid_t block_as(uid_t user, void (*run)(void *context), void *context)
{
	pid_t child = conform_start_as(user, run, context);

	conform_await_blocked(child, 0);
	return child;
}

static void count(int signal)
{
	(void)signal;
	handled++;
}

void handle(int signal, int flags)
{
	struct sigaction action = {.sa_handler = count, .sa_flags = flags};

	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static const char *folder(void)
{
	static char path[40];

	snprintf(path, sizeof(path), "/tmp/tenon-conform.%d", conform_run);
	return path;
}

void enter_folder(void)
{
	if (chdir(folder()) != 0)
		REQUIRE(mkdir(folder(), 0755) == 0 && chdir(folder()) == 0);
}

static void remove_folder(void)
{
	static const char *const names[] = {"a", "b", "c", "d/e", "d"};

	if (chdir(folder()) != 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(names[i]);
	(void)rmdir(folder());
}

void *make_nowhere(void)
{
	void *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(page != MAP_FAILED);
	return page;
}

void need_direct(void)
{
	if (strcmp(conform_implementation, "compat") == 0)
		conform_skip("the system calls are the kernel's");
}

void need_alone(void)
{
	if (geteuid() != 0)
		conform_skip("only root has a namespace of its own");
}

bool has_capability(int number)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long all = 0;
	char line[200];

	REQUIRE(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "CapEff: %llx", &all) == 1)
			break;
	}
	fclose(file);
	return all >> number & 1;
}

int operate(int id, int number, int operation, int flags)
{
	struct sembuf one = {.sem_num = (unsigned short)number,
			     .sem_op = (short)operation,
			     .sem_flg = (short)flags};

	return semop(id, &one, 1);
}

static const char *unusable(void)
{
	static char reason[100];

	if (CONFORM_UNDER_TSAN)
		return "the thread sanitizer puts signals off until a call ends";
	if (strcmp(conform_implementation, "kernel") != 0)
		return NULL;
	for (enum kind kind = MSG; kind <= SHM; kind++) {
		int id = get(kind, IPC_PRIVATE, 0600);

		if (id < 0) {
			snprintf(reason, sizeof(reason),
				 "the kernel makes no objects of System V: %s", strerror(errno));
			return reason;
		}
		(void)control(kind, id, IPC_RMID, NULL);
	}
	return NULL;
}

static void clean(void)
{
	for (enum kind kind = MSG; kind <= SHM; kind++) {
		for (int i = 0; i < KEYS; i++) {
			int id = get(kind, key_of(i), 0);

			if (id >= 0)
				(void)control(kind, id, IPC_RMID, NULL);
		}
	}
	for (uint32_t i = 0; i < noted->count && i < NOTED_MAX; i++)
		(void)control(noted->one[i].kind, noted->one[i].id, IPC_RMID, NULL);
	noted->count = 0;
	remove_folder();
}

/* What a requirement goes on with behind exec: the arguments are what to do, an id, and a word of it. */
static int executed(int count_of_words, char **words)
{
	int id = count_of_words > 1 ? (int)strtol(words[1], NULL, 10) : -1;
	int word = count_of_words > 2 ? (int)strtol(words[2], NULL, 10) : 0;

	if (count_of_words > 1 && strcmp(words[0], "nothing") == 0) {
		return 0;
	} else if (count_of_words > 2 && strcmp(words[0], "value") == 0) {
		/* The undoing is at the end of this program, and not of the one before. */
		EXPECT_IS(semctl(id, 0, GETVAL), word);
		EXPECT_IS(operate(id, 1, 1, 0), 0);
		EXPECT_IS(operate(id, 2, -1, IPC_NOWAIT), 0);
	} else if (count_of_words > 2 && strcmp(words[0], "attached") == 0) {
		EXPECT_IS(status_of(SHM, id).shm.shm_nattch, word);
	} else if (count_of_words > 2 && strcmp(words[0], "receive") == 0) {
		struct {
			long type;
			char text[16];
		} message;

		EXPECT_IS(msgrcv(id, &message, sizeof(message.text), 0, IPC_NOWAIT), word);
	} else {
		conform_fail(__FILE__, __LINE__, "no such thing to execute", count_of_words);
	}
	/* Its failures are counted where nobody looks. */
	return conform_failed() ? 1 : 0;
}

int sysv_main(const char *symbol, int count_of_arguments, char **arguments)
{
	const struct conform_suite suite = {
		.symbol = symbol,
		.unusable = unusable,
		.clean = clean,
		.executed = executed,
	};

	return conform_main(&suite, count_of_arguments, arguments);
}
