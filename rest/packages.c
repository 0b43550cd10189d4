/* SPDX-License-Identifier: MIT */
/* rest/packages.c: packages of servers: what the cache holds, what is fetched ahead, what goes. */
#include "rest/exchange.h"

/* ---- what there is ------------------------------------------------------- */

static json_t *cache_json(const struct rest_cache *cache)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "limit",
			 (json_int_t)cache->limit, "bytes", (json_int_t)cache->bytes, "files",
			 (json_int_t)cache->files, "hits", (json_int_t)cache->hits, "evictions",
			 (json_int_t)cache->evictions, "fetched", (json_int_t)cache->fetched,
			 "fetched_bytes", (json_int_t)cache->fetched_bytes, "failures",
			 (json_int_t)cache->failures, "fetching", (json_int_t)cache->fetching,
			 "waiting", (json_int_t)cache->waiting);
}

static int cache_answer(struct exchange *ex, enum cors cors)
{
	const struct rest_options *options = &ex->rest->options;
	struct rest_cache cache = { 0 };

	if (options->cache)
		options->cache(options->cache_data, &cache);
	return answer_json(ex, cache_json(&cache), cors);
}

int cache_show(struct exchange *ex)
{
	return cache_answer(ex, CORS_ANY);
}

/* ---- what goes ------------------------------------------------------------ */

const struct parameter cache_parameters[] = {
	{ "keep", PARAMETER_NUMBER, .most = INT64_MAX, .required = true,
	  .meaning = "Bytes that may stay: what was not read for longest goes first." },
	{ NULL },
};

int cache_delete(struct exchange *ex)
{
	const char *keep = exchange_argument(ex, cache_parameters[0].name, false);
	struct error err = { 0 };
	int64_t bytes = 0;

	if (account_role(ex, ROLE_ADMIN, &err) < 0)
		return answer_failure(ex, &err);
	if (!keep || parse_int64(keep, &bytes) < 0 || bytes < 0)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST,
				    "keep must be a number of bytes, those that may stay.");
	tree_cache_trim(ex->rest->options.trees, (uint64_t)bytes);
	return cache_answer(ex, CORS_NO);
}

/* ---- what comes ------------------------------------------------------------ */

static int packages_read(const struct exchange *ex, struct strings *ret, struct error *err)
{
	json_auto_t *body = NULL;
	int r;

	if (!ex->body.length)
		return 0;
	r = body_parse(ex->body.data, ex->body.length, &body, err);
	return r < 0 ? r : spec_words(body, "packages", false, ret, err);
}

static int prefetch(struct exchange *ex, bool start)
{
	const struct rest_options *options = &ex->rest->options;
	struct rest_prefetch count = { 0 };
	struct strings packages = { 0 };
	struct error err = { 0 };
	int64_t id = 0;
	int r = start ? packages_read(ex, &packages, &err) : 0;

	if (r >= 0 && (path_id(ex, &id) < 0 || !options->prefetch))
		r = error_set(&err, -ENOENT, BLAME_REQUEST, "id", "No such compose found.");
	if (r >= 0)
		r = options->prefetch(options->cache_data, id, &packages, start, &count, &err);
	strings_done(&packages);
	if (r < 0)
		return answer_failure(ex, &err);
	return answer_json(ex,
			   json_pack("{s:I, s:I, s:I, s:I}", "id", (json_int_t)id, "packages",
				     (json_int_t)count.packages, "cached", (json_int_t)count.cached,
				     "bytes", (json_int_t)count.bytes),
			   start ? CORS_NO : CORS_ANY);
}

int prefetch_get(struct exchange *ex)
{
	return prefetch(ex, false);
}

int prefetch_post(struct exchange *ex)
{
	return prefetch(ex, true);
}
