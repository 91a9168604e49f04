/* SPDX-License-Identifier: Apache-2.0 */

/* tenon stat: everything that can be said about a queue, once or again and again. */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_INTERVAL };

static void row(const char *label, const char *format, ...) CLI_PRINTF(2, 3);

static void row(const char *label, const char *format, ...)
{
	va_list arguments;

	printf("  %s%-12s%s ", cli_colour(STDOUT_FILENO, CLI_DIM), label,
	       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void print_attributes(const struct tenon_queue_status *status)
{
	char capacity[32];

	if (status->capacity == TENON_QUEUE_UNBOUNDED)
		snprintf(capacity, sizeof(capacity), "unbounded");
	else if (status->capacity == TENON_QUEUE_RENDEZVOUS)
		snprintf(capacity, sizeof(capacity), "rendezvous");
	else
		snprintf(capacity, sizeof(capacity), "%s", cli_format_messages(status->capacity));
	row("made as", "%s, %s of up to %s, when full %s", cli_word(cli_order_words, status->order),
	    capacity, cli_format_bytes(status->max_message_bytes),
	    cli_word(cli_full_words, status->full));
	row("owner", "uid %u, gid %u, mode %04o", status->uid, status->gid, status->mode);
	row("made", "%s, id %016llx", cli_format_time(status->created_ns),
	    (unsigned long long)status->id);
}

/* What one side of the queue has done. */
static void traffic_row(const char *label, uint64_t messages, uint64_t bytes, int64_t last_ns,
			int32_t last_pid)
{
	if (last_ns)
		row(label, "%s, %s; last %s by process %d", cli_format_messages(messages),
		    cli_format_bytes(bytes), cli_format_time(last_ns), last_pid);
	else
		row(label, "%s, %s; last never", cli_format_messages(messages),
		    cli_format_bytes(bytes));
}

static void print_figures(const struct tenon_queue_status *status)
{
	row("queued", "%s, %s", cli_format_messages(status->messages),
	    cli_format_bytes(status->message_bytes));
	row("held", "%llu under lease, %llu loaned", (unsigned long long)status->leased,
	    (unsigned long long)status->loaned);
	row("most", "%s, %s", cli_format_messages(status->high_messages),
	    cli_format_bytes(status->high_bytes));
	row("memory", "%s", cli_format_bytes(status->memory_bytes));
	traffic_row("sent", status->sent, status->sent_bytes, status->last_send_ns,
		    status->last_sender_pid);
	traffic_row("received", status->received, status->received_bytes, status->last_receive_ns,
		    status->last_receiver_pid);
	row("dropped", "%llu; delivered again %llu", (unsigned long long)status->dropped,
	    (unsigned long long)status->redelivered);
	row("waits", "%llu sending, %llu receiving", (unsigned long long)status->send_waits,
	    (unsigned long long)status->receive_waits);
	row("repairs", "%llu", (unsigned long long)status->repairs);
	row("attached", "%u of %u processes; asleep %u sending, %u receiving", status->participants,
	    status->max_participants, status->senders_waiting, status->receivers_waiting);
}

static int print_participant(const struct tenon_participant *participant, void *context)
{
	(void)context;
	/* This very process has attached to look. */
	if (participant->pid == getpid())
		return 0;
	printf("    process %-8d uid %-6u since %s", participant->pid, participant->uid,
	       cli_format_time(participant->attached_ns));
	if (participant->leased)
		printf(", %u under lease", participant->leased);
	if (participant->loaned)
		printf(", %u loaned", participant->loaned);
	if (participant->waiting)
		printf(", asleep to %s",
		       participant->waiting & TENON_READABLE ? "receive" : "send");
	if (!participant->alive)
		printf(", %sdead%s", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	putchar('\n');
	return 0;
}

static int add_participant(const struct tenon_participant *participant, void *context)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return -ENOMEM;
	json_object_object_add(object, "pid", json_object_new_int(participant->pid));
	json_object_object_add(object, "uid", json_object_new_uint64(participant->uid));
	json_object_object_add(object, "alive", json_object_new_boolean(!!participant->alive));
	json_object_object_add(object, "leased", json_object_new_uint64(participant->leased));
	json_object_object_add(object, "loaned", json_object_new_uint64(participant->loaned));
	json_object_object_add(object, "waiting_to_receive",
			       json_object_new_boolean(!!(participant->waiting & TENON_READABLE)));
	json_object_object_add(object, "waiting_to_send",
			       json_object_new_boolean(!!(participant->waiting & TENON_WRITABLE)));
	json_object_object_add(object, "attached_ns",
			       json_object_new_int64(participant->attached_ns));
	return json_object_array_add(context, object) ? -ENOMEM : 0;
}

/* One queue that is looked at, perhaps more than once. */
struct view {
	char name[258];
	struct tenon_queue *queue;
	struct tenon_queue_status before;
	int64_t before_ns;	   /* 0: not looked at yet */
	struct json_object *array; /* of several names: where the objects go; or NULL */
};

static void print_rates(const struct view *view, const struct tenon_queue_status *status,
			int64_t now_ns)
{
	double s = (double)(now_ns - view->before_ns) / 1e9;

	row("now", "%.0f sent/s, %.0f received/s, %s/s in, %s/s out",
	    (double)(status->sent - view->before.sent) / s,
	    (double)(status->received - view->before.received) / s,
	    cli_format_bytes(
		    (uint64_t)((double)(status->sent_bytes - view->before.sent_bytes) / s)),
	    cli_format_bytes((
		    uint64_t)((double)(status->received_bytes - view->before.received_bytes) / s)));
}

static int show_json(struct view *view, const struct tenon_queue_status *status, bool indented)
{
	struct json_object *object = cli_json_status(view->name, status);
	struct json_object *participants = json_object_new_array();
	int error;

	if (!object || !participants) {
		json_object_put(object);
		json_object_put(participants);
		return cli_queue_error(view->name, -ENOMEM);
	}
	error = tenon_queue_participants(view->queue, add_participant, participants);
	json_object_object_add(object, "processes", participants);
	if (error) {
		json_object_put(object);
		return cli_queue_error(view->name, error);
	}
	if (!view->array)
		cli_json_print(object, indented);
	else if (json_object_array_add(view->array, object))
		return cli_queue_error(view->name, -ENOMEM);
	return CLI_OK;
}

static int show(struct view *view, bool json, bool watch)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	CLI_CLEANUP(cli_cleanup_free)
	char *shown = cli_escape(view->name, strlen(view->name), NULL);
	int64_t now_ns = cli_now_ns();
	int error;

	error = tenon_queue_status(view->queue, &status);
	if (error)
		return cli_queue_error(view->name, error);
	if (json)
		return show_json(view, &status, !watch);
	printf("%squeue %s%s", cli_colour(STDOUT_FILENO, CLI_BOLD), shown ? shown : view->name,
	       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	if (status.damaged)
		printf(" %sdamaged: see 'tenon doctor'%s", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	putchar('\n');
	print_attributes(&status);
	print_figures(&status);
	if (view->before_ns)
		print_rates(view, &status, now_ns);
	view->before = status;
	view->before_ns = now_ns;
	error = tenon_queue_participants(view->queue, print_participant, NULL);
	return error ? cli_queue_error(view->name, error) : CLI_OK;
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

static int stat_queues(int count, char **names, bool json, int64_t interval_ns)
{
	struct json_object *array = NULL;
	int status = CLI_OK, worst = CLI_OK;
	int i, error;

	/* One name is answered with its object, several with an array. */
	if (json && count > 1) {
		array = json_object_new_array();
		if (!array)
			return cli_system_error("stat", -ENOMEM);
	}
	for (i = 0; i < count; ++i) {
		struct view view = {.array = array};
		CLI_CLEANUP(cli_cleanup_queue) struct tenon_queue *queue = NULL;

		cli_parse_name(names[i], view.name);
		error = tenon_queue_open(NULL, view.name, 0, NULL, &queue);
		status = error ? cli_queue_error(view.name, error) : CLI_OK;
		if (error && array)
			json_object_array_add(array, cli_json_unopened(view.name, error));
		view.queue = queue;
		if (!status)
			status = interval_ns ? watch_view(&view, json, interval_ns)
					     : show(&view, json, false);
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
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	bool json = false, watch = false;
	int64_t interval_ns = 1000000000;
	char name[258];
	int option, i;

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
		default:
			return cli_option_status(option);
		}
	}
	if (optind == argc)
		return cli_usage("the name of a queue is missing");
	if (watch && optind + 1 < argc)
		return cli_usage("--watch takes one queue");
	for (i = optind; i < argc; ++i) {
		if (cli_parse_name(argv[i], name))
			return CLI_USAGE;
	}
	return stat_queues(argc - optind, argv + optind, json, watch ? interval_ns : 0);
}

const struct cli_command cli_command_stat = {
	.name = "stat",
	.synopsis = "[--json] [--watch] NAME…",
	.summary = "show everything about a queue",
	.help = "Shows attributes, figures and attached processes of queues.\n"
		"\n"
		"      --json        an object; an array of objects if there are several names\n"
		"  -w, --watch       again every second, with rates; with --json one line each\n"
		"      --interval D  as --watch, every D (500ms, 2s, 1m)\n",
	.run = run,
};
