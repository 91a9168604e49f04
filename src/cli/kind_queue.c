/* SPDX-License-Identifier: Apache-2.0 */

/* Queues, as the table of kinds wants them. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

CLI_KIND_CALLS(queue, queue)

static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	const struct tenon_queue_options *options = &making->queue;
	const struct tenon_queue_status *status = &object->status.queue;
	const struct {
		uint32_t given;
		bool differs;
		const char *text;
	} rows[] = {
		{CLI_MAKE_CAPACITY, options->capacity != status->capacity, "--capacity"},
		{CLI_MAKE_ORDER, options->order != status->order, "--order"},
		{CLI_MAKE_FULL, options->full != status->full, "--full"},
		{CLI_MAKE_MESSAGE_SIZE, options->max_message_bytes != status->max_message_bytes,
		 "--message-size"},
		{CLI_MAKE_MAX_BYTES, options->max_bytes != status->max_bytes, "--max-bytes"},
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
		if (rows[i].differs && making->given & rows[i].given)
			return rows[i].text;
	}
	return NULL;
}

static bool refuse(const char *name, const struct cli_making *making)
{
	if (making->queue.capacity != TENON_QUEUE_RENDEZVOUS)
		return false;
	if (making->queue.max_bytes != 0) {
		cli_queue_warn(name, "--capacity rendezvous and --max-bytes do not go together: "
				     "a rendezvous holds nothing");
		return true;
	}
	if (making->queue.full == TENON_QUEUE_WAIT)
		return false;
	cli_queue_warn(name,
		       "--capacity rendezvous and --full %s do not go together: a rendezvous is "
		       "never full, its senders wait for a receiver",
		       cli_word(cli_full_words, making->queue.full));
	return true;
}

static void format_capacity(uint64_t capacity, bool in_words, char *text, size_t bytes)
{
	if (capacity == TENON_QUEUE_UNBOUNDED)
		snprintf(text, bytes, "unbounded");
	else if (capacity == TENON_QUEUE_RENDEZVOUS)
		snprintf(text, bytes, "rendezvous");
	else if (in_words)
		snprintf(text, bytes, "%s", cli_format_messages(capacity));
	else
		snprintf(text, bytes, "%llu", (unsigned long long)capacity);
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_queue_status *status = &object->status.queue;

	snprintf(columns->first, sizeof(columns->first), "%s",
		 cli_word(cli_order_words, status->order));
	snprintf(columns->second, sizeof(columns->second), "%llu",
		 (unsigned long long)status->messages);
	format_capacity(status->capacity, false, columns->third, sizeof(columns->third));
}

/* What one side of the queue has done. */
static void traffic_row(const char *label, uint64_t messages, uint64_t bytes, int64_t last_ns,
			int32_t last_pid)
{
	if (last_ns)
		cli_stat_row(label, "%s, %s; last %s by process %d", cli_format_messages(messages),
			     cli_format_bytes(bytes), cli_format_time(last_ns), last_pid);
	else
		cli_stat_row(label, "%s, %s; last never", cli_format_messages(messages),
			     cli_format_bytes(bytes));
}

static void print(const struct cli_object *object)
{
	const struct tenon_queue_status *status = &object->status.queue;
	char capacity[64];

	format_capacity(status->capacity, true, capacity, sizeof(capacity));
	cli_stat_row("made as", "%s, %s of up to %s, when full %s",
		     cli_word(cli_order_words, status->order), capacity,
		     cli_format_bytes(status->max_message_bytes),
		     cli_word(cli_full_words, status->full));
	cli_stat_made(object);
	if (status->max_bytes == TENON_QUEUE_NO_BYTES)
		cli_stat_row("limit", "nothing may be sent");
	else if (status->max_bytes)
		cli_stat_row("limit", "%s of messages", cli_format_bytes(status->max_bytes));
	cli_stat_row("queued", "%s, %s", cli_format_messages(status->messages),
		     cli_format_bytes(status->message_bytes));
	cli_stat_row("held", "%llu under lease, %llu loaned", (unsigned long long)status->leased,
		     (unsigned long long)status->loaned);
	cli_stat_row("most", "%s, %s", cli_format_messages(status->high_messages),
		     cli_format_bytes(status->high_bytes));
	cli_stat_row("memory", "%s", cli_format_bytes(status->memory_bytes));
	traffic_row("sent", status->sent, status->sent_bytes, status->last_send_ns,
		    status->last_sender_pid);
	traffic_row("received", status->received, status->received_bytes, status->last_receive_ns,
		    status->last_receiver_pid);
	cli_stat_row("dropped", "%llu; delivered again %llu", (unsigned long long)status->dropped,
		     (unsigned long long)status->redelivered);
	cli_stat_row("waits", "%llu sending, %llu receiving",
		     (unsigned long long)status->send_waits,
		     (unsigned long long)status->receive_waits);
	cli_stat_row("repairs", "%llu", (unsigned long long)status->repairs);
	cli_stat_row("attached", "%u of %u processes; asleep %u sending, %u receiving",
		     status->participants, status->max_participants, status->senders_waiting,
		     status->receivers_waiting);
	if (status->notify_pid)
		cli_stat_row("registered",
			     "process %d, for the next message that comes to the empty queue",
			     status->notify_pid);
}

static int print_participant(const struct tenon_participant *participant, void *context)
{
	(void)context;
	/* This very process has attached to look. */
	if (participant->pid == getpid())
		return 0;
	printf("    process %-8d uid %-6u since %s", participant->pid, participant->uid,
	       cli_format_time(participant->attached_ns));
	if (participant->leased)
		printf(", %u under lease", participant->leased);
	if (participant->loaned)
		printf(", %u loaned", participant->loaned);
	if (participant->waiting)
		printf(", asleep to %s",
		       participant->waiting & TENON_READABLE ? "receive" : "send");
	if (!participant->alive)
		printf(", %sdead%s", cli_colour(STDOUT_FILENO, CLI_RED),
		       cli_colour(STDOUT_FILENO, CLI_PLAIN));
	putchar('\n');
	return 0;
}

static int add_participant(const struct tenon_participant *participant, void *context)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return -ENOMEM;
	json_object_object_add(object, "pid", json_object_new_int(participant->pid));
	json_object_object_add(object, "uid", json_object_new_uint64(participant->uid));
	json_object_object_add(object, "alive", json_object_new_boolean(!!participant->alive));
	json_object_object_add(object, "leased", json_object_new_uint64(participant->leased));
	json_object_object_add(object, "loaned", json_object_new_uint64(participant->loaned));
	json_object_object_add(object, "waiting_to_receive",
			       json_object_new_boolean(!!(participant->waiting & TENON_READABLE)));
	json_object_object_add(object, "waiting_to_send",
			       json_object_new_boolean(!!(participant->waiting & TENON_WRITABLE)));
	json_object_object_add(object, "attached_ns",
			       json_object_new_int64(participant->attached_ns));
	return json_object_array_add(context, object) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	return tenon_queue_participants(object->handle, print_participant, NULL);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_queue_participants(object->handle, add_participant, array);
}

static void print_rates(const struct cli_object *object, const struct cli_object *before, double s)
{
	const struct tenon_queue_status *now = &object->status.queue, *then = &before->status.queue;

	cli_stat_row("now", "%.0f sent/s, %.0f received/s, %s/s in, %s/s out",
		     (double)(now->sent - then->sent) / s,
		     (double)(now->received - then->received) / s,
		     cli_format_bytes((uint64_t)((double)(now->sent_bytes - then->sent_bytes) / s)),
		     cli_format_bytes(
			     (uint64_t)((double)(now->received_bytes - then->received_bytes) / s)));
}

static void add_capacity(struct json_object *json, uint64_t capacity)
{
	if (capacity == TENON_QUEUE_UNBOUNDED)
		cli_json_add_string(json, "capacity", "unbounded");
	else
		cli_json_add_number(json, "capacity", capacity);
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_queue_status *status = &object->status.queue;

	cli_json_add_string(json, "order", cli_word(cli_order_words, status->order));
	cli_json_add_string(json, "full", cli_word(cli_full_words, status->full));
	add_capacity(json, status->capacity);
	cli_json_add_number(json, "max_message_bytes", status->max_message_bytes);
	cli_json_add_number(json, "max_bytes", status->max_bytes);
	cli_json_add_number(json, "messages", status->messages);
	cli_json_add_number(json, "message_bytes", status->message_bytes);
	cli_json_add_number(json, "leased", status->leased);
	cli_json_add_number(json, "loaned", status->loaned);
	cli_json_add_number(json, "receivers_waiting", status->receivers_waiting);
	cli_json_add_number(json, "senders_waiting", status->senders_waiting);
	cli_json_add_number(json, "sent", status->sent);
	cli_json_add_number(json, "sent_bytes", status->sent_bytes);
	cli_json_add_number(json, "received", status->received);
	cli_json_add_number(json, "received_bytes", status->received_bytes);
	cli_json_add_number(json, "dropped", status->dropped);
	cli_json_add_number(json, "redelivered", status->redelivered);
	cli_json_add_number(json, "send_waits", status->send_waits);
	cli_json_add_number(json, "receive_waits", status->receive_waits);
	cli_json_add_number(json, "repairs", status->repairs);
	cli_json_add_number(json, "high_messages", status->high_messages);
	cli_json_add_number(json, "high_bytes", status->high_bytes);
	cli_json_add_signed(json, "last_sender_pid", status->last_sender_pid);
	cli_json_add_signed(json, "last_receiver_pid", status->last_receiver_pid);
	cli_json_add_signed(json, "last_send_ns", status->last_send_ns);
	cli_json_add_signed(json, "last_receive_ns", status->last_receive_ns);
	cli_json_add_signed(json, "notify_pid", status->notify_pid);
	cli_json_add_number(json, "split_mode", status->split_mode);
	cli_json_add_number(json, "destroyed", status->destroyed);
}

/* What dead processes held: counted before it is freed. */
struct leftovers {
	unsigned int processes;
	uint64_t leases, loans;
};

static int visit_participant(const struct tenon_participant *participant, void *context)
{
	struct leftovers *leftovers = context;

	if (participant->alive)
		return 0;
	++leftovers->processes;
	leftovers->leases += participant->leased;
	leftovers->loans += participant->loaned;
	return 0;
}

static void examine_leftovers(struct doctor *doctor, const char *name, struct tenon_queue *queue)
{
	struct leftovers leftovers = {0, 0, 0};
	uint32_t freed = 0;
	int error;

	error = tenon_queue_participants(queue, visit_participant, &leftovers);
	if (!error)
		error = tenon_queue_recover(queue, &freed);
	if (error)
		doctor_report(doctor, DOCTOR_WARNING, name, NULL,
			      "leftovers could not be looked for: %s", strerror(-error));
	else if (freed)
		doctor_report(doctor, DOCTOR_NOTE, name, NULL,
			      "%s had held %s under lease and %s; that has been freed, and what "
			      "was under lease is queued again",
			      cli_format_count(freed, "dead process", "dead processes"),
			      cli_format_messages(leftovers.leases),
			      cli_format_count(leftovers.loans, "loan", "loans"));
	else if (leftovers.processes)
		doctor_report(doctor, DOCTOR_NOTE, name, "look again with 'tenon doctor'",
			      "%s just died; somebody is cleaning up",
			      cli_format_count(leftovers.processes, "process has",
					       "processes have"));
}

static void examine_room(struct doctor *doctor, const char *name,
			 const struct tenon_queue_status *status)
{
	bool is_full = status->capacity != TENON_QUEUE_UNBOUNDED &&
		       status->messages + status->leased >= status->capacity;
	bool is_limited = status->max_bytes != 0 && status->message_bytes >= status->max_bytes;

	if (status->capacity == TENON_QUEUE_RENDEZVOUS || (!is_full && !is_limited))
		return;
	doctor_report(doctor, DOCTOR_NOTE, name,
		      is_full ? "receive from it, or make it anew with more --capacity"
			      : "receive from it, or make it anew with more --max-bytes",
		      "it is full: %s queued and %llu under lease; %s, %s",
		      cli_format_messages(status->messages), (unsigned long long)status->leased,
		      cli_format_count(status->senders_waiting, "sender waits", "senders wait"),
		      cli_format_count(status->receivers_waiting, "receiver waits",
				       "receivers wait"));
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	static const char remedy[] =
		"receive what still comes, remove it with 'tenon rm', make it anew";
	const struct tenon_queue_status *status = &object->status.queue;
	char fault[512] = "";
	int error;

	examine_leftovers(doctor, object->name, object->handle);
	error = tenon_queue_check(object->handle, fault, sizeof(fault));
	fault[sizeof(fault) - 1] = 0;
	if (error == -EBADMSG) {
		doctor_report(doctor, DOCTOR_DAMAGE, object->name, remedy, "%s",
			      fault[0] ? fault : "its shared memory is damaged");
		return;
	}
	/* Anew: what the dead held has been put back. */
	if (!error)
		error = queue_read(object);
	if (error) {
		doctor_report_unopened(doctor, object->name, error);
		return;
	}
	if (object->damaged)
		doctor_report(doctor, DOCTOR_DAMAGE, object->name, remedy,
			      "somebody was refused damaged memory; what is there now is sound");
	else
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL,
			      "sound; %s, %s of memory, %s since it was made",
			      cli_format_messages(status->messages),
			      cli_format_bytes(status->memory_bytes),
			      cli_format_count(status->repairs, "repair", "repairs"));
	examine_room(doctor, object->name, status);
}

const struct cli_kind cli_kind_queue = {
	.kind = TENON_KIND_QUEUE,
	.name = "queue",
	.plural = "queues",
	.options = CLI_MAKE_ANY | CLI_MAKE_CAPACITY | CLI_MAKE_ORDER | CLI_MAKE_FULL |
		   CLI_MAKE_MESSAGE_SIZE | CLI_MAKE_MAX_BYTES,
	.contents = "messages are",
	.use = "fill and drain it",
	.columns = {"order", "messages", "capacity"},
	CLI_KIND_CALLED(queue),
	.difference = find_difference,
	.refuse = refuse,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_rates = print_rates,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.examine = examine,
};
