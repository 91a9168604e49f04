/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Looks at a program's file: what execve(2) and ld.so will make of it.  Whatever cannot be read, or is not understood,
 * counts as suitable: this is for a remark, and nothing depends on it.
 */

#include "program.h"

#include "cli.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As the kernel follows them. */
#define SCRIPTS_MOST 5
#define LINE_BYTES 256
/* A table of a file may say anything. */
#define ENTRIES_MOST 4096

#if __SIZEOF_POINTER__ == 8
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
typedef Elf64_Shdr elf_section;
typedef Elf64_Dyn elf_dynamic;
#define ELF_CLASS ELFCLASS64
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
typedef Elf32_Shdr elf_section;
typedef Elf32_Dyn elf_dynamic;
#define ELF_CLASS ELFCLASS32
#endif

static bool read_at(int fd, uint64_t offset, void *data, size_t bytes)
{
	return pread(fd, data, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Writes the path that execvp(3) would take. */
static void find(const char *program, char path[static PATH_MAX])
{
	const char *folder = getenv("PATH");

	snprintf(path, PATH_MAX, "%s", program);
	if (strchr(program, '/') || !folder)
		return;
	for (;;) {
		size_t bytes = strcspn(folder, ":");
		struct stat information;

		if (snprintf(path, PATH_MAX, "%.*s/%s", bytes ? (int)bytes : 1,
			     bytes ? folder : ".", program) < PATH_MAX &&
		    !access(path, X_OK) && !stat(path, &information) &&
		    S_ISREG(information.st_mode))
			return;
		if (!folder[bytes])
			return;
		folder += bytes + 1;
	}
}

/* As the kernel decides on AT_SECURE. */
static bool is_privileged(const char *path)
{
	struct statvfs system;
	struct stat information;

	if (stat(path, &information))
		return false;
	if (!statvfs(path, &system) && (system.f_flag & ST_NOSUID))
		return false;
	if ((information.st_mode & S_ISUID) && information.st_uid != getuid())
		return true;
	if ((information.st_mode & S_ISGID) && (information.st_mode & S_IXGRP) &&
	    information.st_gid != getgid())
		return true;
	return getuid() && getxattr(path, "security.capability", NULL, 0) > 0;
}

/* Whether a section says that this was made by Go's own linker. */
static bool is_go(int fd, const elf_header *header)
{
	elf_section names, section;
	char name[16];

	if (!header->e_shoff || header->e_shentsize != sizeof(section) ||
	    header->e_shnum > ENTRIES_MOST ||
	    !read_at(fd, header->e_shoff + (uint64_t)header->e_shstrndx * sizeof(section), &names,
		     sizeof(names)))
		return false;
	for (uint32_t i = 0; i < header->e_shnum; ++i) {
		if (!read_at(fd, header->e_shoff + i * sizeof(section), &section, sizeof(section)))
			return false;
		if (read_at(fd, names.sh_offset + section.sh_name, name, sizeof(".go.buildinfo")) &&
		    !memcmp(name, ".go.buildinfo", sizeof(".go.buildinfo")))
			return true;
	}
	return false;
}

/* Of the dynamic linker that it names. */
static enum cli_program_obstacle look_at_linker(int fd, const elf_segment *segment)
{
	char linker[PATH_MAX];

	if (segment->p_filesz == 0 || segment->p_filesz > sizeof(linker) ||
	    !read_at(fd, segment->p_offset, linker, segment->p_filesz))
		return CLI_PROGRAM_SUITABLE;
	linker[segment->p_filesz - 1] = 0;
	/* glibc's are called ld-linux*.so.N and ld64.so.N, whatever folder they lie in. */
	if (strstr(linker, "/ld-linux") || strstr(linker, "/ld64.so"))
		return CLI_PROGRAM_SUITABLE;
	return CLI_PROGRAM_FOREIGN;
}

/* Of what type; false if there is none in the file. */
static bool find_segment(int fd, const elf_header *header, uint32_t type, elf_segment *ret_segment)
{
	if (header->e_phentsize != sizeof(*ret_segment))
		return false;
	for (uint32_t i = 0; i < header->e_phnum; ++i)
		if (read_at(fd, header->e_phoff + i * sizeof(*ret_segment), ret_segment,
			    sizeof(*ret_segment)) &&
		    ret_segment->p_type == type)
			return true;
	return false;
}

/* Whether it needs libraries: then some of it is in C. */
static bool needs_libraries(int fd, const elf_header *header)
{
	elf_segment segment;
	elf_dynamic entry;

	if (!find_segment(fd, header, PT_DYNAMIC, &segment))
		return false;
	for (uint32_t i = 0; i < ENTRIES_MOST && (i + 1) * sizeof(entry) <= segment.p_filesz; ++i) {
		if (!read_at(fd, segment.p_offset + i * sizeof(entry), &entry, sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == DT_NEEDED)
			return true;
	}
	return false;
}

static bool read_header(int fd, elf_header *ret_header)
{
	return read_at(fd, 0, ret_header, sizeof(*ret_header)) &&
	       memcmp(ret_header->e_ident, ELFMAG, SELFMAG) == 0;
}

static bool is_of_this_processor(const elf_header *header)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	elf_header own;

	return fd < 0 || !read_header(fd, &own) || own.e_machine == header->e_machine;
}

static enum cli_program_obstacle look_at_elf(int fd)
{
	elf_header header;
	elf_segment segment;

	if (!read_header(fd, &header))
		return CLI_PROGRAM_SUITABLE;
	if (header.e_ident[EI_CLASS] != ELF_CLASS)
		return CLI_PROGRAM_32_BIT;
	if (!is_of_this_processor(&header))
		return CLI_PROGRAM_FOREIGN;
	if (is_go(fd, &header))
		return needs_libraries(fd, &header) ? CLI_PROGRAM_CGO : CLI_PROGRAM_GO;
	if (header.e_phentsize != sizeof(segment))
		return CLI_PROGRAM_SUITABLE;
	if (find_segment(fd, &header, PT_INTERP, &segment))
		return look_at_linker(fd, &segment);
	return CLI_PROGRAM_STATIC;
}

bool cli_program_is_library(const char *path)
{
	CLI_CLEANUP(cli_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	elf_header header;
	elf_segment segment;

	/* What names a dynamic linker is a program, though it may look like a library otherwise. */
	return fd >= 0 && read_header(fd, &header) && header.e_ident[EI_CLASS] == ELF_CLASS &&
	       header.e_type == ET_DYN && is_of_this_processor(&header) &&
	       !find_segment(fd, &header, PT_INTERP, &segment);
}

/* True: it is a script, and `path` is its interpreter from now on. */
static bool follow_script(int fd, char path[static PATH_MAX])
{
	char line[LINE_BYTES + 1];
	ssize_t bytes = pread(fd, line, LINE_BYTES, 0);
	char *begin;

	if (bytes < 2 || memcmp(line, "#!", 2))
		return false;
	line[bytes] = 0;
	begin = line + 2 + strspn(line + 2, " \t");
	begin[strcspn(begin, " \t\n")] = 0;
	snprintf(path, PATH_MAX, "%s", begin);
	return true;
}

void cli_program_look(const char *program, struct cli_program *ret_program)
{
	ret_program->obstacle = CLI_PROGRAM_SUITABLE;
	ret_program->is_script = false;
	find(program, ret_program->path);
	for (int i = 0; i < SCRIPTS_MOST; ++i) {
		CLI_CLEANUP(cli_cleanup_fd)
		int fd = open(ret_program->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0 && follow_script(fd, ret_program->path)) {
			ret_program->is_script = true;
			continue;
		}
		/* Of a script these bits mean nothing; and who may run a program may not always read it. */
		if (is_privileged(ret_program->path))
			ret_program->obstacle = CLI_PROGRAM_PRIVILEGED;
		else if (fd >= 0)
			ret_program->obstacle = look_at_elf(fd);
		return;
	}
}
