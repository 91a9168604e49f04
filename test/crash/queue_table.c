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
#define TYPED (1u << TENON_QUEUE_TYPED)
#define ALL_ORDERS (FIFO | PRIORITY | TYPED)
#define NONE (1u << PEER_NONE)
#define WITNESS (1u << PEER_WITNESS)
#define RECEIVER (1u << PEER_RECEIVER)
#define SENDER (1u << PEER_SENDER)
#define RECEIVERS (1u << PEER_RECEIVERS)
#define SENDERS (1u << PEER_SENDERS)
#define BOTH (1u << PEER_BOTH)
#define WAITER (1u << PEER_WAITER)
#define RECEIPT (1u << PEER_RECEIPT)
#define CREATOR (1u << PEER_CREATOR)

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
	[OP_SEND_BATCH_ASLEEP] = "send-batch-asleep",
	[OP_COMMIT_ASLEEP] = "commit-asleep",
	[OP_RECEIPT] = "receipt",
	[OP_RECEIPT_ASLEEP] = "receipt-asleep",
	[OP_WAIT] = "wait",
	[OP_WAIT_ASLEEP] = "wait-asleep",
	[OP_READABLE_FD] = "readable-fd",
	[OP_WRITABLE_FD] = "writable-fd",
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
	{OP_SEND_BATCH, F, SENDER, 0, 0},
	{OP_RECEIVE_BATCH, P | F, WITNESS, 0, 0},
	{OP_RECEIVE_BATCH, F, SENDER, 0, 0},
	{OP_LOAN, E | P | F, WITNESS, 0, 0},
	{OP_LOAN, E, RECEIVER, 0, 0},
	{OP_LOAN, F, SENDER, 0, 0},
	{OP_COMMIT, E | P | F, WITNESS, 0, 0},
	{OP_COMMIT, E, RECEIVER, 0, 0},
	{OP_COMMIT, F, SENDER, 0, 0},
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
	{OP_ATTACH, F, WITNESS | SENDER, 0, 0},
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

/* The same with messages of two sizes: short ones lie in the log, the others in slots, except that
 * those of a FIFO queue lie in the log too. */
static const struct special {
	uint8_t variant, operation, fills;
	uint16_t peers;
	uint8_t orders;
} specials[] = {
	/* Two are asleep, or asleep in something else than send and receive. */
	{VARIANT_NONE, OP_SEND, E, RECEIVERS | WAITER, ALL_ORDERS},
	{VARIANT_NONE, OP_SEND_BATCH, E, RECEIVERS | WAITER, ALL_ORDERS},
	{VARIANT_NONE, OP_COMMIT, E, RECEIVERS, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIVE, F, SENDERS | WAITER, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIVE_BATCH, F, SENDERS, ALL_ORDERS},
	{VARIANT_NONE, OP_DONE, E, RECEIVERS, ALL_ORDERS},
	{VARIANT_NONE, OP_DONE, F, SENDERS | BOTH | WAITER, ALL_ORDERS},
	{VARIANT_NONE, OP_RETURN, E, RECEIVERS, ALL_ORDERS},
	{VARIANT_NONE, OP_RETURN, F, BOTH, ALL_ORDERS},
	{VARIANT_NONE, OP_CLOSE, F, BOTH, ALL_ORDERS},
	{VARIANT_NONE, OP_SEND, F, BOTH, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIVE, F, BOTH, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIVE_ASLEEP, E, RECEIVERS, ALL_ORDERS},
	{VARIANT_NONE, OP_SEND_ASLEEP, F, SENDERS, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIVE, E, RECEIPT, ALL_ORDERS},
	{VARIANT_NONE, OP_DONE, E, RECEIPT, ALL_ORDERS},
	{VARIANT_NONE, OP_SEND_BATCH_ASLEEP, F, WITNESS | SENDER, ALL_ORDERS},
	{VARIANT_NONE, OP_COMMIT_ASLEEP, F, WITNESS | SENDER, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIPT, E, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_RECEIPT_ASLEEP, E, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_WAIT, E | P | F, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_WAIT_ASLEEP, E | F, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_READABLE_FD, E | P, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_WRITABLE_FD, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_NONE, OP_CREATE, E, CREATOR, ALL_ORDERS},
	/* Selections, as victim and as sleeper. */
	{VARIANT_EXACTLY, OP_RECEIVE, P | F, WITNESS, TYPED},
	{VARIANT_EXACTLY, OP_RECEIVE, F, SENDER, TYPED},
	{VARIANT_EXACTLY, OP_RECEIVE_BATCH, F, WITNESS, TYPED},
	{VARIANT_EXACTLY, OP_TAKE, P | F, WITNESS, TYPED},
	{VARIANT_EXACTLY, OP_DONE, F, WITNESS | SENDER, TYPED},
	{VARIANT_EXACTLY, OP_RETURN, F, WITNESS, TYPED},
	{VARIANT_ALL_BUT, OP_RECEIVE, P | F, WITNESS, TYPED},
	{VARIANT_ALL_BUT, OP_RECEIVE, F, SENDER, TYPED},
	{VARIANT_ALL_BUT, OP_RECEIVE_BATCH, F, WITNESS, TYPED},
	{VARIANT_ALL_BUT, OP_TAKE, P | F, WITNESS, TYPED},
	{VARIANT_LOWEST_TO, OP_RECEIVE, P | F, WITNESS, TYPED},
	{VARIANT_LOWEST_TO, OP_RECEIVE, F, SENDER, TYPED},
	{VARIANT_LOWEST_TO, OP_RECEIVE_BATCH, F, WITNESS, TYPED},
	{VARIANT_LOWEST_TO, OP_TAKE, P | F, WITNESS, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_SEND, E | P, RECEIVER, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_SEND, P, RECEIVERS, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_SEND_BATCH, P, RECEIVER | RECEIVERS, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_COMMIT, P, RECEIVER, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_RECEIVE_ASLEEP, P, WITNESS | RECEIVER, TYPED},
	{VARIANT_SLEEPS_EXACTLY, OP_TAKE_ASLEEP, P, WITNESS | RECEIVER, TYPED},
	{VARIANT_SLEEPS_ALL_BUT, OP_SEND, P, RECEIVER, TYPED},
	{VARIANT_SLEEPS_ALL_BUT, OP_RECEIVE_ASLEEP, P, WITNESS | RECEIVER, TYPED},
	{VARIANT_SLEEPS_LOWEST_TO, OP_SEND, P, RECEIVER, TYPED},
	{VARIANT_SLEEPS_LOWEST_TO, OP_RECEIVE_ASLEEP, P, WITNESS | RECEIVER, TYPED},
	/* Ways to be full, or never to be. */
	{VARIANT_FAIL, OP_SEND, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_FAIL, OP_SEND_BATCH, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_FAIL, OP_COMMIT, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_OLDEST, OP_SEND_BATCH, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_OLDEST, OP_COMMIT, F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_OLDEST, OP_TAKE, F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_NEWEST, OP_SEND, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_NEWEST, OP_SEND_BATCH, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_DROP_NEWEST, OP_COMMIT, P | F, WITNESS, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_SEND, E | F, WITNESS | NONE, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_SEND, E, RECEIVER, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_SEND_BATCH, E | F, WITNESS, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_COMMIT, F, WITNESS, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_RECEIVE, F, WITNESS, ALL_ORDERS},
	{VARIANT_UNBOUNDED, OP_TAKE, F, WITNESS, ALL_ORDERS},
	/* What only some ask for. */
	{VARIANT_RECEIPT, OP_SEND, E | P, WITNESS, ALL_ORDERS},
	{VARIANT_RECEIPT, OP_SEND, E, RECEIVER, ALL_ORDERS},
	{VARIANT_RECEIPT, OP_COMMIT, P, WITNESS, ALL_ORDERS},
	{VARIANT_RECEIPT, OP_SEND_ASLEEP, F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_SEND, E | P | F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_SEND, E, RECEIVER, ALL_ORDERS},
	{VARIANT_POLLED, OP_SEND_BATCH, E | P, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_COMMIT, E, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_RECEIVE, E | P | F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_RECEIVE, F, SENDER, ALL_ORDERS},
	{VARIANT_POLLED, OP_RECEIVE_BATCH, F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_TAKE, E | F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_DONE, E | F, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_RETURN, E, WITNESS, ALL_ORDERS},
	{VARIANT_POLLED, OP_CLOSE, F, WITNESS, ALL_ORDERS},
};
static const uint8_t special_sizes[] = {1, 2};

/* In the middle of which operation somebody died before the repair that is stepped. */
static const uint8_t first_operations[] = {OP_SEND,    OP_RECEIVE, OP_SEND_BATCH, OP_COMMIT,
					   OP_TAKE,    OP_DONE,	   OP_RETURN,	  OP_LOAN,
					   OP_ABANDON, OP_CLOSE,   OP_DROP_OLDEST};

#define AFTER(operation) (UINT64_C(1) << (operation))
#define AFTER_SENDERS                                                                \
	(AFTER(OP_SEND) | AFTER(OP_SEND_BATCH) | AFTER(OP_COMMIT) | AFTER(OP_DONE) | \
	 AFTER(OP_RETURN) | AFTER(OP_CLOSE))
#define AFTER_RECEIVERS                                                                  \
	(AFTER(OP_RECEIVE) | AFTER(OP_RECEIVE_BATCH) | AFTER(OP_TAKE) | AFTER(OP_DONE) | \
	 AFTER(OP_CLOSE))
#define AFTER_SOME \
	(AFTER(OP_SEND) | AFTER(OP_COMMIT) | AFTER(OP_RECEIVE) | AFTER(OP_TAKE) | AFTER(OP_DONE))

/* Repairs beside sleepers, with every filling, and in the middle of other calls: 64 bytes. */
static const struct repair {
	uint8_t operation, fills;
	uint16_t peers;
	uint64_t after;
} repairs[] = {
	{OP_RECOVER, E, WITNESS | RECEIVER, AFTER_SENDERS | AFTER_RECEIVERS},
	{OP_RECOVER, F, WITNESS | SENDER, AFTER_SENDERS | AFTER_RECEIVERS},
	{OP_RECOVER, P, WITNESS, AFTER(OP_RECEIVE_BATCH)},
	{OP_SEND, E, RECEIVER, AFTER_SENDERS},
	{OP_SEND, P, WITNESS, AFTER_SOME},
	{OP_SEND, F, WITNESS, AFTER_RECEIVERS},
	{OP_SEND_BATCH, P, WITNESS, AFTER_SOME},
	{OP_COMMIT, P, WITNESS, AFTER_SOME},
	{OP_RECEIVE, E, WITNESS, AFTER_SENDERS},
	{OP_RECEIVE, P, WITNESS, AFTER_SOME},
	{OP_RECEIVE, F, SENDER, AFTER_RECEIVERS},
	{OP_RECEIVE_BATCH, P, WITNESS, AFTER_SOME},
	{OP_TAKE, P, WITNESS, AFTER_SOME},
	{OP_DONE, P, WITNESS, AFTER_SOME},
	{OP_DONE, F, SENDER, AFTER_RECEIVERS},
	{OP_RETURN, P, WITNESS, AFTER_SOME},
	{OP_CLOSE, P, WITNESS, AFTER_SOME},
	{OP_PEEK, P, WITNESS, AFTER_SOME},
	{OP_STATUS, P, WITNESS, AFTER_SOME},
	{OP_CHECK, P, WITNESS, AFTER_SOME},
	{OP_OPEN, P, WITNESS, AFTER_SOME},
	{OP_DROP_OLDEST, F, WITNESS, AFTER_RECEIVERS},
	{OP_RECEIVE_ASLEEP, E, WITNESS | RECEIVER, AFTER_SENDERS},
	{OP_TAKE_ASLEEP, E, RECEIVER, AFTER_SENDERS},
	{OP_SEND_ASLEEP, F, WITNESS | SENDER, AFTER_RECEIVERS},
	{OP_CREATE, E, NONE, AFTER(OP_CREATE)},
};

static const uint32_t sizes[SIZES] = {0, 64, 1000, 20000};
static const char *const order_names[ORDERS] = {"fifo", "priority", "typed"};
static const char *const fill_names[FILLS] = {"empty", "part", "full"};
static const char *const peer_names[PEERS] = {"none",	   "witness", "receiver", "sender",
					      "receivers", "senders", "both",	  "waiter",
					      "receipt",   "creator"};
static const char *const variant_names[VARIANTS] = {
	[VARIANT_NONE] = "",
	[VARIANT_EXACTLY] = "/exactly",
	[VARIANT_ALL_BUT] = "/all-but",
	[VARIANT_LOWEST_TO] = "/lowest-to",
	[VARIANT_SLEEPS_EXACTLY] = "/sleeps-exactly",
	[VARIANT_SLEEPS_ALL_BUT] = "/sleeps-all-but",
	[VARIANT_SLEEPS_LOWEST_TO] = "/sleeps-lowest-to",
	[VARIANT_FAIL] = "/fail",
	[VARIANT_DROP_OLDEST] = "/drop-oldest",
	[VARIANT_DROP_NEWEST] = "/drop-newest",
	[VARIANT_UNBOUNDED] = "/unbounded",
	[VARIANT_RECEIPT] = "/receipt",
	[VARIANT_POLLED] = "/polled",
};

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
	switch (operation) {
	case OP_SEND_ASLEEP:
	case OP_RECEIVE_ASLEEP:
	case OP_TAKE_ASLEEP:
	case OP_RENDEZVOUS:
	case OP_SEND_BATCH_ASLEEP:
	case OP_COMMIT_ASLEEP:
	case OP_RECEIPT_ASLEEP:
	case OP_WAIT_ASLEEP:
		return true;
	default:
		return false;
	}
}

bool operation_commits(uint32_t operation)
{
	return operation == OP_COMMIT || operation == OP_COMMIT_ASLEEP;
}

static bool takes(uint32_t operation)
{
	return operation_holds_lease(operation) || operation == OP_TAKE ||
	       operation == OP_TAKE_ASLEEP;
}

bool scenario_holds_lease(const struct scenario *scenario)
{
	return takes(scenario->operation) || takes(scenario->first_operation) ||
	       scenario->peer == PEER_BOTH;
}

bool scenario_drops_oldest(const struct scenario *scenario)
{
	return scenario->operation == OP_DROP_OLDEST ||
	       scenario->first_operation == OP_DROP_OLDEST ||
	       scenario->variant == VARIANT_DROP_OLDEST;
}

bool scenario_is_polled(const struct scenario *scenario)
{
	return scenario->variant == VARIANT_POLLED || scenario->operation == OP_READABLE_FD ||
	       scenario->operation == OP_WRITABLE_FD;
}

uint64_t scenario_capacity(const struct scenario *scenario)
{
	if (scenario->operation == OP_RENDEZVOUS)
		return TENON_QUEUE_RENDEZVOUS;
	return scenario->variant == VARIANT_UNBOUNDED ? TENON_QUEUE_UNBOUNDED : QUEUE_CAPACITY;
}

enum role scenario_role(const struct scenario *scenario, uint32_t index)
{
	switch (scenario->peer) {
	case PEER_RECEIVER:
		return index == 0 ? ROLE_RECEIVE : ROLE_NONE;
	case PEER_RECEIVERS:
		return ROLE_RECEIVE;
	case PEER_SENDER:
		return index == 0 ? ROLE_SEND : ROLE_NONE;
	case PEER_SENDERS:
		return ROLE_SEND;
	case PEER_BOTH:
		return index == 0 ? ROLE_RECEIVE : ROLE_SEND;
	case PEER_WAITER:
		if (index > 0)
			return ROLE_NONE;
		return scenario->fill == FILL_EMPTY ? ROLE_WAIT_READABLE : ROLE_WAIT_WRITABLE;
	case PEER_RECEIPT:
		return index == 0 ? ROLE_RECEIPT : ROLE_NONE;
	default:
		return ROLE_NONE;
	}
}

void scenario_name(const struct scenario *scenario, char *ret_name, size_t capacity_bytes)
{
	snprintf(ret_name, capacity_bytes, "%s%s%s/%s/%u/%s/%s%s",
		 operation_names[scenario->operation], scenario->first_operation ? "-after-" : "",
		 scenario->first_operation ? operation_names[scenario->first_operation] : "",
		 order_names[scenario->order], scenario_bytes(scenario), fill_names[scenario->fill],
		 peer_names[scenario->peer], variant_names[scenario->variant]);
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

/* To these it is the same how long messages are. */
static bool heeds_sizes(uint32_t operation)
{
	return operation != OP_OPEN && operation != OP_CREATE && operation != OP_REMOVE &&
	       operation != OP_STATUS && operation != OP_CHECK;
}

static void add_rule(struct sink *sink, const struct rule *rule, uint32_t order, uint32_t size)
{
	if (size != 1 && !heeds_sizes(rule->operation))
		return;
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

static void add_special(struct sink *sink, const struct special *special, uint32_t order,
			uint32_t size)
{
	for (uint32_t fill = 0; fill < FILLS; fill++)
		for (uint32_t peer = 0; peer < PEERS; peer++)
			if ((special->fills & (1u << fill)) && (special->peers & (1u << peer)))
				add(sink, (struct scenario){.operation = special->operation,
							    .order = (uint8_t)order,
							    .size_index = (uint8_t)size,
							    .fill = (uint8_t)fill,
							    .peer = (uint8_t)peer,
							    .variant = special->variant,
							    .first_operation = peer == PEER_CREATOR
										       ? OP_CREATE
										       : OP_NONE});
}

static void add_special_repairs(struct sink *sink, const struct repair *repair, uint32_t order)
{
	for (uint32_t fill = 0; fill < FILLS; fill++)
		for (uint32_t peer = 0; peer < PEERS; peer++)
			for (uint32_t first = 0; first < OPERATIONS; first++)
				if ((repair->fills & (1u << fill)) &&
				    (repair->peers & (1u << peer)) &&
				    (repair->after & AFTER(first)))
					add(sink,
					    (struct scenario){.operation = repair->operation,
							      .order = (uint8_t)order,
							      .size_index = 1,
							      .fill = (uint8_t)fill,
							      .peer = (uint8_t)peer,
							      .first_operation = (uint8_t)first});
}

uint32_t scenarios_make(struct scenario *ret_scenarios, uint32_t capacity)
{
	struct sink sink = {.scenarios = ret_scenarios, .capacity = capacity};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		for (uint32_t order = 0; order < ORDERS; order++)
			for (uint32_t size = 0; size < SIZES; size++)
				add_rule(&sink, &rules[i], order, size);
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		for (uint32_t order = 0; order < ORDERS; order++)
			for (uint32_t size = 0; size < sizeof(special_sizes); size++)
				if (specials[i].orders & (1u << order))
					add_special(&sink, &specials[i], order,
						    special_sizes[size]);
	for (size_t i = 0; i < sizeof(repairs) / sizeof(repairs[0]); i++)
		for (uint32_t order = 0; order < ORDERS; order++)
			add_special_repairs(&sink, &repairs[i], order);
	return sink.count;
}
