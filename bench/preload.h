/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PRELOAD_H
#define BENCH_PRELOAD_H

/* A call of libtenon-preload.so, which lies beside the folder of this program, or NULL.  What it
 * is called through is what a program has whose calls the dynamic linker has led there: one jump
 * through a table. */
void *preload_find(const char *name);

#define PRELOAD_MISSING "libtenon-preload.so does not lie beside this program's folder"

#endif
