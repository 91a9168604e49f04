/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory of System V, as the table of kinds wants it.  To look at a segment does not attach it. */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include <tenon/sysv.h>

/* Their names are given by identifiers, so that none is made here. */
static bool refuse(const char *name, const struct cli_making *making)
{
	(void)making;
	cli_kind_warn(
		&cli_kind_segment, name,
		"segments are made by programs, with shmget(2); 'tenon create shm' makes shared "
		"memory of a name");
	return true;
}

static int open_segment(const char *name, const struct cli_making *making, void **ret_handle)
{
	struct tenon_segment *segment;
	int error = making ? -EINVAL : tenon_segment_open(name, &segment);

	if (!error)
		*ret_handle = segment;
	return error;
}

static void close_segment(void *handle)
{
	tenon_segment_close(handle);
}

/* Of the default namespace, which the command has set. */
static int remove_segment(const char *namespace_path, const char *name)
{
	(void)namespace_path;
	return tenon_segment_remove(name);
}

static int read_segment(struct cli_object *object)
{
	struct tenon_segment_status *status = &object->status.segment;
	int error;

	*status = (struct tenon_segment_status){.size = sizeof(*status)};
	error = tenon_segment_status(object->handle, status);
	if (!error)
		CLI_COPY_COMMON(object, status);
	return error;
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_segment_status *status = &object->status.segment;

	snprintf(columns->first, sizeof(columns->first), "%s", cli_format_bytes(status->bytes));
	snprintf(columns->second, sizeof(columns->second), "%llu",
		 (unsigned long long)status->attachments);
	if (status->key)
		snprintf(columns->third, sizeof(columns->third), "%s",
			 cli_sysv_format_key(status->key));
	else
		snprintf(columns->third, sizeof(columns->third), "%s",
			 status->is_removed ? "removed" : "-");
}

static void print(const struct cli_object *object)
{
	const struct tenon_segment_status *status = &object->status.segment;

	cli_stat_made(object);
	cli_stat_row("identifier", "%d", status->identifier);
	if (status->key)
		cli_stat_row("key", "%s", cli_sysv_format_key(status->key));
	cli_stat_size("size", "", status->bytes);
	if (status->page_bytes > 4096)
		cli_stat_size("huge pages", " each", status->page_bytes);
	cli_stat_row("memory", "%s%s%s", cli_format_bytes(object->memory_bytes),
		     status->is_locked ? ", kept by who attaches it" : "",
		     status->is_sparse ? ", taken when it is touched" : "");
	cli_stat_row("attached", "%s by %s%s",
		     cli_format_count(status->attachments, "time", "times"),
		     cli_format_count(object->participants, "process", "processes"),
		     status->is_removed ? "; removed, and goes with the last" : "");
	if (status->attached_ns)
		cli_stat_row("attached at", "%s", cli_format_time(status->attached_ns));
	if (status->detached_ns)
		cli_stat_row("detached at", "%s", cli_format_time(status->detached_ns));
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_segment_status *status = &object->status.segment;

	cli_json_add_signed(json, "identifier", status->identifier);
	cli_json_add_string(json, "key", cli_sysv_format_key(status->key));
	cli_json_add_number(json, "bytes", status->bytes);
	cli_json_add_number(json, "page_bytes", status->page_bytes);
	cli_json_add_number(json, "attachments", status->attachments);
	cli_json_add_boolean(json, "is_removed", status->is_removed != 0);
	cli_json_add_boolean(json, "is_locked", status->is_locked != 0);
	cli_json_add_boolean(json, "is_sparse", status->is_sparse != 0);
	cli_json_add_signed(json, "creator_pid", status->creator_pid);
	cli_json_add_signed(json, "last_pid", status->last_pid);
	cli_json_add_signed(json, "attached_ns", status->attached_ns);
	cli_json_add_signed(json, "detached_ns", status->detached_ns);
}

static int print_user(const struct tenon_segment_user *user, void *context)
{
	(void)context;
	printf("    process %-8d uid %-6u since %s, attached %s\n", user->pid, user->uid,
	       cli_format_time(user->attached_ns),
	       cli_format_count(user->attachments, "time", "times"));
	return 0;
}

static int add_user(const struct tenon_segment_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "uid", user->uid);
	cli_json_add_number(json, "attachments", user->attachments);
	cli_json_add_signed(json, "attached_ns", user->attached_ns);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	return tenon_segment_attached(object->handle, print_user, NULL);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_segment_attached(object->handle, add_user, array);
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_segment_status *status = &object->status.segment;

	if (!doctor_is_sound(doctor, object))
		return;
	doctor_report(doctor, DOCTOR_FINE, object->name, NULL, "sound; %s, attached %s%s",
		      cli_format_bytes(status->bytes),
		      cli_format_count(status->attachments, "time", "times"),
		      status->is_removed ? ", removed" : "");
}

const struct cli_kind cli_kind_segment = {
	.kind = TENON_KIND_SEGMENT,
	.name = "segment",
	.plural = "segments",
	.contents = "its memory is",
	.use = "read and write it, and make it shorter",
	.columns = {"size", "attached", "key"},
	.open = open_segment,
	.close = close_segment,
	.remove = remove_segment,
	.read = read_segment,
	.refuse = refuse,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.examine = examine,
};
