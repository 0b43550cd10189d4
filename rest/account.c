/* SPDX-License-Identifier: MIT */
/* rest/account.c: who is asking.
 *
 * One row per value of options.auth_backend; a further backend is a function and a row. A client of
 * the unix socket is a user of this machine with every backend. Asked before a body is read, for
 * those that write; who only reads may be anybody. */
#include "rest/client.h"
#include "rest/proxies.h"
#include "rest/tls.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pwd.h>

#define NAME_MAX_BYTES 255 /* of a user: it becomes the owner of composes */

void account_done(struct account *account)
{
	free(account->text);
	strings_done(&account->groups);
	*account = (struct account){ 0 };
}

static void account_name(struct account *account, char *name)
{
	account->text = name;
	account->owner = account->name = account->asker.name = name;
	account->asker.groups = &account->groups;
}

/* What can be the name of somebody: text without control characters, not too long. */
static bool good_name(const char *name)
{
	json_auto_t *text = json_string(name);

	if (!text || !*name || strlen(name) > NAME_MAX_BYTES)
		return false;
	for (const char *at = name; *at; at++)
		if (iscntrl((unsigned char)*at))
			return false;
	return true;
}

/* ---- who is at the other end --------------------------------------------- */

/* struct peer - @address or, over the unix socket, @uid and @gid */
struct peer {
	const struct sockaddr *address;
	bool local;
	uint32_t uid, gid;
};

/* Nothing in @ret where libmicrohttpd does not know. */
static void peer_find(const struct exchange *ex, struct peer *ret)
{
	const union MHD_ConnectionInfo *client =
		MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred credentials;
	socklen_t length = sizeof(int);
	int family;

	*ret = (struct peer){ 0 };
	if (!fd || getsockopt(fd->connect_fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
		return;
	if (family != AF_UNIX) {
		ret->address = client ? client->client_addr : NULL;
		return;
	}
	length = sizeof(credentials);
	if (getsockopt(fd->connect_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return;
	ret->local = true;
	ret->uid = credentials.uid;
	ret->gid = credentials.gid;
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

	if (account->asker.local || account->proxied || !speaks_for_himself(ex) ||
	    !host_is_local(exchange_header(ex, MHD_HTTP_HEADER_HOST)) ||
	    !client_uid(ex->link->client, &uid))
		return;
	account->asker.local = true;
	account->asker.uid = uid;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		account->asker.gid = found->pw_gid;
}

static enum MHD_Result last_one(void *data, enum MHD_ValueKind kind _unused_, const char *name,
				const char *value)
{
	const char **last = data;

	if (!strcasecmp(name, "X-Forwarded-For"))
		*last = value;
	return MHD_YES;
}

/* Whom the proxy before us has seen: it adds the last address. */
static bool forwarded(const struct exchange *ex, struct client_key *ret)
{
	struct sockaddr_storage address = { 0 };
	struct sockaddr_in6 *in6 = (void *)&address;
	struct sockaddr_in *in = (void *)&address;
	const char *last = NULL, *comma;

	(void)MHD_get_connection_values(ex->connection, MHD_HEADER_KIND, last_one, &last);
	if (!last)
		return false;
	comma = strrchr(last, ',');
	last = comma ? comma + 1 : last;
	last += strspn(last, " \t");
	if (inet_pton(AF_INET, last, &in->sin_addr) == 1)
		address.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, last, &in6->sin6_addr) == 1)
		address.ss_family = AF_INET6;
	else
		return false;
	*ret = client_address((struct sockaddr *)&address);
	return true;
}

static bool is_proxy(const struct exchange *ex, const struct peer *peer)
{
	const struct proxies *proxies = ex->rest->proxies;

	if (!proxies)
		return false;
	return peer->local ? proxies_have_uid(proxies, peer->uid)
			   : peer->address && proxies_have_address(proxies, peer->address);
}

bool account_client(const struct exchange *ex, char ret[static CLIENT_TEXT_SIZE])
{
	struct client_key key = ex->link->client->key;
	struct peer peer;

	if (ex->account.asker.name || ex->account.asker.local)
		return false;
	peer_find(ex, &peer);
	if (is_proxy(ex, &peer))
		(void)forwarded(ex, &key);
	client_text(&key, ret);
	return true;
}

/* ---- backends ------------------------------------------------------------ */

/* The user at the other end of the unix socket. */
static int local_account(const struct exchange *ex, const struct peer *peer, struct account *ret,
			 struct error *err)
{
	const struct rest_options *options = &ex->rest->options;
	char *name = NULL;
	int r;

	if (options->user_name)
		r = options->user_name(options->user_name_data, peer->uid, peer->gid, &name, err);
	else
		r = asprintf(&name, "%" PRIu32, peer->uid) < 0 ? error_oom(err) : 0;
	if (r < 0)
		return r;
	account_name(ret, name);
	ret->asker.by_uid = ret->asker.local = true;
	ret->asker.uid = peer->uid;
	ret->asker.gid = peer->gid;
	return 0;
}

static int noauth_account(const struct exchange *ex, const struct peer *peer, struct account *ret,
			  struct error *err)
{
	ret->owner = "unknown";
	ret->name = "anonymous";
	return 0;
}

static int ssl_account(const struct exchange *ex, const struct peer *peer, struct account *ret,
		       struct error *err)
{
	char *name = NULL;
	int r = tls_client_name(ex->rest->tls, ex->connection, &name, err);

	if (r < 0)
		return r;
	account_name(ret, name);
	return good_name(name) ? 0 : error_set(err, -EPERM, BLAME_REQUEST, NULL, TLS_NO_NAME);
}

/* What the headers of one meaning say. A proxy that adds its own beside a client's has not decided
 * who it is. */
struct told {
	const char *const *names; /* of headers, ended by NULL */
	const char *value;	  /* NULL: there is none */
	bool several;
};

static enum MHD_Result told_one(void *data, enum MHD_ValueKind kind, const char *name,
				const char *value)
{
	struct told *told = data;

	for (size_t i = 0; told->names[i]; i++) {
		if (strcasecmp(told->names[i], name) != 0)
			continue;
		if (!value)
			value = "";
		told->several |= told->value && strcmp(told->value, value) != 0;
		told->value = value;
	}
	return MHD_YES;
}

static struct told told_users(const struct exchange *ex)
{
	static const char *const names[] = { "Remote-User", "X-Remote-User", NULL };
	struct told told = { names };

	(void)MHD_get_connection_values(ex->connection, MHD_HEADER_KIND, told_one, &told);
	return told;
}

static struct told told_groups(const struct exchange *ex)
{
	static const char *const names[] = { "X-Remote-Groups", NULL };
	struct told told = { names };

	(void)MHD_get_connection_values(ex->connection, MHD_HEADER_KIND, told_one, &told);
	return told;
}

static int nobody(struct error *err, const char *words)
{
	return error_set(err, -EPERM, BLAME_REQUEST, NULL, "REMOTE_USER %s", words);
}

static int proxied_account(const struct exchange *ex, struct account *ret, struct error *err)
{
	struct told user = told_users(ex), groups = told_groups(ex);
	_cleanup_(freep) char *list = NULL;
	char *name;

	if (!user.value || !*user.value)
		return nobody(err, "is not present in request.");
	if (user.several || groups.several)
		return nobody(err,
			      "is not clear: several headers of a proxy contradict each other.");
	if (!good_name(user.value))
		return nobody(err, "is no name of a user.");
	name = strdup(user.value);
	if (!name)
		return error_oom(err);
	account_name(ret, name);
	ret->proxied = true;
	list = strdup(groups.value ? groups.value : "");
	for (char *at = list; at && (at = strpbrk(at, ",\t"));)
		*at = ' ';
	return !list || strings_split(&ret->groups, list, ' ') < 0 ? error_oom(err) : 0;
}

/* Root may speak for anybody over the unix socket. */
static int proxy_account(const struct exchange *ex, const struct peer *peer, struct account *ret,
			 struct error *err)
{
	const struct proxies *proxies = ex->rest->proxies;

	if (peer->local ? !peer->uid || proxies_have_uid(proxies, peer->uid)
			: peer->address && proxies_have_address(proxies, peer->address))
		return proxied_account(ex, ret, err);
	return nobody(err, "is not present in request.");
}

static const struct backend {
	const char *name;
	int (*account)(const struct exchange *ex, const struct peer *peer, struct account *ret,
		       struct error *err);
} backends[] = {
	{ "noauth", noauth_account },
	{ "proxy", proxy_account },
	{ "ssl", ssl_account },
};

static const struct backend *backend_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i].name, name))
			return &backends[i];
	return NULL;
}

bool account_backend_known(const char *name)
{
	return backend_find(name);
}

/* Is it a user of this machine in person? Who is listed as a proxy never is, and root is not while
 * he says for whom he speaks. */
static bool in_person(const struct exchange *ex, const struct peer *peer)
{
	const struct proxies *proxies = ex->rest->proxies;

	if (!peer->local || !speaks_for_himself(ex))
		return false;
	return !proxies ||
	       (!proxies_have_uid(proxies, peer->uid) && (peer->uid || !told_users(ex).value));
}

int account_of(const struct exchange *ex, struct account *ret, struct error *err)
{
	const struct backend *backend = backend_find(ex->rest->options.auth_backend);
	struct peer peer;

	ret->asker.uid = ret->asker.gid = UID_NOBODY;
	peer_find(ex, &peer);
	if (in_person(ex, &peer))
		return local_account(ex, &peer, ret, err);
	return backend->account(ex, &peer, ret, err);
}

/* ---- roles --------------------------------------------------------------- */

int account_role(const struct exchange *ex, enum role role, struct error *err)
{
	const struct gate *gate = ex->rest->options.gate;

	return gate ? gate->role(gate->data, &ex->account.asker, role, err) : 0;
}

int account_limits(const struct exchange *ex, const struct spec *spec,
		   const struct compose *compose, struct error *err)
{
	const struct gate *gate = ex->rest->options.gate;

	return gate ? gate->limits(gate->data, &ex->account.asker, spec, compose, err) : 0;
}

int64_t account_live_limit(const struct exchange *ex)
{
	int64_t limit = ex->rest->options.live_composes_per_user;

	return limit > 0 && ex->rest->options.gate && account_role(ex, ROLE_ADMIN, NULL) == 0
		       ? 0
		       : limit;
}
