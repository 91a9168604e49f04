/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A fuzz target dies in many ways, and leaves nothing in /dev/shm all the same: a process of its own
 * waits for its end, behind a pipe, and clears away.
 */

#include "fuzz.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../crash/folder.h"
#include "abi/queue.h"

#define KINDS_MOST 16u

static char folder[FOLDER_BYTES];
static struct image images[KINDS_MOST];
static struct record record;

static void check(int right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void path_of(char *path, size_t bytes, const char *name)
{
	snprintf(path, bytes, "%s/q.%s", folder, name);
}

/* Its answer to the end of the pipe: everybody who could use the folder is gone. */
static void guard_folder(void)
{
	int ends[2];
	char byte;
	pid_t pid;

	check(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
	pid = fork();
	check(pid >= 0, "no guardian");
	if (pid > 0) {
		close(ends[0]);
		return;
	}
	setsid();
	for (int fd = 0; fd < 1024; fd++)
		if (fd != ends[0])
			close(fd);
	while (read(ends[0], &byte, 1) > 0)
		;
	folder_remove(folder);
	_exit(0);
}

static void make_images(void)
{
	char path[FOLDER_BYTES + 16];

	check(folder_make(folder) == 0, "no folder");
	check(kinds_count <= KINDS_MOST, "too many kinds");
	guard_folder();
	path_of(path, sizeof(path), "good");
	for (uint32_t i = 0; i < kinds_count; i++)
		check(victim_prepare(&kinds[i], "good") == 0 && image_read(&images[i], path) == 0 &&
			      tenon_queue_remove(NULL, "good") == 0,
		      "a good queue cannot be made");
}

void fuzz_begin(struct fuzz_case *fuzz, uint8_t kind)
{
	char path[FOLDER_BYTES + 16];

	if (folder[0] == '\0')
		make_images();
	memset(fuzz, 0, sizeof(*fuzz));
	fuzz->kind = &kinds[kind % kinds_count];
	fuzz->image = &images[kind % kinds_count];
	fuzz->record = &record;
	path_of(path, sizeof(path), FUZZ_NAME);
	fuzz->fd = image_write(fuzz->image, path);
	check(fuzz->fd >= 0, "a good queue cannot be copied");
}

static void disown(int fd, uint64_t at)
{
	uint64_t word;

	check(pread(fd, &word, sizeof(word), (off_t)at) == sizeof(word), "unreadable");
	if ((word & TNI_GATE_OWNER) == 0)
		return;
	word &= ~TNI_GATE_OWNER;
	check(pwrite(fd, &word, sizeof(word), (off_t)at) == sizeof(word), "unwritable");
}

void fuzz_write(struct fuzz_case *fuzz, const uint8_t *place, const uint8_t *data, uint64_t bytes)
{
	const struct image *image = fuzz->image;
	uint32_t where = place[0] | place[1] << 8 | place[2] << 16 | (uint32_t)place[3] << 24;
	uint64_t at, end;

	if (where >> 31)
		at = image->hot[(where & INT32_MAX) / 2 % image->hot_count] + where % 2 * 4;
	else
		at = where % image->data_bytes;
	at = image_offset(image, at);
	end = at + bytes;
	if (end > image->file_bytes)
		return;
	check(pwrite(fuzz->fd, data, bytes, (off_t)at) == (ssize_t)bytes, "unwritable");
	for (at &= ~UINT64_C(7); at < end; at += 8)
		if (is_gate(at))
			disown(fuzz->fd, at);
}

void fuzz_kill_owner(struct fuzz_case *fuzz, uint32_t side, uint64_t count)
{
	uint64_t at = control_offset() + (side == 0 ? offsetof(struct tni_queue_control, send)
						    : offsetof(struct tni_queue_control, receive));
	uint64_t journal = at + (side == 0 ? offsetof(struct tni_send_side, journal)
					   : offsetof(struct tni_receive_side, journal));
	uint64_t died = TNI_GATE_OWNER_DIED, words[2];

	/* Both sides have their version behind the gate. */
	check(pread(fuzz->fd, words, 8, (off_t)(at + sizeof(struct tni_gate))) == 8, "unreadable");
	words[1] = count;
	check(pwrite(fuzz->fd, words, sizeof(words), (off_t)journal) == sizeof(words) &&
		      pwrite(fuzz->fd, &died, sizeof(died), (off_t)at) == sizeof(died),
	      "unwritable");
}

void fuzz_end(struct fuzz_case *fuzz)
{
	tenon_queue_remove(NULL, FUZZ_NAME);
	close(fuzz->fd);
	check(!atomic_load(&record.wrong), record.fault);
}

uint64_t fuzz_calls(void)
{
	return atomic_load(&record.called);
}
