/* SPDX-License-Identifier: Apache-2.0 */

/*
 * System V's objects in the hands of a stranger: who scribbles over what their files say of identity and permission, while
 * others use and remove them; who puts something else in the places of their names; who cuts their files off.  Others get
 * errors, and the names of another object stay where they are.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "../contract/contract.h"
#include "../contract/users.h"
#include "../crash/folder.h"
#include "abi/object.h"
#include "abi/queue.h"
#include "abi/sysv.h"

#define KEY 0x6b
#define OTHER_KEY 0x6c
#define ROUNDS 30
#define WORDS (sizeof(struct tni_sysv_part) / sizeof(uint32_t))
#define PATH_BYTES 300
#define MAKES 3000 /* of which some two dozen tidy up */

struct text {
	long type;
	char bytes[8];
};

static int id, other_id;
static _Atomic uint32_t *ready;

static int send_one(int queue)
{
	struct text text = {.type = 7, .bytes = "message"};

	return tenon_msgsnd(queue, &text, sizeof(text.bytes), IPC_NOWAIT);
}

static ssize_t receive_one(int queue)
{
	struct text text;

	return tenon_msgrcv(queue, &text, sizeof(text.bytes), 0, IPC_NOWAIT);
}

/* No other error than a header names, and none for nothing. */
static void told(const char *call, long result)
{
	switch (result < 0 ? errno : 0) {
	case 0:
	case EACCES:
	case EAGAIN:
	case EBADMSG:
	case EEXIST:
	case EIDRM:
	case EINVAL:
	case ENOENT:
	case ENOMSG:
	case EPERM:
	case EUSERS:
		return;
	default:
		contract_fail(__FILE__, __LINE__, call, errno);
	}
}

#define TOLD(call) told(#call, (call))

static void path_of_key(uint32_t key, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/q-key.%08x", contract_folder, key);
}

static void path_of_id(int queue, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/q.sysv-%04x", contract_folder, queue & TNI_SYSV_INDEX);
}

static bool is_there(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static void make_both(void *context)
{
	int *ids = context;

	ids[0] = tenon_msgget(KEY, IPC_CREAT | 0660);
	ids[1] = tenon_msgget(OTHER_KEY, IPC_CREAT | 0660);
	REQUIRE(ids[0] >= 0 && ids[1] >= 0 && send_one(ids[1]) == 0);
}

static struct tni_sysv_part *map_part(void)
{
	char path[PATH_BYTES];
	uint8_t *page;
	int fd;

	path_of_id(id, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	page = mmap(NULL, TNI_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	REQUIRE(page != MAP_FAILED);
	return (struct tni_sysv_part *)(page + TNI_SYSV_OFFSET);
}

static void use_all(void)
{
	struct tenon_sysv_identity identity = {.size = sizeof(identity)};
	char name[TENON_SYSV_NAME_BYTES];
	struct msqid_ds status;
	struct msginfo information;
	int result;

	TOLD(send_one(id));
	TOLD(receive_one(id));
	TOLD(tenon_msgctl(id, MSG_INFO, (struct msqid_ds *)(void *)&information));
	TOLD(tenon_msgctl(id & TNI_SYSV_INDEX, MSG_STAT, &status));
	result = tenon_msgctl(id, IPC_STAT, &status);
	told("IPC_STAT", result);
	if (result == 0)
		TOLD(tenon_msgctl(id, IPC_SET, &status));
	TOLD(tenon_msgget(KEY, 0));
	TOLD(tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600));
	REQUIRE(tenon_sysv_name(id, name) == 0);
	result = tenon_sysv_identify(TENON_KIND_QUEUE, name, &identity);
	errno = -result;
	told("identify", result);
}

/* What another object has stays its own. */
static void expect_other(void)
{
	char path[PATH_BYTES];

	path_of_id(other_id, path);
	EXPECT(is_there(path));
	path_of_key(OTHER_KEY, path);
	EXPECT(is_there(path));
	EXPECT_IS(tenon_msgget(OTHER_KEY, 0), other_id);
	EXPECT_IS(receive_one(other_id), 8);
	EXPECT_IS(send_one(other_id), 0);
}

/* Uses it while it is scribbled over, and removes it. */
static void play_victim(void *context)
{
	(void)context;
	TOLD(send_one(id));
	atomic_store(ready, 1);
	while (atomic_load(ready) == 1)
		sched_yield();
	for (int i = 0; i < ROUNDS; i++)
		use_all();
	TOLD(tenon_msgctl(id, IPC_RMID, NULL));
	use_all();
	atomic_store(ready, 3);
}

/* One who has not used it before. */
static void play_newcomer(void *context)
{
	(void)context;
	use_all();
	TOLD(tenon_msgctl(id, IPC_RMID, NULL));
	use_all();
}

static void clear(void)
{
	folder_remove(contract_folder);
	mkdir(contract_folder, 0700);
}

/* `back`: between what was there and the value, until the victim is through. */
static void scribble(uint32_t word, uint32_t value, bool back)
{
	int *ids = contract_share(2 * sizeof(*ids));
	volatile uint32_t *at;
	uint32_t before;
	pid_t victim;

	contract_await(contract_start(make_both, ids));
	id = ids[0];
	other_id = ids[1];
	if (value == 2)
		value = (uint32_t)other_id;
	at = (volatile uint32_t *)(void *)map_part() + word;
	before = *at;
	atomic_store(ready, 0);
	victim = contract_start(play_victim, NULL);
	while (atomic_load(ready) == 0)
		sched_yield();
	*at = value;
	atomic_store(ready, 2);
	while (back && atomic_load(ready) == 2) {
		*at = before;
		*at = value;
	}
	contract_await(victim);
	contract_await(contract_start(play_newcomer, NULL));
	expect_other();
	munmap((void *)((uintptr_t)at & ~(uintptr_t)(TNI_PAGE_BYTES - 1)), TNI_PAGE_BYTES);
	clear();
}

/* One half of the words, since the time for a case is bounded. */
static void scribble_half(uint32_t half, bool back)
{
	/* 2 stands for the other's identifier. */
	static const uint32_t values[] = {0, 1,		 2,	     OTHER_KEY,	 4,
					  6, 0x7fffffff, 0x80000001, 0xffffffff, 0x12345678};

	ready = contract_share(sizeof(*ready));
	for (uint32_t word = half * (WORDS / 2); word < (half ? WORDS : WORDS / 2); word++)
		for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
			scribble(word, values[i], back);
}

static void scribbled_first(void)
{
	scribble_half(0, false);
}

static void scribbled_second(void)
{
	scribble_half(1, false);
}

static void scribbled_amid_first(void)
{
	scribble_half(0, true);
}

static void scribbled_amid_second(void)
{
	scribble_half(1, true);
}

/* What lies in the place of a key's name, or an identifier's. */
static void put_link(const char *path)
{
	char target[PATH_BYTES];

	path_of_id(other_id, target);
	REQUIRE(symlink(target, path) == 0);
}

static void put_dangling(const char *path)
{
	REQUIRE(symlink("/dev/shm/nowhere", path) == 0);
}

static void put_fifo(const char *path)
{
	REQUIRE(mkfifo(path, 0600) == 0);
}

static void put_folder(const char *path)
{
	REQUIRE(mkdir(path, 0700) == 0);
}

static void put_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	REQUIRE(fd >= 0 && write(fd, "something else", 14) == 14);
	close(fd);
}

static void put_empty(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	REQUIRE(fd >= 0);
	close(fd);
}

static void put_other(const char *path)
{
	char target[PATH_BYTES];

	path_of_id(other_id, target);
	REQUIRE(link(target, path) == 0);
}

static void put_set(const char *path)
{
	char target[PATH_BYTES];
	int set = tenon_semget(KEY, 1, IPC_CREAT | 0600);

	REQUIRE(set >= 0);
	snprintf(target, PATH_BYTES, "%s/a-key.%08x", contract_folder, KEY);
	REQUIRE(link(target, path) == 0);
	/* Of which the first has the name of its own. */
	EXPECT_IS(tenon_semctl(set, 0, IPC_RMID), 0);
}

static void (*const puts_something[])(const char *path) = {
	put_link, put_dangling, put_fifo, put_folder, put_file, put_empty, put_other, put_set};

#define THINGS (sizeof(puts_something) / sizeof(puts_something[0]))

/* It is there, it is none, and what it is stays untouched. */
static void squatted(void)
{
	for (uint32_t i = 0; i < THINGS; i++) {
		char path[PATH_BYTES];

		id = -1;
		other_id = tenon_msgget(OTHER_KEY, IPC_CREAT | 0600);
		REQUIRE(other_id >= 0 && send_one(other_id) == 0);
		path_of_key(KEY, path);
		puts_something[i](path);
		TOLD(id = tenon_msgget(KEY, 0));
		EXPECT_IS(id, -1);
		TOLD(id = tenon_msgget(KEY, IPC_CREAT | 0600));
		EXPECT(id == -1 && is_there(path));
		TOLD(id = tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600));
		EXPECT_IS(id, -1);
		id = (int)(0x12340000u | (((uint32_t)other_id + 1) & TNI_SYSV_INDEX));
		path_of_id(id, path);
		puts_something[i](path);
		use_all();
		TOLD(tenon_msgctl(id, IPC_RMID, NULL));
		EXPECT(send_one(id) != 0);
		EXPECT(is_there(path));
		expect_other();
		EXPECT_IS(tenon_msgctl(other_id, IPC_RMID, NULL), 0);
		clear();
	}
}

/* A key that leads to what was removed is free, also if it is not the key that this had. */
static void wrong_key(void)
{
	char path[PATH_BYTES], target[PATH_BYTES];

	other_id = tenon_msgget(OTHER_KEY, IPC_CREAT | 0600);
	path_of_key(KEY, path);
	path_of_id(other_id, target);
	REQUIRE(other_id >= 0 && link(target, path) == 0);
	EXPECT_IS(tenon_msgctl(other_id, IPC_RMID, NULL), 0);
	EXPECT(is_there(path));
	id = tenon_msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(id >= 0);
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), 0);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* A process that had used the one took the identifier of the other for none. */
static void index_again(void)
{
	char path[PATH_BYTES], other[PATH_BYTES];
	int *ids = contract_share(2 * sizeof(*ids));
	struct tni_sysv_part *part;

	contract_await(contract_start(make_both, ids));
	id = ids[0];
	other_id = ids[1];
	EXPECT_IS(send_one(id), 0);
	path_of_id(id, path);
	path_of_id(other_id, other);
	REQUIRE(unlink(path) == 0);
	id = other_id;
	part = map_part();
	id = ids[0] ^ 1 << TNI_SYSV_INDEX_BITS;
	tni_set32(&part->id, (uint32_t)id);
	REQUIRE(rename(other, path) == 0);
	EXPECT_IS(receive_one(id), 8);
	EXPECT_IS(receive_one(ids[0]), -1);
	EXPECT_IS(errno, EINVAL);
	EXPECT_IS(tenon_msgctl(id, IPC_RMID, NULL), 0);
	EXPECT_IS(tenon_msgget(KEY, 0), -1);
	EXPECT_IS(folder_files(contract_folder), 0);
}

/* The file is shorter than it says. */
static void cut_off(void)
{
	static const off_t lengths[] = {0, 10, 4095, 4096, 8192, 20000};

	for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int *ids = contract_share(2 * sizeof(*ids));
		char path[PATH_BYTES];

		contract_await(contract_start(make_both, ids));
		id = ids[0];
		other_id = ids[1];
		path_of_id(id, path);
		REQUIRE(truncate(path, lengths[i]) == 0);
		contract_await(contract_start(play_newcomer, NULL));
		expect_other();
		clear();
	}
}

static void play_stranger(const struct part *part)
{
	char path[PATH_BYTES];
	int fd;

	(void)part;
	path_of_key(KEY, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	REQUIRE(fd >= 0 && fchmod(fd, 0666) == 0 && write(fd, "nothing", 7) == 7);
	path_of_key(OTHER_KEY, path);
	EXPECT_IS(unlink(path), -1);
	path_of_id(other_id, path);
	EXPECT_IS(unlink(path), -1);
	EXPECT_IS(tenon_msgctl(other_id, IPC_RMID, NULL), -1);
	EXPECT_IS(tenon_msgget(OTHER_KEY, IPC_CREAT | 0600), -1);
	EXPECT_IS(errno, EACCES);
	/* A queue of his own, which he takes from under its key. */
	fd = tenon_msgget(KEY + 2, IPC_CREAT | 0666);
	path_of_key(KEY + 2, path);
	EXPECT(fd >= 0 && unlink(path) == 0);
}

static void play_owner(const struct part *part)
{
	(void)part;
	TOLD(tenon_msgget(KEY, IPC_CREAT | 0600));
	EXPECT_IS(tenon_msgget(KEY, IPC_CREAT | 0600), -1);
	id = tenon_msgget(KEY + 2, IPC_CREAT | IPC_EXCL | 0600);
	EXPECT(id >= 0 && send_one(id) == 0);
	expect_other();
	EXPECT_IS(tenon_msgctl(other_id, IPC_RMID, NULL), 0);
}

static void play_maker(const struct part *part)
{
	(void)part;
	atomic_store((_Atomic int *)ready, tenon_msgget(OTHER_KEY, IPC_CREAT | 0600));
	REQUIRE((int)atomic_load(ready) >= 0 && send_one((int)atomic_load(ready)) == 0);
}

/* Where all may make files, as in /tmp. */
static void other_users(void)
{
	users_begin();
	ready = contract_share(sizeof(*ready));
	users_act((struct part){.uid = ANN, .play = play_maker});
	other_id = (int)atomic_load(ready);
	users_act((struct part){.uid = BOB, .play = play_stranger});
	users_act((struct part){.uid = ANN, .play = play_owner});
	clear();
}

static void play_makers(void *context)
{
	(void)context;
	for (uint32_t i = 0; i < MAKES; i++) {
		int made = tenon_msgget(IPC_PRIVATE, IPC_CREAT | 0600);

		REQUIRE(made >= 0 && tenon_msgctl(made, IPC_RMID, NULL) == 0);
	}
}

/* It says that it is removed, and somebody has its turn and does not give it back: who makes others, and tidies up now and
 * then, has nothing to do with it. */
static void held_up(void)
{
	struct flock lock = {.l_type = F_WRLCK,
			     .l_whence = SEEK_SET,
			     .l_start = TNI_SYSV_LOCK_OFFSET,
			     .l_len = 1};
	struct tni_sysv_part *part;
	char path[PATH_BYTES];
	int fd;

	id = tenon_msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	REQUIRE(id >= 0);
	part = map_part();
	path_of_id(id, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
	tni_fetch_or32(&part->state, TNI_SYSV_REMOVED);
	contract_await(contract_start(play_makers, NULL));
	EXPECT(is_there(path));
	close(fd);
	contract_await(contract_start(play_makers, NULL));
	EXPECT(!is_there(path));
}

/* Somebody has begun to remove it, it says, and its locks are held: who asks whether it is ended does not wait for them. */
static void locked_up(void)
{
	uint64_t offset = TNI_PARTICIPANTS_OFFSET, bytes = 2 * TNI_PAGE_BYTES;
	struct tni_queue_control *control;
	struct tni_sysv_part *part;
	char path[PATH_BYTES];
	int fd;

	id = tenon_msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	REQUIRE(id >= 0 && send_one(id) == 0);
	part = map_part();
	offset += ((const struct tni_object_header *)(const void *)((const uint8_t *)part -
								    TNI_SYSV_OFFSET))
			  ->participants_max *
		  sizeof(struct tni_participant);
	offset = (offset + TNI_PAGE_BYTES - 1) / TNI_PAGE_BYTES * TNI_PAGE_BYTES;
	path_of_id(id, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	control = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	close(fd);
	REQUIRE(control != MAP_FAILED);
	tni_set64(&control->send.gate.word, (uint64_t)gettid());
	tni_set64(&control->receive.gate.word, (uint64_t)gettid());
	tni_fetch_or32(&part->state, TNI_SYSV_REMOVING);
	contract_await(contract_start(play_makers, NULL));
	EXPECT(is_there(path));
	/* It is ended, as its word for the short way says, and goes. */
	tni_set32(&control->poll_wanted, TNI_QUEUE_DESTROYED);
	contract_await(contract_start(play_makers, NULL));
	EXPECT(!is_there(path));
	tni_set64(&control->send.gate.word, 0);
	tni_set64(&control->receive.gate.word, 0);
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"scribbled over, the first words", scribbled_first, NULL},
		{"scribbled over, the others", scribbled_second, NULL},
		{"scribbled over amid calls, the first words", scribbled_amid_first, NULL},
		{"scribbled over amid calls, the others", scribbled_amid_second, NULL},
		{"something else has the name", squatted, NULL},
		{"another's key", wrong_key, NULL},
		{"an index again", index_again, NULL},
		{"cut off", cut_off, NULL},
		{"other users", other_users, NULL},
		{"its turn is held for ever", held_up, NULL},
		{"its locks are held for ever", locked_up, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
