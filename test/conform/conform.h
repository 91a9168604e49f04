/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONFORM_CONFORM_H
#define TEST_CONFORM_CONFORM_H

/*
 * The frame of the conformance suites.  A requirement is one sentence of a standard or of a manual,
 * with the section where it stands and a function that shows it.  Each runs in a process of its
 * own, under a watchdog, and is one line of TAP: it fails if it, or a process that it started, has
 * expected something that is not so, if it crashes, or if it does not end.
 *
 * The same source runs against the system's own implementation and against Tenon: nothing here or
 * in the requirements names a thing of Tenon's, but for the folder of the objects (conform.c).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Nothing that passes comes near it.  --watchdog says otherwise. */
#define WATCHDOG_S 60
/* How long is waited to see that nothing happens. */
#define NOTHING_MS 100

/* Sanitizers stand between a program and what is required of its system. */
#ifdef __has_feature
#define CONFORM_UNDER_ASAN __has_feature(address_sanitizer)
#define CONFORM_UNDER_TSAN __has_feature(thread_sanitizer)
#else
#ifdef __SANITIZE_ADDRESS__
#define CONFORM_UNDER_ASAN 1
#else
#define CONFORM_UNDER_ASAN 0
#endif
#ifdef __SANITIZE_THREAD__
#define CONFORM_UNDER_TSAN 1
#else
#define CONFORM_UNDER_TSAN 0
#endif
#endif

struct conform_requirement {
	const char *name, *section, *text;
	void (*run)(void);
	struct conform_requirement *next;
};

void conform_register(struct conform_requirement *requirement);

/* Begins the function that shows it. */
#define REQUIREMENT(name, section, text)                                                           \
	static void name(void);                                                                    \
	static struct conform_requirement requirement_##name = {#name, section, text, name, NULL}; \
	__attribute__((constructor)) static void register_##name(void)                             \
	{                                                                                          \
		conform_register(&requirement_##name);                                             \
	}                                                                                          \
	static void name(void)

/* What the suite says of itself to the frame. */
struct conform_suite {
	/* Who has this name is whom the requirements are about. */
	const char *symbol;
	/* Why there is nothing to test here; else NULL.  In a process of its own. */
	const char *(*unusable)(void);
	/* Removes what a requirement may have left behind.  In a process of its own. */
	void (*clean)(void);
	/* What this program does when a requirement executes it again: see conform_execute(). */
	int (*executed)(int count, char **arguments);
};

int conform_main(const struct conform_suite *suite, int count, char **arguments);

/* Which implementation this is: "kernel", "compat", "preload", or "mutant" (selftest.py). */
extern const char *conform_implementation;
/* Different in each run of the suite, for names. */
extern pid_t conform_run;

/* Ends the requirement: what showing it needs is not to be had here. */
void conform_skip(const char *reason) __attribute__((noreturn));
/* Says what is wrong, with errno, and goes on.  Of any process and thread. */
void conform_fail(const char *file, int line, const char *what, int64_t value);
/* Whether anything has failed so far. */
bool conform_failed(void);
void conform_give_up(void) __attribute__((noreturn));

#define EXPECT(condition)                                                \
	do {                                                             \
		if (!(condition))                                        \
			conform_fail(__FILE__, __LINE__, #condition, 0); \
	} while (0)

#define EXPECT_IS(actual, expected)                                                    \
	do {                                                                           \
		int64_t conform_actual = (int64_t)(actual);                            \
		if (conform_actual != (int64_t)(expected))                             \
			conform_fail(__FILE__, __LINE__, #actual " is not " #expected, \
				     conform_actual);                                  \
	} while (0)

/* A call that has to fail. */
#define EXPECT_ERROR(call, error)                                                             \
	do {                                                                                  \
		int64_t conform_actual;                                                       \
		errno = 0;                                                                    \
		conform_actual = (int64_t)(call);                                             \
		if (conform_actual != -1 || errno != (error))                                 \
			conform_fail(__FILE__, __LINE__, #call " does not fail with " #error, \
				     conform_actual);                                         \
	} while (0)

/* Without which the requirement cannot be shown. */
#define REQUIRE(condition)                                               \
	do {                                                             \
		if (!(condition)) {                                      \
			conform_fail(__FILE__, __LINE__, #condition, 0); \
			conform_give_up();                               \
		}                                                        \
	} while (0)

/* A child that runs `run`, and dies with its parent. */
pid_t conform_start(void (*run)(void *context), void *context);
/* The same under another user.  Skips the requirement where that cannot be. */
pid_t conform_start_as(uid_t user, void (*run)(void *context), void *context);
/* Waits for its end, which must be a good one. */
void conform_await(pid_t child);
/* Waits for its end; the status of waitpid(2). */
int conform_status(pid_t child);
void conform_kill(pid_t child);
/* Both in one. */
void conform_act(void (*run)(void *context), void *context);
void conform_act_as(uid_t user, void (*run)(void *context), void *context);

/* In a child: executes this program anew, with these arguments for the suite's executed(). */
void conform_execute(const char *what, const char *first, const char *second)
	__attribute__((noreturn));

/* Memory that a requirement and its children share, zeroed. */
void *conform_share(size_t bytes);

/* Waits until a thread sleeps in a call that waits for others.  0: the process's first thread. */
void conform_await_blocked(pid_t process, pid_t thread);
/* The same of a child that may end instead; false: it has. */
bool conform_await_blocked_or_ended(pid_t child);

/* Waits until a word that another thread or process writes is not 0, and gives it. */
int conform_await_word(const int *word);
void conform_set_word(int *word, int value);

#endif
