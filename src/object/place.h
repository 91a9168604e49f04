/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_PLACE_H
#define TNI_OBJECT_PLACE_H

/* Synchronization objects that are placed in a region.  See object/place.c. */

#include <tenon/region.h>

#include "object/sync.h"

/* As tni_sync_open_named(), at an offset of the region's data. */
int tni_sync_open_at(const struct tni_sync_kind *kind, size_t bytes, struct tenon_region *region,
		     uint64_t offset, uint32_t flags, const struct tenon_sync_options *options,
		     uint32_t limit, uint64_t word, void *ret_sync);

/* How many bytes one of a kind takes there whose `limit` says that.  0: there cannot be one. */
uint64_t tni_place_bytes(const struct tenon_region *region, const struct tni_sync_kind *kind,
			 uint32_t limit);

/* For struct tni_sync: lets go of one that is placed. */
void tni_place_close(struct tni_sync *sync);

/* For the region: what a dead participant, or who lets go, held of all that is placed there; and in
 * a child, of what this process has open of it. */
int tni_places_bury(struct tenon_region *region, uint32_t participant, int64_t deadline_ns);
void tni_places_renew(struct tenon_region *region);
void tni_places_rouse(struct tenon_region *region);

#endif
