/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A fuzz target without libFuzzer: runs the inputs in the named files, or in all files of the named
 * folders, or, if none is named, those that fuzzing begins with.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

#define INPUT_MOST_BYTES 65536u

static uint64_t inputs;

static int run_file(const char *path)
{
	static uint8_t data[INPUT_MOST_BYTES];
	FILE *file = fopen(path, "rb");
	size_t bytes;

	if (!file) {
		perror(path);
		return 1;
	}
	bytes = fread(data, 1, sizeof(data), file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, bytes);
	inputs++;
	return 0;
}

static int run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort), failed = count < 0;

	for (int i = 0; i < count; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			failed |= run_file(file);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return failed;
}

static void run_seeds(void)
{
	uint8_t data[SEED_MOST_BYTES];

	for (uint32_t i = 0; i < seed_count(); i++) {
		LLVMFuzzerTestOneInput(data, seed_make(fuzz_target, i, data));
		inputs++;
	}
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		struct stat status;

		if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
			failed |= run_folder(argv[i]);
		else
			failed |= run_file(argv[i]);
	}
	if (argc < 2)
		run_seeds();
	printf("%s: %llu inputs, %llu calls\n", fuzz_target, (unsigned long long)inputs,
	       (unsigned long long)fuzz_calls());
	return failed;
}
