/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Objects of System V by key or identifier, as ipcs(1) prints them: key/0x2a and id/98304.  No name has a slash within, so
 * that neither can be one.
 */

#include "kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *behind(const char *text, const char *beginning)
{
	size_t bytes = strlen(beginning);

	return strncmp(text, beginning, bytes) ? NULL : text + bytes;
}

bool cli_sysv_is_word(const char *text)
{
	return behind(text, "key/") || behind(text, "id/");
}

int cli_sysv_check_word(const char *text)
{
	const char *key = behind(text, "key/"), *id = behind(text, "id/");
	uint64_t number;

	if (key && (cli_parse_number(key, &number) || number > UINT32_MAX))
		return cli_usage("'%.32s' is no key: behind key/ stands a number of 32 bits, as "
				 "0x2a",
				 text);
	if (key && number == IPC_PRIVATE)
		return cli_usage("'%.32s' is nobody's: an object without a key has an identifier "
				 "and a name",
				 text);
	if (id && (cli_parse_number(id, &number) || number > INT32_MAX))
		return cli_usage("'%.32s' is no identifier: behind id/ stands a number from 0 to "
				 "%d",
				 text, INT32_MAX);
	return CLI_OK;
}

static int find_key(const struct cli_kind *kind, key_t key, char *ret_name)
{
	int id;

	switch (kind->kind) {
	case TENON_KIND_QUEUE:
		id = tenon_msgget(key, 0);
		break;
	case TENON_KIND_SEMAPHORE_SET:
		id = tenon_semget(key, 0, 0);
		break;
	case TENON_KIND_SEGMENT:
		id = tenon_shmget(key, 0, 0);
		break;
	default:
		return -ENOENT;
	}
	return id < 0 ? -errno : tenon_sysv_name(id, ret_name);
}

static int find_id(const struct cli_kind *kind, int id, char *ret_name)
{
	struct tenon_sysv_identity identity = {.size = sizeof(identity)};
	int error = tenon_sysv_name(id, ret_name);

	if (!error)
		error = tenon_sysv_identify(kind->kind, ret_name, &identity);
	/* Of another kind, or its memory does not tell. */
	if (error == -EINVAL)
		return kind == &cli_kind_queue || kind == &cli_kind_semaphore_set ||
				       kind == &cli_kind_segment
			       ? -EBADMSG
			       : -ENOENT;
	return error || identity.id == id ? error : -ENOENT;
}

int cli_sysv_find(const struct cli_kind *kind, const char *text, char ret_name[static 258])
{
	const char *key = behind(text, "key/"), *id = behind(text, "id/");
	char name[TENON_SYSV_NAME_BYTES];
	uint64_t number;
	int error;

	if (cli_parse_number(key ? key : id, &number))
		return -EINVAL;
	error = key ? find_key(kind, (key_t)number, name) : find_id(kind, (int)number, name);
	if (!error)
		snprintf(ret_name, 258, "%s", name);
	return error;
}

bool cli_sysv_is_queue(const char *name)
{
	struct tenon_sysv_identity identity = {.size = sizeof(identity)};

	return !tenon_sysv_identify(TENON_KIND_QUEUE, name, &identity);
}

bool cli_sysv_is_denied(const char *name, uint32_t wanted)
{
	struct tenon_sysv_identity identity = {.size = sizeof(identity)};

	return !tenon_sysv_identify(TENON_KIND_QUEUE, name, &identity) &&
	       (wanted & ~identity.granted);
}

bool cli_sysv_is_name(const char *name)
{
	const char *digits = behind(name, "/sysv-");

	return digits && strlen(digits) == 4 && strspn(digits, "0123456789abcdef") == 4;
}

const char *cli_sysv_format_key(int32_t key)
{
	static char text[16];

	snprintf(text, sizeof(text), "0x%08x", (unsigned)key);
	return text;
}
