/* SPDX-License-Identifier: Apache-2.0 */

/* The stakes of an object's participants: see core/stake.c. */

#include "core/file.h"
#include "core/object.h"
#include "core/registry.h"

/* The page of a participant's stake, whose memory is there then. */
static uint8_t *stake_page(struct tni_object *object, uint32_t participant)
{
	uint32_t page = participant / TNI_STAKES_A_PAGE;
	uint64_t offset = object->stakes_offset + page * (uint64_t)TNI_PAGE_BYTES;
	uint64_t bit = UINT64_C(1) << (page % 64);

	if (!(tni_get64(&object->stakes_known[page / 64]) & bit)) {
		if (tni_file_reserve(object->fd, offset, TNI_PAGE_BYTES) != 0)
			return NULL;
		tni_fetch_or64(&object->stakes_known[page / 64], bit);
	}
	return object->base + offset;
}

static struct tni_a32 *stake_word(uint8_t *page, uint32_t participant)
{
	return (struct tni_a32 *)(page + TNI_STAKE_FIRST_OFFSET +
				  participant % TNI_STAKES_A_PAGE * TNI_STAKE_BYTES);
}

bool tni_object_has_stake(struct tni_object *object, const struct tni_thread *thread)
{
	uint32_t index = object->participant;
	uint8_t *page = object->base + object->stakes_offset +
			index / TNI_STAKES_A_PAGE * (uint64_t)TNI_PAGE_BYTES;

	/* Once held, its page is there. */
	return tni_get64(&object->stake.held) != 0 &&
	       tni_stake_is_held(&object->stake, thread, stake_word(page, index));
}

bool tni_object_ensure_stake(struct tni_object *object, struct tni_thread *thread)
{
	uint32_t index = object->participant, top = tni_object_stakes_top(object);
	uint8_t *page;

	if (__builtin_expect(tni_object_has_stake(object, thread), 1))
		return false;
	page = stake_page(object, index);
	if (!page || tni_stake_hold(&object->stake, thread, page, stake_word(page, index)) <= 0)
		return false;
	tni_registry_note_thread(thread);
	tni_store_release32(&object->participants[index].staked, 1); /* ORD(participant) */
	while (top <= index && !tni_cas32(&object->shared->stakes_top, &top, index + 1))
		;
	return true;
}

void tni_object_hand_over(struct tni_object *object, struct tni_thread *thread)
{
	void *pending = tni_pending_get(thread);
	bool taken;

	if (__builtin_expect(tni_get32(&object->stake.had) != thread->generation ||
				     tni_object_has_stake(object, thread),
			     1))
		return;
	/* A stake comes into the list by the pending entry. */
	tni_pending_put(thread, NULL);
	taken = tni_object_ensure_stake(object, thread);
	tni_pending_put(thread, pending);
	if (taken)
		object->rouse(object);
}

uint32_t tni_object_stakes_top(struct tni_object *object)
{
	uint32_t top = tni_get32(&object->shared->stakes_top);

	return top < object->header.participants_max ? top : object->header.participants_max;
}

const struct tni_a32 *tni_object_stake(struct tni_object *object, uint32_t participant)
{
	const struct tni_participant *entry = tni_object_participant(object, participant);
	uint8_t *page;

	if (!entry || tni_load_acquire32(&entry->staked) == 0) /* ORD(participant) */
		return NULL;
	page = stake_page(object, participant);
	return page ? stake_word(page, participant) : NULL;
}

bool tni_object_is_vouched(struct tni_object *object, uint32_t participant)
{
	const struct tni_a32 *word = tni_object_stake(object, participant);
	uint32_t stake = word ? tni_get32(word) : 0;

	return (stake & TNI_STAKE_OWNER) && !(stake & TNI_STAKE_DIED);
}

void tni_object_add_stakes(struct tni_object *object, struct tni_sleep *sleep)
{
	for (uint32_t i = 0; i < tni_object_stakes_top(object); i++) {
		const struct tni_a32 *word = tni_object_stake(object, i);
		uint32_t value = word && i != object->participant ? tni_get32(word) : 0;

		if (!(value & TNI_STAKE_OWNER) || sleep->stakes == TNI_SLEEP_STAKES_MOST)
			continue;
		sleep->stake[sleep->stakes].word = word;
		sleep->stake[sleep->stakes++].value = value;
	}
}
