/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_MEMORY_H
#define TENON_CLI_MEMORY_H

/*
 * tenon region and tenon shm: what their verbs are given, and the two kinds of memory that dump and
 * load copy.  A region is mapped, and read and written with the guard; a shared memory object is a
 * file, and read and written as one, which knows no SIGBUS.
 */

#include "kind.h"

struct cli_memory_calls;

struct cli_memory_request {
	const struct cli_memory_calls *calls;
	char name[258];
	uint64_t offset;
	/* dump */
	uint64_t length;    /* CLI_MEMORY_REST: to the end */
	const char *output; /* NULL: standard output */
	bool hex, raw;
	/* load, grow, seal */
	const char *input; /* NULL: standard input */
	bool create, grow, write;
	uint64_t size, max_bytes; /* 0: not given */
	int64_t timeout_ns;	  /* -1: none */
};

#define CLI_MEMORY_REST UINT64_MAX

/* So much is copied at once, and asked behind that whether it was there. */
#define CLI_MEMORY_CHUNK_BYTES ((size_t)256 << 10)

/* What is open. */
struct cli_memory {
	const struct cli_memory_calls *calls; /* NULL: nothing is */
	struct tenon_region *region;
	uint8_t *data;	     /* of a region that is mapped */
	uint64_t data_bytes; /* so much of it */
	int fd;		     /* of a shared memory object */
	bool is_made;	     /* by this very command */
};

/* Errors are negative errno, and what is called a status an exit status, where it was said already
 * what is the matter. */
struct cli_memory_calls {
	const struct cli_kind *kind;
	/* Opens what exists. */
	int (*open)(const struct cli_memory_request *request, bool for_writing,
		    struct cli_memory *ret_memory);
	/* Makes what is missing, or opens what somebody else has made meanwhile. */
	int (*make)(const struct cli_memory_request *request, uint64_t bytes,
		    struct cli_memory *ret_memory);
	void (*close)(struct cli_memory *memory);
	/* How long it is, and may become. */
	int (*measure)(const struct cli_memory *memory, uint64_t *ret_bytes,
		       uint64_t *ret_max_bytes);
	/* From here on it can be read, or written.  How long it is then.  A status. */
	int (*prepare)(const struct cli_memory_request *request, struct cli_memory *memory,
		       bool for_writing, uint64_t *ret_bytes);
	/* Takes the memory for so many bytes from request->offset on, and makes it longer if it
	 * does not reach so far.  A status. */
	int (*take)(const struct cli_memory_request *request, struct cli_memory *memory,
		    uint64_t bytes);
	/* -EIO if not all of that is there any more. */
	int (*read)(const struct cli_memory *memory, uint64_t offset, uint8_t *chunk, size_t bytes);
	int (*write)(const struct cli_memory *memory, uint64_t offset, const uint8_t *chunk,
		     size_t bytes);
};

extern const struct cli_memory_calls cli_memory_region, cli_memory_shm;

void cli_cleanup_memory(struct cli_memory *memory);

/* As cli_kind_error(). */
int cli_memory_error(const struct cli_memory_request *request, int error);

/* Does what the command line says with that kind of memory.  `verbs` begin as those of a region. */
int cli_memory_run(int argc, char **argv, const struct cli_memory_calls *calls,
		   const char *const *verbs);

/* The verbs that copy.  An exit status. */
int cli_memory_dump(const struct cli_memory_request *request);
int cli_memory_load(const struct cli_memory_request *request);

#endif
