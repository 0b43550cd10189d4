/* SPDX-License-Identifier: MIT */
/* rest/tls.c: certificates: ours, and those of clients.
 *
 * libmicrohttpd does the handshake, without blocking, and asks for a certificate of the client when
 * there are authorities; it does not judge it. That is done here, when somebody wants to write. */
#include "rest/tls.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define FILE_MAX_BYTES ((size_t)4 << 20)
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tls {
	char *cert, *key, *client_ca;
	size_t key_length;
	struct MHD_OptionItem options[5];
};

void tls_started(struct tls *tls)
{
	if (tls && tls->key)
		explicit_bzero(tls->key, tls->key_length);
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	tls_started(tls);
	free(tls->cert);
	free(tls->key);
	free(tls->client_ca);
	free(tls);
}

static int read_file(const char *key, const char *path, char **ret, size_t *ret_length,
		     struct error *err)
{
	int r = file_read(AT_FDCWD, path, FILE_MAX_BYTES, ret, ret_length);

	return r < 0 ? error_set(err, r, BLAME_REQUEST, key, "%s: %s: %s", key, path, strerror(-r))
		     : 0;
}

static gnutls_datum_t datum(char *text)
{
	return (gnutls_datum_t){ .data = (unsigned char *)text,
				 .size = (unsigned int)strlen(text) };
}

/* libmicrohttpd would only say that it does not start */
static int try_out(const struct tls *tls, const char *cert, const char *key, const char *client_ca,
		   struct error *err)
{
	gnutls_datum_t certs = datum(tls->cert), secret = datum(tls->key);
	gnutls_certificate_credentials_t credentials;
	int r = gnutls_certificate_allocate_credentials(&credentials);

	if (r < 0)
		return error_oom(err);
	r = gnutls_certificate_set_x509_key_mem(credentials, &certs, &secret, GNUTLS_X509_FMT_PEM);
	if (r < 0)
		r = error_set(err, -EINVAL, BLAME_REQUEST, "http.tls_cert",
			      "http.tls_cert, http.tls_key: %s, %s: %s", cert, key,
			      gnutls_strerror(r));
	if (r >= 0 && tls->client_ca) {
		gnutls_datum_t authorities = datum(tls->client_ca);

		r = gnutls_certificate_set_x509_trust_mem(credentials, &authorities,
							  GNUTLS_X509_FMT_PEM);
		if (r <= 0)
			r = error_set(err, -EINVAL, BLAME_REQUEST, "http.tls_client_ca",
				      "http.tls_client_ca: %s: %s", client_ca,
				      r ? gnutls_strerror(r) : "no certificate in it");
	}
	gnutls_certificate_free_credentials(credentials);
	return r < 0 ? r : 0;
}

int tls_load(const char *cert, const char *key, const char *client_ca, struct tls **ret,
	     struct error *err)
{
	_cleanup_(tls_freep) struct tls *tls = calloc(1, sizeof(*tls));
	static char priorities[] = PRIORITIES;
	size_t count = 0, length;
	int r;

	if (!tls)
		return error_oom(err);
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return error_set(err, -EOPNOTSUPP, BLAME_US, "http.tls_cert",
				 "http.tls_cert: this libmicrohttpd has no TLS");
	r = read_file("http.tls_cert", cert, &tls->cert, &length, err);
	if (r >= 0)
		r = read_file("http.tls_key", key, &tls->key, &tls->key_length, err);
	if (r >= 0 && client_ca && *client_ca)
		r = read_file("http.tls_client_ca", client_ca, &tls->client_ca, &length, err);
	if (r >= 0)
		r = try_out(tls, cert, key, client_ca, err);
	if (r < 0)
		return r;
	tls->options[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert };
	tls->options[count++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key };
	tls->options[count++] =
		(struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities };
	if (tls->client_ca)
		tls->options[count++] =
			(struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->client_ca };
	tls->options[count] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	*ret = steal(tls);
	return 0;
}

const struct MHD_OptionItem *tls_options(const struct tls *tls)
{
	static const struct MHD_OptionItem none = { MHD_OPTION_END, 0, NULL };

	return tls ? tls->options : &none;
}

/* ---- clients ----------------------------------------------------------- */

static gnutls_session_t session_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return info ? info->tls_session : NULL;
}

bool tls_connection(struct MHD_Connection *connection)
{
	return session_of(connection);
}

static int not_verified(struct error *err, const char *why)
{
	return error_set(err, -EPERM, BLAME_REQUEST, NULL, "Cannot verify client: %s", why);
}

static int verify(gnutls_session_t session, struct error *err)
{
	static char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st data = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
				       .data = (unsigned char *)purpose };
	gnutls_datum_t words = { 0 };
	char why[256] = "";
	unsigned int status = 0;
	int r = gnutls_certificate_verify_peers(session, &data, 1, &status);

	if (r == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return not_verified(err, "None");
	if (r < 0)
		return not_verified(err, gnutls_strerror(r));
	if (!status)
		return 0;
	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) >= 0)
		(void)snprintf(why, sizeof(why), "FAILED:%s", (const char *)words.data);
	gnutls_free(words.data);
	for (size_t n = strlen(why); n && why[n - 1] == ' '; n--)
		why[n - 1] = '\0';
	return not_verified(err, *why ? why : "FAILED");
}

static int subject(gnutls_session_t session, char **ret)
{
	unsigned int count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t cert;
	gnutls_datum_t name = { 0 };
	int r = -EPERM;

	if (!chain || !count || gnutls_x509_crt_init(&cert) < 0)
		return -EPERM;
	if (gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
	    gnutls_x509_crt_get_dn3(cert, &name, 0) >= 0 && name.size) {
		*ret = strndup((const char *)name.data, name.size);
		r = *ret ? 0 : -ENOMEM;
	}
	gnutls_free(name.data);
	gnutls_x509_crt_deinit(cert);
	return r;
}

int tls_client_name(struct MHD_Connection *connection, char **ret, struct error *err)
{
	gnutls_session_t session = session_of(connection);
	int r = session ? verify(session, err) : not_verified(err, "None");

	if (r < 0)
		return r;
	r = subject(session, ret);
	if (r == -EPERM)
		return error_set(err, r, BLAME_REQUEST, NULL, TLS_NO_NAME);
	return r < 0 ? error_oom(err) : 0;
}
