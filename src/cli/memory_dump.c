/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon region dump, tenon shm dump: the bytes of shared memory to a descriptor, or a listing of
 * them.
 *
 * They are copied before they are written: write(2) would be told of memory that is gone, and not
 * the guard of a region.  What the guard had to make up is never written.
 */

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes in a line of the listing; chunks are whole lines. */
#define LINE_BYTES 16u

struct dump {
	const struct cli_memory_request *request;
	struct cli_memory memory;
	uint64_t begin, end;
	int fd;
	bool hex;
	/* The line before, and whether lines like it are being left out. */
	uint8_t before[LINE_BYTES];
	bool has_before, squeezing;
	char *text;
	size_t text_bytes, text_capacity;
};

static int append(struct dump *dump, const char *text, int bytes)
{
	return cli_append(&dump->text, &dump->text_bytes, &dump->text_capacity, text,
			  (size_t)bytes);
}

/* As hexdump -C shows it. */
static int list_line(struct dump *dump, uint64_t offset, const uint8_t *data, size_t bytes)
{
	char line[128], shown[LINE_BYTES + 1];
	int length;
	size_t i;

	if (dump->has_before && bytes == LINE_BYTES && !memcmp(data, dump->before, LINE_BYTES)) {
		length = dump->squeezing ? 0 : 2;
		dump->squeezing = true;
		return append(dump, "*\n", length);
	}
	length = snprintf(line, sizeof(line), "%08llx ", (unsigned long long)offset);
	for (i = 0; i < LINE_BYTES; ++i) {
		const char *gap = i == LINE_BYTES / 2 ? " " : "";

		if (i < bytes)
			length += snprintf(line + length, sizeof(line) - (size_t)length, "%s %02x",
					   gap, data[i]);
		else
			length += snprintf(line + length, sizeof(line) - (size_t)length, "%s   ",
					   gap);
	}
	for (i = 0; i < bytes; ++i)
		shown[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '.';
	shown[bytes] = 0;
	length += snprintf(line + length, sizeof(line) - (size_t)length, "  |%s|\n", shown);
	memcpy(dump->before, data, bytes);
	dump->has_before = bytes == LINE_BYTES;
	dump->squeezing = false;
	return append(dump, line, length);
}

static int list(struct dump *dump, uint64_t offset, const uint8_t *data, size_t bytes)
{
	char line[32];
	size_t done, most;
	int error = 0;

	dump->text_bytes = 0;
	for (done = 0; !error && done < bytes; done += most) {
		most = bytes - done < LINE_BYTES ? bytes - done : LINE_BYTES;
		error = list_line(dump, offset + done, data + done, most);
	}
	if (!error && offset + bytes == dump->end)
		error = append(dump, line,
			       snprintf(line, sizeof(line), "%08llx\n",
					(unsigned long long)dump->end));
	return error;
}

static int report_output(const struct dump *dump, int error)
{
	const char *output = dump->request->output;

	return output ? cli_system_error(output, error) : cli_output_error(error);
}

static int put(struct dump *dump, uint64_t offset, const uint8_t *data, size_t bytes)
{
	int error = 0;

	if (!dump->hex) {
		error = cli_write_all(dump->fd, data, bytes);
		return error ? report_output(dump, error) : CLI_OK;
	}
	if (list(dump, offset, data, bytes))
		return cli_memory_error(dump->request, -ENOMEM);
	error = cli_write_all(dump->fd, dump->text, dump->text_bytes);
	return error ? report_output(dump, error) : CLI_OK;
}

/* What is there no more is not written, and what was before stays. */
static int report_gone(const struct dump *dump, uint64_t offset, int error)
{
	int status = cli_memory_error(dump->request, error);

	cli_warn("%llu of %llu bytes were written", (unsigned long long)(offset - dump->begin),
		 (unsigned long long)(dump->end - dump->begin));
	return status;
}

static int copy(struct dump *dump)
{
	CLI_CLEANUP(cli_cleanup_free) uint8_t *chunk = malloc(CLI_MEMORY_CHUNK_BYTES);
	struct cli_progress progress;
	uint64_t offset;
	size_t bytes;
	int error, status = CLI_OK;

	if (!chunk)
		return cli_memory_error(dump->request, -ENOMEM);
	cli_progress_begin(&progress, "dumped", CLI_PROGRESS_DATA, dump->end - dump->begin,
			   isatty(dump->fd));
	for (offset = dump->begin; !status && offset < dump->end; offset += bytes) {
		bytes = CLI_MEMORY_CHUNK_BYTES;
		if (bytes > dump->end - offset)
			bytes = (size_t)(dump->end - offset);
		error = dump->memory.calls->read(&dump->memory, offset, chunk, bytes);
		if (error) {
			status = report_gone(dump, offset, error);
			break;
		}
		status = put(dump, offset, chunk, bytes);
		cli_progress_add(&progress, 0, bytes);
	}
	if (!status)
		cli_progress_end(&progress);
	return status;
}

/* Which bytes; nothing has been written yet. */
static int find_range(struct dump *dump, uint64_t bytes)
{
	const struct cli_memory_request *request = dump->request;
	uint64_t length = request->length;

	if (request->offset > bytes) {
		cli_kind_warn(request->calls->kind, request->name,
			      "it has %llu bytes, and none from --offset %llu on",
			      (unsigned long long)bytes, (unsigned long long)request->offset);
		return CLI_NOTHING;
	}
	if (length == CLI_MEMORY_REST)
		length = bytes - request->offset;
	if (length > bytes - request->offset) {
		cli_kind_warn(request->calls->kind, request->name,
			      "it has %llu bytes from offset %llu on, and not %llu",
			      (unsigned long long)(bytes - request->offset),
			      (unsigned long long)request->offset, (unsigned long long)length);
		return CLI_NOTHING;
	}
	dump->begin = request->offset;
	dump->end = request->offset + length;
	return CLI_OK;
}

static int dump_to(struct dump *dump)
{
	const char *output = dump->request->output;
	CLI_CLEANUP(cli_cleanup_fd) int fd = -1;
	int status;

	if (output) {
		fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
		if (fd < 0)
			return cli_system_error(output, -errno);
	}
	dump->fd = output ? fd : STDOUT_FILENO;
	dump->hex = dump->request->hex || (!dump->request->raw && isatty(dump->fd));
	status = copy(dump);
	if (output && close(fd) && !status)
		status = cli_system_error(output, -errno);
	fd = -1;
	return status;
}

int cli_memory_dump(const struct cli_memory_request *request)
{
	struct dump dump = {.request = request};
	uint64_t bytes = 0;
	int error = request->calls->open(request, false, &dump.memory), status;

	if (error)
		return cli_memory_error(request, error);
	status = request->calls->prepare(request, &dump.memory, false, &bytes);
	if (!status)
		status = find_range(&dump, bytes);
	if (!status)
		status = dump_to(&dump);
	cli_cleanup_memory(&dump.memory);
	free(dump.text);
	return status;
}
