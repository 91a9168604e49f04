/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Standard input cut into messages.  read() gives what is there: a person's line at once, a pipe's
 * thousand lines together, and both leave in one batch without a timer.
 */

#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)256 << 10)

/* Four bytes of length or one separator. */
static size_t framing_bytes(const struct cli_input *input)
{
	return input->framing == CLI_FRAMING_LENGTH ? 4 : 1;
}

/* Makes room for at least one more byte behind what is there. */
static int make_room(struct cli_input *input)
{
	size_t most = (size_t)input->max_message_bytes + framing_bytes(input) + 1;
	size_t grown;
	char *moved;

	if (input->begin) {
		memmove(input->data, input->data + input->begin, input->end - input->begin);
		input->end -= input->begin;
		input->scanned -= input->begin;
		input->begin = 0;
	}
	if (input->end < input->capacity)
		return 0;
	grown = input->capacity ? input->capacity * 2 : FIRST_BYTES;
	if (grown > most)
		grown = most > FIRST_BYTES ? most : FIRST_BYTES;
	if (grown <= input->capacity)
		return -EMSGSIZE;
	moved = realloc(input->data, grown);
	if (!moved)
		return -ENOMEM;
	input->data = moved;
	input->capacity = grown;
	return 0;
}

static int fill(struct cli_input *input)
{
	ssize_t got;
	int error;

	error = make_room(input);
	if (error)
		return error;
	do {
		got = read(input->fd, input->data + input->end, input->capacity - input->end);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	input->end += (size_t)got;
	input->at_end = !got;
	return 0;
}

/* Finds the message that begins at `begin`: its place, and where the next begins.  1 if it is not
 * there whole. */
static int cut_length(struct cli_input *input, struct tenon_slice *ret_slice, size_t *ret_next)
{
	const unsigned char *prefix;
	size_t there = input->end - input->begin;
	uint32_t bytes;

	if (there < 4)
		return there && input->at_end ? -EPROTO : 1;
	prefix = (const unsigned char *)input->data + input->begin;
	bytes = (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 |
		prefix[3];
	if (bytes > TENON_QUEUE_MAX_MESSAGE_BYTES) {
		input->claimed = bytes;
		return -EOVERFLOW;
	}
	if (bytes > input->max_message_bytes)
		return -EMSGSIZE;
	if (there - 4 < bytes)
		return input->at_end ? -EPROTO : 1;
	*ret_slice = (struct tenon_slice){prefix + 4, bytes};
	*ret_next = input->begin + 4 + bytes;
	return 0;
}

static int cut_separated(struct cli_input *input, struct tenon_slice *ret_slice, size_t *ret_next)
{
	char separator = input->framing == CLI_FRAMING_NULL ? 0 : '\n';
	const char *begin, *end;
	size_t bytes;

	if (input->begin == input->end)
		return 1;
	begin = input->data + input->begin;
	end = memchr(input->data + input->scanned, separator, input->end - input->scanned);
	if (!end)
		input->scanned = input->end;
	bytes = end ? (size_t)(end - begin) : input->end - input->begin;
	if (bytes > input->max_message_bytes)
		return -EMSGSIZE;
	/* The last message may lack its separator. */
	if (!end && !input->at_end)
		return 1;
	*ret_slice = (struct tenon_slice){begin, bytes};
	*ret_next = end ? input->begin + bytes + 1 : input->end;
	return 0;
}

int cli_input_next(struct cli_input *input, struct tenon_slice *slices, uint32_t capacity,
		   uint32_t *ret_count)
{
	uint32_t count = 0;
	size_t next;
	int error = 1;

	for (;;) {
		while (count < capacity) {
			error = input->framing == CLI_FRAMING_LENGTH
					? cut_length(input, &slices[count], &next)
					: cut_separated(input, &slices[count], &next);
			if (error)
				break;
			input->begin = next;
			input->scanned = next;
			++count;
		}
		/* What is whole goes first; an error behind it is found again by the next call. */
		if (count)
			break;
		if (error < 0)
			return error;
		if (input->at_end)
			break;
		error = fill(input);
		if (error)
			return error;
	}
	input->messages += count;
	*ret_count = count;
	return 0;
}

void cli_cleanup_input(struct cli_input *input)
{
	free(input->data);
}

int cli_read_all(int fd, uint64_t limit, char **ret_data, size_t *ret_bytes)
{
	CLI_CLEANUP(cli_cleanup_free) char *data = NULL;
	size_t bytes = 0, capacity = 65536;
	struct stat information;
	ssize_t got;

	if (!fstat(fd, &information) && S_ISREG(information.st_mode) && information.st_size > 0) {
		if ((uint64_t)information.st_size > limit)
			return -EMSGSIZE;
		/* One more, so that the end is seen without growing. */
		capacity = (size_t)information.st_size + 1;
	}
	data = malloc(capacity);
	if (!data)
		return -ENOMEM;
	for (;;) {
		if (bytes == capacity) {
			char *moved = realloc(data, capacity * 2);

			if (!moved)
				return -ENOMEM;
			data = moved;
			capacity *= 2;
		}
		got = read(fd, data + bytes, capacity - bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		bytes += (size_t)got;
		if (bytes > limit)
			return -EMSGSIZE;
	}
	*ret_data = data;
	*ret_bytes = bytes;
	data = NULL;
	return 0;
}
