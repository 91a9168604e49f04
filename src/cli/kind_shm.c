/* SPDX-License-Identifier: Apache-2.0 */

/*
 * POSIX shared memory objects, as the table of kinds wants them.  They are plain files: nobody attaches, and who uses
 * one is what /proc shows.
 */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tenon/posix.h>

static int make(const char *name, const struct cli_making *making)
{
	int flags = O_RDWR | O_CREAT | (making->flags & TENON_EXCLUSIVE ? O_EXCL : 0);
	struct tenon_shm_status status = {.size = sizeof(status)};
	mode_t mode = making->region.mode ? making->region.mode : 0600;
	bool is_there = !tenon_shm_status(name, &status);
	int fd = tenon_shm_open(name, flags, mode), error = 0;

	if (fd < 0)
		return -errno;
	/* What exists stays as it is. */
	if (!is_there && ftruncate(fd, (off_t)making->region.bytes))
		error = -errno;
	close(fd);
	return error;
}

/* The handle is the name. */
static int open_shm(const char *name, const struct cli_making *making, void **ret_handle)
{
	struct tenon_shm_status status = {.size = sizeof(status)};
	int error = making ? make(name, making) : 0;

	if (!error)
		error = tenon_shm_status(name, &status);
	if (error)
		return error;
	*ret_handle = strdup(name);
	return *ret_handle ? 0 : -ENOMEM;
}

static void close_shm(void *handle)
{
	free(handle);
}

/* Of the default namespace, which the command has set. */
static int remove_shm(const char *namespace_path, const char *name)
{
	(void)namespace_path;
	return tenon_shm_unlink(name) ? -errno : 0;
}

static int count_user(const struct tenon_shm_user *user, void *context)
{
	uint32_t *count = context;

	(void)user;
	++*count;
	return 0;
}

static int read_shm(struct cli_object *object)
{
	struct tenon_shm_status *status = &object->status.shm;
	int error;

	*status = (struct tenon_shm_status){.size = sizeof(*status)};
	error = tenon_shm_status(object->handle, status);
	if (error)
		return error;
	object->mode = status->mode;
	object->uid = status->uid;
	object->gid = status->gid;
	object->id = status->id;
	object->memory_bytes = status->memory_bytes;
	object->created_ns = status->created_ns;
	object->participants = 0;
	object->max_participants = UINT32_MAX; /* nobody counts them */
	return tenon_shm_users(object->handle, count_user, &object->participants, &object->unseen);
}

static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	if (making->given & CLI_MAKE_SIZE && making->region.bytes != object->status.shm.bytes)
		return "--size";
	return NULL;
}

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_shm_status *status = &object->status.shm;

	snprintf(columns->first, sizeof(columns->first), "%s", cli_format_bytes(status->bytes));
	snprintf(columns->second, sizeof(columns->second), "-");
	snprintf(columns->third, sizeof(columns->third), "-");
}

static void print(const struct cli_object *object)
{
	const struct tenon_shm_status *status = &object->status.shm;

	cli_stat_made(object);
	cli_stat_row("changed", "%s", cli_format_time(status->changed_ns));
	cli_stat_size("size", "", status->bytes);
	cli_stat_row("memory", "%s", cli_format_bytes(object->memory_bytes));
	if (object->unseen)
		cli_stat_row("used by", "%s; of %s you may not know",
			     cli_format_count(object->participants, "process", "processes"),
			     cli_format_count(object->unseen, "other", "others"));
	else
		cli_stat_row("used by", "%s",
			     cli_format_count(object->participants, "process", "processes"));
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_shm_status *status = &object->status.shm;

	cli_json_add_number(json, "bytes", status->bytes);
	cli_json_add_signed(json, "changed_ns", status->changed_ns);
	cli_json_add_number(json, "unseen", object->unseen);
}

static int print_user(const struct tenon_shm_user *user, void *context)
{
	cli_stat_process(context, user->pid);
	printf(" %s", cli_format_count(user->descriptors, "descriptor", "descriptors"));
	if (user->mapped_bytes)
		printf(", %s mapped%s", cli_format_bytes(user->mapped_bytes),
		       user->maps_for_writing ? " for writing" : "");
	putchar('\n');
	return 0;
}

static int add_user(const struct tenon_shm_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "descriptors", user->descriptors);
	cli_json_add_number(json, "mapped_bytes", user->mapped_bytes);
	cli_json_add_boolean(json, "maps_for_writing", user->maps_for_writing != 0);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	return tenon_shm_users(object->handle, print_user, (void *)(uintptr_t)object, NULL);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_shm_users(object->handle, add_user, array, NULL);
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	doctor_report(
		doctor, DOCTOR_FINE, object->name, NULL, "%s, of which %s are taken; %s",
		cli_format_bytes(object->status.shm.bytes), cli_format_bytes(object->memory_bytes),
		cli_format_count(object->participants, "process uses it", "processes use it"));
}

const struct cli_kind cli_kind_shm = {
	.kind = TENON_KIND_MEMORY,
	.name = "shm",
	.plural = "shared memory objects",
	.options = CLI_MAKE_MODE | CLI_MAKE_SIZE,
	.contents = "its memory is",
	.use = "read and write it, and make it shorter",
	.columns = {"size", "-", "-"},
	.open = open_shm,
	.close = close_shm,
	.remove = remove_shm,
	.read = read_shm,
	.difference = find_difference,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.examine = examine,
};
