/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The caller's identity costs some system calls, and the permission is asked at every call: so it is kept.  It is looked at
 * anew in a child, whenever something is refused, and when tenon_sysv_credentials() says so, which the preload library and
 * <tenon/compat/unistd.h> do wherever the program changes it.
 */

#include "sysv/permission.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenon/sysv.h>

#include "core/quiet.h"
#include "core/thread.h"

#define GROUPS_MOST 65536

static struct tni_a32 changes = {1};

void tenon_sysv_credentials(void)
{
	tni_fetch_add32(&changes, 1);
}

uint32_t tni_sysv_credentials(void)
{
	/* Mixed, so that neither counts the other's. */
	return (tni_get32(&changes) * UINT32_C(0x9e3779b1) + tni_thread_self()->generation) << 1 |
	       1;
}

static bool is_in_groups(const gid_t *groups, int count, uint32_t first, uint32_t second)
{
	for (int i = 0; i < count; i++)
		if (groups[i] == first || groups[i] == second)
			return true;
	return false;
}

/* Of either group: the class of the mode is the same. */
static bool is_member(uint32_t first, uint32_t second)
{
	gid_t few[64], *groups = few, own = getegid();
	int count;
	bool found;

	if (own == first || own == second)
		return true;
	count = getgroups(sizeof(few) / sizeof(few[0]), few);
	if (count < 0) {
		count = getgroups(0, NULL);
		groups = count > 0 && count <= GROUPS_MOST ? calloc((size_t)count, sizeof(*groups))
							   : NULL;
		if (!groups)
			return false;
		count = getgroups(count, groups);
	}
	found = is_in_groups(groups, count, first, second);
	if (groups != few)
		free(groups);
	return found;
}

bool tni_sysv_is_capable(uint32_t capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data) != 0)
		return geteuid() == 0;
	return data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

bool tni_sysv_is_granted(const struct tni_sysv_identity *identity, uint32_t wanted)
{
	uid_t self = geteuid();
	uint32_t bits = identity->mode;

	if (self == identity->creator_uid || self == identity->uid)
		bits >>= 6;
	else if (is_member(identity->creator_gid, identity->gid))
		bits >>= 3;
	return (wanted & ~bits & 7) == 0 || tni_sysv_is_capable(CAP_IPC_OWNER);
}

bool tni_sysv_is_owner(const struct tni_sysv_identity *identity)
{
	uid_t self = geteuid();

	return self == identity->creator_uid || self == identity->uid ||
	       tni_sysv_is_capable(CAP_SYS_ADMIN);
}

/* acl(5) as the kernel has it in an extended attribute. */
#define ACL_NAME "system.posix_acl_access"
#define ACL_ENTRIES 8u

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ACL_ENTRIES];
	uint32_t count;
};

static void add(struct acl *acl, uint16_t tag, uint16_t bits, uint32_t id)
{
	acl->entries[acl->count++] = (struct posix_acl_xattr_entry){
		.e_tag = htole16(tag), .e_perm = htole16(bits), .e_id = htole32(id)};
}

/* Whom the first identity lets in, and the second: what the bits are of the file's owner, who is the creator, and of the object's,
 * of the groups, and of all others. */
static void list(struct acl *acl, const struct tni_sysv_identity *first,
		 const struct tni_sysv_identity *second, uint16_t owner, uint16_t group,
		 uint16_t others)
{
	uint32_t creator_uid = first->creator_uid, creator_gid = first->creator_gid;

	add(acl, ACL_USER_OBJ, owner, ACL_UNDEFINED_ID);
	if (first->uid != creator_uid)
		add(acl, ACL_USER, owner, first->uid);
	if (second->uid != creator_uid && second->uid != first->uid)
		add(acl, ACL_USER, owner, second->uid);
	add(acl, ACL_GROUP_OBJ, group, ACL_UNDEFINED_ID);
	if (first->gid != creator_gid)
		add(acl, ACL_GROUP, group, first->gid);
	if (second->gid != creator_gid && second->gid != first->gid)
		add(acl, ACL_GROUP, group, second->gid);
	add(acl, ACL_MASK, 6, ACL_UNDEFINED_ID);
	add(acl, ACL_OTHER, others, ACL_UNDEFINED_ID);
}

static bool is_creators(const struct tni_sysv_identity *identity)
{
	return identity->uid == identity->creator_uid && identity->gid == identity->creator_gid;
}

static size_t bytes_of(const struct acl *acl)
{
	return sizeof(acl->header) + acl->count * sizeof(acl->entries[0]);
}

int tni_sysv_let_in(int fd, const struct tni_sysv_identity *identity,
		    const struct tni_sysv_identity *other)
{
	const struct tni_sysv_identity *second = other ? other : identity;
	uint32_t mode = identity->mode | second->mode;
	uint16_t group = mode & 060 ? 6 : 0, others = mode & 06 ? 6 : 0;
	struct acl acl = {.header.a_version = htole32(POSIX_ACL_XATTR_VERSION)};

	if (is_creators(identity) && is_creators(second)) {
		(void)!syscall(SYS_fremovexattr, fd, ACL_NAME);
		return fchmod(fd, 0600u | (mode_t)group << 3 | others) == 0 ? 0 : -errno;
	}
	list(&acl, identity, second, 6, group, others);
	/* Not by the C library, in whose place other preloaded libraries may stand. */
	if (syscall(SYS_fsetxattr, fd, ACL_NAME, &acl, bytes_of(&acl), 0) == 0)
		return 0;
	/* A file system without: the other one is let in where that can be had. */
	return errno == EOPNOTSUPP && fchown(fd, identity->uid, identity->gid) == 0 ? 0 : -errno;
}

int tni_sysv_let_in_exactly(int fd, const struct tni_sysv_identity *identity)
{
	uint32_t mode = identity->mode & 0666;
	struct acl acl = {.header.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (is_creators(identity)) {
		(void)!syscall(SYS_removexattr, path, ACL_NAME);
		return syscall(SYS_fchmodat, AT_FDCWD, path, mode) == 0 ? 0 : -errno;
	}
	list(&acl, identity, identity, mode >> 6 & 6, mode >> 3 & 6, mode & 6);
	return syscall(SYS_setxattr, path, ACL_NAME, &acl, bytes_of(&acl), 0) == 0 ? 0 : -errno;
}
