/* SPDX-License-Identifier: Apache-2.0 */

/* Sets of semaphores, as the table of kinds wants them. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* Values in a line of text. */
#define ROW 16u

CLI_KIND_PLACED_CALLS(semaphore_set, semaphore_set)

/* The values are others at every moment, and are not compared. */
static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	if (making->semaphore_set.count != object->status.semaphore_set.count)
		return "--count";
	if (making->given & CLI_MAKE_MAXIMUM &&
	    making->semaphore_set.maximum != object->status.semaphore_set.maximum)
		return "--maximum";
	return NULL;
}

static bool refuse(const char *name, const struct cli_making *making)
{
	const struct tenon_semaphore_set_options *options = &making->semaphore_set;
	uint32_t maximum = options->maximum ? options->maximum
					    : TENON_SEMAPHORE_SET_DEFAULT_MAXIMUM;

	if (!(making->given & CLI_MAKE_COUNT))
		cli_kind_warn(
			&cli_kind_semaphore_set, name,
			"how many it has must be said: 'tenon create semaphore-set %s --count N'",
			name);
	else if (options->count > TENON_SEMAPHORE_SET_MOST)
		cli_kind_warn(&cli_kind_semaphore_set, name, "--count %u is above %u",
			      options->count, TENON_SEMAPHORE_SET_MOST);
	else if (options->value > maximum)
		cli_kind_warn(&cli_kind_semaphore_set, name, "--value %u is above %s%u",
			      options->value,
			      options->maximum ? "--maximum " : "the usual maximum, ", maximum);
	else
		return false;
	return true;
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_semaphore_set_status *status = &object->status.semaphore_set;

	snprintf(columns->first, sizeof(columns->first), "%u", status->count);
	snprintf(columns->second, sizeof(columns->second), "%u", status->waiting);
	snprintf(columns->third, sizeof(columns->third), "%u", status->maximum);
}

static void print(const struct cli_object *object)
{
	const struct tenon_semaphore_set_status *status = &object->status.semaphore_set;

	cli_stat_row("made as", "%s, of at most %u",
		     cli_format_count(status->count, "semaphore", "semaphores"), status->maximum);
	cli_stat_made(object);
	cli_stat_row("operated", "%s, %llu not at once; last %s",
		     cli_format_count(status->operations, "time", "times"),
		     (unsigned long long)status->waited, cli_format_time(status->operated_ns));
	cli_stat_row("values set", "%s", cli_format_time(status->changed_ns));
	cli_stat_row("undone", "%s", cli_format_count(status->undone, "process", "processes"));
	cli_stat_attached(object, status->waiting);
}

static int print_user(const struct tenon_semaphore_set_user *user, void *context)
{
	cli_stat_process(context, user->pid);
	if (!user->waiting)
		printf(" undo counts of %s",
		       cli_format_count(user->undos, "semaphore", "semaphores"));
	else if (user->change)
		printf(" waits for %d of semaphore %u", -user->change, user->number);
	else
		printf(" waits for semaphore %u to be 0", user->number);
	putchar('\n');
	return 0;
}

static int add_user(const struct tenon_semaphore_set_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "waiting", user->waiting);
	if (user->waiting) {
		cli_json_add_number(json, "number", user->number);
		cli_json_add_signed(json, "change", user->change);
	} else {
		cli_json_add_number(json, "undos", user->undos);
	}
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

/* Of each what _read tells, which waits for nobody, as _get_all would. */
static int read_row(const struct cli_object *object, uint32_t first, uint32_t *values,
		    uint32_t *ret_count)
{
	struct tenon_semaphore_set_member member;
	uint32_t i, count = object->status.semaphore_set.count - first;
	int error;

	for (i = 0; i < count && i < ROW; ++i) {
		error = tenon_semaphore_set_read(object->handle, first + i, &member);
		if (error)
			return error;
		values[i] = member.value;
	}
	*ret_count = i;
	return 0;
}

/* A line like the one before is left out, and an asterisk is there for all of them, as hexdump(1)
 * does: most of a large set is alike. */
static int print_values(const struct cli_object *object)
{
	uint32_t values[ROW], before[ROW], total = object->status.semaphore_set.count;
	const char *indent = object->is_placed ? "        " : "    ";
	uint32_t first, count = 0, i;
	bool squeezing = false;
	int error;

	for (first = 0; first < total; first += count) {
		error = read_row(object, first, values, &count);
		if (error)
			return error;
		if (first && count == ROW && !memcmp(values, before, sizeof(values))) {
			if (!squeezing)
				printf("%s*\n", indent);
			squeezing = true;
			continue;
		}
		squeezing = false;
		printf("%svalue %5u:", indent, first);
		for (i = 0; i < count; ++i)
			printf(" %u", values[i]);
		putchar('\n');
		memcpy(before, values, count * sizeof(values[0]));
	}
	return 0;
}

static int print_processes(const struct cli_object *object)
{
	int error = print_values(object);

	return error ? error
		     : tenon_semaphore_set_users(object->handle, print_user, (void *)object);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_semaphore_set_users(object->handle, add_user, array);
}

static int add_member(const struct cli_object *object, uint32_t number, struct json_object *array)
{
	struct tenon_semaphore_set_member member;
	struct json_object *json;
	int error = tenon_semaphore_set_read(object->handle, number, &member);

	if (error)
		return error;
	json = json_object_new_object();
	if (!json)
		return -ENOMEM;
	cli_json_add_number(json, "value", member.value);
	cli_json_add_signed(json, "pid", member.pid);
	cli_json_add_number(json, "waiting", member.waiting);
	cli_json_add_number(json, "waiting_for_zero", member.waiting_for_zero);
	return json_object_array_add(array, json) ? -ENOMEM : 0;
}

static int add_details(const struct cli_object *object, struct json_object *json)
{
	struct json_object *array = json_object_new_array();
	uint32_t i;
	int error = 0;

	if (!array)
		return -ENOMEM;
	json_object_object_add(json, "semaphores", array);
	for (i = 0; !error && i < object->status.semaphore_set.count; ++i)
		error = add_member(object, i, array);
	return error;
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_semaphore_set_status *status = &object->status.semaphore_set;

	cli_json_add_number(json, "count", status->count);
	cli_json_add_number(json, "maximum", status->maximum);
	cli_json_add_number(json, "waiting", status->waiting);
	cli_json_add_number(json, "operations", status->operations);
	cli_json_add_number(json, "waited", status->waited);
	cli_json_add_number(json, "undone", status->undone);
	cli_json_add_signed(json, "operated_ns", status->operated_ns);
	cli_json_add_signed(json, "changed_ns", status->changed_ns);
}

static void print_rates(const struct cli_object *object, const struct cli_object *before, double s)
{
	const struct tenon_semaphore_set_status *now = &object->status.semaphore_set;
	const struct tenon_semaphore_set_status *then = &before->status.semaphore_set;

	cli_stat_row("now", "operated %.0f/s, not at once %.0f/s",
		     (double)(now->operations - then->operations) / s,
		     (double)(now->waited - then->waited) / s);
}

/* How many wait for a value to grow, and how many have undo counts, so that one may do so when they
 * end. */
struct expectation {
	uint32_t waiting, undoing;
};

static int visit_user(const struct tenon_semaphore_set_user *user, void *context)
{
	struct expectation *expectation = context;

	if (!user->waiting)
		++expectation->undoing;
	else if (user->change)
		++expectation->waiting;
	return 0;
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_semaphore_set_status *status = &object->status.semaphore_set;
	struct expectation expectation = {0, 0};
	int error;

	if (!doctor_is_sound(doctor, object))
		return;
	doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound, %s; %s",
		      cli_format_count(status->count, "semaphore", "semaphores"),
		      cli_format_count(status->waiting, "process waits", "processes wait"));
	error = tenon_semaphore_set_users(object->handle, visit_user, &expectation);
	if (error)
		doctor_report_unopened(doctor, object->name, error);
	else if (expectation.waiting && !expectation.undoing)
		doctor_report(doctor, DOCTOR_NOTE, object->name,
			      "if who took from it has died, set its values anew, or remove it",
			      "%s, and nobody has an undo count: nothing comes back by itself",
			      cli_format_count(expectation.waiting, "thread waits for more",
					       "threads wait for more"));
}

const struct cli_kind cli_kind_semaphore_set = {
	.kind = TENON_KIND_SEMAPHORE_SET,
	.name = "semaphore-set",
	.plural = "semaphore sets",
	.options = CLI_MAKE_ANY | CLI_MAKE_COUNT | CLI_MAKE_VALUE | CLI_MAKE_MAXIMUM,
	.example = " --count N",
	.contents = "its memory is",
	.use = "take from it, give to it and destroy it",
	.columns = {"count", "waiting", "maximum"},
	CLI_KIND_PLACED_CALLED(semaphore_set),
	.difference = find_difference,
	.refuse = refuse,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_rates = print_rates,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.add_details = add_details,
	.examine = examine,
};
