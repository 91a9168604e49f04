/* SPDX-License-Identifier: Apache-2.0 */

/* Many threads and processes at once. */

#include "mq.h"

#define SENDERS 4
#define RECEIVERS 4
#define EACH 1000
#define ALL (SENDERS * EACH)

/* Each message has a number; how often each was received. */
struct crowd {
	mqd_t queue;
	int sender, received;
	int counts[ALL];
};

static void *sends(void *context)
{
	struct crowd *crowd = context;
	int sender = __atomic_fetch_add(&crowd->sender, 1, __ATOMIC_RELAXED);

	for (int i = 0; i < EACH; i++) {
		int number = sender * EACH + i;

		EXPECT_IS(mq_send(crowd->queue, (char *)&number, sizeof(number),
				  (unsigned)number % 7),
			  0);
	}
	return NULL;
}

/* A negative number ends it. */
static void *receives(void *context)
{
	struct crowd *crowd = context;
	char buffer[BYTES];

	for (;;) {
		unsigned priority = ~0u;
		int number;

		EXPECT_IS(mq_receive(crowd->queue, buffer, sizeof(buffer), &priority),
			  sizeof(number));
		memcpy(&number, buffer, sizeof(number));
		if (number < 0)
			return NULL;
		REQUIRE(number < ALL);
		EXPECT_IS(priority, number % 7);
		__atomic_add_fetch(&crowd->counts[number], 1, __ATOMIC_RELAXED);
	}
}

static void end_receivers(mqd_t queue)
{
	int end = -1;

	for (int i = 0; i < RECEIVERS; i++)
		EXPECT_IS(mq_send(queue, (char *)&end, sizeof(end), 0), 0);
}

static void expect_each_once(const struct crowd *crowd)
{
	for (int i = 0; i < ALL; i++)
		EXPECT_IS(crowd->counts[i], 1);
	EXPECT_MESSAGES(crowd->queue, 0);
}

REQUIREMENT(threads_each_once, "XSH 2.9.1, Thread-Safety",
	    "many threads send and receive at once, and each message is received once")
{
	struct crowd *crowd = conform_share(sizeof(*crowd));
	pthread_t senders[SENDERS], receivers[RECEIVERS];

	crowd->queue = make_queue(O_RDWR);
	for (int i = 0; i < RECEIVERS; i++)
		REQUIRE(pthread_create(&receivers[i], NULL, receives, crowd) == 0);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_create(&senders[i], NULL, sends, crowd) == 0);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_join(senders[i], NULL) == 0);
	end_receivers(crowd->queue);
	for (int i = 0; i < RECEIVERS; i++)
		REQUIRE(pthread_join(receivers[i], NULL) == 0);
	expect_each_once(crowd);
}

static void process_of_sender(void *context)
{
	(void)sends(context);
}

static void process_of_receiver(void *context)
{
	(void)receives(context);
}

REQUIREMENT(processes_each_once, "mq_send and mq_receive, DESCRIPTION",
	    "many processes send and receive at once, and each message is received once")
{
	struct crowd *crowd = conform_share(sizeof(*crowd));
	pid_t senders[SENDERS], receivers[RECEIVERS];

	crowd->queue = make_queue(O_RDWR);
	for (int i = 0; i < RECEIVERS; i++)
		receivers[i] = conform_start(process_of_receiver, crowd);
	for (int i = 0; i < SENDERS; i++)
		senders[i] = conform_start(process_of_sender, crowd);
	for (int i = 0; i < SENDERS; i++)
		conform_await(senders[i]);
	end_receivers(crowd->queue);
	for (int i = 0; i < RECEIVERS; i++)
		conform_await(receivers[i]);
	expect_each_once(crowd);
}

static void *receives_in_order(void *context)
{
	struct crowd *crowd = context;
	int last[SENDERS];

	memset(last, -1, sizeof(last));
	for (int i = 0; i < ALL; i++) {
		char buffer[BYTES];
		int number;

		EXPECT_IS(mq_receive(crowd->queue, buffer, sizeof(buffer), NULL), sizeof(number));
		memcpy(&number, buffer, sizeof(number));
		REQUIRE(number >= 0 && number < ALL);
		EXPECT(last[number / EACH] < number % EACH);
		last[number / EACH] = number % EACH;
	}
	return NULL;
}

static void *sends_alike(void *context)
{
	struct crowd *crowd = context;
	int sender = __atomic_fetch_add(&crowd->sender, 1, __ATOMIC_RELAXED);

	for (int i = 0; i < EACH; i++) {
		int number = sender * EACH + i;

		EXPECT_IS(mq_send(crowd->queue, (char *)&number, sizeof(number), 3), 0);
	}
	return NULL;
}

REQUIREMENT(threads_in_order, "mq_receive, DESCRIPTION, oldest",
	    "what one sender sends with one priority is received in its order, though others send "
	    "as well")
{
	struct crowd *crowd = conform_share(sizeof(*crowd));
	pthread_t senders[SENDERS];

	crowd->queue = make_queue(O_RDWR);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_create(&senders[i], NULL, sends_alike, crowd) == 0);
	(void)receives_in_order(crowd);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_join(senders[i], NULL) == 0);
	EXPECT_MESSAGES(crowd->queue, 0);
}

struct exchange {
	mqd_t here, there;
};

#define EXCHANGES 2000

static void answers(void *context)
{
	struct exchange *exchange = context;
	char buffer[BYTES];

	for (int i = 0; i < EXCHANGES; i++) {
		unsigned priority = 0;

		EXPECT_IS(mq_receive(exchange->here, buffer, sizeof(buffer), &priority), 4);
		EXPECT_IS(mq_send(exchange->there, buffer, 4, priority), 0);
	}
}

REQUIREMENT(round_trips, "mq_send and mq_receive, DESCRIPTION",
	    "two processes answer each other through two queues")
{
	struct exchange exchange = {make_queue(O_RDWR), make_sized(OTHER, O_RDWR, 1, BYTES)};
	pid_t child = conform_start(answers, &exchange);

	for (unsigned i = 0; i < EXCHANGES; i++) {
		char buffer[BYTES];
		unsigned priority = ~0u, back = ~0u;

		EXPECT_IS(mq_send(exchange.here, (char *)&i, sizeof(i), i % 32768), 0);
		EXPECT_IS(mq_receive(exchange.there, buffer, sizeof(buffer), &priority), 4);
		memcpy(&back, buffer, sizeof(back));
		EXPECT_IS(back, i);
		EXPECT_IS(priority, i % 32768);
	}
	conform_await(child);
}

static void *opens_and_closes(void *context)
{
	struct crowd *crowd = context;

	for (int i = 0; i < 200; i++) {
		mqd_t queue = mq_open(NAME, O_RDWR);

		REQUIRE(queue != NONE);
		EXPECT_IS(mq_send(queue, "x", 1, 0), 0);
		EXPECT_IS(mq_close(queue), 0);
		__atomic_add_fetch(&crowd->sender, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

REQUIREMENT(threads_open, "XSH 2.9.1, Thread-Safety",
	    "threads open and close at once, and use what they opened")
{
	struct crowd *crowd = conform_share(sizeof(*crowd));
	pthread_t threads[SENDERS];
	char buffer[BYTES];

	crowd->queue = make_queue(O_RDWR);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, opens_and_closes, crowd) == 0);
	for (int i = 0; i < SENDERS * 200; i++)
		EXPECT_IS(mq_receive(crowd->queue, buffer, sizeof(buffer), NULL), 1);
	for (int i = 0; i < SENDERS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	EXPECT_MESSAGES(crowd->queue, 0);
}

static void waits_and_sends(void *context)
{
	EXPECT_IS(mq_send(*(mqd_t *)context, "told", 4, 1), 0);
}

static void *forks(void *context)
{
	for (int i = 0; i < 20; i++)
		conform_act(waits_and_sends, context);
	return NULL;
}

REQUIREMENT(
	threads_fork, "fork, DESCRIPTION",
	"a process forks while its other threads send and receive, and the children use the queue")
{
	mqd_t busy = make_queue(O_RDWR), told = make_sized(OTHER, O_RDWR, 10, BYTES);
	pthread_t thread;
	char buffer[BYTES];

	REQUIRE(pthread_create(&thread, NULL, forks, &told) == 0);
	for (int got = 0; got < 20;) {
		put(busy, "busy", 1);
		take(busy, "busy", 1);
		struct timespec passed = {0};

		if (mq_timedreceive(told, buffer, sizeof(buffer), NULL, &passed) == 4)
			got++;
	}
	REQUIRE(pthread_join(thread, NULL) == 0);
}
