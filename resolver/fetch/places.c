/* SPDX-License-Identifier: MIT */
/* resolver/fetch/places.c: where a server's answer, or a list of mirrors, may lead.
 *
 *   a URL below a listed prefix     any address; what means this machine or this wire only if the
 * URL itself says so (a literal address, localhost) another URL, where any may be   public
 * addresses
 *
 * A URL is judged before anything is sent, an address when its socket is made: a name that leads
 * elsewhere at the second question is of no use to anybody. */
#include "resolver/fetch/transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

enum reach { REACH_PUBLIC, REACH_PRIVATE, REACH_HERE };

/* IPv4, by RFC 6890: the first that fits counts */
static const struct {
	uint32_t network;
	unsigned int bits;
	enum reach reach;
} ranges[] = {
	{ 0x00000000, 8, REACH_HERE },	/* this host */
	{ 0x7f000000, 8, REACH_HERE },	/* loopback */
	{ 0xa9fe0000, 16, REACH_HERE }, /* link-local: where clouds tell secrets */
	{ 0xe0000000, 3, REACH_HERE },	/* multicast, reserved, broadcast */
	{ 0x0a000000, 8, REACH_PRIVATE },
	{ 0xac100000, 12, REACH_PRIVATE },
	{ 0xc0a80000, 16, REACH_PRIVATE },
	{ 0x64400000, 10, REACH_PRIVATE }, /* behind a carrier's NAT */
	{ 0xc0000000, 24, REACH_PRIVATE },
	{ 0xc6120000, 15, REACH_PRIVATE },
};

static enum reach reach4(uint32_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (!((address ^ ranges[i].network) >> (32 - ranges[i].bits)))
			return ranges[i].reach;
	return REACH_PUBLIC;
}

static uint32_t number4(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static enum reach reach6(const uint8_t *address)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	static const uint8_t translated[12] = { 0, 0x64, 0xff, 0x9b };
	static const uint8_t nothing[12];

	if (!memcmp(address, mapped, 12) || !memcmp(address, translated, 12) ||
	    !memcmp(address, nothing, 12)) /* ::, ::1 and the old compatible ones */
		return reach4(number4(address + 12));
	if (address[0] == 0x20 && address[1] == 0x02) /* 6to4 */
		return reach4(number4(address + 2));
	if (address[0] == 0xff || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80))
		return REACH_HERE;
	if ((address[0] & 0xe0) != 0x20) /* not global: unique local, site local, unassigned */
		return REACH_PRIVATE;
	return REACH_PUBLIC;
}

static enum reach reach_of(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in four;

		memcpy(&four, address, sizeof(four));
		return reach4(ntohl(four.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 six;

		memcpy(&six, address, sizeof(six));
		return reach6(six.sin6_addr.s6_addr);
	}
	return REACH_HERE;
}

/* Does the URL name an address, or this machine, so that whoever listed it meant that? */
static bool is_literal(const char *url)
{
	const char *host = strstr(url, "://");
	char name[64];
	struct in_addr four;
	size_t length;

	host = host ? host + 3 : url;
	if (*host == '[')
		return true;
	length = strcspn(host, ":/?#");
	if (length >= sizeof(name))
		return false;
	memcpy(name, host, length);
	name[length] = '\0';
	return !strcasecmp(name, "localhost") || inet_aton(name, &four) != 0;
}

bool places_address(const char *url, bool listed, const struct sockaddr *address)
{
	switch (reach_of(address)) {
	case REACH_PUBLIC:
		return true;
	case REACH_PRIVATE:
		return listed;
	case REACH_HERE:
		break;
	}
	return listed && is_literal(url);
}

int places_judge(const struct transport_places *places, const char *url, bool *ret_listed,
		 struct error *err)
{
	_cleanup_(freep) char *normal = NULL;
	char shown[URL_SHOWN_SIZE];
	int r = url_normal(url, true, &normal, err);

	if (r < 0) {
		if (err && err->blame == BLAME_REQUEST)
			err->blame = BLAME_SOURCE;
		return r == -ENOMEM ? r : -EACCES;
	}
	*ret_listed = url_below_any(normal, places->allowed);
	if (*ret_listed || places->any)
		return 0;
	return error_set(err, -EACCES, BLAME_SOURCE, NULL,
			 "%s is not below a URL that [repo] allowed names", url_shown(url, shown));
}
