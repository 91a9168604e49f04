/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Regions, as the table of kinds wants them, and what is placed in them.  Looked at with the guard:
 * whoever may use one can make its file shorter at any moment.
 */

#include "doctor.h"
#include "kind.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* No region has more objects placed in it; see <tenon/region.h>. */
#define PLACES_MOST 1024u

static int region_open(const char *name, const struct cli_making *making, void **ret_handle)
{
	struct tenon_region *handle;
	uint32_t flags = making ? TENON_CREATE | making->flags : 0;
	int error = tenon_region_open(NULL, name, flags | TENON_REGION_GUARD,
				      making ? &making->region : NULL, &handle);

	if (!error)
		*ret_handle = handle;
	return error;
}

static void region_close(void *handle)
{
	tenon_region_close(handle);
}

static int region_read(struct cli_object *object)
{
	struct tenon_region_status *status = &object->status.region;
	int error;

	*status = (struct tenon_region_status){.size = sizeof(*status)};
	error = tenon_region_status(object->handle, status);
	if (!error)
		CLI_COPY_COMMON(object, status);
	return error;
}

/* It grows, and may be larger than is asked for. */
static const char *find_difference(const struct cli_object *object, const struct cli_making *making)
{
	const struct tenon_region_status *status = &object->status.region;

	if (making->region.bytes > status->bytes)
		return "--size";
	if (making->given & CLI_MAKE_MAX_SIZE && making->region.max_bytes != status->max_bytes)
		return "--max-size";
	return NULL;
}

static bool refuse(const char *name, const struct cli_making *making)
{
	const struct tenon_region_options *options = &making->region;

	if (!options->bytes && !options->max_bytes && making->given & CLI_MAKE_SIZE)
		cli_kind_warn(&cli_kind_region, name,
			      "--size 0 needs a --max-size, to which it may grow");
	else if (!options->bytes && !options->max_bytes)
		cli_kind_warn(&cli_kind_region, name,
			      "how large it is must be said: 'tenon create region %s --size SIZE'",
			      name);
	else if (options->max_bytes && options->bytes > options->max_bytes)
		cli_kind_warn(&cli_kind_region, name, "--size %llu is above --max-size %llu",
			      (unsigned long long)options->bytes,
			      (unsigned long long)options->max_bytes);
	else
		return false;
	return true;
}

static const char *const seal_words[] = {"-", "grow", "write", "grow,write", NULL};

static void fill_columns(const struct cli_object *object, struct cli_columns *columns)
{
	const struct tenon_region_status *status = &object->status.region;

	snprintf(columns->first, sizeof(columns->first), "%s", cli_format_bytes(status->bytes));
	snprintf(columns->second, sizeof(columns->second), "%s",
		 cli_format_bytes(status->max_bytes));
	snprintf(columns->third, sizeof(columns->third), "%s", cli_word(seal_words, status->seals));
}

static const char *seals_meaning(uint32_t seals)
{
	static const char *const meanings[] = {"none", "against growing", "against writing",
					       "against growing and writing", NULL};

	return cli_word(meanings, seals);
}

static void print(const struct cli_object *object)
{
	const struct tenon_region_status *status = &object->status.region;

	cli_stat_size("made as", "of at most ", status->max_bytes);
	cli_stat_made(object);
	cli_stat_size("size", "", status->bytes);
	cli_stat_row("seals", "%s", seals_meaning(status->seals));
	cli_stat_row("grown", "%s", cli_format_count(status->grown, "time", "times"));
	cli_stat_row("repairs", "%llu", (unsigned long long)status->repairs);
	cli_stat_row("memory", "%s", cli_format_bytes(object->memory_bytes));
	cli_stat_row("attached", "%u of %u processes; %u can write", object->participants,
		     object->max_participants, status->writers);
}

static void add_json(const struct cli_object *object, struct json_object *json)
{
	const struct tenon_region_status *status = &object->status.region;
	struct json_object *seals = json_object_new_array();

	cli_json_add_number(json, "bytes", status->bytes);
	cli_json_add_number(json, "max_bytes", status->max_bytes);
	if (status->seals & TENON_REGION_SEAL_GROW)
		json_object_array_add(seals, json_object_new_string("grow"));
	if (status->seals & TENON_REGION_SEAL_WRITE)
		json_object_array_add(seals, json_object_new_string("write"));
	json_object_object_add(json, "seals", seals);
	cli_json_add_number(json, "writers", status->writers);
	cli_json_add_number(json, "grown", status->grown);
	cli_json_add_number(json, "repairs", status->repairs);
}

/* What is placed in a region. */

struct places {
	size_t count;
	struct {
		uint32_t kind;
		uint64_t offset;
	} all[PLACES_MOST];
};

static int collect_place(uint32_t kind, uint64_t offset, void *context)
{
	struct places *places = context;

	if (places->count < PLACES_MOST) {
		places->all[places->count].kind = kind;
		places->all[places->count++].offset = offset;
	}
	return 0;
}

/* Of one place: `error` says why the object is not open, or 0. */
typedef int (*place_visitor)(const struct cli_object *placed, uint64_t offset, int error,
			     void *context);

static int visit_place(const struct cli_object *object, const struct cli_kind *kind,
		       uint64_t offset, place_visitor visit, void *context)
{
	CLI_CLEANUP(cli_cleanup_object)
	struct cli_object placed = {.kind = kind, .is_placed = true};
	int error = kind->open_at(object->handle, offset, &placed.handle);

	if (!error)
		error = kind->read(&placed);
	/* It has been taken away since. */
	if (error == -ENOENT)
		return 0;
	return visit(&placed, offset, error, context);
}

/* Opening what is placed maps the region for writing, which keeps others from sealing it: that is
 * undone at once. */
static void stop_writing(const struct cli_object *object)
{
	void *address;

	if (!tenon_region_map(object->handle, TENON_REGION_WRITE, &address, NULL))
		tenon_region_unmap(object->handle, address);
}

static int visit_places(const struct cli_object *object, place_visitor visit, void *context)
{
	static struct places places;
	size_t i;
	int error;

	places.count = 0;
	error = tenon_region_placed(object->handle, collect_place, &places);
	for (i = 0; !error && i < places.count; ++i) {
		const struct cli_kind *kind = cli_kind_of(places.all[i].kind);

		if (kind && kind->open_at)
			error = visit_place(object, kind, places.all[i].offset, visit, context);
	}
	if (places.count)
		stop_writing(object);
	return error;
}

/* Why the state of what is placed cannot be told. */
static const char *place_trouble(int error)
{
	switch (-error) {
	case EPERM:
		return "the region is sealed against writing";
	case EAGAIN:
		return "the region is just being sealed";
	case EBADMSG:
		return "it is damaged";
	case EIDRM:
		return "it has been destroyed, and not yet been cleared away";
	case EINVAL:
		return "it lies behind the end of the region";
	default:
		return strerror(-error);
	}
}

static int print_place(const struct cli_object *placed, uint64_t offset, int error, void *context)
{
	const struct cli_kind *kind = placed->kind;
	struct cli_columns columns;

	(void)context;
	printf("    %s at offset %llu: ", kind->name, (unsigned long long)offset);
	if (error) {
		printf("not to be looked at: %s\n", place_trouble(error));
		return 0;
	}
	kind->fill_columns(placed, &columns);
	printf("%s %s, %s %s, %s %s%s\n", kind->columns[0], columns.first, kind->columns[1],
	       columns.second, kind->columns[2], columns.third, placed->damaged ? ", damaged" : "");
	return kind->print_processes ? kind->print_processes(placed) : 0;
}

/* Who uses it, and what there is beside. */
static int add_place_processes(const struct cli_object *placed, struct json_object *json)
{
	struct json_object *array;
	int error;

	if (!placed->kind->add_processes)
		return 0;
	array = json_object_new_array();
	if (!array)
		return -ENOMEM;
	json_object_object_add(json, "processes", array);
	error = placed->kind->add_processes(placed, array);
	return !error && placed->kind->add_details ? placed->kind->add_details(placed, json)
						   : error;
}

static int add_place(const struct cli_object *placed, uint64_t offset, int error, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_string(json, "kind", placed->kind->name);
	cli_json_add_number(json, "offset", offset);
	if (error) {
		cli_json_add_string(json, "error", place_trouble(error));
	} else {
		cli_json_add_boolean(json, "damaged", placed->damaged);
		placed->kind->add_json(placed, json);
		error = add_place_processes(placed, json);
		if (error) {
			json_object_put(json);
			return error;
		}
	}
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int add_details(const struct cli_object *object, struct json_object *json)
{
	struct json_object *array = json_object_new_array();

	if (!array)
		return -ENOMEM;
	json_object_object_add(json, "placed", array);
	return visit_places(object, add_place, array);
}

/* Who has it open. */

static int print_user(const struct tenon_region_user *user, void *context)
{
	(void)context;
	/* This very process has attached to look. */
	if (user->is_own)
		return 0;
	printf("    process %-8d uid %-6u since %s%s\n", user->pid, user->uid,
	       cli_format_time(user->attached_ns), user->writes ? ", can write" : "");
	return 0;
}

static int add_user(const struct tenon_region_user *user, void *context)
{
	struct json_object *json = json_object_new_object();

	if (!json)
		return -ENOMEM;
	cli_json_add_signed(json, "pid", user->pid);
	cli_json_add_number(json, "uid", user->uid);
	cli_json_add_boolean(json, "writes", user->writes);
	cli_json_add_boolean(json, "is_own", user->is_own);
	cli_json_add_signed(json, "attached_ns", user->attached_ns);
	return json_object_array_add(context, json) ? -ENOMEM : 0;
}

static int print_processes(const struct cli_object *object)
{
	int error = tenon_region_attached(object->handle, print_user, NULL);

	return error ? error : visit_places(object, print_place, NULL);
}

static int add_processes(const struct cli_object *object, struct json_object *array)
{
	return tenon_region_attached(object->handle, add_user, array);
}

/* The doctor. */

struct examination {
	struct doctor *doctor;
	const struct cli_object *region;
};

static void examine_lock(const struct examination *examination, const struct cli_object *placed,
			 uint64_t offset)
{
	const char *name = examination->region->name;

	if (placed->status.lock.state == TENON_LOCK_LOST)
		doctor_report(examination->doctor, DOCTOR_WARNING, name,
			      "mend what it protects, and place it anew (tenon_region_clear)",
			      "the lock at offset %llu was given up: nobody can have it any more",
			      (unsigned long long)offset);
	else if (placed->status.lock.state == TENON_LOCK_OWNER_DIED)
		doctor_report(examination->doctor, DOCTOR_WARNING, name, "look at what it protects",
			      "an owner of the lock at offset %llu died: what it protects may be "
			      "half done, which the next one to have it is told",
			      (unsigned long long)offset);
}

static void examine_once(const struct examination *examination, const struct cli_object *placed,
			 uint64_t offset)
{
	if (placed->status.once.owner_died && !placed->status.once.is_done)
		doctor_report(examination->doctor, DOCTOR_WARNING, examination->region->name,
			      "look at what was begun",
			      "who did the once at offset %llu died amid it: it may be half done, "
			      "which the next one to do it is told",
			      (unsigned long long)offset);
}

static int examine_place(const struct cli_object *placed, uint64_t offset, int error, void *context)
{
	const struct examination *examination = context;

	if (error == -EBADMSG || error == -EINVAL || (!error && placed->damaged))
		doctor_report(examination->doctor, DOCTOR_DAMAGE, examination->region->name,
			      "place it anew (tenon_region_clear), or make the region anew",
			      "the %s at offset %llu is damaged", placed->kind->name,
			      (unsigned long long)offset);
	else if (error == -EIDRM)
		doctor_report(examination->doctor, DOCTOR_WARNING, examination->region->name,
			      "clear it away (tenon_region_clear), so that it can be placed anew",
			      "the %s at offset %llu has been destroyed, and is still in its place",
			      placed->kind->name, (unsigned long long)offset);
	else if (!error && placed->kind == &cli_kind_lock)
		examine_lock(examination, placed, offset);
	else if (!error && placed->kind == &cli_kind_once)
		examine_once(examination, placed, offset);
	return 0;
}

static void examine(struct doctor *doctor, struct cli_object *object)
{
	const struct tenon_region_status *status = &object->status.region;
	struct examination examination = {doctor, object};
	int error;

	if (!doctor_is_sound(doctor, object))
		return;
	doctor_report(doctor, DOCTOR_FINE, object->name, NULL,
		      "sound; %s of at most %s, seals: %s; %s since it was made",
		      cli_format_bytes(status->bytes), cli_format_bytes(status->max_bytes),
		      seals_meaning(status->seals),
		      cli_format_count(status->repairs, "repair", "repairs"));
	error = visit_places(object, examine_place, &examination);
	if (error)
		doctor_report_unopened(doctor, object->name, error);
}

const struct cli_kind cli_kind_region = {
	.kind = TENON_KIND_REGION,
	.name = "region",
	.plural = "regions",
	.options = CLI_MAKE_ANY | CLI_MAKE_SIZE | CLI_MAKE_MAX_SIZE,
	.example = " --size SIZE",
	.contents = "its memory is",
	.use = "read and write it, and make it shorter",
	.columns = {"size", "max size", "seals"},
	CLI_KIND_CALLED(region),
	.difference = find_difference,
	.refuse = refuse,
	.fill_columns = fill_columns,
	.print = print,
	.add_json = add_json,
	.print_processes = print_processes,
	.add_processes = add_processes,
	.add_details = add_details,
	.examine = examine,
};
