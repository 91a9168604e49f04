/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A producer and a consumer over shared memory, as the textbooks have it with POSIX: the buffer lies in memory of
 * shm_open, two semaphores in it count free and full places.  Nothing of Tenon is in it.
 *
 *	cc -o shared_buffer shared_buffer.c && ./shared_buffer			libc's
 *	tenon run --only sem,shm -- ./shared_buffer				the same program on Tenon's
 *	cc -I/usr/local/include/tenon/compat -o shared_buffer shared_buffer.c -ltenon
 *										compiled for them
 */

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES 8
#define ITEMS 10000
#define NAME_BYTES 64

struct buffer {
	sem_t free, full;
	int in, out; /* the next place to fill, and to empty */
	long place[PLACES];
};

static void die(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static struct buffer *map(int fd)
{
	struct buffer *buffer = mmap(NULL, sizeof(*buffer), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				     0);

	if (buffer == MAP_FAILED)
		die("mmap");
	return buffer;
}

static void produce(struct buffer *buffer, long item)
{
	if (sem_wait(&buffer->free) != 0)
		die("sem_wait");
	buffer->place[buffer->in] = item;
	buffer->in = (buffer->in + 1) % PLACES;
	if (sem_post(&buffer->full) != 0)
		die("sem_post");
}

static long consume(struct buffer *buffer)
{
	long item;

	if (sem_wait(&buffer->full) != 0)
		die("sem_wait");
	item = buffer->place[buffer->out];
	buffer->out = (buffer->out + 1) % PLACES;
	if (sem_post(&buffer->free) != 0)
		die("sem_post");
	return item;
}

/* The producer opens the memory by its name, as a program of its own would. */
static void producer(const char *name)
{
	int fd = shm_open(name, O_RDWR, 0);
	struct buffer *buffer;

	if (fd < 0)
		die("shm_open");
	buffer = map(fd);
	for (long item = 1; item <= ITEMS; item++)
		produce(buffer, item);
	exit(EXIT_SUCCESS);
}

int main(void)
{
	char name[NAME_BYTES];
	struct buffer *buffer;
	long sum = 0, item, last = 0;
	pid_t pid;
	int fd, status;

	snprintf(name, sizeof(name), "/shared-buffer.%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die("shm_open");
	if (ftruncate(fd, sizeof(*buffer)) != 0)
		die("ftruncate");
	buffer = map(fd);
	if (sem_init(&buffer->free, 1, PLACES) != 0 || sem_init(&buffer->full, 1, 0) != 0)
		die("sem_init");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		producer(name);
	for (int i = 0; i < ITEMS; i++) {
		item = consume(buffer);
		if (item != last + 1)
			printf("item %ld came behind %ld\n", item, last);
		last = item;
		sum += item;
	}
	printf("%d items, their sum is %ld\n", ITEMS, sum);
	shm_unlink(name);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
