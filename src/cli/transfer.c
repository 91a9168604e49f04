/* SPDX-License-Identifier: Apache-2.0 */

/* The options that send, recv and peek share: where a message ends, how it is shown, how long is
 * waited. */

#include "cli.h"

#include <unistd.h>

bool cli_framing_option(int option, enum cli_framing *framing)
{
	switch (option) {
	case '0':
		*framing = CLI_FRAMING_NULL;
		return true;
	case CLI_OPTION_LENGTH_PREFIXED:
		*framing = CLI_FRAMING_LENGTH;
		return true;
	default:
		return false;
	}
}

bool cli_wait_option(int option, struct cli_wait *wait, int *ret_status)
{
	switch (option) {
	case CLI_OPTION_NO_WAIT:
		wait->never = true;
		*ret_status = CLI_OK;
		return true;
	case 't':
		*ret_status = cli_option_duration("--timeout", 0, &wait->timeout_ns);
		return true;
	default:
		return false;
	}
}

int64_t cli_wait_deadline(const struct cli_wait *wait)
{
	return wait->timeout_ns < 0 ? 0 : tenon_deadline_after(wait->timeout_ns);
}

int cli_view_option(int option, struct cli_view *view)
{
	if (cli_framing_option(option, &view->output.framing))
		return CLI_OK;
	switch (option) {
	case CLI_OPTION_RAW:
		view->output.framing = CLI_FRAMING_RAW;
		return CLI_OK;
	case CLI_OPTION_JSON:
		view->output.json = true;
		return CLI_OK;
	case 'q':
		view->quiet = true;
		return CLI_OK;
	default:
		return cli_select_option(option, &view->select);
	}
}

int cli_view_check(struct cli_view *view)
{
	if (view->output.json && view->output.framing != CLI_FRAMING_LINES)
		return cli_usage("--json is a format of its own; leave out the other one");
	view->output.escape = isatty(STDOUT_FILENO);
	return CLI_OK;
}
