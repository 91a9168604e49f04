/* SPDX-License-Identifier: Apache-2.0 */

/* tenon stat: everything that can be said about an object, once or again and again. */

#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_INTERVAL };

void cli_stat_row(const char *label, const char *format, ...)
{
	va_list arguments;

	printf("  %s%-12s%s ", cli_colour(STDOUT_FILENO, CLI_DIM), label,
	       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void cli_stat_process(const struct cli_object *object, int32_t pid)
{
	printf("%sprocess %-8d", object->is_placed ? "        " : "    ", pid);
}

void cli_stat_size(const char *label, const char *before, uint64_t bytes)
{
	if (bytes < 1024)
		cli_stat_row(label, "%s%s", before, cli_format_bytes(bytes));
	else
		cli_stat_row(label, "%s%s (%llu bytes)", before, cli_format_bytes(bytes),
			     (unsigned long long)bytes);
}

void cli_stat_made(const struct cli_object *object)
{
	cli_stat_row("owner", "uid %u, gid %u, mode %04o", object->uid, object->gid, object->mode);
	cli_stat_row("made", "%s, id %016llx", cli_format_time(object->created_ns),
		     (unsigned long long)object->id);
	if (object->sysv.size)
		cli_stat_row("System V", "id %d, %s%s; made by uid %u, gid %u; changed %s",
			     object->sysv.id, object->sysv.key ? "key " : "no key",
			     object->sysv.key ? cli_sysv_format_key(object->sysv.key) : "",
			     object->sysv.creator_uid, object->sysv.creator_gid,
			     cli_format_time(object->sysv.changed_ns));
}

void cli_stat_attached(const struct cli_object *object, uint32_t waiting)
{
	cli_stat_row("memory", "%s", cli_format_bytes(object->memory_bytes));
	cli_stat_row("attached", "%u of %u processes; asleep %u", object->participants,
		     object->max_participants, waiting);
}

/* One object that is looked at, perhaps more than once. */
struct view {
	struct cli_object object, before;
	int64_t before_ns;	   /* 0: not looked at yet */
	struct json_object *array; /* of several names: where the objects go; or NULL */
};

static int fail(const struct view *view, int error)
{
	return cli_kind_error(view->object.kind, view->object.name, error);
}

static int show_json(struct view *view, bool indented)
{
	const struct cli_object *object = &view->object;
	struct json_object *json = cli_object_json(object);
	struct json_object *processes = NULL;
	int error = json ? 0 : -ENOMEM;

	if (!error && object->kind->add_processes) {
		processes = json_object_new_array();
		error = processes ? object->kind->add_processes(object, processes) : -ENOMEM;
		json_object_object_add(json, "processes", processes);
	}
	if (!error && object->kind->add_details)
		error = object->kind->add_details(object, json);
	if (error) {
		json_object_put(json);
		return fail(view, error);
	}
	if (!view->array)
		cli_json_print(json, indented);
	else if (json_object_array_add(view->array, json))
		return fail(view, -ENOMEM);
	return CLI_OK;
}

static int show(struct view *view, bool json, bool watch)
{
	struct cli_object *object = &view->object;
	CLI_CLEANUP(cli_cleanup_free)
	char *shown = cli_escape(object->name, strlen(object->name), NULL);
	int64_t now_ns = cli_now_ns();
	int error;

	error = cli_object_read(object);
	if (error)
		return fail(view, error);
	if (json)
		return show_json(view, !watch);
	printf("%s%s %s%s", cli_colour(STDOUT_FILENO, CLI_BOLD), object->kind->name,
	       shown ? shown : object->name, cli_colour(STDOUT_FILENO, CLI_PLAIN));
	if (object->damaged)
		printf(" %sdamaged: see 'tenon doctor'%s", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	putchar('\n');
	object->kind->print(object);
	if (view->before_ns && object->kind->print_rates)
		object->kind->print_rates(object, &view->before,
					  (double)(now_ns - view->before_ns) / 1e9);
	view->before = *object;
	view->before_ns = now_ns;
	error = object->kind->print_processes ? object->kind->print_processes(object) : 0;
	return error ? fail(view, error) : CLI_OK;
}

static int watch_view(struct view *view, bool json, int64_t interval_ns)
{
	const struct timespec pause = {interval_ns / 1000000000, interval_ns % 1000000000};
	bool terminal = isatty(STDOUT_FILENO) && !json;
	int status;

	for (;;) {
		if (terminal)
			fputs("\033[H\033[2J", stdout);
		else if (view->before_ns && !json)
			putchar('\n');
		status = show(view, json, true);
		if (!status)
			status = cli_finish_stdout(CLI_OK);
		if (status)
			return status;
		nanosleep(&pause, NULL);
	}
}

static int stat_one(const struct cli_named *wish, struct json_object *array, bool json,
		    int64_t interval_ns)
{
	struct view view = {.array = array};
	int error, status;

	error = cli_object_open(&view.object, wish->kind, wish->name, NULL);
	if (error) {
		status = fail(&view, error);
		if (array)
			json_object_array_add(array,
					      cli_json_unopened(wish->kind, wish->name, error));
	} else if (interval_ns) {
		status = watch_view(&view, json, interval_ns);
	} else {
		status = show(&view, json, false);
	}
	cli_cleanup_object(&view.object);
	return status;
}

static int stat_objects(int count, char **names, const struct cli_kind *kind, bool json,
			int64_t interval_ns)
{
	CLI_CLEANUP(cli_cleanup_free) struct cli_named *wishes = NULL;
	struct json_object *array = NULL;
	int i, status, worst = CLI_OK;

	status = cli_resolve(count, names, kind, &wishes);
	if (status)
		return status;
	/* One name is answered with its object, several with an array. */
	if (json && count > 1) {
		array = json_object_new_array();
		if (!array)
			return cli_system_error("stat", -ENOMEM);
	}
	for (i = 0; i < count; ++i) {
		status = stat_one(&wishes[i], array, json, interval_ns);
		if (status)
			worst = status;
	}
	if (array)
		cli_json_print(array, true);
	return worst;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, OPTION_JSON},
		{"watch", no_argument, NULL, 'w'},
		{"interval", required_argument, NULL, OPTION_INTERVAL},
		CLI_KIND_OPTION,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	bool json = false, watch = false;
	const struct cli_kind *kind = NULL;
	int64_t interval_ns = 1000000000;
	int option;

	while ((option = cli_option(argc, argv, "w", options)) != -1) {
		switch (option) {
		case OPTION_JSON:
			json = true;
			break;
		case OPTION_INTERVAL:
			if (cli_option_duration("--interval", 10000000, &interval_ns))
				return CLI_USAGE;
			watch = true;
			break;
		case 'w':
			watch = true;
			break;
		case CLI_OPTION_KIND:
			if (cli_kind_option(&kind))
				return CLI_USAGE;
			break;
		default:
			return cli_option_status(option);
		}
	}
	if (optind == argc)
		return cli_usage("the name of an object is missing");
	if (watch && optind + 1 < argc)
		return cli_usage("--watch takes one object");
	return stat_objects(argc - optind, argv + optind, kind, json, watch ? interval_ns : 0);
}

const struct cli_command cli_command_stat = {
	.name = "stat",
	.synopsis = "[--json] [--watch] [--kind KIND] NAME…",
	.summary = "show everything about an object",
	.help = "Shows attributes, figures and, of queues and regions, attached processes; of\n"
		"all others, the processes that hold something of them or wait; of semaphore\n"
		"sets, the values; of regions, what is placed in them, and who uses that.\n"
		"\n"
		"      --json        an object; an array of objects if there are several names\n"
		"  -w, --watch       again every second, with rates; with --json one line each\n"
		"      --interval D  as --watch, every D (500ms, 2s, 1m)\n"
		"      --kind KIND   queue, lock, …; needed where several have that name\n"
		"\n"
		"Of System V's a NAME may also be key/0x2a or id/98304, as 'ipcs' shows them.\n",
	.run = run,
};
