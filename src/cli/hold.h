/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_HOLD_H
#define TENON_CLI_HOLD_H

/*
 * Running a command while something is held: a lock, a part of a semaphore, a once.  See hold.c for
 * the processes that it takes, and what becomes of each when another one dies.
 */

#include "kind.h"
#include "patience.h"

struct cli_hold;

/* How the command ended, for struct cli_hold_calls: its exit status, or one of these. */
enum {
	CLI_HOLD_UNBEGUN = -1, /* it could not be started */
	CLI_HOLD_CUT_OFF = -2, /* it was killed */
};

/* What is different from kind to kind.  All of these are called in the process that holds it. */
struct cli_hold_calls {
	/* Opens the object, or reports why not: an exit status. */
	int (*open)(struct cli_hold *hold);
	/* Takes it; an error of the library.  With the deadline 0 it is not waited for, and -EBUSY
	 * says that it would have to be. */
	int (*take)(struct cli_hold *hold, int64_t deadline_ns);
	/* The process that keeps take() from it now, as far as is known; 0: nobody.  NULL: never
	 * known. */
	int32_t (*holder)(const struct cli_hold *hold);
	/* Whether the command is to run after take() answered `error`.  If not nothing is held any
	 * more, and what is said to the user has been. */
	bool (*dares)(struct cli_hold *hold, int error, int *ret_status);
	/* It has ended: gives back what was taken, or leaves that to close(). */
	void (*give)(struct cli_hold *hold, int ended);
	void (*close)(struct cli_hold *hold);
};

/* What is wanted: the first member of each kind's own structure. */
struct cli_hold {
	const struct cli_hold_calls *calls;
	const struct cli_kind *kind;
	char name[258];
	char **arguments; /* the command, ended by NULL */
	struct cli_patience patience;
	uint32_t if_dead;
};

/* The option --if-dead. */
enum { CLI_IF_DEAD_RUN, CLI_IF_DEAD_FAIL };
#define CLI_OPTION_IF_DEAD 1200
#define CLI_IF_DEAD_OPTION                                             \
	{                                                              \
		"if-dead", required_argument, NULL, CLI_OPTION_IF_DEAD \
	}
#define CLI_IF_DEAD_HELP                                                                     \
	"      --if-dead WHAT           when an earlier one died in the middle: 'run' the\n" \
	"                               command with a warning (usual), or 'fail'\n"

/* Options of a hold: --if-dead and those of patience. */
int cli_hold_option(void *hold, int option);

/* Takes the name; what follows is the command.  For struct cli_line. */
int cli_hold_operand(void *hold, const char *text, bool ended);

/* After the command line was taken: whether there is a name, a command, and such a program. */
int cli_hold_check(struct cli_hold *hold, char **arguments);

/* For open(): what an error of the library means where the object would have been made. */
int cli_hold_open_error(const struct cli_hold *hold, int error);

/* Takes it, runs the command, and gives it back.  The exit status. */
int cli_hold_run(struct cli_hold *hold);

#endif
