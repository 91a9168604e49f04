/* SPDX-License-Identifier: Apache-2.0 */

/* Locks, as the table of kinds wants them. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static const char *const state_words[] = {
	[TENON_LOCK_SOUND] = "sound",
	[TENON_LOCK_OWNER_DIED] = "owner-died",
	[TENON_LOCK_LOST] = "lost",
	NULL,
};

static int open_lock(const char *name, const struct cli_making *making, void **ret_handle)
{
	struct tenon_lock *lock;
	int error;

	error = tenon_lock_open(NULL, name, making ? TENON_CREATE | making->flags : 0,
				making ? &making->sync : NULL, &lock);
	if (!error)
		*ret_handle = lock;
	return error;
}

static void close_lock(void *handle)
{
	tenon_lock_close(handle);
}

static int read_lock(struct cli_object *object)
{
	struct tenon_lock_status *status = &object->status.lock;
	int error;

	*status = (struct tenon_lock_status){.size = sizeof(*status)};
	error = tenon_lock_status(object->handle, status);
	if (!error)
		CLI_COPY_COMMON(object, status);
	return error;
}

static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	if (making->given & CLI_MAKE_RECURSIVE && !object->status.lock.recursive)
		return "--recursive";
	return NULL;
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_lock_status *status = &object->status.lock;

	snprintf(columns->first, sizeof(columns->first), "%s",
		 cli_word(state_words, status->state));
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	if (status->depth)
		snprintf(columns->third, sizeof(columns->third), "%d", status->owner_pid);
	else
		snprintf(columns->third, sizeof(columns->third), "-");
}

/* Whether it can be had, and with what warning. */
static const char *state_meaning(uint32_t state)
{
	switch (state) {
	case TENON_LOCK_SOUND:
		return "sound";
	case TENON_LOCK_OWNER_DIED:
		return "an owner died: what it protects may be half done";
	case TENON_LOCK_LOST:
		return "given up: nobody can have it any more";
	default:
		return "unknown";
	}
}

static void print(const struct cli_object *object)
{
	const struct tenon_lock_status *status = &object->status.lock;

	cli_stat_row("made as", "%s", status->recursive ? "recursive" : "not recursive");
	cli_stat_made(object);
	cli_stat_row("state", "%s", state_meaning(status->state));
	if (!status->depth)
		cli_stat_row("held", "by nobody");
	else if (status->depth == 1)
		cli_stat_row("held", "by process %d", status->owner_pid);
	else
		cli_stat_row("held", "by process %d, %u times", status->owner_pid, status->depth);
	cli_stat_row("memory", "%s", cli_format_bytes(status->memory_bytes));
	cli_stat_row("acquired", "%s, %llu not at once",
		     cli_format_count(status->acquired, "time", "times"),
		     (unsigned long long)status->waited);
	cli_stat_row("owner deaths", "%llu", (unsigned long long)status->owner_deaths);
	cli_stat_row("attached", "%u of %u processes; asleep %u", status->participants,
		     status->max_participants, status->waiting);
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_lock_status *status = &object->status.lock;

	cli_json_add_boolean(json, "recursive", status->recursive);
	cli_json_add_string(json, "state", cli_word(state_words, status->state));
	cli_json_add_signed(json, "owner_pid", status->owner_pid);
	cli_json_add_number(json, "depth", status->depth);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "acquired", status->acquired);
	cli_json_add_number(json, "waited", status->waited);
	cli_json_add_number(json, "owner_deaths", status->owner_deaths);
}

static void print_rates(const struct cli_object *object, const struct cli_object *before, double s)
{
	const struct tenon_lock_status *now = &object->status.lock, *then = &before->status.lock;

	cli_stat_row("now", "acquired %.0f/s, not at once %.0f/s",
		     (double)(now->acquired - then->acquired) / s,
		     (double)(now->waited - then->waited) / s);
}

/* The kernel takes a lock from who dies.  Only in another pid namespace, and behind some calls of
 * exec(3), it cannot: see <tenon/lock.h>. */
static void examine_holder(struct doctor *doctor, const struct cli_object *object)
{
	const struct tenon_lock_status *status = &object->status.lock;

	if (!status->depth)
		return;
	if (status->owner_pid <= 0 || (kill(status->owner_pid, 0) && errno == ESRCH))
		doctor_report(
			doctor, DOCTOR_WARNING, object->name,
			"if that process has died, end the others that have the lock open, "
			"or remove it with 'tenon rm --kind lock' and make it anew",
			"it is held by process %d, which is not to be seen here: it has died, "
			"or is in another pid namespace; %s",
			status->owner_pid,
			cli_format_count(status->waiting, "process waits", "processes wait"));
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_lock_status *status = &object->status.lock;

	if (object->damaged || status->state > TENON_LOCK_LOST) {
		doctor_report(doctor, DOCTOR_DAMAGE, object->name,
			      "remove it with 'tenon rm --kind lock' and make it anew",
			      "its shared memory is damaged, or was when somebody used it");
		return;
	}
	if (status->state == TENON_LOCK_LOST)
		doctor_report(doctor, DOCTOR_WARNING, object->name,
			      "mend what it protects, remove it with 'tenon rm --kind lock' and "
			      "make it anew",
			      "it was given up (tenon_lock_lost): nobody can have it any more");
	else if (status->state == TENON_LOCK_OWNER_DIED)
		doctor_report(
			doctor, DOCTOR_WARNING, object->name,
			"look at what it protects; 'tenon lock NAME -- true' says that it is "
			"sound",
			"an owner died: what it protects may be half done, which the next one "
			"to have it is told");
	else
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL,
			      "sound, %s; acquired %s since it was made, %s",
			      status->depth ? "held" : "free",
			      cli_format_count(status->acquired, "time", "times"),
			      cli_format_count(status->owner_deaths, "owner died", "owners died"));
	examine_holder(doctor, object);
}

const struct cli_kind cli_kind_lock = {
	.kind = TENON_KIND_LOCK,
	.name = "lock",
	.plural = "locks",
	.options = CLI_MAKE_ANY | CLI_MAKE_RECURSIVE,
	.contents = "its memory is",
	.use = "take it and hold it",
	.columns = {"state", "waiting", "holder"},
	.open = open_lock,
	.close = close_lock,
	.remove = tenon_lock_remove,
	.read = read_lock,
	.difference = find_difference,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_rates = print_rates,
	.examine = examine,
};
