/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What people see.  On a terminal the state of a running stage is one line that is written again
 * and again; elsewhere each state is a line of its own, at most one a second.
 */

#include "demo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NUMBER_BYTES 32u
#define NUMBERS 8u
#define LINE_BYTES 200

static bool terminal, live;
static int64_t last_live_ns;

void report_init(void)
{
	const char *type = getenv("TERM");

	terminal = isatty(STDOUT_FILENO) == 1 && type && strcmp(type, "dumb") != 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
}

bool report_is_terminal(void)
{
	return terminal;
}

bool report_failed(void)
{
	return ferror(stdout) != 0;
}

/* The text is overwritten by the eighth call after this one. */
const char *with_commas(uint64_t value)
{
	static char texts[NUMBERS][NUMBER_BYTES];
	static unsigned int turn;
	char *at = texts[turn++ % NUMBERS] + NUMBER_BYTES - 1;
	unsigned int digits = 0;

	*at = 0;
	do {
		if (digits > 0 && digits % 3 == 0)
			*--at = ',';
		*--at = (char)('0' + value % 10);
		value /= 10;
		digits++;
	} while (value > 0);
	return at;
}

void report_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

void report_blank(void)
{
	putchar('\n');
}

void report_stage(const char *title, const char *explanation)
{
	printf("\n%s%s%s\n%s\n\n", terminal ? "\033[1m" : "", title, terminal ? "\033[0m" : "",
	       explanation);
}

/* A line that the terminal wraps could not be written again. */
static int line_columns(void)
{
	struct winsize size;

	if (!terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 20)
		return LINE_BYTES;
	return size.ws_col - 3;
}

void report_live(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;

	if (!terminal && now_ns() - last_live_ns < NS_PER_S * 9 / 10)
		return;
	last_live_ns = now_ns();
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	printf(terminal ? "\r\033[K  %.*s" : "  %.*s\n", line_columns(), text);
	fflush(stdout);
	live = terminal;
}

void report_live_end(void)
{
	if (live)
		printf("\r\033[K");
	live = false;
	last_live_ns = 0;
	fflush(stdout);
}

static const char *const phase_texts[PHASE_COUNT] = {
	[PHASE_NONE] = "before it had attached",
	[PHASE_ATTACH] = "inside tenon_queue_open",
	[PHASE_TAKE] = "inside tenon_queue_take, or asleep in it",
	[PHASE_CHECKSUM] = "while reading a file",
	[PHASE_SEND] = "inside tenon_queue_send",
	[PHASE_BETWEEN] = "after the result was sent, before done",
	[PHASE_DONE] = "inside tenon_queue_done",
};

void report_killing(const struct demo *demo, const struct job_figures *figures)
{
	double seconds = (double)figures->ns / NS_PER_S;
	uint32_t phase;

	report_line("  %s files checksummed in %.1f s: the whole job %u times over.",
		    with_commas(demo->files * figures->rounds), seconds, figures->rounds);
	report_line("  messages       %s, that is %s a second", with_commas(figures->messages),
		    with_commas((uint64_t)((double)figures->messages / seconds)));
	report_line("  killed         %s workers with SIGKILL, all survived by the others:",
		    with_commas(figures->kills));
	for (phase = 0; phase < PHASE_COUNT; phase++)
		if (figures->kills_in[phase])
			report_line("                 %6s  %s",
				    with_commas(figures->kills_in[phase]), phase_texts[phase]);
	report_line("  redelivered    %s paths, because their worker died before it said done",
		    with_commas(figures->redelivered));
	report_line("  dropped        %s results that had come before: their worker died between",
		    with_commas(figures->doubles));
	report_line("                 sending and done.  Delivery is at least once; the collector");
	report_line("                 makes it exactly once by the message's sequence number.");
	report_line(
		"  repairs        %s deaths in the middle of a change to a queue, which the next",
		with_commas(figures->repairs));
	report_line("                 caller undid (tenon_queue_status)");
	report_line(
		"  left over      nothing: no message, no lease, no loan; tenon_queue_check is");
	report_line("                 content, and the queues' statistics add up");
	if (figures->untraceable)
		report_line(
			"  skipped        aimed kills: ptrace(2) is not allowed here, so nearly "
			"all fell outside the calls");
}

static void report_time(const char *what, double seconds)
{
	if (seconds > 0)
		report_line("  %-52s %8.3f s", what, seconds);
	else
		report_line("  %-52s  skipped: takes too long here", what);
}

void report_times(const struct demo *demo, const struct job_figures *killed,
		  const struct times *times)
{
	char text[80];

	report_time("sha256sum, one process", times->reference_s);
	snprintf(text, sizeof(text), "sha256sum, %u at once (xargs -P %u -n %u)",
		 demo->options.workers, demo->options.workers, PARALLEL_FILES);
	report_time(text, times->parallel_s);
	report_time("our checksum code, one process, no queue", times->plain_s);
	snprintf(text, sizeof(text), "Tenon, %u worker%s, nobody killed", demo->options.workers,
		 demo->options.workers == 1 ? "" : "s");
	report_time(text, times->tenon_s);
	snprintf(text, sizeof(text), "Tenon, %u worker%s, being killed (mean of %u)",
		 demo->options.workers, demo->options.workers == 1 ? "" : "s", killed->rounds);
	report_time(text, (double)killed->ns / NS_PER_S / killed->rounds);
	report_blank();
	report_line(
		"  sha256sum may use slower code for the checksum itself than OpenSSL, which our");
	report_line("  workers use; the third line is the fair one to hold Tenon's time against.");
}

/* Where the kernel does not allow a depth, its queue of the depth that it does allow stands for it. */
static void report_rate(const struct rate *rate, bool compare, const struct rate *kernel)
{
	const char *rate_text = with_commas((uint64_t)rate->messages_per_second);

	if (rate->skipped[0])
		report_line("    %-26s %s", rate->name, rate->skipped);
	else if (!compare || kernel->skipped[0])
		report_line("    %-26s %12s messages/s", rate->name, rate_text);
	else
		report_line("    %-26s %12s messages/s, %5.1f x the kernel's%s", rate->name,
			    rate_text, rate->messages_per_second / kernel->messages_per_second,
			    kernel->depth == rate->depth ? "" : " smaller one");
}

void report_rates(const struct demo *demo, struct rate rates[RATE_DEPTHS][RATE_QUEUES])
{
	uint32_t depth, kind;

	report_line("  %u different messages, %llu bytes on average, %u at most",
		    demo->sample_count,
		    (unsigned long long)(demo->sample_bytes / demo->sample_count),
		    demo->sample_bytes_max);
	for (depth = 0; depth < RATE_DEPTHS; depth++) {
		report_line("  queues of %s messages", with_commas(rates[depth][0].depth));
		for (kind = 0; kind < RATE_QUEUES; kind++)
			report_rate(&rates[depth][kind], kind > 0,
				    &rates[rates[depth][0].skipped[0] ? 0 : depth][0]);
	}
}

static void json_rates(FILE *file, struct rate rates[RATE_DEPTHS][RATE_QUEUES])
{
	static const char *const names[RATE_QUEUES] = {"kernel", "priority", "fifo"};
	uint32_t depth, kind;

	for (depth = 0; depth < RATE_DEPTHS; depth++) {
		fprintf(file, "%s\n\t\t{\"depth\": %llu", depth ? "," : "",
			(unsigned long long)rates[depth][0].depth);
		for (kind = 0; kind < RATE_QUEUES; kind++) {
			fprintf(file, ", \"%s\": ", names[kind]);
			if (rates[depth][kind].skipped[0])
				fprintf(file, "null");
			else
				fprintf(file, "%.0f", rates[depth][kind].messages_per_second);
		}
		fprintf(file, "}");
	}
}

static void json_seconds(FILE *file, const char *name, double seconds)
{
	if (seconds > 0)
		fprintf(file, ",\n\t\"%s\": %.4f", name, seconds);
	else
		fprintf(file, ",\n\t\"%s\": null", name);
}

int report_json(const struct demo *demo, const struct job_figures *figures,
		const struct times *times, struct rate rates[RATE_DEPTHS][RATE_QUEUES], bool same)
{
	static const char *const names[PHASE_COUNT] = {"starting", "open",    "take", "checksum",
						       "send",	   "between", "done"};
	FILE *file = fopen(demo->options.json_path, "we");
	uint32_t phase;
	int result;

	if (!file) {
		complain_error(demo->options.json_path, errno);
		return 1;
	}
	fprintf(file, "{\n\t\"same\": %s,\n\t\"files\": %llu,\n\t\"file_bytes\": %llu",
		same ? "true" : "false", (unsigned long long)demo->files,
		(unsigned long long)demo->file_bytes);
	fprintf(file, ",\n\t\"unreadable\": %llu,\n\t\"workers\": %u,\n\t\"rounds\": %u",
		(unsigned long long)figures->unreadable, demo->options.workers, figures->rounds);
	json_seconds(file, "killing_seconds", (double)figures->ns / NS_PER_S);
	fprintf(file, ",\n\t\"messages\": %llu,\n\t\"kills\": %llu,\n\t\"kills_in\": {",
		(unsigned long long)figures->messages, (unsigned long long)figures->kills);
	for (phase = 0; phase < PHASE_COUNT; phase++)
		fprintf(file, "%s\"%s\": %llu", phase ? ", " : "", names[phase],
			(unsigned long long)figures->kills_in[phase]);
	fprintf(file, "},\n\t\"redelivered\": %llu,\n\t\"doubles\": %llu,\n\t\"repairs\": %llu",
		(unsigned long long)figures->redelivered, (unsigned long long)figures->doubles,
		(unsigned long long)figures->repairs);
	json_seconds(file, "sha256sum_seconds", times->reference_s);
	json_seconds(file, "sha256sum_parallel_seconds", times->parallel_s);
	json_seconds(file, "no_queue_seconds", times->plain_s);
	json_seconds(file, "tenon_seconds", times->tenon_s);
	fprintf(file, ",\n\t\"rates\": [");
	json_rates(file, rates);
	fprintf(file, "\n\t]\n}\n");
	result = ferror(file) != 0;
	if (fclose(file) || result) {
		complain_error(demo->options.json_path, EIO);
		return 1;
	}
	return 0;
}
