/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon sem: takes from a semaphore, gives to it, and shows its value.
 *
 * With a command it takes with UNDO, in the holder (see hold.c): what it has taken comes back with the
 * end of that process, however it ends.  Without one it takes for good.
 */

#include "hold.h"
#include "verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

enum { VERB_ACQUIRE, VERB_RELEASE, VERB_GET };

static const char *const verbs[] = {"acquire", "release", "get", NULL};

enum { OPTION_CREATE = 256, OPTION_VALUE, OPTION_MAXIMUM };

struct sem_request {
	struct cli_hold hold; /* first */
	bool has_verb, has_count, json, create;
	uint32_t verb, count;
	const char *value_given, *maximum_given; /* these options, or NULL */
	struct tenon_semaphore_options making;
	struct tenon_semaphore *semaphore;
};

/* An existing semaphore is used as it is, unless it lets in another number than is wanted. */
static int check_maximum(const struct sem_request *request)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	const char *name = request->hold.name;
	int error = tenon_semaphore_status(request->semaphore, &status);

	if (error)
		return cli_kind_error(&cli_kind_semaphore, name, error);
	if (status.maximum == request->making.maximum ||
	    (!request->maximum_given && status.maximum == TENON_SEMAPHORE_MAX))
		return CLI_OK;
	cli_kind_warn(&cli_kind_semaphore, name,
		      "it exists already with the maximum %u, not %u; use it as it is without "
		      "--create, or remove it first with 'tenon rm --kind semaphore %s'",
		      status.maximum, request->making.maximum, name);
	return CLI_EXISTS;
}

static void close_semaphore(struct cli_hold *hold)
{
	struct sem_request *request = (struct sem_request *)hold;

	request->semaphore = tenon_semaphore_close(request->semaphore);
}

static int open_semaphore(struct cli_hold *hold)
{
	struct sem_request *request = (struct sem_request *)hold;
	int error, status;

	error = tenon_semaphore_open(NULL, hold->name, request->create ? TENON_CREATE : 0,
				     request->create ? &request->making : NULL,
				     &request->semaphore);
	if (error && request->create)
		return cli_hold_open_error(hold, error);
	if (error)
		return cli_kind_error(hold->kind, hold->name, error);
	status = request->create ? check_maximum(request) : CLI_OK;
	if (status)
		close_semaphore(hold);
	return status;
}

/* Only what is held around a command comes back by itself. */
static int take(struct cli_hold *hold, int64_t deadline_ns)
{
	const struct sem_request *request = (const struct sem_request *)hold;
	uint32_t flags = hold->arguments ? TENON_SEMAPHORE_UNDO : 0;
	int error;

	if (deadline_ns)
		return tenon_semaphore_acquire(request->semaphore, request->count, flags,
					       deadline_ns);
	error = tenon_semaphore_try(request->semaphore, request->count, flags);
	return error == -EAGAIN ? -EBUSY : error;
}

static int refuse(const struct sem_request *request, int error)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	const char *name = request->hold.name;
	bool known = !tenon_semaphore_status(request->semaphore, &status);
	char now[64], past[64], details[64] = "";

	if (error == -EINVAL && known && request->count > status.maximum) {
		cli_kind_warn(&cli_kind_semaphore, name,
			      "%u are wanted, and more than %u it never has", request->count,
			      status.maximum);
		return CLI_USAGE;
	}
	if (error != -EBUSY && error != -ETIMEDOUT)
		return cli_kind_error(&cli_kind_semaphore, name, error);
	snprintf(now, sizeof(now), "%u cannot be had", request->count);
	snprintf(past, sizeof(past), "%u could not be had", request->count);
	if (known)
		snprintf(details, sizeof(details), ": its value is %u", status.value);
	return cli_patience_conflict(&request->hold.patience, &cli_kind_semaphore, name, now, past,
				     details);
}

static bool dares(struct cli_hold *hold, int error, int *ret_status)
{
	if (error)
		*ret_status = refuse((const struct sem_request *)hold, error);
	return !error;
}

/* However it has ended.  If somebody has given more than was taken there is no room, and what of it has
 * room comes back by the undo count. */
static void give(struct cli_hold *hold, int ended)
{
	const struct sem_request *request = (const struct sem_request *)hold;

	(void)ended;
	tenon_semaphore_release(request->semaphore, request->count, TENON_SEMAPHORE_UNDO, NULL);
}

static const struct cli_hold_calls calls = {
	.open = open_semaphore,
	.take = take,
	.dares = dares,
	.give = give,
	.close = close_semaphore,
};

/* For good. */
static int acquire(struct sem_request *request)
{
	struct cli_hold *hold = &request->hold;
	int status = open_semaphore(hold), error;

	if (status)
		return status;
	error = take(hold, cli_patience_deadline(&hold->patience));
	if (error)
		status = refuse(request, error);
	close_semaphore(hold);
	return status;
}

static int release(const struct sem_request *request)
{
	struct tenon_semaphore_status status = {.size = sizeof(status)};
	const char *name = request->hold.name;
	int error;

	error = tenon_semaphore_release(request->semaphore, request->count, 0, NULL);
	if (!error)
		return CLI_OK;
	if ((error != -EOVERFLOW && error != -EINVAL) ||
	    tenon_semaphore_status(request->semaphore, &status))
		return cli_kind_error(&cli_kind_semaphore, name, error);
	cli_kind_warn(
		&cli_kind_semaphore, name,
		"its value is %u, and with %u more it would be above its maximum, %u; nothing "
		"was given",
		status.value, request->count, status.maximum);
	return CLI_NOTHING;
}

static int get(const struct sem_request *request)
{
	const char *name = request->hold.name;
	struct json_object *json;
	uint32_t value;
	int error = tenon_semaphore_value(request->semaphore, &value);

	if (error)
		return cli_kind_error(&cli_kind_semaphore, name, error);
	if (!request->json) {
		printf("%u\n", value);
		return CLI_OK;
	}
	json = json_object_new_object();
	if (!json || cli_json_add_name(json, &cli_kind_semaphore, name)) {
		json_object_put(json);
		return cli_kind_error(&cli_kind_semaphore, name, -ENOMEM);
	}
	cli_json_add_number(json, "value", value);
	cli_json_print(json, true);
	return CLI_OK;
}

static int parse_option(void *context, int option)
{
	struct sem_request *request = context;

	switch (option) {
	case OPTION_CREATE:
		request->create = true;
		return CLI_OK;
	case OPTION_VALUE:
		request->value_given = "--value";
		return cli_option_number("--value", 0, TENON_SEMAPHORE_MAX, &request->making.value);
	case OPTION_MAXIMUM:
		request->maximum_given = "--maximum";
		return cli_option_number("--maximum", 1, TENON_SEMAPHORE_MAX,
					 &request->making.maximum);
	case CLI_OPTION_JSON:
		request->json = true;
		return CLI_OK;
	default:
		return cli_patience_option(&request->hold.patience, option);
	}
}

/* VERB NAME [N], and behind that, or "--", the command of acquire. */
static int parse_operand(void *context, const char *text, bool ended)
{
	struct sem_request *request = context;
	uint64_t count;

	if (!request->has_verb) {
		request->has_verb = true;
		return cli_verb_find(text, request->hold.kind, verbs, &request->verb);
	}
	if (!request->hold.name[0])
		return cli_parse_name(text, request->hold.name);
	if (request->verb == VERB_GET)
		return cli_usage("'%s' is too much: one semaphore at a time", text);
	if (request->verb == VERB_RELEASE && request->has_count)
		return cli_usage("'%s' is too much: 'tenon sem release NAME [N]'", text);
	if (request->has_count || (request->verb == VERB_ACQUIRE && ended))
		return CLI_REST;
	if (cli_parse_number(text, &count)) {
		if (request->verb == VERB_ACQUIRE)
			return CLI_REST;
		count = 0;
	}
	if (!count || count > TENON_SEMAPHORE_MAX)
		return cli_usage("'%s' is how many? Not a number from 1 to %u", text,
				 TENON_SEMAPHORE_MAX);
	request->count = (uint32_t)count;
	request->has_count = true;
	return CLI_OK;
}

static int check_create(struct sem_request *request)
{
	struct tenon_semaphore_options *making = &request->making;

	if (!request->create && (request->value_given || request->maximum_given))
		return cli_usage("%s is for --create; without that the semaphore is used as it is",
				 request->value_given ? "--value" : "--maximum");
	if (!request->create)
		return CLI_OK;
	if (!request->value_given)
		return cli_usage("--create needs --value N, which is how many may have it at once");
	/* Nobody gives more than was taken then. */
	if (!request->maximum_given)
		making->maximum = making->value ? making->value : TENON_SEMAPHORE_MAX;
	if (making->value > making->maximum)
		return cli_usage("--value %u is above --maximum %u", making->value,
				 making->maximum);
	return CLI_OK;
}

static int check(struct sem_request *request)
{
	const char *foreign = request->hold.patience.given;

	if (!request->has_verb)
		return cli_usage("what to do is missing: 'tenon sem acquire NAME'");
	if (!request->hold.name[0])
		return cli_usage("the name of a semaphore is missing");
	if (request->create)
		foreign = "--create";
	else if (request->value_given || request->maximum_given)
		foreign = request->value_given ? request->value_given : request->maximum_given;
	if (foreign && request->verb != VERB_ACQUIRE)
		return cli_usage("%s is for 'acquire'", foreign);
	if (request->json && request->verb != VERB_GET)
		return cli_usage("--json is for 'get'");
	return check_create(request);
}

static int use(struct sem_request *request, char **arguments)
{
	int status = check(request);

	if (status)
		return status;
	if (request->verb == VERB_ACQUIRE && arguments[0]) {
		status = cli_hold_check(&request->hold, arguments);
		return status ? status : cli_hold_run(&request->hold);
	}
	if (request->verb == VERB_ACQUIRE) {
		status = cli_patience_check(&request->hold.patience);
		return status ? status : acquire(request);
	}
	status = open_semaphore(&request->hold);
	if (status)
		return status;
	status = request->verb == VERB_RELEASE ? release(request) : get(request);
	close_semaphore(&request->hold);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		CLI_PATIENCE_OPTIONS,
		{"create", no_argument, NULL, OPTION_CREATE},
		{"value", required_argument, NULL, OPTION_VALUE},
		{"maximum", required_argument, NULL, OPTION_MAXIMUM},
		{"json", no_argument, NULL, CLI_OPTION_JSON},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static const struct cli_line line = {
		.shorts = "-" CLI_PATIENCE_SHORTS,
		.longs = options,
		.option = parse_option,
		.operand = parse_operand,
	};
	struct sem_request request = {
		.hold = {.calls = &calls,
			 .kind = &cli_kind_semaphore,
			 .patience = CLI_PATIENCE_USUAL},
		.count = 1,
		.making = {.size = sizeof(request.making)},
	};
	int status;

	if (!cli_parse_line(argc, argv, &line, &request, &status))
		return status;
	return use(&request, argv + optind);
}

const struct cli_command cli_command_sem = {
	.name = "sem",
	.synopsis = "acquire NAME [N] [OPTION…] [[--] COMMAND [ARGUMENT…]]\n"
		    "       tenon sem release NAME [N]\n"
		    "       tenon sem get NAME [--json]",
	.summary = "limit how many commands run at once; take from and give to a semaphore",
	.help = "acquire  takes N, usually 1, from the semaphore, and waits until it has as many.  "
		"With a\n"
		"         command it runs that, gives them back, and ends with its status; so does "
		"the\n"
		"         death of any process.  Without one nothing gives them back but "
		"'release'\n"
		"release  gives N, usually 1\n"
		"get      prints its value\n"
		"\n"
		"Of acquire:\n" CLI_PATIENCE_HELP
		"      --create                 make the semaphore if it is missing\n"
		"      --value N                with --create: what it begins with, so many at "
		"once\n"
		"      --maximum N              with --create: more it never has (as --value)\n"
		"\n"
		"Of get:\n"
		"      --json                   an object with the key 'value'\n"
		"\n"
		"At most four at once:  tenon sem acquire --create --value 4 jobs -- make\n",
	.run = run,
};
