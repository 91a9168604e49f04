/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon create: makes an object, or makes sure that there is one as asked for.
 *
 * The first operand is always the kind: so a queue that is called "lock" is no question of rules.
 */

#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	OPTION_CAPACITY = 256,
	OPTION_ORDER,
	OPTION_FULL,
	OPTION_MESSAGE_SIZE,
	OPTION_MAX_BYTES,
	OPTION_MODE,
	OPTION_PARTICIPANTS,
	OPTION_RECURSIVE,
	OPTION_INHERIT,
	OPTION_VALUE,
	OPTION_MAXIMUM,
	OPTION_MANUAL,
	OPTION_SET,
	OPTION_COUNT,
	OPTION_SIZE,
	OPTION_MAX_SIZE,
	OPTION_EXCLUSIVE,
};

struct create_request {
	struct cli_making making;
	bool json;
};

static int parse_capacity(const char *text, uint64_t *ret_capacity)
{
	uint64_t capacity;

	if (!strcmp(text, "rendezvous") || !strcmp(text, "0")) {
		*ret_capacity = TENON_QUEUE_RENDEZVOUS;
		return 0;
	}
	if (!strcmp(text, "unbounded")) {
		*ret_capacity = TENON_QUEUE_UNBOUNDED;
		return 0;
	}
	if (cli_parse_count(text, &capacity) || !capacity || capacity > TENON_QUEUE_MAX_CAPACITY)
		return -EINVAL;
	*ret_capacity = capacity;
	return 0;
}

/* The options that say what the object is like: what those of getopt_long() are as bits. */
static const struct {
	int option;
	uint32_t bit;
	const char *text;
} made_of[] = {
	{OPTION_CAPACITY, CLI_MAKE_CAPACITY, "--capacity"},
	{OPTION_ORDER, CLI_MAKE_ORDER, "--order"},
	{OPTION_FULL, CLI_MAKE_FULL, "--full"},
	{OPTION_MESSAGE_SIZE, CLI_MAKE_MESSAGE_SIZE, "--message-size"},
	{OPTION_MAX_BYTES, CLI_MAKE_MAX_BYTES, "--max-bytes"},
	{OPTION_MODE, CLI_MAKE_MODE, "--mode"},
	{OPTION_PARTICIPANTS, CLI_MAKE_PARTICIPANTS, "--participants"},
	{OPTION_RECURSIVE, CLI_MAKE_RECURSIVE, "--recursive"},
	{OPTION_INHERIT, CLI_MAKE_INHERIT, "--inherit"},
	{OPTION_VALUE, CLI_MAKE_VALUE, "--value"},
	{OPTION_MAXIMUM, CLI_MAKE_MAXIMUM, "--maximum"},
	{OPTION_MANUAL, CLI_MAKE_MANUAL, "--manual"},
	{OPTION_SET, CLI_MAKE_SET, "--set"},
	{OPTION_COUNT, CLI_MAKE_COUNT, "--count"},
	{OPTION_SIZE, CLI_MAKE_SIZE, "--size"},
	{OPTION_MAX_SIZE, CLI_MAKE_MAX_SIZE, "--max-size"},
};

static int parse_queue_option(int option, struct tenon_queue_options *options)
{
	switch (option) {
	case OPTION_CAPACITY:
		if (parse_capacity(optarg, &options->capacity))
			return cli_usage("--capacity '%s': neither a number from 0 to %llu nor "
					 "'rendezvous' nor 'unbounded'",
					 optarg, (unsigned long long)TENON_QUEUE_MAX_CAPACITY);
		return CLI_OK;
	case OPTION_ORDER:
		if (cli_parse_word(optarg, cli_order_words, &options->order))
			return cli_usage("--order '%s': not one of fifo, priority, typed", optarg);
		return CLI_OK;
	case OPTION_FULL:
		if (cli_parse_word(optarg, cli_full_words, &options->full))
			return cli_usage("--full '%s': not one of wait, fail, drop-oldest, "
					 "drop-newest",
					 optarg);
		return CLI_OK;
	case OPTION_MAX_BYTES:
		if (cli_parse_size(optarg, &options->max_bytes) || options->max_bytes == 0)
			return cli_usage("--max-bytes '%s': not a size from 1 on (K, M or G may "
					 "follow a whole number)",
					 optarg);
		return CLI_OK;
	default:
		if (cli_parse_size(optarg, &options->max_message_bytes) ||
		    options->max_message_bytes > TENON_QUEUE_MAX_MESSAGE_BYTES)
			return cli_usage("--message-size '%s': not a size from 0 to 1G (K, M or G "
					 "may follow a whole number)",
					 optarg);
		return CLI_OK;
	}
}

static int parse_sync_option(int option, struct cli_making *making)
{
	uint32_t *number;
	int status;

	switch (option) {
	case OPTION_RECURSIVE:
		making->sync.flags |= TENON_LOCK_RECURSIVE;
		return CLI_OK;
	case OPTION_INHERIT:
		making->sync.flags |= TENON_LOCK_INHERIT;
		return CLI_OK;
	case OPTION_MANUAL:
		making->sync.flags |= TENON_EVENT_MANUAL;
		return CLI_OK;
	case OPTION_SET:
		making->sync.flags |= TENON_EVENT_IS_SET;
		return CLI_OK;
	case OPTION_VALUE:
		number = &making->semaphore.value;
		status = cli_option_number("--value", 0, TENON_SEMAPHORE_MAX, number);
		making->semaphore_set.value = *number;
		return status;
	case OPTION_MAXIMUM:
		number = &making->semaphore.maximum;
		status = cli_option_number("--maximum", 1, TENON_SEMAPHORE_MAX, number);
		making->semaphore_set.maximum = *number;
		return status;
	default:
		number = &making->barrier.count;
		status = cli_option_number("--count", 1, TENON_BARRIER_MOST, number);
		making->semaphore_set.count = *number;
		return status;
	}
}

static int parse_region_option(int option, struct tenon_region_options *options)
{
	const char *text = option == OPTION_SIZE ? "--size" : "--max-size";
	uint64_t *bytes = option == OPTION_SIZE ? &options->bytes : &options->max_bytes;

	return cli_option_region_size(text, option == OPTION_SIZE ? 0 : 1, bytes);
}

/* Of all kinds. */
static int parse_common_option(int option, struct cli_making *making)
{
	uint32_t mode, participants;

	if (option == OPTION_MODE) {
		if (cli_parse_mode(optarg, &mode))
			return cli_usage("--mode '%s': not an octal number up to 0777", optarg);
		making->queue.mode = making->sync.mode = mode;
		making->semaphore.mode = making->barrier.mode = mode;
		making->semaphore_set.mode = making->region.mode = mode;
		return CLI_OK;
	}
	if (cli_option_number("--participants", 1, TENON_QUEUE_MAX_PARTICIPANTS, &participants))
		return CLI_USAGE;
	making->queue.max_participants = making->sync.max_participants = participants;
	making->semaphore.max_participants = making->barrier.max_participants = participants;
	making->semaphore_set.max_participants = making->region.max_participants = participants;
	return CLI_OK;
}

static int parse_request(int option, struct create_request *request)
{
	struct cli_making *making = &request->making;
	size_t i;

	for (i = 0; i < sizeof(made_of) / sizeof(made_of[0]); ++i) {
		if (made_of[i].option == option)
			making->given |= made_of[i].bit;
	}
	switch (option) {
	case OPTION_CAPACITY:
	case OPTION_ORDER:
	case OPTION_FULL:
	case OPTION_MESSAGE_SIZE:
	case OPTION_MAX_BYTES:
		return parse_queue_option(option, &making->queue);
	case OPTION_MODE:
	case OPTION_PARTICIPANTS:
		return parse_common_option(option, making);
	case OPTION_RECURSIVE:
	case OPTION_INHERIT:
	case OPTION_VALUE:
	case OPTION_MAXIMUM:
	case OPTION_MANUAL:
	case OPTION_SET:
	case OPTION_COUNT:
		return parse_sync_option(option, making);
	case OPTION_SIZE:
	case OPTION_MAX_SIZE:
		return parse_region_option(option, &making->region);
	case OPTION_EXCLUSIVE:
		making->flags |= TENON_EXCLUSIVE;
		return CLI_OK;
	case CLI_OPTION_JSON:
		request->json = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

/* Whether the kind has what was asked for. */
static int check_options(const struct cli_kind *kind, const struct cli_making *making)
{
	size_t i;

	for (i = 0; i < sizeof(made_of) / sizeof(made_of[0]); ++i) {
		if (making->given & made_of[i].bit & ~kind->options)
			return cli_usage("%s %s has no %s", cli_article(kind->name), kind->name,
					 made_of[i].text);
	}
	/* To the library this means the usual mode; of a queue, it means none. */
	if (kind != &cli_kind_queue && making->given & CLI_MAKE_MODE && !making->sync.mode)
		return cli_usage("--mode '0': nobody could use such a %s", kind->name);
	return CLI_OK;
}

static int refuse_kind(const char *word)
{
	const struct cli_kind *nearest = cli_kind_nearest(word);

	if (nearest)
		return cli_usage("'%s' is no kind of object; did you mean '%s'?", word,
				 nearest->name);
	return cli_usage("'%s' is no kind of object; there are %s: 'tenon create queue NAME'", word,
			 cli_kind_list(""));
}

/* An existing object is opened as it is; it must not differ in what was asked for by name. */
static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	const char *difference = object->kind->difference(object, making);

	if (!difference && making->given & CLI_MAKE_PARTICIPANTS &&
	    making->sync.max_participants != object->max_participants)
		difference = "--participants";
	return difference;
}

static int print_json(const struct cli_object *object)
{
	struct json_object *json = cli_object_json(object);

	if (!json)
		return cli_kind_error(object->kind, object->name, -ENOMEM);
	cli_json_print(json, true);
	return CLI_OK;
}

static int create(const struct cli_kind *kind, const char *name,
		  const struct create_request *request)
{
	CLI_CLEANUP(cli_cleanup_object) struct cli_object object = {.handle = NULL};
	const char *difference;
	int error;

	error = cli_object_open(&object, kind, name, &request->making);
	if (error == -EINVAL) {
		if (!kind->refuse || !kind->refuse(name, &request->making))
			cli_kind_warn(kind, name, "these options do not go together");
		return CLI_USAGE;
	}
	if (error == -ENOENT) {
		cli_kind_warn(kind, name, "there is no namespace folder '%s'; %s", cli_namespace(),
			      cli_namespace_remedy());
		return CLI_MISSING;
	}
	if (error)
		return cli_kind_error(kind, name, error);
	difference = find_difference(&object, &request->making);
	if (difference) {
		cli_kind_warn(kind, name,
			      "it exists already with another %s; look at it with 'tenon stat "
			      "--kind %s %s', or remove it first",
			      difference, kind->name, name);
		return CLI_EXISTS;
	}
	if (cli_is_on_disk(cli_namespace()))
		cli_kind_warn(kind, name,
			      "it lies in '%s', which is not on tmpfs: %s written to a disk",
			      cli_namespace(), kind->contents);
	return request->json ? print_json(&object) : CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"capacity", required_argument, NULL, OPTION_CAPACITY},
		{"order", required_argument, NULL, OPTION_ORDER},
		{"full", required_argument, NULL, OPTION_FULL},
		{"message-size", required_argument, NULL, OPTION_MESSAGE_SIZE},
		{"max-bytes", required_argument, NULL, OPTION_MAX_BYTES},
		{"mode", required_argument, NULL, OPTION_MODE},
		{"participants", required_argument, NULL, OPTION_PARTICIPANTS},
		{"recursive", no_argument, NULL, OPTION_RECURSIVE},
		{"inherit", no_argument, NULL, OPTION_INHERIT},
		{"value", required_argument, NULL, OPTION_VALUE},
		{"maximum", required_argument, NULL, OPTION_MAXIMUM},
		{"manual", no_argument, NULL, OPTION_MANUAL},
		{"set", no_argument, NULL, OPTION_SET},
		{"count", required_argument, NULL, OPTION_COUNT},
		{"size", required_argument, NULL, OPTION_SIZE},
		{"max-size", required_argument, NULL, OPTION_MAX_SIZE},
		{"exclusive", no_argument, NULL, OPTION_EXCLUSIVE},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct create_request request = {
		.making = {.queue = {.size = sizeof(request.making.queue),
				     .capacity = TENON_QUEUE_DEFAULT_CAPACITY,
				     .max_message_bytes = TENON_QUEUE_DEFAULT_MESSAGE_BYTES,
				     .mode = TENON_QUEUE_DEFAULT_MODE},
			   .sync = {.size = sizeof(request.making.sync)},
			   .semaphore = {.size = sizeof(request.making.semaphore)},
			   .barrier = {.size = sizeof(request.making.barrier)},
			   .region = {.size = sizeof(request.making.region)},
			   .semaphore_set = {.size = sizeof(request.making.semaphore_set)}},
	};
	const struct cli_kind *kind;
	char name[258];
	int option, status;

	while ((option = cli_option(argc, argv, "", options)) != -1) {
		status = parse_request(option, &request);
		if (status || option == 'h')
			return status;
	}
	if (optind == argc)
		return cli_usage("what to create is missing: 'tenon create queue NAME'");
	kind = cli_kind_named(argv[optind]);
	if (!kind)
		return refuse_kind(argv[optind]);
	++optind;
	status = cli_operand_name(argc, argv, kind->name, name);
	if (!status)
		status = check_options(kind, &request.making);
	return status ? status : create(kind, name, &request);
}

const struct cli_command cli_command_create = {
	.name = "create",
	.synopsis = "KIND NAME [OPTION…]",
	.summary = "make a queue, a lock or another object",
	.help = "Makes an object of a kind.  If it exists it is left as it is, and only options "
		"that\n"
		"differ from it are an error.  Each kind has names of its own.  The kinds are "
		"queue,\n"
		"lock, semaphore, semaphore-set, event, condition, barrier, once, region.\n"
		"\n"
		"Of a queue (a message buffer is one, with the usual order and --full):\n"
		"  --capacity N         messages it holds at most (1024; K, M and G may follow),\n"
		"                       or 0, 'rendezvous': a send ends when its message was\n"
		"                       received, or 'unbounded'\n"
		"  --order ORDER        fifo (usual), priority, typed\n"
		"  --full WHAT          when it is full a send should wait (usual), fail,\n"
		"                       drop-oldest or drop-newest\n"
		"  --message-size SIZE  the longest message (8K); K, M and G may follow\n"
		"  --max-bytes SIZE     all messages together, at most (no limit)\n"
		"\n"
		"Of a lock:\n"
		"  --recursive          its holder may acquire it again\n"
		"  --inherit            its holder has the priority of those who wait; not to be "
		"shared\n"
		"\n"
		"Of a semaphore:\n"
		"  --value N            what it begins with (0)\n"
		"  --maximum N          more it never has (2147483647)\n"
		"\n"
		"Of a semaphore-set:\n"
		"  --count N            semaphores in it, to 32000; must be given\n"
		"  --value N            what each begins with (0)\n"
		"  --maximum N          more none ever has (32767)\n"
		"\n"
		"Of an event:\n"
		"  --manual             it stays set until it is reset; usually one passes and "
		"resets "
		"it\n"
		"  --set                it is set from the beginning\n"
		"\n"
		"Of a barrier:\n"
		"  --count N            for how many it is; must be given\n"
		"\n"
		"Of a region:\n"
		"  --size SIZE          its size, for which memory is taken; K, M and G may "
		"follow\n"
		"  --max-size SIZE      to which it may grow (as --size)\n"
		"\n"
		"Of all:\n"
		"  --mode OCTAL         permission bits, less the umask (0600)\n"
		"  --participants N     processes that may be attached at once (256)\n"
		"  --exclusive          fail if it exists\n"
		"  --json               print what it is now, as 'tenon stat --json' does\n",
	.run = run,
};
