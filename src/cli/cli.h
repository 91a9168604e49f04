/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_H
#define TENON_CLI_H

/*
 * What the commands of `tenon` share.  Everything here stands on the public interface of the
 * library alone.  What differs between the kinds of objects is in kind.h.
 *
 * A command's run() gets argc and argv from its own name on and returns an exit status.  Whoever
 * finds an error prints it, once, and returns the exit status that belongs to it; CLI_OK is 0, so
 * `if (status)` reads as "it went wrong and was reported".
 */

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tenon/queue.h>

/* Exit statuses, as tenon(1) documents them. */
enum cli_status {
	CLI_OK = 0,
	CLI_NOTHING = 1,   /* nothing there, no room, or the time ran out */
	CLI_USAGE = 2,	   /* the command line makes no sense */
	CLI_MISSING = 3,   /* no such object */
	CLI_DENIED = 4,	   /* permission */
	CLI_EXHAUSTED = 5, /* memory, descriptors or places for processes have run out */
	CLI_DAMAGED = 6,   /* damaged, or made by another version */
	CLI_EXISTS = 7,	   /* there already, with other attributes where they were given */
	CLI_TOO_LONG = 8,  /* a message is longer than the queue takes */
	CLI_FAILED = 9,	   /* input, output or another call to the system failed */
	CLI_GIVEN_UP = 10, /* work: at least one message was given up */
};

#define CLI_CLEANUP(function) __attribute__((__cleanup__(function)))
#define CLI_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))

void cli_cleanup_free(void *pointer);		    /* for any pointer from malloc */
void cli_cleanup_fd(int *fd);			    /* for a descriptor, -1 for none */
void cli_cleanup_queue(struct tenon_queue **queue); /* for a queue, NULL for none */

struct cli_command {
	const char *name;
	const char *synopsis; /* what follows the name */
	const char *summary;  /* a phrase */
	const char *help;     /* the options, whole lines */
	int (*run)(int argc, char **argv);
};

extern const struct cli_command cli_command_create, cli_command_rm, cli_command_ls,
	cli_command_stat, cli_command_send, cli_command_recv, cli_command_peek, cli_command_work,
	cli_command_run, cli_command_lock, cli_command_sem, cli_command_event, cli_command_barrier,
	cli_command_once, cli_command_region, cli_command_shm, cli_command_bench,
	cli_command_doctor, cli_command_help, cli_command_version;

/* The table of commands, ended by NULL, and the one that runs (NULL before it is known). */
extern const struct cli_command *const cli_commands[];
extern const struct cli_command *cli_current;

/* Finds a command; prints an error with a suggestion and returns NULL if there is none. */
const struct cli_command *cli_command_find(const char *name);
void cli_command_print_help(const struct cli_command *command);
void cli_print_overview(void);

/* For a program that takes this one's place: signals and standard streams as they were. */
void cli_leave_as_found(void);

/* options.c */

#define CLI_OPTION_NAMESPACE 1000
#define CLI_COMMON_OPTIONS                                            \
	{"namespace", required_argument, NULL, CLI_OPTION_NAMESPACE}, \
	{                                                             \
		"help", no_argument, NULL, 'h'                        \
	}

/* getopt_long() for a command: handles the common options and reports bad ones.  What a command
 * does not know itself it gives to cli_option_status(). */
int cli_option(int argc, char **argv, const char *shorts, const struct option *longs);
int cli_option_status(int option);

/*
 * A command line in which options and operands stand in any order, up to a command whose words are
 * its own.  `option` gets what the common options are not; `operand` what is none, and whether it
 * stands behind "--".  CLI_REST: this one and what follows is the command.
 */
struct cli_line {
	const char *shorts; /* begin with a dash */
	const struct option *longs;
	int (*option)(void *context, int option);
	int (*operand)(void *context, const char *text, bool ended);
};

#define CLI_REST (-1)

/* False: nothing more is to be done, and `*ret_status` is the exit status.  Else the command begins
 * at argv[optind], if there is one. */
bool cli_parse_line(int argc, char **argv, const struct cli_line *line, void *context,
		    int *ret_status);

/* Checks for exactly one operand and turns it into the name of an object of the kind that is called
 * so; cli_operand_queue() for a queue. */
int cli_operand_name(int argc, char **argv, const char *kind, char ret_name[static 258]);
int cli_operand_queue(int argc, char **argv, char ret_name[static 258]);

/* The word of `words` (ended by NULL) that was probably meant, or NULL. */
const char *cli_nearest(const char *word, const char *const *words);

/* error.c */

/* Prints `tenon: TEXT` and the remark where help is found, returns CLI_USAGE. */
int cli_usage(const char *format, ...) CLI_PRINTF(1, 2);

/* Prints `tenon: TEXT`. */
void cli_warn(const char *format, ...) CLI_PRINTF(1, 2);

/* Prints `tenon: queue 'NAME': TEXT`. */
void cli_queue_warn(const char *name, const char *format, ...) CLI_PRINTF(2, 3);

/* Says what a negative errno of the library means for the queue and what to do about it; returns
 * the exit status. */
int cli_queue_error(const char *name, int error);

/* Same for a file or a call that has nothing to do with a queue. */
int cli_system_error(const char *what, int error);

/* Same for the namespace. */
int cli_namespace_error(int error);

/* What is to be done with a queue: of System V's the mode must allow it, not only the file's. */
#define CLI_TO_RECEIVE 04u
#define CLI_TO_SEND 02u

/* Opens a queue that exists and reads its status, or reports why not.  What cli_parse_queue() has
 * left in the place of a name becomes one. */
int cli_queue_open(char name[static 258], uint32_t flags, uint32_t wanted,
		   struct tenon_queue **ret_queue, struct tenon_queue_status *ret_status);

/* namespace.c */

/* The namespace in use, for messages; whether somebody has chosen it; whether it is missing; and
 * whether the caller may make files there, but remove only its own. */
const char *cli_namespace(void);
bool cli_namespace_is_named(void);
bool cli_namespace_is_missing(void);
bool cli_namespace_is_sticky(void);

/* What to do if it is missing. */
const char *cli_namespace_remedy(void);

/* The folder that keeps this user from looking into the namespace: that one, or one above it.  NULL
 * if none does. */
const char *cli_namespace_barrier(void);

/* Messages there would be written to a disk. */
bool cli_is_on_disk(const char *path);

/* parse.c: each returns 0 or -EINVAL and prints nothing. */

int cli_parse_number(const char *text, uint64_t *ret_number); /* decimal or 0x… */
int cli_parse_count(const char *text, uint64_t *ret_count);   /* the same, with K, M or G */
int cli_parse_size(const char *text, uint64_t *ret_bytes);    /* with K, M or G */
int cli_parse_mode(const char *text, uint32_t *ret_mode);     /* octal, at most 0777 */

/* Reads `optarg`: 500ms, 1.5s, 2m; seconds.  Reports what is wrong with it and returns
 * CLI_USAGE. */
int cli_option_duration(const char *option, int64_t least_ns, int64_t *ret_ns);

/* Reads `optarg`, a size, of at most what a region has.  Reports another and returns CLI_USAGE. */
int cli_option_region_size(const char *option, uint64_t least, uint64_t *ret_bytes);

/* Reads `optarg`, a number of that range.  Reports another and returns CLI_USAGE. */
int cli_option_number(const char *option, uint32_t least, uint32_t most, uint32_t *ret_number);

/* Writes the name with its leading slash; reports a bad one and returns CLI_USAGE. */
int cli_parse_name(const char *text, char ret_name[static 258]);

/* The same of a queue, which may also be one of System V by its key or identifier (sysv.c): these
 * are checked, and stay as they are until it is opened. */
int cli_parse_queue(const char *text, char ret_name[static 258]);

/* The words for orders and for what happens when a queue is full, ended by NULL. */
extern const char *const cli_order_words[];
extern const char *const cli_full_words[];
int cli_parse_word(const char *text, const char *const *words, uint32_t *ret_index);
const char *cli_word(const char *const *words, uint32_t index);

/* select.c: which messages of a typed queue are meant. */

struct cli_select {
	bool given, except, lowest;
	bool below; /* the key was given below 0 */
	uint64_t key;
};

enum { CLI_OPTION_TYPE = 1001, CLI_OPTION_EXCEPT, CLI_OPTION_LOWEST };

#define CLI_SELECT_OPTIONS                                        \
	{"type", required_argument, NULL, CLI_OPTION_TYPE},       \
		{"except", no_argument, NULL, CLI_OPTION_EXCEPT}, \
	{                                                         \
		"lowest", no_argument, NULL, CLI_OPTION_LOWEST    \
	}

/* For options that the command does not know itself; goes on to cli_option_status(). */
int cli_select_option(int option, struct cli_select *select);

/* Checks the wish against the queue and writes it into the options. */
int cli_select_apply(const struct cli_select *select, const char *name,
		     const struct tenon_queue_status *status,
		     struct tenon_receive_options *options);

/* sysv.c: objects of System V. */

/* Whether they stand for an object by key or identifier; whether there can be such ones, or it is
 * reported and CLI_USAGE returned. */
bool cli_sysv_is_word(const char *text);
int cli_sysv_check_word(const char *text);

/* Whether it is how the library calls an object of System V; whether this queue is one; and whether
 * its mode does not let the caller do all of CLI_TO_… */
bool cli_sysv_is_name(const char *name);
bool cli_sysv_is_queue(const char *name);
bool cli_sysv_is_denied(const char *name, uint32_t wanted);

/* As ipcs(1) prints it, until the next call. */
const char *cli_sysv_format_key(int32_t key);

/* output.c: messages to standard output, standard output in general, and how things look. */

enum cli_framing {
	CLI_FRAMING_LINES,
	CLI_FRAMING_NULL,
	CLI_FRAMING_LENGTH, /* four bytes, big endian, before each message */
	CLI_FRAMING_RAW,    /* one behind the other */
};

struct cli_output {
	enum cli_framing framing;
	bool json;
	bool escape; /* standard output is a terminal: nothing may steer it */
	char *data;
	size_t bytes, capacity;
};

/* Both return 0 or a negative errno.  _message collects; _flush writes. */
int cli_output_message(struct cli_output *output, const void *data,
		       const struct tenon_message *message);
int cli_output_flush(struct cli_output *output);
void cli_cleanup_output(struct cli_output *output);

/* transfer.c: the options that send, recv and peek share. */

enum {
	CLI_OPTION_LENGTH_PREFIXED = 1100,
	CLI_OPTION_RAW,
	CLI_OPTION_JSON,
	CLI_OPTION_NO_WAIT,
};

#define CLI_FRAMING_OPTIONS                                                      \
	{"null", no_argument, NULL, '0'},                                        \
	{                                                                        \
		"length-prefixed", no_argument, NULL, CLI_OPTION_LENGTH_PREFIXED \
	}
#define CLI_WAIT_OPTIONS                                    \
	{"no-wait", no_argument, NULL, CLI_OPTION_NO_WAIT}, \
	{                                                   \
		"timeout", required_argument, NULL, 't'     \
	}
#define CLI_VIEW_OPTIONS                                                                         \
	CLI_FRAMING_OPTIONS, {"raw", no_argument, NULL, CLI_OPTION_RAW},                         \
		{"json", no_argument, NULL, CLI_OPTION_JSON}, {"quiet", no_argument, NULL, 'q'}, \
		CLI_SELECT_OPTIONS

/* What the help says of them. */
#define CLI_VIEW_HELP                                                                              \
	"  -0, --null             a null byte after each message\n"                                \
	"      --length-prefixed  four bytes of length, big endian, before each message\n"         \
	"      --raw              nothing between messages\n"                                      \
	"      --json             an object a line; 'data', or 'data_base64' if it is not UTF-8\n" \
	"      --type K           of a typed queue, messages of type K; -K: --type K --lowest\n"   \
	"      --except           with --type: all but those\n"                                    \
	"      --lowest           with --type: of the lowest type up to K\n"                       \
	"  -q, --quiet            say nothing when there is nothing\n"

struct cli_wait {
	bool never;
	int64_t timeout_ns; /* for each message; -1: none */
};

/* How messages are shown, and which. */
struct cli_view {
	struct cli_output output;
	struct cli_select select;
	bool quiet;
};

/* True if the option was one of these. */
bool cli_framing_option(int option, enum cli_framing *framing);
bool cli_wait_option(int option, struct cli_wait *wait, int *ret_status);

/* When a wait that begins now ends, as the options of the library take it. */
int64_t cli_wait_deadline(const struct cli_wait *wait);

/* For options that the command does not know itself; goes on to cli_select_option(). */
int cli_view_option(int option, struct cli_view *view);

/* After the last option. */
int cli_view_check(struct cli_view *view);

/* Ends a program whose output nobody reads as SIGPIPE would have; reports other errors. */
int cli_output_error(int error);

/* Puts a stream into the place of stdio's standard output that remembers why writing failed. */
int cli_begin_stdout(void);

/* Flushes it and reports, once, what went wrong with it.  For the end, and wherever others are to
 * see at once what was printed. */
int cli_finish_stdout(int status);

int cli_write_all(int fd, const void *data, size_t bytes);

/* Appends to a string that grows; 0 or -ENOMEM. */
int cli_append(char **data, size_t *bytes, size_t *capacity, const void *more, size_t more_bytes);

/* `bytes` bytes with control characters and broken UTF-8 as \xHH; NULL if there is no memory. */
char *cli_escape(const void *data, size_t bytes, size_t *ret_bytes);
bool cli_is_utf8(const void *data, size_t bytes);

/* Colours: "" unless the stream is a terminal and NO_COLOR is unset. */
enum cli_colour { CLI_PLAIN, CLI_BOLD, CLI_RED, CLI_YELLOW, CLI_GREEN, CLI_DIM };
const char *cli_colour(int fd, enum cli_colour colour);

/* "1.5 MiB", in one of a few buffers that are used in turn. */
const char *cli_format_bytes(uint64_t bytes);
/* "3.2 s" or "12 min", same. */
const char *cli_format_duration(int64_t ns);
/* The same without rounding, for what the user has given: "1.5 ms", "90 min". */
const char *cli_format_exactly(int64_t ns);
/* "1 queue is" or "5 queues are", as above. */
const char *cli_format_count(uint64_t count, const char *one, const char *many);
/* "1 message" or "5 messages", and the same with "was" or "were", as above. */
const char *cli_format_messages(uint64_t count);
const char *cli_format_messages_were(uint64_t count);
/* Local date and time of nanoseconds since 1970, "never" for 0, same. */
const char *cli_format_time(int64_t ns);

/* json.c */

struct json_object;

/* Adds text under a key, or under KEY_base64 if it is not UTF-8; 0 or -ENOMEM. */
int cli_json_add_text(struct json_object *object, const char *key, const void *data, size_t bytes);
struct json_object *cli_json_message(const void *data, const struct tenon_message *message);
/* Prints it and a newline on stdout (indented if asked) and lets go of it. */
void cli_json_print(struct json_object *object, bool indented);

/* input.c: cuts what comes from a descriptor into messages. */

struct cli_input {
	int fd;
	enum cli_framing framing;
	uint64_t max_message_bytes;
	uint64_t messages; /* given out so far */
	uint64_t claimed;  /* the length that no message can have, after -EOVERFLOW */
	char *data;
	size_t capacity, begin, end, scanned; /* scanned: no separator before it */
	bool at_end;
};

/*
 * Gives the messages that are there, at least one, without waiting for more; `*ret_count` is 0 at
 * the end.  They lie in the input's buffer until the next call.  0, or a negative errno: -EMSGSIZE
 * the next message is too long, -EOVERFLOW its prefix says a length that no queue takes, -EPROTO
 * the input ends within a message.
 */
int cli_input_next(struct cli_input *input, struct tenon_slice *slices, uint32_t capacity,
		   uint32_t *ret_count);
void cli_cleanup_input(struct cli_input *input);

/* Reads all of a descriptor, at most `limit` bytes; -EMSGSIZE if there is more. */
int cli_read_all(int fd, uint64_t limit, char **ret_data, size_t *ret_bytes);

/* progress.c: one line on standard error, if that is a terminal and the work takes its time. */

/* CLI_PROGRESS_DATA: bytes, and there are no messages. */
enum cli_progress_unit { CLI_PROGRESS_MESSAGES, CLI_PROGRESS_BYTES, CLI_PROGRESS_DATA };

struct cli_progress {
	bool enabled, shown;
	const char *verb; /* "sent" */
	enum cli_progress_unit unit;
	uint64_t total; /* of that unit; 0 if it is not known */
	uint64_t messages, bytes;
	int64_t begin_ns, drawn_ns;
};

/* `in_use`: something else is typed or shown on the terminal, and figures would disturb it. */
void cli_progress_begin(struct cli_progress *progress, const char *verb,
			enum cli_progress_unit unit, uint64_t total, bool in_use);
void cli_progress_add(struct cli_progress *progress, uint64_t messages, uint64_t bytes);
/* Replaces the line, if there was one, by a summary. */
void cli_progress_end(struct cli_progress *progress);
/* Takes the line away for something else that is to be printed. */
void cli_progress_clear(void);

int64_t cli_now_ns(void); /* CLOCK_MONOTONIC */

#endif
