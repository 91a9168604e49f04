/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_PROGRAM_H
#define TENON_CLI_PROGRAM_H

/* What a program is that is about to be started, as far as it matters to who wants to be
 * preloaded. */

#include <limits.h>
#include <stdbool.h>

enum cli_program_obstacle {
	CLI_PROGRAM_SUITABLE, /* or nothing is known of it */
	CLI_PROGRAM_PRIVILEGED, /* set-uid, set-gid, or with capabilities: ld.so takes nothing of the caller's */
	CLI_PROGRAM_STATIC,
	CLI_PROGRAM_GO,	     /* makes its system calls by itself */
	CLI_PROGRAM_CGO,     /* the same, but for what it calls in C */
	CLI_PROGRAM_32_BIT,  /* of another size than this library */
	CLI_PROGRAM_FOREIGN, /* for another processor, or another C library */
};

struct cli_program {
	char path[PATH_MAX]; /* of the program, or of the interpreter of a script */
	enum cli_program_obstacle obstacle;
	bool is_script; /* is the program */
};

/* Looks at it, in a folder of PATH or where the path says; follows the first lines of scripts. */
void cli_program_look(const char *program, struct cli_program *ret_program);

/* Whether it is a shared library of this program's size and processor, as a preloaded one has to
 * be. */
bool cli_program_is_library(const char *path);

#endif
