/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is said when something goes wrong: what happened, to which object, and what to do about it.
 * The one place where an errno becomes a sentence and an exit status.
 */

#include "kind.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cli_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

void cli_cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void cli_cleanup_queue(struct tenon_queue **queue)
{
	*queue = tenon_queue_close(*queue);
}

/* Where the next sentence goes instead of to the terminal; see cli_kind_error_text(). */
static char **diverted;

/* Names and arguments come from anywhere, and an error goes to a terminal: one line, escaped. */
static void print_line(const char *prefix, const char *name, const char *format, va_list arguments)
{
	CLI_CLEANUP(cli_cleanup_free) char *text = NULL;
	CLI_CLEANUP(cli_cleanup_free) char *shown = NULL;
	CLI_CLEANUP(cli_cleanup_free) char *shown_name = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	shown = cli_escape(text ? text : "out of memory", text ? strlen(text) : 13, NULL);
	if (diverted) {
		free(*diverted);
		*diverted = shown;
		shown = NULL;
		return;
	}
	cli_progress_clear();
	if (name)
		shown_name = cli_escape(name, strlen(name), NULL);
	fprintf(stderr, "%stenon:%s %s%s%s%s%s\n", cli_colour(STDERR_FILENO, CLI_RED),
		cli_colour(STDERR_FILENO, CLI_PLAIN), prefix, name ? " '" : "",
		shown_name ? shown_name : "", name ? "': " : "", shown ? shown : "");
}

int cli_usage(const char *format, ...)
{
	char prefix[32] = "";
	va_list arguments;

	if (cli_current)
		snprintf(prefix, sizeof(prefix), "%s: ", cli_current->name);
	va_start(arguments, format);
	print_line(prefix, NULL, format, arguments);
	va_end(arguments);
	if (cli_current && cli_current != &cli_command_help)
		fprintf(stderr, "Try 'tenon help %s'.\n", cli_current->name);
	else
		fprintf(stderr, "Try 'tenon help'.\n");
	return CLI_USAGE;
}

void cli_warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("", NULL, format, arguments);
	va_end(arguments);
}

void cli_queue_warn(const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("queue", name, format, arguments);
	va_end(arguments);
}

void cli_kind_warn(const struct cli_kind *kind, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(kind->name, name, format, arguments);
	va_end(arguments);
}

int cli_system_error(const char *what, int error)
{
	cli_warn("%s: %s", what[0] ? what : "''", strerror(-error));
	switch (-error) {
	case EACCES:
	case EPERM:
		return CLI_DENIED;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return CLI_EXHAUSTED;
	default:
		return CLI_FAILED;
	}
}

struct nearest_search {
	const struct cli_kind *kind; /* cli_kind_any: of all */
	const char *wanted;
	const struct cli_kind *other; /* which has just that name, though it is not the kind */
	char found[258];
};

static int visit_nearest(uint32_t kind, const char *name, void *context)
{
	struct nearest_search *search = context;
	/* Without the slash, which both have and which would make short names resemble each other. */
	const char *const names[] = {name + 1, NULL};

	if (search->kind != &cli_kind_any && search->kind->kind != kind) {
		if (!strcmp(search->wanted, name + 1))
			search->other = cli_kind_of(kind);
	} else if (!search->found[0] && cli_nearest(search->wanted, names)) {
		snprintf(search->found, sizeof(search->found), "%s", name);
	}
	return 0;
}

static void report_missing(const struct cli_kind *kind, const char *name)
{
	struct nearest_search search = {.kind = kind, .wanted = name + 1};

	if (cli_namespace_is_named() && cli_namespace_is_missing()) {
		cli_kind_warn(kind, name, "there is no namespace folder '%s'; %s", cli_namespace(),
			      cli_namespace_remedy());
		return;
	}
	/* A key, an identifier, or a name that is a number: what resembles it is another's. */
	if (name[0] != '/' || cli_sysv_is_name(name)) {
		cli_kind_warn(kind, name,
			      "there is no such %s in '%s', or it was removed; 'tenon ls -l' shows "
			      "those that are there",
			      kind->name, cli_namespace());
		return;
	}
	tenon_namespace_list(NULL, visit_nearest, &search);
	if (search.other)
		cli_kind_warn(kind, name, "there is no such %s in '%s', but %s %s of that name",
			      kind->name, cli_namespace(), cli_article(search.other->name),
			      search.other->name);
	else if (search.found[0])
		cli_kind_warn(kind, name, "there is no such %s in '%s'; did you mean '%s'?",
			      kind->name, cli_namespace(), search.found);
	else if (cli_current == &cli_command_rm || kind == &cli_kind_any || !kind->options)
		cli_kind_warn(kind, name,
			      "there is no such %s in '%s'; 'tenon ls' shows those that are there",
			      kind->name, cli_namespace());
	else
		cli_kind_warn(kind, name,
			      "there is no such %s in '%s'; make it with 'tenon create %s %s%s'",
			      kind->name, cli_namespace(), kind->name, name,
			      kind->example ? kind->example : "");
}

/* What ran out, and where more of it comes from. */
static void report_exhausted(const struct cli_kind *kind, const char *name, int error)
{
	switch (-error) {
	case ENOSPC:
		cli_kind_warn(kind, name,
			      "the memory behind '%s' is full; receive or remove something there, "
			      "or enlarge it (mount -o remount,size=SIZE)",
			      cli_namespace());
		break;
	case EUSERS:
		cli_kind_warn(kind, name,
			      "as many processes are attached as it was made for; end one (see "
			      "'tenon stat'), or make it anew with more --participants");
		break;
	case ENOMEM:
		cli_kind_warn(kind, name,
			      "this process cannot get more memory; look at 'ulimit -v'");
		break;
	case EFBIG:
		cli_kind_warn(kind, name,
			      "this process may not make files as large as %s %s; look at "
			      "'ulimit -f'",
			      cli_article(kind->name), kind->name);
		break;
	default:
		cli_kind_warn(kind, name, "%s; raise the limit with 'ulimit -n'", strerror(-error));
	}
}

static void report_sticky(const struct cli_kind *kind, const char *name)
{
	cli_kind_warn(kind, name,
		      "permission denied: from '%s' only a file's owner removes it; 'ls -l %s' "
		      "shows who that is",
		      cli_namespace(), cli_namespace());
}

/* Whose permission is missing: that of the folder to look into it or to change it, or the object's. */
static void report_denied(const struct cli_kind *kind, const char *name)
{
	CLI_CLEANUP(cli_cleanup_object) struct cli_object object = {.handle = NULL};
	const char *folder = cli_namespace_barrier();
	int error = cli_object_open(&object, kind, name, NULL);

	if (folder)
		cli_kind_warn(kind, name,
			      "permission denied: the folder '%s' does not admit you; 'ls -ld %s' "
			      "shows whose it is",
			      folder, folder);
	else if (cli_namespace_is_missing())
		cli_kind_warn(kind, name, "permission denied: the folder '%s' cannot be made; %s",
			      cli_namespace(), cli_namespace_remedy());
	else if (cli_current == &cli_command_rm && cli_namespace_is_sticky())
		report_sticky(kind, name);
	/* Whoever may open a queue may still not make there what is needed to poll it. */
	else if (cli_current == &cli_command_rm || error == -ENOENT ||
		 (cli_current == &cli_command_work && !error))
		cli_kind_warn(kind, name,
			      "permission denied: you may not make or remove anything in '%s'; "
			      "'ls -ld %s' shows whose it is",
			      cli_namespace(), cli_namespace());
	else
		cli_kind_warn(kind, name,
			      "permission denied: the %s's mode does not admit you; 'ls -l %s' "
			      "shows whose it is",
			      kind->name, cli_namespace());
}

static void report_refused(const struct cli_kind *kind, const char *name, int error)
{
	/* By a key or identifier nothing is removed that does not know its own. */
	const char *removed = name[0] == '/' ? name : "NAME";

	switch (-error) {
	case EACCES:
		report_denied(kind, name);
		break;
	case EPERM:
		if (cli_current == &cli_command_rm && cli_sysv_is_name(name))
			cli_kind_warn(
				kind, name,
				"refused: its owner and its creator may remove it; 'tenon stat "
				"--kind %s %s' shows who they are",
				kind->name, name);
		else if (cli_current == &cli_command_rm && cli_namespace_is_sticky())
			report_sticky(kind, name);
		else
			cli_kind_warn(
				kind, name,
				"refused: the %s or its folder '%s' belongs to somebody else; set "
				"TENON_NAMESPACE or --namespace to a folder of your own",
				kind->name, cli_namespace());
		break;
	case EPROTO:
		cli_kind_warn(kind, name,
			      "it was made by another version of tenon than this, %s; use that "
			      "one, or remove the %s with 'tenon rm --kind %s %s'",
			      tenon_version(), kind->name, kind->name, removed);
		break;
	default:
		cli_kind_warn(kind, name,
			      "its shared memory is damaged; 'tenon doctor' says how, 'tenon rm "
			      "--kind %s %s' removes it",
			      kind->name, removed);
	}
}

/* Only regions are looked at with a guard. */
static void report_cut_off(const struct cli_kind *kind, const char *name)
{
	if (kind == &cli_kind_region)
		cli_kind_warn(kind, name,
			      "memory of it is gone: somebody has made its file shorter, or taken "
			      "memory from it; 'tenon rm --kind %s %s' removes it",
			      kind->name, name);
	else if (kind == &cli_kind_shm)
		cli_kind_warn(kind, name, "somebody has made it shorter meanwhile");
	else
		cli_kind_warn(kind, name, "%s", strerror(EIO));
}

/* Those of System V lose their names soon after. */
static void report_ended(const struct cli_kind *kind, const char *name)
{
	if (!cli_sysv_is_name(name))
		cli_kind_warn(kind, name,
			      "it has been destroyed, and only its name is left; remove that with "
			      "'tenon rm --kind %s %s'",
			      kind->name, name);
	else
		cli_kind_warn(kind, name, "it was removed meanwhile");
}

int cli_kind_error(const struct cli_kind *kind, const char *name, int error)
{
	switch (-error) {
	case ENOENT:
		report_missing(kind, name);
		return CLI_MISSING;
	case EACCES:
	case EPERM:
		report_refused(kind, name, error);
		return CLI_DENIED;
	case EPROTO:
	case EBADMSG:
		report_refused(kind, name, error);
		return CLI_DAMAGED;
	case EIO:
		report_cut_off(kind, name);
		return kind == &cli_kind_region ? CLI_DAMAGED : CLI_FAILED;
	case ENOSPC:
	case EUSERS:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		report_exhausted(kind, name, error);
		return CLI_EXHAUSTED;
	case EEXIST:
		cli_kind_warn(kind, name,
			      "it exists already; leave out --exclusive to use it as it is");
		return CLI_EXISTS;
	case EIDRM:
		report_ended(kind, name);
		return CLI_MISSING;
	case EAGAIN:
		cli_kind_warn(kind, name, "others make and remove it all the time; try it again");
		return CLI_NOTHING;
	case ETIMEDOUT:
		cli_kind_warn(kind, name, "the time ran out");
		return CLI_NOTHING;
	case EINVAL:
	case ENAMETOOLONG:
		cli_kind_warn(kind, name, "the name or a value is out of range");
		return CLI_USAGE;
	case ENOTDIR:
	case ELOOP:
	case EROFS:
	case EOPNOTSUPP:
		cli_kind_warn(kind, name,
			      "the namespace '%s' cannot hold %s: %s; set TENON_NAMESPACE or "
			      "--namespace to a folder on tmpfs that you may write to",
			      cli_namespace(), kind->plural, strerror(-error));
		return CLI_FAILED;
	default:
		cli_kind_warn(kind, name, "%s", strerror(-error));
		return CLI_FAILED;
	}
}

int cli_queue_error(const char *name, int error)
{
	switch (-error) {
	case EMSGSIZE:
		cli_queue_warn(name, "a message is longer than the queue takes");
		return CLI_TOO_LONG;
	case EAGAIN:
		cli_queue_warn(name, "it is full; receive from it, or make it anew with a larger "
				     "--capacity");
		return CLI_NOTHING;
	default:
		return cli_kind_error(&cli_kind_queue, name, error);
	}
}

int cli_namespace_error(int error)
{
	const char *path = cli_namespace(), *folder;

	switch (-error) {
	case EACCES:
		folder = cli_namespace_barrier();
		if (!folder)
			break;
		cli_warn("namespace '%s': permission denied: the folder '%s' does not admit you "
			 "('ls -ld %s' shows whose it is); set TENON_NAMESPACE or --namespace to "
			 "a folder of your own",
			 path, folder, folder);
		return CLI_DENIED;
	case EPERM:
		cli_warn("namespace '%s': refused: the folder belongs to somebody else; set "
			 "TENON_NAMESPACE or --namespace to a folder of your own",
			 path);
		return CLI_DENIED;
	case ENOTDIR:
		cli_warn("namespace '%s': it is no folder; set TENON_NAMESPACE or --namespace to "
			 "a folder on tmpfs",
			 path);
		return CLI_FAILED;
	case ENOENT:
		cli_warn("namespace '%s': there is no such folder; %s", path,
			 cli_namespace_remedy());
		return CLI_MISSING;
	default:
		break;
	}
	return cli_system_error(path, error);
}

char *cli_kind_error_text(const struct cli_kind *kind, const char *name, int error)
{
	char *text = NULL;

	diverted = &text;
	cli_kind_error(kind, name, error);
	diverted = NULL;
	return text;
}

int cli_queue_open(char name[static 258], uint32_t flags, uint32_t wanted,
		   struct tenon_queue **ret_queue, struct tenon_queue_status *ret_status)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	struct tenon_queue *queue;
	int error = 0;

	if (name[0] != '/')
		error = cli_sysv_find(&cli_kind_queue, name, name);
	if (!error)
		error = tenon_queue_open(NULL, name, flags, NULL, &queue);
	if (error)
		return cli_queue_error(name, error);
	error = tenon_queue_status(queue, &status);
	if (!error && cli_sysv_is_denied(name, wanted)) {
		tenon_queue_close(queue);
		cli_queue_warn(
			name,
			"permission denied: its mode does not let you %s; 'tenon stat --kind "
			"queue %s' shows whose it is",
			wanted == CLI_TO_SEND ? "send" : "receive", name);
		return CLI_DENIED;
	}
	if (error) {
		tenon_queue_close(queue);
		return cli_queue_error(name, error);
	}
	*ret_queue = queue;
	*ret_status = status;
	return CLI_OK;
}
