/* SPDX-License-Identifier: Apache-2.0 */

/* System V: what Tenon promises beside the standard, which test/conform has. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/semaphore_set.h>
#include <tenon/sysv.h>

#include "../crash/folder.h"
#include "contract.h"
#include "users.h"

#define KEY 0x5254

struct text {
	long type;
	char bytes[8];
};

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static _Atomic int *shared_id;

static int send_one(int id, int flags)
{
	struct text text = {.type = 7, .bytes = "message"};

	return tenon_msgsnd(id, &text, sizeof(text.bytes), flags);
}

static ssize_t receive_one(int id, int flags)
{
	struct text text;

	return tenon_msgrcv(id, &text, sizeof(text.bytes), 0, flags);
}

static void name_of(int id, char name[TENON_SYSV_NAME_BYTES])
{
	REQUIRE(tenon_sysv_name(id, name) == 0);
}

/* The name is the object's for the other interfaces, and says of whose identifier it is. */
static void names(void)
{
	struct tenon_sysv_identity identity = {.size = sizeof(identity)};
	struct tenon_queue *queue;
	char name[TENON_SYSV_NAME_BYTES];
	int id = tenon_msgget(KEY, IPC_CREAT | 0640);

	REQUIRE(id >= 0);
	EXPECT_IS(tenon_sysv_name(-1, name), -EINVAL);
	EXPECT_IS(tenon_sysv_name(id, NULL), -EINVAL);
	name_of(id, name);
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_QUEUE, name, &identity), 0);
	EXPECT_IS(identity.id, id);
	EXPECT_IS(identity.key, KEY);
	EXPECT_IS(identity.mode, 0640);
	EXPECT_IS(identity.uid, geteuid());
	EXPECT_IS(identity.creator_gid, getegid());
	EXPECT(identity.changed_ns > 0);
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_SEMAPHORE_SET, name, &identity), -ENOENT);
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_REGION, name, &identity), -EINVAL);
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_QUEUE, "/none", &identity), -ENOENT);
	identity.size = 3;
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_QUEUE, name, &identity), -EINVAL);
	identity.size = sizeof(identity);
	queue = contract_make("/other", TENON_QUEUE_WAIT, 3, 8);
	EXPECT_IS(tenon_sysv_identify(TENON_KIND_QUEUE, "/other", &identity), -EINVAL);
	EXPECT_IS(tenon_sysv_remove(TENON_KIND_QUEUE, "/other"), -EINVAL);
	tenon_queue_close(queue);
	EXPECT_IS(tenon_queue_remove(NULL, "/other"), 0);
	EXPECT_IS(tenon_sysv_remove(TENON_KIND_QUEUE, name), 0);
	EXPECT_IS(tenon_sysv_remove(TENON_KIND_QUEUE, name), -ENOENT);
	EXPECT_IS(folder_files(contract_folder), 0);
}

struct seen {
	char name[TENON_SYSV_NAME_BYTES];
	uint32_t kind, count, others;
};

static int see(uint32_t kind, const char *name, void *context)
{
	struct seen *seen = context;

	if (kind == seen->kind && strcmp(name, seen->name) == 0)
		seen->count++;
	else
		seen->others++;
	return 0;
}

/* Objects are listed once, by their identifiers; keys are no objects. */
static void listed(void)
{
	struct seen seen = {.kind = TENON_KIND_SEMAPHORE_SET};
	int set = tenon_semget(KEY, 3, IPC_CREAT | 0600),
	    queue = tenon_msgget(KEY, IPC_CREAT | 0600);

	REQUIRE(set >= 0 && queue >= 0);
	name_of(set, seen.name);
	EXPECT_IS(tenon_namespace_list(NULL, see, &seen), 0);
	EXPECT_IS(seen.count, 1);
	EXPECT_IS(seen.others, 1);
	EXPECT_IS(tenon_msgctl(queue, IPC_RMID, NULL), 0);
	EXPECT_IS(tenon_semctl(set, 0, IPC_RMID), 0);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* The same queue, by both interfaces. */
static void one_queue(void)
{
	struct tenon_send_options send = {.size = sizeof(send), .key = 9};
	struct tenon_receive_options receive = {.size = sizeof(receive), .flags = TENON_NONBLOCK};
	struct tenon_message message;
	struct tenon_queue *queue;
	char name[TENON_SYSV_NAME_BYTES];
	struct text text;
	int id = tenon_msgget(IPC_PRIVATE, 0600);

	REQUIRE(id >= 0);
	name_of(id, name);
	queue = contract_open(name);
	EXPECT_IS(tenon_queue_send(queue, "native", 6, &send), 0);
	EXPECT_IS(tenon_msgrcv(id, &text, sizeof(text.bytes), 9, IPC_NOWAIT), 6);
	EXPECT_IS(memcmp(text.bytes, "native", 6), 0);
	EXPECT_IS(text.type, 9);
	EXPECT_IS(send_one(id, 0), 0);
	EXPECT_IS(tenon_queue_receive(queue, text.bytes, sizeof(text.bytes), &receive, &message),
		  0);
	EXPECT_IS(message.key, 7);
	EXPECT_IS(message.bytes, sizeof(text.bytes));
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), 0);
	EXPECT_IS(tenon_queue_send(queue, "native", 6, &send), -EIDRM);
	tenon_queue_close(queue);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* And the same semaphores. */
static void one_set(void)
{
	struct tenon_semaphore_operation take = {1, -2, 0};
	struct tenon_semaphore_set *set;
	union semun argument = {.val = 2};
	char name[TENON_SYSV_NAME_BYTES];
	int id = tenon_semget(IPC_PRIVATE, 3, 0600);

	REQUIRE(id >= 0 && tenon_semctl(id, 1, SETVAL, argument) == 0);
	name_of(id, name);
	REQUIRE(tenon_semaphore_set_open(NULL, name, 0, NULL, &set) == 0);
	EXPECT_IS(tenon_semaphore_set_operate(set, &take, 1, 0), 0);
	EXPECT_IS(tenon_semctl(id, 1, GETVAL), 0);
	tenon_semaphore_set_close(set);
	EXPECT_IS(tenon_semctl(id, 0, IPC_RMID), 0);
	EXPECT_IS(folder_files(contract_folder), 0);
}

static void be_told_receiving(void *context)
{
	(void)context;
	EXPECT_IS(receive_one(atomic_load(shared_id), 0), -1);
	EXPECT_IS(errno, EIDRM);
}

static void be_told_waiting(void *context)
{
	struct sembuf take = {0, -1, 0};

	(void)context;
	EXPECT_IS(tenon_semop(atomic_load(shared_id), &take, 1), -1);
	EXPECT_IS(errno, EIDRM);
}

/* What the shell removes with is IPC_RMID. */
static void removed_by_name(void)
{
	char name[TENON_SYSV_NAME_BYTES];
	struct tenon_queue *queue;
	pid_t child;

	shared_id = contract_share(sizeof(*shared_id));
	atomic_store(shared_id, tenon_msgget(KEY, IPC_CREAT | 0600));
	name_of(atomic_load(shared_id), name);
	queue = contract_open(name);
	child = contract_start(be_told_receiving, NULL);
	contract_await_receivers(queue, 1);
	tenon_queue_close(queue);
	EXPECT_IS(tenon_sysv_remove(TENON_KIND_QUEUE, name), 0);
	contract_await(child);
	atomic_store(shared_id, tenon_semget(KEY, 1, IPC_CREAT | 0600));
	name_of(atomic_load(shared_id), name);
	child = contract_start(be_told_waiting, NULL);
	while (tenon_semctl(atomic_load(shared_id), 0, GETNCNT) == 0)
		sched_yield();
	EXPECT_IS(tenon_sysv_remove(TENON_KIND_SEMAPHORE_SET, name), 0);
	contract_await(child);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* The name alone was removed, as that of any object is: the key is free, and then the identifier is none any more. */
static void name_removed(void)
{
	char name[TENON_SYSV_NAME_BYTES];
	int id = tenon_msgget(KEY, IPC_CREAT | 0600), other;

	name_of(id, name);
	EXPECT_IS(tenon_queue_remove(NULL, name), 0);
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
	EXPECT_IS(errno, ENOENT);
	other = tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(other >= 0 && other != id);
	EXPECT_IS(tenon_msgctl(other, IPC_RMID, NULL), 0);
	EXPECT_IS(send_one(id, IPC_NOWAIT), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(folder_files(contract_folder), 0);
}

static void give_away(const struct part *part)
{
	struct msqid_ds status;
	int id = tenon_msgget(KEY, IPC_CREAT | 0600);

	(void)part;
	atomic_store(shared_id, id);
	REQUIRE(id >= 0 && tenon_msgctl(id, IPC_STAT, &status) == 0);
	status.msg_perm.uid = BOB;
	EXPECT_IS(tenon_msgctl(id, IPC_SET, &status), 0);
	EXPECT_IS(send_one(id, 0), 0);
}

static void use_as_owner(const struct part *part)
{
	struct msqid_ds status;

	(void)part;
	EXPECT_IS(tenon_msgget(KEY, 0600), atomic_load(shared_id));
	EXPECT_IS(receive_one(atomic_load(shared_id), IPC_NOWAIT), 8);
	REQUIRE(tenon_msgctl(atomic_load(shared_id), IPC_STAT, &status) == 0);
	EXPECT_IS(status.msg_perm.uid, BOB);
	EXPECT_IS(status.msg_perm.cuid, ANN);
	status.msg_qbytes = 100;
	EXPECT_IS(tenon_msgctl(atomic_load(shared_id), IPC_SET, &status), 0);
}

static void use_as_other(const struct part *part)
{
	struct msqid_ds status;

	(void)part;
	EXPECT_IS(receive_one(atomic_load(shared_id), IPC_NOWAIT), -1);
	EXPECT_IS(errno, EACCES);
	EXPECT_IS(tenon_msgctl(atomic_load(shared_id), IPC_STAT, &status), -1);
	EXPECT_IS(errno, EACCES);
	EXPECT_IS(tenon_msgctl(atomic_load(shared_id), IPC_RMID, NULL), -1);
	EXPECT(errno == EPERM || errno == EACCES);
}

static void remove_as_owner(const struct part *part)
{
	(void)part;
	EXPECT_IS(tenon_msgctl(atomic_load(shared_id), IPC_RMID, NULL), 0);
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
}

static void find_nothing(const struct part *part)
{
	(void)part;
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
	EXPECT_IS(errno, ENOENT);
	EXPECT_IS(send_one(atomic_load(shared_id), IPC_NOWAIT), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* In a sticky folder the owner who is not the creator ends it; the names go with the creator's next look. */
static void owner_and_creator(void)
{
	users_begin();
	shared_id = contract_share(sizeof(*shared_id));
	users_act((struct part){.uid = ANN, .play = give_away});
	users_act((struct part){.uid = BOB, .play = use_as_owner});
	users_act((struct part){.uid = 61003, .play = use_as_other});
	users_act((struct part){.uid = BOB, .play = remove_as_owner});
	users_act((struct part){.uid = ANN, .play = find_nothing});
}

/* Who says that it is another user now is asked anew. */
static void credentials(void)
{
	int id;

	users_begin();
	id = tenon_msgget(KEY, IPC_CREAT | 0600);
	REQUIRE(id >= 0 && send_one(id, 0) == 0);
	REQUIRE(setresuid(ANN, ANN, 0) == 0);
	tenon_sysv_credentials();
	EXPECT_IS(send_one(id, 0), -1);
	EXPECT_IS(errno, EACCES);
	REQUIRE(setresuid(0, 0, 0) == 0);
	tenon_sysv_credentials();
	EXPECT_IS(send_one(id, 0), 0);
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), 0);
}

/* Who is not let in by the file.  `is_held`: these objects were opened before. */
static void expect_known(int id, bool is_held)
{
	union semun argument;
	struct semid_ds set;
	int other = tenon_semget(KEY, 1, 0);

	argument.buf = &set;
	EXPECT_IS(other, is_held ? id : -1);
	EXPECT(is_held || errno == EACCES);
	EXPECT_IS(tenon_semget(KEY, 1, 0400), -1);
	EXPECT_IS(errno, EACCES);
	EXPECT_IS(tenon_semctl(id & 0x7fff, 0, SEM_STAT_ANY, argument), is_held ? id : -1);
	EXPECT(is_held || errno == EACCES);
	EXPECT_IS(tenon_semctl(id & 0x7fff, 0, SEM_STAT, argument), -1);
	EXPECT_IS(errno, EACCES);
}

/* What an identifier was given of before is known afterwards, too, as the kernel's is. */
static void held(void)
{
	int id;

	users_begin();
	/* Those that are gone take nothing away from it. */
	for (int i = 0; i < 3000; i++)
		EXPECT_IS(tenon_semctl(tenon_semget(IPC_PRIVATE, 1, 0600), 0, IPC_RMID), 0);
	id = tenon_semget(KEY, 1, IPC_CREAT | 0600);
	REQUIRE(id >= 0 && setresuid(ANN, ANN, 0) == 0);
	tenon_sysv_credentials();
	expect_known(id, false);
	REQUIRE(setresuid(0, 0, 0) == 0);
	tenon_sysv_credentials();
	tenon_sysv_hold();
	REQUIRE(setresuid(ANN, ANN, 0) == 0);
	tenon_sysv_credentials();
	expect_known(id, true);
	REQUIRE(setresuid(0, 0, 0) == 0);
	tenon_sysv_credentials();
	EXPECT_IS(tenon_semctl(id, 0, IPC_RMID), 0);
	EXPECT_IS(tenon_semget(KEY, 1, 0), -1);
	EXPECT_IS(errno, ENOENT);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"names", names, NULL},
		{"listed", listed, NULL},
		{"one queue", one_queue, NULL},
		{"one set", one_set, NULL},
		{"removed by name", removed_by_name, NULL},
		{"the name removed", name_removed, NULL},
		{"owner and creator", owner_and_creator, NULL},
		{"credentials", credentials, NULL},
		{"held", held, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
