/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Objects and messages as JSON.  JSON strings are Unicode: bytes that are not UTF-8 go out under
 * another key, in base64, so that a reader gets back exactly what was sent.
 */

#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_json_add_number(struct json_object *json, const char *key, uint64_t number)
{
	json_object_object_add(json, key, json_object_new_uint64(number));
}

void cli_json_add_signed(struct json_object *json, const char *key, int64_t number)
{
	json_object_object_add(json, key, json_object_new_int64(number));
}

void cli_json_add_string(struct json_object *json, const char *key, const char *text)
{
	json_object_object_add(json, key, json_object_new_string(text));
}

void cli_json_add_boolean(struct json_object *json, const char *key, bool value)
{
	json_object_object_add(json, key, json_object_new_boolean(value));
}

static char *base64(const unsigned char *data, size_t bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc((bytes + 2) / 3 * 4 + 1);
	char *next = text;
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < bytes; i += 3) {
		uint32_t group = (uint32_t)data[i] << 16;

		if (i + 1 < bytes)
			group |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < bytes)
			group |= data[i + 2];
		*next++ = digits[group >> 18];
		*next++ = digits[group >> 12 & 63];
		*next++ = i + 1 < bytes ? digits[group >> 6 & 63] : '=';
		*next++ = i + 2 < bytes ? digits[group & 63] : '=';
	}
	*next = 0;
	return text;
}

int cli_json_add_text(struct json_object *object, const char *key, const void *data, size_t bytes)
{
	CLI_CLEANUP(cli_cleanup_free) char *encoded = NULL;
	char encoded_key[64];

	if (bytes <= INT32_MAX && cli_is_utf8(data, bytes)) {
		json_object_object_add(object, key, json_object_new_string_len(data, (int)bytes));
		return 0;
	}
	encoded = base64(data, bytes);
	if (!encoded)
		return -ENOMEM;
	snprintf(encoded_key, sizeof(encoded_key), "%s_base64", key);
	cli_json_add_string(object, encoded_key, encoded);
	return 0;
}

int cli_json_add_error(struct json_object *json, const struct cli_kind *kind, const char *name,
		       int error)
{
	CLI_CLEANUP(cli_cleanup_free) char *text = cli_kind_error_text(kind, name, error);

	return text ? cli_json_add_text(json, "error", text, strlen(text)) : -ENOMEM;
}

int cli_json_add_name(struct json_object *json, const struct cli_kind *kind, const char *name)
{
	if (kind != &cli_kind_any)
		cli_json_add_string(json, "kind", kind->name);
	return cli_json_add_text(json, "name", name, strlen(name));
}

struct json_object *cli_json_unopened(const struct cli_kind *kind, const char *name, int error)
{
	struct json_object *json = json_object_new_object();

	cli_json_add_name(json, kind, name);
	cli_json_add_error(json, kind, name, error);
	return json;
}

static void add_sysv(struct json_object *json, const struct tenon_sysv_identity *identity)
{
	struct json_object *sysv = json_object_new_object();

	json_object_object_add(json, "sysv", sysv);
	cli_json_add_signed(sysv, "id", identity->id);
	cli_json_add_string(sysv, "key", cli_sysv_format_key(identity->key));
	cli_json_add_number(sysv, "creator_uid", identity->creator_uid);
	cli_json_add_number(sysv, "creator_gid", identity->creator_gid);
	cli_json_add_signed(sysv, "changed_ns", identity->changed_ns);
}

struct json_object *cli_object_json(const struct cli_object *object)
{
	struct json_object *json = json_object_new_object();
	char mode[8], id[24];

	if (!json)
		return NULL;
	/* Beyond 2^53 a number would not reach every reader of JSON whole. */
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)object->id);
	snprintf(mode, sizeof(mode), "%04o", object->mode & 07777);
	cli_json_add_name(json, object->kind, object->name);
	cli_json_add_string(json, "mode", mode);
	cli_json_add_number(json, "uid", object->uid);
	cli_json_add_number(json, "gid", object->gid);
	/* Of what nobody counts there is no bound. */
	if (object->max_participants != UINT32_MAX)
		cli_json_add_number(json, "max_participants", object->max_participants);
	cli_json_add_string(json, "id", id);
	cli_json_add_number(json, "memory_bytes", object->memory_bytes);
	cli_json_add_number(json, "participants", object->participants);
	cli_json_add_boolean(json, "damaged", object->damaged);
	cli_json_add_signed(json, "created_ns", object->created_ns);
	if (object->sysv.size)
		add_sysv(json, &object->sysv);
	object->kind->add_json(object, json);
	return json;
}

struct json_object *cli_json_message(const void *data, const struct tenon_message *message)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	cli_json_add_number(object, "sequence", message->sequence);
	cli_json_add_number(object, "key", message->key);
	cli_json_add_number(object, "bytes", message->bytes);
	cli_json_add_number(object, "deliveries", message->deliveries);
	cli_json_add_signed(object, "sender_pid", message->sender_pid);
	if (cli_json_add_text(object, "data", data, message->bytes)) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

void cli_json_print(struct json_object *object, bool indented)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	flags |= indented ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
			  : JSON_C_TO_STRING_PLAIN;
	puts(json_object_to_json_string_ext(object, flags));
	json_object_put(object);
}
