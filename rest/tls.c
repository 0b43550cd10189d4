/* SPDX-License-Identifier: MIT */
/* rest/tls.c: certificates: ours, and those of clients.
 *
 * libmicrohttpd does the handshake, without blocking, and asks for a certificate of the client when
 * there are authorities; it does not judge it. That is done here, when somebody wants to write, by
 * a list of authorities and of what they withdrew that is ours, so that it can be read again. */
#include "rest/tls.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>

#define FILE_MAX_BYTES ((size_t)4 << 20)
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tls {
	char *cert, *key, *client_ca;
	size_t key_length;
	char *crl_path; /* NULL: no revocation list */
	pthread_rwlock_t lock;
	gnutls_x509_trust_list_t trusted; /* under lock; NULL: no authorities */
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
	free(tls->crl_path);
	if (tls->trusted)
		gnutls_x509_trust_list_deinit(tls->trusted, 1);
	(void)pthread_rwlock_destroy(&tls->lock);
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

/* ---- authorities, and what they withdrew --------------------------------- */

struct crls {
	gnutls_x509_crl_t *item;
	unsigned int count;
};

static void crls_done(struct crls *crls)
{
	for (unsigned int i = 0; i < crls->count; i++)
		gnutls_x509_crl_deinit(crls->item[i]);
	gnutls_free(crls->item);
}

static int bad_crl(struct error *err, const char *path, const char *why)
{
	return error_set(err, -EINVAL, BLAME_REQUEST, "auth.crl", "auth.crl: %s: %s", path, why);
}

/* One whose time is over counts still: what was withdrawn does not become good by waiting. */
static void warn_old(const char *path, gnutls_x509_crl_t crl)
{
	time_t next = gnutls_x509_crl_get_next_update(crl);

	if (next != (time_t)-1 && (int64_t)next < time_now())
		log_warning("auth.crl: %s: a list in it should have been followed by a newer one "
			    "%" PRId64 " s ago; it counts still",
			    path, time_now() - (int64_t)next);
}

/* Each must be signed by an authority of the list. */
static int add_crls(const char *path, gnutls_x509_trust_list_t trusted, struct error *err)
{
	_cleanup_(crls_done) struct crls crls = { 0 };
	_cleanup_(freep) char *text = NULL;
	size_t length;
	int r = read_file("auth.crl", path, &text, &length, err);

	if (r < 0)
		return r;
	const gnutls_datum_t bytes = datum(text);

	r = gnutls_x509_crl_list_import2(&crls.item, &crls.count, &bytes, GNUTLS_X509_FMT_PEM, 0);
	if (r < 0 || !crls.count)
		return bad_crl(err, path, r < 0 ? gnutls_strerror(r) : "no list in it");
	for (unsigned int i = 0; i < crls.count; i++) {
		gnutls_x509_crl_t crl = crls.item[i];

		warn_old(path, crl);
		r = gnutls_x509_trust_list_add_crls(
			trusted, &crl, 1, GNUTLS_TL_VERIFY_CRL | GNUTLS_TL_FAIL_ON_INVALID_CRL,
			GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
				GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS);
		if (r <= 0)
			return bad_crl(err, path,
				       "a list that no authority of http.tls_client_ca signed");
		crls.item[i] = NULL; /* it belongs to @trusted */
	}
	return 0;
}

static int trust_make(const struct tls *tls, gnutls_x509_trust_list_t *ret, struct error *err)
{
	gnutls_datum_t authorities = datum(tls->client_ca);
	gnutls_x509_trust_list_t trusted;
	int r = gnutls_x509_trust_list_init(&trusted, 0);

	if (r < 0)
		return error_oom(err);
	r = gnutls_x509_trust_list_add_trust_mem(trusted, &authorities, NULL, GNUTLS_X509_FMT_PEM,
						 0, 0);
	if (r <= 0)
		r = error_set(err, -EINVAL, BLAME_REQUEST, "http.tls_client_ca",
			      "http.tls_client_ca: %s",
			      r ? gnutls_strerror(r) : "no certificate in it");
	else if (tls->crl_path)
		r = add_crls(tls->crl_path, trusted, err);
	if (r < 0) {
		gnutls_x509_trust_list_deinit(trusted, 1);
		return r;
	}
	*ret = trusted;
	return 0;
}

int tls_reload(struct tls *tls, struct error *err)
{
	gnutls_x509_trust_list_t trusted, old;
	int r;

	if (!tls || !tls->crl_path)
		return 0;
	r = trust_make(tls, &trusted, err);
	if (r < 0)
		return r;
	(void)pthread_rwlock_wrlock(&tls->lock);
	old = tls->trusted;
	tls->trusted = trusted;
	(void)pthread_rwlock_unlock(&tls->lock);
	gnutls_x509_trust_list_deinit(old, 1);
	return 0;
}

int tls_load(const char *cert, const char *key, const char *client_ca, const char *crl,
	     struct tls **ret, struct error *err)
{
	_cleanup_(tls_freep) struct tls *tls = calloc(1, sizeof(*tls));
	static char priorities[] = PRIORITIES;
	size_t count = 0, length;
	int r;

	if (!tls)
		return error_oom(err);
	(void)pthread_rwlock_init(&tls->lock, NULL);
	if (crl && *crl && !(tls->crl_path = strdup(crl)))
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
	if (r >= 0 && tls->client_ca)
		r = trust_make(tls, &tls->trusted, err);
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

/* struct chain - what the client sent, his own certificate first */
#define CHAIN_MAX 8

struct chain {
	gnutls_x509_crt_t item[CHAIN_MAX];
	unsigned int count;
};

static void chain_done(struct chain *chain)
{
	for (unsigned int i = 0; i < chain->count; i++)
		gnutls_x509_crt_deinit(chain->item[i]);
}

/* Negative: a code of the library. */
static int chain_get(gnutls_session_t session, struct chain *ret)
{
	unsigned int count = 0;
	const gnutls_datum_t *sent = gnutls_certificate_get_peers(session, &count);
	int r = sent && count ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;

	if (r == 0 && count > CHAIN_MAX)
		return GNUTLS_E_CONSTRAINT_ERROR;
	for (unsigned int i = 0; i < count && r >= 0; i++) {
		r = gnutls_x509_crt_init(&ret->item[i]);
		if (r < 0)
			break;
		ret->count++;
		r = gnutls_x509_crt_import(ret->item[i], &sent[i], GNUTLS_X509_FMT_DER);
	}
	return r;
}

static int judge(struct tls *tls, struct chain *chain, unsigned int *ret_status)
{
	static char purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
	gnutls_typed_vdata_st data = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
				       .data = (unsigned char *)purpose };
	int r;

	(void)pthread_rwlock_rdlock(&tls->lock);
	r = tls->trusted
		    ? gnutls_x509_trust_list_verify_crt2(tls->trusted, chain->item, chain->count,
							 &data, 1, 0, ret_status, NULL)
		    : GNUTLS_E_NO_CERTIFICATE_FOUND;
	(void)pthread_rwlock_unlock(&tls->lock);
	return r;
}

static int verify(struct tls *tls, gnutls_session_t session, struct error *err)
{
	_cleanup_(chain_done) struct chain chain = { 0 };
	gnutls_datum_t words = { 0 };
	char why[256] = "";
	unsigned int status = 0;
	int r = chain_get(session, &chain);

	if (r >= 0)
		r = judge(tls, &chain, &status);
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

int tls_client_name(struct tls *tls, struct MHD_Connection *connection, char **ret,
		    struct error *err)
{
	gnutls_session_t session = session_of(connection);
	int r = session && tls ? verify(tls, session, err) : not_verified(err, "None");

	if (r < 0)
		return r;
	r = subject(session, ret);
	if (r == -EPERM)
		return error_set(err, r, BLAME_REQUEST, NULL, TLS_NO_NAME);
	return r < 0 ? error_oom(err) : 0;
}
