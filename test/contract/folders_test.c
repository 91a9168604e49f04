/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What docs/SECURITY.md promises about folders: whom a folder does not admit cannot do anything in
 * it, one that belongs to somebody unexpected is refused, nobody removes another's queue from a
 * folder for all users, and TENON_NAMESPACE counts for nothing where a program has more privileges
 * than its caller.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "users.h"

/* Of a user whom no machine has: the default folder is made and removed here. */
#define OWN_FOLDER "/dev/shm/tenon-61001"
#define LEFT_BEHIND "in a sticky folder the FIFO to poll belongs to whoever asked for it first"

static int nothing(uint32_t kind, const char *name, void *context)
{
	(void)kind;
	(void)name;
	(void)context;
	return 0;
}

static void make(const struct part *part)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .capacity = 4,
					      .max_message_bytes = 64,
					      .mode = part->mode};
	struct tenon_queue *queue;

	umask(0);
	queue = contract_create(part->name, &options);
	queue = tenon_queue_close(queue);
}

/* Everything that can be tried with a folder gives the same error. */
static void try_everything(const struct part *part)
{
	struct tenon_queue *queue = NULL;

	EXPECT_IS(tenon_queue_open(contract_folder, part->name, 0, NULL, &queue), part->expected);
	EXPECT_IS(tenon_queue_open(contract_folder, "/new", TENON_QUEUE_CREATE, NULL, &queue),
		  part->expected);
	EXPECT_IS(tenon_queue_remove(contract_folder, part->name), part->expected);
	EXPECT_IS(tenon_namespace_list(contract_folder, nothing, NULL), part->expected);
	EXPECT(queue == NULL);
}

static void expect_there(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);

	queue = tenon_queue_close(queue);
}

static void folder_is(uint32_t uid, mode_t mode, uint32_t other, int expected)
{
	const struct part ann = {.uid = ANN, .play = make, .name = "/queue", .mode = 0666};

	users_begin();
	users_act(ann);
	REQUIRE(chown(contract_folder, uid, uid) == 0 && chmod(contract_folder, mode) == 0);
	users_act((struct part){
		.uid = other, .play = try_everything, .name = "/queue", .expected = expected});
	REQUIRE(chown(contract_folder, 0, 0) == 0 && chmod(contract_folder, 01777) == 0);
	users_act((struct part){.uid = ANN, .play = expect_there, .name = "/queue"});
}

static void test_closed_folder(void)
{
	folder_is(ANN, 0700, BOB, -EACCES);
}

static void test_closed_folder_of_root(void)
{
	folder_is(0, 0700, BOB, -EACCES);
}

static void test_open_folder_of_another(void)
{
	folder_is(ANN, 0777, BOB, -EPERM);
}

static void test_open_folder_is_not_for_root(void)
{
	folder_is(ANN, 0777, 0, -EPERM);
}

static void fail_to_remove(const struct part *part)
{
	EXPECT_IS(tenon_queue_remove(contract_folder, part->name), part->expected);
}

static void remove_it(const struct part *part)
{
	EXPECT_IS(tenon_queue_remove(contract_folder, part->name), 0);
}

static void test_others_cannot_remove(void)
{
	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/mine", .mode = 0666});
	users_act((struct part){
		.uid = BOB, .play = fail_to_remove, .name = "/mine", .expected = -EPERM});
	users_act((struct part){.uid = ANN, .play = expect_there, .name = "/mine"});
	users_act((struct part){.uid = ANN, .play = remove_it, .name = "/mine"});
}

/* The folder's owner, root, removes what it likes. */
static void test_folder_owner_removes(void)
{
	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/mine", .mode = 0600});
	EXPECT_IS(tenon_queue_remove(contract_folder, "/mine"), 0);
}

static void want_descriptors(const struct part *part)
{
	struct tenon_queue *queue = contract_open(part->name);
	int fd;

	EXPECT_IS(tenon_queue_readable_fd(queue, &fd), 0);
	EXPECT_IS(tenon_queue_writable_fd(queue, &fd), 0);
	queue = tenon_queue_close(queue);
}

static void expect_empty(const char *path)
{
	const struct dirent *entry;
	DIR *folder = opendir(path);

	REQUIRE(folder);
	while ((entry = readdir(folder)) != NULL) {
		bool is_dot = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;

		if (!is_dot)
			printf("# left: %s\n", entry->d_name);
		EXPECT(is_dot);
	}
	closedir(folder);
}

static void removed_with_descriptors(uint32_t poller)
{
	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/poll", .mode = 0666});
	users_act((struct part){.uid = poller, .play = want_descriptors, .name = "/poll"});
	users_act((struct part){.uid = ANN, .play = remove_it, .name = "/poll"});
	expect_empty(contract_folder);
}

static void test_owners_descriptors_go(void)
{
	removed_with_descriptors(ANN);
}

static void test_others_descriptors_go(void)
{
	removed_with_descriptors(BOB);
}

/* The default folder of a user: everything below happens with TENON_NAMESPACE unset. */
static void begin_own(void)
{
	struct stat status;

	users_begin();
	/* Another run of this test has the same folder; the lock goes with the process. */
	REQUIRE(flock(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC), LOCK_EX) == 0);
	if (lstat(OWN_FOLDER, &status) == 0)
		contract_skip("somebody else has " OWN_FOLDER);
	unsetenv("TENON_NAMESPACE");
	contract_folder = NULL;
}

static void end_own(void)
{
	unlink(OWN_FOLDER "/q.own");
	unlink(OWN_FOLDER "/q.new");
	if (rmdir(OWN_FOLDER) != 0)
		unlink(OWN_FOLDER);
}

static void expect_path(const struct part *part)
{
	char path[64];

	(void)part;
	EXPECT_IS(tenon_namespace_path(path, sizeof(path)), 0);
	EXPECT(strcmp(path, OWN_FOLDER) == 0);
}

static void test_own_folder_is_closed(void)
{
	struct stat status = {0};

	begin_own();
	umask(0);
	users_act((struct part){.uid = ANN, .play = expect_path});
	users_act((struct part){.uid = ANN, .play = make, .name = "/own", .mode = 0666});
	EXPECT(lstat(OWN_FOLDER, &status) == 0 && S_ISDIR(status.st_mode));
	EXPECT_IS(status.st_mode & 07777, 0700);
	EXPECT_IS(status.st_uid, ANN);
	contract_folder = OWN_FOLDER;
	users_act((struct part){
		.uid = BOB, .play = try_everything, .name = "/own", .expected = -EACCES});
	end_own();
}

/* The user's calls with a default folder that is not as it should be. */
static void own_folder_is(uint32_t uid, mode_t mode)
{
	begin_own();
	REQUIRE(mkdir(OWN_FOLDER, 0700) == 0);
	EXPECT(chown(OWN_FOLDER, uid, uid) == 0 && chmod(OWN_FOLDER, mode) == 0);
	users_act((struct part){
		.uid = ANN, .play = try_everything, .name = "/own", .expected = -EPERM});
	end_own();
}

static void test_own_folder_of_another(void)
{
	own_folder_is(BOB, 0777);
}

static void test_own_folder_of_root(void)
{
	own_folder_is(0, 0777);
}

static void test_own_folder_open_to_all(void)
{
	own_folder_is(ANN, 0777);
}

/* Which is for root's alone. */
static void test_own_folder_sticky(void)
{
	own_folder_is(ANN, 01777);
}

static void test_own_folder_is_a_link(void)
{
	char target[64];

	snprintf(target, sizeof(target), "%s", contract_folder);
	begin_own();
	EXPECT(chown(target, ANN, ANN) == 0 && chmod(target, 0700) == 0);
	REQUIRE(symlink(target, OWN_FOLDER) == 0 && lchown(OWN_FOLDER, ANN, ANN) == 0);
	users_act((struct part){
		.uid = ANN, .play = try_everything, .name = "/own", .expected = -EPERM});
	end_own();
}

/* A queue's file in the user's own folder that another user has made. */
static void refuse(const struct part *part)
{
	struct tenon_queue *queue = NULL;

	EXPECT_IS(tenon_queue_open(contract_folder, part->name, 0, NULL, &queue), part->expected);
	queue = tenon_queue_close(queue);
}

static void test_file_of_another(void)
{
	begin_own();
	users_act((struct part){.uid = ANN, .play = make, .name = "/own", .mode = 0666});
	EXPECT(chown(OWN_FOLDER "/q.own", BOB, BOB) == 0);
	users_act((struct part){.uid = ANN, .play = refuse, .name = "/own", .expected = -EPERM});
	end_own();
}

static void test_file_is_a_link(void)
{
	char path[128];

	users_begin();
	users_act((struct part){.uid = ANN, .play = make, .name = "/mine", .mode = 0666});
	snprintf(path, sizeof(path), "%s/q.link", contract_folder);
	EXPECT(symlink("q.mine", path) == 0);
	users_act((struct part){.uid = ANN, .play = refuse, .name = "/link", .expected = -EPERM});
}

static char own_program[512];

/* Executes this program as a user who called one that has root's privileges, or has none. */
static void ask_path(void *context)
{
	bool privileged = context != NULL;
	const char *expected = privileged ? "/dev/shm/tenon-0" : contract_folder;

	REQUIRE(setresgid(ANN, ANN, ANN) == 0);
	REQUIRE(setresuid(ANN, privileged ? 0 : ANN, privileged ? 0 : ANN) == 0);
	execl(own_program, own_program, "path", expected, (char *)NULL);
	REQUIRE(!"execution");
}

/* The folder of the build need not be open to the user: the program is copied to where it is. */
static void copy_program(void)
{
	char bytes[65536];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;
	ssize_t count;

	strcpy(own_program, "/tmp/tenon-contract-XXXXXX");
	to = mkstemp(own_program);
	REQUIRE(from >= 0 && to >= 0);
	while ((count = read(from, bytes, sizeof(bytes))) > 0)
		REQUIRE(write(to, bytes, (size_t)count) == count);
	REQUIRE(fchmod(to, 0755) == 0);
	close(from);
	close(to);
}

static void path_is(void *privileged)
{
	users_begin();
	setenv("TENON_NAMESPACE", contract_folder, 1);
	copy_program();
	contract_await(contract_start(ask_path, privileged));
	unlink(own_program);
}

static void test_environment_counts(void)
{
	path_is(NULL);
}

static void test_environment_of_the_privileged(void)
{
	path_is(own_program);
}

int main(int count, char **arguments)
{
	static const struct contract_case cases[] = {
		{"a closed folder admits its user alone", test_closed_folder, NULL},
		{"a closed folder of root admits nobody else", test_closed_folder_of_root, NULL},
		{"another user's folder is refused", test_open_folder_of_another, NULL},
		{"another user's folder is refused by root", test_open_folder_is_not_for_root,
		 NULL},
		{"nobody removes another's queue", test_others_cannot_remove, NULL},
		{"the owner of the folder removes", test_folder_owner_removes, NULL},
		{"the owner's descriptors go with the queue", test_owners_descriptors_go, NULL},
		{"another's descriptors go with the queue", test_others_descriptors_go,
		 LEFT_BEHIND},
		{"the default folder is closed", test_own_folder_is_closed, NULL},
		{"a default folder of another is refused", test_own_folder_of_another, NULL},
		{"a default folder of root is refused", test_own_folder_of_root, NULL},
		{"a default folder open to all is refused", test_own_folder_open_to_all, NULL},
		{"a default folder open to all is refused, sticky too", test_own_folder_sticky,
		 NULL},
		{"a default folder that is a link is refused", test_own_folder_is_a_link, NULL},
		{"another's file in the default folder is refused", test_file_of_another, NULL},
		{"a file that is a link is refused", test_file_is_a_link, NULL},
		{"the environment names the namespace", test_environment_counts, NULL},
		{"the environment does not, for the privileged", test_environment_of_the_privileged,
		 NULL},
	};

	if (count == 3 && strcmp(arguments[1], "path") == 0) {
		char path[512];

		return tenon_namespace_path(path, sizeof(path)) == 0 &&
				       strcmp(path, arguments[2]) == 0
			       ? EXIT_SUCCESS
			       : EXIT_FAILURE;
	}
	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
