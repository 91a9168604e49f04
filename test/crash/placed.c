/* SPDX-License-Identifier: Apache-2.0 */

#include "placed.h"

#include <stddef.h>

#define NAME "/place"
#define NOTES 16u

static struct {
	const void *object;
	struct tenon_region *region;
} notes[NOTES];

struct tenon_region *placed_open(uint32_t flags)
{
	struct tenon_region_options options = {.size = sizeof(options),
					       .max_participants = PLACED_PARTICIPANTS,
					       .bytes = PLACED_MOST * PLACED_BYTES,
					       .max_bytes = PLACED_GROWN};
	struct tenon_region *region;

	return tenon_region_open(NULL, NAME, flags, &options, &region) == 0 ? region : NULL;
}

void placed_remove(void)
{
	tenon_region_remove(NULL, NAME);
}

void placed_note(const void *object, struct tenon_region *region)
{
	for (uint32_t i = 0; i < NOTES; i++) {
		if (notes[i].object)
			continue;
		notes[i].object = object;
		notes[i].region = region;
		return;
	}
}

struct tenon_region *placed_forget(const void *object)
{
	for (uint32_t i = 0; i < NOTES && object; i++) {
		if (notes[i].object != object)
			continue;
		notes[i].object = NULL;
		return notes[i].region;
	}
	return NULL;
}
