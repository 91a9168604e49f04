/* SPDX-License-Identifier: Apache-2.0 */

/* corpus TARGET FOLDER: writes the inputs that fuzzing begins with into a folder, which is there. */

#include <stdio.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
	uint8_t data[SEED_MOST_BYTES];

	if (argc != 3)
		return 2;
	for (uint32_t i = 0; i < seed_count(); i++) {
		size_t bytes = seed_make(argv[1], i, data), written;
		char path[4096];
		FILE *file;

		snprintf(path, sizeof(path), "%s/seed-%03u", argv[2], i);
		file = fopen(path, "wb");
		if (!file) {
			perror(path);
			return 1;
		}
		written = fwrite(data, 1, bytes, file);
		if (fclose(file) != 0 || written != bytes) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
