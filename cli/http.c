/* SPDX-License-Identifier: MIT */
/* cli/http.c: one exchange with a running service, by libcurl. */
#include "cli/http.h"

#include <curl/curl.h>
#include <jansson.h>

#define TIMEOUT_SECONDS 60
#define ANSWER_MAX_BYTES (256 * 1024 * 1024)

static size_t on_bytes(char *bytes, size_t size, size_t count, void *data)
{
	struct text *text = data;

	if (text->length + size * count > ANSWER_MAX_BYTES ||
	    text_add(text, bytes, size * count) < 0)
		return 0;
	return size * count;
}

/* The service's own words, when it gave some. */
static int fail(const char *url, long status, const struct text *answer, struct error *err)
{
	int code = status == 404 ? -ENOENT : status == 401 || status == 403 ? -EACCES : -EIO;
	json_t *json = answer->length ? json_loadb(answer->data, answer->length, 0, NULL) : NULL;
	const char *words = json_string_value(json_object_get(json, "message"));

	if (words)
		(void)error_set(err, code, BLAME_SOURCE, url, "%s", words);
	else
		(void)error_set(err, code, BLAME_SOURCE, url, "%s answers %ld", url, status);
	json_decref(json);
	return code;
}

static CURLcode perform(CURL *curl, const char *url, const char *method, const char *body,
			struct text *ret, char *words)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURLcode code;

	if (!headers)
		return CURLE_OUT_OF_MEMORY;
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_SECONDS);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	if (body) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	}
	if (strcmp(method, "GET") != 0)
		(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	return code;
}

int cli_call(const char *url, const char *method, const char *path, const char *body,
	     struct text *ret, struct error *err)
{
	char words[CURL_ERROR_SIZE] = "";
	_cleanup_(freep) char *full = NULL;
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	url = url ? url : getenv("ODCSFS_URL");
	if (!curl || asprintf(&full, "%s%s", url ? url : "http://localhost:5005", path) < 0) {
		curl_easy_cleanup(curl);
		return error_oom(err);
	}
	code = perform(curl, full, method, body, ret, words);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return error_set(err, -EIO, BLAME_SOURCE, full, "%s: %s", full,
				 words[0] ? words : curl_easy_strerror(code));
	return status == 200 ? 0 : fail(full, status, ret, err);
}
