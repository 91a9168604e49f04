/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CRASH_PLACED_H
#define TEST_CRASH_PLACED_H

/*
 * A region for objects to be placed in, of which each has a handle of its own: by one handle each
 * is opened once.  What is in a table of this process, by the object's handle.
 */

#include <stdbool.h>
#include <stdint.h>

#include <tenon/region.h>

#define PLACED_PARTICIPANTS 16u
#define PLACED_BYTES ((uint64_t)TENON_PLACE_BYTES(PLACED_PARTICIPANTS))
#define PLACED_MOST 8u			 /* places */
#define PLACED_GROWN (UINT64_C(4) << 20) /* to which it may grow, for those that are larger */

/* Opens it (`flags`: 0 or TENON_CREATE).  NULL: it cannot be. */
struct tenon_region *placed_open(uint32_t flags);

/* Removes the name. */
void placed_remove(void);

/* Notes by which region an object is open. */
void placed_note(const void *object, struct tenon_region *region);

/* That region, of which this is the last that the table knows; NULL: the object is not placed. */
struct tenon_region *placed_forget(const void *object);

#endif
