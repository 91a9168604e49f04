/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every operation is called with a deadline or without waiting, and its answer is held against the
 * contract: an error that the header names, lengths within max_message_bytes, nothing written
 * behind the caller's buffer, and memory behind every pointer that was handed out.
 */

#include "victim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_NS 50000
/* Ends waits of calls that were given no deadline. */
#define ALARM_US 300
#define BUFFER_BYTES 65536u
#define GUARD_BYTES 64u
#define GUARD 0xa5
#define BATCH 4u

static const uint64_t some_keys[] = {3, 1, 3, 0, 2, 7, 1, 3};

#define QUEUE(order_, full_, capacity_, bytes_) LIMITED(order_, full_, capacity_, bytes_, 0)
#define LIMITED(order_, full_, capacity_, bytes_, limit_)                                  \
	{                                                                                  \
		.size = sizeof(struct tenon_queue_options), .order = TENON_QUEUE_##order_, \
		.full = TENON_QUEUE_##full_, .capacity = (capacity_),                      \
		.max_message_bytes = (bytes_), .mode = 0600, .max_participants = 4,        \
		.max_bytes = (limit_)                                                      \
	}

const struct kind kinds[] = {
	{"fifo/inline", QUEUE(FIFO, WAIT, 40, 64), 24},
	{"fifo/slots", QUEUE(FIFO, WAIT, 12, 40000), 4500},
	{"priority/small", QUEUE(PRIORITY, WAIT, 16, 100), 40},
	{"priority/large", QUEUE(PRIORITY, DROP_OLDEST, 10, 20000), 3000},
	{"typed/small", QUEUE(TYPED, WAIT, 16, 100), 40},
	{"typed/large", QUEUE(TYPED, FAIL, 12, 5000), 4100},
	{"fifo/rendezvous", QUEUE(FIFO, WAIT, TENON_QUEUE_RENDEZVOUS, 100), 24},
	{"fifo/unbounded", QUEUE(FIFO, WAIT, TENON_QUEUE_UNBOUNDED, 3000), 900},
	{"fifo/oldest", QUEUE(FIFO, DROP_OLDEST, 10, 64), 24},
	{"priority/newest", QUEUE(PRIORITY, DROP_NEWEST, 10, 20000), 3000},
	{"typed/rendezvous", QUEUE(TYPED, WAIT, TENON_QUEUE_RENDEZVOUS, 100), 24},
	{"fifo/limited", LIMITED(FIFO, WAIT, 40, 64, 400), 24},
	{"typed/limited", LIMITED(TYPED, DROP_OLDEST, 12, 5000, 50000), 4100},
};
const uint32_t kinds_count = sizeof(kinds) / sizeof(kinds[0]);

static uint8_t sent_bytes[BUFFER_BYTES];

uint64_t hostile_random(uint64_t *state)
{
	uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

/* What a call is done with. */
struct act {
	struct record *record;
	const struct kind *kind;
	struct holdings *holdings;
	struct tenon_queue *queue;
	uint8_t *buffer; /* BUFFER_BYTES, and a guard behind */
};

static void wrong(struct act *act, const char *what, uint64_t figure)
{
	if (atomic_exchange(&act->record->wrong, 1))
		return;
	snprintf(act->record->fault, sizeof(act->record->fault), "%s (%lld)", what,
		 (long long)figure);
}

static bool is_documented(int result)
{
	static const int documented[] = {0,	   EBADMSG,    ENOSPC, ENOMEM, EMFILE,
					 ENFILE,   EUSERS,     EINVAL, EAGAIN, ETIMEDOUT,
					 EMSGSIZE, ENOENT,     EPROTO, EINTR,  ECANCELED,
					 EPERM,	   EOPNOTSUPP, EACCES, EIDRM};

	for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		if (result == -documented[i])
			return true;
	return false;
}

static int told(struct act *act, int result)
{
	atomic_fetch_add(&act->record->steps, 1);
	atomic_fetch_add(&act->record->called, 1);
	if (result <= 0 && result > -(int)ERRORS_MAX)
		atomic_fetch_add(&act->record->seen[-result], 1);
	if (!is_documented(result))
		wrong(act, "an answer that the header does not name", (uint64_t)(int64_t)result);
	return result;
}

static void look_at_message(struct act *act, const struct tenon_message *message)
{
	if (message->bytes > act->kind->options.max_message_bytes)
		wrong(act, "a message longer than max_message_bytes", message->bytes);
}

static void look_at_buffer(struct act *act)
{
	for (uint32_t i = 0; i < GUARD_BYTES; i++)
		if (act->buffer[BUFFER_BYTES + i] != GUARD)
			wrong(act, "written behind the buffer", i);
}

/* Reads what was handed out: a page that is not there is a signal. */
static void read_all(const void *data, uint64_t bytes)
{
	const volatile uint8_t *at = data;

	for (uint64_t i = 0; i < bytes; i += 512)
		(void)at[i];
	if (bytes > 0)
		(void)at[bytes - 1];
}

static void on_alarm(int number)
{
	(void)number;
}

/* Until alarms_end() every wait ends with -EINTR; as often as it takes, since the first alarm may
 * come before the wait.  What a fuzzer had set up is put back. */
struct alarms {
	struct sigaction action;
	struct itimerval timer;
};

static void alarms_begin(struct alarms *before)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval timer = {{0, ALARM_US}, {0, ALARM_US}};

	sigaction(SIGALRM, &action, &before->action);
	setitimer(ITIMER_REAL, &timer, &before->timer);
}

static void alarms_end(const struct alarms *before)
{
	setitimer(ITIMER_REAL, &before->timer, NULL);
	sigaction(SIGALRM, &before->action, NULL);
}

/* Without options the calls take their short way. */
static void without_options(struct act *act)
{
	struct tenon_message messages[BATCH];
	struct alarms before;
	uint32_t count = 0;

	alarms_begin(&before);
	told(act, tenon_queue_send(act->queue, sent_bytes, 8, NULL));
	told(act, tenon_queue_send(act->queue, sent_bytes, act->kind->message_bytes, NULL));
	if (told(act, tenon_queue_receive(act->queue, act->buffer, 70, NULL, messages)) == 0)
		look_at_message(act, messages);
	if (told(act, tenon_queue_receive_batch(act->queue, act->buffer, BUFFER_BYTES, BATCH, NULL,
						messages, &count)) == 0)
		for (uint32_t i = 0; i < count && i < BATCH; i++)
			look_at_message(act, &messages[i]);
	alarms_end(&before);
}

static struct tenon_send_options send_options(uint32_t flags)
{
	return (struct tenon_send_options){.size = sizeof(struct tenon_send_options),
					   .flags = flags,
					   .deadline_ns = tenon_deadline_after(WAIT_NS),
					   .key = 3};
}

static struct tenon_receive_options receive_options(uint32_t flags)
{
	return (struct tenon_receive_options){.size = sizeof(struct tenon_receive_options),
					      .flags = flags,
					      .deadline_ns = tenon_deadline_after(WAIT_NS)};
}

static void send_now(struct act *act)
{
	struct tenon_send_options options = send_options(TENON_NONBLOCK);

	told(act, tenon_queue_send(act->queue, sent_bytes, act->kind->message_bytes, &options));
	options.key = 1;
	told(act, tenon_queue_send(act->queue, sent_bytes, 1, &options));
}

static void send_waiting(struct act *act)
{
	struct tenon_send_options options = send_options(0);

	told(act, tenon_queue_send(act->queue, sent_bytes, act->kind->options.max_message_bytes,
				   &options));
}

static void send_batch(struct act *act)
{
	struct tenon_slice slices[BATCH];
	struct tenon_send_options options = send_options(TENON_NONBLOCK);
	uint32_t sent = 0;
	int result;

	for (uint32_t i = 0; i < BATCH; i++)
		slices[i] = (struct tenon_slice){sent_bytes, act->kind->message_bytes};
	result = told(act, tenon_queue_send_batch(act->queue, slices, BATCH, &options, &sent));
	if (result == 0 && (sent == 0 || sent > BATCH))
		wrong(act, "a batch that sent another number", sent);
}

static void receipt(struct act *act)
{
	struct tenon_send_options options = send_options(TENON_NONBLOCK | TENON_WANT_RECEIPT);
	uint64_t number;
	int32_t pid;

	if (told(act, tenon_queue_send(act->queue, sent_bytes, 8, &options)) == 0 &&
	    told(act, tenon_queue_last_receipt(act->queue, &number)) == 0)
		told(act,
		     tenon_queue_receipt(act->queue, number, tenon_deadline_after(WAIT_NS), &pid));
	told(act, tenon_queue_receipt(act->queue, act->holdings->receipt,
				      tenon_deadline_after(WAIT_NS), &pid));
}

static void receive_now(struct act *act)
{
	struct tenon_receive_options options = receive_options(TENON_NONBLOCK);
	struct tenon_message message;

	if (told(act, tenon_queue_receive(act->queue, act->buffer, BUFFER_BYTES, &options,
					  &message)) == 0)
		look_at_message(act, &message);
	options.flags |= TENON_TRUNCATE;
	if (told(act, tenon_queue_receive(act->queue, act->buffer, 3, &options, NULL)) == 0 &&
	    act->kind->options.order == TENON_QUEUE_TYPED) {
		options.select = TENON_SELECT_EXACTLY;
		options.select_key = 3;
		told(act, tenon_queue_receive(act->queue, act->buffer, 3, &options, NULL));
	}
}

static void receive_waiting(struct act *act)
{
	struct tenon_receive_options options = receive_options(0);
	struct tenon_message message;

	if (act->kind->options.order == TENON_QUEUE_TYPED) {
		options.select = TENON_SELECT_EXACTLY;
		options.select_key = 12345;
	}
	if (told(act, tenon_queue_receive(act->queue, act->buffer, BUFFER_BYTES, &options,
					  &message)) == 0)
		look_at_message(act, &message);
}

static void receive_batch(struct act *act)
{
	struct tenon_receive_options options = receive_options(TENON_NONBLOCK);
	struct tenon_message messages[BATCH];
	uint32_t count = 0;

	if (told(act, tenon_queue_receive_batch(act->queue, act->buffer, BUFFER_BYTES, BATCH,
						&options, messages, &count)) != 0)
		return;
	if (count == 0 || count > BATCH)
		wrong(act, "a batch that received another number", count);
	for (uint32_t i = 0; i < count && i < BATCH; i++)
		look_at_message(act, &messages[i]);
}

static void take(struct act *act)
{
	struct tenon_receive_options options = receive_options(TENON_NONBLOCK);
	struct tenon_lease lease;

	if (act->kind->options.order == TENON_QUEUE_TYPED) {
		options.select = TENON_SELECT_ALL_BUT;
		options.select_key = 3;
	}
	if (told(act, tenon_queue_take(act->queue, &options, &lease)) == 0) {
		look_at_message(act, &lease.message);
		read_all(lease.data, lease.message.bytes);
		told(act, tenon_queue_done(act->queue, &lease));
	}
	if (options.select != TENON_SELECT_ANY)
		options.select = TENON_SELECT_LOWEST_TO;
	if (told(act, tenon_queue_take(act->queue, &options, &lease)) == 0) {
		look_at_message(act, &lease.message);
		read_all(lease.data, lease.message.bytes);
		told(act, tenon_queue_return(act->queue, &lease));
	}
}

static void end_leases(struct act *act)
{
	told(act, tenon_queue_done(act->queue, &act->holdings->lease[0]));
	told(act, tenon_queue_return(act->queue, &act->holdings->lease[1]));
}

static void loan(struct act *act)
{
	struct tenon_send_options options = send_options(TENON_NONBLOCK);
	struct tenon_loan fresh;
	uint64_t most = act->kind->options.max_message_bytes;

	if (told(act, tenon_queue_loan(act->queue, most, &fresh)) == 0) {
		memset(fresh.data, 1, most);
		if (told(act, tenon_queue_commit(act->queue, &fresh, most, &options)) != 0)
			told(act, tenon_queue_abandon(act->queue, &fresh));
	}
	told(act, tenon_queue_commit(act->queue, &act->holdings->loan, 8, &options));
	told(act, tenon_queue_abandon(act->queue, &act->holdings->loan));
}

static void peek(struct act *act)
{
	static const uint64_t positions[] = {0, 1, 5, 30};
	struct tenon_message message;

	for (uint32_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++)
		if (told(act, tenon_queue_peek(act->queue, positions[i], act->buffer, BUFFER_BYTES,
					       &message)) == 0)
			look_at_message(act, &message);
}

static void wait_for(struct act *act)
{
	uint32_t events;

	told(act,
	     tenon_queue_wait(act->queue, TENON_READABLE, tenon_deadline_after(WAIT_NS), &events));
	told(act, tenon_queue_wait(act->queue, TENON_READABLE | TENON_WRITABLE,
				   tenon_deadline_after(WAIT_NS), &events));
}

static void descriptors(struct act *act)
{
	struct pollfd poll_for = {.events = POLLIN};

	if (told(act, tenon_queue_readable_fd(act->queue, &poll_for.fd)) == 0)
		poll(&poll_for, 1, 0);
	if (told(act, tenon_queue_writable_fd(act->queue, &poll_for.fd)) == 0)
		poll(&poll_for, 1, 0);
}

static int count_one(const struct tenon_participant *participant, void *context)
{
	*(uint32_t *)context += participant->alive != 0;
	return 0;
}

static void look(struct act *act)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	char text[200];
	uint32_t alive = 0;
	int result;

	told(act, tenon_queue_status(act->queue, &status));
	told(act, tenon_queue_participants(act->queue, count_one, &alive));
	memset(text, 'x', sizeof(text));
	result = told(act, tenon_queue_check(act->queue, text, sizeof(text)));
	if (result == -EBADMSG && !memchr(text, '\0', sizeof(text)))
		wrong(act, "a check that fails without a sentence", 0);
}

static void recover(struct act *act)
{
	uint32_t freed;

	told(act, tenon_queue_recover(act->queue, &freed));
}

static void limit(struct act *act)
{
	told(act, tenon_queue_set_max_bytes(act->queue, 100));
	told(act,
	     tenon_queue_wait(act->queue, TENON_WRITABLE, tenon_deadline_after(WAIT_NS), NULL));
	told(act, tenon_queue_set_max_bytes(act->queue, act->kind->options.max_bytes));
}

static void destroy(struct act *act)
{
	told(act, tenon_queue_destroy(act->queue));
}

static const struct operation {
	const char *name;
	void (*run)(struct act *act);
} operations[] = {
	{"without-options", without_options},
	{"send-now", send_now},
	{"send-waiting", send_waiting},
	{"send-batch", send_batch},
	{"receipt", receipt},
	{"receive", receive_now},
	{"receive-waiting", receive_waiting},
	{"receive-batch", receive_batch},
	{"take", take},
	{"end-leases", end_leases},
	{"loan", loan},
	{"peek", peek},
	{"wait", wait_for},
	{"descriptors", descriptors},
	{"look", look},
	{"recover", recover},
	{"limit", limit},
	{"close", NULL},
	{"open", NULL},
	{"destroy", destroy},
};
#define CLOSING 17u
#define OPENING 18u
#define DESTROYING 19u
/* One of so many ends so: nothing can be done behind it. */
#define DESTRUCTION 4u

const char *victim_operation_name(uint32_t operation)
{
	return operation < victim_operations() ? operations[operation].name : "?";
}

uint32_t victim_operations(void)
{
	return sizeof(operations) / sizeof(operations[0]);
}

/* A process that ends with things in its hands. */
static void leave_behind(const struct kind *kind, const char *name)
{
	struct tenon_receive_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue;
	struct tenon_lease lease;
	struct tenon_loan loan_left;

	if (tenon_queue_open(NULL, name, 0, NULL, &queue) != 0)
		_exit(1);
	if (kind->options.capacity == TENON_QUEUE_RENDEZVOUS)
		_exit(0);
	_exit(tenon_queue_take(queue, &options, &lease) != 0 ||
	      tenon_queue_loan(queue, 8, &loan_left) != 0);
}

int victim_prepare(const struct kind *kind, const char *name)
{
	struct tenon_send_options options = {.size = sizeof(options), .flags = TENON_NONBLOCK};
	struct tenon_receive_options none = {.size = sizeof(none), .flags = TENON_NONBLOCK};
	struct tenon_queue *queue;
	struct tenon_lease lease;
	struct tenon_loan loan_held;
	int status,
		result = tenon_queue_open(NULL, name, TENON_QUEUE_CREATE, &kind->options, &queue);
	pid_t pid;

	for (uint32_t i = 0; result == 0 && i < sizeof(some_keys) / sizeof(some_keys[0]); i++) {
		if (kind->options.capacity == TENON_QUEUE_RENDEZVOUS)
			break;
		options.key = some_keys[i];
		result = tenon_queue_send(queue, sent_bytes, kind->message_bytes, &options);
		if (result == 0 && i == 1)
			result = tenon_queue_send(queue, sent_bytes,
						  kind->options.max_message_bytes, &options);
	}
	if (result == 0 && kind->options.capacity != TENON_QUEUE_RENDEZVOUS) {
		/* Free lists that are not empty, and a message that came back. */
		result = tenon_queue_receive(queue, NULL, 0, &none, NULL) == -EMSGSIZE ? 0
										       : -EPROTO;
		if (result == 0)
			result = tenon_queue_take(queue, &none, &lease);
		if (result == 0)
			result = tenon_queue_done(queue, &lease);
		if (result == 0)
			result = tenon_queue_take(queue, &none, &lease);
		if (result == 0)
			result = tenon_queue_return(queue, &lease);
		if (result == 0)
			result = tenon_queue_loan(queue, 8, &loan_held);
		if (result == 0)
			result = tenon_queue_abandon(queue, &loan_held);
	}
	tenon_queue_close(queue);
	if (result != 0)
		return result;
	pid = fork();
	if (pid == 0)
		leave_behind(kind, name);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -ECHILD;
	return 0;
}

void victim_hold(struct record *record, const struct kind *kind, const char *name,
		 struct holdings *holdings)
{
	struct act act = {.record = record, .kind = kind, .holdings = holdings};
	struct tenon_receive_options options = receive_options(TENON_NONBLOCK);
	struct tenon_send_options send = send_options(TENON_NONBLOCK | TENON_WANT_RECEIPT);

	memset(holdings, 0, sizeof(*holdings));
	atomic_store(&record->operation, OPENING);
	if (told(&act, tenon_queue_open(NULL, name, 0, NULL, &holdings->queue)) != 0) {
		holdings->queue = NULL;
		return;
	}
	act.queue = holdings->queue;
	for (uint32_t i = 0; i < 2; i++)
		told(&act, tenon_queue_take(act.queue, &options, &holdings->lease[i]));
	told(&act, tenon_queue_loan(act.queue, 8, &holdings->loan));
	told(&act, tenon_queue_send(act.queue, sent_bytes, 8, &send));
	if (tenon_queue_last_receipt(act.queue, &holdings->receipt) != 0)
		holdings->receipt = 0;
}

void victim_close(struct record *record, struct holdings *holdings)
{
	atomic_store(&record->operation, CLOSING);
	holdings->queue = tenon_queue_close(holdings->queue);
	atomic_fetch_add(&record->steps, 1);
}

void victim_do(struct record *record, const struct kind *kind, const char *name,
	       struct holdings *holdings, uint32_t operation)
{
	static uint8_t buffer[BUFFER_BYTES + GUARD_BYTES];
	struct act act = {.record = record,
			  .kind = kind,
			  .holdings = holdings,
			  .queue = holdings->queue,
			  .buffer = buffer};

	if (operation == OPENING && !holdings->queue)
		victim_hold(record, kind, name, holdings);
	if (operation == OPENING || !holdings->queue)
		return;
	if (operation == CLOSING) {
		victim_close(record, holdings);
		return;
	}
	memset(buffer + BUFFER_BYTES, GUARD, GUARD_BYTES);
	atomic_store(&record->operation, operation);
	operations[operation].run(&act);
	look_at_buffer(&act);
}

void victim_operate(struct record *record, const struct kind *kind, const char *name,
		    struct holdings *holdings, uint64_t order)
{
	uint32_t turn[CLOSING];

	if (!holdings->queue)
		return;
	for (uint32_t i = 0; i < CLOSING; i++) {
		uint32_t at = (uint32_t)(hostile_random(&order) % (i + 1));

		turn[i] = turn[at];
		turn[at] = i;
	}
	for (uint32_t i = 0; i < CLOSING; i++)
		victim_do(record, kind, name, holdings, turn[i]);
	if (hostile_random(&order) % DESTRUCTION == 0)
		victim_do(record, kind, name, holdings, DESTROYING);
	victim_close(record, holdings);
}
