/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon region: copies a region's bytes out of it and into it, makes it longer and seals it.  The
 * copying is in region_dump.c and region_load.c.
 */

#include "region.h"

#include "verb.h"

#include <errno.h>
#include <string.h>

enum { VERB_DUMP, VERB_LOAD, VERB_GROW, VERB_SEAL };

static const char *const verbs[] = {"dump", "load", "grow", "seal", NULL};

enum {
	OPTION_OFFSET = 256,
	OPTION_RAW,
	OPTION_CREATE,
	OPTION_GROW,
	OPTION_WRITE,
	OPTION_MAX_SIZE,
};

/* Which verbs an option is for, as bits. */
#define FOR(verb) (1u << (verb))

static const struct {
	int option;
	const char *text;
	uint32_t verbs;
} uses[] = {
	{OPTION_OFFSET, "--offset", FOR(VERB_DUMP) | FOR(VERB_LOAD)},
	{'n', "--length", FOR(VERB_DUMP)},
	{'o', "--output", FOR(VERB_DUMP)},
	{'x', "--hex", FOR(VERB_DUMP)},
	{OPTION_RAW, "--raw", FOR(VERB_DUMP)},
	{OPTION_CREATE, "--create", FOR(VERB_LOAD)},
	{OPTION_MAX_SIZE, "--max-size", FOR(VERB_LOAD)},
	{OPTION_GROW, "--grow", FOR(VERB_LOAD) | FOR(VERB_SEAL)},
	{OPTION_WRITE, "--write", FOR(VERB_SEAL)},
	{'w', "--timeout", FOR(VERB_LOAD) | FOR(VERB_GROW) | FOR(VERB_SEAL)},
};

#define USES (sizeof(uses) / sizeof(uses[0]))

struct region_line {
	struct cli_region_request request;
	bool has_verb, has_operand;
	uint32_t verb;
	uint32_t given; /* bits of places in `uses` */
};

void cli_cleanup_region(struct tenon_region **region)
{
	*region = tenon_region_close(*region);
}

int64_t cli_region_deadline(const struct cli_region_request *request)
{
	return request->timeout_ns < 0 ? TENON_NO_DEADLINE
				       : tenon_deadline_after(request->timeout_ns);
}

int cli_region_error(const struct cli_region_request *request, int error, const char *what)
{
	const char *name = request->name;

	switch (-error) {
	case EPERM:
		cli_kind_warn(&cli_kind_region, name,
			      "it is sealed against %s, and that is for good", what);
		return CLI_DENIED;
	case EAGAIN:
		cli_kind_warn(&cli_kind_region, name, "somebody is just sealing it; try it again");
		return CLI_NOTHING;
	case ETIMEDOUT:
		cli_kind_warn(&cli_kind_region, name,
			      "somebody else who grows or seals it was not done within %s",
			      cli_format_exactly(request->timeout_ns));
		return CLI_NOTHING;
	default:
		return cli_kind_error(&cli_kind_region, name, error);
	}
}

int cli_region_open(const struct cli_region_request *request, struct tenon_region **ret_region)
{
	int error = tenon_region_open(NULL, request->name, TENON_REGION_GUARD, NULL, ret_region);

	return error ? cli_kind_error(&cli_kind_region, request->name, error) : CLI_OK;
}

int cli_region_grow(const struct cli_region_request *request, struct tenon_region *region,
		    uint64_t bytes)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	int error = tenon_region_grow(region, bytes, cli_region_deadline(request));

	if (!error)
		return CLI_OK;
	/* It may also be the limit of the process. */
	if (error == -EFBIG && !tenon_region_status(region, &status) && bytes > status.max_bytes) {
		cli_kind_warn(
			&cli_kind_region, request->name,
			"%llu bytes are wanted, and more than %llu it never has; what may grow "
			"further is made anew with --max-size",
			(unsigned long long)bytes, (unsigned long long)status.max_bytes);
		return CLI_TOO_LONG;
	}
	return cli_region_error(request, error, "growing");
}

static int grow(const struct cli_region_request *request)
{
	CLI_CLEANUP(cli_cleanup_region) struct tenon_region *region = NULL;
	int status = cli_region_open(request, &region);

	return status ? status : cli_region_grow(request, region, request->size);
}

static int seal(const struct cli_region_request *request)
{
	CLI_CLEANUP(cli_cleanup_region) struct tenon_region *region = NULL;
	uint32_t seals = (request->grow ? TENON_REGION_SEAL_GROW : 0) |
			 (request->write ? TENON_REGION_SEAL_WRITE : 0);
	int status = cli_region_open(request, &region), error;

	if (status)
		return status;
	error = tenon_region_seal(region, seals, cli_region_deadline(request));
	if (error == -EBUSY) {
		cli_kind_warn(&cli_kind_region, request->name,
			      "a process has mapped it for writing, and nothing was sealed; 'tenon "
			      "stat --kind region %s' shows which",
			      request->name);
		return CLI_NOTHING;
	}
	return error ? cli_region_error(request, error, "that") : CLI_OK;
}

static int parse_size(const char *option, uint64_t *ret_bytes)
{
	if (cli_parse_size(optarg, ret_bytes))
		return cli_usage("%s '%s': not a size (K, M or G may follow a whole number)",
				 option, optarg);
	return CLI_OK;
}

static int parse_value(struct cli_region_request *request, int option)
{
	switch (option) {
	case OPTION_OFFSET:
		return parse_size("--offset", &request->offset);
	case 'n':
		return parse_size("--length", &request->length);
	case 'o':
		request->output = strcmp(optarg, "-") ? optarg : NULL;
		return CLI_OK;
	case OPTION_MAX_SIZE:
		return cli_option_region_size("--max-size", 1, &request->max_bytes);
	case 'w':
		return cli_option_duration("--timeout", 0, &request->timeout_ns);
	default:
		return cli_option_status(option);
	}
}

static int parse_option(void *context, int option)
{
	struct region_line *line = context;
	struct cli_region_request *request = &line->request;
	size_t i;

	for (i = 0; i < USES; ++i) {
		if (uses[i].option == option)
			line->given |= 1u << i;
	}
	switch (option) {
	case 'x':
		request->hex = true;
		return CLI_OK;
	case OPTION_RAW:
		request->raw = true;
		return CLI_OK;
	case OPTION_CREATE:
		request->create = true;
		return CLI_OK;
	case OPTION_GROW:
		request->grow = true;
		return CLI_OK;
	case OPTION_WRITE:
		request->write = true;
		return CLI_OK;
	default:
		return parse_value(request, option);
	}
}

/* VERB NAME, and behind that what is read, or how long it is to be. */
static int parse_operand(void *context, const char *text, bool ended)
{
	struct region_line *line = context;
	struct cli_region_request *request = &line->request;

	(void)ended;
	if (!line->has_verb) {
		line->has_verb = true;
		return cli_verb_find(text, &cli_kind_region, verbs, &line->verb);
	}
	if (!request->name[0])
		return cli_parse_name(text, request->name);
	if (line->has_operand || line->verb == VERB_DUMP || line->verb == VERB_SEAL)
		return cli_usage("'%s' is too much", text);
	line->has_operand = true;
	if (line->verb == VERB_LOAD)
		request->input = strcmp(text, "-") ? text : NULL;
	else if (cli_parse_size(text, &request->size) || request->size > TENON_REGION_BYTES_MOST)
		return cli_usage("'%s' is no size up to 8192G (K, M or G may follow a whole "
				 "number)",
				 text);
	return CLI_OK;
}

static int check(const struct region_line *line)
{
	const struct cli_region_request *request = &line->request;
	size_t i;

	if (!line->has_verb)
		return cli_usage("what to do is missing: 'tenon region dump NAME'");
	if (!request->name[0])
		return cli_usage("the name of a region is missing");
	for (i = 0; i < USES; ++i) {
		if (line->given & 1u << i && !(uses[i].verbs & FOR(line->verb)))
			return cli_usage("'%s' has no %s", verbs[line->verb], uses[i].text);
	}
	if (request->hex && request->raw)
		return cli_usage("--hex and --raw do not go together");
	if (line->verb == VERB_SEAL && !request->grow && !request->write)
		return cli_usage("against what to seal it is missing: --grow, --write or both");
	if (line->verb == VERB_GROW && !line->has_operand)
		return cli_usage("how long it is to be is missing: 'tenon region grow NAME SIZE'");
	if (request->max_bytes && !request->create)
		return cli_usage("--max-size is for --create; without that the region is used as "
				 "it is");
	return CLI_OK;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{"offset", required_argument, NULL, OPTION_OFFSET},
		{"length", required_argument, NULL, 'n'},
		{"output", required_argument, NULL, 'o'},
		{"hex", no_argument, NULL, 'x'},
		{"raw", no_argument, NULL, OPTION_RAW},
		{"create", no_argument, NULL, OPTION_CREATE},
		{"max-size", required_argument, NULL, OPTION_MAX_SIZE},
		{"grow", no_argument, NULL, OPTION_GROW},
		{"write", no_argument, NULL, OPTION_WRITE},
		{"timeout", required_argument, NULL, 'w'},
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	static const struct cli_line calls = {
		.shorts = "-n:o:xw:",
		.longs = options,
		.option = parse_option,
		.operand = parse_operand,
	};
	struct region_line line = {.request = {.length = CLI_REGION_REST, .timeout_ns = -1}};
	int status;

	if (!cli_parse_line(argc, argv, &calls, &line, &status))
		return status;
	status = check(&line);
	if (status)
		return status;
	switch (line.verb) {
	case VERB_DUMP:
		return cli_region_dump(&line.request);
	case VERB_LOAD:
		return cli_region_load(&line.request);
	case VERB_GROW:
		return grow(&line.request);
	default:
		return seal(&line.request);
	}
}

const struct cli_command cli_command_region = {
	.name = "region",
	.synopsis = "dump NAME [OPTION…]\n"
		    "       tenon region load NAME [FILE|-] [OPTION…]\n"
		    "       tenon region grow NAME SIZE [-w D]\n"
		    "       tenon region seal NAME --grow|--write [-w D]",
	.summary = "copy shared memory to and from files, make it longer, seal it",
	.help = "dump   writes the bytes of the region to standard output; a terminal gets a "
		"listing as of\n"
		"       'hexdump -C'\n"
		"load   writes the bytes of a file, or of standard input, into the region\n"
		"grow   makes it at least so long; what is new is zero\n"
		"seal   forbids for good to make it longer, or to map it for writing\n"
		"\n"
		"K, M and G may follow sizes and offsets.\n"
		"\n"
		"Of dump and load:\n"
		"      --offset N       begin there in the region, not at 0\n"
		"\n"
		"Of dump:\n"
		"  -n, --length N       so many bytes, not all to the end\n"
		"  -o, --output FILE    write to this file\n"
		"  -x, --hex            the listing, wherever it goes\n"
		"      --raw            the bytes, also to a terminal\n"
		"\n"
		"Of load:\n"
		"      --grow           make the region longer if it is too short\n"
		"      --create         make it if it is missing, as long as what is loaded needs\n"
		"      --max-size SIZE  with --create: to which it may grow\n"
		"\n"
		"Of seal:\n"
		"      --grow           against growing\n"
		"      --write          against writing; nobody may have it mapped for that\n"
		"\n"
		"Of load, grow and seal:\n"
		"  -w, --timeout D      wait so long for others who grow or seal it: status 1 "
		"after "
		"that\n",
	.run = run,
};
