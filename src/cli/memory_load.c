/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon region load, tenon shm load: bytes of a file into shared memory.
 *
 * How many they are is known before the first is written: a file says so, and what comes from a pipe
 * is read to its end before.  So the memory is as long as it has to be, and all of it taken, or
 * nothing was changed.
 *
 *	L1 open it, or make it			dies: it is there, of zeros; shm: of no bytes
 *	L2 grow it				dies: it has grown, or not
 *	L3 copy					dies: some of the bytes are there
 */

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct load {
	const struct cli_memory_request *request;
	struct cli_memory memory; /* not open: there is none, and it is to be made */
	const char *name;	  /* of the input, for messages */
	int fd;
	char *data; /* what was read before; NULL: it is read as it is copied */
	uint64_t bytes;
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
	cli_kind_warn(load->request->calls->kind, load->request->name,
		      "%s has more than the %llu bytes that are %s from offset %llu on%s; nothing "
		      "was written",
		      load->name, (unsigned long long)room, may_grow ? "possible" : "there",
		      (unsigned long long)load->request->offset,
		      may_grow ? "" : "; --grow makes it longer");
	return CLI_TOO_LONG;
}

/* How far it reaches, or could. */
static int find_room(const struct load *load, uint64_t *ret_end)
{
	const struct cli_memory_request *request = load->request;
	uint64_t bytes, max_bytes;
	int error;

	if (!load->memory.calls) {
		*ret_end = request->max_bytes ? request->max_bytes : TENON_REGION_BYTES_MOST;
		return CLI_OK;
	}
	error = request->calls->measure(&load->memory, &bytes, &max_bytes);
	if (error)
		return cli_memory_error(request, error);
	*ret_end = request->grow ? max_bytes : bytes;
	return CLI_OK;
}

static int measure(struct load *load)
{
	uint64_t end = 0, room, offset = load->request->offset;
	bool may_grow = load->request->grow || !load->memory.calls, known = knows_length(load);
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
	const struct cli_memory_request *request = load->request;
	int error;

	if (!end && !request->max_bytes && request->calls == &cli_memory_region) {
		cli_kind_warn(&cli_kind_region, request->name,
			      "%s is empty, and a region of no bytes needs --max-size", load->name);
		return CLI_USAGE;
	}
	error = request->calls->make(request, end, &load->memory);
	if (error == -ENOENT) {
		cli_kind_warn(request->calls->kind, request->name,
			      "there is no namespace folder '%s'; %s", cli_namespace(),
			      cli_namespace_remedy());
		return CLI_MISSING;
	}
	return error ? cli_memory_error(request, error) : CLI_OK;
}

/* L1 and L2: afterwards it has memory for all. */
static int prepare(struct load *load)
{
	const struct cli_memory_request *request = load->request;
	uint64_t end = request->offset + load->bytes, bytes = 0;
	int status = load->memory.calls ? CLI_OK : make(load, end);

	/* Before it grows: for one that is sealed against writing it would do so for nothing. */
	if (!status)
		status = request->calls->prepare(request, &load->memory, true, &bytes);
	if (status)
		return status;
	/* Somebody else has made it meanwhile, shorter. */
	if (end > bytes && !request->grow && !load->memory.is_made)
		return report_too_long(load, bytes > request->offset ? bytes - request->offset : 0,
				       false);
	return request->calls->take(request, &load->memory, load->bytes);
}

/* The next bytes of the input; 0 at its end.  A negative errno. */
static ssize_t next_bytes(const struct load *load, uint64_t done, uint8_t *chunk)
{
	uint64_t left = load->bytes - done;
	size_t most = left < CLI_MEMORY_CHUNK_BYTES ? (size_t)left : CLI_MEMORY_CHUNK_BYTES;
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

/* L3.  Not read into a region itself: the guard does not learn of what read(2) finds gone. */
static int copy(const struct load *load)
{
	CLI_CLEANUP(cli_cleanup_free) uint8_t *chunk = malloc(CLI_MEMORY_CHUNK_BYTES);
	struct cli_progress progress;
	uint64_t done;
	ssize_t got;
	int error;

	if (!chunk)
		return cli_memory_error(load->request, -ENOMEM);
	cli_progress_begin(&progress, "loaded", CLI_PROGRESS_DATA, load->bytes, isatty(load->fd));
	for (done = 0; done < load->bytes; done += (uint64_t)got) {
		got = next_bytes(load, done, chunk);
		if (got < 0)
			return report_half(load, done, cli_system_error(load->name, (int)got));
		if (!got) {
			cli_warn("%s: it has become shorter meanwhile", load->name);
			return report_half(load, done, CLI_FAILED);
		}
		error = load->memory.calls->write(&load->memory, load->request->offset + done,
						  chunk, (size_t)got);
		if (error)
			return report_half(load, done, cli_memory_error(load->request, error));
		cli_progress_add(&progress, 0, (uint64_t)got);
	}
	cli_progress_end(&progress);
	return CLI_OK;
}

/* What exists is looked for before the input, which may take its time. */
static int load_from(struct load *load)
{
	const struct cli_memory_request *request = load->request;
	int error, status;

	error = request->calls->open(request, true, &load->memory);
	if (error && (error != -ENOENT || !request->create))
		return cli_memory_error(request, error);
	status = measure(load);
	if (!status)
		status = prepare(load);
	return status ? status : copy(load);
}

int cli_memory_load(const struct cli_memory_request *request)
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
	cli_cleanup_memory(&load.memory);
	free(load.data);
	return status;
}
