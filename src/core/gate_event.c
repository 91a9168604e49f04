/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The events that sleepers sleep on: one for each class, and of class MESSAGE one for each lane.
 *
 * Lanes.  In a typed queue a message suits some of those who sleep for one, and to wake all of them would cost the more the more
 * there are.  So who wants one type sleeps on the event of a lane, and says so by a bit, which it sets behind reading that event
 * and before it announces.  Who has sent messages of one type, and finds all that was sent before being told already
 * (object/queue_side.c), takes the bits of that lane and of lane 0 away, counts their events, unlocks, and wakes those: in the other
 * lanes nobody can go on.  A bit that was set before is found.  One that is set behind is that of somebody who has read the event
 * before it was counted, and does not fall asleep, or who looks for messages behind the unlocking.
 *
 * Behind waking a lane it says as of which count of the event all there were woken.  Where somebody has begun
 * to wake and has not said that he is done, as he may have died, others wake the lanes of which that is not said.  Whoever repairs a side wakes all lanes, whatever
 * the bits say: they may have been taken away.
 */

#include "core/gate.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fault.h"

static struct tni_a32 *event_of_lane(struct tni_gatehouse *house, uint32_t lane)
{
	return lane == 0 ? &house->waitroom->event[TNI_CLASS_MESSAGE]
			 : &house->lanes->event[lane - 1];
}

void tni_lanes_count(struct tni_gatehouse *house, uint64_t lanes)
{
	tni_fetch_and64(&house->lanes->used, ~lanes);
	for (uint32_t lane = 0; lane < TNI_LANES; lane++)
		if (lanes >> lane & 1)
			tni_fetch_add32(event_of_lane(house, lane), 1); /* ORD(event) */
}

static bool has_lanes(const struct tni_gatehouse *house, uint32_t class)
{
	return house->lanes && class == TNI_CLASS_MESSAGE;
}

void tni_event_count(struct tni_gatehouse *house, uint32_t class)
{
	if (has_lanes(house, class))
		tni_lanes_count(house, TNI_LANES_ALL);
	else
		tni_fetch_add32(&house->waitroom->event[class], 1); /* ORD(event) */
}

static uint32_t wake_word(struct tni_a32 *event, uint32_t count)
{
	long woken;

	if (TNI_FAULT(TNI_FAULT_NO_WAKE))
		return count;
	woken = syscall(SYS_futex, event, FUTEX_WAKE, count > INT_MAX ? INT_MAX : count, NULL, NULL,
			0);
	return woken > 0 ? (uint32_t)woken : 0;
}

static uint32_t wake_lane(struct tni_gatehouse *house, uint32_t lane, uint32_t count)
{
	struct tni_a32 *event = event_of_lane(house, lane);
	uint32_t counted = tni_get32(event), woken = wake_word(event, count);

	/* Who dies in between leaves it owed. */
	tni_step();
	if (woken < count)
		tni_set32(&house->lanes->told[lane], counted);
	return woken;
}

uint64_t tni_lanes_owed(const struct tni_gatehouse *house)
{
	uint64_t lanes = 0;

	for (uint32_t lane = 0; lane < TNI_LANES; lane++)
		lanes |= (uint64_t)tni_lane_is_owed(house, lane) << lane;
	return lanes;
}

static uint32_t wake_lanes(struct tni_gatehouse *house, uint64_t lanes, uint32_t count)
{
	uint32_t woken = 0;

	for (uint32_t lane = 0; lane < TNI_LANES && woken < count; lane++)
		if (lanes >> lane & 1)
			woken += wake_lane(house, lane, count - woken);
	return woken;
}

uint32_t tni_event_wake(struct tni_gatehouse *house, uint32_t class, uint32_t count)
{
	return has_lanes(house, class) ? wake_lanes(house, TNI_LANES_ALL, count)
				       : wake_word(&house->waitroom->event[class], count);
}

void tni_lanes_wake(struct tni_gatehouse *house, uint64_t lanes)
{
	wake_lanes(house, lanes, UINT32_MAX);
}
