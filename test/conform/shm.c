/* SPDX-License-Identifier: Apache-2.0 */

/* Shared memory objects. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#if defined(CONFORM_COMPAT) && !(defined(shm_open) && defined(shm_unlink))
#error "the headers of the original names are not those of Tenon"
#endif

#define PAGE 4096

static const char *name(void)
{
	static char text[40];

	snprintf(text, sizeof(text), "/tenon-conform.%d", conform_run);
	return text;
}

#define NAME name()

static int make(mode_t mode)
{
	int fd = shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, mode);

	REQUIRE(fd >= 0);
	return fd;
}

static struct stat status_of(int fd)
{
	struct stat status = {0};

	EXPECT_IS(fstat(fd, &status), 0);
	return status;
}

REQUIREMENT(open_absent, "shm_open, ERRORS, ENOENT",
	    "without O_CREAT one that does not exist is ENOENT")
{
	EXPECT_ERROR(shm_open(NAME, O_RDWR, 0), ENOENT);
}

REQUIREMENT(open_creates, "shm_open, DESCRIPTION, O_CREAT", "a new one is empty, and the caller's")
{
	struct stat status = status_of(make(0600));

	EXPECT_IS(status.st_size, 0);
	EXPECT_IS(status.st_uid, geteuid());
	EXPECT_IS(status.st_gid, getegid());
}

REQUIREMENT(open_mode, "shm_open, DESCRIPTION, O_CREAT", "the mode is as given, less the umask")
{
	umask(027);
	EXPECT_IS(status_of(make(0666)).st_mode & 0777, 0640);
}

REQUIREMENT(open_mode_0, "shm_open, DESCRIPTION, O_CREAT",
	    "the mode says nothing of the descriptor that made it")
{
	int fd = make(0);

	EXPECT_IS(ftruncate(fd, PAGE), 0);
	EXPECT(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
}

REQUIREMENT(open_exclusive, "shm_open, DESCRIPTION, O_EXCL; ERRORS, EEXIST",
	    "O_CREAT and O_EXCL fail on one that exists")
{
	make(0600);
	EXPECT_ERROR(shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT(shm_open(NAME, O_RDWR | O_CREAT, 0600) >= 0);
}

REQUIREMENT(open_truncates, "shm_open, DESCRIPTION, O_TRUNC", "O_TRUNC makes it empty")
{
	int fd = make(0600);

	EXPECT_IS(ftruncate(fd, PAGE), 0);
	EXPECT(shm_open(NAME, O_RDWR | O_TRUNC, 0) >= 0);
	EXPECT_IS(status_of(fd).st_size, 0);
}

REQUIREMENT(open_cloexec, "shm_open, DESCRIPTION",
	    "FD_CLOEXEC is set, and it is the lowest descriptor")
{
	int lowest = dup(0), fd;

	close(lowest);
	fd = make(0600);
	EXPECT_IS(fd, lowest);
	EXPECT_IS(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

REQUIREMENT(open_read_only, "shm_open, DESCRIPTION, O_RDONLY",
	    "for reading it can be mapped for reading only")
{
	int fd;

	EXPECT_IS(ftruncate(make(0600), PAGE), 0);
	fd = shm_open(NAME, O_RDONLY, 0);
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	EXPECT(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	EXPECT_IS(errno, EACCES);
}

REQUIREMENT(open_name, "shm_open, ERRORS, EINVAL; shm_open(3)",
	    "a name has no inner slash, and is not empty")
{
	static const char *const names[] = {"", "/", "/a/b"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		EXPECT_ERROR(shm_open(names[i], O_RDWR | O_CREAT, 0600), EINVAL);
		EXPECT_ERROR(shm_unlink(names[i]), ENOENT);
	}
}

REQUIREMENT(open_long_name, "shm_open, ERRORS, ENAMETOOLONG; shm_open(3)",
	    "a name has up to 255 bytes behind its slash")
{
	char text[400];

	memset(text, 'x', sizeof(text));
	snprintf(text, 40, "%s", NAME);
	text[strlen(text)] = 'x';
	text[256] = '\0';
	EXPECT(shm_open(text, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0);
	EXPECT(shm_open(text, O_RDWR, 0) >= 0);
	EXPECT_IS(shm_unlink(text), 0);
	text[256] = 'x';
	text[257] = '\0';
	EXPECT_ERROR(shm_open(text, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
	EXPECT_ERROR(shm_unlink(text), ENAMETOOLONG);
}

static void is_denied(void *context)
{
	(void)context;
	EXPECT_ERROR(shm_open(NAME, O_RDWR, 0), EACCES);
	EXPECT(shm_open(NAME, O_RDONLY, 0) >= 0);
	EXPECT_ERROR(shm_unlink(NAME), EACCES);
}

REQUIREMENT(open_permission, "shm_open, shm_unlink, ERRORS, EACCES",
	    "the mode says who may; another's may not be removed")
{
	umask(0);
	make(0644);
	conform_act_as(65534, is_denied, NULL);
}

REQUIREMENT(unlink_absent, "shm_unlink, ERRORS, ENOENT", "one that does not exist is ENOENT")
{
	EXPECT_ERROR(shm_unlink(NAME), ENOENT);
}

REQUIREMENT(unlink_open, "shm_unlink, DESCRIPTION",
	    "who has it open or mapped goes on, and the name is free")
{
	int fd = make(0600), other;
	char *address;

	EXPECT_IS(ftruncate(fd, PAGE), 0);
	address = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(address != MAP_FAILED);
	EXPECT_IS(shm_unlink(NAME), 0);
	EXPECT_ERROR(shm_open(NAME, O_RDWR, 0), ENOENT);
	close(fd);
	address[7] = 'x';
	other = make(0600);
	EXPECT_IS(status_of(other).st_size, 0);
	EXPECT_IS(address[7], 'x');
}

static void writes(void *context)
{
	char *address = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			     shm_open(NAME, O_RDWR, 0), 0);

	(void)context;
	REQUIRE(address != MAP_FAILED);
	EXPECT_IS(address[0], 'a');
	address[0] = 'b';
}

REQUIREMENT(shared, "shm_open, DESCRIPTION; mmap, MAP_SHARED",
	    "what one process writes the others read; it stays when all have closed it")
{
	int fd = make(0600);
	char byte = 'a';

	EXPECT_IS(ftruncate(fd, PAGE), 0);
	EXPECT_IS(pwrite(fd, &byte, 1, 0), 1);
	close(fd);
	conform_act(writes, NULL);
	fd = shm_open(NAME, O_RDONLY, 0);
	EXPECT_IS(pread(fd, &byte, 1, 0), 1);
	EXPECT_IS(byte, 'b');
}

static void clean(void)
{
	(void)shm_unlink(NAME);
}

static const char *unusable(void)
{
	return NULL;
}

static int executed(int count_of_words, char **words)
{
	(void)count_of_words;
	(void)words;
	return 1;
}

int main(int count, char **arguments)
{
	static const struct conform_suite suite = {
		.symbol = "shm_open", .unusable = unusable, .clean = clean, .executed = executed};

	return conform_main(&suite, count, arguments);
}
