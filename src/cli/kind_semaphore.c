/* SPDX-License-Identifier: Apache-2.0 */

/* Semaphores, as the table of kinds wants them. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

CLI_KIND_PLACED_CALLS(semaphore, semaphore)

/* The value is another at every moment, and is not compared. */
static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	if (making->given & CLI_MAKE_MAXIMUM &&
	    making->semaphore.maximum != object->status.semaphore.maximum)
		return "--maximum";
	return NULL;
}

static bool refuse(const char *name, const struct cli_making *making)
{
	if (!making->semaphore.maximum || making->semaphore.value <= making->semaphore.maximum)
		return false;
	cli_kind_warn(&cli_kind_semaphore, name, "--value %u is above --maximum %u",
		      making->semaphore.value, making->semaphore.maximum);
	return true;
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_semaphore_status *status = &object->status.semaphore;

	snprintf(columns->first, sizeof(columns->first), "%u", status->value);
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	if (status->maximum == TENON_SEMAPHORE_MAX)
		snprintf(columns->third, sizeof(columns->third), "-");
	else
		snprintf(columns->third, sizeof(columns->third), "%u", status->maximum);
}

static void print(const struct cli_object *object)
{
	const struct tenon_semaphore_status *status = &object->status.semaphore;

	if (status->maximum == TENON_SEMAPHORE_MAX)
		cli_stat_row("made as", "without a maximum");
	else
		cli_stat_row("made as", "at most %u", status->maximum);
	cli_stat_made(object);
	cli_stat_row("value", "%u", status->value);
	cli_stat_row("acquired", "%s, %llu not at once",
		     cli_format_count(status->acquired, "time", "times"),
		     (unsigned long long)status->waited);
	cli_stat_row("released", "%s", cli_format_count(status->released, "time", "times"));
	cli_stat_row("undone", "%s", cli_format_count(status->undone, "time", "times"));
	cli_stat_attached(object, status->waiting);
}

static int print_user(const struct tenon_semaphore_user *user, void *context)
{
	cli_stat_process(context, user->pid);
	if (user->waiting)
		printf(" waits for %u", user->wanted);
	if (user->undo)
		printf("%s undo count %lld", user->waiting ? "," : "", (long long)user->undo);
	putchar('\n');
	return 0;
}

static int add_user(const struct tenon_semaphore_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "waiting", user->waiting);
	cli_json_add_number(json, "wanted", user->wanted);
	cli_json_add_signed(json, "undo", user->undo);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	return tenon_semaphore_users(object->handle, print_user, (void *)object);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_semaphore_users(object->handle, add_user, array);
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_semaphore_status *status = &object->status.semaphore;

	cli_json_add_number(json, "value", status->value);
	cli_json_add_number(json, "maximum", status->maximum);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "acquired", status->acquired);
	cli_json_add_number(json, "released", status->released);
	cli_json_add_number(json, "waited", status->waited);
	cli_json_add_number(json, "undone", status->undone);
}

static void print_rates(const struct cli_object *object, const struct cli_object *before, double s)
{
	const struct tenon_semaphore_status *now = &object->status.semaphore;
	const struct tenon_semaphore_status *then = &before->status.semaphore;

	cli_stat_row("now", "acquired %.0f/s, not at once %.0f/s, released %.0f/s",
		     (double)(now->acquired - then->acquired) / s,
		     (double)(now->waited - then->waited) / s,
		     (double)(now->released - then->released) / s);
}

/* How much will come back when processes end, and the least that one of those who wait wants. */
struct expectation {
	int64_t undo;
	uint32_t wanted;
};

static int visit_user(const struct tenon_semaphore_user *user, void *context)
{
	struct expectation *expectation = context;

	if (user->undo > 0)
		expectation->undo += user->undo;
	if (user->wanted && (!expectation->wanted || user->wanted < expectation->wanted))
		expectation->wanted = user->wanted;
	return 0;
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_semaphore_status *status = &object->status.semaphore;
	struct expectation expectation = {0, 0};
	int error;

	if (!doctor_is_sound(doctor, object))
		return;
	doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound, its value is %u; %s",
		      status->value,
		      cli_format_count(status->waiting, "process waits", "processes wait"));
	error = tenon_semaphore_users(object->handle, visit_user, &expectation);
	if (error)
		doctor_report_unopened(doctor, object->name, error);
	else if (expectation.wanted > status->value && !expectation.undo)
		doctor_report(doctor, DOCTOR_NOTE, object->name,
			      "if who took from it has died, give that back with 'tenon sem "
			      "release'",
			      "%s, and nobody there has an undo count: nothing comes back by "
			      "itself",
			      cli_format_count(status->waiting, "process waits", "processes wait"));
}

const struct cli_kind cli_kind_semaphore = {
	.kind = TENON_KIND_SEMAPHORE,
	.name = "semaphore",
	.plural = "semaphores",
	.options = CLI_MAKE_ANY | CLI_MAKE_VALUE | CLI_MAKE_MAXIMUM,
	.example = " --value N",
	.contents = "its memory is",
	.use = "take from it and give to it",
	.columns = {"value", "waiting", "maximum"},
	CLI_KIND_PLACED_CALLED(semaphore),
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
