/* SPDX-License-Identifier: MIT */
/* fs/figures.c: how often the kernel asked for what, for the metrics. */
#include "fs/internal.h"

static const char *const words[FIGURES] = {
	[FIGURE_LOOKUP] = "lookup",	  [FIGURE_GETATTR] = "getattr",
	[FIGURE_SETATTR] = "setattr",	  [FIGURE_OPEN] = "open",
	[FIGURE_CREATE] = "create",	  [FIGURE_READ] = "read",
	[FIGURE_WRITE] = "write",	  [FIGURE_OPENDIR] = "opendir",
	[FIGURE_READDIR] = "readdir",	  [FIGURE_READDIRPLUS] = "readdirplus",
	[FIGURE_READLINK] = "readlink",	  [FIGURE_MKDIR] = "mkdir",
	[FIGURE_RMDIR] = "rmdir",	  [FIGURE_UNLINK] = "unlink",
	[FIGURE_RENAME] = "rename",	  [FIGURE_POLL] = "poll",
	[FIGURE_STATFS] = "statfs",	  [FIGURE_GETXATTR] = "getxattr",
	[FIGURE_LISTXATTR] = "listxattr", [FIGURE_SETXATTR] = "setxattr",
};

void figure_failure(struct fs *fs, enum figure figure, int r)
{
	if (r < 0 && r != -ENOENT)
		figure_add(&fs->failures[figure]);
}

static void figure_print(struct text *ret, const char *name, const char *type, const char *help,
			 uint64_t value)
{
	(void)text_addf(ret, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type,
			name, value);
}

void fs_figures(struct fs *fs, struct text *ret)
{
	static const enum figure failing[] = { FIGURE_OPEN, FIGURE_READ, FIGURE_WRITE };

	(void)text_adds(ret,
			"# HELP odcsfs_fuse_requests_total Requests of the kernel by operation.\n"
			"# TYPE odcsfs_fuse_requests_total counter\n");
	for (int i = 0; i < FIGURES; i++)
		(void)text_addf(ret, "odcsfs_fuse_requests_total{op=\"%s\"} %" PRIu64 "\n",
				words[i], (uint64_t)atomic_load(&fs->figure[i]));
	(void)text_adds(ret, "# HELP odcsfs_fuse_failures_total Requests that failed.\n"
			     "# TYPE odcsfs_fuse_failures_total counter\n");
	for (size_t i = 0; i < ARRAY_SIZE(failing); i++)
		(void)text_addf(ret, "odcsfs_fuse_failures_total{op=\"%s\"} %" PRIu64 "\n",
				words[failing[i]],
				(uint64_t)atomic_load(&fs->failures[failing[i]]));
	figure_print(ret, "odcsfs_fuse_read_bytes_total", "counter",
		     "Bytes of composes given to the kernel; what it reads by itself (passthrough) "
		     "is not seen.",
		     atomic_load(&fs->read_bytes));
	figure_print(ret, "odcsfs_fuse_passthrough", "gauge",
		     "1 while the kernel reads packages by itself.", atomic_load(&fs->passthrough));
	figure_print(ret, "odcsfs_fuse_backing_files", "gauge",
		     "Files that the kernel holds to read them by itself.",
		     (uint64_t)atomic_load(&fs->backing_ids));
	figure_print(ret, "odcsfs_export_mounted", "gauge", "1 while fs.export is mounted.",
		     fs_mounted(fs, FS_EXPORT));
	figure_print(ret, "odcsfs_export_files", "gauge", "Files kept open for fs.export.",
		     export_files_count(fs));
	figure_print(ret, "odcsfs_export_opened_total", "counter",
		     "Files that were opened for fs.export.",
		     atomic_load(&fs->export_files.opened));
}
