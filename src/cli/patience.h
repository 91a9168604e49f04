/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_PATIENCE_H
#define TENON_CLI_PATIENCE_H

/*
 * How long a command waits for something, and what it answers when that is not had: the options
 * that lock, sem, event, barrier and once have in common.  They are called as those of flock(1).
 */

#include "cli.h"

struct cli_kind;

struct cli_patience {
	bool nonblock, quiet;
	int64_t timeout_ns; /* -1: none */
	int conflict_status;
	const char *given; /* the last of these options; NULL: none */
};

#define CLI_PATIENCE_USUAL                                        \
	{                                                         \
		.timeout_ns = -1, .conflict_status = CLI_NOTHING, \
	}

#define CLI_PATIENCE_SHORTS "nw:E:q"
#define CLI_PATIENCE_OPTIONS                                                             \
	{"nonblock", no_argument, NULL, 'n'}, {"timeout", required_argument, NULL, 'w'}, \
		{"conflict-exit-code", required_argument, NULL, 'E'},                    \
	{                                                                                \
		"quiet", no_argument, NULL, 'q'                                          \
	}

#define CLI_PATIENCE_HELP                                                             \
	"  -n, --nonblock               do not wait: status 1 at once\n"              \
	"  -w, --timeout D              wait so long (2, 500ms, 1m): status 1 after " \
	"that\n"                                                                      \
	"  -E, --conflict-exit-code N   that status instead of 1\n"                   \
	"  -q, --quiet                  say nothing in that case\n"

/* For options that the command does not know itself; goes on to cli_option_status(). */
int cli_patience_option(struct cli_patience *patience, int option);

/* After the last option. */
int cli_patience_check(const struct cli_patience *patience);

/* When a wait that begins now ends; 0: it looks once. */
int64_t cli_patience_deadline(const struct cli_patience *patience);

/* It was not had in time: says so, unless that is not wanted, and returns the exit status.  `now`
 * is said of who did not wait, "it is not free"; `past` of who did, "it was not free", and "within
 * 2 s" follows; then `details`. */
int cli_patience_conflict(const struct cli_patience *patience, const struct cli_kind *kind,
			  const char *name, const char *now, const char *past, const char *details);

#endif
