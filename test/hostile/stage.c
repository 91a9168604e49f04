/* SPDX-License-Identifier: Apache-2.0 */

#include "stage.h"

#include <sys/mman.h>
#include <unistd.h>

struct tenon_send_options sending(void)
{
	return (struct tenon_send_options){.size = sizeof(struct tenon_send_options),
					   .deadline_ns = tenon_deadline_after(WAIT_NS)};
}

struct tenon_receive_options receiving(void)
{
	return (struct tenon_receive_options){.size = sizeof(struct tenon_receive_options),
					      .deadline_ns = tenon_deadline_after(WAIT_NS)};
}

int send_bytes(struct stage *stage, uint64_t bytes)
{
	struct tenon_send_options options = sending();

	return tenon_queue_send(stage->queue, stage->bytes, bytes, &options);
}

int receive_bytes(struct stage *stage)
{
	struct tenon_receive_options options = receiving();

	return tenon_queue_receive(stage->queue, stage->bytes, sizeof(stage->bytes), &options,
				   NULL);
}

void set_stage(struct stage *stage, uint32_t order, uint64_t capacity, uint64_t bytes)
{
	struct tenon_queue_options options = {.size = sizeof(options),
					      .order = order,
					      .capacity = capacity,
					      .max_message_bytes = bytes,
					      .mode = 0600,
					      .max_participants = 4};

	if (tenon_queue_open(NULL, "attack", TENON_QUEUE_CREATE, &options, &stage->queue) != 0)
		_exit(3);
	stage->base = mmap(NULL, stage->queue->object.extent_bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE, stage->queue->object.fd, 0);
	if (stage->base == MAP_FAILED)
		_exit(3);
	stage->control = (struct tni_queue_control *)(stage->base +
						      ((uint8_t *)stage->queue->control -
						       stage->queue->object.base));
}

void *entry_of(struct stage *stage, const struct tni_table *table, uint64_t index)
{
	return stage->base + table->offset + index * table->entry_bytes;
}
