/* SPDX-License-Identifier: Apache-2.0 */

#include "core/fault.h"

#ifdef TNI_SEEDED_FAULTS
unsigned tni_seeded_fault;
#endif
