/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_REGION_H
#define TENON_CLI_REGION_H

/* tenon region: what its verbs are given. */

#include "kind.h"

struct cli_region_request {
	char name[258];
	uint64_t offset;
	/* dump */
	uint64_t length;    /* CLI_REGION_REST: to the end */
	const char *output; /* NULL: standard output */
	bool hex, raw;
	/* load, grow, seal */
	const char *input; /* NULL: standard input */
	bool create, grow, write;
	uint64_t size, max_bytes; /* 0: not given */
	int64_t timeout_ns;	  /* -1: none */
};

#define CLI_REGION_REST UINT64_MAX

/* So much is copied at once, and the guard asked behind that. */
#define CLI_REGION_CHUNK_BYTES ((size_t)256 << 10)

void cli_cleanup_region(struct tenon_region **region);

/* Until when others are waited for who grow or seal it. */
int64_t cli_region_deadline(const struct cli_region_request *request);

/* As cli_kind_error(), where -EPERM is that it is sealed against `what`: "writing". */
int cli_region_error(const struct cli_region_request *request, int error, const char *what);

/* Opens what exists, with the guard, or reports why not. */
int cli_region_open(const struct cli_region_request *request, struct tenon_region **ret_region);

/* The verbs that copy.  An exit status. */
int cli_region_dump(const struct cli_region_request *request);
int cli_region_load(const struct cli_region_request *request);

/* Makes it as long as that, or reports why not; for load, too. */
int cli_region_grow(const struct cli_region_request *request, struct tenon_region *region,
		    uint64_t bytes);

#endif
