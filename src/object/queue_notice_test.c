/* SPDX-License-Identifier: Apache-2.0 */

/* Shows that who has taken a message and was killed before he showed it to the senders neither costs the registered process
 * its notice nor gives it one of what is gone. */

#include "object/queue_descriptor.h"

#include <errno.h>

#include "core/test.h"
#include "object/queue_private.h"

static struct tenon_queue *make(void)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = TENON_QUEUE_PRIORITY,
					      .capacity = 2,
					      .max_message_bytes = 16,
					      .mode = 0600};
	struct tenon_queue *queue;

	REQUIRE(tenon_queue_open(NULL, "/test", TENON_QUEUE_CREATE | TENON_QUEUE_EXCLUSIVE,
				 &options, &queue) == 0);
	return queue;
}

static void close_and_remove(struct tenon_queue *queue)
{
	tenon_queue_close(queue);
	REQUIRE(tenon_queue_remove(NULL, "/test") == 0);
}

static uint32_t register_it(struct tenon_queue *queue)
{
	uint32_t serial = 0;

	REQUIRE(tni_notice_register(queue, 0, &serial) == 0);
	return serial;
}

static int take_notice(struct tenon_queue *queue, uint32_t serial)
{
	uint32_t uid;
	int32_t pid;

	return tni_notice_take(queue, serial, INT64_MAX, &pid, &uid);
}

static void send_one(struct tenon_queue *queue)
{
	REQUIRE(tenon_queue_send(queue, "1", 1, NULL) == 0);
}

/* As one leaves it who is killed right behind his commit. */
static void receive_and_die(struct tenon_queue *queue)
{
	struct tni_receive_side *side = &queue->control->receive;
	uint64_t gone = tni_get64(&side->gone_seen), done = tni_get64(&side->done_seen);
	char buffer[16];

	REQUIRE(tenon_queue_receive(queue, buffer, sizeof(buffer), NULL, NULL) == 0);
	tni_set64(&side->gone_seen, gone);
	tni_set64(&side->done_seen, done);
}

static void test_comes_to_empty(void)
{
	struct tenon_queue *queue = make();
	uint32_t serial;

	send_one(queue);
	serial = register_it(queue);
	receive_and_die(queue);
	send_one(queue);
	REQUIRE(take_notice(queue, serial) == 0);
	close_and_remove(queue);
}

static void test_withheld_and_gone(void)
{
	struct tenon_queue *queue = make();
	struct tni_participant *own = tni_object_participant(&queue->object,
							     queue->object.participant);
	uint32_t serial = register_it(queue);

	tni_set32(&own->blocked, 1);
	send_one(queue);
	REQUIRE(take_notice(queue, serial) == -EAGAIN);
	receive_and_die(queue);
	tni_set32(&own->blocked, 0);
	REQUIRE(take_notice(queue, serial) == -EAGAIN);
	/* It has not been lost. */
	send_one(queue);
	REQUIRE(take_notice(queue, serial) == 0);
	close_and_remove(queue);
}

int main(void)
{
	test_folder_make();
	test_comes_to_empty();
	test_withheld_and_gone();
	return 0;
}
