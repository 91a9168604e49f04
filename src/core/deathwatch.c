/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Who sleeps in a futex call is told of a death by the kernel's robust list (core/gate.c).  Who sleeps in
 * poll(2) is told by the file that everybody who is attached has open: when a process ends, however it
 * ends, the kernel closes it, and inotify(7) tells of that.  So a set of two descriptors is polled: what
 * tells that there is something, and the notice.
 *
 * The kernel tells just before it drops the locks by which the dead are known (core/object_living.c), and who
 * was told may be faster.  So whoever was told and finds nobody dead asks to be told again, after 1 ms, then 2
 * and so on, seven times: the notice also comes when somebody closes the file and lives, which must not
 * keep a poller awake.
 *
 * The set is one process's own: a forked child that emptied the notice would take it from its parent.
 *
 * ORD watch: whoever makes the set releases its generation behind the descriptors; a thread that finds it
 * acquires them.
 */

#include "core/deathwatch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/thread.h"

#define AGAIN_MOST 7u

static int add(int set_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(set_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int make(struct tni_deathwatch *watch, int file_fd, int ready_fd)
{
	char path[32];
	int result;

	watch->set_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->notice_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (watch->set_fd < 0 || watch->notice_fd < 0 || watch->timer_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	if (inotify_add_watch(watch->notice_fd, path, IN_CLOSE_WRITE) < 0)
		return -errno;
	result = add(watch->set_fd, ready_fd);
	if (result == 0)
		result = add(watch->set_fd, watch->notice_fd);
	return result == 0 ? add(watch->set_fd, watch->timer_fd) : result;
}

static void close_all(struct tni_deathwatch *watch)
{
	if (watch->set_fd >= 0)
		close(watch->set_fd);
	if (watch->notice_fd >= 0)
		close(watch->notice_fd);
	if (watch->timer_fd >= 0)
		close(watch->timer_fd);
}

int tni_deathwatch_open(struct tni_deathwatch *watch, int file_fd, int ready_fd)
{
	struct tni_deathwatch made = {.set_fd = -1};
	int result = make(&made, file_fd, ready_fd);

	if (result != 0) {
		close_all(&made);
		return result;
	}
	watch->set_fd = made.set_fd;
	watch->notice_fd = made.notice_fd;
	watch->timer_fd = made.timer_fd;
	tni_store_release32(&watch->generation, tni_process_generation()); /* ORD(watch) */
	return 0;
}

void tni_deathwatch_close(struct tni_deathwatch *watch)
{
	if (tni_get32(&watch->generation) != 0)
		close_all(watch);
	tni_set32(&watch->generation, 0);
}

bool tni_deathwatch_take(struct tni_deathwatch *watch)
{
	_Alignas(struct inotify_event) char notice[512];
	uint64_t ticks;
	bool told = false;

	if (tni_load_acquire32(&watch->generation) != tni_process_generation()) /* ORD(watch) */
		return false;
	while (read(watch->notice_fd, notice, sizeof(notice)) > 0)
		told = true;
	if (told)
		tni_set32(&watch->again, 0);
	return read(watch->timer_fd, &ticks, sizeof(ticks)) > 0 || told;
}

void tni_deathwatch_again(struct tni_deathwatch *watch, bool is_held_up)
{
	uint32_t again = tni_get32(&watch->again);
	struct itimerspec when;

	if (is_held_up)
		again = AGAIN_MOST - 1;
	if (again >= AGAIN_MOST)
		return;
	when = (struct itimerspec){.it_value = tni_timespec(TNI_MILLISECOND_NS << again)};
	tni_set32(&watch->again, again + 1);
	timerfd_settime(watch->timer_fd, 0, &when, NULL);
}
