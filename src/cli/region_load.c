/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon region load: bytes of a file into a region.
 *
 * How many they are is known before the first is written: a file says so, and what comes from a pipe
 * is read to its end before.  So the region is as long as it has to be, and its memory taken, or
 * nothing was changed.
 *
 *	L1 open the region, or make it		dies: it is there, of zeros
 *	L2 grow it				dies: it has grown, or not
 *	L3 copy					dies: some of the bytes are there
 */

#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct load {
	const struct cli_region_request *request;
	struct tenon_region *region; /* NULL: there is none, and it is to be made */
	const char *name;	     /* of the input, for messages */
	int fd;
	char *data; /* what was read before; NULL: it is read as it is copied */
	uint64_t bytes;
	uint8_t *target;
};

/* Of a file that can tell, how much is left in it. */
static bool knows_length(struct load *load)
{
	struct stat information;
	off_t at;

	if (fstat(load->fd, &information) || !S_ISREG(information.st_mode) ||
	    information.st_size <= 0)
		return false;
	at = lseek(load->fd, 0, SEEK_CUR);
	if (at < 0)
		return false;
	load->bytes = information.st_size > at ? (uint64_t)(information.st_size - at) : 0;
	return true;
}

static int report_too_long(const struct load *load, uint64_t room, bool may_grow)
{
	cli_kind_warn(&cli_kind_region, load->request->name,
		      "%s has more than the %llu bytes that are %s from offset %llu on%s; nothing "
		      "was written",
		      load->name, (unsigned long long)room, may_grow ? "possible" : "there",
		      (unsigned long long)load->request->offset,
		      may_grow ? "" : "; --grow makes the region longer");
	return CLI_TOO_LONG;
}

/* How far the region reaches, or could. */
static int find_room(const struct load *load, uint64_t *ret_end)
{
	struct tenon_region_status status = {.size = sizeof(status)};
	const struct cli_region_request *request = load->request;
	int error;

	if (!load->region) {
		*ret_end = request->max_bytes ? request->max_bytes : TENON_REGION_BYTES_MOST;
		return CLI_OK;
	}
	error = tenon_region_status(load->region, &status);
	if (error)
		return cli_kind_error(&cli_kind_region, request->name, error);
	*ret_end = request->grow ? status.max_bytes : status.bytes;
	return CLI_OK;
}

static int measure(struct load *load)
{
	uint64_t end = 0, room, offset = load->request->offset;
	bool may_grow = load->request->grow || !load->region, known = knows_length(load);
	size_t bytes;
	int error, status = find_room(load, &end);

	if (status)
		return status;
	room = end > offset ? end - offset : 0;
	if (!known) {
		error = cli_read_all(load->fd, room, &load->data, &bytes);
		if (error == -EMSGSIZE)
			return report_too_long(load, room, may_grow);
		if (error)
			return cli_system_error(load->name, error);
		load->bytes = bytes;
	}
	/* An offset behind all that is possible is an error of nothing, too. */
	if (load->bytes > room || offset > end)
		return report_too_long(load, room, may_grow);
	return CLI_OK;
}

/* L1, of one that is missing. */
static int make(struct load *load, uint64_t end)
{
	const struct cli_region_request *request = load->request;
	struct tenon_region_options options = {
		.size = sizeof(options),
		.bytes = end,
		.max_bytes = request->max_bytes,
	};
	int error;

	if (!end && !request->max_bytes) {
		cli_kind_warn(&cli_kind_region, request->name,
			      "%s is empty, and a region of no bytes needs --max-size", load->name);
		return CLI_USAGE;
	}
	error = tenon_region_open(NULL, request->name, TENON_CREATE | TENON_REGION_GUARD, &options,
				  &load->region);
	if (error == -ENOENT) {
		cli_kind_warn(&cli_kind_region, request->name,
			      "there is no namespace folder '%s'; %s", cli_namespace(),
			      cli_namespace_remedy());
		return CLI_MISSING;
	}
	return error ? cli_kind_error(&cli_kind_region, request->name, error) : CLI_OK;
}

/* L1 and L2: afterwards it has memory for all. */
static int prepare(struct load *load)
{
	const struct cli_region_request *request = load->request;
	uint64_t end = request->offset + load->bytes, bytes;
	int error, status = load->region ? CLI_OK : make(load, end);
	void *address;

	if (status)
		return status;
	/* Before it grows: for one that is sealed against writing it would do so for nothing. */
	error = tenon_region_map(load->region, TENON_REGION_WRITE, &address, &bytes);
	if (error)
		return cli_region_error(request, error, "writing");
	load->target = (uint8_t *)address + request->offset;
	if (end <= bytes)
		return CLI_OK;
	/* Somebody else has made it meanwhile, shorter. */
	if (!request->grow)
		return report_too_long(load, bytes > request->offset ? bytes - request->offset : 0,
				       false);
	return cli_region_grow(request, load->region, end);
}

/* The next bytes of the input; 0 at its end.  A negative errno. */
static ssize_t next_bytes(const struct load *load, uint64_t done, uint8_t *chunk)
{
	uint64_t left = load->bytes - done;
	size_t most = left < CLI_REGION_CHUNK_BYTES ? (size_t)left : CLI_REGION_CHUNK_BYTES;
	ssize_t got;

	if (load->data) {
		memcpy(chunk, load->data + done, most);
		return (ssize_t)most;
	}
	do
		got = read(load->fd, chunk, most);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static int report_half(const struct load *load, uint64_t done, int status)
{
	cli_warn("%llu of %llu bytes were written", (unsigned long long)done,
		 (unsigned long long)load->bytes);
	return status;
}

/* L3.  Not read into the region itself: the guard does not learn of what read(2) finds gone. */
static int copy(const struct load *load)
{
	CLI_CLEANUP(cli_cleanup_free) uint8_t *chunk = malloc(CLI_REGION_CHUNK_BYTES);
	struct cli_progress progress;
	uint64_t done;
	ssize_t got;
	int error;

	if (!chunk)
		return cli_kind_error(&cli_kind_region, load->request->name, -ENOMEM);
	cli_progress_begin(&progress, "loaded", CLI_PROGRESS_DATA, load->bytes, isatty(load->fd));
	for (done = 0; done < load->bytes; done += (uint64_t)got) {
		got = next_bytes(load, done, chunk);
		if (got < 0)
			return report_half(load, done, cli_system_error(load->name, (int)got));
		if (!got) {
			cli_warn("%s: it has become shorter meanwhile", load->name);
			return report_half(load, done, CLI_FAILED);
		}
		memcpy(load->target + done, chunk, (size_t)got);
		error = tenon_region_check(load->region);
		if (error)
			return report_half(load, done,
					   cli_kind_error(&cli_kind_region, load->request->name,
							  error));
		cli_progress_add(&progress, 0, (uint64_t)got);
	}
	cli_progress_end(&progress);
	return CLI_OK;
}

/* A region that exists is looked for before the input, which may take its time. */
static int load_from(struct load *load)
{
	const struct cli_region_request *request = load->request;
	int error, status;

	error = tenon_region_open(NULL, request->name, TENON_REGION_GUARD, NULL, &load->region);
	if (error == -ENOENT && request->create)
		load->region = NULL;
	else if (error)
		return cli_kind_error(&cli_kind_region, request->name, error);
	status = measure(load);
	if (!status)
		status = prepare(load);
	return status ? status : copy(load);
}

int cli_region_load(const struct cli_region_request *request)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = -1;
	struct load load = {
		.request = request,
		.name = request->input ? request->input : "standard input",
		.fd = STDIN_FILENO,
	};
	int status;

	if (request->input) {
		fd = open(request->input, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return cli_system_error(request->input, -errno);
		load.fd = fd;
	}
	status = load_from(&load);
	tenon_region_close(load.region);
	free(load.data);
	return status;
}
