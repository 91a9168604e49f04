/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Standard output: messages in their framing, text that cannot steer a terminal, colours, figures.
 */

#include "cli.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int cli_write_all(int fd, const void *data, size_t bytes)
{
	const char *next = data;

	while (bytes) {
		ssize_t written = write(fd, next, bytes);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		next += written;
		bytes -= (size_t)written;
	}
	return 0;
}

int cli_append(char **data, size_t *bytes, size_t *capacity, const void *more, size_t more_bytes)
{
	if (more_bytes > *capacity - *bytes) {
		size_t grown = *capacity ? *capacity : 4096;
		char *moved;

		while (grown - *bytes < more_bytes) {
			if (grown > SIZE_MAX / 2)
				return -ENOMEM;
			grown *= 2;
		}
		moved = realloc(*data, grown);
		if (!moved)
			return -ENOMEM;
		*data = moved;
		*capacity = grown;
	}
	if (more_bytes)
		memcpy(*data + *bytes, more, more_bytes);
	*bytes += more_bytes;
	return 0;
}

/* The length of the UTF-8 sequence that begins here; 0 if it is broken, overlong, a surrogate or
 * beyond Unicode. */
static size_t utf8_length(const unsigned char *text, size_t bytes)
{
	size_t length, i;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (length > bytes)
		return 0;
	for (i = 1; i < length; ++i) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return length;
}

bool cli_is_utf8(const void *data, size_t bytes)
{
	const unsigned char *text = data;

	while (bytes) {
		size_t length = utf8_length(text, bytes);

		if (!length)
			return false;
		text += length;
		bytes -= length;
	}
	return true;
}

/* Control characters of ASCII and of Latin-1, which terminals obey too, are not for showing. */
static bool is_shown(const unsigned char *text, size_t length)
{
	if (length == 1)
		return text[0] >= 0x20 && text[0] != 0x7f;
	return length && !(length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

char *cli_escape(const void *data, size_t bytes, size_t *ret_bytes)
{
	const unsigned char *text = data;
	/* Every byte becomes four at most. */
	char *escaped = malloc(bytes * 4 + 1);
	char *next = escaped;

	if (!escaped)
		return NULL;
	while (bytes) {
		size_t length = utf8_length(text, bytes);

		if (is_shown(text, length)) {
			memcpy(next, text, length);
			next += length;
		} else {
			length = 1;
			if (text[0] == '\n')
				next = stpcpy(next, "\\n");
			else if (text[0] == '\t')
				next = stpcpy(next, "\\t");
			else
				next += sprintf(next, "\\x%02x", text[0]);
		}
		text += length;
		bytes -= length;
	}
	*next = 0;
	if (ret_bytes)
		*ret_bytes = (size_t)(next - escaped);
	return escaped;
}

static int append(struct cli_output *output, const void *data, size_t bytes)
{
	return cli_append(&output->data, &output->bytes, &output->capacity, data, bytes);
}

static int append_json(struct cli_output *output, const void *data,
		       const struct tenon_message *message)
{
	struct json_object *object = cli_json_message(data, message);
	const char *text;
	size_t bytes;
	int error;

	if (!object)
		return -ENOMEM;
	text = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &bytes);
	error = text ? append(output, text, bytes) : -ENOMEM;
	json_object_put(object);
	return error ? error : append(output, "\n", 1);
}

static int append_escaped(struct cli_output *output, const void *data, size_t bytes)
{
	CLI_CLEANUP(cli_cleanup_free) char *escaped = cli_escape(data, bytes, &bytes);
	int error;

	if (!escaped)
		return -ENOMEM;
	error = append(output, escaped, bytes);
	return error ? error : append(output, "\n", 1);
}

int cli_output_message(struct cli_output *output, const void *data,
		       const struct tenon_message *message)
{
	size_t bytes = message->bytes;
	unsigned char prefix[4];
	int error = 0;

	if (output->json)
		return append_json(output, data, message);
	if (output->escape && output->framing != CLI_FRAMING_RAW)
		return append_escaped(output, data, bytes);
	if (output->framing == CLI_FRAMING_LENGTH) {
		prefix[0] = (unsigned char)(bytes >> 24);
		prefix[1] = (unsigned char)(bytes >> 16);
		prefix[2] = (unsigned char)(bytes >> 8);
		prefix[3] = (unsigned char)bytes;
		error = append(output, prefix, sizeof(prefix));
	}
	if (!error)
		error = append(output, data, bytes);
	if (!error && output->framing == CLI_FRAMING_LINES)
		error = append(output, "\n", 1);
	if (!error && output->framing == CLI_FRAMING_NULL)
		error = append(output, "", 1);
	return error;
}

int cli_output_flush(struct cli_output *output)
{
	int error = cli_write_all(STDOUT_FILENO, output->data, output->bytes);

	output->bytes = 0;
	return error;
}

void cli_cleanup_output(struct cli_output *output)
{
	free(output->data);
}

int cli_output_error(int error)
{
	if (error == -EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
		/* Only reached where SIGPIPE is blocked. */
		return CLI_FAILED;
	}
	return cli_system_error("standard output", error);
}

/* The first error of writing stdio's standard output, which stdio would forget; 0: none. */
static int stdout_error;

static ssize_t write_stdout(void *cookie, const char *data, size_t bytes)
{
	(void)cookie;
	if (!stdout_error)
		stdout_error = cli_write_all(STDOUT_FILENO, data, bytes);
	errno = -stdout_error;
	return stdout_error ? 0 : (ssize_t)bytes;
}

int cli_begin_stdout(void)
{
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_stdout});

	if (!stream)
		return cli_system_error("standard output", -errno);
	setvbuf(stream, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, BUFSIZ);
	stdout = stream;
	return CLI_OK;
}

int cli_finish_stdout(int status)
{
	static bool reported;

	fflush(stdout);
	if (!stdout_error || reported)
		return status;
	reported = true;
	return cli_output_error(stdout_error);
}

const char *cli_colour(int fd, enum cli_colour colour)
{
	static const char *const sequences[] = {
		[CLI_PLAIN] = "\033[0m",   [CLI_BOLD] = "\033[1m",   [CLI_RED] = "\033[31m",
		[CLI_YELLOW] = "\033[33m", [CLI_GREEN] = "\033[32m", [CLI_DIM] = "\033[2m",
	};
	const char *no_colour = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	if (!isatty(fd) || (no_colour && no_colour[0]) || (terminal && !strcmp(terminal, "dumb")))
		return "";
	return sequences[colour];
}

/* Eight figures may stand in one printf(). */
static char *next_buffer(void)
{
	static char buffers[8][64];
	static unsigned int next;

	return buffers[next++ % 8];
}

const char *cli_format_bytes(uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	char *buffer = next_buffer();
	double amount = (double)bytes;
	size_t i = 0;

	while (amount >= 1024 && i + 1 < sizeof(units) / sizeof(units[0])) {
		amount /= 1024;
		++i;
	}
	snprintf(buffer, 64, i && amount < 100 ? "%.1f %s" : "%.0f %s", amount, units[i]);
	return buffer;
}

const char *cli_format_duration(int64_t ns)
{
	char *buffer = next_buffer();
	double s = (double)ns / 1e9;

	if (ns < 1000)
		snprintf(buffer, 64, "%lld ns", (long long)ns);
	else if (ns < 1000000)
		snprintf(buffer, 64, "%.2f µs", (double)ns / 1e3);
	else if (ns < 1000000000)
		snprintf(buffer, 64, "%.0f ms", (double)ns / 1e6);
	else if (s < 120)
		snprintf(buffer, 64, "%.1f s", s);
	else if (s < 7200)
		snprintf(buffer, 64, "%.0f min", s / 60);
	else
		snprintf(buffer, 64, "%.1f h", s / 3600);
	return buffer;
}

const char *cli_format_exactly(int64_t ns)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{"h", INT64_C(3600000000000)},
		{"min", INT64_C(60000000000)},
		{"s", 1000000000},
		{"ms", 1000000},
		{"µs", 1000},
		{"ns", 1},
	};
	char *buffer = next_buffer();
	size_t i = 0;

	/* Minutes and hours must come out even, which fractions of them seldom do. */
	while (units[i].ns > 1 && (ns < units[i].ns || (i < 2 && ns % units[i].ns)))
		++i;
	snprintf(buffer, 64, "%.15g %s", (double)ns / (double)units[i].ns, units[i].name);
	return buffer;
}

const char *cli_format_count(uint64_t count, const char *one, const char *many)
{
	char *buffer = next_buffer();

	snprintf(buffer, 64, "%llu %s", (unsigned long long)count, count == 1 ? one : many);
	return buffer;
}

const char *cli_format_messages(uint64_t count)
{
	return cli_format_count(count, "message", "messages");
}

const char *cli_format_messages_were(uint64_t count)
{
	return cli_format_count(count, "message was", "messages were");
}

const char *cli_format_time(int64_t ns)
{
	char *buffer = next_buffer();
	time_t s = (time_t)(ns / 1000000000);
	struct tm parts;

	if (!ns || !localtime_r(&s, &parts) || !strftime(buffer, 64, "%Y-%m-%d %H:%M:%S", &parts))
		return ns ? "?" : "never";
	return buffer;
}
