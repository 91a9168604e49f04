/* SPDX-License-Identifier: Apache-2.0 */

/* System V's limits are the administrator's, who sets them for the kernel's objects: proc(5). */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "contract.h"

#define KEY 0x5255
#define PAGE UINT64_C(4096)
#define FEW 5
/* So many that they are not counted at each birth. */
#define MANY 300

union semun {
	int val;
	void *information;
};

/* They are the IPC namespace's. */
static void begin(void)
{
	if (unshare(CLONE_NEWIPC) != 0)
		contract_skip("no IPC namespace to be had");
	if (access("/proc/sys/kernel/msgmni", W_OK) != 0)
		contract_skip("limits cannot be set here");
}

static __attribute__((format(printf, 2, 3))) void set_limit(const char *name, const char *format,
							    ...)
{
	char path[64], text[64];
	va_list list;
	int fd, length;

	va_start(list, format);
	length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		contract_skip("limits cannot be set here");
	REQUIRE(write(fd, text, (size_t)length) == length);
	close(fd);
}

struct kind {
	int (*get)(key_t key);
	int (*erase)(int id);
	int (*most)(void);
};

static int msg_get(key_t key)
{
	return tenon_msgget(key, IPC_CREAT | 0600);
}

static int msg_erase(int id)
{
	return tenon_msgctl(id, IPC_RMID, NULL);
}

static int msg_most(void)
{
	struct msginfo information;

	REQUIRE(tenon_msgctl(0, IPC_INFO, (struct msqid_ds *)&information) >= 0);
	return information.msgmni;
}

static int sem_get(key_t key)
{
	return tenon_semget(key, 1, IPC_CREAT | 0600);
}

static int sem_erase(int id)
{
	return tenon_semctl(id, 0, IPC_RMID);
}

static struct seminfo sem_information(void)
{
	struct seminfo information;

	REQUIRE(tenon_semctl(0, 0, IPC_INFO, (union semun){.information = &information}) >= 0);
	return information;
}

static int sem_most(void)
{
	return sem_information().semmni;
}

static int shm_get(key_t key)
{
	return tenon_shmget(key, 1, IPC_CREAT | 0600);
}

static int shm_erase(int id)
{
	return tenon_shmctl(id, IPC_RMID, NULL);
}

static struct shminfo shm_information(void)
{
	struct shminfo information;

	REQUIRE(tenon_shmctl(0, IPC_INFO, (struct shmid_ds *)&information) >= 0);
	return information;
}

static int shm_most(void)
{
	return (int)shm_information().shmmni;
}

static const struct kind msg = {msg_get, msg_erase, msg_most}, sem = {sem_get, sem_erase, sem_most},
			 shm = {shm_get, shm_erase, shm_most};

/* There are none before. */
static void fill(const struct kind *kind, int most)
{
	int id = -1;

	EXPECT_IS(kind->most(), most);
	for (int i = 0; i < most; i++) {
		id = kind->get(i % 2 ? IPC_PRIVATE : KEY + i);
		REQUIRE(id >= 0);
	}
	EXPECT_IS(kind->get(IPC_PRIVATE), -1);
	EXPECT_IS(errno, ENOSPC);
	EXPECT_IS(kind->get(KEY + most), -1);
	EXPECT_IS(errno, ENOSPC);
	/* What is there is found all the same. */
	EXPECT(kind->get(KEY) >= 0);
	EXPECT_IS(kind->erase(id), 0);
	EXPECT(kind->get(KEY + most) >= 0);
	EXPECT_IS(kind->get(IPC_PRIVATE), -1);
	EXPECT_IS(errno, ENOSPC);
}

static void number_of_queues(void)
{
	begin();
	set_limit("msgmni", "%d", FEW);
	fill(&msg, FEW);
	/* Others do not count. */
	EXPECT(sem_get(KEY) >= 0);
	EXPECT(shm_get(KEY) >= 0);
}

static void number_of_sets(void)
{
	begin();
	set_limit("sem", "32000 1024000000 500 %d", FEW);
	fill(&sem, FEW);
}

static void number_of_segments(void)
{
	begin();
	set_limit("shmmni", "%d", FEW);
	fill(&shm, FEW);
}

static void many(void)
{
	begin();
	set_limit("sem", "32000 1024000000 500 %d", MANY);
	fill(&sem, MANY);
}

static void raised_and_lowered(void)
{
	begin();
	set_limit("msgmni", "%d", FEW);
	fill(&msg, FEW);
	set_limit("msgmni", "%d", FEW + 1);
	EXPECT(msg_get(IPC_PRIVATE) >= 0);
	EXPECT_IS(msg_get(IPC_PRIVATE), -1);
	set_limit("msgmni", "%d", FEW - 1);
	EXPECT_IS(msg_get(IPC_PRIVATE), -1);
	EXPECT_IS(errno, ENOSPC);
}

/* So the kernel's own are switched off, and not these. */
static void none(void)
{
	begin();
	set_limit("msgmni", "0");
	set_limit("shmmni", "0");
	set_limit("shmmax", "0");
	set_limit("shmall", "0");
	set_limit("sem", "32000 1024000000 500 0");
	EXPECT_IS(msg_most(), 32000);
	EXPECT_IS(sem_most(), 32000);
	EXPECT_IS(shm_most(), 4096);
	EXPECT(msg_get(KEY) >= 0);
	EXPECT(sem_get(KEY) >= 0);
	EXPECT(shm_get(KEY) >= 0);
}

static int send_bytes(int id, size_t bytes)
{
	struct {
		long type;
		char text[512];
	} message = {.type = 1};

	REQUIRE(bytes <= sizeof(message.text));
	return tenon_msgsnd(id, &message, bytes, IPC_NOWAIT);
}

static void size_of_messages(void)
{
	int id;

	begin();
	set_limit("msgmax", "300");
	set_limit("msgmnb", "500");
	id = msg_get(KEY);
	EXPECT_IS(send_bytes(id, 301), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(send_bytes(id, 300), 0);
	EXPECT_IS(send_bytes(id, 201), -1);
	EXPECT_IS(errno, EAGAIN);
	EXPECT_IS(send_bytes(id, 200), 0);
	/* More is known at once, less with the next queue. */
	set_limit("msgmax", "400");
	id = msg_get(KEY + 1);
	EXPECT_IS(send_bytes(id, 400), 0);
}

static void size_of_sets(void)
{
	struct sembuf operations[4] = {{0, 1, 0}, {1, 1, 0}, {2, 1, 0}, {3, 1, 0}};
	int id;

	begin();
	set_limit("sem", "20 30 3 32000");
	EXPECT_IS(sem_information().semmsl, 20);
	EXPECT_IS(sem_information().semmns, 30);
	EXPECT_IS(sem_information().semopm, 3);
	EXPECT_IS(tenon_semget(KEY, 21, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EINVAL);
	id = tenon_semget(KEY, 20, IPC_CREAT | 0600);
	REQUIRE(id >= 0);
	EXPECT_IS(tenon_semget(KEY + 1, 11, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, ENOSPC);
	EXPECT(tenon_semget(KEY + 1, 10, IPC_CREAT | 0600) >= 0);
	EXPECT_IS(tenon_semop(id, operations, 4), -1);
	EXPECT_IS(errno, E2BIG);
	/* Looked at before the identifier, as Linux does. */
	EXPECT_IS(tenon_semop(-1, operations, 4), -1);
	EXPECT_IS(errno, E2BIG);
	EXPECT_IS(tenon_semop(id, operations, 3), 0);
	set_limit("sem", "20 30 4 32000");
	EXPECT_IS(tenon_semop(id, operations, 4), 0);
}

static void size_of_segments(void)
{
	begin();
	set_limit("shmmax", "%d", 2 * (int)PAGE);
	set_limit("shmall", "3");
	EXPECT_IS((int64_t)shm_information().shmmax, 2 * (int64_t)PAGE);
	EXPECT_IS((int64_t)shm_information().shmall, 3);
	EXPECT_IS(tenon_shmget(KEY, 2 * PAGE + 1, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT(tenon_shmget(KEY, 2 * PAGE, IPC_CREAT | 0600) >= 0);
	EXPECT_IS(tenon_shmget(KEY + 1, PAGE + 1, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, ENOSPC);
	EXPECT(tenon_shmget(KEY + 1, PAGE, IPC_CREAT | 0600) >= 0);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"number of queues", number_of_queues, NULL},
		{"number of sets", number_of_sets, NULL},
		{"number of segments", number_of_segments, NULL},
		{"many", many, NULL},
		{"raised and lowered", raised_and_lowered, NULL},
		{"none", none, NULL},
		{"size of messages", size_of_messages, NULL},
		{"size of sets", size_of_sets, NULL},
		{"size of segments", size_of_segments, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
