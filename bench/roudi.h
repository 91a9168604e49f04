/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ROUDI_H
#define BENCH_ROUDI_H

/* The daemon of iceoryx, once in this program.  -EBUSY: it does not start; another one may run. */
int roudi_start(const char *folder);
void roudi_stop(void);

#endif
