/* SPDX-License-Identifier: Apache-2.0 */

/* What is to be done with an object: the first operand of sem, event and barrier. */

#include "verb.h"

#include "kind.h"

#include <stdio.h>
#include <string.h>

int cli_verb_find(const char *text, const struct cli_kind *kind, const char *const *verbs,
		  uint32_t *ret_verb)
{
	const char *nearest = cli_nearest(text, verbs);
	char list[128] = "";
	size_t i;

	if (!cli_parse_word(text, verbs, ret_verb))
		return CLI_OK;
	if (nearest)
		return cli_usage("'%s' is nothing to do with %s %s; did you mean '%s'?", text,
				 cli_article(kind->name), kind->name, nearest);
	if (!verbs[1])
		return cli_usage(
			"'%s' is nothing to do with %s %s; there is only %s: 'tenon %s %s NAME'",
			text, cli_article(kind->name), kind->name, verbs[0], cli_current->name,
			verbs[0]);
	for (i = 0; verbs[i]; ++i)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 verbs[i]);
	return cli_usage("'%s' is nothing to do with %s %s; there are %s: 'tenon %s %s NAME'", text,
			 cli_article(kind->name), kind->name, list, cli_current->name, verbs[0]);
}

static int parse_option(void *context, int option)
{
	return cli_patience_option(&((struct cli_verb_request *)context)->patience, option);
}

static int parse_operand(void *context, const char *text, bool ended)
{
	struct cli_verb_request *request = context;

	(void)ended;
	if (!request->has_verb) {
		request->has_verb = true;
		return cli_verb_find(text, request->kind, request->verbs, &request->verb);
	}
	if (!request->name[0])
		return cli_parse_name(text, request->name);
	return cli_usage("'%s' is too much: one %s at a time", text, request->kind->name);
}

static int check(const struct cli_verb_request *request)
{
	const char *const *verbs = request->verbs;

	if (!request->has_verb)
		return cli_usage("what to do is missing: 'tenon %s %s NAME'", cli_current->name,
				 verbs[0]);
	if (!request->name[0])
		return cli_usage("the name of %s %s is missing", cli_article(request->kind->name),
				 request->kind->name);
	if (request->verb && request->patience.given)
		return cli_usage("'%s' does not wait; %s is for '%s'", verbs[request->verb],
				 request->patience.given, verbs[0]);
	return cli_patience_check(&request->patience);
}

bool cli_verb_parse(int argc, char **argv, const char *shorts, const struct option *longs,
		    struct cli_verb_request *request, int *ret_status)
{
	const struct cli_line line = {
		.shorts = shorts,
		.longs = longs,
		.option = parse_option,
		.operand = parse_operand,
	};

	if (!cli_parse_line(argc, argv, &line, request, ret_status))
		return false;
	*ret_status = check(request);
	return !*ret_status;
}
