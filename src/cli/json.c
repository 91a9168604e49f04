/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Queues and messages as JSON.  JSON strings are Unicode: bytes that are not UTF-8 go out under
 * another key, in base64, so that a reader gets back exactly what was sent.
 */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_signed(struct json_object *object, const char *key, int64_t number)
{
	json_object_object_add(object, key, json_object_new_int64(number));
}

static void add_string(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
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
	add_string(object, encoded_key, encoded);
	return 0;
}

static void add_capacity(struct json_object *object, uint64_t capacity)
{
	if (capacity == TENON_QUEUE_UNBOUNDED)
		add_string(object, "capacity", "unbounded");
	else
		add_number(object, "capacity", capacity);
}

int cli_json_add_error(struct json_object *object, const char *name, int error)
{
	CLI_CLEANUP(cli_cleanup_free) char *text = cli_queue_error_text(name, error);

	return text ? cli_json_add_text(object, "error", text, strlen(text)) : -ENOMEM;
}

struct json_object *cli_json_unopened(const char *name, int error)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "kind", json_object_new_string("queue"));
	cli_json_add_text(object, "name", name, strlen(name));
	cli_json_add_error(object, name, error);
	return object;
}

struct json_object *cli_json_status(const char *name, const struct tenon_queue_status *status)
{
	struct json_object *object = json_object_new_object();
	char mode[8], id[24];

	if (!object)
		return NULL;
	/* Beyond 2^53 a number would not reach every reader of JSON whole. */
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)status->id);
	snprintf(mode, sizeof(mode), "%04o", status->mode & 07777);
	add_string(object, "kind", "queue");
	cli_json_add_text(object, "name", name, strlen(name));
	add_string(object, "order", cli_word(cli_order_words, status->order));
	add_string(object, "full", cli_word(cli_full_words, status->full));
	add_capacity(object, status->capacity);
	add_number(object, "max_message_bytes", status->max_message_bytes);
	add_string(object, "mode", mode);
	add_number(object, "uid", status->uid);
	add_number(object, "gid", status->gid);
	add_number(object, "max_participants", status->max_participants);
	add_string(object, "id", id);
	add_number(object, "messages", status->messages);
	add_number(object, "message_bytes", status->message_bytes);
	add_number(object, "leased", status->leased);
	add_number(object, "loaned", status->loaned);
	add_number(object, "memory_bytes", status->memory_bytes);
	add_number(object, "participants", status->participants);
	json_object_object_add(object, "damaged", json_object_new_boolean(!!status->damaged));
	add_number(object, "receivers_waiting", status->receivers_waiting);
	add_number(object, "senders_waiting", status->senders_waiting);
	add_number(object, "sent", status->sent);
	add_number(object, "sent_bytes", status->sent_bytes);
	add_number(object, "received", status->received);
	add_number(object, "received_bytes", status->received_bytes);
	add_number(object, "dropped", status->dropped);
	add_number(object, "redelivered", status->redelivered);
	add_number(object, "send_waits", status->send_waits);
	add_number(object, "receive_waits", status->receive_waits);
	add_number(object, "repairs", status->repairs);
	add_number(object, "high_messages", status->high_messages);
	add_number(object, "high_bytes", status->high_bytes);
	add_signed(object, "last_sender_pid", status->last_sender_pid);
	add_signed(object, "last_receiver_pid", status->last_receiver_pid);
	add_signed(object, "created_ns", status->created_ns);
	add_signed(object, "last_send_ns", status->last_send_ns);
	add_signed(object, "last_receive_ns", status->last_receive_ns);
	return object;
}

struct json_object *cli_json_message(const void *data, const struct tenon_message *message)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	add_number(object, "sequence", message->sequence);
	add_number(object, "key", message->key);
	add_number(object, "bytes", message->bytes);
	add_number(object, "deliveries", message->deliveries);
	add_signed(object, "sender_pid", message->sender_pid);
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
