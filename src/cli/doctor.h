/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_CLI_DOCTOR_H
#define TENON_CLI_DOCTOR_H

/* tenon doctor: what its halves, the system and the objects of each kind, report to. */

#include "cli.h"

enum doctor_grade { DOCTOR_FINE, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_DAMAGE };

struct doctor {
	bool json;
	struct json_object *array;
	unsigned int counts[4];
	const struct cli_kind *kind; /* of the object that is looked at; NULL: it is none */
	unsigned int objects;	     /* that were listed */
	unsigned int unseen;	     /* of these, those that this user may not open */
};

/* A finding: of what, what, and what to do about it (NULL: nothing). */
void doctor_report(struct doctor *doctor, enum doctor_grade grade, const char *object,
		   const char *remedy, const char *format, ...) CLI_PRINTF(5, 6);

/* An object that cannot be opened: what error the library gave. */
void doctor_report_unopened(struct doctor *doctor, const char *name, int error);

struct cli_object;

/* Whether its memory is; if not, that is reported. */
bool doctor_is_sound(struct doctor *doctor, const struct cli_object *object);

/* Reports a holder that is not to be seen, for which others may wait for ever. */
void doctor_examine_holder(struct doctor *doctor, const struct cli_object *object, int32_t pid,
			   uint32_t waiting);

/* Looks at the kernel, the limits of this process, and the namespace's folder.  False if there is
 * no folder to look into. */
bool doctor_examine_system(struct doctor *doctor);

#endif
