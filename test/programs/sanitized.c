/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Two threads and a queue, compiled with a sanitizer: prints the sum of what was received.  Whatever a sanitizer finds in
 * it is a fault of what stands in for libc.
 *
 *	sanitized NAME		with `-` for the name: nothing is done, to see whether it runs here at all
 */

#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 300
#define BYTES 200

static mqd_t queue;

static volatile sig_atomic_t handled;

static void on_signal(int number)
{
	handled += number == SIGUSR1;
}

static void *send_all(void *context)
{
	char *message = malloc(BYTES);

	for (unsigned i = 0; i < MESSAGES; i++) {
		memset(message, 0, BYTES);
		memcpy(message, &i, sizeof(i));
		/* The sizes go different ways in the library. */
		if (mq_send(queue, message, 4 + i % (BYTES - 4), i % 3) != 0)
			abort();
	}
	free(message);
	return context;
}

static unsigned receive_all(void)
{
	char *message = malloc(BYTES);
	unsigned sum = 0, value;

	for (int i = 0; i < MESSAGES; i++) {
		/* No sanitizer knows that the call writes there. */
		memset(message, 0, BYTES);
		if (mq_receive(queue, message, BYTES, NULL) < 4)
			abort();
		memcpy(&value, message, sizeof(value));
		sum += value;
	}
	free(message);
	return sum;
}

int main(int count, char **arguments)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = BYTES};
	pthread_t thread;

	if (count < 2)
		return 2;
	if (strcmp(arguments[1], "-") == 0)
		return 0;
	signal(SIGUSR1, on_signal);
	queue = mq_open(arguments[1], O_RDWR | O_CREAT, 0600, &attributes);
	if (queue < 0) {
		perror("mq_open");
		return 1;
	}
	if (pthread_create(&thread, NULL, send_all, NULL) != 0)
		return 1;
	raise(SIGUSR1);
	if (handled != 1)
		abort();
	printf("%u\n", receive_all());
	pthread_join(thread, NULL);
	return mq_close(queue) != 0 || mq_unlink(arguments[1]) != 0;
}
