/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scenarios: for each operation, with which fillings and which peers it makes sense.  Orders and
 * sizes multiply them.
 */

#include <stdio.h>
#include <string.h>

#include "queue_crash.h"

#define E (1u << FILL_EMPTY)
#define P (1u << FILL_PART)
#define F (1u << FILL_FULL)
#define FIFO (1u << TENON_QUEUE_FIFO)
#define PRIORITY (1u << TENON_QUEUE_PRIORITY)
#define NONE (1u << PEER_NONE)
#define WITNESS (1u << PEER_WITNESS)
#define RECEIVER (1u << PEER_RECEIVER)
#define SENDER (1u << PEER_SENDER)

const char *const operation_names[OPERATIONS] = {
	[OP_NONE] = "-",
	[OP_SEND] = "send",
	[OP_RECEIVE] = "receive",
	[OP_SEND_BATCH] = "send-batch",
	[OP_RECEIVE_BATCH] = "receive-batch",
	[OP_LOAN] = "loan",
	[OP_COMMIT] = "commit",
	[OP_ABANDON] = "abandon",
	[OP_TAKE] = "take",
	[OP_DONE] = "done",
	[OP_RETURN] = "return",
	[OP_PEEK] = "peek",
	[OP_OPEN] = "open",
	[OP_CREATE] = "create",
	[OP_REMOVE] = "remove",
	[OP_CLOSE] = "close",
	[OP_ATTACH] = "attach",
	[OP_STATUS] = "status",
	[OP_CHECK] = "check",
	[OP_RECOVER] = "recover",
	[OP_DROP_OLDEST] = "drop-oldest",
	[OP_RENDEZVOUS] = "rendezvous",
	[OP_SEND_ASLEEP] = "send-asleep",
	[OP_RECEIVE_ASLEEP] = "receive-asleep",
	[OP_TAKE_ASLEEP] = "take-asleep",
};

/*
 * An operation on queues of certain fillings beside certain peers.  A sleeping receiver goes with a
 * queue from which nothing can be had, a sleeping sender with a full one.  Operations that hold a
 * message under lease count it into the filling, except that on an empty queue it is the only one.
 */
static const struct rule {
	uint8_t operation, fills, peers;
	/* Of these orders and fillings every instruction is tried in `make check`, with 64 bytes. */
	uint8_t core_orders, core_fills;
} rules[] = {
	{OP_SEND, E | P, NONE | WITNESS, 0, 0},
	{OP_SEND, E, RECEIVER, FIFO | PRIORITY, E},
	{OP_SEND, F, WITNESS | SENDER, 0, 0},
	{OP_RECEIVE, E | P | F, NONE | WITNESS, 0, 0},
	{OP_RECEIVE, E, RECEIVER, 0, 0},
	{OP_RECEIVE, F, SENDER, FIFO, F},
	{OP_SEND_BATCH, E | P | F, NONE | WITNESS, 0, 0},
	{OP_SEND_BATCH, E, RECEIVER, FIFO, E},
	{OP_RECEIVE_BATCH, P | F, WITNESS, 0, 0},
	{OP_RECEIVE_BATCH, F, SENDER, 0, 0},
	{OP_LOAN, E | P | F, WITNESS, 0, 0},
	{OP_LOAN, E, RECEIVER, 0, 0},
	{OP_LOAN, F, SENDER, 0, 0},
	{OP_COMMIT, E | P | F, WITNESS, 0, 0},
	{OP_COMMIT, E, RECEIVER, 0, 0},
	{OP_ABANDON, E | P | F, WITNESS, 0, 0},
	{OP_ABANDON, E, RECEIVER, 0, 0},
	{OP_ABANDON, F, SENDER, 0, 0},
	{OP_TAKE, E | P | F, NONE | WITNESS, PRIORITY, P},
	{OP_TAKE, F, SENDER, 0, 0},
	{OP_DONE, E | P | F, NONE | WITNESS, 0, 0},
	{OP_DONE, E, RECEIVER, 0, 0},
	{OP_DONE, F, SENDER, FIFO, F},
	{OP_RETURN, E | P | F, NONE | WITNESS, 0, 0},
	{OP_RETURN, E, RECEIVER, 0, 0},
	{OP_RETURN, F, SENDER, 0, 0},
	{OP_PEEK, E | P | F, WITNESS, 0, 0},
	{OP_PEEK, E, RECEIVER, 0, 0},
	{OP_PEEK, F, SENDER, 0, 0},
	{OP_OPEN, E | P | F, NONE | WITNESS, 0, 0},
	{OP_OPEN, E, RECEIVER, 0, 0},
	{OP_OPEN, F, SENDER, 0, 0},
	{OP_CREATE, E, NONE, 0, 0},
	{OP_REMOVE, E | P | F, WITNESS, 0, 0},
	{OP_REMOVE, E, RECEIVER, 0, 0},
	{OP_REMOVE, F, SENDER, 0, 0},
	{OP_CLOSE, E | P | F, NONE | WITNESS, 0, 0},
	{OP_CLOSE, E, RECEIVER, 0, 0},
	{OP_CLOSE, F, SENDER, 0, 0},
	{OP_ATTACH, E | P, WITNESS, 0, 0},
	{OP_ATTACH, E, RECEIVER, 0, 0},
	{OP_STATUS, P, WITNESS, 0, 0},
	{OP_CHECK, P, WITNESS, 0, 0},
	{OP_CHECK, E, RECEIVER, 0, 0},
	{OP_CHECK, F, SENDER, 0, 0},
	{OP_DROP_OLDEST, F, NONE | WITNESS, 0, 0},
	{OP_RENDEZVOUS, E, WITNESS | RECEIVER, 0, 0},
	{OP_SEND_ASLEEP, F, WITNESS | SENDER, 0, 0},
	{OP_RECEIVE_ASLEEP, E, WITNESS | RECEIVER, FIFO, E},
	{OP_TAKE_ASLEEP, E, WITNESS | RECEIVER, 0, 0},
	{OP_RECOVER, P, NONE | WITNESS, 0, 0},
};

/* In the middle of which operation somebody died before the repair that is stepped. */
static const uint8_t first_operations[] = {OP_SEND,    OP_RECEIVE, OP_SEND_BATCH, OP_COMMIT,
					   OP_TAKE,    OP_DONE,	   OP_RETURN,	  OP_LOAN,
					   OP_ABANDON, OP_CLOSE,   OP_DROP_OLDEST};

static const uint32_t sizes[SIZES] = {0, 64, 1000, 20000};
static const char *const order_names[ORDERS] = {"fifo", "priority", "typed"};
static const char *const fill_names[FILLS] = {"empty", "part", "full"};
static const char *const peer_names[PEERS] = {"none", "witness", "receiver", "sender"};

uint32_t scenario_bytes(const struct scenario *scenario)
{
	return sizes[scenario->size_index];
}

bool operation_holds_lease(uint32_t operation)
{
	return operation == OP_DONE || operation == OP_RETURN || operation == OP_CLOSE;
}

bool operation_sleeps(uint32_t operation)
{
	return operation == OP_SEND_ASLEEP || operation == OP_RECEIVE_ASLEEP ||
	       operation == OP_TAKE_ASLEEP || operation == OP_RENDEZVOUS;
}

void scenario_name(const struct scenario *scenario, char *ret_name, size_t capacity_bytes)
{
	snprintf(ret_name, capacity_bytes, "%s%s%s/%s/%u/%s/%s",
		 operation_names[scenario->operation], scenario->first_operation ? "-after-" : "",
		 scenario->first_operation ? operation_names[scenario->first_operation] : "",
		 order_names[scenario->order], scenario_bytes(scenario), fill_names[scenario->fill],
		 peer_names[scenario->peer]);
}

struct sink {
	struct scenario *scenarios;
	uint32_t count, capacity;
};

static void add(struct sink *sink, struct scenario scenario)
{
	if (sink->count < sink->capacity)
		sink->scenarios[sink->count] = scenario;
	sink->count++;
}

static void add_repairs(struct sink *sink, struct scenario scenario)
{
	for (uint32_t i = 0; i < sizeof(first_operations); i++) {
		scenario.first_operation = first_operations[i];
		scenario.fill = first_operations[i] == OP_DROP_OLDEST ? FILL_FULL : FILL_PART;
		scenario.core = scenario.peer == PEER_WITNESS && scenario.size_index == 1 &&
				scenario.order == TENON_QUEUE_FIFO &&
				first_operations[i] == OP_SEND;
		add(sink, scenario);
	}
}

static void add_rule(struct sink *sink, const struct rule *rule, uint32_t order, uint32_t size)
{
	for (uint32_t fill = 0; fill < FILLS; fill++) {
		for (uint32_t peer = 0; peer < PEERS; peer++) {
			struct scenario scenario = {.operation = rule->operation,
						    .order = (uint8_t)order,
						    .size_index = (uint8_t)size,
						    .fill = (uint8_t)fill,
						    .peer = (uint8_t)peer};

			if (!(rule->fills & (1u << fill)) || !(rule->peers & (1u << peer)))
				continue;
			scenario.core = size == 1 && (rule->core_orders & (1u << order)) &&
					(rule->core_fills & (1u << fill)) && peer != PEER_NONE &&
					(peer != PEER_WITNESS || !(rule->peers & RECEIVER));
			if (rule->operation == OP_RECOVER)
				add_repairs(sink, scenario);
			else
				add(sink, scenario);
		}
	}
}

uint32_t scenarios_make(struct scenario *ret_scenarios, uint32_t capacity)
{
	struct sink sink = {.scenarios = ret_scenarios, .capacity = capacity};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		for (uint32_t order = 0; order < ORDERS; order++)
			for (uint32_t size = 0; size < SIZES; size++)
				add_rule(&sink, &rules[i], order, size);
	return sink.count;
}
