/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_HOSTILE_SCRIBBLED_H
#define TEST_HOSTILE_SCRIBBLED_H

/* The objects that are scribbled on, with files of their own or in a region, and their words. */

#include "scribbler.h"

/* Exit codes of victims. */
#define UNDOCUMENTED 3
#define IMPOSSIBLE 4

/* Whether they are in a region. */
extern bool scribbled_is_placed;

/* An object, and the region that it lies in. */
struct scribbled_handle {
	struct tenon_region *region; /* NULL: it has a file of its own */
	void *object;
};

/* What is not answered as the header says ends the process. */
int scribbled_open(const struct scribbled *kind, uint32_t flags,
		   struct scribbled_handle *ret_handle);
struct scribbled_handle scribbled_must_open(const struct scribbled *kind);
void scribbled_close(const struct scribbled *kind, struct scribbled_handle *handle);
void scribbled_remove(const struct scribbled *kind);
/* Calls everything, and lets go of it. */
void scribbled_use_up(const struct scribbled *kind, struct scribbled_handle *handle);

/* Its file, which has to be there; the caller's to close. */
int scribbled_file(const struct scribbled *kind);

/* Of a file with few participants: one page of them, and of rows. */
struct scribbled_places {
	uint64_t stakes, rows, cell, end;
	uint64_t control;		      /* of the region; 0: there is none */
	const struct scribbled_range *ranges; /* of the kind */
};

/* Makes one, to see. */
struct scribbled_places scribbled_find_places(const struct scribbled *kind);

/* Whether the word means something, or lies beside one that does; a gate; that of the region. */
bool scribbled_is_target(const struct scribbled_places *places, uint64_t offset);
bool scribbled_is_gate(const struct scribbled_places *places, uint64_t offset);
bool scribbled_is_regions_gate(const struct scribbled_places *places, uint64_t offset);

#endif
