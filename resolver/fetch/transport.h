/* SPDX-License-Identifier: MIT */
/* resolver/fetch/transport.h: what every kind of transport fills in; the door stands before it. */
#pragma once

#include "resolver/fetch/fetch.h"

/**
 * struct transfer - one exchange with a server
 * @body: NULL: GET, else POST of @body_length bytes
 * @offset, @length: as for transport_get()
 * @head: HEAD, not GET
 * @inflate: may the answer come compressed?
 * @ret_size: set at success; size of the whole file, -1: not told
 * @version: NULL, or as for transport_get_newer(); @ret_same: set at success: it is still that one
 * @part: NULL, or as for transport_get_part()
 * @ret_mark: set at success, as by transport_head() */
struct transfer {
	const char *url;
	const void *body;
	size_t body_length;
	int64_t offset, length;
	bool head, inflate;
	struct transport_sink sink;
	struct transport_options options;
	struct transport_version *version;
	const struct transport_part *part;
	bool ret_same;
	int64_t ret_size;
	char ret_mark[TRANSPORT_MARK_SIZE];
};

/**
 * struct transport_ops - one kind of transport; arguments as in fetch.h, judged by each itself
 * A new kind is a file with one of these and a function like transport_local(). What a kind does
 * not do is NULL. */
struct transport_ops {
	int (*base)(struct transport *transport, const char *source, char **ret_path,
		    struct error *err);
	int (*open)(struct transport *transport, const char *base, const char *path,
		    struct error *err);
	/** @stat: as transport_stat_all(); *ret_count is 0 before */
	int (*stat)(struct transport *transport, const char *base, const char *const *path,
		    size_t count, struct transport_file *ret, size_t *ret_count, struct error *err);
	int (*names)(struct transport *transport, const char *base, const char *path,
		     struct strings *ret, struct error *err);
	int (*transfer)(struct transport *transport, struct transfer *transfer, struct error *err);
	void (*free)(struct transport *transport);
};

#define URL_SHOWN_SIZE 320
/** url_shown() - what of a URL may stand in words: no user, password or query; cut when long.
 * Returns
 * @ret */
const char *url_shown(const char *url, char ret[static URL_SHOWN_SIZE]);

struct sockaddr;
/** places_judge() - may @url be asked for? -EACCES with words
 * @ret_listed: it lies below a prefix */
int places_judge(const struct transport_places *places, const char *url, bool *ret_listed,
		 struct error *err);
/** places_address() - may @url, which was judged, be asked of that address? */
bool places_address(const char *url, bool listed, const struct sockaddr *address);

/** struct transport - first member of each kind's own struct */
struct transport {
	const struct transport_ops *ops;
};
