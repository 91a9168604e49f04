/* SPDX-License-Identifier: Apache-2.0 */

/* Taking back what an operation, or a dead owner of the lock, has written.  See core/journal.h. */

#include "core/journal.h"

#include <errno.h>

#include "core/file.h"

void tni_txn_abort(struct tni_txn *txn)
{
	while (txn->count > 0) {
		txn->count--;
		tni_set64(txn->undo[txn->count].word, txn->undo[txn->count].old);
	}
	tni_step();
	tni_set64(&txn->journal->count, 0);
}

int tni_journal_undo(struct tni_journal *journal, const struct tni_a64 *version, int fd, void *base,
		     uint64_t from, uint64_t bytes)
{
	uint64_t count = tni_get64(&journal->count), backed = UINT64_MAX;

	if (tni_get64(&journal->version) != tni_get64(version) || count == 0)
		return 0;
	if (count > TNI_JOURNAL_ENTRIES)
		return -EBADMSG;
	for (uint64_t i = count; i-- > 0;) {
		uint64_t offset = tni_get64(&journal->entry[i].offset);

		if (offset % 8 != 0 || offset < from || offset > bytes - 8)
			return -EBADMSG;
		/* A word that somebody wrote into the journal may lie where there is no memory. */
		if (fd >= 0 && offset / TNI_PAGE_BYTES != backed) {
			int result = tni_file_reserve(fd, offset, 8);

			if (result != 0)
				return result;
			backed = offset / TNI_PAGE_BYTES;
		}
		tni_set64((struct tni_a64 *)((uint8_t *)base + offset),
			  tni_get64(&journal->entry[i].old));
	}
	tni_step();
	tni_set64(&journal->count, 0);
	return 0;
}
