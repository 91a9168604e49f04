/* SPDX-License-Identifier: Apache-2.0 */

/* The options of sending and receiving: completed, and refused where they cannot be. */

#include <errno.h>

#include "object/queue_private.h"

int tni_send_options_check(struct tenon_queue *queue, const struct tenon_send_options *options,
			   struct tenon_send_options *ret_options)
{
	int result = tni_options_copy(ret_options, sizeof(*ret_options), options,
				      TENON_NONBLOCK | TENON_WANT_RECEIPT);

	if (result != 0)
		return result;
	if (queue->attributes.order == TENON_QUEUE_PRIORITY &&
	    ret_options->key > TENON_QUEUE_PRIORITY_MAX)
		return -EINVAL;
	if (queue->attributes.order == TENON_QUEUE_FIFO)
		ret_options->key = 0;
	if (ret_options->deadline_ns == 0)
		ret_options->deadline_ns = TENON_NO_DEADLINE;
	return 0;
}

int tni_receive_options_check(struct tenon_queue *queue,
			      const struct tenon_receive_options *options,
			      struct tenon_receive_options *ret_options)
{
	int result = tni_options_copy(ret_options, sizeof(*ret_options), options,
				      TENON_NONBLOCK | TENON_TRUNCATE);

	if (result != 0)
		return result;
	if (ret_options->select > TENON_SELECT_LOWEST_TO || ret_options->reserved != 0 ||
	    (ret_options->select != TENON_SELECT_ANY &&
	     queue->attributes.order != TENON_QUEUE_TYPED))
		return -EINVAL;
	if (ret_options->deadline_ns == 0)
		ret_options->deadline_ns = TENON_NO_DEADLINE;
	return 0;
}
