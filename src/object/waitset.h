/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TNI_OBJECT_WAITSET_H
#define TNI_OBJECT_WAITSET_H

/*
 * The waitset from the inside.
 *
 *	waitset.c		members, looking at them, taking what is ready
 *	waitset_member.c	what each kind of member does
 *	waitset_sleep.c		sleeping for several objects at once
 *	waitset_watch.c		threads that sleep in the caller's stead, descriptors
 */

#include <tenon/waitset.h>

#include <pthread.h>

#include "object/deaths.h"
#include "object/turnstile.h"

/* Gates and events that one thread sleeps on: so many go into the kernel's vector, and some
 * stakes. */
#define TNI_WAITSET_WORDS_A_THREAD 120u
#define TNI_WAITSET_POLLIN 1u /* poll(2) */

/* A condition of taking: it is not ready. */
#define TNI_NOT_NOW 1

struct tni_member;

/* What a kind of member does.  `ticket`: what ticket() gave when the wait began. */
struct tni_member_kind {
	/* Before anything else: attaches anew in a child, has the kernel tell others of this
	 * process's death.  An error is told as the member's result. */
	int (*begin)(struct tni_member *member, struct tni_thread *thread);
	uint64_t (*ticket)(const struct tni_member *member); /* may be NULL */
	bool (*is_ready)(const struct tni_member *member, uint64_t ticket);
	/* 0: it is acquired, taken, passed; `ret_events`; TNI_NOT_NOW; or what its result is. */
	int (*take)(struct tni_member *member, uint64_t ticket, uint32_t *ret_events);
	/* With what take() said in `ret_events`, for events.  May be NULL: nothing was taken. */
	void (*put_back)(struct tni_member *member, uint32_t events);

	/* Of objects, those that sleep in futexes: */
	uint32_t (*classes)(const struct tni_member *member); /* NULL: it is no object */
	/* Announces, behind tni_sleep_announce().  False: it is ready, or may be. */
	bool (*announce)(struct tni_member *member, struct tni_thread *thread, uint64_t ticket);
	/* For object/deaths.c; the context is the member. */
	bool (*are_there)(void *context);
	void (*find)(void *context, uint64_t bits[TNI_BITMAP_WORDS]);
	int (*bring_back)(void *context, int64_t deadline_ns);
	/* A wake may have been for this sleeper, who does not use it. */
	void (*hand_on)(struct tni_member *member);
	/* Whether there is what somebody could use, if hand_on() does not ask.  May be NULL. */
	bool (*is_of_use)(const struct tni_member *member);
};

struct tni_member {
	const struct tni_member_kind *kind; /* NULL: the place is free */
	uint64_t user;
	struct tni_object *object; /* of objects */
	struct tni_gatehouse *house;
	uint64_t place; /* of one that lies in a region: which of those there */
	uint32_t events, count, flags;
	union {
		struct tenon_queue *queue;
		struct tenon_lock *lock;
		struct tenon_semaphore *semaphore;
		struct tenon_event *event;
		int fd; /* a process's is the set's own */
	};
	/* A timer; at INT64_MAX it does not run.  When it was due before it was taken. */
	struct tni_a64 at_ns;
	int64_t was_ns, period_ns;
};

extern const struct tni_member_kind tni_member_queue, tni_member_lock, tni_member_semaphore,
	tni_member_event, tni_member_process, tni_member_descriptor, tni_member_timer;

static inline bool tni_member_is_object(const struct tni_member *member)
{
	return member->kind && member->kind->classes;
}

static inline int64_t tni_member_due_ns(const struct tni_member *member)
{
	return (int64_t)tni_get64(&member->at_ns);
}

/* How many gates and events a sleeper has of an object. */
static inline uint32_t tni_member_words(const struct tni_member *member)
{
	return tni_gatehouse_words(member->house) +
	       (uint32_t)__builtin_popcount(member->kind->classes(member));
}

static inline bool tni_member_has_fd(const struct tni_member *member)
{
	return member->kind == &tni_member_descriptor || member->kind == &tni_member_process;
}

/* A thread that sleeps in the stead of who has the post. */
struct tni_watcher {
	struct tni_post *post;
	pthread_t thread;
	struct tni_a32 order; /* what it is to do: IDLE … */
	uint32_t first, end;  /* members whose objects are its */
};

/* Watchers for all objects of a set, and what they tell by. */
struct tni_post {
	struct tenon_waitset *set;
	struct tni_post *next;
	bool is_taken; /* somebody waits by it, or it is the poller's */
	int told_fd;   /* eventfd: a watcher has found something */
	struct tni_watcher *watchers;
	uint32_t watcher_count;
	uint32_t armed;				    /* the order that was given last */
	struct tni_a64 tickets[TENON_WAITSET_MOST]; /* of who has it */
};

struct tenon_waitset {
	uint32_t flags;
	uint32_t top; /* members below may be used */
	struct tni_member *members;
	uint32_t capacity; /* of that array */
	uint32_t objects, words, descriptors, timers;
	struct tni_a32 turn;	   /* which member is looked at first */
	struct tni_a32 looks;	   /* how often somebody has looked */
	struct tni_a32 generation; /* of the process whose posts and descriptors these are */
	pthread_mutex_t mutex;	   /* for these, and for arming the poller's post: */
	struct tni_apointer posts; /* all there are */
	struct tni_post *polled;   /* that of who polls `poll_fd`; NULL */
	int poll_fd, timer_fd;	  /* what is handed out, and in it when the next timer is due; -1 */
	struct tni_a32 is_polled; /* 1: it has been handed out */
};

/* One call that waits, or a watcher. */
struct tni_visit {
	struct tenon_waitset *set;
	struct tni_thread *thread;
	uint64_t tickets[TENON_WAITSET_MOST];
	uint64_t called[TENON_WAITSET_MOST /
			64]; /* members whose events were counted while it slept */
};

void tni_visit_begin(struct tni_visit *visit, struct tenon_waitset *set, struct tni_thread *thread);

/* Whether a wait would end: without taking anything.  Descriptors apart. */
bool tni_visit_is_ready(const struct tni_visit *visit);

/* When the next timer is due, if it is before `deadline_ns`. */
int64_t tni_waitset_next_ns(const struct tenon_waitset *set, int64_t deadline_ns);

/* waitset_sleep.c: sleeps for the objects among the members from `first` on, until the set may be
 * ready, or `order` (may be NULL) is not `expected` any more.  0, -ETIMEDOUT, -EINTR, -ENOMEM. */
int tni_visit_sleep(struct tni_visit *visit, uint32_t first, uint32_t end, struct tni_a32 *order,
		    uint32_t expected, int64_t deadline_ns);

/* Wakes others where a wake was this one's and is not used.  `taken`: bits of members. */
void tni_visit_hand_on(struct tni_visit *visit, const uint64_t *taken);

/* waitset_watch.c */
/* Whether the caller does not sleep itself. */
bool tni_waitset_is_watched(const struct tenon_waitset *set);
/* Sleeps as tni_visit_sleep(), by a post and poll(2). */
int tni_waitset_watch(struct tni_visit *visit, int64_t deadline_ns);
/* Who polls is told anew: nothing was found by who has these tickets (NULL: those of now). */
int tni_waitset_arm_polled(struct tenon_waitset *set, const uint64_t *tickets);
/* Before members change: watchers end. */
void tni_waitset_stop(struct tenon_waitset *set);
/* At the end, and in a child: posts and descriptors go; in a child there are no watchers. */
void tni_waitset_free_posts(struct tenon_waitset *set);
/* A member with a descriptor has come, or goes. */
int tni_waitset_include(struct tenon_waitset *set, uint32_t number);
void tni_waitset_exclude(struct tenon_waitset *set, uint32_t number);
/* In a child: nothing of its parent's is left. */
void tni_waitset_renew(struct tenon_waitset *set, uint32_t generation);

#endif
