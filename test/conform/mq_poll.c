/* SPDX-License-Identifier: Apache-2.0 */

/* poll, select and epoll on message queue descriptors: mq_overview(7), "descriptors". */

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "mq.h"

#define SECTION "mq_overview(7), Polling message queue descriptors; "

static int polled(mqd_t queue)
{
	struct pollfd one = {.fd = queue, .events = POLLIN | POLLOUT};

	EXPECT(poll(&one, 1, 0) >= 0);
	return one.revents;
}

static int ppolled(mqd_t queue)
{
	struct pollfd one = {.fd = queue, .events = POLLIN | POLLOUT};
	struct timespec none = {0};

	EXPECT(ppoll(&one, 1, &none, NULL) >= 0);
	return one.revents;
}

static int from_sets(mqd_t queue, const fd_set *in, const fd_set *out, const fd_set *other)
{
	EXPECT(!FD_ISSET(queue, other));
	return (FD_ISSET(queue, in) ? POLLIN : 0) | (FD_ISSET(queue, out) ? POLLOUT : 0);
}

static int selected(mqd_t queue)
{
	struct timeval none = {0};
	fd_set sets[3];

	for (int i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(queue, &sets[i]);
	}
	EXPECT(select(queue + 1, &sets[0], &sets[1], &sets[2], &none) >= 0);
	return from_sets(queue, &sets[0], &sets[1], &sets[2]);
}

static int pselected(mqd_t queue)
{
	struct timespec none = {0};
	fd_set sets[3];

	for (int i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(queue, &sets[i]);
	}
	EXPECT(pselect(queue + 1, &sets[0], &sets[1], &sets[2], &none, NULL) >= 0);
	return from_sets(queue, &sets[0], &sets[1], &sets[2]);
}

static int make_epoll(mqd_t queue, uint32_t events)
{
	struct epoll_event event = {.events = events};
	int set = epoll_create1(EPOLL_CLOEXEC);

	REQUIRE(set >= 0);
	EXPECT_IS(epoll_ctl(set, EPOLL_CTL_ADD, queue, &event), 0);
	return set;
}

/* The events that are there now; 0: none. */
static int take_events(int set)
{
	struct epoll_event event = {0};

	return epoll_wait(set, &event, 1, 0) == 1 ? (int)event.events : 0;
}

static int epolled(mqd_t queue)
{
	int set = make_epoll(queue, EPOLLIN | EPOLLOUT);
	int events = take_events(set);

	close(set);
	return events;
}

/* Level-triggered: a way of looking tells the three states, again and again. */
static void expect_states(int (*look)(mqd_t queue))
{
	mqd_t queue = make_queue(O_RDWR);

	for (int round = 0; round < 2; round++) {
		for (int again = 0; again < 2; again++)
			EXPECT_IS(look(queue), POLLOUT);
		for (int i = 1; i < MESSAGES; i++) {
			put(queue, "x", (unsigned)i);
			for (int again = 0; again < 2; again++)
				EXPECT_IS(look(queue), POLLIN | POLLOUT);
		}
		fill(queue);
		for (int again = 0; again < 2; again++)
			EXPECT_IS(look(queue), POLLIN);
		let_go(SEND, queue);
		EXPECT_IS(look(queue), POLLIN | POLLOUT);
		drain(queue);
	}
}

REQUIREMENT(poll_states, SECTION "poll(2)",
	    "poll tells exactly whether there is a message and whether there is room")
{
	expect_states(polled);
}

REQUIREMENT(ppoll_states, SECTION "ppoll(2)",
	    "ppoll tells exactly whether there is a message and whether there is room")
{
	expect_states(ppolled);
}

REQUIREMENT(select_states, SECTION "select(2)",
	    "select tells exactly whether there is a message and whether there is room")
{
	expect_states(selected);
}

REQUIREMENT(pselect_states, SECTION "pselect(2)",
	    "pselect tells exactly whether there is a message and whether there is room")
{
	expect_states(pselected);
}

REQUIREMENT(epoll_states, SECTION "epoll(7)",
	    "epoll tells exactly whether there is a message and whether there is room")
{
	expect_states(epolled);
}

REQUIREMENT(poll_one_message, SECTION "poll(2)",
	    "a queue of one message is either writable or readable")
{
	mqd_t queue = make_sized(NAME, O_RDWR, 1, 8);

	for (int i = 0; i < 2; i++) {
		EXPECT_IS(polled(queue), POLLOUT);
		put(queue, "x", 1);
		EXPECT_IS(polled(queue), POLLIN);
		take(queue, "x", 1);
	}
}

REQUIREMENT(poll_empty_message, SECTION "poll(2)", "a message of no bytes makes the queue readable")
{
	mqd_t queue = make_queue(O_RDWR);

	put(queue, "", 1);
	EXPECT_IS(polled(queue), POLLIN | POLLOUT);
}

REQUIREMENT(poll_normal, SECTION "poll(2), POLLRDNORM",
	    "POLLRDNORM and POLLWRNORM are told with the others")
{
	struct pollfd one = {.fd = make_queue(O_RDWR), .events = POLLRDNORM | POLLWRNORM};

	put(one.fd, "x", 1);
	EXPECT_IS(poll(&one, 1, 0), 1);
	EXPECT_IS(one.revents, POLLRDNORM | POLLWRNORM);
}

REQUIREMENT(poll_access, SECTION "poll(2)",
	    "what may be received is told to who may receive, room to who may send")
{
	mqd_t queue = make_queue(O_RDWR), reader = open_queue(O_RDONLY),
	      writer = open_queue(O_WRONLY);

	EXPECT_IS(polled(reader) & POLLIN, 0);
	EXPECT_IS(polled(writer) & POLLOUT, POLLOUT);
	fill(queue);
	EXPECT_IS(polled(reader) & POLLIN, POLLIN);
	EXPECT_IS(polled(writer) & POLLOUT, 0);
}

REQUIREMENT(poll_copies, SECTION "dup(2)",
	    "copies and other openings of the queue are told the same")
{
	mqd_t queue = make_queue(O_RDWR), copy = dup(queue), again = open_queue(O_RDWR);

	put(queue, "x", 1);
	EXPECT_IS(polled(copy), POLLIN | POLLOUT);
	EXPECT_IS(polled(again), POLLIN | POLLOUT);
	take(again, "x", 1);
	EXPECT_IS(polled(copy), POLLOUT);
	EXPECT_IS(polled(queue), POLLOUT);
}

REQUIREMENT(poll_opened_later, SECTION "poll(2)",
	    "who opens a queue that holds messages is told so")
{
	mqd_t queue = make_queue(O_RDWR);

	fill(queue);
	EXPECT_IS(mq_close(queue), 0);
	queue = open_queue(O_RDWR);
	EXPECT_IS(polled(queue), POLLIN);
	drain(queue);
	EXPECT_IS(mq_close(queue), 0);
	EXPECT_IS(polled(open_queue(O_RDWR)), POLLOUT);
}

REQUIREMENT(poll_unlinked, SECTION "poll(2)",
	    "an unlinked queue is told as others are, and a new one of its name for itself")
{
	mqd_t old = make_queue(O_RDWR), new;

	EXPECT_IS(mq_unlink(NAME), 0);
	new = make_queue(O_RDWR);
	put(old, "x", 1);
	EXPECT_IS(polled(old), POLLIN | POLLOUT);
	EXPECT_IS(polled(new), POLLOUT);
	fill(new);
	EXPECT_IS(polled(new), POLLIN);
	EXPECT_IS(polled(old), POLLIN | POLLOUT);
}

/* Waits in some way until the queue is ready for that. */
struct poller {
	mqd_t queue;
	int events, way;
};

static void waits(void *context)
{
	struct poller *poller = context;
	struct pollfd one = {.fd = poller->queue, .events = (short)poller->events};
	struct epoll_event event = {0};
	fd_set set;

	switch (poller->way) {
	case 0:
		EXPECT_IS(poll(&one, 1, -1), 1);
		EXPECT_IS(one.revents, poller->events);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(poller->queue, &set);
		EXPECT_IS(select(poller->queue + 1, poller->events == POLLIN ? &set : NULL,
				 poller->events == POLLOUT ? &set : NULL, NULL, NULL),
			  1);
		break;
	default:
		EXPECT_IS(epoll_wait(make_epoll(poller->queue, (uint32_t)poller->events), &event, 1,
				     -1),
			  1);
		EXPECT_IS(event.events, poller->events);
	}
}

static void expect_woken(int way, bool send)
{
	enum call call = send ? SEND : RECEIVE;
	struct poller poller = {make_blocking(call), send ? POLLOUT : POLLIN, way};
	pid_t inherits = conform_start(waits, &poller), opens;

	conform_await_blocked(inherits, 0);
	poller.queue = open_queue(O_RDWR);
	opens = conform_start(waits, &poller);
	conform_await_blocked(opens, 0);
	let_go(call, poller.queue);
	conform_await(inherits);
	conform_await(opens);
}

REQUIREMENT(poll_woken_by_send, SECTION "poll(2)", "another process's send wakes whoever polls")
{
	expect_woken(0, false);
}

REQUIREMENT(poll_woken_by_receive, SECTION "poll(2)",
	    "another process's receive wakes whoever polls for room")
{
	expect_woken(0, true);
}

REQUIREMENT(select_woken_by_send, SECTION "select(2)",
	    "another process's send wakes whoever selects")
{
	expect_woken(1, false);
}

REQUIREMENT(select_woken_by_receive, SECTION "select(2)",
	    "another process's receive wakes whoever selects for room")
{
	expect_woken(1, true);
}

REQUIREMENT(epoll_woken_by_send, SECTION "epoll(7)",
	    "another process's send wakes whoever waits by epoll")
{
	expect_woken(2, false);
}

REQUIREMENT(epoll_woken_by_receive, SECTION "epoll(7)",
	    "another process's receive wakes whoever waits by epoll for room")
{
	expect_woken(2, true);
}

REQUIREMENT(epoll_edge_in, SECTION "epoll(7), EPOLLET",
	    "edge-triggered, one is told once that a message came to the empty queue")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);
	int set = make_epoll(queue, EPOLLIN | EPOLLET);

	for (int i = 0; i < 3; i++) {
		EXPECT_IS(take_events(set), 0);
		put(other, "x", 1);
		EXPECT_IS(take_events(set), EPOLLIN);
		EXPECT_IS(take_events(set), 0);
		take(queue, "x", 1);
	}
}

REQUIREMENT(epoll_edge_out, SECTION "epoll(7), EPOLLET",
	    "edge-triggered, one is told once that the full queue has room")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);
	int set;

	fill(queue);
	set = make_epoll(queue, EPOLLOUT | EPOLLET);
	for (int i = 0; i < 3; i++) {
		EXPECT_IS(take_events(set), 0);
		let_go(SEND, other);
		EXPECT_IS(take_events(set), EPOLLOUT);
		EXPECT_IS(take_events(set), 0);
		fill(queue);
	}
}

REQUIREMENT(epoll_edge_each, SECTION "epoll(7), EPOLLET",
	    "edge-triggered, one is told of each further message on Linux")
{
	mqd_t queue = make_queue(O_RDWR);
	int set = make_epoll(queue, EPOLLIN | EPOLLET);

	for (int i = 0; i < MESSAGES; i++) {
		put(queue, "x", 1);
		EXPECT_IS(take_events(set), EPOLLIN);
		EXPECT_IS(take_events(set), 0);
	}
}

REQUIREMENT(epoll_once, SECTION "epoll(7), EPOLLONESHOT",
	    "with EPOLLONESHOT one is told once until one asks anew")
{
	mqd_t queue = make_queue(O_RDWR);
	int set = make_epoll(queue, EPOLLIN | EPOLLONESHOT);
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};

	put(queue, "x", 1);
	EXPECT_IS(take_events(set), EPOLLIN);
	put(queue, "x", 1);
	EXPECT_IS(take_events(set), 0);
	EXPECT_IS(epoll_ctl(set, EPOLL_CTL_MOD, queue, &event), 0);
	EXPECT_IS(take_events(set), EPOLLIN);
}

REQUIREMENT(epoll_closed, SECTION "epoll(7), Questions and answers",
	    "what is closed leaves the set")
{
	mqd_t queue = make_queue(O_RDWR), other = open_queue(O_RDWR);
	int set = make_epoll(queue, EPOLLIN);

	put(other, "x", 1);
	EXPECT_IS(take_events(set), EPOLLIN);
	EXPECT_IS(mq_close(queue), 0);
	EXPECT_IS(take_events(set), 0);
}

REQUIREMENT(poll_after_blocked, SECTION "poll(2)",
	    "a message that goes to a blocked receiver, or from a blocked sender, leaves the "
	    "states right")
{
	struct caller receiver = {.call = RECEIVE, .queue = make_queue(O_RDWR)};
	struct caller sender = {.call = SEND, .queue = receiver.queue};

	caller_block(&receiver);
	EXPECT_IS(polled(receiver.queue), POLLOUT);
	put(receiver.queue, "go", 1);
	caller_join(&receiver);
	EXPECT_IS(polled(receiver.queue), POLLOUT);
	fill(sender.queue);
	caller_block(&sender);
	EXPECT_IS(polled(sender.queue), POLLIN);
	let_go(SEND, sender.queue);
	caller_join(&sender);
	EXPECT_IS(polled(sender.queue), POLLIN);
}

struct traffic {
	mqd_t queue;
	int count;
};

#define TRAFFIC 2000

static void polls_and_receives(void *context)
{
	struct traffic *traffic = context;
	char buffer[BYTES];

	while (traffic->count < TRAFFIC) {
		struct pollfd one = {.fd = traffic->queue, .events = POLLIN};

		EXPECT_IS(poll(&one, 1, -1), 1);
		if (mq_receive(traffic->queue, buffer, sizeof(buffer), NULL) >= 0)
			traffic->count++;
		else
			EXPECT_IS(errno, EAGAIN);
	}
}

REQUIREMENT(poll_loop, SECTION "poll(2)",
	    "a program that polls, and receives without waiting, misses no message")
{
	struct traffic traffic = {make_queue(O_RDWR | O_NONBLOCK), 0};
	pid_t child = conform_start(polls_and_receives, &traffic);

	for (int i = 0; i < TRAFFIC; i++) {
		struct pollfd one = {.fd = traffic.queue, .events = POLLOUT};

		while (mq_send(traffic.queue, "x", 1, (unsigned)i % 5) != 0) {
			EXPECT_IS(errno, EAGAIN);
			EXPECT_IS(poll(&one, 1, -1), 1);
		}
	}
	conform_await(child);
	EXPECT_MESSAGES(traffic.queue, 0);
}
