/* SPDX-License-Identifier: Apache-2.0 */

/* Bad input to the calls that are given a handle.  See bad_input_test.c. */

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trial.h"

static char long_text[LONG_BYTES + 1];

/* Options that every call with options refuses; `call` is given them. */
#define REFUSED_OPTIONS(kind, options, call)                                              \
	do {                                                                              \
		REFUSED("options that are too small", -EINVAL, call(options(.size = 0))); \
		REFUSED("options without flags", -EINVAL, call(options(.size = 7)));      \
		REFUSED("options with something behind", -E2BIG, call(LATER(kind, 1)));   \
		REFUSED("options with an unknown flag", -EINVAL,                          \
			call(options(.flags = UNKNOWN_FLAG)));                            \
		REFUSED("options with an unknown flag beside one", -EINVAL,               \
			call(options(.flags = UNKNOWN_FLAG | TENON_NONBLOCK)));           \
		ACCEPTED("options of a later version", call(LATER(kind, 0)));             \
		ACCEPTED("no options", call(NULL));                                       \
	} while (0)

static int send_with(const struct tenon_send_options *options)
{
	return tenon_queue_send(at.fifo, "x", 1, options);
}

static int send_long_with(const struct tenon_send_options *options)
{
	return tenon_queue_send(at.large, long_text, LONG_BYTES, options);
}

static int send_to(struct tenon_queue *queue, const struct tenon_send_options *options)
{
	return tenon_queue_send(queue, "x", 1, options);
}

static void sending(void)
{
	about("send");
	REFUSED("no queue", -EINVAL, tenon_queue_send(NULL, "x", 1, NULL));
	REFUSED("no data of one byte", -EINVAL, tenon_queue_send(at.fifo, NULL, 1, NULL));
	REFUSED("one byte too long", -EMSGSIZE,
		tenon_queue_send(at.fifo, long_text, SHORT_BYTES + 1, NULL));
	REFUSED("one byte too long for a long one", -EMSGSIZE,
		tenon_queue_send(at.large, long_text, LONG_BYTES + 1, NULL));
	REFUSED("the longest number", -EMSGSIZE,
		tenon_queue_send(at.fifo, long_text, UINT64_MAX, NULL));
	REFUSED_OPTIONS(tenon_send_options, SEND, send_with);
	about("send, long");
	REFUSED_OPTIONS(tenon_send_options, SEND, send_long_with);
	about("send");
	REFUSED("a flag of receivers", -EINVAL, send_with(SEND(.flags = TENON_TRUNCATE)));
	REFUSED("a priority that is too high", -EINVAL,
		send_to(at.priority, SEND(.key = TENON_QUEUE_PRIORITY_MAX + 1)));
	REFUSED("the highest number as priority", -EINVAL,
		send_to(at.priority, SEND(.key = UINT64_MAX)));
	REFUSED("full, and it may not wait", -EAGAIN,
		send_to(at.full, SEND(.flags = TENON_NONBLOCK)));
	REFUSED("full, and the deadline has passed", -ETIMEDOUT,
		send_to(at.full, SEND(.deadline_ns = PASSED_NS)));
	REFUSED("full, and the deadline is negative", -ETIMEDOUT,
		send_to(at.full, SEND(.deadline_ns = INT64_MIN)));
	REFUSED("nobody to meet, and it may not wait", -EAGAIN,
		send_to(at.meeting, SEND(.flags = TENON_NONBLOCK)));
	ACCEPTED("nobody to meet, and the deadline has passed",
		 send_to(at.meeting, SEND(.deadline_ns = PASSED_NS)) != -ETIMEDOUT);
	ACCEPTED("no data of no bytes", tenon_queue_send(at.fifo, NULL, 0, NULL));
	ACCEPTED("the longest", tenon_queue_send(at.fifo, long_text, SHORT_BYTES, NULL));
	ACCEPTED("the highest priority",
		 send_to(at.priority, SEND(.key = TENON_QUEUE_PRIORITY_MAX)));
	ACCEPTED("the highest type", send_to(at.typed, SEND(.key = UINT64_MAX)));
	ACCEPTED("a queue that was removed", send_to(at.gone, NULL));
}

static int send_batch_with(const struct tenon_send_options *options)
{
	return tenon_queue_send_batch(at.fifo, SLICES({"x", 1}, {"y", 1}), 2, options, &out.count);
}

static void sending_batches(void)
{
	const struct tenon_slice *two = SLICES({"x", 1}, {"y", 1});
	const struct tenon_slice *first_null = SLICES({NULL, 1}, {"y", 1});
	const struct tenon_slice *second_null = SLICES({"x", 1}, {NULL, 1});
	const struct tenon_slice *second_long = SLICES({"x", 1}, {long_text, SHORT_BYTES + 1});

	about("send_batch");
	REFUSED("no queue", -EINVAL, tenon_queue_send_batch(NULL, two, 2, NULL, &out.count));
	REFUSED("no slices", -EINVAL, tenon_queue_send_batch(at.fifo, NULL, 2, NULL, &out.count));
	REFUSED("a count of none", -EINVAL,
		tenon_queue_send_batch(at.fifo, two, 0, NULL, &out.count));
	REFUSED("nowhere to put the count", -EINVAL,
		tenon_queue_send_batch(at.fifo, two, 2, NULL, NULL));
	REFUSED("no data in the first", -EINVAL,
		tenon_queue_send_batch(at.fifo, first_null, 2, NULL, &out.count));
	REFUSED("no data in the second", -EINVAL,
		tenon_queue_send_batch(at.fifo, second_null, 2, NULL, &out.count));
	REFUSED("the second is too long", -EMSGSIZE,
		tenon_queue_send_batch(at.fifo, second_long, 2, NULL, &out.count));
	REFUSED("a rendezvous", -EOPNOTSUPP,
		tenon_queue_send_batch(at.meeting, two, 2, NULL, &out.count));
	REFUSED("a receipt", -EOPNOTSUPP, send_batch_with(SEND(.flags = TENON_WANT_RECEIPT)));
	REFUSED("full, and it may not wait", -EAGAIN,
		tenon_queue_send_batch(at.full, two, 2, SEND(.flags = TENON_NONBLOCK), &out.count));
	REFUSED("full, and the deadline has passed", -ETIMEDOUT,
		tenon_queue_send_batch(at.full, two, 2, SEND(.deadline_ns = PASSED_NS),
				       &out.count));
	REFUSED("a priority that is too high", -EINVAL,
		tenon_queue_send_batch(at.priority, two, 2,
				       SEND(.key = TENON_QUEUE_PRIORITY_MAX + 1), &out.count));
	REFUSED_OPTIONS(tenon_send_options, SEND, send_batch_with);
}

static int receive_with(const struct tenon_receive_options *options)
{
	return tenon_queue_receive(at.fifo, out.bytes, sizeof(out.bytes), options, out.messages);
}

static int receive_from(struct tenon_queue *queue, const struct tenon_receive_options *options)
{
	return tenon_queue_receive(queue, out.bytes, sizeof(out.bytes), options, out.messages);
}

static void receiving(void)
{
	about("receive");
	REFUSED("no queue", -EINVAL, receive_from(NULL, NULL));
	REFUSED("no buffer of one byte", -EINVAL,
		tenon_queue_receive(at.fifo, NULL, 1, NULL, out.messages));
	REFUSED("no buffer, and a message of one byte", -EMSGSIZE,
		tenon_queue_receive(at.fifo, NULL, 0, NULL, out.messages));
	REFUSED("a buffer of no bytes", -EMSGSIZE,
		tenon_queue_receive(at.fifo, out.bytes, 0, NULL, out.messages));
	REFUSED_OPTIONS(tenon_receive_options, RECEIVE, receive_with);
	REFUSED("a flag of senders", -EINVAL, receive_with(RECEIVE(.flags = TENON_WANT_RECEIPT)));
	REFUSED("a choice from a FIFO queue", -EINVAL,
		receive_with(RECEIVE(.select = TENON_SELECT_EXACTLY)));
	REFUSED("a choice from a priority queue", -EINVAL,
		receive_from(at.priority, RECEIVE(.select = TENON_SELECT_LOWEST_TO)));
	REFUSED("an unknown choice", -EINVAL, receive_from(at.typed, RECEIVE(.select = 4)));
	REFUSED("the highest choice", -EINVAL,
		receive_from(at.typed, RECEIVE(.select = UINT32_MAX)));
	REFUSED("a reserved word", -EINVAL, receive_with(RECEIVE(.reserved = 1)));
	REFUSED("empty, and it may not wait", -EAGAIN,
		receive_from(at.empty, RECEIVE(.flags = TENON_NONBLOCK)));
	REFUSED("empty, and the deadline has passed", -ETIMEDOUT,
		receive_from(at.empty, RECEIVE(.deadline_ns = PASSED_NS)));
	REFUSED("empty, and the deadline is negative", -ETIMEDOUT,
		receive_from(at.empty, RECEIVE(.deadline_ns = -1)));
	REFUSED("nothing of this type, and it may not wait", -EAGAIN,
		receive_from(at.typed, RECEIVE(.flags = TENON_NONBLOCK,
					       .select = TENON_SELECT_EXACTLY, .select_key = 6)));
	REFUSED("nothing of a type so low", -ETIMEDOUT,
		receive_from(at.typed, RECEIVE(.deadline_ns = PASSED_NS,
					       .select = TENON_SELECT_LOWEST_TO, .select_key = 4)));
	REFUSED("bad options come before an empty queue", -EINVAL,
		receive_from(at.empty, RECEIVE(.flags = UNKNOWN_FLAG | TENON_NONBLOCK)));
	ACCEPTED("no place for what is told",
		 tenon_queue_receive(at.fifo, out.bytes, 1, NULL, NULL));
	ACCEPTED("no buffer, and it may be cut",
		 tenon_queue_receive(at.fifo, NULL, 0, RECEIVE(.flags = TENON_TRUNCATE), NULL));
}

static int receive_batch_with(const struct tenon_receive_options *options)
{
	return tenon_queue_receive_batch(at.fifo, out.bytes, sizeof(out.bytes), 2, options,
					 out.messages, &out.count);
}

static void receiving_batches(void)
{
	char *const bytes = out.bytes;
	const uint64_t room = sizeof(out.bytes);

	about("receive_batch");
	REFUSED("no queue", -EINVAL,
		tenon_queue_receive_batch(NULL, bytes, room, 2, NULL, out.messages, &out.count));
	REFUSED("no buffer", -EINVAL,
		tenon_queue_receive_batch(at.fifo, NULL, room, 2, NULL, out.messages, &out.count));
	REFUSED("no place for what is told", -EINVAL,
		tenon_queue_receive_batch(at.fifo, bytes, room, 2, NULL, NULL, &out.count));
	REFUSED("nowhere to put the count", -EINVAL,
		tenon_queue_receive_batch(at.fifo, bytes, room, 2, NULL, out.messages, NULL));
	REFUSED("a count of none", -EINVAL,
		tenon_queue_receive_batch(at.fifo, bytes, room, 0, NULL, out.messages, &out.count));
	REFUSED("a buffer of no bytes", -EMSGSIZE,
		tenon_queue_receive_batch(at.fifo, bytes, 0, 2, NULL, out.messages, &out.count));
	REFUSED("empty, and it may not wait", -EAGAIN,
		tenon_queue_receive_batch(at.empty, bytes, room, 2,
					  RECEIVE(.flags = TENON_NONBLOCK), out.messages,
					  &out.count));
	REFUSED("empty, and asked for as many as EAGAIN is below nothing", -EAGAIN,
		tenon_queue_receive_batch(at.empty, bytes, room, UINT32_MAX - 10,
					  RECEIVE(.flags = TENON_NONBLOCK), out.messages,
					  &out.count));
	REFUSED_OPTIONS(tenon_receive_options, RECEIVE, receive_batch_with);
}

static int take_with(const struct tenon_receive_options *options)
{
	return tenon_queue_take(at.fifo, options, &out.lease);
}

/* A lease that was given, but for one thing. */
static struct tenon_lease *lease_but(uint64_t opaque)
{
	static struct tenon_lease lease;

	lease = at.lease;
	lease.opaque = opaque;
	return &lease;
}

static void ending_leases(const char *what, int (*end)(struct tenon_queue *, struct tenon_lease *))
{
	about(what);
	REFUSED("no queue", -EINVAL, end(NULL, &at.lease));
	REFUSED("no lease", -EINVAL, end(at.fifo, NULL));
	REFUSED("a lease of nothing", -EINVAL, end(at.fifo, lease_but(0)));
	REFUSED("a lease that ended", -EINVAL, end(at.fifo, &at.ended_lease));
	REFUSED("another queue's lease", -EINVAL, end(at.typed, &at.lease));
	REFUSED("a lease of the next entry", -EINVAL, end(at.fifo, lease_but(at.lease.opaque + 1)));
	REFUSED("a lease of the last entry", -EINVAL,
		end(at.fifo, lease_but(at.lease.opaque | UINT32_MAX)));
	REFUSED("a lease of another message", -EINVAL,
		end(at.fifo, lease_but(at.lease.opaque ^ UINT64_C(1) << 32)));
	REFUSED("a lease of all ones", -EINVAL, end(at.fifo, lease_but(UINT64_MAX)));
	ACCEPTED("twice", end(at.fifo, &at.lease) != 0 || end(at.fifo, &at.lease) != -EINVAL);
	ACCEPTED("done after that", end(at.fifo, lease_but(at.lease.opaque)) != 0 ||
					    tenon_queue_done(at.fifo, &at.lease) != -EINVAL);
	ACCEPTED("returned after that", end(at.fifo, lease_but(at.lease.opaque)) != 0 ||
						tenon_queue_return(at.fifo, &at.lease) != -EINVAL);
}

static void taking(void)
{
	about("take");
	REFUSED("no queue", -EINVAL, tenon_queue_take(NULL, NULL, &out.lease));
	REFUSED("nowhere to put the lease", -EINVAL, tenon_queue_take(at.fifo, NULL, NULL));
	REFUSED("a flag of senders", -EINVAL, take_with(RECEIVE(.flags = TENON_WANT_RECEIPT)));
	REFUSED("a choice from a FIFO queue", -EINVAL,
		take_with(RECEIVE(.select = TENON_SELECT_ALL_BUT)));
	REFUSED("empty, and it may not wait", -EAGAIN,
		tenon_queue_take(at.empty, RECEIVE(.flags = TENON_NONBLOCK), &out.lease));
	REFUSED_OPTIONS(tenon_receive_options, RECEIVE, take_with);
	ending_leases("done", tenon_queue_done);
	ending_leases("return", tenon_queue_return);
}

/* A loan that was given, but for one thing. */
static struct tenon_loan *loan_but(uint64_t opaque)
{
	static struct tenon_loan loan;

	loan = at.loan;
	loan.opaque = opaque;
	return &loan;
}

/* One of which the program has forgotten how long it is. */
static struct tenon_loan *longer_loan(uint64_t bytes)
{
	struct tenon_loan *loan = loan_but(at.loan.opaque);

	loan->bytes = bytes;
	return loan;
}

static int commit(struct tenon_queue *queue, struct tenon_loan *loan)
{
	return tenon_queue_commit(queue, loan, 1, NULL);
}

static int commit_with(const struct tenon_send_options *options)
{
	return tenon_queue_commit(at.fifo, &at.loan, 1, options);
}

static void ending_loans(const char *what, int (*end)(struct tenon_queue *, struct tenon_loan *))
{
	about(what);
	REFUSED("no queue", -EINVAL, end(NULL, &at.loan));
	REFUSED("no loan", -EINVAL, end(at.fifo, NULL));
	REFUSED("a loan of nothing", -EINVAL, end(at.fifo, loan_but(0)));
	REFUSED("a loan that ended", -EINVAL, end(at.fifo, &at.ended_loan));
	REFUSED("another queue's loan", -EINVAL, end(at.typed, &at.loan));
	REFUSED("a loan of the next entry", -EINVAL, end(at.fifo, loan_but(at.loan.opaque + 1)));
	REFUSED("a loan of the last entry", -EINVAL,
		end(at.fifo, loan_but(at.loan.opaque | UINT32_MAX)));
	REFUSED("a loan of another time", -EINVAL,
		end(at.fifo, loan_but(at.loan.opaque ^ UINT64_C(1) << 32)));
	REFUSED("a loan of all ones", -EINVAL, end(at.fifo, loan_but(UINT64_MAX)));
	ACCEPTED("twice", end(at.fifo, &at.loan) != 0 || end(at.fifo, &at.loan) != -EINVAL);
	ACCEPTED("committed after that",
		 end(at.fifo, loan_but(at.loan.opaque)) != 0 || commit_with(NULL) != -EINVAL);
	ACCEPTED("abandoned after that", end(at.fifo, loan_but(at.loan.opaque)) != 0 ||
						 tenon_queue_abandon(at.fifo, &at.loan) != -EINVAL);
}

static void loaning(void)
{
	about("loan");
	REFUSED("no queue", -EINVAL, tenon_queue_loan(NULL, 1, &out.loan));
	REFUSED("nowhere to put the loan", -EINVAL, tenon_queue_loan(at.fifo, 1, NULL));
	REFUSED("one byte too long", -EMSGSIZE,
		tenon_queue_loan(at.fifo, SHORT_BYTES + 1, &out.loan));
	REFUSED("the longest number", -EMSGSIZE, tenon_queue_loan(at.fifo, UINT64_MAX, &out.loan));
	ACCEPTED("no bytes", tenon_queue_loan(at.fifo, 0, &out.loan));
	ending_loans("commit", commit);
	REFUSED("one byte more than there is room for", -EINVAL,
		tenon_queue_commit(at.fifo, &at.loan, at.loan.bytes + 1, NULL));
	REFUSED("the longest number", -EINVAL,
		tenon_queue_commit(at.fifo, &at.loan, UINT64_MAX, NULL));
	REFUSED("longer than any message may be", -EINVAL,
		tenon_queue_commit(at.fifo, longer_loan(SHORT_BYTES + 1), SHORT_BYTES + 1, NULL));
	REFUSED("longer than any memory", -EINVAL,
		tenon_queue_commit(at.fifo, longer_loan(UINT64_MAX), UINT64_MAX, NULL));
	REFUSED_OPTIONS(tenon_send_options, SEND, commit_with);
	ending_loans("abandon", tenon_queue_abandon);
}

static void looking(void)
{
	about("peek");
	REFUSED("no queue", -EINVAL, tenon_queue_peek(NULL, 0, out.bytes, 8, out.messages));
	REFUSED("no buffer of one byte", -EINVAL,
		tenon_queue_peek(at.fifo, 0, NULL, 1, out.messages));
	REFUSED("one behind the last", -ENOENT,
		tenon_queue_peek(at.fifo, FIFO_MESSAGES, out.bytes, 8, out.messages));
	REFUSED("the last number", -ENOENT,
		tenon_queue_peek(at.fifo, UINT64_MAX, out.bytes, 8, out.messages));
	REFUSED("an empty queue", -ENOENT, tenon_queue_peek(at.empty, 0, out.bytes, 8, NULL));
	ACCEPTED("no buffer, and the last",
		 tenon_queue_peek(at.fifo, FIFO_MESSAGES - 1, NULL, 0, out.messages));
	about("wait");
	REFUSED("no queue", -EINVAL, tenon_queue_wait(NULL, TENON_READABLE, 0, &out.count));
	REFUSED("for nothing", -EINVAL, tenon_queue_wait(at.fifo, 0, PASSED_NS, &out.count));
	REFUSED("for something unknown", -EINVAL,
		tenon_queue_wait(at.fifo, 4 | TENON_READABLE, PASSED_NS, &out.count));
	REFUSED("empty, and the deadline has passed", -ETIMEDOUT,
		tenon_queue_wait(at.empty, TENON_READABLE, PASSED_NS, &out.count));
	REFUSED("full, and the deadline has passed", -ETIMEDOUT,
		tenon_queue_wait(at.full, TENON_WRITABLE, PASSED_NS, &out.count));
	REFUSED("a deadline of 0 is a moment like another", -ETIMEDOUT,
		tenon_queue_wait(at.empty, TENON_READABLE, 0, &out.count));
	about("readable_fd");
	REFUSED("no queue", -EINVAL, tenon_queue_readable_fd(NULL, &out.number));
	REFUSED("nowhere to put it", -EINVAL, tenon_queue_readable_fd(at.fifo, NULL));
	REFUSED("a queue that was removed", -ENOENT, tenon_queue_readable_fd(at.gone, &out.number));
	about("writable_fd");
	REFUSED("no queue", -EINVAL, tenon_queue_writable_fd(NULL, &out.number));
	REFUSED("nowhere to put it", -EINVAL, tenon_queue_writable_fd(at.fifo, NULL));
	REFUSED("a queue that was removed", -ENOENT, tenon_queue_writable_fd(at.gone, &out.number));
}

static void receipts(void)
{
	about("last_receipt");
	REFUSED("no queue", -EINVAL, tenon_queue_last_receipt(NULL, &out.receipt));
	REFUSED("nowhere to put it", -EINVAL, tenon_queue_last_receipt(at.fifo, NULL));
	REFUSED("none was asked for", -EINVAL, tenon_queue_last_receipt(at.typed, &out.receipt));
	about("receipt");
	REFUSED("no queue", -EINVAL, tenon_queue_receipt(NULL, at.receipt, PASSED_NS, &out.pid));
	REFUSED("one that ended", -EINVAL,
		tenon_queue_receipt(at.fifo, at.ended_receipt, PASSED_NS, &out.pid));
	REFUSED("one that never was", -EINVAL,
		tenon_queue_receipt(at.fifo, at.receipt + 100, PASSED_NS, &out.pid));
	REFUSED("all ones", -EINVAL, tenon_queue_receipt(at.fifo, UINT64_MAX, PASSED_NS, &out.pid));
	REFUSED("another queue's", -EINVAL,
		tenon_queue_receipt(at.typed, at.receipt, PASSED_NS, &out.pid));
	REFUSED("not received, and the deadline has passed", -ETIMEDOUT,
		tenon_queue_receipt(at.fifo, at.receipt, PASSED_NS, &out.pid));
}

/* In a child, which has inherited the handle and with it what the parent holds. */
static int in_child(int (*call)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(-call());
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
		       ? -WEXITSTATUS(status)
		       : 1;
}

static int commit_it(void)
{
	return tenon_queue_commit(at.fifo, &at.loan, 1, NULL);
}

static int abandon_it(void)
{
	return tenon_queue_abandon(at.fifo, &at.loan);
}

static int finish_it(void)
{
	return tenon_queue_done(at.fifo, &at.lease);
}

static int return_it(void)
{
	return tenon_queue_return(at.fifo, &at.lease);
}

static int ask_it(void)
{
	return tenon_queue_receipt(at.fifo, at.receipt, PASSED_NS, NULL);
}

/* What a parent holds is not its child's to end, and afterwards is the parent's still. */
static void inheriting(void)
{
	about("a child");
	ACCEPTED("commits its parent's loan", in_child(commit_it) != -EINVAL || commit_it());
	ACCEPTED("abandons its parent's loan", in_child(abandon_it) != -EINVAL || abandon_it());
	ACCEPTED("is done with its parent's lease", in_child(finish_it) != -EINVAL || finish_it());
	ACCEPTED("returns its parent's lease", in_child(return_it) != -EINVAL || return_it());
	ACCEPTED("asks for its parent's receipt",
		 in_child(ask_it) != -EINVAL || ask_it() != -ETIMEDOUT);
}

static int status_with(uint32_t size, uint32_t flags)
{
	static struct tenon_queue_status status;
	struct tenon_queue_status before;
	int result;

	memset(&status, 0xa5, sizeof(status));
	status.size = size;
	status.flags = flags;
	before = status;
	result = tenon_queue_status(at.fifo, &status);
	return result != 0 && memcmp(&before, &status, sizeof(before)) != 0 ? 1 : result;
}

/* Of an older and of a newer version: what it knows is filled in, what it alone knows is zero. */
static int status_of_bytes(uint32_t size)
{
	static union {
		struct tenon_queue_status status;
		uint8_t bytes[sizeof(struct tenon_queue_status) + 64];
	} place;

	memset(&place, 0xa5, sizeof(place));
	place.status.size = size;
	place.status.flags = 0;
	if (tenon_queue_status(at.fifo, &place.status) != 0 || place.status.size != size)
		return 1;
	for (uint32_t i = sizeof(place.status); i < size; i++)
		if (place.bytes[i] != 0)
			return 2;
	for (uint32_t i = size; i < sizeof(place); i++)
		if (place.bytes[i] != 0xa5)
			return 3;
	return 0;
}

static int stop(const struct tenon_participant *participant, void *context)
{
	(void)participant;
	(void)context;
	return 42;
}

static void inspecting(void)
{
	const uint32_t size = sizeof(struct tenon_queue_status);

	about("status");
	REFUSED("no queue", -EINVAL,
		tenon_queue_status(NULL, &(struct tenon_queue_status){.size = size}));
	REFUSED("nowhere to put it", -EINVAL, tenon_queue_status(at.fifo, NULL));
	REFUSED("a size of none", -EINVAL, status_with(0, 0));
	REFUSED("no room for flags", -EINVAL, status_with(7, 0));
	REFUSED("a flag", -EINVAL, status_with(size, 1));
	ACCEPTED("size and flags alone", status_of_bytes(8));
	ACCEPTED("of an older version", status_of_bytes(size - 16));
	ACCEPTED("of a later version", status_of_bytes(size + 32));
	about("participants");
	REFUSED("no queue", -EINVAL, tenon_queue_participants(NULL, stop, NULL));
	REFUSED("nobody to visit", -EINVAL, tenon_queue_participants(at.fifo, NULL, NULL));
	REFUSED("the visit's own answer", 42, tenon_queue_participants(at.fifo, stop, NULL));
	about("recover");
	REFUSED("no queue", -EINVAL, tenon_queue_recover(NULL, &out.count));
	ACCEPTED("nowhere to put the count", tenon_queue_recover(at.fifo, NULL));
	about("check");
	REFUSED("no queue", -EINVAL, tenon_queue_check(NULL, out.bytes, sizeof(out.bytes)));
	REFUSED("no room for a sentence", 0, tenon_queue_check(at.fifo, out.bytes, 0));
	REFUSED("nowhere to put a sentence", 0, tenon_queue_check(at.fifo, NULL, 100));
	about("deadline_after");
	ACCEPTED("a negative time", tenon_deadline_after(-1) != TENON_NO_DEADLINE);
	ACCEPTED("the longest time", tenon_deadline_after(INT64_MAX) != TENON_NO_DEADLINE);
}

void bad_input_calls(void)
{
	sending();
	sending_batches();
	receiving();
	receiving_batches();
	taking();
	loaning();
	looking();
	receipts();
	inheriting();
	inspecting();
}
