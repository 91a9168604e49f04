/* SPDX-License-Identifier: Apache-2.0 */

/* Which participants live, for who is told of them: see core/object.c. */

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/object.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Whether the process that an entry names has ended, as far as this one can tell.  Who takes over a dead one's entry has the
 * lock that says that somebody lives, and buries it before the entry is the new one's. */
static bool has_ended(struct tni_object *object, const struct tni_participant *entry)
{
	const struct tni_participant *own = tni_object_participant(object, object->participant);
	struct pollfd end = {.events = POLLIN};
	bool ended;

	if (!own || tni_get64(&own->pid_namespace) == 0 ||
	    tni_get64(&own->pid_namespace) != tni_get64(&entry->pid_namespace))
		return false;
	end.fd = (int)syscall(SYS_pidfd_open, (pid_t)tni_get32(&entry->pid), 0);
	if (end.fd < 0)
		return errno == ESRCH;
	ended = poll(&end, 1, 0) == 1;
	close(end.fd);
	return ended;
}

bool tni_object_is_attached(struct tni_object *object, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(object, participant);

	/* ORD(participant): see core/object.c. */
	return entry && tni_load_acquire32(&entry->state) == TNI_PARTICIPANT_ATTACHED &&
	       !tni_object_is_dead(object, participant);
}

bool tni_object_is_living(struct tni_object *object, uint32_t participant)
{
	return tni_object_is_attached(object, participant) &&
	       (participant == object->participant ||
		!has_ended(object, tni_object_participant(object, participant)));
}

bool tni_object_may_live(struct tni_object *object, uint32_t participant)
{
	return tni_get64(&object->shared->mixed) && !tni_object_is_dead(object, participant);
}
