/* SPDX-License-Identifier: MIT
 *
 * replay.c - main() of a fuzz target where there is no libFuzzer: feeds it every file
 * named on the command line, and those in directories, so that make check runs all
 * seeds with any compiler. Arguments that begin with '-' are libFuzzer's and ignored.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as large as the input, so that a sanitizer sees the first byte beyond. */
static int
replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size ? size : 1);
	FILE *f = fopen(path, "rb");
	int done = 0;

	if (data && f && fread(data, 1, size, f) == size) {
		LLVMFuzzerTestOneInput(data, size);
		done = 1;
	} else {
		perror(path);
	}
	if (f)
		fclose(f);
	free(data);
	return done;
}

static int replay(const char *path, unsigned *count);

static int
replay_directory(const char *path, unsigned *count)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char child[4096];
	int good = 1;

	if (!dir) {
		perror(path);
		return 0;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		good &= replay(child, count);
	}
	closedir(dir);
	return good;
}

static int
replay(const char *path, unsigned *count)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		perror(path);
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return replay_directory(path, count);
	++*count;
	return replay_file(path, (size_t)st.st_size);
}

int
main(int argc, char **argv)
{
	unsigned count = 0;
	int good = 1;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-')
			good &= replay(argv[i], &count);
	printf("%u inputs\n", count);
	return good && count ? EXIT_SUCCESS : EXIT_FAILURE;
}
