/* SPDX-License-Identifier: MIT */
/* resolver/fetch/transport.c: the door, before whatever kind of transport stands behind it. */
#include "resolver/fetch/transport.h"

int transport_base(struct transport *transport, const char *source, char **ret_path,
		   struct error *err)
{
	return transport->ops->base(transport, source, ret_path, err);
}

int transport_open(struct transport *transport, const char *base, const char *path,
		   struct error *err)
{
	return transport->ops->open(transport, base, path, err);
}

int transport_stat(struct transport *transport, const char *base, const char *path,
		   struct transport_file *ret, struct error *err)
{
	return transport->ops->stat(transport, base, path, ret, err);
}

void transport_free(struct transport *transport)
{
	if (transport)
		transport->ops->free(transport);
}
