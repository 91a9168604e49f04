/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for something: for how long, and what is answered when it was for nothing. */

#include "patience.h"

#include "kind.h"

int cli_patience_option(struct cli_patience *patience, int option)
{
	uint32_t number;

	switch (option) {
	case 'n':
		patience->given = "--nonblock";
		patience->nonblock = true;
		return CLI_OK;
	case 'w':
		patience->given = "--timeout";
		return cli_option_duration("--timeout", 0, &patience->timeout_ns);
	case 'E':
		patience->given = "--conflict-exit-code";
		if (cli_option_number("-E", 0, 255, &number))
			return CLI_USAGE;
		patience->conflict_status = (int)number;
		return CLI_OK;
	case 'q':
		patience->given = "--quiet";
		patience->quiet = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

int cli_patience_check(const struct cli_patience *patience)
{
	if (patience->nonblock && patience->timeout_ns >= 0)
		return cli_usage("--nonblock and --timeout do not go together");
	return CLI_OK;
}

int64_t cli_patience_deadline(const struct cli_patience *patience)
{
	if (patience->nonblock)
		return 0;
	return patience->timeout_ns >= 0 ? tenon_deadline_after(patience->timeout_ns)
					 : TENON_NO_DEADLINE;
}

int cli_patience_conflict(const struct cli_patience *patience, const struct cli_kind *kind,
			  const char *name, const char *now, const char *past, const char *details)
{
	if (patience->quiet)
		return patience->conflict_status;
	if (patience->timeout_ns > 0)
		cli_kind_warn(kind, name, "%s within %s%s", past,
			      cli_format_exactly(patience->timeout_ns), details);
	else
		cli_kind_warn(kind, name, "%s%s", now, details);
	return patience->conflict_status;
}
