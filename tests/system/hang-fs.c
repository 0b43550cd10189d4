/* SPDX-License-Identifier: MIT */
/* tests/system/hang-fs.c: a repository whose repomd.xml can be opened and whose reads never come
 * back: whoever reads it takes no signal, SIGKILL neither, until this process ends.
 *
 *   hang-fs -f -o allow_other MOUNTPOINT    prints the number of each process that reads
 *
 * With the variable HANG_OPEN opening it does not come back, either. */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/repodata"
#define FILE_NAME "repomd.xml"

static int get_attributes(const char *path, struct stat *ret, struct fuse_file_info *file)
{
	if (!strcmp(path, "/") || !strcmp(path, FOLDER))
		*ret = (struct stat){ .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
	else if (!strcmp(path, FOLDER "/" FILE_NAME))
		*ret = (struct stat){ .st_mode = S_IFREG | 0644, .st_nlink = 1, .st_size = 4096 };
	else
		return -ENOENT;
	return 0;
}

static int list(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
		struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
	(void)fill(buffer, strcmp(path, "/") ? FILE_NAME : &FOLDER[1], NULL, 0, 0);
	return 0;
}

static int hang(void)
{
	printf("%d\n", (int)fuse_get_context()->pid);
	(void)fflush(stdout);
	while (pause() < 0) /* always */
		;
	return -EIO;
}

static int open_file(const char *path, struct fuse_file_info *file)
{
	if (getenv("HANG_OPEN"))
		return hang();
	file->direct_io = 1; /* the reader itself waits, not the kernel's reading ahead */
	return 0;
}

static int read_file(const char *path, char *buffer, size_t size, off_t offset,
		     struct fuse_file_info *file)
{
	return hang();
}

int main(int argc, char **argv)
{
	static const struct fuse_operations operations = {
		.getattr = get_attributes, .readdir = list, .open = open_file, .read = read_file
	};

	return fuse_main(argc, argv, &operations, NULL);
}
