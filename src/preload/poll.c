/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whoever polls a queue is told of first: what is not polled need not tell when it turns empty or full.
 *
 * FORTIFY's forms stand in by themselves, so that what they check is checked by libc.
 */

#include "preload/preload.h"

void tni_watch(int fd)
{
	if (!tni_is_queue(fd))
		return;
	TNI_CALL_VOID(tni_mq_watch(fd));
}

static inline bool is_needed(void)
{
	return __builtin_expect(tni_get32(&tni_has_queues_) != 0, 0);
}

void tni_watch_entries(const struct pollfd *entries, nfds_t count)
{
	if (is_needed() && entries)
		for (nfds_t i = 0; i < count; i++)
			tni_watch(entries[i].fd);
}

static void watch_set(int count, const fd_set *set)
{
	const unsigned long *words = (const unsigned long *)set;
	int bits = 8 * (int)sizeof(*words);

	for (int first = 0; set && first < count; first += bits) {
		unsigned long word = words[first / bits];

		for (; word != 0; word &= word - 1) {
			int fd = first + __builtin_ctzl(word);

			if (fd < count)
				tni_watch(fd);
		}
	}
}

void tni_watch_sets(int count, const fd_set *readable, const fd_set *writable)
{
	if (!is_needed())
		return;
	watch_set(count, readable);
	watch_set(count, writable);
}

TNI_STAND_IN int poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
	tni_watch_entries(entries, count);
	return TNI_NEXT(poll)(entries, count, timeout_ms);
}

TNI_STAND_IN int __poll_chk(struct pollfd *entries, nfds_t count, int timeout_ms,
			    size_t capacity_bytes)
{
	if (capacity_bytes / sizeof(*entries) >= count)
		tni_watch_entries(entries, count);
	return TNI_NEXT(__poll_chk)(entries, count, timeout_ms, capacity_bytes);
}

TNI_STAND_IN int ppoll(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
		       const sigset_t *mask)
{
	tni_watch_entries(entries, count);
	return TNI_NEXT(ppoll)(entries, count, timeout, mask);
}

TNI_STAND_IN int __ppoll_chk(struct pollfd *entries, nfds_t count, const struct timespec *timeout,
			     const sigset_t *mask, size_t capacity_bytes)
{
	if (capacity_bytes / sizeof(*entries) >= count)
		tni_watch_entries(entries, count);
	return TNI_NEXT(__ppoll_chk)(entries, count, timeout, mask, capacity_bytes);
}

TNI_STAND_IN int select(int count, fd_set *readable, fd_set *writable, fd_set *special,
			struct timeval *timeout)
{
	tni_watch_sets(count, readable, writable);
	return TNI_NEXT(select)(count, readable, writable, special, timeout);
}

TNI_STAND_IN int pselect(int count, fd_set *readable, fd_set *writable, fd_set *special,
			 const struct timespec *timeout, const sigset_t *mask)
{
	tni_watch_sets(count, readable, writable);
	return TNI_NEXT(pselect)(count, readable, writable, special, timeout, mask);
}

TNI_STAND_IN int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	if (operation != EPOLL_CTL_DEL)
		tni_watch(fd);
	return TNI_NEXT(epoll_ctl)(set, operation, fd, event);
}

TNI_STAND_IN_AS(__poll, poll);
TNI_STAND_IN_AS(__select, select);
