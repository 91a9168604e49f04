/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DESCRIPTOR_H
#define BENCH_DESCRIPTOR_H

/* Messages as bytes through a descriptor, for pipes and stream sockets. */

#include <errno.h>
#include <unistd.h>

#include "atomics.h"
#include "bench.h"

/* Writes all; -EAGAIN only before the first byte, so that no message is left half written. */
static inline int descriptor_write(int fd, const void *data, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t result = write(fd, (const char *)data + done, bytes - done);

		if (result > 0)
			done += (size_t)result;
		else if (result < 0 && errno == EAGAIN && done > 0)
			cpu_relax();
		else if (result < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* Reads exactly this many bytes; -EAGAIN only before the first. */
static inline int descriptor_read(int fd, void *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t result = read(fd, (char *)buffer + done, bytes - done);

		if (result > 0)
			done += (size_t)result;
		else if (result == 0)
			return -EPIPE;
		else if (errno == EAGAIN && done > 0)
			cpu_relax();
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static inline int descriptor_readable(struct link *link)
{
	return link->read_fd;
}

static inline void descriptor_close(struct link *link)
{
	if (link->read_fd >= 0)
		close(link->read_fd);
	if (link->write_fd >= 0)
		close(link->write_fd);
}

#endif
