/* SPDX-License-Identifier: Apache-2.0 */

/* Events, conditions, barriers and onces, as the table of kinds wants them: there is little to say of
 * each. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

CLI_KIND_PLACED_CALLS(event, sync)
CLI_KIND_PLACED_CALLS(condition, sync)
CLI_KIND_PLACED_CALLS(barrier, barrier)
CLI_KIND_PLACED_CALLS(once, sync)

static const char *waiting_text(uint32_t waiting)
{
	return cli_format_count(waiting, "process waits", "processes wait");
}

/* Threads of a process that wait: "process 12 waits", and how many if there are more. */
static int print_waiting(const struct cli_object *object, int32_t pid, uint32_t waiting)
{
	cli_stat_process(object, pid);
	printf(" waits%s%s\n", waiting > 1 ? ": " : "",
	       waiting > 1 ? cli_format_count(waiting, "thread", "threads") : "");
	return 0;
}

/* What is told of a process: its id, and this. */
static int add_user(struct json_object *array, int32_t pid, const char *key, uint32_t number)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", pid);
	cli_json_add_number(json, key, number);
	return json_object_array_add(array, json) ? -ENOMEM : 0;
}

/* The two that a kind's row has, of its print_user and add_user. */
#define PROCESSES(noun)                                                                         \
	static int noun##_print_processes(const struct cli_object *object)                      \
	{                                                                                       \
		return tenon_##noun##_users(object->handle, noun##_print_user, (void *)object); \
	}                                                                                       \
	static int noun##_add_processes(const struct cli_object *object,                        \
					struct json_object *array)                              \
	{                                                                                       \
		return tenon_##noun##_users(object->handle, noun##_add_user, array);            \
	}

#define PROCESSES_CALLED(noun) \
	.print_processes = noun##_print_processes, .add_processes = noun##_add_processes

/* Events. */

static const char *event_state(const struct cli_object *object)
{
	return object->status.event.is_set ? "set" : "reset";
}

/* Whether it is set is another thing at every moment, and is not compared. */
static const char *event_difference(const struct cli_object *object,
				    const struct cli_making *making)
{
	return making->given & CLI_MAKE_MANUAL && !object->status.event.manual ? "--manual" : NULL;
}

static void event_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_event_status *status = &object->status.event;

	snprintf(columns->first, sizeof(columns->first), "%s", event_state(object));
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	snprintf(columns->third, sizeof(columns->third), "%s", status->manual ? "manual" : "auto");
}

static void event_print(const struct cli_object *object)
{
	const struct tenon_event_status *status = &object->status.event;

	cli_stat_row("made as", "%s reset", status->manual ? "manual" : "auto");
	cli_stat_made(object);
	cli_stat_row("state", "%s", event_state(object));
	cli_stat_row("passed", "%s", cli_format_count(status->passed, "time", "times"));
	cli_stat_row("waited", "%s", cli_format_count(status->waited, "time", "times"));
	cli_stat_row("pulses", "%u", status->pulses);
	cli_stat_attached(object, status->waiting);
}

static void event_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_event_status *status = &object->status.event;

	cli_json_add_boolean(json, "manual", status->manual);
	cli_json_add_boolean(json, "is_set", status->is_set);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "pulses", status->pulses);
	cli_json_add_number(json, "passed", status->passed);
	cli_json_add_number(json, "waited", status->waited);
}

static int event_print_user(const struct tenon_event_user *user, void *context)
{
	return print_waiting(context, user->pid, user->waiting);
}

static int event_add_user(const struct tenon_event_user *user, void *context)
{
	return add_user(context, user->pid, "waiting", user->waiting);
}

PROCESSES(event)

static void event_rates(const struct cli_object *object, const struct cli_object *before, double s)
{
	const struct tenon_event_status *now = &object->status.event;
	const struct tenon_event_status *then = &before->status.event;

	cli_stat_row("now", "passed %.0f/s, waited %.0f/s",
		     (double)(now->passed - then->passed) / s,
		     (double)(now->waited - then->waited) / s);
}

static void event_examine(struct doctor *doctor, struct cli_object *object)
{
	if (doctor_is_sound(doctor, object))
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound, %s; %s",
			      event_state(object), waiting_text(object->status.event.waiting));
}

const struct cli_kind cli_kind_event = {
	.kind = TENON_KIND_EVENT,
	.name = "event",
	.plural = "events",
	.options = CLI_MAKE_ANY | CLI_MAKE_MANUAL | CLI_MAKE_SET,
	.contents = "its memory is",
	.use = "set and reset it",
	.columns = {"state", "waiting", "reset"},
	CLI_KIND_PLACED_CALLED(event),
	.difference = event_difference,
	.fill_columns = event_columns,
	.print = event_print,
	.add_json = event_json,
	.print_rates = event_rates,
	PROCESSES_CALLED(event),
	.examine = event_examine,
};

/* Conditions. */

static const char *no_difference(const struct cli_object *object, const struct cli_making *making)
{
	(void)object;
	(void)making;
	return NULL;
}

static void condition_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_condition_status *status = &object->status.condition;

	snprintf(columns->first, sizeof(columns->first), "%llu", (unsigned long long)status->woken);
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	snprintf(columns->third, sizeof(columns->third), "%u", status->signals);
}

static void condition_print(const struct cli_object *object)
{
	const struct tenon_condition_status *status = &object->status.condition;

	cli_stat_made(object);
	cli_stat_row("woken", "%s", cli_format_count(status->woken, "time", "times"));
	cli_stat_row("signals", "%u", status->signals);
	cli_stat_attached(object, status->waiting);
}

static void condition_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_condition_status *status = &object->status.condition;

	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "woken", status->woken);
	cli_json_add_number(json, "signals", status->signals);
}

static int condition_print_user(const struct tenon_condition_user *user, void *context)
{
	return print_waiting(context, user->pid, user->waiting);
}

static int condition_add_user(const struct tenon_condition_user *user, void *context)
{
	return add_user(context, user->pid, "waiting", user->waiting);
}

PROCESSES(condition)

static void condition_rates(const struct cli_object *object, const struct cli_object *before,
			    double s)
{
	const struct tenon_condition_status *now = &object->status.condition;
	const struct tenon_condition_status *then = &before->status.condition;

	cli_stat_row("now", "woken %.0f/s, signals %.0f/s", (double)(now->woken - then->woken) / s,
		     (double)(now->signals - then->signals) / s);
}

static void condition_examine(struct doctor *doctor, struct cli_object *object)
{
	if (doctor_is_sound(doctor, object))
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound; %s",
			      waiting_text(object->status.condition.waiting));
}

const struct cli_kind cli_kind_condition = {
	.kind = TENON_KIND_CONDITION,
	.name = "condition",
	.plural = "conditions",
	.options = CLI_MAKE_ANY,
	.contents = "its memory is",
	.use = "wait for it and signal it",
	.columns = {"woken", "waiting", "signals"},
	CLI_KIND_PLACED_CALLED(condition),
	.difference = no_difference,
	.fill_columns = condition_columns,
	.print = condition_print,
	.add_json = condition_json,
	.print_rates = condition_rates,
	PROCESSES_CALLED(condition),
	.examine = condition_examine,
};

/* Barriers. */

static const char *barrier_difference(const struct cli_object *object,
				      const struct cli_making *making)
{
	return making->barrier.count != object->status.barrier.count ? "--count" : NULL;
}

static bool barrier_refuse(const char *name, const struct cli_making *making)
{
	if (making->given & CLI_MAKE_COUNT)
		return false;
	cli_kind_warn(&cli_kind_barrier, name,
		      "for how many it is must be said: 'tenon create barrier %s --count N'", name);
	return true;
}

static void barrier_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_barrier_status *status = &object->status.barrier;

	snprintf(columns->first, sizeof(columns->first), "%u/%u", status->arrived, status->count);
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	snprintf(columns->third, sizeof(columns->third), "%u", status->rounds);
}

static void barrier_print(const struct cli_object *object)
{
	const struct tenon_barrier_status *status = &object->status.barrier;

	cli_stat_row("made as", "for %u", status->count);
	cli_stat_made(object);
	cli_stat_row("arrived", "%u of %u", status->arrived, status->count);
	cli_stat_row("rounds", "%u", status->rounds);
	cli_stat_row("withdrawn", "%llu that died waiting", (unsigned long long)status->withdrawn);
	cli_stat_attached(object, status->waiting);
}

static void barrier_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_barrier_status *status = &object->status.barrier;

	cli_json_add_number(json, "count", status->count);
	cli_json_add_number(json, "arrived", status->arrived);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "rounds", status->rounds);
	cli_json_add_number(json, "withdrawn", status->withdrawn);
}

static int barrier_print_user(const struct tenon_barrier_user *user, void *context)
{
	cli_stat_process(context, user->pid);
	printf(" has arrived%s%s\n", user->arrived > 1 ? ": " : "",
	       user->arrived > 1 ? cli_format_count(user->arrived, "thread", "threads") : "");
	return 0;
}

static int barrier_add_user(const struct tenon_barrier_user *user, void *context)
{
	return add_user(context, user->pid, "arrived", user->arrived);
}

PROCESSES(barrier)

static void barrier_rates(const struct cli_object *object, const struct cli_object *before,
			  double s)
{
	/* They are counted modulo 65536. */
	uint16_t rounds = (uint16_t)(object->status.barrier.rounds - before->status.barrier.rounds);

	cli_stat_row("now", "%.0f rounds/s", (double)rounds / s);
}

static void barrier_examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_barrier_status *status = &object->status.barrier;

	if (doctor_is_sound(doctor, object))
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL,
			      "sound, %u of %u have arrived; %s", status->arrived, status->count,
			      waiting_text(status->waiting));
}

const struct cli_kind cli_kind_barrier = {
	.kind = TENON_KIND_BARRIER,
	.name = "barrier",
	.plural = "barriers",
	.options = CLI_MAKE_ANY | CLI_MAKE_COUNT,
	.example = " --count N",
	.contents = "its memory is",
	.use = "arrive at it, and hold the others up",
	.columns = {"arrived", "waiting", "rounds"},
	CLI_KIND_PLACED_CALLED(barrier),
	.difference = barrier_difference,
	.refuse = barrier_refuse,
	.fill_columns = barrier_columns,
	.print = barrier_print,
	.add_json = barrier_json,
	.print_rates = barrier_rates,
	PROCESSES_CALLED(barrier),
	.examine = barrier_examine,
};

/* Onces. */

static const char *once_state(const struct cli_object *object)
{
	const struct tenon_once_status *status = &object->status.once;

	if (status->is_done)
		return "done";
	if (status->owner_pid)
		return "begun";
	return status->owner_died ? "owner-died" : "to-do";
}

/* Somebody died amid it, and nobody has done it since. */
static bool once_is_half_done(const struct tenon_once_status *status)
{
	return status->owner_died && !status->is_done;
}

static void once_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_once_status *status = &object->status.once;

	snprintf(columns->first, sizeof(columns->first), "%s", once_state(object));
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	if (status->owner_pid)
		snprintf(columns->third, sizeof(columns->third), "%d", status->owner_pid);
	else
		snprintf(columns->third, sizeof(columns->third), "-");
}

static void once_print(const struct cli_object *object)
{
	const struct tenon_once_status *status = &object->status.once;

	static const char died[] = "who did it died amid it: it may be half done";

	cli_stat_made(object);
	if (status->owner_pid)
		cli_stat_row("state", "%s by process %d%s%s", once_state(object), status->owner_pid,
			     once_is_half_done(status) ? "; before, " : "",
			     once_is_half_done(status) ? died : "");
	else
		cli_stat_row("state", "%s", once_is_half_done(status) ? died : once_state(object));
	cli_stat_row("owner deaths", "%llu", (unsigned long long)status->owner_deaths);
	cli_stat_attached(object, status->waiting);
}

static void once_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_once_status *status = &object->status.once;

	cli_json_add_boolean(json, "is_done", status->is_done);
	cli_json_add_signed(json, "owner_pid", status->owner_pid);
	cli_json_add_boolean(json, "owner_died", status->owner_died);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "owner_deaths", status->owner_deaths);
}

static int once_print_user(const struct tenon_once_user *user, void *context)
{
	cli_stat_process(context, user->pid);
	printf("%s%s%s\n", user->is_doing ? " does it" : "",
	       user->is_doing && user->waiting ? "," : "", user->waiting ? " waits" : "");
	return 0;
}

static int once_add_user(const struct tenon_once_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_boolean(json, "is_doing", user->is_doing);
	cli_json_add_number(json, "waiting", user->waiting);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

PROCESSES(once)

static void once_examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_once_status *status = &object->status.once;

	if (!doctor_is_sound(doctor, object))
		return;
	if (once_is_half_done(status))
		doctor_report(
			doctor, DOCTOR_WARNING, object->name,
			"look at what was begun; 'tenon once NAME -- true' says that it is done",
			"who did it died amid it: it may be half done, which the next one to "
			"do it is told");
	else
		doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound, %s; %s, %s",
			      once_state(object), waiting_text(status->waiting),
			      cli_format_count(status->owner_deaths, "process died amid it",
					       "processes died amid it"));
	if (status->owner_pid)
		doctor_examine_holder(doctor, object, status->owner_pid, status->waiting);
}

const struct cli_kind cli_kind_once = {
	.kind = TENON_KIND_ONCE,
	.name = "once",
	.plural = "onces",
	.options = CLI_MAKE_ANY,
	.contents = "its memory is",
	.use = "begin it, and say that it is done",
	.columns = {"state", "waiting", "doer"},
	CLI_KIND_PLACED_CALLED(once),
	.difference = no_difference,
	.fill_columns = once_columns,
	.print = once_print,
	.add_json = once_json,
	PROCESSES_CALLED(once),
	.examine = once_examine,
};
