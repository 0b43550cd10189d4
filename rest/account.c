/* SPDX-License-Identifier: MIT */
/* rest/account.c: who is asking.
 *
 * One row per value of options.auth_backend; a further backend is a function and a row. */
#include "rest/exchange.h"
#include "rest/peer.h"

#include <pwd.h>

/* The user of this machine who sits at the other end; -EREMOTE when nobody does. */
static int peer_of(const struct exchange *ex, uint32_t *ret_uid)
{
	const union MHD_ConnectionInfo *client =
		MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage server;
	socklen_t length = sizeof(server);

	if (!client || !client->client_addr || !fd ||
	    getsockname(fd->connect_fd, (struct sockaddr *)&server, &length) < 0)
		return -EREMOTE;
	return peer_uid(client->client_addr, (struct sockaddr *)&server, ret_uid);
}

/* A host name under which somebody at this machine would call it. A browser that was led here by a
 * foreign page under a name of its own (DNS rebinding) does not use one of these. */
static bool host_is_local(const char *host)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

	if (!host)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		if (!strncasecmp(host, names[i], length) && (!host[length] || host[length] == ':'))
			return true;
	}
	return false;
}

/* Does this client speak for himself? A proxy does not. */
static bool speaks_for_himself(const struct exchange *ex)
{
	static const char *const foreign[] = {
		"X-Forwarded-For", "X-Forwarded-Host", "X-Script-Name", "X-Scheme",
		"X-Real-IP",	   "Forwarded",	       "Via",		"Origin"
	};

	if (!host_is_local(exchange_header(ex, MHD_HTTP_HEADER_HOST)))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (exchange_header(ex, foreign[i]))
			return false;
	return true;
}

void account_locate(const struct exchange *ex, struct account *account)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];
	uint32_t uid;

	if (!speaks_for_himself(ex) || peer_of(ex, &uid) < 0)
		return;
	account->local = true;
	account->uid = uid;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		account->gid = found->pw_gid;
}

static int noauth_account(const struct exchange *ex, struct account *ret, struct error *err)
{
	*ret = (struct account){ .owner = "unknown",
				 .name = "anonymous",
				 .uid = REST_UID,
				 .gid = REST_UID,
				 .admin = true };
	return 0;
}

static const struct backend {
	const char *name;
	int (*account)(const struct exchange *ex, struct account *ret, struct error *err);
} backends[] = {
	{ "noauth", noauth_account },
};

bool account_backend_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i].name, name))
			return true;
	return false;
}

int account_of(const struct exchange *ex, struct account *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i].name, ex->rest->options.auth_backend))
			return backends[i].account(ex, ret, err);
	return error_set(err, -EPERM, BLAME_REQUEST, NULL, "No authentication backend.");
}
