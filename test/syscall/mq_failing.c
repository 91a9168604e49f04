/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls of POSIX message queues whose n-th system call fails: see failing_sweep.h.  What has failed has sent and received
 * nothing, its errno is one that the header names, no descriptor is left open, and it works then.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tenon/posix.h>
#include <tenon/queue.h>

#include "../contract/sanitized.h"
#include "core/clock.h"
#include "failing_sweep.h"

#define NAME "/failing"
#define OTHER "/other"
#define CAPACITY 3u
#define MESSAGE_BYTES 40u
#define WAIT_NS INT64_C(1000000)
#define LONG_NS INT64_C(40000000000)
#define NONE (-1)

struct mq_state {
	struct tenon_queue *watch;
	int fd;
};

struct mq_operation {
	const char *name;
	int (*run)(struct mq_state *state); /* 0 or negative errno */
	int normal;
	uint32_t messages; /* before */
	int change;	   /* of them */
	int descriptors;   /* more or less */
	int (*before)(struct mq_state *state);
	bool no_handle, is_first, is_inherited, is_unpolled;
};

static struct mq_state inherited = {NULL, NONE};
static const struct mq_operation *running;

static int answer(long result)
{
	return result < 0 ? -errno : 0;
}

static struct timespec until(void)
{
	int64_t wait_ns = running->normal == -ETIMEDOUT ? WAIT_NS : LONG_NS;

	return tni_timespec(tni_clock_ns(CLOCK_REALTIME) + wait_ns);
}

static int open_by_name(const char *name, int oflag, struct mq_state *state)
{
	struct mq_attr attributes = {.mq_maxmsg = CAPACITY, .mq_msgsize = MESSAGE_BYTES};
	mqd_t fd = tenon_mq_open(name, oflag, 0600, &attributes);

	if (fd == (mqd_t)-1)
		return -errno;
	state->fd = (int)fd;
	return 0;
}

static int open_it(struct mq_state *state)
{
	return open_by_name(NAME, O_RDWR | (running->is_unpolled ? TENON_MQ_UNPOLLED : 0), state);
}

/* Once more, by another descriptor. */
static int open_again(struct mq_state *state)
{
	struct mq_state again = {NULL, NONE};

	return open_by_name(NAME, O_RDONLY, running->no_handle ? state : &again);
}

static int create(struct mq_state *state)
{
	return open_by_name(OTHER, O_RDWR | O_CREAT, state);
}

static int close_it(struct mq_state *state)
{
	return answer(tenon_mq_close((mqd_t)state->fd));
}

static int make_other(struct mq_state *state)
{
	struct mq_state other = {NULL, NONE};
	int result = open_by_name(OTHER, O_RDWR | O_CREAT, &other);

	(void)state;
	return result == 0 ? close_it(&other) : result;
}

static int unlink_other(struct mq_state *state)
{
	(void)state;
	return answer(tenon_mq_unlink(OTHER));
}

static int send(struct mq_state *state)
{
	return answer(tenon_mq_send((mqd_t)state->fd, "message", 7, 1));
}

static int send_until(struct mq_state *state)
{
	struct timespec deadline = until();

	return answer(tenon_mq_timedsend((mqd_t)state->fd, "message", 7, 2, &deadline));
}

static int receive(struct mq_state *state)
{
	char message[MESSAGE_BYTES];

	return answer(tenon_mq_receive((mqd_t)state->fd, message, sizeof(message), NULL));
}

static int receive_until(struct mq_state *state)
{
	struct timespec deadline = until();
	char message[MESSAGE_BYTES];

	return answer(
		tenon_mq_timedreceive((mqd_t)state->fd, message, sizeof(message), NULL, &deadline));
}

static int register_by(struct mq_state *state, int how)
{
	struct sigevent event = {.sigev_notify = how, .sigev_signo = SIGURG};

	return answer(tenon_mq_notify((mqd_t)state->fd, &event));
}

static int register_silently(struct mq_state *state)
{
	return register_by(state, SIGEV_NONE);
}

static int register_for_signal(struct mq_state *state)
{
	return register_by(state, SIGEV_SIGNAL);
}

static int withdraw(struct mq_state *state)
{
	return answer(tenon_mq_notify((mqd_t)state->fd, NULL));
}

static int look(struct mq_state *state)
{
	struct mq_attr attributes;

	return answer(tenon_mq_getattr((mqd_t)state->fd, &attributes));
}

static int set(struct mq_state *state)
{
	struct mq_attr attributes = {.mq_flags = O_NONBLOCK}, before;

	return answer(tenon_mq_setattr((mqd_t)state->fd, &attributes, &before));
}

static const struct mq_operation operations[] = {
	{"open, the first call of all", open_it, .descriptors = 3, .no_handle = true,
	 .is_first = true},
	{"open", open_it, .descriptors = 3, .no_handle = true},
	{"open for who does not poll", open_it, .descriptors = 3, .no_handle = true,
	 .is_unpolled = true},
	{"open once more", open_again, .descriptors = 1},
	{"create", create, .descriptors = 3, .no_handle = true},
	{"close", close_it, .descriptors = -3},
	{"close one that is registered", close_it, .descriptors = -3, .before = register_silently},
	{"unlink", unlink_other, .before = make_other},
	{"send", send, .change = 1},
	{"send the last that there is room for", send, .messages = CAPACITY - 1, .change = 1},
	{"send in vain", send_until, -ETIMEDOUT, CAPACITY, .change = 0},
	{"send to who is registered", send, .change = 1, .before = register_silently},
	{"send in a child", send, .change = 1, .is_inherited = true},
	{"receive", receive, .messages = 2, .change = -1},
	{"receive the last", receive, .messages = 1, .change = -1},
	{"receive from the full one", receive, .messages = CAPACITY, .change = -1},
	{"receive in vain", receive_until, -ETIMEDOUT, 0, .change = 0},
	{"receive in vain, registered", receive_until, -ETIMEDOUT, 0, .before = register_silently},
	{"receive in a child", receive, .messages = 1, .change = -1, .is_inherited = true},
	{"register", register_silently, .change = 0},
	{"register for a signal", register_for_signal, .change = 0},
	{"withdraw", withdraw, .before = register_silently},
	{"withdraw the signal", withdraw, .before = register_for_signal},
	{"getattr", look, .messages = 1},
	{"setattr", set, .messages = 1},
};

/* By the other interface, which looks on, and fills it. */
static struct tenon_queue *make(uint32_t messages)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .flags = TENON_QUEUE_SPLIT_MODE,
					      .order = TENON_QUEUE_PRIORITY,
					      .mode = 0600,
					      .capacity = CAPACITY,
					      .max_message_bytes = MESSAGE_BYTES};
	struct tenon_queue *queue;

	if (tenon_queue_open(NULL, NAME, TENON_CREATE, &options, &queue) != 0)
		failing_wrong("cannot be made", 0);
	for (uint32_t i = 0; i < messages; i++)
		if (tenon_queue_send(queue, "message", 7, NULL) != 0)
			failing_wrong("cannot be filled", (int)i);
	return queue;
}

static int messages_of(const struct mq_state *state)
{
	struct tenon_queue_status status = {.size = sizeof(status)};

	if (tenon_queue_status(state->watch, &status) != 0)
		failing_wrong("no status", 0);
	return (int)status.messages;
}

/* As the descriptor tells it, where it is to be polled. */
static void check_polled(const struct mq_state *state)
{
	struct pollfd entry = {.fd = state->fd, .events = POLLIN | POLLOUT};
	int messages = messages_of(state);

	if (running->is_unpolled || state->fd < 0 || running->descriptors != 0)
		return;
	if (poll(&entry, 1, 0) < 0 || (messages > 0 && !(entry.revents & POLLIN)) ||
	    (messages < (int)CAPACITY && !(entry.revents & POLLOUT)))
		failing_wrong("the descriptor promises too little", entry.revents);
}

/* In the traced process. */
static void scenario(void *context)
{
	struct mq_state state = {NULL, NONE};
	int descriptors, messages, result, errors = 0;
	uint64_t mapped;

	running = &operations[*(const uint32_t *)context];
	if (running->is_inherited)
		state = inherited;
	state.watch = make(running->is_inherited ? 0 : running->messages);
	if (!running->is_first && make_other(&state) != 0)
		failing_wrong("nothing can be made", 0);
	if (running->run == create)
		unlink_other(&state);
	if (!running->no_handle && !running->is_inherited && open_it(&state) != 0)
		failing_wrong("cannot be opened", 0);
	if (running->before && running->before(&state) != 0)
		failing_wrong("cannot be prepared", 0);
	messages = messages_of(&state);
	descriptors = failing_count_descriptors();
	mapped = failing_count_mapped();

	failing_begin();
	result = running->run(&state);
	failing_end();
	if (result != running->normal) {
		errors++;
		/* EIO: of a file system that cannot change a mode, which tmpfs always can. */
		failing_told(result, (const int[]){-EAGAIN, -EFBIG, -EIO, FAILING_LIST_END});
		if (messages_of(&state) != messages)
			failing_wrong("failed, and changed it", messages_of(&state));
		if (running->run != close_it && failing_count_descriptors() > descriptors)
			failing_wrong("descriptors are left", failing_count_descriptors());
		if (running->no_handle && !running->is_first && failing_count_mapped() != mapped)
			failing_wrong("mappings are left", result);
		result = running->run(&state);
		if (result != running->normal &&
		    !(running->run == unlink_other && result == -ENOENT) &&
		    !(running->run == close_it && result == -EBADF))
			failing_wrong("works no more", result);
	}
	if (messages_of(&state) != messages + running->change)
		failing_wrong("so many messages", messages_of(&state));
	/* Some may have had to do without one of their own. */
	if (failing_count_descriptors() > descriptors + running->descriptors &&
	    !running->is_inherited)
		failing_wrong("more descriptors",
			      failing_count_descriptors() - descriptors - running->descriptors);
	check_polled(&state);
	_exit(0);
}

static const char *name_of(uint32_t operation)
{
	return operations[operation].name;
}

static void inherit(uint32_t operation)
{
	running = &operations[operation];
	inherited = (struct mq_state){NULL, NONE};
	if (!running->is_inherited)
		return;
	inherited.watch = make(running->messages);
	if (open_it(&inherited) != 0)
		failing_wrong("cannot be opened", 0);
}

/* Which the call that failed was to remove: `tenon doctor` names them.  There are none else. */
static void remove_fifos(void)
{
	DIR *directory = opendir(getenv("TENON_NAMESPACE"));
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL)
		if (running->run == unlink_other && strncmp(entry->d_name, ".q.", 3) == 0)
			unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
}

static void clean(void)
{
	if (inherited.fd >= 0)
		tenon_mq_close((mqd_t)inherited.fd);
	inherited.watch = tenon_queue_close(inherited.watch);
	inherited.fd = NONE;
	tenon_mq_unlink(NAME);
	tenon_mq_unlink(OTHER);
	remove_fifos();
}

int main(int argc, char **argv)
{
	static const struct failing_set set = {.operations = sizeof(operations) /
							     sizeof(operations[0]),
					       .name = name_of,
					       .scenario = scenario,
					       .inherit = inherit,
					       .clean = clean};

	/* A sanitizer ends the process when it gets no memory for a thread. */
	if (IS_SANITIZED) {
		printf("1..0 # SKIP what threads are made of fails, and the sanitizer with it\n");
		return 0;
	}
	return failing_sweep_main(argc, argv, &set);
}
