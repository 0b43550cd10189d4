/* SPDX-License-Identifier: MIT */
/* resolver/fetch/transport.h: what every kind of transport fills in; the door stands before it. */
#pragma once

#include "resolver/fetch/fetch.h"

/**
 * struct transport_ops - one kind of transport; arguments as in fetch.h, judged by each itself
 * A new kind is a file with one of these and a function like transport_local(). */
struct transport_ops {
	int (*base)(struct transport *transport, const char *source, char **ret_path,
		    struct error *err);
	int (*open)(struct transport *transport, const char *base, const char *path,
		    struct error *err);
	int (*stat)(struct transport *transport, const char *base, const char *path,
		    struct transport_file *ret, struct error *err);
	void (*free)(struct transport *transport);
};

/** struct transport - first member of each kind's own struct */
struct transport {
	const struct transport_ops *ops;
};
