/* SPDX-License-Identifier: Apache-2.0 */

/* Which messages of a typed queue are meant: --type K, alone or with --except or --lowest; as in msgrcv(2) a K below 0 is
 * short for the latter. */

#include "cli.h"

static int parse_type(struct cli_select *select)
{
	bool is_below = optarg[0] == '-';

	if (cli_parse_number(optarg + is_below, &select->key) || (is_below && !select->key))
		return cli_usage("--type '%s': neither a number nor, for the lowest type up to "
				 "it, one below 0",
				 optarg);
	select->given = true;
	select->below = is_below;
	return CLI_OK;
}

int cli_select_option(int option, struct cli_select *select)
{
	switch (option) {
	case CLI_OPTION_TYPE:
		return parse_type(select);
	case CLI_OPTION_EXCEPT:
		select->except = true;
		return CLI_OK;
	case CLI_OPTION_LOWEST:
		select->lowest = true;
		return CLI_OK;
	default:
		return cli_option_status(option);
	}
}

int cli_select_apply(const struct cli_select *select, const char *name,
		     const struct tenon_queue_status *status, struct tenon_receive_options *options)
{
	if ((select->except || select->lowest) && !select->given)
		return cli_usage("--except and --lowest need --type");
	if (select->except && select->lowest)
		return cli_usage("--except and --lowest do not go together");
	if (select->except && select->below)
		return cli_usage("--except and a type below 0 do not go together");
	if (!select->given)
		return CLI_OK;
	if (status->order != TENON_QUEUE_TYPED) {
		cli_queue_warn(name,
			       "it is in %s order; --type is for queues made with "
			       "--order typed",
			       cli_word(cli_order_words, status->order));
		return CLI_USAGE;
	}
	if (!select->key && cli_sysv_is_queue(name)) {
		cli_queue_warn(name, "it is System V's, whose types begin with 1; leave out --type "
				     "for a message of any");
		return CLI_USAGE;
	}
	options->select = TENON_SELECT_EXACTLY;
	if (select->except)
		options->select = TENON_SELECT_ALL_BUT;
	if (select->lowest || select->below)
		options->select = TENON_SELECT_LOWEST_TO;
	options->select_key = select->key;
	return CLI_OK;
}
