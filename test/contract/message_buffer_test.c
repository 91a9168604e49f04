/* SPDX-License-Identifier: Apache-2.0 */

/* The message buffer: the bounded queue by that name. */

#include <tenon/message_buffer.h>

#include <errno.h>
#include <string.h>

#include "contract.h"

#define NAME "/buffer"
#define LIMIT_NS (10 * SECOND_NS)
#define WAIT_NS (SECOND_NS / 50)
#define MESSAGES 1000u

static struct tenon_queue *open_buffer(uint32_t flags)
{
	struct tenon_queue *buffer = NULL;

	EXPECT_IS(tenon_message_buffer_open(contract_folder, NAME, flags, 3, 16, &buffer), 0);
	REQUIRE(buffer);
	return buffer;
}

static void test_alone(void)
{
	struct tenon_queue *buffer;
	uint64_t bytes = 99;
	char data[16];

	EXPECT_IS(tenon_message_buffer_open(contract_folder, NAME, TENON_CREATE, 0, 16, &buffer),
		  -EINVAL);
	EXPECT_IS(tenon_message_buffer_open(contract_folder, NAME, TENON_CREATE,
					    TENON_QUEUE_UNBOUNDED, 16, &buffer),
		  -EINVAL);
	buffer = open_buffer(TENON_CREATE);
	EXPECT_IS(tenon_message_buffer_receive(buffer, data, sizeof(data), 0, &bytes), -ETIMEDOUT);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT_IS(tenon_message_buffer_send(buffer, "abc", i + 1, 0), 0);
	EXPECT_IS(tenon_message_buffer_send(buffer, "abc", 3, 0), -ETIMEDOUT);
	EXPECT_IS(tenon_message_buffer_send(buffer, "abc", 3, tenon_deadline_after(WAIT_NS)),
		  -ETIMEDOUT);
	EXPECT_IS(tenon_message_buffer_send(buffer, data, 17, 0), -EMSGSIZE);
	for (uint32_t i = 0; i < 3; i++) {
		EXPECT_IS(tenon_message_buffer_receive(buffer, data, sizeof(data), 0, &bytes), 0);
		EXPECT_IS(bytes, i + 1);
		EXPECT(memcmp(data, "abc", i + 1) == 0);
	}
	EXPECT(!tenon_message_buffer_close(buffer));
	EXPECT_IS(tenon_message_buffer_remove(contract_folder, NAME), 0);
	EXPECT_IS(tenon_message_buffer_remove(contract_folder, NAME), -ENOENT);
}

static void send_all(void *context)
{
	struct tenon_queue *buffer = open_buffer(0);

	(void)context;
	for (uint32_t i = 0; i < MESSAGES; i++)
		EXPECT_IS(tenon_message_buffer_send(buffer, &i, sizeof(i),
						    tenon_deadline_after(LIMIT_NS)),
			  0);
}

static void test_two(void)
{
	struct tenon_queue *buffer = open_buffer(TENON_CREATE);
	pid_t child = contract_start(send_all, NULL);

	for (uint32_t i = 0; i < MESSAGES; i++) {
		uint32_t number = 0;

		EXPECT_IS(tenon_message_buffer_receive(buffer, &number, sizeof(number),
						       tenon_deadline_after(LIMIT_NS), NULL),
			  0);
		EXPECT_IS(number, i);
	}
	contract_await(child);
	EXPECT(!tenon_message_buffer_close(buffer));
}

int main(void)
{
	static const struct contract_case cases[] = {
		{"bounded, first in, first out, and errors", test_alone, NULL},
		{"from one process to another", test_two, NULL},
	};

	return contract_main(cases, sizeof(cases) / sizeof(cases[0]));
}
