/* SPDX-License-Identifier: Apache-2.0 */

/* Locks, as the table of kinds wants them. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static const char *const state_words[] = {
	[TENON_LOCK_SOUND] = "sound",
	[TENON_LOCK_OWNER_DIED] = "owner-died",
	[TENON_LOCK_LOST] = "lost",
	NULL,
};

CLI_KIND_PLACED_CALLS(lock, sync)

static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	if (making->given & CLI_MAKE_RECURSIVE && !object->status.lock.recursive)
		return "--recursive";
	if (making->given & CLI_MAKE_INHERIT && !object->status.lock.inherits)
		return "--inherit";
	return NULL;
}

/* Who shares it: so many are named. */
#define SHARERS_NAMED 3u

struct sharers {
	uint32_t count;
	char pids[40]; /* ":12,34,56" */
};

static int name_sharer(const struct tenon_lock_user *user, void *context)
{
	struct sharers *sharers = context;
	size_t bytes = strlen(sharers->pids);

	if (user->shared && sharers->count++ < SHARERS_NAMED)
		snprintf(sharers->pids + bytes, sizeof(sharers->pids) - bytes, "%c%d",
			 bytes ? ',' : ':', user->pid);
	return 0;
}

static void fill_sharers(const struct cli_object *object, struct cli_columns *columns)
{
	struct sharers sharers = {0};

	(void)tenon_lock_users(object->handle, name_sharer, &sharers);
	if (sharers.count <= SHARERS_NAMED)
		snprintf(columns->third, sizeof(columns->third), "shared%s", sharers.pids);
	else
		snprintf(columns->third, sizeof(columns->third), "shared%s,+%u", sharers.pids,
			 sharers.count - SHARERS_NAMED);
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_lock_status *status = &object->status.lock;

	snprintf(columns->first, sizeof(columns->first), "%s",
		 cli_word(state_words, status->state));
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	if (status->shared)
		fill_sharers(object, columns);
	else if (status->depth)
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

	cli_stat_row("made as", "%s%s", status->recursive ? "recursive" : "not recursive",
		     status->inherits ? ", with priority inheritance" : "");
	cli_stat_made(object);
	cli_stat_row("state", "%s", state_meaning(status->state));
	if (status->shared)
		cli_stat_row("shared", "%s", cli_format_count(status->shared, "time", "times"));
	if (!status->owner_pid)
		cli_stat_row("held", "by nobody");
	else if (!status->depth)
		cli_stat_row("held", "by nobody; process %d waits for those who share it",
			     status->owner_pid);
	else if (status->depth == 1)
		cli_stat_row("held", "by process %d", status->owner_pid);
	else
		cli_stat_row("held", "by process %d, %u times", status->owner_pid, status->depth);
	cli_stat_row("acquired", "%s, %llu not at once",
		     cli_format_count(status->acquired, "time", "times"),
		     (unsigned long long)status->waited);
	cli_stat_row("owner deaths", "%llu", (unsigned long long)status->owner_deaths);
	cli_stat_attached(object, status->waiting);
}

static int print_user(const struct tenon_lock_user *user, void *context)
{
	const char *comma = "";

	cli_stat_process(context, user->pid);
	if (user->depth) {
		printf(" holds it");
		if (user->depth > 1)
			printf(" %u times", user->depth);
		comma = ",";
	}
	if (user->shared) {
		printf("%s shares it", comma);
		if (user->shared > 1)
			printf(" %u times", user->shared);
		comma = ",";
	}
	if (user->waiting) {
		printf("%s waits to hold it", comma);
		comma = ",";
	}
	if (user->waiting_shared)
		printf("%s waits to share it", comma);
	putchar('\n');
	return 0;
}

static int add_user(const struct tenon_lock_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "depth", user->depth);
	cli_json_add_number(json, "shared", user->shared);
	cli_json_add_number(json, "waiting", user->waiting);
	cli_json_add_number(json, "waiting_shared", user->waiting_shared);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	return tenon_lock_users(object->handle, print_user, (void *)object);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_lock_users(object->handle, add_user, array);
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_lock_status *status = &object->status.lock;

	cli_json_add_boolean(json, "recursive", status->recursive);
	cli_json_add_boolean(json, "inherits", status->inherits);
	cli_json_add_string(json, "state", cli_word(state_words, status->state));
	cli_json_add_signed(json, "owner_pid", status->owner_pid);
	cli_json_add_number(json, "depth", status->depth);
	cli_json_add_number(json, "shared", status->shared);
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

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_lock_status *status = &object->status.lock;

	if (status->state > TENON_LOCK_LOST)
		object->damaged = true;
	if (!doctor_is_sound(doctor, object))
		return;
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
			      status->shared  ? "shared"
			      : status->depth ? "held"
					      : "free",
			      cli_format_count(status->acquired, "time", "times"),
			      cli_format_count(status->owner_deaths, "owner died", "owners died"));
	if (status->depth)
		doctor_examine_holder(doctor, object, status->owner_pid, status->waiting);
}

const struct cli_kind cli_kind_lock = {
	.kind = TENON_KIND_LOCK,
	.name = "lock",
	.plural = "locks",
	.options = CLI_MAKE_ANY | CLI_MAKE_RECURSIVE | CLI_MAKE_INHERIT,
	.contents = "its memory is",
	.use = "take it and hold it",
	.columns = {"state", "waiting", "holder"},
	CLI_KIND_PLACED_CALLED(lock),
	.difference = find_difference,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_rates = print_rates,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.examine = examine,
};
