/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One line on standard error that tells how far long work has come.  It shows up after a second,
 * four times a second, and only where a person looks at it.
 */

#include "cli.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SHOW_AFTER_NS INT64_C(1000000000)
#define DRAW_EVERY_NS INT64_C(250000000)

/* What is on the terminal now, for those who have to print something else. */
static struct cli_progress *on_screen;

int64_t cli_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void cli_progress_begin(struct cli_progress *progress, const char *verb,
			enum cli_progress_unit unit, uint64_t total, bool in_use)
{
	*progress = (struct cli_progress){
		.enabled = isatty(STDERR_FILENO) && !in_use,
		.verb = verb,
		.unit = unit,
		.total = total,
		.begin_ns = cli_now_ns(),
	};
}

static void draw(struct cli_progress *progress, int64_t now_ns)
{
	uint64_t done = progress->unit == CLI_PROGRESS_MESSAGES ? progress->messages
								: progress->bytes;
	double s = (double)(now_ns - progress->begin_ns) / 1e9;
	const char *rate = cli_format_bytes((uint64_t)((double)progress->bytes / s));

	if (progress->unit == CLI_PROGRESS_DATA)
		fprintf(stderr, "\r\033[K%s %s, %s/s", cli_format_bytes(progress->bytes),
			progress->verb, rate);
	else
		fprintf(stderr, "\r\033[K%s %s, %s, %.0f/s, %s/s",
			cli_format_messages(progress->messages), progress->verb,
			cli_format_bytes(progress->bytes), (double)progress->messages / s, rate);
	if (progress->total && done && done <= progress->total)
		fprintf(stderr, ", %.0f %%", 100 * (double)done / (double)progress->total);
	if (done && done < progress->total)
		fprintf(stderr, ", %s left",
			cli_format_duration((int64_t)(s * 1e9 * (double)(progress->total - done) /
						      (double)done)));
	fflush(stderr);
	progress->drawn_ns = now_ns;
	progress->shown = true;
	on_screen = progress;
}

void cli_progress_add(struct cli_progress *progress, uint64_t messages, uint64_t bytes)
{
	int64_t now_ns;

	progress->messages += messages;
	progress->bytes += bytes;
	if (!progress->enabled)
		return;
	now_ns = cli_now_ns();
	if (now_ns - progress->begin_ns >= SHOW_AFTER_NS &&
	    now_ns - progress->drawn_ns >= DRAW_EVERY_NS)
		draw(progress, now_ns);
}

void cli_progress_clear(void)
{
	if (on_screen)
		fputs("\r\033[K", stderr);
	on_screen = NULL;
}

void cli_progress_end(struct cli_progress *progress)
{
	int64_t ns = cli_now_ns() - progress->begin_ns;

	cli_progress_clear();
	if (!progress->shown)
		return;
	if (progress->unit == CLI_PROGRESS_DATA)
		fprintf(stderr, "%s %s in %s, %s/s\n", cli_format_bytes(progress->bytes),
			progress->verb, cli_format_duration(ns),
			cli_format_bytes((uint64_t)((double)progress->bytes * 1e9 / (double)ns)));
	else
		fprintf(stderr, "%s %s, %s in %s, %.0f/s\n",
			cli_format_messages(progress->messages), progress->verb,
			cli_format_bytes(progress->bytes), cli_format_duration(ns),
			(double)progress->messages * 1e9 / (double)ns);
}
