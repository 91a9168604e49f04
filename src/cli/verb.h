/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_VERB_H
#define TENON_CLI_VERB_H

/* Commands of which the first operand says what to do: `tenon event wait NAME`. */

#include "patience.h"

/* Finds a verb; reports another one, with a suggestion, and returns CLI_USAGE. */
int cli_verb_find(const char *text, const struct cli_kind *kind, const char *const *verbs,
		  uint32_t *ret_verb);

/* VERB NAME, and the options of patience, which are for the verb 0 alone. */
struct cli_verb_request {
	const struct cli_kind *kind;
	const char *const *verbs;
	bool has_verb;
	uint32_t verb;
	char name[258];
	struct cli_patience patience;
};

/* True: do it.  Else `*ret_status` is the exit status. */
bool cli_verb_parse(int argc, char **argv, const char *shorts, const struct option *longs,
		    struct cli_verb_request *request, int *ret_status);

#endif
