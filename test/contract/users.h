/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTRACT_USERS_H
#define TEST_CONTRACT_USERS_H

/* Several users in one case; only root can be them. */

#include "contract.h"

#define ANN 61001u
#define BOB 61002u
#define GROUP 61100u /* both may be in it */

/* What one user does, in a process of its own. */
struct part {
	uint32_t uid;
	bool in_group;
	void (*play)(const struct part *part);
	const char *name; /* of a queue */
	mode_t mode, mask;
	int expected;
};

/* Skips the case if this is not root.  The case's folder is one for all users, as /tmp is. */
void users_begin(void);

/* Starts it; the part is copied. */
pid_t users_start(struct part part);

/* Starts it and waits for its good end. */
void users_act(struct part part);

#endif
