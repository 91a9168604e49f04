// SPDX-License-Identifier: Apache-2.0
/*
 * The limits of a round trip: a cache line that goes back and forth.
 *
 * "cache-line" is the smallest there can be: the 64-byte message is the line, and its own sequence
 * number is the flag.  "cache-line-payload" is what a transport that knows nothing of its messages
 * can reach: a 64-byte payload, and a counter in the line next to it.
 */

#include "loops.h"
#include "transports.h"

struct cache_line {
	_Alignas(LINE_BYTES) uint64_t words[8];
	uint64_t counter;
};

static const char *refuse(const struct shape *shape)
{
	if (shape->pattern != ROUND_TRIP || shape->bytes != 64 || shape->method != METHOD_COPY)
		return "round trips of 64 bytes only";
	return shape->wait != WAIT_POLL || shape->same_cpu ? "always polls" : NULL;
}

static int create(struct link *link)
{
	return link_map(link, sizeof(struct cache_line));
}

/* The flag is the sequence number plus one, so that the zeroed line holds no message, and the stop
 * message's is 0 again: always another one than before. */
ALWAYS_INLINE int bare_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	struct cache_line *line = link->shared;

	(void)bytes;
	(void)key;
	memcpy(&line->words[1], (char *)message + 8, 56);
	store_release(&line->words[0], message_sequence(message) + 1);
	return 0;
}

ALWAYS_INLINE int bare_receive(struct link *link, void *buffer, size_t bytes)
{
	const struct cache_line *line = link->shared;
	uint64_t flag = load_acquire(&line->words[0]), sequence = flag - 1;

	(void)bytes;
	if (flag == link->position)
		return -EAGAIN;
	link->position = flag;
	memcpy((char *)buffer + 8, &line->words[1], 56);
	memcpy(buffer, &sequence, sizeof(sequence));
	return 0;
}

ALWAYS_INLINE int payload_send(struct link *link, void *message, size_t bytes, uint64_t key)
{
	struct cache_line *line = link->shared;

	(void)bytes;
	(void)key;
	memcpy(line->words, message, 64);
	store_release(&line->counter, ++link->position);
	return 0;
}

ALWAYS_INLINE int payload_receive(struct link *link, void *buffer, size_t bytes)
{
	const struct cache_line *line = link->shared;
	uint64_t counter = load_acquire(&line->counter);

	(void)bytes;
	if (counter == link->position)
		return -EAGAIN;
	link->position = counter;
	memcpy(buffer, line->words, 64);
	return 0;
}

static const struct transport_calls bare_calls = {.send = bare_send, .receive = bare_receive};
static const struct transport_calls payload_calls = {.send = payload_send,
						     .receive = payload_receive};
TRANSPORT_LOOPS(bare)
TRANSPORT_LOOPS(payload)

const struct transport transport_cache_line = {.name = "cache-line",
					       .title = "limit: cache line is the message",
					       .refuse = refuse,
					       .create = create,
					       .loops = &bare_loops};
const struct transport transport_cache_line_payload = {.name = "cache-line-payload",
						       .title = "limit: cache line + payload",
						       .refuse = refuse,
						       .create = create,
						       .loops = &payload_loops};
