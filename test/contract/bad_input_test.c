/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bad input to the library: each public call with each kind of bad argument, what it answers, and that
 * nothing has changed.  Beside what is refused stands the edge that is not.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/namespace.h"
#include "trial.h"

static const char *long_name(uint32_t bytes)
{
	static char name[6000];

	memset(name, 'n', bytes);
	name[bytes] = '\0';
	return name;
}

static int open_it(const char *name, uint32_t flags, const struct tenon_queue_options *options)
{
	return tenon_queue_open(at.folder, name, flags, options, &out.queue);
}

static int make_it(const struct tenon_queue_options *options)
{
	return open_it("/new", TENON_QUEUE_CREATE, options);
}

static void names(void)
{
	static const struct {
		const char *what, *name;
		int expected;
	} rows[] = {
		{"a name that is NULL", NULL, -EINVAL},
		{"an empty name", "", -EINVAL},
		{"a slash alone", "/", -EINVAL},
		{"two slashes", "//fifo", -EINVAL},
		{"a slash inside", "a/fifo", -EINVAL},
		{"a slash at the end", "fifo/", -EINVAL},
		{"the folder itself", ".", -EINVAL},
		{"the folder itself, with a slash", "/.", -EINVAL},
		{"the folder above", "..", -EINVAL},
		{"the folder above, with a slash", "/..", -EINVAL},
		{"out of the folder", "/../fifo", -EINVAL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		about("open");
		REFUSED(rows[i].what, rows[i].expected, open_it(rows[i].name, 0, NULL));
		about("create");
		REFUSED(rows[i].what, rows[i].expected,
			open_it(rows[i].name, TENON_QUEUE_CREATE, NULL));
		about("remove");
		REFUSED(rows[i].what, rows[i].expected,
			tenon_queue_remove(at.folder, rows[i].name));
	}
	about("open");
	REFUSED("256 bytes", -ENAMETOOLONG, open_it(long_name(256), 0, NULL));
	REFUSED("5000 bytes", -ENAMETOOLONG, open_it(long_name(5000), 0, NULL));
	REFUSED("255 bytes, not there", -ENOENT, open_it(long_name(255), 0, NULL));
	REFUSED("not there", -ENOENT, open_it("/none", 0, NULL));
	about("create");
	REFUSED("256 bytes", -ENAMETOOLONG, open_it(long_name(256), TENON_QUEUE_CREATE, NULL));
	about("remove");
	REFUSED("256 bytes", -ENAMETOOLONG, tenon_queue_remove(at.folder, long_name(256)));
	REFUSED("not there", -ENOENT, tenon_queue_remove(at.folder, "/none"));
	REFUSED("removed before", -ENOENT, tenon_queue_remove(at.folder, "/gone"));
}

static int is_name(uint32_t kind, const char *name, void *context)
{
	return kind == TENON_KIND_QUEUE && strcmp(name + 1, context) == 0;
}

/* Made, listed under this very name, opened, removed. */
static int live(const char *name)
{
	int result = open_it(name, TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE, NULL);

	if (result != 0)
		return result;
	tenon_queue_close(out.queue);
	if (tenon_namespace_list(at.folder, is_name, (void *)name) != 1)
		return -ENODATA;
	result = open_it(name, 0, NULL);
	if (result != 0)
		return result;
	tenon_queue_close(out.queue);
	return tenon_queue_remove(at.folder, name);
}

static void odd_names(void)
{
	about("odd names");
	ACCEPTED("one byte", live("a"));
	ACCEPTED("253 bytes", live(long_name(253)));
	ACCEPTED("254 bytes", live(long_name(254)));
	ACCEPTED("255 bytes", live(long_name(255)));
	ACCEPTED("a space", live(" "));
	ACCEPTED("a new line", live("a\nb"));
	ACCEPTED("an escape", live("\033[2J"));
	ACCEPTED("bytes that are no UTF-8", live("\xff\xfe\x80"));
	ACCEPTED("byte 1", live("\001"));
	ACCEPTED("a star", live("*"));
	ACCEPTED("a hyphen first", live("-rf"));
	ACCEPTED("three dots", live("..."));
	ACCEPTED("a dot first", live(".hidden"));
	ACCEPTED("a percent sign", live("%s%n"));
	ACCEPTED("a backslash", live("\\..\\x"));
	ACCEPTED("the name ends at a null byte", live("name\0/.."));
}

static void opening(void)
{
	const uint32_t create = TENON_QUEUE_CREATE, exclusive = TENON_QUEUE_EXCLUSIVE;

	about("open");
	REFUSED("nowhere to put the handle", -EINVAL,
		tenon_queue_open(at.folder, "/fifo", 0, NULL, NULL));
	REFUSED("nowhere to put the handle of a new one", -EINVAL,
		tenon_queue_open(at.folder, "/new", create, NULL, NULL));
	REFUSED("an unknown flag", -EINVAL, open_it("/fifo", 4, NULL));
	REFUSED("the highest flag", -EINVAL, open_it("/fifo", UINT32_C(1) << 31, NULL));
	REFUSED("exclusive without create", -EINVAL, open_it("/fifo", exclusive, NULL));
	REFUSED("exclusive, and it is there", -EEXIST, open_it("/fifo", create | exclusive, NULL));
	REFUSED("options that are too small", -EINVAL, make_it(QUEUE(.size = 0)));
	REFUSED("options without flags", -EINVAL, make_it(QUEUE(.size = 7)));
	REFUSED("options with something behind", -E2BIG, make_it(LATER(tenon_queue_options, 1)));
	REFUSED("options with a flag", -EINVAL, make_it(QUEUE(.flags = 2)));
	REFUSED("an unknown order", -EINVAL, make_it(QUEUE(.order = 3)));
	REFUSED("the highest order", -EINVAL, make_it(QUEUE(.order = UINT32_MAX)));
	REFUSED("an unknown way when full", -EINVAL, make_it(QUEUE(.full = 4)));
	REFUSED("too many messages", -EINVAL,
		make_it(QUEUE(.capacity = TENON_QUEUE_MAX_CAPACITY + 1)));
	REFUSED("one less than unbounded", -EINVAL, make_it(QUEUE(.capacity = UINT64_MAX - 1)));
	REFUSED("too long messages", -EINVAL,
		make_it(QUEUE(.max_message_bytes = TENON_QUEUE_MAX_MESSAGE_BYTES + 1)));
	REFUSED("the longest number", -EINVAL, make_it(QUEUE(.max_message_bytes = UINT64_MAX)));
	REFUSED("a rendezvous that fails", -EINVAL,
		make_it(QUEUE(.capacity = 0, .full = TENON_QUEUE_FAIL)));
	REFUSED("a rendezvous that drops the oldest", -EINVAL,
		make_it(QUEUE(.capacity = 0, .full = TENON_QUEUE_DROP_OLDEST)));
	REFUSED("a rendezvous that drops the newest", -EINVAL,
		make_it(QUEUE(.capacity = 0, .full = TENON_QUEUE_DROP_NEWEST)));
	REFUSED("a sticky mode", -EINVAL, make_it(QUEUE(.mode = 01600)));
	REFUSED("a mode with a file type", -EINVAL, make_it(QUEUE(.mode = 0100600)));
	REFUSED("too many participants", -EINVAL,
		make_it(QUEUE(.max_participants = TENON_QUEUE_MAX_PARTICIPANTS + 1)));
	ACCEPTED("options of a later version", make_it(LATER(tenon_queue_options, 0)));
	ACCEPTED("no options", make_it(NULL));
	ACCEPTED("the most messages", make_it(QUEUE(.capacity = TENON_QUEUE_MAX_CAPACITY)));
	ACCEPTED("the longest messages",
		 make_it(QUEUE(.max_message_bytes = TENON_QUEUE_MAX_MESSAGE_BYTES)));
	ACCEPTED("empty messages only", make_it(QUEUE(.max_message_bytes = 0)));
	ACCEPTED("the most participants",
		 make_it(QUEUE(.max_participants = TENON_QUEUE_MAX_PARTICIPANTS)));
	ACCEPTED("closing nothing", tenon_queue_close(NULL) != NULL);
}

static const char *within(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", at.folder, name);
	return path;
}

static int ignore(uint32_t kind, const char *name, void *context)
{
	(void)kind;
	(void)name;
	(void)context;
	return 0;
}

/* Every call that is given a folder answers the same of one that is not right. */
static int in_folder(const char *path, int list_expected)
{
	int result = tenon_queue_open(path, "/fifo", 0, NULL, &out.queue);

	if (tenon_queue_open(path, "/new", TENON_QUEUE_CREATE, NULL, &out.queue) != result ||
	    tenon_queue_remove(path, "/fifo") != result ||
	    tenon_namespace_list(path, ignore, NULL) != list_expected)
		return 1;
	return result;
}

/* The same with the folder that the environment names. */
static int in_environment(const char *path, int list_expected)
{
	setenv("TENON_NAMESPACE", path, 1);
	return in_folder(NULL, list_expected);
}

/* As a user whom the folder does not admit. */
static int not_admitted(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		alarm(10);
		if (geteuid() == 0 && setresuid(61001, 61001, 61001) != 0)
			_exit(1);
		if (geteuid() != 61001)
			chmod(at.folder, 0);
		status = -in_folder(at.folder, -EACCES);
		chmod(at.folder, 0700);
		_exit(status);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 1;
}

static void folders(void)
{
	about("namespace");
	REFUSED("a folder that is not there", -ENOENT, in_folder("/dev/shm/none/none", 0));
	REFUSED("an empty path", -ENOENT, in_folder("", 0));
	REFUSED("a file", -ENOTDIR, in_folder(within("q.fifo"), -ENOTDIR));
	REFUSED("below a file", -ENOTDIR, in_folder(within("q.fifo/x"), -ENOTDIR));
	REFUSED("a path that is too long", -ENAMETOOLONG,
		in_folder(long_name(5000), -ENAMETOOLONG));
	REFUSED("too long in the environment", -ENAMETOOLONG,
		in_environment(long_name(5000), -ENAMETOOLONG));
	REFUSED("not there in the environment", -ENOENT, in_environment("/dev/shm/none/none", 0));
	REFUSED("a folder that does not admit", -EACCES, not_admitted());
	about("namespace_list");
	REFUSED("nobody to visit", -EINVAL, tenon_namespace_list(at.folder, NULL, NULL));
	about("namespace_path");
	REFUSED("nowhere to put it", -EINVAL, tenon_namespace_path(NULL, 100));
	REFUSED("no room", -ERANGE, tenon_namespace_path(out.bytes, 0));
	REFUSED("one byte too few", -ERANGE, tenon_namespace_path(out.bytes, strlen(at.folder)));
	ACCEPTED("just enough room", tenon_namespace_path(out.bytes, strlen(at.folder) + 1));
}

static int open_file(int made)
{
	return made == 0 ? open_it("/file", 0, NULL) : 1;
}

static int count_names(uint32_t kind, const char *name, void *context)
{
	uint32_t *count = context;

	(void)kind;
	(*count)++;
	return strcmp(name, "/file") == 0 ? -ENOTUNIQ : 0;
}

/* What is called like a queue but is none does not stand in the list. */
static int list_with(int made)
{
	uint32_t count = 0;
	int result = tenon_namespace_list(at.folder, count_names, &count);

	return made != 0 ? 1 : result != 0 ? result : count == 7 ? 0 : (int)count;
}

static int link_to(const char *file_name, const char *name)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s", within(file_name));
	return link(path, within(name));
}

/* The file of a queue whose name is a hash, under another hash as well, and under its own no more. */
static int link_long(const char *name)
{
	char file_name[TNI_NAME_MAX + 1];

	if (open_it(long_name(255), TENON_QUEUE_CREATE, NULL) != 0)
		return 1;
	tni_namespace_file(TENON_KIND_QUEUE, long_name(255), file_name);
	return link_to(file_name, name) != 0 || unlink(within(file_name)) != 0;
}

static void strangers(void)
{
	about("open");
	ACCEPTED("a folder in a queue's place",
		 open_file(mkdir(within("q.file"), 0700)) != -EISDIR);
	ACCEPTED("a FIFO in a queue's place",
		 open_file(mkfifo(within("q.file"), 0600)) != -EBADMSG);
	ACCEPTED("a symbolic link in a queue's place",
		 open_file(symlink("q.fifo", within("q.file"))) != -EPERM);
	about("namespace_list");
	ACCEPTED("a folder is no queue", list_with(mkdir(within("q.file"), 0700)));
	ACCEPTED("a FIFO is no queue", list_with(mkfifo(within("q.file"), 0600)));
	ACCEPTED("a symbolic link is no queue", list_with(symlink("q.fifo", within("q.file"))));
	ACCEPTED("a FIFO with the name of a hash is no queue",
		 list_with(mkfifo(within("Q.00"), 0600)));
	ACCEPTED("a file with the name of another hash is no queue",
		 list_with(link_to("q.fifo", "Q.0123456789abcdef0123456789abcdef")));
	ACCEPTED("a long name under the hash of another is no queue",
		 list_with(link_long("Q.0123456789abcdef0123456789abcdef")));
	ACCEPTED("a file whose name would be the folder's is no queue",
		 list_with(link_to("q.fifo", "q..")));
}

/* Runs a call under a limit for the length of files: neither SIGXFSZ nor a longer file. */
static void limit_files(uint64_t bytes)
{
	const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		_exit(EXIT_FAILURE);
}

static int make_limited(uint64_t bytes)
{
	limit_files(bytes);
	return make_it(NULL);
}

static int send_limited(uint64_t bytes)
{
	static char text[LONG_BYTES];
	struct stat status;

	if (stat(within("q.large"), &status) != 0)
		return 1;
	limit_files((uint64_t)status.st_size + bytes);
	return tenon_queue_send(at.large, text, sizeof(text), NULL);
}

/* What does not make the file longer goes on. */
static int use_limited(void)
{
	limit_files(4096);
	if (open_it("/fifo", 0, NULL) != 0)
		return 1;
	if (tenon_queue_receive(out.queue, out.bytes, sizeof(out.bytes), NULL, NULL) != 0 ||
	    tenon_queue_send(out.queue, "more", 4, NULL) != 0)
		return 2;
	tenon_queue_close(out.queue);
	return tenon_queue_remove(at.folder, "/fifo");
}

static void limits(void)
{
	about("a limit for the length of files");
	REFUSED("no file at all", -EFBIG, make_limited(0));
	REFUSED("one page", -EFBIG, make_limited(4096));
	REFUSED("a MiB", -EFBIG, make_limited(1 << 20));
	ACCEPTED("a GiB", make_limited(1 << 30));
	REFUSED("no room for a long message", -EFBIG, send_limited(0));
	REFUSED("room for half of a long message", -EFBIG, send_limited(LONG_BYTES / 2));
	ACCEPTED("room for a long message", send_limited(4 * LONG_BYTES));
	ACCEPTED("a queue that is there", use_limited());
}

int main(void)
{
	printf("TAP version 13\n");
	names();
	odd_names();
	opening();
	folders();
	strangers();
	limits();
	bad_input_calls();
	return trials_end();
}
