/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon region: copies a region's bytes out of it and into it, makes it longer and seals it.  The
 * copying is in memory_dump.c and memory_load.c, for tenon shm as well, whose command line is read
 * here, too.
 */

#include "memory.h"

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
	bool is_of_regions;
} uses[] = {
	{OPTION_OFFSET, "--offset", FOR(VERB_DUMP) | FOR(VERB_LOAD), false},
	{'n', "--length", FOR(VERB_DUMP), false},
	{'o', "--output", FOR(VERB_DUMP), false},
	{'x', "--hex", FOR(VERB_DUMP), false},
	{OPTION_RAW, "--raw", FOR(VERB_DUMP), false},
	{OPTION_CREATE, "--create", FOR(VERB_LOAD), false},
	{OPTION_MAX_SIZE, "--max-size", FOR(VERB_LOAD), true},
	{OPTION_GROW, "--grow", FOR(VERB_LOAD) | FOR(VERB_SEAL), false},
	{OPTION_WRITE, "--write", FOR(VERB_SEAL), true},
	{'w', "--timeout", FOR(VERB_LOAD) | FOR(VERB_GROW) | FOR(VERB_SEAL), true},
};

#define USES (sizeof(uses) / sizeof(uses[0]))

struct memory_line {
	struct cli_memory_request request;
	const char *const *verbs;
	bool has_verb, has_operand;
	uint32_t verb;
	uint32_t given; /* bits of places in `uses` */
};

void cli_cleanup_memory(struct cli_memory *memory)
{
	if (memory->calls)
		memory->calls->close(memory);
}

int cli_memory_error(const struct cli_memory_request *request, int error)
{
	return cli_kind_error(request->calls->kind, request->name, error);
}

/* Until when others are waited for who grow or seal it. */
static int64_t deadline(const struct cli_memory_request *request)
{
	return request->timeout_ns < 0 ? TENON_NO_DEADLINE
				       : tenon_deadline_after(request->timeout_ns);
}

/* As cli_memory_error(), where -EPERM is that it is sealed against `what`: "writing". */
static int report(const struct cli_memory_request *request, int error, const char *what)
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
		return cli_memory_error(request, error);
	}
}

static int open_region(const struct cli_memory_request *request, bool for_writing,
		       struct cli_memory *ret_memory)
{
	struct tenon_region *region;
	int error = tenon_region_open(NULL, request->name, TENON_REGION_GUARD, NULL, &region);

	(void)for_writing;
	if (!error)
		*ret_memory = (struct cli_memory){.calls = &cli_memory_region, .region = region};
	return error;
}

static int make_region(const struct cli_memory_request *request, uint64_t bytes,
		       struct cli_memory *ret_memory)
{
	struct tenon_region_options options = {
		.size = sizeof(options),
		.bytes = bytes,
		.max_bytes = request->max_bytes,
	};
	struct tenon_region *region;
	int error = tenon_region_open(NULL, request->name, TENON_CREATE | TENON_REGION_GUARD,
				      &options, &region);

	if (!error)
		*ret_memory = (struct cli_memory){.calls = &cli_memory_region, .region = region};
	return error;
}

static void close_region(struct cli_memory *memory)
{
	memory->region = tenon_region_close(memory->region);
}

static int measure_region(const struct cli_memory *memory, uint64_t *ret_bytes,
			  uint64_t *ret_max_bytes)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	int error = tenon_region_status(memory->region, &status);

	if (error)
		return error;
	*ret_bytes = status.bytes;
	*ret_max_bytes = status.max_bytes;
	return 0;
}

static int prepare_region(const struct cli_memory_request *request, struct cli_memory *memory,
			  bool for_writing, uint64_t *ret_bytes)
{
	void *address;
	int error = tenon_region_map(memory->region,
				     for_writing ? TENON_REGION_WRITE : TENON_REGION_READ, &address,
				     &memory->data_bytes);

	if (error)
		return for_writing ? report(request, error, "writing")
				   : cli_memory_error(request, error);
	memory->data = address;
	*ret_bytes = memory->data_bytes;
	return CLI_OK;
}

static int read_region(const struct cli_memory *memory, uint64_t offset, uint8_t *chunk,
		       size_t bytes)
{
	memcpy(chunk, memory->data + offset, bytes);
	return tenon_region_check(memory->region);
}

static int write_region(const struct cli_memory *memory, uint64_t offset, const uint8_t *chunk,
			size_t bytes)
{
	memcpy(memory->data + offset, chunk, bytes);
	return tenon_region_check(memory->region);
}

static int grow_region(const struct cli_memory_request *request, struct tenon_region *region,
		       uint64_t bytes)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	int error = tenon_region_grow(region, bytes, deadline(request));

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
	return report(request, error, "growing");
}

/* A region has taken the memory for all of its bytes. */
static int take_region(const struct cli_memory_request *request, struct cli_memory *memory,
		       uint64_t bytes)
{
	uint64_t end = request->offset + bytes;

	return end <= memory->data_bytes ? CLI_OK : grow_region(request, memory->region, end);
}

const struct cli_memory_calls cli_memory_region = {
	.kind = &cli_kind_region,
	.open = open_region,
	.make = make_region,
	.close = close_region,
	.measure = measure_region,
	.prepare = prepare_region,
	.take = take_region,
	.read = read_region,
	.write = write_region,
};

static int grow(const struct cli_memory_request *request)
{
	CLI_CLEANUP(cli_cleanup_memory) struct cli_memory memory = {.calls = NULL};
	int error = open_region(request, true, &memory);

	return error ? cli_memory_error(request, error)
		     : grow_region(request, memory.region, request->size);
}

static int seal(const struct cli_memory_request *request)
{
	CLI_CLEANUP(cli_cleanup_memory) struct cli_memory memory = {.calls = NULL};
	uint32_t seals = (request->grow ? TENON_REGION_SEAL_GROW : 0) |
			 (request->write ? TENON_REGION_SEAL_WRITE : 0);
	int error = open_region(request, true, &memory);

	if (error)
		return cli_memory_error(request, error);
	error = tenon_region_seal(memory.region, seals, deadline(request));
	if (error == -EBUSY) {
		cli_kind_warn(&cli_kind_region, request->name,
			      "a process has mapped it for writing, and nothing was sealed; 'tenon "
			      "stat --kind region %s' shows which",
			      request->name);
		return CLI_NOTHING;
	}
	return error ? report(request, error, "that") : CLI_OK;
}

static int parse_size(const char *option, uint64_t *ret_bytes)
{
	if (cli_parse_size(optarg, ret_bytes))
		return cli_usage("%s '%s': not a size (K, M or G may follow a whole number)",
				 option, optarg);
	return CLI_OK;
}

static int parse_value(struct cli_memory_request *request, int option)
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
	struct memory_line *line = context;
	struct cli_memory_request *request = &line->request;
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
	struct memory_line *line = context;
	struct cli_memory_request *request = &line->request;

	(void)ended;
	if (!line->has_verb) {
		line->has_verb = true;
		return cli_verb_find(text, request->calls->kind, line->verbs, &line->verb);
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

static int check(const struct memory_line *line)
{
	const struct cli_memory_request *request = &line->request;
	const struct cli_kind *kind = request->calls->kind;
	size_t i;

	if (!line->has_verb)
		return cli_usage("what to do is missing: 'tenon %s dump NAME'", kind->name);
	if (!request->name[0])
		return cli_usage("the name of %s %s is missing", cli_article(kind->name),
				 kind->name);
	for (i = 0; i < USES; ++i) {
		if (line->given & 1u << i && (!(uses[i].verbs & FOR(line->verb)) ||
					      (uses[i].is_of_regions && kind != &cli_kind_region)))
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

int cli_memory_run(int argc, char **argv, const struct cli_memory_calls *calls,
		   const char *const *its_verbs)
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
	static const struct cli_line reading = {
		.shorts = "-n:o:xw:",
		.longs = options,
		.option = parse_option,
		.operand = parse_operand,
	};
	struct memory_line line = {
		.request = {.calls = calls, .length = CLI_MEMORY_REST, .timeout_ns = -1},
		.verbs = its_verbs,
	};
	int status;

	if (!cli_parse_line(argc, argv, &reading, &line, &status))
		return status;
	status = check(&line);
	if (status)
		return status;
	switch (line.verb) {
	case VERB_DUMP:
		return cli_memory_dump(&line.request);
	case VERB_LOAD:
		return cli_memory_load(&line.request);
	case VERB_GROW:
		return grow(&line.request);
	default:
		return seal(&line.request);
	}
}

static int run(int argc, char **argv)
{
	return cli_memory_run(argc, argv, &cli_memory_region, verbs);
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
