/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_CORE_FAULT_H
#define TNI_CORE_FAULT_H

/*
 * Faults that the crash harness has to find.  A library that is built with TNI_SEEDED_FAULTS makes
 * the mistake that tni_seeded_fault names; any other build has no trace of them.
 */

#define TNI_FAULT_PUBLISH_BEFORE_WRITE 1u
#define TNI_FAULT_NO_WAKE 2u
#define TNI_FAULT_NO_JOURNAL 3u

#ifdef TNI_SEEDED_FAULTS
extern unsigned tni_seeded_fault;
#define TNI_FAULT(which) (tni_seeded_fault == (which))
#else
#define TNI_FAULT(which) 0
#endif

#endif
