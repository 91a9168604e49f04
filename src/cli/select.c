/* SPDX-License-Identifier: Apache-2.0 */

/* Which messages of a typed queue are meant: --type K, alone or with --except or --lowest. */

#include "cli.h"

int cli_select_option(int option, struct cli_select *select)
{
	switch (option) {
	case CLI_OPTION_TYPE:
		if (cli_parse_number(optarg, &select->key))
			return cli_usage("--type '%s': not a number from 0 on", optarg);
		select->given = true;
		return CLI_OK;
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
	if (!select->given)
		return CLI_OK;
	if (status->order != TENON_QUEUE_TYPED) {
		cli_queue_warn(name,
			       "it is in %s order; --type is for queues made with "
			       "--order typed",
			       cli_word(cli_order_words, status->order));
		return CLI_USAGE;
	}
	options->select = TENON_SELECT_EXACTLY;
	if (select->except)
		options->select = TENON_SELECT_ALL_BUT;
	if (select->lowest)
		options->select = TENON_SELECT_LOWEST_TO;
	options->select_key = select->key;
	return CLI_OK;
}
