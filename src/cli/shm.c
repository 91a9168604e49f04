/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tenon shm: copies the bytes of a POSIX shared memory object out of it and into it.
 *
 * The object is a file without a header, and is read and written as one: what is gone when it comes
 * to that is told by the call, and no SIGBUS.  Its memory is taken before the first byte is written,
 * also where it was a hole.
 */

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tenon/posix.h>

/* The name is one, so of EINVAL there is one reason left: what somebody has put there is no memory. */
static int open_file(const char *name, int flags, struct cli_memory *ret_memory)
{
	int fd = tenon_shm_open(name, flags, 0600);

	if (fd < 0)
		return errno == EINVAL ? -EPERM : -errno;
	*ret_memory = (struct cli_memory){.calls = &cli_memory_shm, .fd = fd};
	return 0;
}

static int open_shm(const struct cli_memory_request *request, bool for_writing,
		    struct cli_memory *ret_memory)
{
	return open_file(request->name, for_writing ? O_RDWR : O_RDONLY, ret_memory);
}

static int make_shm(const struct cli_memory_request *request, uint64_t bytes,
		    struct cli_memory *ret_memory)
{
	int error = open_file(request->name, O_RDWR | O_CREAT | O_EXCL, ret_memory);

	/* It gets its bytes when their memory is taken. */
	(void)bytes;
	if (error == -EEXIST)
		return open_file(request->name, O_RDWR, ret_memory);
	if (!error)
		ret_memory->is_made = true;
	return error;
}

static void close_shm(struct cli_memory *memory)
{
	close(memory->fd);
}

static int measure_shm(const struct cli_memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_max_bytes)
{
	struct stat information;

	if (fstat(memory->fd, &information))
		return -errno;
	*ret_bytes = (uint64_t)information.st_size;
	*ret_max_bytes = *ret_bytes > TENON_REGION_BYTES_MOST ? *ret_bytes
							      : TENON_REGION_BYTES_MOST;
	return 0;
}

static int prepare_shm(const struct cli_memory_request *request, struct cli_memory *memory,
		       bool for_writing, uint64_t *ret_bytes)
{
	uint64_t max_bytes;
	int error = measure_shm(memory, ret_bytes, &max_bytes);

	(void)for_writing;
	return error ? cli_memory_error(request, error) : CLI_OK;
}

/* All or nothing, and never shorter. */
static int take_range(const struct cli_memory *memory, uint64_t offset, uint64_t bytes)
{
	uint64_t has, max_bytes;
	int error;

	while (bytes) {
		if (!fallocate(memory->fd, 0, (off_t)offset, (off_t)bytes))
			return 0;
		if (errno == EOPNOTSUPP)
			break;
		if (errno != EINTR)
			return -errno;
	}
	/* No bytes, or a file system that takes none before they are written. */
	error = measure_shm(memory, &has, &max_bytes);
	if (!error && has < offset + bytes && ftruncate(memory->fd, (off_t)(offset + bytes)))
		error = -errno;
	return error;
}

static int take_shm(const struct cli_memory_request *request, struct cli_memory *memory,
		    uint64_t bytes)
{
	int error = take_range(memory, request->offset, bytes);

	if (!error)
		return CLI_OK;
	if (memory->is_made)
		tenon_shm_unlink(request->name);
	return cli_memory_error(request, error);
}

static int read_shm(const struct cli_memory *memory, uint64_t offset, uint8_t *chunk, size_t bytes)
{
	size_t done = 0;
	ssize_t got;

	while (done < bytes) {
		got = pread(memory->fd, chunk + done, bytes - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EIO;
		done += (size_t)got;
	}
	return 0;
}

/* Writing behind the end would make it as long again as somebody has just made it no more. */
static int write_shm(const struct cli_memory *memory, uint64_t offset, const uint8_t *chunk,
		     size_t bytes)
{
	uint64_t has, max_bytes;
	size_t done = 0;
	ssize_t put;
	int error = measure_shm(memory, &has, &max_bytes);

	if (error || has < offset + bytes)
		return error ? error : -EIO;
	while (done < bytes) {
		put = pwrite(memory->fd, chunk + done, bytes - done, (off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		done += (size_t)put;
	}
	return 0;
}

const struct cli_memory_calls cli_memory_shm = {
	.kind = &cli_kind_shm,
	.open = open_shm,
	.make = make_shm,
	.close = close_shm,
	.measure = measure_shm,
	.prepare = prepare_shm,
	.take = take_shm,
	.read = read_shm,
	.write = write_shm,
};

static int run(int argc, char **argv)
{
	static const char *const verbs[] = {"dump", "load", NULL};

	return cli_memory_run(argc, argv, &cli_memory_shm, verbs);
}

const struct cli_command cli_command_shm = {
	.name = "shm",
	.synopsis = "dump NAME [OPTION…]\n"
		    "       tenon shm load NAME [FILE|-] [OPTION…]",
	.summary = "copy POSIX shared memory to and from files",
	.help = "dump   writes the bytes of the shared memory object to standard output; a "
		"terminal "
		"gets a\n"
		"       listing as of 'hexdump -C'\n"
		"load   writes the bytes of a file, or of standard input, into it\n"
		"\n"
		"K, M and G may follow sizes and offsets.\n"
		"\n"
		"Of dump and load:\n"
		"      --offset N       begin there in the object, not at 0\n"
		"\n"
		"Of dump:\n"
		"  -n, --length N       so many bytes, not all to the end\n"
		"  -o, --output FILE    write to this file\n"
		"  -x, --hex            the listing, wherever it goes\n"
		"      --raw            the bytes, also to a terminal\n"
		"\n"
		"Of load:\n"
		"      --grow           make it longer if it is too short\n"
		"      --create         make it if it is missing, as long as what is loaded "
		"needs\n",
	.run = run,
};
