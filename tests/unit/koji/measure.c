/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/measure.c: how long an answer of listTaggedRPMS takes to read, and how much
 * memory.
 *
 *   koji-measure FILE    prints "RPMS KEYS SECONDS BYTES": bytes by which memory grew at its peak
 */
#include "resolver/fetch/transport.h"
#include "resolver/koji/hub.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define PIECE (16 * 1024) /* as libcurl hands them over */

/* struct canned - a transport that answers with a file */
struct canned {
	struct transport transport;
	const char *path;
};

static int canned_transfer(struct transport *transport, struct transfer *transfer,
			   struct error *err)
{
	struct canned *canned = (struct canned *)transport;
	_cleanup_(closep) int fd = open(canned->path, O_RDONLY | O_CLOEXEC);
	char piece[PIECE];
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return error_errno(err, -errno, "%s", canned->path);
	while (r == 0 && (n = io_read(fd, piece, sizeof(piece))) > 0)
		r = transfer->sink.take(transfer->sink.data, piece, (size_t)n, err);
	return r;
}

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* of this program; getrusage(2) would count what the one had that started it */
static long peak(void)
{
	_cleanup_(freep) char *status = NULL;
	const char *at;

	if (file_read(AT_FDCWD, "/proc/self/status", 65536, &status, NULL) < 0)
		return 0;
	at = strstr(status, "VmHWM:");
	return at ? strtol(at + 6, NULL, 10) * 1024 : 0;
}

int main(int argc, char **argv)
{
	static const struct transport_ops ops = { .transfer = canned_transfer };
	struct canned canned = { .transport.ops = &ops, .path = argc > 1 ? argv[1] : "" };
	struct hub_settings settings = { .url = "http://koji.example.com/kojihub",
					 .transport = &canned.transport };
	struct hub_listing_options options = { .event = HUB_NOW, .signatures = true };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(hub_freep) struct hub *hub = NULL;
	struct error err = { 0 };
	double start = now();
	long before = peak();
	int r = hub_new(&settings, &hub, &err);

	if (r == 0)
		r = hub_list(hub, "tag", &options, &listing, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	printf("%zu %zu %.6f %ld\n", listing->rpm_count, listing->key_count, now() - start,
	       peak() - before);
	return 0;
}
