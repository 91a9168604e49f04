/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The C library's streams on a queue's descriptor.  What they do to it is libc's own and seen by nobody, so a stream of such a
 * descriptor is one whose functions are the library's (fopencookie(3)), and which bears its number for fileno(3).
 */

#include "preload/preload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static ssize_t read_stream(void *cookie, char *buffer, size_t bytes)
{
	return __real_read((int)(intptr_t)cookie, buffer, bytes);
}

static ssize_t write_stream(void *cookie, const char *data, size_t bytes)
{
	ssize_t written = __real_write((int)(intptr_t)cookie, data, bytes);

	return written < 0 ? 0 : written;
}

static int seek_stream(void *cookie, off64_t *offset, int whence)
{
	off64_t to = lseek((int)(intptr_t)cookie, *offset, whence);

	if (to < 0)
		return -1;
	*offset = to;
	return 0;
}

static int close_stream(void *cookie)
{
	return __real_close((int)(intptr_t)cookie);
}

TNI_STAND_IN FILE *fdopen(int fd, const char *mode)
{
	static const cookie_io_functions_t functions = {read_stream, write_stream, seek_stream,
							close_stream};
	bool is_both;
	FILE *stream;

	if (!tni_is_still_queue(fd))
		return TNI_NEXT(fdopen)(fd, mode);
	is_both = strchr(mode, '+') != NULL;
	if (((is_both || mode[0] == 'r') && !tni_queue_may_read(fd)) ||
	    ((is_both || mode[0] != 'r') && !tni_queue_may_write(fd))) {
		errno = EINVAL;
		return NULL;
	}
	stream = fopencookie((void *)(intptr_t)fd, (char[]){mode[0], is_both ? '+' : '\0', '\0'},
			     functions);
	if (stream)
		stream->_fileno = fd;
	return stream;
}

TNI_STAND_IN int vdprintf(int fd, const char *format, va_list more)
{
	return tni_is_still_queue(fd) ? tni_refuse_write(fd) : TNI_NEXT(vdprintf)(fd, format, more);
}

TNI_STAND_IN int dprintf(int fd, const char *format, ...)
{
	va_list more;
	int result;

	va_start(more, format);
	result = vdprintf(fd, format, more);
	va_end(more);
	return result;
}

TNI_STAND_IN int __vdprintf_chk(int fd, int checks, const char *format, va_list more)
{
	return tni_is_still_queue(fd) ? tni_refuse_write(fd)
				      : TNI_NEXT(__vdprintf_chk)(fd, checks, format, more);
}

TNI_STAND_IN int __dprintf_chk(int fd, int checks, const char *format, ...)
{
	va_list more;
	int result;

	va_start(more, format);
	result = __vdprintf_chk(fd, checks, format, more);
	va_end(more);
	return result;
}

TNI_STAND_IN_AS(_IO_fdopen, fdopen);
