/* SPDX-License-Identifier: MIT */
/* rest/filter.h: the query string of a list of composes, the same for the API and the page at /. */
#pragma once

#include "rest/exchange.h"

/** struct filter - strings are borrowed from the exchange */
struct filter {
	struct compose_query query; /* with limit and offset of the page */
	bool nothing;		    /* a filter that no row can match */
	int64_t page, per_page;
};

/** filter_read() - after exchange_arguments(); -EINVAL: an unknown order_by */
int filter_read(const struct exchange *ex, struct filter *ret);
/** filter_page() - which page, from 1, and how many rows it has, from 0 to REST_PAGE_MAX; @usual:
 * when the query does not say */
void filter_page(const struct exchange *ex, int64_t usual, int64_t *ret_page,
		 int64_t *ret_per_page);
/** filter_tail() - everything of the query but what belongs to the pages, as "&NAME=VALUE..." */
void filter_tail(const struct exchange *ex, struct text *ret);
