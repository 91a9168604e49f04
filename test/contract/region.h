/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_REGION_H
#define TEST_CONTRACT_REGION_H

/* What the tests of regions share.  NAME is the region of a case. */

#include <errno.h>
#include <string.h>

#include <tenon/region.h>

#include "contract.h"

#define NAME "/region"
#define PAGE 4096u
#define LIMIT_NS (10 * SECOND_NS)

static inline struct tenon_region *region_make(uint64_t bytes, uint64_t max_bytes, uint32_t flags)
{
	struct tenon_region_options options = {
		.size = sizeof(options), .bytes = bytes, .max_bytes = max_bytes};
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, TENON_CREATE | TENON_EXCLUSIVE | flags,
				    &options, &region),
		  0);
	REQUIRE(region);
	return region;
}

static inline struct tenon_region *region_open(uint32_t flags)
{
	struct tenon_region *region = NULL;

	EXPECT_IS(tenon_region_open(contract_folder, NAME, flags, NULL, &region), 0);
	REQUIRE(region);
	return region;
}

static inline uint8_t *region_map(struct tenon_region *region, uint32_t access)
{
	void *address = NULL;

	EXPECT_IS(tenon_region_map(region, access, &address, NULL), 0);
	REQUIRE(address);
	return address;
}

static inline uint64_t region_bytes(struct tenon_region *region)
{
	uint64_t bytes = UINT64_MAX;

	EXPECT_IS(tenon_region_bytes(region, &bytes), 0);
	return bytes;
}

static inline int region_grow(struct tenon_region *region, uint64_t bytes)
{
	return tenon_region_grow(region, bytes, tenon_deadline_after(LIMIT_NS));
}

static inline int region_seal(struct tenon_region *region, uint32_t seals)
{
	return tenon_region_seal(region, seals, tenon_deadline_after(LIMIT_NS));
}

static inline struct tenon_region_status region_status(struct tenon_region *region)
{
	struct tenon_region_status status = {.size = sizeof(status)};

	EXPECT_IS(tenon_region_status(region, &status), 0);
	return status;
}

/* The path of its file. */
static inline const char *region_path(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/r.%s", contract_folder, &NAME[1]);
	return path;
}

#endif
