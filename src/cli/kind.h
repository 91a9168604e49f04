/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_KIND_H
#define TENON_CLI_KIND_H

/*
 * The kinds of objects, in a table: what create, rm, ls, stat and doctor do with an object of each.
 * To add a kind: its functions in a file of its own, a row in kind.c, and its status below.
 */

#include "cli.h"

#include <tenon/barrier.h>
#include <tenon/condition.h>
#include <tenon/event.h>
#include <tenon/lock.h>
#include <tenon/once.h>
#include <tenon/posix.h>
#include <tenon/region.h>
#include <tenon/semaphore.h>
#include <tenon/semaphore_set.h>
#include <tenon/sysv.h>

/* An object that is open, and its status. */
struct cli_object {
	const struct cli_kind *kind;
	char name[258];
	void *handle;	/* the library's; NULL: not open */
	bool is_placed; /* in a region; it has no name */
	/* what every kind has, copied from the status */
	uint32_t mode, uid, gid, participants, max_participants;
	uint32_t unseen; /* of shm: processes of which the caller may not know */
	bool damaged;
	uint64_t id, memory_bytes;
	int64_t created_ns;
	struct tenon_sysv_identity sysv; /* size 0: it is none of System V */
	union {
		struct tenon_queue_status queue;
		struct tenon_lock_status lock;
		struct tenon_semaphore_status semaphore;
		struct tenon_event_status event;
		struct tenon_condition_status condition;
		struct tenon_barrier_status barrier;
		struct tenon_once_status once;
		struct tenon_region_status region;
		struct tenon_semaphore_set_status semaphore_set;
		struct tenon_shm_status shm;
		struct tenon_segment_status segment;
	} status;
};

/* The members above are called the same in the status of each kind. */
#define CLI_COPY_COMMON(object, from)                                  \
	do {                                                           \
		(object)->mode = (from)->mode;                         \
		(object)->uid = (from)->uid;                           \
		(object)->gid = (from)->gid;                           \
		(object)->participants = (from)->participants;         \
		(object)->max_participants = (from)->max_participants; \
		(object)->damaged = (from)->damaged != 0;              \
		(object)->id = (from)->id;                             \
		(object)->memory_bytes = (from)->memory_bytes;         \
		(object)->created_ns = (from)->created_ns;             \
	} while (0)

/* The options of `tenon create` that not every kind has, as bits of what was given. */
enum {
	CLI_MAKE_CAPACITY = 1,
	CLI_MAKE_ORDER = 2,
	CLI_MAKE_FULL = 4,
	CLI_MAKE_MESSAGE_SIZE = 8,
	CLI_MAKE_RECURSIVE = 16,
	CLI_MAKE_MODE = 32,
	CLI_MAKE_PARTICIPANTS = 64,
	CLI_MAKE_VALUE = 128,
	CLI_MAKE_MAXIMUM = 256,
	CLI_MAKE_MANUAL = 512,
	CLI_MAKE_SET = 1024,
	CLI_MAKE_COUNT = 2048,
	CLI_MAKE_SIZE = 4096,
	CLI_MAKE_MAX_SIZE = 8192,
	CLI_MAKE_INHERIT = 16384,
	CLI_MAKE_MAX_BYTES = 32768,
};

#define CLI_MAKE_ANY (CLI_MAKE_MODE | CLI_MAKE_PARTICIPANTS)

/* How an object is to be made.  Mode and participants are in all structures. */
struct cli_making {
	uint32_t flags; /* beside TENON_CREATE */
	uint32_t given;
	struct tenon_queue_options queue;
	struct tenon_sync_options sync;
	struct tenon_semaphore_options semaphore;
	struct tenon_barrier_options barrier;
	struct tenon_region_options region;
	struct tenon_semaphore_set_options semaphore_set;
};

/* The three columns of `tenon ls --long` that are a kind's own. */
struct cli_columns {
	char first[24], second[24], third[64];
};

struct doctor;
struct json_object;

struct cli_kind {
	uint32_t kind; /* TENON_KIND_… */
	const char *name, *plural;
	uint32_t options;	/* of `tenon create`: CLI_MAKE_… */
	const char *example;	/* of these, what stands in advice: " --count N"; NULL: none */
	const char *contents;	/* "messages are": what is written where its memory is */
	const char *use;	/* "use it": what who may read and write it can do */
	const char *columns[3]; /* their titles */

	/* Opens what exists (`making` NULL) or makes it.  An error of the library. */
	int (*open)(const char *name, const struct cli_making *making, void **ret_handle);
	void (*close)(void *handle);
	/* Opens the one that is placed in a region; NULL: such ones are not placed there. */
	int (*open_at)(struct tenon_region *region, uint64_t offset, void **ret_handle);
	int (*remove)(const char *namespace_path, const char *name);
	/* Reads the status into the object.  An error of the library. */
	int (*read)(struct cli_object *object);

	/* The option that was given and differs from the object, which existed before; or NULL. */
	const char *(*difference)(const struct cli_object *object, const struct cli_making *making);
	/* Options that do not go together: says so, and returns true.  NULL: there are none. */
	bool (*refuse)(const char *name, const struct cli_making *making);

	void (*fill_columns)(const struct cli_object *object, struct cli_columns *columns);
	/* `tenon stat`: the lines of text, the members of JSON.  What follows may be NULL: the
	 * rates since `before`, the attached processes, for which an error of the library is
	 * returned, and what `tenon ls` does not tell: in text it stands among the processes. */
	void (*print)(const struct cli_object *object);
	void (*add_json)(const struct cli_object *object, struct json_object *json);
	void (*print_rates)(const struct cli_object *object, const struct cli_object *before,
			    double s);
	int (*print_processes)(const struct cli_object *object);
	int (*add_processes)(const struct cli_object *object, struct json_object *array);
	int (*add_details)(const struct cli_object *object, struct json_object *json);

	/* `tenon doctor`, of an object that could be opened. */
	void (*examine)(struct doctor *doctor, struct cli_object *object);
};

extern const struct cli_kind cli_kind_queue, cli_kind_lock, cli_kind_semaphore, cli_kind_event,
	cli_kind_condition, cli_kind_barrier, cli_kind_once, cli_kind_region,
	cli_kind_semaphore_set, cli_kind_shm, cli_kind_segment;

/* A kind's open, close and read, made of the library's calls, which are called the same for all of
 * them: `noun` is the kind, `options` the member of struct cli_making.  And their places in its
 * row. */
#define CLI_KIND_CALLS(noun, options)                                                              \
	static int noun##_open(const char *name, const struct cli_making *making,                  \
			       void **ret_handle)                                                  \
	{                                                                                          \
		struct tenon_##noun *handle;                                                       \
		int error;                                                                         \
                                                                                                   \
		error = tenon_##noun##_open(NULL, name, making ? TENON_CREATE | making->flags : 0, \
					    making ? &making->options : NULL, &handle);            \
		if (!error)                                                                        \
			*ret_handle = handle;                                                      \
		return error;                                                                      \
	}                                                                                          \
	static void noun##_close(void *handle)                                                     \
	{                                                                                          \
		tenon_##noun##_close(handle);                                                      \
	}                                                                                          \
	static int noun##_read(struct cli_object *object)                                          \
	{                                                                                          \
		struct tenon_##noun##_status *status = &object->status.noun;                       \
		int error;                                                                         \
                                                                                                   \
		*status = (struct tenon_##noun##_status){.size = sizeof(*status)};                 \
		error = tenon_##noun##_status(object->handle, status);                             \
		if (!error)                                                                        \
			CLI_COPY_COMMON(object, status);                                           \
		return error;                                                                      \
	}

/* The same of what can be placed in a region. */
#define CLI_KIND_PLACED_CALLS(noun, options)                                                       \
	CLI_KIND_CALLS(noun, options)                                                              \
	static int noun##_open_at(struct tenon_region *region, uint64_t offset, void **ret_handle) \
	{                                                                                          \
		struct tenon_##noun *handle;                                                       \
		int error = tenon_##noun##_open_at(region, offset, 0, NULL, &handle);              \
                                                                                                   \
		if (!error)                                                                        \
			*ret_handle = handle;                                                      \
		return error;                                                                      \
	}

#define CLI_KIND_CALLED(noun)                                                        \
	.open = noun##_open, .close = noun##_close, .remove = tenon_##noun##_remove, \
	.read = noun##_read

#define CLI_KIND_PLACED_CALLED(noun) CLI_KIND_CALLED(noun), .open_at = noun##_open_at

/* All of them, ended by NULL. */
extern const struct cli_kind *const cli_kinds[];

/* What is said of a name of which it is not known what it names: "object". */
extern const struct cli_kind cli_kind_any;

/* By number or by name; NULL if there is none. */
const struct cli_kind *cli_kind_of(uint32_t kind);
const struct cli_kind *cli_kind_named(const char *name);

/* The kind that is probably meant by a word that names none; or NULL. */
const struct cli_kind *cli_kind_nearest(const char *word);

/* "a queue", "an event": the article. */
const char *cli_article(const char *noun);

/* "queue, lock", or with something before each: "--kind queue, --kind lock". */
const char *cli_kind_list(const char *before);

/* The option --kind.  Reports an unknown one and returns CLI_USAGE. */
#define CLI_OPTION_KIND 1010
#define CLI_KIND_OPTION                                          \
	{                                                        \
		"kind", required_argument, NULL, CLI_OPTION_KIND \
	}
int cli_kind_option(const struct cli_kind **ret_kind);

/* A name, and of which kind the object is. */
struct cli_named {
	const struct cli_kind *kind;
	char name[258];
};

/*
 * Checks the names, and finds out of which kind each is, if `kind` is NULL: the only one that has
 * an object of that name, key or identifier.  cli_kind_any if none has, or if that cannot be known;
 * the call that follows says what is wrong.  A bad name, and one that objects of several kinds
 * have, is reported, and CLI_USAGE returned.  The answer is freed by the caller.
 */
int cli_resolve(int count, char **names, const struct cli_kind *kind, struct cli_named **ret_named);

/* The name of the object of that kind that such a word (sysv.c) stands for.  0 or an error of the
 * library; -ENOENT there is none. */
int cli_sysv_find(const struct cli_kind *kind, const char *text, char ret_name[static 258]);

/* Opens (see cli_kind's open) and reads the status.  0 or an error of the library. */
int cli_object_open(struct cli_object *object, const struct cli_kind *kind, const char *name,
		    const struct cli_making *making);
/* Reads the status anew. */
int cli_object_read(struct cli_object *object);
void cli_cleanup_object(struct cli_object *object);

/* Removes it; of cli_kind_any it is -ENOENT, or what keeps from finding out. */
int cli_object_remove(const struct cli_kind *kind, const char *name);

/* As cli_queue_warn() and cli_queue_error() in cli.h, of any kind. */
void cli_kind_warn(const struct cli_kind *kind, const char *name, const char *format, ...)
	CLI_PRINTF(3, 4);
int cli_kind_error(const struct cli_kind *kind, const char *name, int error);

/* The sentence that cli_kind_error() would print, without the name and escaped; NULL if there is no
 * memory. */
char *cli_kind_error_text(const struct cli_kind *kind, const char *name, int error);

/* The objects of the namespace, sorted by their names' bytes, then by kind; begins as zeros. */
struct cli_listing {
	struct cli_entry {
		const struct cli_kind *kind;
		char *name;
	} * entries;
	size_t count, capacity;
	const struct cli_kind *only; /* NULL: all kinds */
};

/* 0 or a negative errno. */
int cli_listing_read(struct cli_listing *listing);
void cli_cleanup_listing(struct cli_listing *listing);

/* The status as JSON; NULL if there is no memory. */
struct json_object *cli_object_json(const struct cli_object *object);
/* What stands in the place of the status of an object that cannot be opened. */
struct json_object *cli_json_unopened(const struct cli_kind *kind, const char *name, int error);
/* Adds what is wrong with it as `error`; 0 or -ENOMEM. */
int cli_json_add_error(struct json_object *json, const struct cli_kind *kind, const char *name,
		       int error);
/* Adds its kind, if it is known, and its name; 0 or -ENOMEM. */
int cli_json_add_name(struct json_object *json, const struct cli_kind *kind, const char *name);
void cli_json_add_number(struct json_object *json, const char *key, uint64_t number);
void cli_json_add_signed(struct json_object *json, const char *key, int64_t number);
void cli_json_add_string(struct json_object *json, const char *key, const char *text);
void cli_json_add_boolean(struct json_object *json, const char *key, bool value);

/* What `tenon stat` says of a process begins with. */
void cli_stat_process(const struct cli_object *object, int32_t pid);

/* A line of `tenon stat`, and those that every kind has: by whom and when it was made. */
void cli_stat_row(const char *label, const char *format, ...) CLI_PRINTF(2, 3);
void cli_stat_made(const struct cli_object *object);
/* Short, and exactly where that is something else; `before` stands in front. */
void cli_stat_size(const char *label, const char *before, uint64_t bytes);
/* What it takes, how many are attached, and how many of these sleep: of a kind where all wait for
 * the same. */
void cli_stat_attached(const struct cli_object *object, uint32_t waiting);

#endif
