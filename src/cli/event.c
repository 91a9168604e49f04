/* SPDX-License-Identifier: Apache-2.0 */

/* tenon event: waits for an event, sets and resets it. */

#include "kind.h"
#include "verb.h"

#include <errno.h>

enum { VERB_WAIT, VERB_SET, VERB_RESET, VERB_PULSE };

static const char *const verbs[] = {"wait", "set", "reset", "pulse", NULL};

static int use(struct tenon_event *event, const struct cli_verb_request *request)
{
	switch (request->verb) {
	case VERB_WAIT:
		return tenon_event_wait(event, cli_patience_deadline(&request->patience));
	case VERB_SET:
		return tenon_event_set(event);
	case VERB_RESET:
		return tenon_event_reset(event);
	default:
		return tenon_event_pulse(event);
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		CLI_PATIENCE_OPTIONS,
		CLI_COMMON_OPTIONS,
		{NULL, 0, NULL, 0},
	};
	struct cli_verb_request request = {
		.kind = &cli_kind_event,
		.verbs = verbs,
		.patience = CLI_PATIENCE_USUAL,
	};
	struct tenon_event *event;
	int error, status;

	if (!cli_verb_parse(argc, argv, "-" CLI_PATIENCE_SHORTS, options, &request, &status))
		return status;
	error = tenon_event_open(NULL, request.name, 0, NULL, &event);
	if (error)
		return cli_kind_error(&cli_kind_event, request.name, error);
	error = use(event, &request);
	if (error == -ETIMEDOUT)
		status = cli_patience_conflict(&request.patience, &cli_kind_event, request.name,
					       "it is not set", "it was not set", "");
	else if (error)
		status = cli_kind_error(&cli_kind_event, request.name, error);
	tenon_event_close(event);
	return status;
}

const struct cli_command cli_command_event = {
	.name = "event",
	.synopsis = "wait|set|reset|pulse NAME [OPTION…]",
	.summary = "wait for an event, or set it",
	.help = "wait    ends when the event is set; where it is reset automatically one passes, "
		"and\n"
		"        resets it by that\n"
		"set     sets it\n"
		"reset   resets it\n"
		"pulse   lets pass who waits just now (automatically: one of them), and leaves it "
		"reset\n"
		"\n"
		"Of wait:\n" CLI_PATIENCE_HELP "\n"
		"The event is made with 'tenon create event NAME [--manual] [--set]'.\n",
	.run = run,
};
