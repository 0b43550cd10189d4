/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/bench.c: time of jobs, from the job line to the result line.
 *
 * bench STATE_DIR WORK_DIR COUNT REQUEST: one worker makes the request COUNT times. What it made is
 * moved to STATE_DIR after the first with --publish, so later ones meet it there as in the service.
 */
#include "tests/unit/sources/drive.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int one(struct drive *drive, int64_t id, const char *request, bool loud)
{
	double start = now_ms(), last = start;
	bool over = false;

	if (drive_send(drive, id, request, true) < 0)
		return -EINVAL;
	while (!over) {
		struct message message = { 0 };
		double now;

		if (drive_next(drive, &message) != 1)
			return -EPROTO;
		now = now_ms();
		if (loud && message.type == PIPE_PROGRESS)
			printf("  %8.2f ms  %" PRId64 "/%" PRId64 " %s %s\n", now - last,
			       message.done, message.total, message.phase, message.text);
		else if (loud && message.text)
			printf("  %8.2f ms  %s\n", now - last, message.text);
		if (message.type == PIPE_RESULT)
			printf("%8.2f ms (last step %.2f): %" PRId64 " packages, %" PRId64
			       " bytes written, %zu blobs, %s\n",
			       now - start, now - last, message.outcome->packages_count,
			       message.outcome->bytes_written, message.outcome->blobs.count,
			       message.outcome->manifest);
		else if (message.type == PIPE_RESOLVED &&
			 drive_answer(drive, id, PIPE_GO, NULL) < 0)
			return -EPROTO;
		else if (message.type == PIPE_FAILED)
			printf("%8.2f ms: failed: %s\n", now - start, message.text);
		over = message.type == PIPE_RESULT || message.type == PIPE_FAILED;
		last = now;
		message_done(&message);
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool published = argc == 6 && !strcmp(argv[5], "--publish");
	struct drive drive;
	int r;

	if (argc < 5)
		return 2;
	r = drive_start(&drive, argv[1], argv[2]);
	for (int i = 0; i < atoi(argv[3]) && r == 0; i++) {
		r = one(&drive, i + 1, argv[4], i < 2);
		if (i == 0 && published)
			drive_publish(&drive);
	}
	return drive_stop(&drive) != 0 || r != 0;
}
