/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Words of the command line and what they mean: numbers, sizes, durations, modes, names.  Strict:
 * a value that is not understood whole is refused, and so is one that does not fit.
 */

#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/region.h>

/* A deadline that far away still fits. */
#define MAX_DURATION_DAYS 36500ULL

const char *const cli_order_words[] = {
	[TENON_QUEUE_FIFO] = "fifo",
	[TENON_QUEUE_PRIORITY] = "priority",
	[TENON_QUEUE_TYPED] = "typed",
	NULL,
};

const char *const cli_full_words[] = {
	[TENON_QUEUE_WAIT] = "wait",
	[TENON_QUEUE_FAIL] = "fail",
	[TENON_QUEUE_DROP_OLDEST] = "drop-oldest",
	[TENON_QUEUE_DROP_NEWEST] = "drop-newest",
	NULL,
};

int cli_parse_word(const char *text, const char *const *words, uint32_t *ret_index)
{
	uint32_t i;

	for (i = 0; words[i]; ++i) {
		if (!strcmp(words[i], text)) {
			*ret_index = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *cli_word(const char *const *words, uint32_t index)
{
	uint32_t i;

	for (i = 0; words[i]; ++i) {
		if (i == index)
			return words[i];
	}
	return "unknown";
}

/* strtoull() alone would take signs and leading blanks. */
static int parse_prefix(const char *text, int base, uint64_t *ret_number, const char **ret_rest)
{
	unsigned long long number;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno || end == text)
		return errno ? -errno : -EINVAL;
	*ret_number = number;
	*ret_rest = end;
	return 0;
}

int cli_parse_number(const char *text, uint64_t *ret_number)
{
	/* Leading zeros are no octal: whoever writes 010 has filled up a column. */
	bool is_hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	uint64_t number;
	const char *rest;

	if (parse_prefix(text, is_hexadecimal ? 16 : 10, &number, &rest) || rest[0])
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* A number with K, M or G; what may follow these is the caller's. */
static int parse_multiple(const char *text, uint64_t *ret_number, const char **ret_rest)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	uint64_t number;
	unsigned int shift = 0;

	*ret_rest = "";
	if (!cli_parse_number(text, ret_number))
		return 0;
	if (parse_prefix(text, 10, &number, &text))
		return -EINVAL;
	suffix = strchr(suffixes, toupper((unsigned char)text[0]));
	if (!text[0] || !suffix)
		return -EINVAL;
	shift = 10 * (unsigned int)(suffix - suffixes + 1);
	if (number > UINT64_MAX >> shift)
		return -EINVAL;
	*ret_number = number << shift;
	*ret_rest = text + 1;
	return 0;
}

int cli_parse_count(const char *text, uint64_t *ret_count)
{
	const char *rest;
	uint64_t count;

	if (parse_multiple(text, &count, &rest) || rest[0])
		return -EINVAL;
	*ret_count = count;
	return 0;
}

int cli_parse_size(const char *text, uint64_t *ret_bytes)
{
	const char *rest;
	uint64_t bytes;

	if (parse_multiple(text, &bytes, &rest) || (rest[0] && strcmp(rest, "iB")))
		return -EINVAL;
	*ret_bytes = bytes;
	return 0;
}

/* A decimal number with up to nine digits of a fraction, as billionths; more of them nobody means. */
static int parse_decimal(const char *text, uint64_t *ret_whole, uint64_t *ret_billionths,
			 const char **ret_rest)
{
	uint64_t scale = 1000000000;
	int error;

	error = parse_prefix(text, 10, ret_whole, ret_rest);
	*ret_billionths = 0;
	if (error || (*ret_rest)[0] != '.')
		return error;
	if (!isdigit((unsigned char)(*ret_rest)[1]))
		return -EINVAL;
	for (++*ret_rest; isdigit((unsigned char)(*ret_rest)[0]); ++*ret_rest) {
		scale /= 10;
		*ret_billionths += scale * (uint64_t)((*ret_rest)[0] - '0');
	}
	return 0;
}

static int parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {
		{"", 1000000000},
		{"s", 1000000000},
		{"ms", 1000000},
		{"us", 1000},
		{"ns", 1},
		{"m", UINT64_C(60000000000)},
		{"min", UINT64_C(60000000000)},
		{"h", UINT64_C(3600000000000)},
		{"d", UINT64_C(86400000000000)},
	};
	uint64_t whole, billionths;
	const char *rest;
	size_t i;
	int error;

	error = parse_decimal(text, &whole, &billionths, &rest);
	for (i = 0; !error && i < sizeof(units) / sizeof(units[0]); ++i) {
		if (strcmp(rest, units[i].suffix))
			continue;
		if (whole >= MAX_DURATION_DAYS * UINT64_C(86400000000000) / units[i].ns)
			return -ERANGE;
		*ret_ns = (int64_t)(whole * units[i].ns);
		*ret_ns += (int64_t)((double)billionths / 1e9 * (double)units[i].ns + 0.5);
		return 0;
	}
	return error ? error : -EINVAL;
}

int cli_option_duration(const char *option, int64_t least_ns, int64_t *ret_ns)
{
	int64_t ns = 0;
	int error = parse_duration(optarg, &ns);

	if (error == -ERANGE)
		return cli_usage("%s '%s': too long; it must be below %llud", option, optarg,
				 MAX_DURATION_DAYS);
	if (error)
		return cli_usage("%s '%s': not a duration (500ms, 2s, 1m)", option, optarg);
	if (ns < least_ns)
		return cli_usage("%s '%s': too short; it must be %s at least", option, optarg,
				 cli_format_exactly(least_ns));
	*ret_ns = ns;
	return CLI_OK;
}

int cli_option_region_size(const char *option, uint64_t least, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (cli_parse_size(optarg, &bytes) || bytes < least || bytes > TENON_REGION_BYTES_MOST)
		return cli_usage("%s '%s': not a size from %llu to 8192G (K, M or G may follow a "
				 "whole number)",
				 option, optarg, (unsigned long long)least);
	*ret_bytes = bytes;
	return CLI_OK;
}

int cli_option_number(const char *option, uint32_t least, uint32_t most, uint32_t *ret_number)
{
	uint64_t number;

	if (cli_parse_number(optarg, &number) || number < least || number > most)
		return cli_usage("%s '%s': not a number from %u to %u", option, optarg, least,
				 most);
	*ret_number = (uint32_t)number;
	return CLI_OK;
}

int cli_parse_mode(const char *text, uint32_t *ret_mode)
{
	uint64_t mode;
	const char *rest;

	if (parse_prefix(text, 8, &mode, &rest) || rest[0] || mode > 0777)
		return -EINVAL;
	*ret_mode = (uint32_t)mode;
	return 0;
}

int cli_parse_name(const char *text, char ret_name[static 258])
{
	const char *name = text[0] == '/' ? text + 1 : text;

	if (!name[0])
		return cli_usage("'%s' is no name: it is empty", text);
	if (strchr(name, '/'))
		return cli_usage("'%s' is no name: it has a slash within; folders are chosen with "
				 "--namespace",
				 text);
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return cli_usage("'%s' is no name: it means a folder", text);
	if (strlen(name) > 255)
		return cli_usage("'%.32s…' is no name: it has more than 255 bytes", text);
	snprintf(ret_name, 258, "/%s", name);
	return CLI_OK;
}

int cli_parse_queue(const char *text, char ret_name[static 258])
{
	int status;

	if (!cli_sysv_is_word(text))
		return cli_parse_name(text, ret_name);
	status = cli_sysv_check_word(text);
	if (!status)
		snprintf(ret_name, 258, "%s", text);
	return status;
}
