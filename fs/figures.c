/* SPDX-License-Identifier: MIT */
/* fs/figures.c: how often the kernel asked for what, for the metrics. */
#include "fs/internal.h"

static const char *const words[FIGURES] = {
	[FIGURE_LOOKUP] = "lookup",   [FIGURE_GETATTR] = "getattr", [FIGURE_OPEN] = "open",
	[FIGURE_READ] = "read",	      [FIGURE_WRITE] = "write",	    [FIGURE_READDIR] = "readdir",
	[FIGURE_READDIRPLUS] = "readdirplus",
};

void fs_figures(struct fs *fs, struct text *ret)
{
	static const char name[] = "odcsfs_fuse_requests_total";

	(void)text_addf(ret, "# HELP %s Requests of the kernel by operation.\n# TYPE %s counter\n",
			name, name);
	for (int i = 0; i < FIGURES; i++)
		(void)text_addf(ret, "%s{op=\"%s\"} %" PRIu64 "\n", name, words[i],
				(uint64_t)atomic_load(&fs->figure[i]));
}
