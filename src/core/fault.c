/* SPDX-License-Identifier: Apache-2.0 */

/* Which mistake a library with seeded faults makes. */

#include "core/fault.h"

#ifdef TNI_SEEDED_FAULTS
unsigned tni_seeded_fault;
#endif
