/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Command lines: the options every command has, and what is said about mistyped ones.
 */

#include "kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest word that is compared with others; nothing that is longer was meant for a shorter one. */
#define WORD_BYTES 64

/* The number of single-character changes, neighbours swapped included, from one word to another. */
static size_t edit_distance(const char *from, const char *to)
{
	size_t rows[3][WORD_BYTES + 1];
	size_t from_bytes = strlen(from), to_bytes = strlen(to);
	size_t i, j;

	if (from_bytes > WORD_BYTES || to_bytes > WORD_BYTES)
		return WORD_BYTES;
	for (j = 0; j <= to_bytes; ++j)
		rows[0][j] = j;
	for (i = 1; i <= from_bytes; ++i) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		row[0] = i;
		for (j = 1; j <= to_bytes; ++j) {
			size_t best = above[j - 1] + (from[i - 1] != to[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && from[i - 1] == to[j - 2] &&
			    from[i - 2] == to[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[from_bytes % 3][to_bytes];
}

const char *cli_nearest(const char *word, const char *const *words)
{
	const char *nearest = NULL;
	/* A third of the letters may be wrong: more, and anything resembles anything. */
	size_t limit = strlen(word) / 3 + 1;

	if (strlen(word) < 2)
		return NULL;
	for (; *words; ++words) {
		size_t distance = edit_distance(word, *words);

		if (distance <= limit) {
			nearest = *words;
			limit = distance - !!distance;
		}
	}
	return nearest;
}

/* The beginning of several options? */
static bool report_ambiguous(const char *word, const struct option *longs)
{
	const char *found[2] = {NULL};
	size_t count = 0;

	for (; longs->name && count < 2; ++longs) {
		if (!strncmp(longs->name, word, strlen(word)))
			found[count++] = longs->name;
	}
	if (count < 2)
		return false;
	cli_usage("ambiguous option '--%s': could be '--%s' or '--%s'", word, found[0], found[1]);
	return true;
}

static void report_long_option(const char *text, const struct option *longs)
{
	char word[WORD_BYTES + 1];
	const char *names[64] = {NULL};
	const char *nearest;
	size_t i;

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	for (i = 0; longs[i].name && i + 1 < sizeof(names) / sizeof(names[0]); ++i)
		names[i] = longs[i].name;
	if (report_ambiguous(word, longs))
		return;
	nearest = cli_nearest(word, names);
	if (nearest)
		cli_usage("unknown option '--%s'; did you mean '--%s'?", word, nearest);
	else
		cli_usage("unknown option '--%s'", word);
}

/* The name of an option as the user knows it, for an error about its argument. */
static const char *option_name(int value, const struct option *longs)
{
	for (; longs->name; ++longs) {
		if (longs->val == value)
			return longs->name;
	}
	return "?";
}

static void report_bad_option(int answer, char **argv, const struct option *longs)
{
	const char *text = argv[optind - 1];

	if (answer == ':')
		cli_usage("option '--%s' needs a value", option_name(optopt, longs));
	else if (!optopt)
		report_long_option(text, longs);
	else if (!strncmp(text, "--", 2))
		cli_usage("option '--%s' takes no value", option_name(optopt, longs));
	else
		cli_usage("unknown option '-%c'", optopt);
}

int cli_option(int argc, char **argv, const char *shorts, const struct option *longs)
{
	/* '+' and '-' say what happens at an operand, and must come first. */
	size_t prefix = strspn(shorts, "+-");
	char all[64];
	int option;

	/* The first colon makes a missing value an answer of its own. */
	snprintf(all, sizeof(all), "%.*s:h%s", (int)prefix, shorts, shorts + prefix);
	opterr = 0;
	for (;;) {
		option = getopt_long(argc, argv, all, longs, NULL);
		if (option == CLI_OPTION_NAMESPACE) {
			if (!optarg[0]) {
				cli_usage("option '--namespace' needs a folder");
				return '?';
			}
			if (setenv("TENON_NAMESPACE", optarg, 1)) {
				cli_usage("option '--namespace': out of memory");
				return '?';
			}
			continue;
		}
		if (option == '?' || option == ':') {
			report_bad_option(option, argv, longs);
			return '?';
		}
		return option;
	}
}

int cli_option_status(int option)
{
	if (option != 'h')
		return CLI_USAGE;
	if (!cli_current)
		cli_print_overview();
	else
		cli_command_print_help(cli_current);
	return CLI_OK;
}

bool cli_parse_line(int argc, char **argv, const struct cli_line *line, void *context,
		    int *ret_status)
{
	int option, status;

	while ((option = cli_option(argc, argv, line->shorts, line->longs)) != -1) {
		if (option == 1)
			status = line->operand(context, optarg, false);
		else
			status = line->option(context, option);
		if (status == CLI_REST) {
			--optind;
			return true;
		}
		if (status || option == 'h') {
			*ret_status = status;
			return false;
		}
	}
	/* Behind "--". */
	for (; optind < argc; ++optind) {
		status = line->operand(context, argv[optind], true);
		if (status == CLI_REST)
			return true;
		if (status) {
			*ret_status = status;
			return false;
		}
	}
	return true;
}

int cli_operand_name(int argc, char **argv, const char *kind, char ret_name[static 258])
{
	if (optind == argc)
		return cli_usage("the name of %s %s is missing", cli_article(kind), kind);
	if (optind + 1 < argc)
		return cli_usage("'%s' is too much: one %s at a time", argv[optind + 1], kind);
	return cli_parse_name(argv[optind], ret_name);
}

int cli_operand_queue(int argc, char **argv, char ret_name[static 258])
{
	const char *word = optind + 1 == argc ? argv[optind] : "";

	return cli_sysv_is_word(word) ? cli_parse_queue(word, ret_name)
				      : cli_operand_name(argc, argv, "queue", ret_name);
}
