/* SPDX-License-Identifier: MIT */
/* rest/tls.h: certificates: ours, and those of clients. */
#pragma once

#include "rest/rest.h"

#include <microhttpd.h>

#define TLS_NO_NAME "Unable to get user information (DN) from client certificate"

struct tls;

/**
 * tls_load() - read and try certificate, key and authorities
 * @client_ca: NULL or "": clients are asked for no certificate
 * @crl: NULL or "": none; lists of certificates that these authorities withdrew
 * @err: BLAME_REQUEST, the field being the key; names the file, never what is in it */
int tls_load(const char *cert, const char *key, const char *client_ca, const char *crl,
	     struct tls **ret, struct error *err);
/** tls_reload() - read @crl again, any thread; on failure the old lists stay. @tls may be NULL */
int tls_reload(struct tls *tls, struct error *err);
/** tls_options() - for MHD_OPTION_ARRAY; @tls has to live as long as the daemons, NULL: no TLS */
const struct MHD_OptionItem *tls_options(const struct tls *tls);
/** tls_started() - every daemon has the key now: forget ours */
void tls_started(struct tls *tls);
void tls_free(struct tls *tls);
DEFINE_FREEP(struct tls, tls_free)

/**
 * tls_client_name() - the subject (RFC 4514) of a certificate that one of the authorities vouches for
 * -EPERM (BLAME_REQUEST): none, or none that is good: words of odcs-api.md 8.2 */
int tls_client_name(struct tls *tls, struct MHD_Connection *connection, char **ret,
		    struct error *err);
bool tls_connection(struct MHD_Connection *connection); /* does it run over TLS? */
