/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The same result made by find(1) and sha256sum(1) alone, and the comparison.  Entries end with a
 * null byte, since a path may hold any other; so sha256sum is told --zero.
 */

#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUM_PREFIX_BYTES (2 * DIGEST_BYTES + 2) /* "<hexadecimal digits>  " */
#define DIFFERENCES_SHOWN 5u

static const char reference_script[] =
	"cd \"$FOLDER\" && find \"$@\" -type f -print0 | LC_ALL=C sort -z | tee expected.list |"
	" xargs -0 -r sha256sum --zero -- >expected.sums 2>expected.errors";

static const char parallel_script[] =
	"find \"$@\" -type f -print0 | LC_ALL=C sort -z |"
	" xargs -0 -r -P \"$PROCESSES\" -n \"$FILES\" sha256sum --zero -- >/dev/null 2>&1";

struct pipeline {
	const struct demo *demo;
	uint32_t processes;
};

static int run_pipeline(const void *context)
{
	const struct pipeline *pipeline = context;
	const char *arguments[4] = {"sh", "-c", reference_script, "sh"};
	char number[16], **vector;
	size_t count = 0;

	if (pipeline->processes) {
		arguments[2] = parallel_script;
		snprintf(number, sizeof(number), "%u", pipeline->processes);
		setenv("PROCESSES", number, 1);
		snprintf(number, sizeof(number), "%u", PARALLEL_FILES);
		setenv("FILES", number, 1);
	}
	setenv("FOLDER", pipeline->demo->folder, 1);
	while (pipeline->demo->directories[count])
		count++;
	vector = calloc(count + 5, sizeof(*vector));
	if (!vector)
		return 127;
	memcpy(vector, arguments, sizeof(arguments));
	memcpy(vector + 4, pipeline->demo->directories, count * sizeof(*vector));
	execvp(vector[0], vector);
	complain_error("sh", errno);
	return 127;
}

/* Runs a process to its end and takes the time. */
static int run_timed(int (*run)(const void *context), const void *context, double *ret_s,
		     int *ret_status)
{
	int64_t begin = now_ns();
	pid_t pid = spawn(run, context, true);

	if (pid < 0)
		return 1;
	*ret_status = wait_child(pid);
	*ret_s = (double)(now_ns() - begin) / NS_PER_S;
	return *ret_status == -1 ? 1 : 0;
}

int reference_run(const struct demo *demo, uint32_t processes, double *ret_s)
{
	struct pipeline pipeline = {.demo = demo, .processes = processes};
	int status;

	if (run_timed(run_pipeline, &pipeline, ret_s, &status))
		return 1;
	/* 123: xargs tells that sha256sum could not read some file; the comparison sees which. */
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 123))
		return 0;
	complain("find | sort | xargs sha256sum failed; see %s/expected.errors with --keep",
		 demo->folder);
	return 1;
}

static int plain_file(const char *path, size_t path_bytes, uint64_t file_bytes, void *context)
{
	uint8_t digest[DIGEST_BYTES];

	(void)path_bytes;
	(void)file_bytes;
	/* What cannot be read is left out here as it is by the others. */
	checksum_file(context, path, NULL, digest);
	return 0;
}

static int run_plain(const void *context)
{
	const struct demo *demo = context;
	struct checksum *checksum = checksum_new();

	return !checksum || walk(demo->directories, plain_file, checksum) ? 1 : 0;
}

/* This program's own walking and checksumming in one process, without any queue. */
int plain_run(const struct demo *demo, double *ret_s)
{
	int status;

	return run_timed(run_plain, demo, ret_s, &status) || status != 0 ? 1 : 0;
}

struct text {
	char *data;
	size_t bytes;
};

static int read_text(const struct demo *demo, const char *name, struct text *ret_text)
{
	char path[128];
	FILE *file;
	long bytes;

	snprintf(path, sizeof(path), "%s/%s", demo->folder, name);
	file = fopen(path, "re");
	if (!file || fseek(file, 0, SEEK_END) || (bytes = ftell(file)) < 0) {
		complain_error(path, errno);
		return 1;
	}
	rewind(file);
	ret_text->bytes = (size_t)bytes;
	ret_text->data = calloc(1, ret_text->bytes + 1);
	if (!ret_text->data || fread(ret_text->data, 1, ret_text->bytes, file) != ret_text->bytes) {
		complain_error(path, EIO);
		return 1;
	}
	fclose(file);
	return 0;
}

/* The path in an entry that begins at `offset`, or NULL behind the last. */
static const char *entry_path(const struct text *text, size_t offset, size_t prefix)
{
	if (offset + prefix >= text->bytes)
		return NULL;
	return text->data + offset + prefix;
}

static size_t next_entry(const struct text *text, size_t offset)
{
	return offset + strlen(text->data + offset) + 1;
}

/* Both are sorted by path: tells the first entries that are not in both. */
static void tell_differences(const struct text *ours, const struct text *theirs, size_t prefix)
{
	size_t a = 0, b = 0, told = 0;

	while (told < DIFFERENCES_SHOWN) {
		const char *our_path = entry_path(ours, a, prefix);
		const char *their_path = entry_path(theirs, b, prefix);
		int order;

		if (!our_path && !their_path)
			return;
		order = !our_path ? 1 : !their_path ? -1 : strcmp(our_path, their_path);
		if (order < 0) {
			complain("only in Tenon's result: %s", our_path);
		} else if (order > 0) {
			complain("missing in Tenon's result: %s", their_path);
		} else if (strcmp(ours->data + a, theirs->data + b)) {
			complain("another checksum: %s", our_path);
		} else {
			told--;
		}
		told++;
		if (order <= 0)
			a = next_entry(ours, a);
		if (order >= 0)
			b = next_entry(theirs, b);
	}
	complain("… and perhaps more");
}

static int compare_texts(const struct demo *demo, const char *our_name, const char *their_name,
			 size_t prefix)
{
	struct text ours = {0}, theirs = {0};
	int result = 1;

	if (!read_text(demo, our_name, &ours) && !read_text(demo, their_name, &theirs)) {
		result = ours.bytes != theirs.bytes || memcmp(ours.data, theirs.data, ours.bytes);
		if (result)
			tell_differences(&ours, &theirs, prefix);
	}
	free(ours.data);
	free(theirs.data);
	return result;
}

int reference_compare(const struct demo *demo)
{
	int result = compare_texts(demo, "tenon.list", "expected.list", 0);

	if (!result)
		result = compare_texts(demo, "tenon.sums", "expected.sums", SUM_PREFIX_BYTES);
	return result;
}
