/* SPDX-License-Identifier: Apache-2.0 */

/* ftok, and <sys/ipc.h>, which is the first header here, since it has to stand alone. */

#include <sys/ipc.h>

static key_t (*const makes_key)(const char *, int) = ftok;
static key_t key_type;
static struct ipc_perm perm_type;
static uid_t *const perm_uid = &perm_type.uid, *const perm_cuid = &perm_type.cuid;
static gid_t *const perm_gid = &perm_type.gid, *const perm_cgid = &perm_type.cgid;

#include <limits.h>
#include <sys/stat.h>

#include "sysv.h"

static void make_file(const char *name)
{
	FILE *file;

	enter_folder();
	file = fopen(name, "w");
	REQUIRE(file && fclose(file) == 0);
}

REQUIREMENT(header_ipc, "<sys/ipc.h>, DESCRIPTION",
	    "it defines struct ipc_perm with its members, the constants, key_t, and ftok")
{
	static const int constants[] = {IPC_CREAT, IPC_EXCL, IPC_NOWAIT};

	for (int i = 0; i < 3; i++) {
		EXPECT(constants[i] != 0 && (constants[i] & (constants[i] - 1)) == 0);
		EXPECT_IS(constants[i] & 0777, 0);
		EXPECT(constants[i] != constants[(i + 1) % 3]);
	}
	EXPECT(IPC_RMID != IPC_SET && IPC_SET != IPC_STAT && IPC_STAT != IPC_RMID);
	EXPECT(perm_uid && perm_gid && perm_cuid && perm_cgid && makes_key);
	EXPECT(sizeof(perm_type.mode) >= sizeof(mode_t) / 2);
	EXPECT_IS(IPC_PRIVATE, 0);
	EXPECT_IS(key_type, IPC_PRIVATE);
	EXPECT_IS(sizeof(key_t), sizeof(int));
}

REQUIREMENT(header_binary, "ipc(5); the kernel's <linux/ipc.h>",
	    "the values are those that programs were compiled with")
{
	EXPECT_IS(IPC_CREAT, 01000);
	EXPECT_IS(IPC_EXCL, 02000);
	EXPECT_IS(IPC_NOWAIT, 04000);
	EXPECT_IS(IPC_RMID, 0);
	EXPECT_IS(IPC_SET, 1);
	EXPECT_IS(IPC_STAT, 2);
	EXPECT_IS(IPC_INFO, 3);
}

REQUIREMENT(ftok_same, "ftok, RETURN VALUE", "one file and one number make one key")
{
	key_t key;

	make_file("a");
	key = ftok("a", 'x');
	EXPECT(key != -1);
	EXPECT_IS(ftok("a", 'x'), key);
	EXPECT_IS(ftok("./a", 'x'), key);
}

REQUIREMENT(ftok_number, "ftok, DESCRIPTION", "different numbers make different keys")
{
	make_file("a");
	for (int i = 1; i < 256; i++)
		EXPECT(ftok("a", i) != ftok("a", i - 1));
}

REQUIREMENT(ftok_low_bits, "ftok, DESCRIPTION", "only the low eight bits of the number count")
{
	make_file("a");
	EXPECT_IS(ftok("a", 0x101), ftok("a", 1));
	EXPECT_IS(ftok("a", 1 - 256), ftok("a", 1));
}

REQUIREMENT(ftok_files, "ftok, DESCRIPTION", "different files make different keys")
{
	make_file("a");
	make_file("b");
	EXPECT(ftok("a", 1) != ftok("b", 1));
}

REQUIREMENT(ftok_links, "ftok, DESCRIPTION; ftok(3)",
	    "all names of a file make the same key, and what a symbolic link leads to is the file")
{
	make_file("a");
	EXPECT_IS(link("a", "b"), 0);
	EXPECT_IS(symlink("a", "c"), 0);
	EXPECT_IS(ftok("b", 1), ftok("a", 1));
	EXPECT_IS(ftok("c", 1), ftok("a", 1));
}

REQUIREMENT(ftok_composed, "ftok(3), DESCRIPTION",
	    "the key has the low bits of the number, of the device and of the inode")
{
	struct stat status;

	make_file("a");
	EXPECT_IS(stat("a", &status), 0);
	EXPECT_IS(ftok("a", 0xab),
		  (key_t)((status.st_ino & 0xffff) | (status.st_dev & 0xff) << 16 | 0xabu << 24));
}

static void is_denied(void *context)
{
	(void)context;
	EXPECT_ERROR(ftok("d/e", 1), EACCES);
}

REQUIREMENT(ftok_errors, "ftok, ERRORS, ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP",
	    "a path that leads to no file is an error of stat")
{
	char name[PATH_MAX + 10];

	make_file("a");
	EXPECT_ERROR(ftok("b", 1), ENOENT);
	EXPECT_ERROR(ftok("", 1), ENOENT);
	EXPECT_ERROR(ftok("a/b", 1), ENOTDIR);
	EXPECT_IS(symlink("b", "b"), 0);
	EXPECT_ERROR(ftok("b", 1), ELOOP);
	memset(name, 'x', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	EXPECT_ERROR(ftok(name, 1), ENAMETOOLONG);
}

REQUIREMENT(ftok_denied, "ftok, ERRORS, EACCES", "a folder that may not be searched is EACCES")
{
	make_file("a");
	EXPECT_IS(mkdir("d", 0700), 0);
	make_file("d/e");
	conform_act_as(NOBODY, is_denied, NULL);
}

REQUIREMENT(ftok_used, "ftok, DESCRIPTION", "the key is one for the three get calls")
{
	key_t key;
	int id;

	make_file("a");
	key = ftok("a", 't');
	for (enum kind kind = MSG; kind <= SHM; kind++) {
		id = get(kind, key, IPC_CREAT | IPC_EXCL | 0600);
		EXPECT(id >= 0);
		EXPECT_IS(get(kind, ftok("./a", 't'), 0), id);
		erase(kind, id);
	}
}
