/* SPDX-License-Identifier: Apache-2.0 */

/* What the queue says of itself in the end, when it is empty and nobody does anything. */

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "queue_crash.h"

/* Who takes for the first time brings a page for its stake and those of its neighbours: which of the survivors
 * do is a race, and a dead one's entry moves a fresh one into the next page. */
#define STAKES_BYTES (2u * 4096u)

/* As the queue notes times: to the kernel's tick. */
int64_t figures_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int nothing_is_left(struct run *run, const struct tenon_queue_status *status,
			   uint32_t attached)
{
	uint64_t allowed = run->memory_bytes + STAKES_BYTES;

	if (status->messages || status->message_bytes)
		return fail(run, "an empty queue shows %llu messages, %llu bytes",
			    (unsigned long long)status->messages,
			    (unsigned long long)status->message_bytes);
	if (status->leased || status->loaned)
		return fail(run, "%llu leased and %llu loaned are left",
			    (unsigned long long)status->leased, (unsigned long long)status->loaned);
	if (status->receivers_waiting || status->senders_waiting)
		return fail(run, "%u receivers and %u senders seem to wait",
			    status->receivers_waiting, status->senders_waiting);
	if (status->participants != attached)
		return fail(run, "%u processes are attached, the queue shows %u", attached,
			    status->participants);
	if (status->damaged)
		return fail(run, "the queue is marked damaged");
	/* Who sent before anybody looked for the dead could not have what the dead one had loaned. */
	if (run->fresh_dropped)
		allowed += (scenario_bytes(run->scenario) + 2 * 4096 - 1) / 4096 * 4096;
	if (run->memory_bytes && status->memory_bytes > allowed)
		return fail(run, "memory leaked: %llu bytes, %llu without the kill",
			    (unsigned long long)status->memory_bytes,
			    (unsigned long long)run->memory_bytes);
	return 0;
}

/* Messages: what the survivors know that they sent, and what victims may have. */
static int counts_add_up(struct run *run, const struct tenon_queue_status *status)
{
	uint64_t least, most;

	expect_sent(run, &least, &most);
	if (status->sent < run->sent + least || status->sent > run->sent + most)
		return fail(run, "%llu sent, but %llu to %llu were",
			    (unsigned long long)status->sent,
			    (unsigned long long)(run->sent + least),
			    (unsigned long long)(run->sent + most));
	if (status->sent != status->received + status->dropped)
		return fail(run, "%llu sent, but %llu received and %llu dropped",
			    (unsigned long long)status->sent, (unsigned long long)status->received,
			    (unsigned long long)status->dropped);
	if (!status->dropped && status->sent_bytes != status->received_bytes)
		return fail(run, "%llu bytes sent, %llu received",
			    (unsigned long long)status->sent_bytes,
			    (unsigned long long)status->received_bytes);
	return 0;
}

static int waits_were_counted(struct run *run, const struct tenon_queue_status *status)
{
	if (status->send_waits < run->slept[0] || status->receive_waits < run->slept[1])
		return fail(run,
			    "%u slept in send and %u in receive, but %llu and %llu are counted",
			    run->slept[0], run->slept[1], (unsigned long long)status->send_waits,
			    (unsigned long long)status->receive_waits);
	return 0;
}

/* The last to send and to receive was this process, just now. */
static int last_are_right(struct run *run, const struct tenon_queue_status *status)
{
	int64_t now_ns = figures_now_ns();

	if (status->last_send_ns < run->begin_ns || status->last_send_ns > now_ns ||
	    status->last_receive_ns < run->begin_ns || status->last_receive_ns > now_ns)
		return fail(run, "last sent at %lld, received at %lld, in a run of %lld to %lld",
			    (long long)status->last_send_ns, (long long)status->last_receive_ns,
			    (long long)run->begin_ns, (long long)now_ns);
	if (status->last_sender_pid != (int32_t)getpid() ||
	    status->last_receiver_pid != (int32_t)getpid())
		return fail(run, "the last sender was %d, the last receiver %d, not %d",
			    status->last_sender_pid, status->last_receiver_pid, (int)getpid());
	return 0;
}

/* There were as many as the fresh process put in at once, and never more than fit. */
static int marks_are_right(struct run *run, const struct tenon_queue_status *status)
{
	uint64_t bytes = scenario_bytes(run->scenario), capacity = scenario_capacity(run->scenario);
	uint64_t most = capacity == TENON_QUEUE_UNBOUNDED ? status->sent : capacity;

	if (status->high_messages < run->most_at_once || status->high_messages > most ||
	    status->high_bytes < run->most_at_once * bytes || status->high_bytes > most * bytes)
		return fail(run,
			    "at most %llu messages and %llu bytes are said to have been there; "
			    "there were %u, and %llu at most",
			    (unsigned long long)status->high_messages,
			    (unsigned long long)status->high_bytes, run->most_at_once,
			    (unsigned long long)most);
	return 0;
}

int figures_add_up(struct run *run, struct tenon_queue *fresh)
{
	struct tenon_queue_status status = {.size = sizeof(status)};
	bool meets = scenario_capacity(run->scenario) == TENON_QUEUE_RENDEZVOUS;
	int result = tenon_queue_status(fresh, &status);

	if (result != 0)
		return fail(run, "status: %s", strerror(-result));
	run->repairs = status.repairs;
	run->ended_bytes = status.memory_bytes;
	result = nothing_is_left(run, &status, 1 + (run->witness && run->witness != fresh));
	if (result == 0)
		result = counts_add_up(run, &status);
	if (result == 0)
		result = waits_were_counted(run, &status);
	if (result == 0 && !meets)
		result = last_are_right(run, &status);
	return result == 0 && !meets ? marks_are_right(run, &status) : result;
}
