/* SPDX-License-Identifier: Apache-2.0 */

#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES 131072u

struct checksum {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
	uint8_t buffer[READ_BYTES];
};

struct checksum *checksum_free(struct checksum *checksum)
{
	if (!checksum)
		return NULL;
	EVP_MD_CTX_free(checksum->context);
	EVP_MD_free(checksum->algorithm);
	free(checksum);
	return NULL;
}

struct checksum *checksum_new(void)
{
	struct checksum *checksum = calloc(1, sizeof(*checksum));

	if (!checksum)
		return NULL;
	checksum->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	checksum->context = EVP_MD_CTX_new();
	if (!checksum->algorithm || !checksum->context)
		return checksum_free(checksum);
	return checksum;
}

/* `progress`, if given, is raised as bytes are read, so that a long file is seen to move. */
static int read_into(struct checksum *checksum, int fd, uint64_t *progress)
{
	ssize_t got;

	for (;;) {
		got = read(fd, checksum->buffer, sizeof(checksum->buffer));
		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!EVP_DigestUpdate(checksum->context, checksum->buffer, (size_t)got))
			return ENOMEM;
		if (progress)
			board_add(progress, (uint64_t)got);
	}
}

int checksum_file(struct checksum *checksum, const char *path, uint64_t *progress,
		  uint8_t *ret_digest)
{
	int error, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno;
	if (!EVP_DigestInit_ex2(checksum->context, checksum->algorithm, NULL)) {
		close(fd);
		return ENOMEM;
	}
	error = read_into(checksum, fd, progress);
	close(fd);
	if (!error && !EVP_DigestFinal_ex(checksum->context, ret_digest, NULL))
		error = ENOMEM;
	return error;
}
