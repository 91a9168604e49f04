/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_SYSV_MUTANT_H
#define TEST_CONFORM_SYSV_MUTANT_H

/* What the two halves of the mutant of System V's calls share. */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

enum kind { MSG, SEM, SHM };

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

/* Whether that is what is wrong. */
bool mutant_is(const char *mutant);
#define is(mutant) mutant_is(mutant)
/* Sets errno, and gives -1. */
long mutant_fail(int error);
/* The end of each call: its result, if nothing is wrong with that. */
long mutant_end(long result);
/* The identifier that the kernel knows; that of an index, of "index-only". */
int mutant_whole(enum kind kind, int id);
/* Whether the identifier is for another process, of "per-process". */
bool mutant_is_others(void);

#endif
