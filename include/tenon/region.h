/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TENON_REGION_H
#define TENON_REGION_H

/*
 * The region: shared memory by name, which can grow.
 *
 *	open … map … grow … seal … send as a descriptor … close
 *
 * A region has a size, `bytes`, and an address space, `max_bytes`.  Mapping it takes address space
 * for all of max_bytes, so that its address stays the same however it grows; memory is taken only
 * for what it has grown to.  Between the size and max_bytes there is nothing to be touched: SIGBUS,
 * or, up to the end of the page, memory that is zeroed when the region grows over it.
 *
 * Promises.  Memory is taken before it counts: where there is none, making or growing the region is
 * -ENOSPC, and nobody is sent SIGBUS.  Who dies, at whatever instruction, leaves a region that has
 * grown or has not; nobody waits for him, and what he had taken for growing is given back by who
 * comes next.  A removed region lives until the last one who has it open, or has mapped it, lets
 * go.
 *
 * What is in a region is its users' affair: it is read and written without a call, and nobody says
 * who wrote what.  A process that dies while it writes leaves what it has written.
 *
 * Who may use it is the file mode: opening by name needs reading and writing.  Who may write can
 * make the file shorter by truncating it as a file: then whoever touches what is gone is sent
 * SIGBUS, in calls of this library, too, unless it opened the region with TENON_REGION_GUARD.
 *
 * The guard.  With TENON_REGION_GUARD, whoever touches memory of the region, or of its views, that
 * the file does not have (any more), finds zeros there, private to its process, and goes on; from
 * then on every call on the handle, but for closing and unmapping, is -EIO.  So it is not only for
 * truncation: where a file has lost memory by another's hand (fallocate(2), to make a hole) and
 * none is left, too; and for who reads behind the size.  It stands on a handler for SIGBUS,
 * installed when the process first opens something with the guard.  The handler that was there
 * before is called for any other SIGBUS; one that is installed later takes the guard's place, and
 * should call what it replaced for what it does not know.  System calls that are given such memory
 * say -EFAULT, and the guard does not learn of it; a thread that blocks SIGBUS is killed by it.
 *
 * Threads.  A handle may be used by all threads of a process; not by signal handlers, but for
 * _check.  Fork: a child has its parent's mappings at the same addresses, and its handle, and
 * counts as attached from its first call on.  Views are the child's own, as all private memory.
 * exec(3) lets go of everything.
 *
 * Errors that every call may give: -EBADMSG the shared memory of the region is damaged; -EIO it was
 * guarded and memory of it was gone, or the file is shorter than it was; -ENOSPC the memory behind
 * the namespace is full; -ENOMEM, also: no address space; -EMFILE, -ENFILE; -EUSERS as many
 * processes have it open as it was made for; -EINVAL an argument is out of its range.
 */

#include <tenon/tenon.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tenon_region;

/* Flag of opening, beside TENON_CREATE and TENON_EXCLUSIVE. */
#define TENON_REGION_GUARD 0x100u /* -EIO instead of SIGBUS: see above */

/* No region has a longer address space. */
#define TENON_REGION_BYTES_MOST (UINT64_C(1) << 43)

/* What a new region is made with. */
struct tenon_region_options {
	uint32_t size, flags;	   /* sizeof, 0 */
	uint32_t mode;		   /* permission bits, less the umask; 0 stands for 0600 */
	uint32_t max_participants; /* processes that may be attached at once, to 1024; 0 stands for
				      256 */
	uint64_t bytes;		   /* its size, for which memory is taken at once */
	uint64_t max_bytes; /* to which it may grow, at most TENON_REGION_BYTES_MOST; 0 stands for
				      `bytes`, of which then there must be some */
};

/*
 * Opens the region `name`, or makes it (`flags`: TENON_CREATE, TENON_EXCLUSIVE), zeroed.  `options`
 * are those of a new region, and looked at only with TENON_CREATE: one that exists may be shorter,
 * and be made for another number of processes, on which TENON_PLACE_BYTES depends;
 * tenon_region_status tells.  Nothing is mapped yet.
 *
 * NULL for the name makes a region that has none (with TENON_CREATE): for children, who have the
 * handle, and for who gets a descriptor (tenon_region_fd).  No list shows it, and nobody has to
 * remove it; it takes /proc.  Errors: -ENOENT; -EEXIST; -EACCES; -EPERM the file belongs to
 * somebody unexpected; -EPROTO it was made by a library with another layout; -EFBIG a new one would
 * be longer than RLIMIT_FSIZE (no SIGXFSZ is sent); -EAGAIN others made and removed it again and
 * again meanwhile; -ENAMETOOLONG; as tenon_namespace_path for the folder.
 */
TENON_PUBLIC int tenon_region_open(const char *namespace_path, const char *name, uint32_t flags,
				   const struct tenon_region_options *options,
				   struct tenon_region **ret_region) TENON_MUST_USE;

/* Lets go of the handle; unmaps what was mapped by it, views too.  As long as objects that are
 * placed in it are open, that is put off to the closing of the last of these.  NULL is allowed.
 * Always returns NULL. */
TENON_PUBLIC struct tenon_region *tenon_region_close(struct tenon_region *region);

/* Removes the name.  Those who have the region open or mapped, or a descriptor of it, go on
 * using it, and can send it on; its memory goes with the last of them.  Errors: -ENOENT;
 * -EACCES, -EPERM, -EISDIR as unlink(2); -EINVAL, -ENAMETOOLONG the name; as
 * tenon_namespace_path for the folder. */
TENON_PUBLIC int tenon_region_remove(const char *namespace_path, const char *name);

/*
 * Synchronization objects can be placed in a region: tenon_lock_open_at and so on take an offset of
 * the data, a multiple of TENON_PLACE_ALIGNMENT, and make them there, in
 * TENON_PLACE_BYTES(max_participants) bytes, where max_participants is the region's; it depends on
 * nothing else, but of semaphore sets, which take tenon_semaphore_set_place_bytes.  Places do not
 * overlap (-EEXIST).  What lies there is the library's.  They have no name, and no mode of their
 * own: whoever may write to the region may use them.  A process is attached to them as it is to the
 * region, whose memory stays mapped until the last of them is closed; by one handle of the region
 * each is opened once (-EBUSY).  1024 fit into one region.  Queues and message buffers cannot be
 * placed: they grow, and give memory back, and so have files of their own.
 */
#define TENON_PLACE_ALIGNMENT 4096u
#define TENON_PLACE_BYTES(max_participants) \
	(UINT64_C(4096) +                   \
	 (((max_participants) ? (uint64_t)(max_participants) : 256) * 64 + 4095) / 4096 * 4096)

/* TENON_PLACE_BYTES of this region.  0: NULL, or the handle is of a descriptor.  Does not wait. */
TENON_PUBLIC uint64_t tenon_region_place_bytes(const struct tenon_region *region);

/* Takes away the object that was placed at this offset; the memory is the program's again.  Nobody
 * may have it open: it would go on using the memory.  -ENOENT there is none; -EACCES the handle is
 * of a descriptor; as tenon_region_map for writing. */
TENON_PUBLIC int tenon_region_clear(struct tenon_region *region, uint64_t offset);

/* Calls `visit` for each object that is placed in it, with its kind (TENON_KIND_…) and offset; a
 * non-zero answer ends it and is returned.  Does not wait. */
TENON_PUBLIC int tenon_region_placed(struct tenon_region *region,
				     int (*visit)(uint32_t kind, uint64_t offset, void *context),
				     void *context);

/* Kinds of access. */
#define TENON_REGION_READ 1u
#define TENON_REGION_WRITE 2u /* implies reading */

/*
 * Maps the whole region and tells its address, which is a page's, and its size now (`ret_bytes` may
 * be NULL). `access`: TENON_REGION_READ for memory that cannot be written; with TENON_REGION_WRITE
 * for memory that can.  A handle has one address for each of the two: asked again, it tells the
 * same.  The mapping stays until the handle is closed, or tenon_region_unmap.  Does not wait.
 * Errors: -EPERM for writing: it is sealed against that; -EACCES for writing: the handle is of a
 * descriptor for reading; -EAGAIN for writing: somebody is just about to seal it.
 */
TENON_PUBLIC int tenon_region_map(struct tenon_region *region, uint32_t access, void **ret_address,
				  uint64_t *ret_bytes);

/*
 * Tells the size now, to which all mappings of this handle may be used from then on.  It never
 * becomes less.  No system call unless the region has grown since it was last asked, but for
 * handles of descriptors (tenon_region_status tells: `attached`).  Does not wait.
 */
TENON_PUBLIC int tenon_region_bytes(struct tenon_region *region, uint64_t *ret_bytes);

/*
 * Makes it at least `bytes` long; what is new is zero.  0 too if it is as long already.  Takes the
 * memory first: after an error the size is as before.  Anybody may grow it, several at once; who
 * grows waits, until the deadline (tenon_deadline_after), for others who grow or seal it just then.
 * It does not shrink.  Errors: -ENOSPC; -EFBIG more than max_bytes, or the file would be longer
 * than RLIMIT_FSIZE (no SIGXFSZ is sent); -EPERM it is sealed against growing; -EACCES the handle
 * is of a descriptor, and not attached; -ETIMEDOUT; -EDEADLK a signal handler interrupted a call of
 * its own thread.
 */
TENON_PUBLIC int tenon_region_grow(struct tenon_region *region, uint64_t bytes, int64_t deadline_ns)
	TENON_MUST_USE;

/* Flag of tenon_region_snapshot. */
#define TENON_REGION_COPY_ON_WRITE 1u

/*
 * Gives the caller private memory with what the region holds, which it may write to without anybody
 * seeing that.  As long as the region is now, and never longer.
 *
 * Without a flag it is a copy: nothing that others write later is seen.  Costs the time of copying,
 * and as much memory of the caller's.  Each byte is as it was at some moment during the call; for
 * one moment of all of them, others must not write meanwhile: that is for a lock of theirs to see
 * to, or for TENON_REGION_SEAL_WRITE.
 *
 * With TENON_REGION_COPY_ON_WRITE it costs nothing but address space: pages become the caller's own
 * when he first writes to them, and until then show what others write.  It is a snapshot only of a
 * region that nobody writes to.
 *
 * Goes with tenon_region_unmap or with the handle.  Errors: -EINVAL another flag.
 */
TENON_PUBLIC int tenon_region_snapshot(struct tenon_region *region, uint32_t flags,
				       void **ret_address, uint64_t *ret_bytes);

/* Unmaps what tenon_region_map or tenon_region_snapshot mapped by this handle at that address.
 * -EINVAL: nothing; -EBUSY the memory for writing, while objects that are placed in it are open. */
TENON_PUBLIC int tenon_region_unmap(struct tenon_region *region, void *address);

/* Seals. */
#define TENON_REGION_SEAL_GROW 1u  /* it does not grow any more: -EPERM */
#define TENON_REGION_SEAL_WRITE 2u /* nobody maps it for writing any more: -EPERM */

/*
 * Seals the region, for good; waits as tenon_region_grow does.  -EBUSY against writing: a process
 * has mapped it for writing, perhaps this one, or is just about to, and nothing was sealed.  Who
 * died does not count. Other errors: -EINVAL no seal, or an unknown one; -EACCES the handle is of a
 * descriptor, and not attached; -ETIMEDOUT; -EDEADLK as above.
 *
 * This is the library's word and not the kernel's, which has seals (F_ADD_SEALS) for files without
 * names only: it binds whoever uses the library, and a forked child of one who had mapped it for
 * writing, or who got a writable descriptor without being able to open it, is not counted.  For
 * memory that nobody can change, whatever he does, see TENON_REGION_SEALED_COPY.
 */
TENON_PUBLIC int tenon_region_seal(struct tenon_region *region, uint32_t seals, int64_t deadline_ns)
	TENON_MUST_USE;

/* Instead of an access, for tenon_region_fd. */
#define TENON_REGION_SEALED_COPY 4u

/*
 * Gives a descriptor (close-on-exec; the caller's to close) that makes the region known to who is
 * sent it (SCM_RIGHTS), or inherits it, whatever the name and the mode of the file.  `access` is
 * one of
 *
 *	READ		the region, for reading.  Whoever has it can read-lock the file, and so keep
 *			others from opening it; he writes only if the mode lets him open the file
 *	WRITE		the region, for reading and writing
 *	SEALED_COPY	a copy as of tenon_region_snapshot, in a file of its own that the kernel
 *			keeps everybody, the caller too, from changing or making shorter: for
 *			parties that do not trust each other
 *
 * Errors: -EACCES for writing: the handle is for reading; for reading: the caller could not open
 * the file by now; -EPERM for writing: it is sealed against that; -EFBIG the copy would be longer
 * than RLIMIT_FSIZE; -ENOENT there is no /proc.
 */
TENON_PUBLIC int tenon_region_fd(struct tenon_region *region, uint32_t access, int *ret_fd);

/*
 * Opens a region that came as a descriptor, which stays the caller's.  `flags`: 0 or
 * TENON_REGION_GUARD.
 *
 * With a descriptor for writing whose file the caller may open, the handle is one as of
 * tenon_region_open.  With any other it is not attached: it maps, tells sizes and takes snapshots,
 * but neither grows nor seals, and others are not told of it; and tenon_region_bytes costs a system
 * call.  A sealed copy never changes, and needs no guard.
 *
 * Errors: -EBADF no descriptor, or one that cannot be read; -EBADMSG no region: not a file of
 * tmpfs, or without the header of one, or not what it says of itself; -EPROTO as tenon_region_open.
 */
TENON_PUBLIC int tenon_region_from_fd(int fd, uint32_t flags, struct tenon_region **ret_region)
	TENON_MUST_USE;

/* Whether the guard found memory of the region gone: -EIO.  Else 0.  Async-signal-safe; no
 * system call. */
TENON_PUBLIC int tenon_region_check(const struct tenon_region *region);

/* Everything that can be said about a region. */
struct tenon_region_status {
	uint32_t size, flags; /* set by the caller: sizeof, 0 */
	/* attributes */
	uint32_t mode, uid, gid, max_participants;
	uint64_t id; /* random, made with the region; 0: of a sealed copy */
	uint64_t max_bytes;
	/* now */
	uint64_t bytes;
	uint32_t seals;	       /* TENON_REGION_SEAL_…; of a sealed copy both */
	uint32_t attached;     /* 1: this handle is */
	uint32_t participants; /* attached handles, each of a living process */
	uint32_t writers;      /* of these: with a mapping for writing */
	uint32_t damaged, reserved;
	uint64_t memory_bytes;
	/* since it was made */
	uint64_t grown;	  /* how often */
	uint64_t repairs; /* how often somebody died growing or sealing it */
	int64_t created_ns;
};

/* Reads the status, as tenon_queue_status does.  Does not wait.  A handle that is not attached
 * is not told of the others, and sees 0 of them. */
TENON_PUBLIC int tenon_region_status(struct tenon_region *region,
				     struct tenon_region_status *ret_status);

/* Who has a region open, as tenon_region_attached() tells of it: a process with two handles is
 * told of twice. */
struct tenon_region_user {
	int32_t pid; /* in its own pid namespace */
	uint32_t uid;
	uint32_t writes;     /* 1: it has mapped the region for writing */
	uint32_t is_own;     /* 1: it is this handle */
	int64_t attached_ns; /* since 1970 */
	uint64_t reserved;
};

/*
 * Calls `visit` for each attached handle of a living process, in no particular order, with
 * `context`; a non-zero answer ends the walk and is returned.  Who was killed is not told of, from
 * when waitpid(2) can tell of it, or a pidfd (of another pid namespace: but for the moment in which
 * somebody who attaches takes its place); who attaches, detaches or dies during the walk may or may
 * not be.  `visit` must not call anything on this region.  Errors: -EACCES the handle is of a
 * descriptor, and not attached.
 */
TENON_PUBLIC int tenon_region_attached(struct tenon_region *region,
				       int (*visit)(const struct tenon_region_user *user,
						    void *context),
				       void *context);

#ifdef __cplusplus
}
#endif

#endif
