/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_TENON_H
#define TENON_TENON_H

/*
 * Tenon: what all objects share.
 *
 * Results.  Every call returns 0 or a negative errno value; counts and objects leave through
 * parameters named ret_*, which are written only on success if a call does not say otherwise.  No
 * call sets errno, writes to a standard stream, or exits.  A call that gives an error has changed
 * nothing unless it says so.
 *
 * NULL where a call does not allow it is -EINVAL: for an object, for a function, for a ret_* that
 * is not said to be optional, and for a buffer that is said to be longer than 0 bytes.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC; see TENON_NO_DEADLINE and
 * tenon_deadline_after().  A negative one has passed.
 *
 * Options are structures that begin with `uint32_t size, flags`.  Zero the structure and set `size`
 * to its sizeof; NULL stands for all defaults.  An unknown flag is -EINVAL, and so is a structure
 * without room for these two; one that is larger than the library knows is accepted if the unknown
 * tail is zero, else -E2BIG.
 *
 * Names follow mq_overview(7): one leading slash that may be left out, then 1 to 255 bytes without
 * a slash, of whatever value; "." and ".." are refused.  -EINVAL; -ENAMETOOLONG.  Every kind of
 * object has a name space of its own.
 *
 * Threads.  A handle may be used by any number of threads at once; closing it while another thread
 * uses it is the caller's mistake.  Fork: the child may use an inherited handle; it attaches as a
 * process of its own on first use.  No call is async-signal-safe unless it says so.  A child that
 * is forked by a signal handler which has interrupted a call of this library must not return from
 * the handler into that call.  Cancellation (pthread_cancel(3)): tenon_waitset_wait puts it off
 * until it returns; amid another call a thread is not to be cancelled.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_VERSION_MAJOR 0
#define TENON_VERSION_MINOR 1
#define TENON_VERSION_PATCH 0

#if defined(__GNUC__)
#define TENON_PUBLIC __attribute__((__visibility__("default")))
#define TENON_MUST_USE __attribute__((__warn_unused_result__))
#else
#define TENON_PUBLIC
#define TENON_MUST_USE
#endif

/* Wait for ever. */
#define TENON_NO_DEADLINE INT64_MAX

/* The moment `timeout_ns` nanoseconds from now, as the calls of this library take it.  A negative
 * time-out, and one beyond the end of time, stands for TENON_NO_DEADLINE.  Never fails;
 * async-signal-safe. */
TENON_PUBLIC int64_t tenon_deadline_after(int64_t timeout_ns);

/* The version of the library that is loaded, "major.minor.patch".  Async-signal-safe. */
TENON_PUBLIC const char *tenon_version(void);

/*
 * A namespace is a folder on tmpfs; an object's name is looked up in it.  Wherever a call takes a
 * namespace path, NULL stands for the environment's TENON_NAMESPACE or, if that is not set, for the
 * caller's own folder under /dev/shm (made with mode 0700 when it is missing).
 *
 * Errors of every call that takes one: -ENOENT, -ENOTDIR, -EACCES as open(2); -ENAMETOOLONG; -EPERM
 * the folder belongs to somebody unexpected (somebody else than the caller and root; for the
 * caller's own folder: somebody else than the caller, or others may write to it).
 *
 * Writes the path that NULL stands for.  ret_path has room for `capacity_bytes` including the
 * terminating null byte.  Errors: -ERANGE too small, and nothing was written; -EINVAL.
 */
TENON_PUBLIC int tenon_namespace_path(char *ret_path, uint64_t capacity_bytes);

/* Kinds of objects, as tenon_namespace_list() reports them. */
#define TENON_KIND_QUEUE 1u
#define TENON_KIND_LOCK 2u
#define TENON_KIND_REGION 3u
#define TENON_KIND_SEMAPHORE 4u
#define TENON_KIND_EVENT 5u
#define TENON_KIND_CONDITION 6u
#define TENON_KIND_BARRIER 7u
#define TENON_KIND_ONCE 8u
#define TENON_KIND_SEMAPHORE_SET 10u
#define TENON_KIND_MEMORY 11u  /* a shared memory object: tenon/posix.h */
#define TENON_KIND_SEGMENT 12u /* shared memory of System V: tenon/sysv.h */

/* Flags of opening by name, of any kind. */
#define TENON_CREATE 1u	   /* make it if it is missing */
#define TENON_EXCLUSIVE 2u /* with CREATE: -EEXIST if it is there */

/* What a new synchronization object is made with: a lock, an event, a condition, a once. */
struct tenon_sync_options {
	uint32_t size, flags;	   /* flags: of the kind of object */
	uint32_t mode;		   /* permission bits, less the umask; 0 stands for 0600 */
	uint32_t max_participants; /* processes that may be attached at once, to 1024; 0 stands for
				      256 */
};

/*
 * Calls `visit` for each object of the namespace, in no particular order, with its kind, its name
 * (with the leading slash) and `context`; a non-zero answer ends the walk and is returned.  Objects
 * that come or go during the walk may or may not be seen.  Only regular files are looked at:
 * whatever else lies in the folder under such a name is no object.  A namespace that does not exist
 * has no objects.  Errors: as above; what opendir(3) gives; -EINVAL.
 */
TENON_PUBLIC int tenon_namespace_list(const char *namespace_path,
				      int (*visit)(uint32_t kind, const char *name, void *context),
				      void *context);

#ifdef __cplusplus
}
#endif

#endif
