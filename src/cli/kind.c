/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of kinds, and what is the same for all of them.  Every kind has names of its own: which
 * one a name means is found out by looking who has it.
 */

#include "kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_kind *const cli_kinds[] = {
	&cli_kind_queue,  &cli_kind_lock,      &cli_kind_semaphore, &cli_kind_semaphore_set,
	&cli_kind_event,  &cli_kind_condition, &cli_kind_barrier,   &cli_kind_once,
	&cli_kind_region, &cli_kind_shm,       &cli_kind_segment,   NULL,
};

const struct cli_kind cli_kind_any = {.name = "object", .plural = "objects"};

const struct cli_kind *cli_kind_of(uint32_t kind)
{
	size_t i;

	for (i = 0; cli_kinds[i]; ++i) {
		if (cli_kinds[i]->kind == kind)
			return cli_kinds[i];
	}
	return NULL;
}

const struct cli_kind *cli_kind_named(const char *name)
{
	size_t i;

	for (i = 0; cli_kinds[i]; ++i) {
		if (!strcmp(cli_kinds[i]->name, name))
			return cli_kinds[i];
	}
	return NULL;
}

/* Other names of them, for those who come from elsewhere. */
static const struct cli_kind *find_synonym(const char *word)
{
	static const struct {
		const char *word;
		const struct cli_kind *kind;
	} synonyms[] = {
		{"message-buffer", &cli_kind_queue},
		{"message_buffer", &cli_kind_queue},
		{"buffer", &cli_kind_queue},
		{"mailbox", &cli_kind_queue},
		{"mutex", &cli_kind_lock},
		{"rwlock", &cli_kind_lock},
		{"flock", &cli_kind_lock},
		{"sem", &cli_kind_semaphore},
		{"sems", &cli_kind_semaphore_set},
		{"semset", &cli_kind_semaphore_set},
		{"sem-set", &cli_kind_semaphore_set},
		{"cond", &cli_kind_condition},
		{"condvar", &cli_kind_condition},
		{"memory", &cli_kind_shm},
		{"shared-memory", &cli_kind_shm},
	};
	size_t i;

	for (i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); ++i) {
		if (!strcmp(synonyms[i].word, word))
			return synonyms[i].kind;
	}
	return NULL;
}

const struct cli_kind *cli_kind_nearest(const char *word)
{
	const char *names[sizeof(cli_kinds) / sizeof(cli_kinds[0])] = {NULL};
	const struct cli_kind *kind = find_synonym(word);
	const char *nearest;
	size_t i;

	if (kind)
		return kind;
	for (i = 0; cli_kinds[i]; ++i)
		names[i] = cli_kinds[i]->name;
	nearest = cli_nearest(word, names);
	return nearest ? cli_kind_named(nearest) : NULL;
}

const char *cli_article(const char *noun)
{
	/* "a once", as it is spoken, and letters. */
	if (!strcmp(noun, "shm"))
		return "an";
	return strchr("aei", noun[0]) ? "an" : "a";
}

const char *cli_kind_list(const char *before)
{
	static char list[512];
	size_t bytes = 0, i;

	for (i = 0; cli_kinds[i] && bytes < sizeof(list); ++i)
		bytes += (size_t)snprintf(list + bytes, sizeof(list) - bytes, "%s%s%s",
					  i ? ", " : "", before, cli_kinds[i]->name);
	return list;
}

int cli_kind_option(const struct cli_kind **ret_kind)
{
	const struct cli_kind *kind = cli_kind_named(optarg);
	const struct cli_kind *nearest = kind ? NULL : cli_kind_nearest(optarg);

	if (nearest)
		return cli_usage("--kind '%s': no kind of object; did you mean '%s'?", optarg,
				 nearest->name);
	if (!kind)
		return cli_usage("--kind '%s': not one of %s", optarg, cli_kind_list(""));
	*ret_kind = kind;
	return CLI_OK;
}

/* Who has a name, as bits of 1 << the place in the table. */
static uint32_t search_listing(const struct cli_listing *listing, const char *name)
{
	size_t low = 0, high = listing->count, i;
	uint32_t found = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(listing->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < listing->count && !strcmp(listing->entries[low].name, name); ++low) {
		for (i = 0; cli_kinds[i] != listing->entries[low].kind; ++i)
			;
		found |= UINT32_C(1) << i;
	}
	return found;
}

/* A long name stands in the object itself, and is not listed if that is damaged. */
static uint32_t search_damaged(const char *name)
{
	uint32_t found = 0;
	size_t i;

	for (i = 0; cli_kinds[i]; ++i) {
		void *handle = NULL;
		int error = cli_kinds[i]->open(name, NULL, &handle);

		if (error != -ENOENT)
			found |= UINT32_C(1) << i;
		if (!error)
			cli_kinds[i]->close(handle);
	}
	return found;
}

static int report_ambiguous(const char *name, uint32_t found)
{
	char kinds[256] = "", options[512] = "";
	size_t i;

	for (i = 0; cli_kinds[i]; ++i) {
		const char *kind = cli_kinds[i]->name;

		if (!(found & UINT32_C(1) << i))
			continue;
		snprintf(kinds + strlen(kinds), sizeof(kinds) - strlen(kinds), "%s%s %s",
			 kinds[0] ? " and " : "", cli_article(kind), kind);
		snprintf(options + strlen(options), sizeof(options) - strlen(options),
			 "%s--kind %s", options[0] ? " or " : "", kind);
	}
	return cli_usage("'%s' is %s; say which with %s", name, kinds, options);
}

/* By key or identifier.  A missing one keeps what was given in the place of a name. */
static int resolve_word(const char *text, const struct cli_kind *only, struct cli_named *named)
{
	const struct cli_kind *whose = NULL;
	uint32_t found = 0;
	int error = 0, status = cli_sysv_check_word(text);
	size_t i;

	named->kind = &cli_kind_any;
	snprintf(named->name, sizeof(named->name), "%s", text);
	for (i = 0; !status && cli_kinds[i]; ++i) {
		int one = only && only != cli_kinds[i]
				  ? -ENOENT
				  : cli_sysv_find(cli_kinds[i], text, named->name);

		if (!one) {
			found |= UINT32_C(1) << i;
			named->kind = cli_kinds[i];
		} else if (one != -ENOENT) {
			whose = cli_kinds[i];
			error = one;
		}
	}
	if (found & (found - 1))
		return report_ambiguous(text, found);
	return status || found || !error ? status : cli_kind_error(whose, text, error);
}

static int resolve(const struct cli_listing *listing, struct cli_named *named)
{
	uint32_t found = search_listing(listing, named->name);
	size_t i;

	if (!found && !cli_namespace_is_missing())
		found = search_damaged(named->name);
	if (found & (found - 1))
		return report_ambiguous(named->name, found);
	for (i = 0; cli_kinds[i]; ++i) {
		if (found & UINT32_C(1) << i)
			named->kind = cli_kinds[i];
	}
	return CLI_OK;
}

int cli_resolve(int count, char **names, const struct cli_kind *kind, struct cli_named **ret_named)
{
	CLI_CLEANUP(cli_cleanup_listing) struct cli_listing listing = {.entries = NULL};
	CLI_CLEANUP(cli_cleanup_free)
	struct cli_named *named = calloc((size_t)count, sizeof(*named));
	bool is_listed;
	int i, status = CLI_OK;

	if (!named)
		return cli_system_error(cli_current->name, -ENOMEM);
	for (i = 0; !status && i < count; ++i) {
		named[i].kind = kind ? kind : &cli_kind_any;
		status = cli_sysv_is_word(names[i]) ? resolve_word(names[i], kind, &named[i])
						    : cli_parse_name(names[i], named[i].name);
	}
	is_listed = !status && !kind && !cli_listing_read(&listing);
	for (i = 0; !status && is_listed && i < count; ++i) {
		if (!cli_sysv_is_word(names[i]))
			status = resolve(&listing, &named[i]);
	}
	if (status)
		return status;
	*ret_named = named;
	named = NULL;
	return CLI_OK;
}

/* Of a name that no kind has: why not. */
static int find_error(void)
{
	CLI_CLEANUP(cli_cleanup_listing) struct cli_listing listing = {.entries = NULL};
	int error = cli_listing_read(&listing);

	return error ? error : -ENOENT;
}

/* Of an object of System V mode and owner are not its file's. */
static void read_sysv(struct cli_object *object)
{
	object->sysv = (struct tenon_sysv_identity){.size = sizeof(object->sysv)};
	if (object->is_placed ||
	    tenon_sysv_identify(object->kind->kind, object->name, &object->sysv)) {
		object->sysv.size = 0;
		return;
	}
	object->mode = object->sysv.mode;
	object->uid = object->sysv.uid;
	object->gid = object->sysv.gid;
}

int cli_object_read(struct cli_object *object)
{
	int error = object->kind->read(object);

	if (!error)
		read_sysv(object);
	return error;
}

int cli_object_open(struct cli_object *object, const struct cli_kind *kind, const char *name,
		    const struct cli_making *making)
{
	int error;

	object->kind = kind;
	object->handle = NULL;
	snprintf(object->name, sizeof(object->name), "%s", name);
	if (kind == &cli_kind_any)
		return find_error();
	error = kind->open(name, making, &object->handle);
	return error ? error : cli_object_read(object);
}

void cli_cleanup_object(struct cli_object *object)
{
	if (object->handle)
		object->kind->close(object->handle);
	object->handle = NULL;
}

int cli_object_remove(const struct cli_kind *kind, const char *name)
{
	int error;

	if (kind == &cli_kind_any)
		return find_error();
	/* All of its names, and those who wait are told. */
	error = tenon_sysv_remove(kind->kind, name);
	return error == -EINVAL ? kind->remove(NULL, name) : error;
}
