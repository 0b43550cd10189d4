/* SPDX-License-Identifier: MIT */
/* resolver/worker/cage.c: the sandbox of a worker that composes. */
#include "resolver/worker/cage.h"

#include "resolver/worker/inputs.h"
#include "resolver/worker/worker.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory is locked by the service that uses it; a lock of ours would keep the next one out.
 */
static int keep_names_only(int dirfd)
{
	_cleanup_(closep) int names = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return names < 0 || dup3(names, dirfd, O_CLOEXEC) < 0 ? -errno : 0;
}

static int open_folders(int state_dirfd, int fd[static CAGE_FOLDERS], struct error *err)
{
	static const char *const names[] = { "snapshots", "headers",   "origins",
					     "packages",  "manifests", "blobs" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		fd[i] = directory_open(state_dirfd, names[i]);
		if (fd[i] < 0)
			return error_errno(err, fd[i], "%s", names[i]);
	}
	return 0;
}

/* Root owns what it makes. Where the state is another's, permissions have to be overruled. */
static uint64_t capabilities(int state_dirfd)
{
	struct stat st;

	if (fstat(state_dirfd, &st) == 0 && st.st_uid == geteuid())
		return 0;
	return UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_DAC_READ_SEARCH |
	       UINT64_C(1) << CAP_FOWNER;
}

static int enter(const struct cage *cage, const int *folder, struct error *err)
{
	const int writable[] = { folder[CAGE_SNAPSHOTS], folder[CAGE_HEADERS], folder[CAGE_ORIGINS],
				 cage->work_dirfd };
	_cleanup_(strings_done) struct strings readable = { 0 };
	_cleanup_(inputs_done) struct inputs inputs = { 0 };
	struct sandbox sandbox = { .writable = writable,
				   .writable_count = ARRAY_SIZE(writable),
				   .visible = inputs.fd,
				   .readable = &readable,
				   .memory_bytes = cage->memory_bytes,
				   .capabilities = capabilities(cage->state_dirfd),
				   .network = cage->network,
				   .ports = cage->ports };
	int r = worker_system_files(&readable);

	if (r == 0)
		r = strings_copy(&readable, cage->read);
	if (r < 0)
		return error_oom(err);
	for (size_t i = CAGE_PACKAGES; i < CAGE_FOLDERS && r == 0; i++) {
		inputs.fd[inputs.count] = fcntl(folder[i], F_DUPFD_CLOEXEC, 0);
		if (inputs.fd[inputs.count++] < 0)
			r = error_errno(err, -errno, "cannot start");
	}
	if (r == 0)
		r = inputs_find(cage->site, &inputs, err);
	sandbox.visible_count = inputs.count;
	return r < 0 ? r : sandbox_enter(&sandbox, err);
}

int cage_enter(const struct cage *cage, int ret_folder[static CAGE_PACKAGES + 1], struct error *err)
{
	int folder[CAGE_FOLDERS] = { -1, -1, -1, -1, -1, -1 };
	int r = keep_names_only(cage->state_dirfd);

	if (r < 0)
		r = error_errno(err, r, "the state directory");
	else
		r = open_folders(cage->state_dirfd, folder, err);
	if (r == 0)
		r = enter(cage, folder, err);
	memcpy(ret_folder, folder, (CAGE_PACKAGES + 1) * sizeof(*folder));
	closep(&folder[CAGE_MANIFESTS]);
	closep(&folder[CAGE_BLOBS]);
	return r;
}
