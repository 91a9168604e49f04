/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * The benchmark's vocabulary.
 *
 * A *transport* is one way to carry messages between processes, or to keep them from each other
 * (sync.h): a rival, a limit, or one of Tenon's objects.  A *probe* measures what is not the
 * carrying of messages: opening, memory, being idle, deaths.  A *row* is a probe, or a transport
 * used in one way; a *group* is the rows that are measured in turn (A B C A B C ...) and compared.
 * A *run* is one repetition of one row: its processes are forked for it and end with it.  A
 * *target* bounds a row's figure, mostly by another row's of the same group.
 *
 * To add a transport, write transport_NAME.c with a `struct transport` in it, name it in the list
 * of transport.c and in the groups of plan.c; the same with a probe, probe_NAME.c and probe.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "histogram.h"

#define LINE_BYTES 128 /* two cache lines: the neighbour is fetched along with a line */

/* PAIRS: of acquiring and releasing, by as many producers as there are. */
enum pattern { ROUND_TRIP, ONE_WAY, PAIRS };
/* Messages, wakes, pairs: a second. */
enum unit { UNIT_NS, UNIT_MESSAGES, UNIT_BYTES, UNIT_WAKES, UNIT_PAIRS };
enum wait_mode { WAIT_POLL, WAIT_BLOCK, WAIT_EPOLL };
enum method { METHOD_COPY, METHOD_BATCH, METHOD_LOAN };

#define BATCH_MAX 32u
#define PROCESSES_MAX 16u
#define KEYS_MAX 8u

/* How a row uses its transport. */
struct shape {
	enum pattern pattern;
	enum wait_mode wait;
	enum method method;
	uint32_t bytes, depth; /* of a message; messages a direction can hold */
	uint32_t producers, consumers;
	uint32_t keys;	 /* a power of two: priorities or types in use */
	uint32_t gap_ns; /* what the asker of a round trip sleeps before each */
	bool same_cpu;
};

/* One direction of a row; of pairs, the one object.  Made in the parent, inherited by the children;
 * `attach` completes it in the child.  What the fields mean is up to the transport. */
struct link {
	const struct shape *shape;
	void *shared;
	size_t shared_bytes;
	int read_fd, write_fd;
	int epoll_fd; /* of the child, with WAIT_EPOLL; else -1 */
	char name[64];
	void *handle, *extra;
	uint64_t position, far_position;
	size_t stride, mask;
};

enum end { END_SEND, END_RECEIVE };

/*
 * The steps of a transport; loops.h compiles the measuring loops around them, once for each
 * transport, so that a step is inlined where the compiler sees it.
 *
 * Results are 0 or -errno; -EAGAIN means that it would have to wait (the loop polls).  Blocking is
 * up to link->shape->wait.  A message has LINE_BYTES of room in front of `data` that a transport
 * may use for a header of its own.  The batch calls answer how many messages they moved.
 */
struct transport_calls {
	/* Each producer has a way of its own to the consumer, and says its own end. */
	bool ends_each;
	/* Messages that a consumer receives between two looks at the clock, where the usual number
	 * takes so long that it would be taken for a stall; else 0. */
	uint32_t rounds_between;
	int (*send)(struct link *link, void *data, size_t bytes, uint64_t key);
	int (*receive)(struct link *link, void *buffer, size_t bytes);
	int (*send_batch)(struct link *link, void *data, size_t bytes, uint32_t count);
	int (*receive_batch)(struct link *link, void *buffer, size_t bytes, uint32_t count);
	int (*loan)(struct link *link, size_t bytes, void **ret_data);
	int (*commit)(struct link *link, size_t bytes);
	int (*take)(struct link *link, const void **ret_data);
	int (*done)(struct link *link);
};

struct run;

struct transport_loops {
	void (*ask)(struct run *run);
	void (*answer)(struct run *run);
	void (*produce)(struct run *run);
	void (*consume)(struct run *run);
	void (*hold)(struct run *run); /* PAIRS */
};

struct transport {
	const char *name, *title;
	/* Of a library of others: its version, what is used of it, and what it is told; or NULL. */
	const char *settings;
	/* Why it cannot do this, or NULL. */
	const char *(*refuse)(const struct shape *shape);
	int (*create)(struct link *link);
	int (*attach)(struct link *link, enum end end); /* may be NULL */
	int (*readable_fd)(struct link *link);		/* may be NULL */
	void (*destroy)(struct link *link);		/* may be NULL */
	/* What was sent may lie in the sender's process: it stays until all has been received. */
	bool lingers;
	void (*leave)(void); /* the last that a process of a run does; may be NULL */
	void (*stop)(void);  /* the program ends; may be NULL */
	const struct transport_loops *loops;
};

/* Measures in a process of its own until run->board->end_ticks, or as long as it has to; leaves a
 * figure, a process result and, where it timed single events, their histogram on the board. */
struct probe {
	const char *name, *title;
	enum unit unit;
	void (*measure)(struct run *run, const struct probe *probe);
	const void *what; /* the probe's own */
};

/* Why the machine's limits do not let it measure, or NULL. */
const char *probe_refusal(const struct probe *probe);
const struct probe *probe_find(const char *name, size_t length);
const struct transport *transport_find(const char *name, size_t length);
const struct transport *transport_at(size_t index); /* NULL behind the last */
int link_map(struct link *link, size_t bytes);

/* What a process of a run leaves behind. */
struct process_result {
	uint64_t messages, elapsed_ticks, stalled_ticks;
	uint64_t cpu_ns, cpu_window_ticks;
	uint64_t received, received_sum, sent, sent_sum;
	char fault[120];
};

/* Shared by the processes of a run. */
struct run {
	struct shape shape;
	struct link there, back; /* each process has its own copy: see run.c */
	uint32_t self;		 /* which process this is */
	struct run_board *board;
};

struct run_board {
	uint32_t ready, go, producers_left, consumers_left;
	bool timed_out;
	uint64_t warm_ticks, plain_ticks, end_ticks;
	double figure; /* of a probe; below 0: none yet */
	struct process_result results[PROCESSES_MAX];
	struct histogram trips;
};

/* The result of one repetition. */
struct sample {
	double figure;	     /* in the row's unit */
	double cpu_share[2]; /* of one CPU: askers or producers; answerers or consumers */
	double stall_share;  /* of the time: see loops.h */
	double least_share, most_share; /* of the pairs, that one process had */
};

#define REPEAT_MAX 64u

struct row {
	char name[48];
	const struct transport *transport; /* or, if NULL: */
	const struct probe *probe;
	struct shape shape;
	enum unit unit;
	const char *skipped; /* why, or NULL */
	char fault[160];     /* what went wrong, or "" */
	bool starved;	     /* that may be the machine's fault */
	bool tried_again;
	struct sample samples[REPEAT_MAX];
	struct histogram trips;
};

#define ROWS_MAX 40u

struct group {
	char name[32], title[96];
	struct row rows[ROWS_MAX];
	uint32_t row_count, sample_count;
	uint32_t repeat_most; /* 0: as often as all others */
	double steal_share, others_share;
	bool disturbed, measured;
};

struct settings {
	bool quick, list;
	const char *row_pattern, *json_path;
	uint32_t repeat;
	double run_seconds, spare_seconds; /* run_seconds 0: what the time allows */
};

/* How figures of a unit are called, and shown: divided by the scale. */
struct unit_text {
	const char *name, *shown, *shown_short;
	double scale;
};

extern const struct unit_text unit_texts[];

/* plan.c */
uint32_t plan_make(const struct settings *settings, struct group **ret_groups);

/* run.c: one repetition; false when the program is to end (a signal). */
bool run_row(struct row *row, uint32_t sample, double seconds);

/* report.c */
double row_median(const struct group *group, const struct row *row);
double row_cpu_share(const struct group *group, const struct row *row, uint32_t side); /* median */
double median(double *values, uint32_t count);
/* The narrowest interval, of as many sorted values leaving out so many at each end, that has the
 * true median with a probability of 95 %; with few values that of all of them.  The probability. */
double median_interval(uint32_t count, uint32_t *ret_left_out);
void report_group(const struct group *group);
void report_end(const struct group *groups, uint32_t count);
void report_json(FILE *file, const struct group *groups, uint32_t count,
		 const struct settings *settings);

/* targets.c */
void targets_print(FILE *json, const struct group *groups, uint32_t count, bool filtered);

#endif
