/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon doctor: checks a namespace for damage, leftovers of dead processes and limits, and says what
 * to do.  It frees what dead processes held, as every waiting process does, and removes nothing
 * else.
 */

#include "doctor.h"
#include "kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_JSON = 256 };

static const char *const grade_words[] = {
	[DOCTOR_FINE] = "fine",
	[DOCTOR_NOTE] = "note",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_DAMAGE] = "damage",
};

static void print_finding(const struct doctor *doctor, enum doctor_grade grade, const char *object,
			  const char *remedy, const char *text)
{
	static const enum cli_colour colours[] = {
		[DOCTOR_FINE] = CLI_GREEN,
		[DOCTOR_NOTE] = CLI_BOLD,
		[DOCTOR_WARNING] = CLI_YELLOW,
		[DOCTOR_DAMAGE] = CLI_RED,
	};
	CLI_CLEANUP(cli_cleanup_free) char *shown = cli_escape(object, strlen(object), NULL);
	CLI_CLEANUP(cli_cleanup_free) char *shown_text = cli_escape(text, strlen(text), NULL);
	CLI_CLEANUP(cli_cleanup_free)
	char *shown_remedy = remedy ? cli_escape(remedy, strlen(remedy), NULL) : NULL;

	printf("%s%-8s%s %s%s%s: %s\n", cli_colour(STDOUT_FILENO, colours[grade]),
	       grade_words[grade], cli_colour(STDOUT_FILENO, CLI_PLAIN),
	       doctor->kind ? doctor->kind->name : "", doctor->kind ? " " : "", shown ? shown : "?",
	       shown_text ? shown_text : "?");
	if (shown_remedy)
		printf("         → %s\n", shown_remedy);
}

static void add_finding(struct doctor *doctor, enum doctor_grade grade, const char *object,
			const char *remedy, const char *text)
{
	struct json_object *finding = json_object_new_object();

	json_object_object_add(finding, "grade", json_object_new_string(grade_words[grade]));
	if (doctor->kind)
		cli_json_add_string(finding, "kind", doctor->kind->name);
	cli_json_add_text(finding, "object", object, strlen(object));
	cli_json_add_text(finding, "finding", text, strlen(text));
	if (remedy)
		cli_json_add_text(finding, "remedy", remedy, strlen(remedy));
	json_object_array_add(doctor->array, finding);
}

void doctor_report(struct doctor *doctor, enum doctor_grade grade, const char *object,
		   const char *remedy, const char *format, ...)
{
	CLI_CLEANUP(cli_cleanup_free) char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	++doctor->counts[grade];
	if (doctor->json)
		add_finding(doctor, grade, object, remedy, text ? text : "out of memory");
	else
		print_finding(doctor, grade, object, remedy, text ? text : "out of memory");
}

static const char *remedy_for(int error)
{
	switch (-error) {
	case EMFILE:
		return "raise the limit with 'ulimit -n' or LimitNOFILE=";
	case ENFILE:
		return "raise the system's limit with 'sysctl fs.file-max'";
	case ENOMEM:
		return "raise the limit with 'ulimit -v', or end something";
	case ENOSPC:
		return "receive or remove something there, or enlarge it (mount -o "
		       "remount,size=SIZE)";
	default:
		return NULL;
	}
}

void doctor_report_unopened(struct doctor *doctor, const char *name, int error)
{
	switch (-error) {
	case ENOENT:
		/* It was removed since it was listed. */
		break;
	case EACCES:
		++doctor->unseen;
		doctor_report(doctor, DOCTOR_NOTE, name, "look at it as its owner or as root",
			      "you may not use it, and so it was not looked at");
		break;
	case EUSERS:
		doctor_report(doctor, DOCTOR_WARNING, name,
			      "end a process, or make it anew with more --participants",
			      "as many processes are attached as it was made for");
		break;
	case EPROTO:
		doctor_report(doctor, DOCTOR_WARNING, name,
			      "use it with that version, or remove it with 'tenon rm'",
			      "it was made by another version of tenon than this, %s",
			      tenon_version());
		break;
	case EBADMSG:
		doctor_report(doctor, DOCTOR_DAMAGE, name,
			      "remove it with 'tenon rm' and make it anew",
			      "its head is damaged; it cannot be opened");
		break;
	case EIO:
		doctor_report(doctor, DOCTOR_DAMAGE, name,
			      "remove it with 'tenon rm' and make it anew",
			      "memory of it is gone: somebody has made its file shorter, or taken "
			      "memory from it");
		break;
	case EIDRM:
		doctor_report(doctor, DOCTOR_WARNING, name,
			      "remove its name with 'tenon rm', so that it can be made anew",
			      "it has been destroyed, and its name is still there");
		break;
	case EPERM:
		doctor_report(doctor, DOCTOR_WARNING, name,
			      "find out who put it there, and remove it",
			      "it or its folder belongs to somebody unexpected");
		break;
	default:
		doctor_report(doctor, DOCTOR_WARNING, name, remedy_for(error),
			      "it cannot be opened: %s", strerror(-error));
	}
}

bool doctor_is_sound(struct doctor *doctor, const struct cli_object *object)
{
	char remedy[96];

	if (!object->damaged)
		return true;
	snprintf(remedy, sizeof(remedy), "remove it with 'tenon rm --kind %s' and make it anew",
		 object->kind->name);
	doctor_report(doctor, DOCTOR_DAMAGE, object->name, remedy,
		      "its shared memory is damaged, or was when somebody used it");
	return false;
}

/* The kernel takes a lock from who dies.  Only in another pid namespace, and behind some calls of
 * exec(3), it cannot: see <tenon/lock.h>. */
void doctor_examine_holder(struct doctor *doctor, const struct cli_object *object, int32_t pid,
			   uint32_t waiting)
{
	char remedy[192];

	if (pid > 0 && (!kill(pid, 0) || errno != ESRCH))
		return;
	snprintf(remedy, sizeof(remedy),
		 "if that process has died, end the others that have the %s open, or remove it "
		 "with 'tenon rm --kind %s' and make it anew",
		 object->kind->name, object->kind->name);
	doctor_report(doctor, DOCTOR_WARNING, object->name, remedy,
		      "it is held by process %d, which is not to be seen here: it has died, "
		      "or is in another pid namespace; %s",
		      pid, cli_format_count(waiting, "process waits", "processes wait"));
}

static void examine_use(struct doctor *doctor, const struct cli_object *object)
{
	if (object->participants * 10 >= object->max_participants * 9)
		doctor_report(doctor, DOCTOR_NOTE, object->name,
			      "make it anew with more --participants",
			      "%u of at most %u processes are attached", object->participants,
			      object->max_participants);
	if ((object->mode & 0006) == 0006)
		doctor_report(doctor, DOCTOR_NOTE, object->name,
			      "if that is not meant, make it anew with --mode 0600 or 0660",
			      "its mode, %04o, lets every user %s", object->mode,
			      object->kind->use);
}

static void examine_object(struct doctor *doctor, const struct cli_entry *entry)
{
	CLI_CLEANUP(cli_cleanup_object) struct cli_object object = {.handle = NULL};
	unsigned int damaged = doctor->counts[DOCTOR_DAMAGE];
	int error;

	doctor->kind = entry->kind;
	error = cli_object_open(&object, entry->kind, entry->name, NULL);
	if (error)
		doctor_report_unopened(doctor, entry->name, error);
	else
		entry->kind->examine(doctor, &object);
	if (!error && damaged == doctor->counts[DOCTOR_DAMAGE])
		examine_use(doctor, &object);
	doctor->kind = NULL;
}

static int examine_objects(struct doctor *doctor)
{
	CLI_CLEANUP(cli_cleanup_listing) struct cli_listing listing = {.entries = NULL};
	int error = cli_listing_read(&listing);
	size_t i;

	for (i = 0; !error && i < listing.count; ++i)
		examine_object(doctor, &listing.entries[i]);
	doctor->objects = (unsigned int)listing.count;
	return error;
}

/* A queue that somebody polls has pipes beside it, `.q.INODE.ID.` and one of `rwm`, which go with it.
 * They are left behind if the remover, or a first poller beside it, is killed. */
static bool is_pipe(const char *name, ino_t *ret_inode)
{
	uint64_t inode, id;
	char side;
	int bytes = 0;

	if (sscanf(name, ".q.%16" SCNx64 ".%16" SCNx64 ".%c%n", &inode, &id, &side, &bytes) != 3 ||
	    bytes != 38 || name[bytes] || !strchr("rwm", side))
		return false;
	*ret_inode = (ino_t)inode;
	return true;
}

static bool is_there(ino_t inode)
{
	const struct dirent *entry;
	DIR *directory = opendir(cli_namespace());
	struct stat status;
	bool found = !directory;

	while (!found && (entry = readdir(directory)))
		found = entry->d_name[0] != '.' &&
			!fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) &&
			status.st_ino == inode;
	if (directory)
		closedir(directory);
	return found;
}

static void examine_pipe(struct doctor *doctor, const char *name, ino_t inode)
{
	char path[PATH_MAX];

	if (is_there(inode))
		return;
	snprintf(path, sizeof(path), "%s/%s", cli_namespace(), name);
	doctor_report(doctor, DOCTOR_NOTE, path,
		      "remove it with 'rm' when nobody has that queue open any more",
		      "left over by a queue that was removed");
}

/* What lies beside the files of System V's objects: the names of keys, and the data of segments. */
static bool is_beside(const char *name)
{
	return (name[0] && !strncmp(name + 1, "-key.", 5) && strlen(name) == 14) ||
	       !strncmp(name, "g-data.", 7);
}

/* Whatever else lies in the folder takes memory from its objects. */
static void examine_strangers(struct doctor *doctor)
{
	const struct dirent *entry;
	unsigned int count = 0, pipes = 0;
	ino_t inode;
	DIR *directory = opendir(cli_namespace());

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (is_pipe(entry->d_name, &inode)) {
			examine_pipe(doctor, entry->d_name, inode);
			++pipes;
		} else if (!is_beside(entry->d_name)) {
			++count;
		}
	}
	closedir(directory);
	/* Somebody else's folder is nothing to tidy up. */
	if (count && !doctor->objects && !pipes)
		doctor_report(doctor, DOCTOR_NOTE, cli_namespace(),
			      "look whether this is the namespace that you mean",
			      "none of the files there is tenon's (there are %u)", count);
	else if (count > doctor->objects)
		doctor_report(doctor, DOCTOR_NOTE, cli_namespace(),
			      "look at them with 'ls -A', and remove what nobody needs",
			      "%s none of tenon's",
			      cli_format_count(count - doctor->objects, "of the files there is",
					       "of the files there are"));
}

static void print_sum(const struct doctor *doctor)
{
	unsigned int damaged = doctor->counts[DOCTOR_DAMAGE];
	unsigned int warnings = doctor->counts[DOCTOR_WARNING];
	const char *unseen = cli_format_count(doctor->unseen, "object", "objects");

	if (damaged || warnings)
		printf("%u damaged, %s", damaged,
		       cli_format_count(warnings, "warning", "warnings"));
	else if (doctor->unseen)
		fputs("Nothing is wrong with what could be looked at", stdout);
	else
		fputs("Nothing is wrong.", stdout);
	if (doctor->unseen)
		printf("; %s could not be looked at", unseen);
	putchar('\n');
}

static int examine(struct doctor *doctor)
{
	int error = 0;

	if (doctor_examine_system(doctor))
		error = examine_objects(doctor);
	if (!error)
		examine_strangers(doctor);
	else
		doctor_report(doctor, DOCTOR_WARNING, cli_namespace(),
			      "set TENON_NAMESPACE or --namespace to a folder of your own",
			      "its objects cannot be listed: %s",
			      error == -EPERM ? "the folder belongs to somebody unexpected"
					      : strerror(-error));
	if (doctor->json)
		cli_json_print(doctor->array, true);
	else
		print_sum(doctor);
	if (doctor->counts[DOCTOR_DAMAGE])
		return CLI_DAMAGED;
	return doctor->counts[DOCTOR_WARNING] ? CLI_NOTHING : CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct doctor doctor = {.json = false};
	int option, status;

	while ((option = cli_option(argc, argv, "", options)) != -1) {
		if (option != OPTION_JSON)
			return cli_option_status(option);
		doctor.json = true;
	}
	if (argc - optind > 1)
		return cli_usage("'%s' is too much: one namespace at a time", argv[optind + 1]);
	if (optind < argc && setenv("TENON_NAMESPACE", argv[optind], 1))
		return cli_system_error("doctor", -ENOMEM);
	if (doctor.json) {
		doctor.array = json_object_new_array();
		if (!doctor.array)
			return cli_system_error("doctor", -ENOMEM);
	}
	status = examine(&doctor);
	return status;
}

const struct cli_command cli_command_doctor = {
	.name = "doctor",
	.synopsis = "[--json] [NAMESPACE]",
	.summary = "check a namespace for damage, leftovers and limits",
	.help = "Checks the kernel, limits, the folder, and every object in it, and says what to "
		"do.  It\n"
		"frees what dead processes held in queues and semaphores, and removes nothing.\n"
		"\n"
		"      --json  an array of findings\n"
		"\n"
		"Status 0 if all is well, 1 with warnings, 6 if an object is damaged.\n",
	.run = run,
};
