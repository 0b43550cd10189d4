/* SPDX-License-Identifier: MIT */
/* resolver/fetch/answer.h: the form of an opener's answers. */
#pragma once

#include "resolver/fetch/asked.h"

/**
 * struct open_reply - what an answer begins with
 * @result: 0 or negative errno, and then who is to @blame
 * @count: so many struct transport_file follow
 *
 * Behind those: the real path, or field and words of the failure, each with its NUL. */
struct open_reply {
	int32_t result;
	uint32_t blame, count;
};

#define OPEN_REPLY_MAX (16 * 1024) /* behind the head */
