/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon run: starts a program whose calls of classic IPC go to Tenon.  It becomes the program: nothing of it is left
 * but the environment, which the program's children inherit as well.
 *
 *	LD_PRELOAD	what there was, and the preload library behind it: a sanitizer's runtime, which must be the
 *			first, is what somebody has put there
 *	TENON_PRELOAD	which faces; src/preload/preload.c
 *	TENON_NAMESPACE	an absolute path, for programs that change their folder or their user
 *	TENON_LIMITS	if it was said here
 */

#include "child.h"
#include "cli.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libtenon-preload.so"

enum { OPTION_ONLY = 1300, OPTION_LIMITS };

struct run_request {
	bool quiet;
	char faces[128];
};

/* What a word of --only stands for: the faces of the preload library. */
static const struct {
	const char *word;
	const char *faces;
} faces[] = {
	{"mq", "posix-mq"},
	{"msg", "sysv-msg"},
	{"sem", "posix-sem,sysv-sem"},
	{"shm", "posix-shm,sysv-shm"},
};

#define FACES (sizeof(faces) / sizeof(faces[0]))
/* libc has POSIX semaphores and shared memory in user space already. */
#define FACES_USUAL "posix-mq,sysv-msg,sysv-sem,sysv-shm"

static int add_face(struct run_request *request, const char *word, size_t bytes)
{
	size_t i, used = strlen(request->faces);

	for (i = 0; i < FACES; ++i) {
		if (strlen(faces[i].word) != bytes || memcmp(faces[i].word, word, bytes))
			continue;
		if (!strstr(request->faces, faces[i].faces))
			snprintf(request->faces + used, sizeof(request->faces) - used, "%s%s",
				 used ? "," : "", faces[i].faces);
		return CLI_OK;
	}
	return cli_usage("--only: '%.*s' is none of mq, msg, sem, shm", (int)bytes, word);
}

static int parse_only(struct run_request *request, const char *list)
{
	request->faces[0] = 0;
	for (;;) {
		size_t bytes = strcspn(list, ",");
		int status = add_face(request, list, bytes);

		if (status || !list[bytes])
			return status;
		list += bytes + 1;
	}
}

static int parse_limits(const char *text)
{
	if (strcmp(text, "kernel") && strcmp(text, "none"))
		return cli_usage("--limits: '%s' is neither 'kernel' nor 'none'", text);
	if (text[0] == 'k' ? setenv("TENON_LIMITS", text, 1) : unsetenv("TENON_LIMITS"))
		return cli_system_error("TENON_LIMITS", -errno);
	return CLI_OK;
}

static int parse_option(void *context, int option)
{
	struct run_request *request = context;

	switch (option) {
	case 'q':
		request->quiet = true;
		return CLI_OK;
	case OPTION_ONLY:
		return parse_only(request, optarg);
	case OPTION_LIMITS:
		return parse_limits(optarg);
	default:
		return cli_option_status(option);
	}
}

static int parse_operand(void *context, const char *text, bool ended)
{
	(void)context;
	(void)text;
	(void)ended;
	return CLI_REST;
}

/* Where this program lies: in a build folder the library is beside it. */
static bool own_folder(char path[static PATH_MAX])
{
	ssize_t bytes = readlink("/proc/self/exe", path, PATH_MAX - 1);

	if (bytes <= 0)
		return false;
	path[bytes] = 0;
	*strrchr(path, '/') = 0;
	return true;
}

static bool is_there(const char *path)
{
	return !access(path, R_OK);
}

static int find_library(char path[static PATH_MAX])
{
	const char *named = getenv("TENON_PRELOAD_LIBRARY");
	char own[PATH_MAX];

	if (named && named[0]) {
		if (realpath(named, path))
			return CLI_OK;
		cli_warn("the preload library '%s': %s; look at TENON_PRELOAD_LIBRARY", named,
			 strerror(errno));
		return CLI_MISSING;
	}
	if (own_folder(own)) {
		if (snprintf(path, PATH_MAX, "%s/" LIBRARY, own) < PATH_MAX && is_there(path))
			return CLI_OK;
		if (snprintf(path, PATH_MAX, "%s/" TENON_LIBRARY_FOLDER_BESIDE "/" LIBRARY, own) <
			    PATH_MAX &&
		    is_there(path))
			return CLI_OK;
	}
	snprintf(path, PATH_MAX, TENON_LIBRARY_FOLDER "/" LIBRARY);
	if (is_there(path))
		return CLI_OK;
	cli_warn(
		"the preload library " LIBRARY
		" is neither beside this program nor in " TENON_LIBRARY_FOLDER
		"; 'make install' puts it there, and TENON_PRELOAD_LIBRARY may name another place");
	return CLI_MISSING;
}

static int set(const char *variable, const char *value)
{
	return setenv(variable, value, 1) ? cli_system_error(variable, -errno) : CLI_OK;
}

static int check_library(const char *path)
{
	if (path[strcspn(path, " :")]) {
		cli_warn("the preload library '%s': a path with a blank or a colon cannot be "
			 "preloaded; make a link to it, and name that by TENON_PRELOAD_LIBRARY",
			 path);
		return CLI_FAILED;
	}
	if (!cli_program_is_library(path)) {
		cli_warn("the preload library '%s' cannot be read, or is no shared library for "
			 "this system; look at TENON_PRELOAD_LIBRARY, or install it anew with "
			 "'make install'",
			 path);
		return CLI_FAILED;
	}
	return CLI_OK;
}

/* Of a list as LD_PRELOAD is one. */
static bool is_in_list(const char *list, const char *path)
{
	size_t bytes = strlen(path);

	for (list += strspn(list, " :"); list[0]; list += strspn(list, " :")) {
		size_t length = strcspn(list, " :");

		if (length == bytes && !memcmp(list, path, bytes))
			return true;
		list += length;
	}
	return false;
}

static int set_preload(void)
{
	CLI_CLEANUP(cli_cleanup_free) char *list = NULL;
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX];
	int status = find_library(path);

	if (!status)
		status = check_library(path);
	if (status)
		return status;
	/* One `tenon run` under another. */
	if (before && is_in_list(before, path))
		return CLI_OK;
	if (asprintf(&list, "%s%s%s", before ? before : "", before && before[0] ? ":" : "", path) <
	    0) {
		list = NULL;
		return cli_system_error("LD_PRELOAD", -ENOMEM);
	}
	return set("LD_PRELOAD", list);
}

static int no_object(uint32_t kind, const char *name, void *context)
{
	(void)kind;
	(void)name;
	(void)context;
	return 1;
}

/* What a program has in it is its user's alone; but a program of root's may become another user's, and goes on making
 * and opening what it is allowed to, as in the kernel's namespaces. */
static int make_namespace(void)
{
	mode_t mode = geteuid() == 0 ? 01777 : 0700, mask = umask(0);
	int result = mkdir(cli_namespace(), mode) && errno != EEXIST ? -errno : 0;

	umask(mask);
	return result;
}

static int set_namespace(bool is_quiet)
{
	char path[PATH_MAX];
	int result;

	if (cli_namespace_is_missing()) {
		if (cli_namespace_is_named())
			return cli_namespace_error(-ENOENT);
		result = make_namespace();
		if (result < 0)
			return cli_namespace_error(result);
	}
	/* Refused now, with a remedy, and not at every call of the program. */
	result = tenon_namespace_list(NULL, no_object, NULL);
	if (result < 0)
		return cli_namespace_error(result);
	if (!realpath(cli_namespace(), path))
		return cli_namespace_error(-errno);
	if (!is_quiet && cli_is_on_disk(path))
		cli_warn("namespace '%s': it is not on tmpfs: what the program sends is written to "
			 "a "
			 "disk; 'mkdir -m 700' one under /dev/shm, and name that by --namespace",
			 path);
	return set("TENON_NAMESPACE", path);
}

static void remark(const struct cli_program *seen)
{
	switch (seen->obstacle) {
	case CLI_PROGRAM_SUITABLE:
		return;
	case CLI_PROGRAM_PRIVILEGED:
		cli_warn("'%s' runs with more rights than yours (set-uid, set-gid or file "
			 "capabilities): nothing is preloaded into it, and its calls go to the "
			 "kernel",
			 seen->path);
		return;
	case CLI_PROGRAM_STATIC:
		cli_warn("'%s' is linked statically: nothing can be preloaded into it, and its "
			 "calls go to the kernel; what it starts has the library all the same",
			 seen->path);
		return;
	case CLI_PROGRAM_GO:
		cli_warn("'%s' is a Go program, which makes its system calls by itself: they go to "
			 "the kernel; what it starts has the library all the same",
			 seen->path);
		return;
	case CLI_PROGRAM_CGO:
		cli_warn("'%s' is a Go program: what it calls in C goes to Tenon, and the system "
			 "calls that it makes by itself go to the kernel",
			 seen->path);
		return;
	case CLI_PROGRAM_32_BIT:
		cli_warn("'%s' is a program of %d bits, and the preload library is of %d: its "
			 "calls go to the kernel",
			 seen->path, sizeof(void *) == 8 ? 32 : 64, sizeof(void *) == 8 ? 64 : 32);
		return;
	case CLI_PROGRAM_FOREIGN:
		cli_warn("'%s' is for another processor or another C library than glibc: it is run "
			 "without the preload library, as is what it starts, and their calls go to "
			 "the kernel",
			 seen->path);
		return;
	}
}

/* Of a program that is there the kernel says the same as of one that is not. */
static void report_missing(const char *name, const struct cli_program *seen)
{
	if (seen->is_script && access(seen->path, F_OK))
		cli_warn("cannot run '%s': its interpreter '%s' is missing", name, seen->path);
	else
		cli_warn("cannot run '%s': the dynamic linker that it names is missing", name);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"only", required_argument, NULL, OPTION_ONLY},
		{"limits", required_argument, NULL, OPTION_LIMITS},
		{"quiet", no_argument, NULL, 'q'},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static const struct cli_line line = {
		.shorts = "-q",
		.longs = options,
		.option = parse_option,
		.operand = parse_operand,
	};
	struct run_request request = {.faces = FACES_USUAL};
	struct cli_program program;
	char **arguments;
	int status, error;

	if (!cli_parse_line(argc, argv, &line, &request, &status))
		return status;
	arguments = argv + optind;
	if (!arguments[0])
		return cli_usage("the program is missing: 'tenon run PROGRAM'");
	error = cli_child_check(arguments[0]);
	if (!error) {
		cli_program_look(arguments[0], &program);
		/* The dynamic linker of another C library takes what it cannot preload for an error. */
		status = program.obstacle == CLI_PROGRAM_FOREIGN ? CLI_OK : set_preload();
		if (!status)
			status = set_namespace(request.quiet);
		if (!status)
			status = set("TENON_PRELOAD", request.faces);
		if (status)
			return status;
		if (!request.quiet)
			remark(&program);
		cli_leave_as_found();
		execvp(arguments[0], arguments);
		error = -errno;
		if (error == -ENOENT) {
			report_missing(arguments[0], &program);
			return 127;
		}
	}
	cli_warn("cannot run '%s': %s", arguments[0], strerror(-error));
	return error == -ENOENT ? 127 : 126;
}

const struct cli_command cli_command_run = {
	.name = "run",
	.synopsis = "[OPTION…] [--] PROGRAM [ARGUMENT…]",
	.summary = "run a program whose message queues, semaphores and memory are Tenon's",
	.help = "Becomes the program, with a library in front of the C library's that stands in "
		"for\n"
		"its calls; what the program starts has it, too.  Its queues, semaphores and "
		"shared\n"
		"memory are those of the namespace, and 'tenon ls', 'peek', 'send' and so on work\n"
		"on them meanwhile.\n"
		"\n"
		"      --only LIST    which calls, separated by commas, in the place of the usual "
		"ones\n"
		"                     (POSIX message queues and all of System V):\n"
		"                       mq   POSIX message queues\n"
		"                       msg  System V's message queues\n"
		"                       sem  semaphores, of POSIX and of System V\n"
		"                       shm  shared memory, of POSIX and of System V\n"
		"      --limits WHAT  'kernel': a queue may be no larger than the kernel's; "
		"'none'\n"
		"  -q, --quiet        say nothing of a program that is out of reach (static, Go,\n"
		"                     set-uid, 32 bits), nor of a namespace on a disk\n"
		"\n"
		"Ends as the program does; 127 if it, or what it needs to start, is missing, 126 "
		"if\n"
		"it cannot be run.\n",
	.run = run,
};
