/* SPDX-License-Identifier: MIT */
/* rest/hot.h: whole files that were sent a moment ago, ready to be sent again. */
#pragma once

#include "rest/exchange.h"

/** struct hot_file - a whole file as it was answered */
struct hot_file {
	int64_t id;	/* of the compose whose tree it is in */
	uint32_t index; /* there */
	uint64_t length;
	int fd;	     /* where changes can be seen: of the response, if not @own_fd */
	bool own_fd; /* hot_keep() takes it */
};

int hots_new(struct cache **ret);
/** hot_get() - a reference, if the plain file is asked for and is still what it was; else NULL */
struct kept *hot_get(const struct exchange *ex, int64_t id, uint32_t index);
/** hot_answer() - takes the reference */
int hot_answer(struct exchange *ex, struct kept *kept);
/** hot_keep() - answer with @response, which is taken, and keep both for a moment */
int hot_keep(struct exchange *ex, const struct hot_file *file, struct MHD_Response *response);
/** hot_tick() - let go of those whose moment is over */
void hot_tick(struct rest *rest, int64_t now_ms);
