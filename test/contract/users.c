/* SPDX-License-Identifier: Apache-2.0 */

#include "users.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* A user with a group of its own and, perhaps, the common one. */
static void become(uint32_t uid, bool in_group)
{
	gid_t group = GROUP;

	REQUIRE(setgroups(in_group ? 1 : 0, &group) == 0);
	REQUIRE(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
	/* Forgotten with the change. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void play(void *context)
{
	const struct part *part = context;

	become(part->uid, part->in_group);
	part->play(part);
}

void users_begin(void)
{
	if (geteuid() != 0)
		contract_skip("only root can be several users");
	REQUIRE(chmod(contract_folder, 01777) == 0);
}

pid_t users_start(struct part part)
{
	return contract_start(play, &part);
}

void users_act(struct part part)
{
	contract_await(users_start(part));
}
