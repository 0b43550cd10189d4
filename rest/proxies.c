/* SPDX-License-Identifier: MIT */
/* rest/proxies.c: whose headers about users are believed: addresses, networks, local users.
 *
 * An IPv4 address that comes in through an IPv6 socket is the IPv4 address. */
#include "rest/proxies.h"

#include "rest/rest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>

#define FIELD "auth.proxies"

/* one word of the list */
struct proxy {
	int family; /* AF_UNIX: @uid counts, else @bytes up to @prefix bits */
	uint32_t uid;
	unsigned int prefix;
	uint8_t bytes[sizeof(struct in6_addr)];
};

struct proxies {
	size_t count;
	struct proxy item[];
};

static int parse_user(const char *name, struct proxy *ret, struct error *err)
{
	struct passwd entry, *found = NULL;
	char buffer[16384];
	int64_t number;

	ret->family = AF_UNIX;
	if (parse_int64(name, &number) == 0 && number >= 0 && number < UINT32_MAX) {
		ret->uid = (uint32_t)number;
		return 0;
	}
	if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
		return error_set(err, -EINVAL, BLAME_REQUEST, FIELD,
				 FIELD ": this machine has no user \"%s\"", name);
	ret->uid = found->pw_uid;
	return 0;
}

static bool bit_at(const uint8_t *bytes, unsigned int bit)
{
	return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

/* "/24" behind an address of @bits bits: the rest of it must be empty, so that nobody trusts more
 * than he sees */
static int parse_prefix(const char *word, const char *slash, unsigned int bits, struct proxy *ret,
			struct error *err)
{
	int64_t prefix = bits;

	if (slash && (parse_int64(slash + 1, &prefix) < 0 || prefix < 0 || prefix > bits))
		return error_set(err, -EINVAL, BLAME_REQUEST, FIELD,
				 FIELD ": \"%s\": the prefix must lie between 0 and %u", word,
				 bits);
	ret->prefix = (unsigned int)prefix;
	for (unsigned int bit = ret->prefix; bit < bits; bit++)
		if (bit_at(ret->bytes, bit))
			return error_set(err, -EINVAL, BLAME_REQUEST, FIELD,
					 FIELD ": \"%s\" is no network: the address has bits "
					       "behind the first %u",
					 word, ret->prefix);
	return 0;
}

static int parse_word(const char *word, struct proxy *ret, struct error *err)
{
	static const char scheme[] = "unix:";
	const char *slash = strchr(word, '/');
	char address[INET6_ADDRSTRLEN];
	size_t length = slash ? (size_t)(slash - word) : strlen(word);

	if (!strncmp(word, scheme, strlen(scheme)))
		return parse_user(word + strlen(scheme), ret, err);
	(void)snprintf(address, sizeof(address), "%.*s", (int)length, word);
	if (length < sizeof(address) && inet_pton(AF_INET, address, ret->bytes) == 1) {
		ret->family = AF_INET;
		return parse_prefix(word, slash, 32, ret, err);
	}
	if (length < sizeof(address) && inet_pton(AF_INET6, address, ret->bytes) == 1) {
		ret->family = AF_INET6;
		return parse_prefix(word, slash, 128, ret, err);
	}
	return error_set(err, -EINVAL, BLAME_REQUEST, FIELD,
			 FIELD ": \"%s\" is no address, NETWORK/PREFIX or unix:USER", word);
}

int proxies_parse(const struct strings *words, struct proxies **ret, struct error *err)
{
	size_t count = words ? words->count : 0;
	_cleanup_(proxies_freep) struct proxies *proxies =
		calloc(1, sizeof(*proxies) + count * sizeof(proxies->item[0]));

	if (!proxies)
		return error_oom(err);
	for (; proxies->count < count; proxies->count++) {
		int r = parse_word(words->item[proxies->count], &proxies->item[proxies->count],
				   err);

		if (r < 0)
			return r;
	}
	*ret = steal(proxies);
	return 0;
}

void proxies_free(struct proxies *proxies)
{
	free(proxies);
}

int rest_proxies_check(const struct strings *words, struct error *err)
{
	_cleanup_(proxies_freep) struct proxies *proxies = NULL;

	return proxies_parse(words, &proxies, err);
}

static bool inside(const struct proxy *proxy, int family, const uint8_t *bytes)
{
	if (proxy->family != family)
		return false;
	for (unsigned int bit = 0; bit < proxy->prefix; bit++)
		if (bit_at(proxy->bytes, bit) != bit_at(bytes, bit))
			return false;
	return true;
}

bool proxies_have_address(const struct proxies *proxies, const struct sockaddr *address)
{
	int family = address->sa_family;
	const uint8_t *bytes;

	if (family == AF_INET) {
		bytes = (const void *)&((const struct sockaddr_in *)(const void *)address)
				->sin_addr;
	} else if (family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		bytes = in6->s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			family = AF_INET;
			bytes += 12;
		}
	} else {
		return false;
	}
	for (size_t i = 0; i < proxies->count; i++)
		if (inside(&proxies->item[i], family, bytes))
			return true;
	return false;
}

bool proxies_have_uid(const struct proxies *proxies, uint32_t uid)
{
	for (size_t i = 0; i < proxies->count; i++)
		if (proxies->item[i].family == AF_UNIX && proxies->item[i].uid == uid)
			return true;
	return false;
}
