/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEMO_H
#define DEMO_H

/*
 * tenon-demo: a real job on real files whose workers are killed all the time.
 *
 *	producer ── paths ──► worker × N ── results ──► collector
 *	                         ▲
 *	                         └ SIGKILL, several times a second
 *
 * A message of the queue "/paths" is the path of a file, and nothing else; an empty one tells a
 * worker to end.  A worker takes a path under lease, checksums the file, sends the result to the
 * queue "/results", and only then says done.  If it dies before that, Tenon delivers the path
 * again: delivery is at least once.  The outcome is exactly once because the collector keeps one
 * result for each sequence number of "/paths", which stays the same when a message is delivered
 * again.
 *
 * Every process is a child of the supervisor (main).  They share two things: the queues, which they
 * open by name, and the board: figures to show and whom to kill.  No work goes through the board.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define WORKERS_MAX 64u
#define DIGEST_BYTES 32u
#define PATH_BYTES_MAX 65536u
#define SAMPLES_MAX 4096u
#define SAMPLE_BYTES_MAX 4096u
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

#define PATHS_QUEUE "/paths"
#define RESULTS_QUEUE "/results"

/* What a worker is doing.  It notes each step on the board before it begins it, so that after its
 * death the supervisor can tell where it was hit. */
enum phase {
	PHASE_NONE,
	PHASE_ATTACH,
	PHASE_TAKE,
	PHASE_CHECKSUM,
	PHASE_SEND,
	PHASE_BETWEEN, /* the result is sent, done is not yet called */
	PHASE_DONE,
	PHASE_COUNT
};

struct slot {
	uint32_t phase;
	uint32_t aim;	      /* the phase in which the supervisor wants to kill this worker */
	uint32_t deliveries;  /* of the message that is held: how often it was delivered before */
	uint32_t padding[13]; /* a cache line for each worker */
};

/* Shared by all processes of the demo; each field has one writer unless it says otherwise. */
struct board {
	uint64_t queued;      /* messages ever sent to /paths: producer, then supervisor */
	uint64_t gathered;    /* files of this round whose result has come: collector */
	uint64_t results;     /* results received in all rounds, doubles included */
	uint64_t doubles;     /* results that had come before and were dropped */
	uint64_t unreadable;  /* files of this round that could not be read */
	uint64_t redelivered; /* as the queues' own statistics say */
	uint64_t repairs;
	uint64_t bytes;		/* checksummed; all workers add to it */
	uint64_t untraceable;	/* workers found that ptrace(2) is not allowed here */
	uint64_t rate_messages; /* receiver of the rate measurement */
	uint64_t rate_ns;
	struct slot slots[WORKERS_MAX];
};

/* What a worker sends to "/results"; the path follows.  The producer ends a round by one without a
 * path, whose `sequence` is the number of files. */
struct result {
	uint64_t sequence; /* of the path's message */
	int32_t error;	   /* errno, if the file could not be read */
	uint32_t reserved;
	uint8_t digest[DIGEST_BYTES];
};

/* One pass over all files. */
struct round {
	const struct demo *demo;
	uint64_t base; /* the sequence number of its first path */
	bool first;    /* its result is what later ones are compared with */
};

struct sample {
	char *data;
	uint32_t bytes;
};

struct options {
	int64_t seconds;
	uint32_t kills_per_second;
	uint32_t workers;
	bool keep;
	const char *json_path;
};

struct demo {
	struct options options;
	char **directories; /* absolute, NULL at the end, none inside another */
	char folder[64];    /* everything that the demo makes lies in it */
	char names[80];	    /* the namespace, a folder in it */
	struct board *board;
	/* from the first walk */
	uint64_t files, file_bytes;
	struct sample *samples;
	uint32_t sample_count, sample_bytes_max;
	uint64_t sample_bytes;
};

/* What the job came to; see crew.c. */
struct job_figures {
	int64_t ns;	  /* of all rounds together */
	int64_t round_ns; /* the shortest whole round */
	uint32_t rounds;
	uint64_t kills, kills_inside, messages;
	uint64_t kills_in[PHASE_COUNT];
	uint64_t redelivered, doubles, repairs, unreadable;
	bool untraceable;
};

#define RATE_QUEUES 3u
#define RATE_DEPTHS 2u
struct rate {
	const char *name;
	uint64_t depth;
	double messages_per_second; /* 0: skipped */
	char skipped[96];
};

struct times {
	double reference_s, parallel_s, plain_s, tenon_s; /* 0: skipped */
};

/* The board's figures are read while others write them. */
static inline uint64_t board_read(const uint64_t *figure)
{
	return __atomic_load_n(figure, __ATOMIC_ACQUIRE);
}

static inline void board_write(uint64_t *figure, uint64_t value)
{
	__atomic_store_n(figure, value, __ATOMIC_RELEASE);
}

static inline void board_add(uint64_t *figure, uint64_t value)
{
	__atomic_fetch_add(figure, value, __ATOMIC_ACQ_REL);
}

/* walk.c: calls `visit` for each regular file below the directories; a non-zero answer ends it. */
int walk(char *const *directories,
	 int (*visit)(const char *path, size_t path_bytes, uint64_t file_bytes, void *context),
	 void *context);
int survey(struct demo *demo);
/* Makes the list of directories: absolute, each once.  NULL after an error, which it has told. */
char **resolve_directories(char *const *given, size_t count);

/* checksum.c: SHA-256 of a file; 0 or an errno value. */
struct checksum;
struct checksum *checksum_new(void);
struct checksum *checksum_free(struct checksum *checksum);
int checksum_file(struct checksum *checksum, const char *path, uint64_t *progress,
		  uint8_t *ret_digest);

/* producer.c, worker.c, collector.c: the processes of the job.  Each returns its exit status. */
int producer_main(const struct demo *demo);
int worker_main(const struct demo *demo, uint32_t index);
int collector_main(const struct demo *demo, const struct round *round);

/* process.c: children, which end with the supervisor at the latest, and waiting for them. */
void process_init(void);
/* The child runs `run` and ends with its answer.  With `group` it leads a process group of its own,
 * and ends together with it.  -1 if fork(2) failed, which was told, and all children were ended. */
pid_t spawn(int (*run)(const void *context), const void *context, bool group);
/* Sleeps until a child changed, or until `until_ns`.  False: the demo was told to end. */
bool wait_event(int64_t until_ns);
int interrupted_by(void); /* the signal that told it to, or 0 */
/* One child that ended or was stopped for its tracer, without waiting; 0: there is none. */
pid_t reap(int *ret_status);
/* Kills a child and waits until it is gone. */
void end_child(pid_t pid);
void end_children(void);
/* Waits for one child.  Its wait(2) status, or -1 if the demo was told to end. */
int wait_child(pid_t pid);
int64_t now_ns(void);
void complain(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void complain_error(const char *what, int error);

/* crew.c: runs whole rounds of the job for at least `seconds`, killing if `kills_per_second`. */
int job_run(struct demo *demo, int64_t seconds, uint32_t kills_per_second, bool first,
	    struct job_figures *ret_figures);

/* killer.c: who is killed, when and where. */
struct killer {
	struct board *board;
	uint32_t workers, per_second; /* per_second 0: nobody is killed */
	int64_t next_ns;
	bool ambush; /* the next worker that starts is to die while it attaches */
	uint64_t random;
	uint64_t kills, kills_in[PHASE_COUNT];
	uint32_t length[PHASE_COUNT]; /* of a call in instructions, as far as known */
};
void killer_init(struct killer *killer, const struct demo *demo, uint32_t per_second);
/* Each answers whether it has killed the worker, which is then gone. */
bool killer_strike(struct killer *killer, const pid_t *pids, uint32_t *ret_index);
bool killer_stopped(struct killer *killer, pid_t pid, uint32_t index);

/* reference.c: the same result, made without Tenon. */
#define PARALLEL_FILES 128u /* files for each sha256sum, where several run at once */
/* `processes` 0: one sha256sum, and the result is kept for the comparison.  Else that many
 * processes, and only the time counts. */
int reference_run(const struct demo *demo, uint32_t processes, double *ret_s);
int plain_run(const struct demo *demo, double *ret_s);
/* 0: the same; 1: not the same, and it has told where. */
int reference_compare(const struct demo *demo);

/* rates.c */
int rates_run(struct demo *demo, struct rate rates[RATE_DEPTHS][RATE_QUEUES]);

/* report.c: everything that is printed on standard output. */
void report_init(void);
bool report_is_terminal(void);
void report_stage(const char *title, const char *explanation);
void report_line(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void report_blank(void);
void report_live(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
void report_live_end(void);
bool report_failed(void);
const char *with_commas(uint64_t value);
void report_killing(const struct demo *demo, const struct job_figures *figures);
void report_times(const struct demo *demo, const struct job_figures *killed,
		  const struct times *times);
void report_rates(const struct demo *demo, struct rate rates[RATE_DEPTHS][RATE_QUEUES]);
int report_json(const struct demo *demo, const struct job_figures *figures,
		const struct times *times, struct rate rates[RATE_DEPTHS][RATE_QUEUES], bool same);

#endif
