/* SPDX-License-Identifier: MIT */
/* resolver/sources/site.c: the site's Koji, opened for one job: where its files are, which signing
 * keys count, and its hub. */
#include "resolver/sources/tagged.h"

static const struct job_koji *settings_of(const struct site *site)
{
	return &site->load->context->job->koji;
}

bool site_exists(const struct source_context *context)
{
	return context->job->koji.hub && context->connect;
}

void site_done(struct site *site)
{
	hub_free(site->hub);
	transport_free(site->transport);
	strings_done(&site->arches);
}

static void on_notice(void *data, const char *words)
{
	const struct site *site = data;

	load_say(site->load, "%s", words);
	load_progress(site->load, "koji", "%s", words);
}

static int list_arches(struct site *site, struct error *err)
{
	const struct strings *arches = &site->load->set->arches;
	int r = 0;

	for (size_t i = 0; i < arches->count && r == 0; i++) {
		const char *beside = multilib_arch(site->load->context->job->spec, arches->item[i]);

		r = solve_arch_list(arches->item[i], &site->arches, err);
		if (r == 0 && beside)
			r = solve_arch_list(beside, &site->arches, err);
	}
	if (r == 0 &&
	    (strings_add(&site->arches, "src") < 0 || strings_add(&site->arches, "nosrc") < 0))
		r = error_oom(err);
	return r;
}

/* What signing keys are in effect is shown in the record, too. */
static int find_keys(const struct site *site, struct tagged *tagged, struct error *err)
{
	const struct strings *own = &settings_of(site)->sigkeys;
	const struct strings *asked = &site->load->context->job->spec->sigkeys;
	int r = signing_keys(asked, own, &tagged->signing, err);

	if (r < 0 || asked->count || !own->count)
		return r;
	site->load->set->sigkeys = strings_join(own, " ");
	return site->load->set->sigkeys ? 0 : error_oom(err);
}

/* ---- where it is ------------------------------------------------------- */

/* Topdir by its real path; without packages/ in it it is but a place to mount it */
static int open_topdir(struct site *site, struct tagged *tagged, const char *topdir,
		       struct error *err)
{
	_cleanup_(freep) char *base = NULL, *packages = NULL, *real = NULL;
	/* not with the rights of whoever asks: these files are the site's, and its to show. A link
	 * may lead anywhere: volumes are mounted where there is room */
	int r = load_site(site->load->context, &tagged->files, err);

	if (r == 0)
		r = transport_base(tagged->files, topdir, &base, err);
	if (r == 0 && asprintf(&packages, "%s/packages", base) < 0) {
		packages = NULL;
		r = error_oom(err);
	}
	if (r == 0)
		r = transport_base(tagged->files, packages, &real, err);
	if (r < 0) {
		if (err) {
			err->blame = BLAME_US;
			err->field[0] = '\0';
		}
		return error_prefix(err, "koji.topdir");
	}
	tagged->base = package_set_text(site->load->set, base);
	return tagged->base ? 0 : error_oom(err);
}

/* The URL that may be shown */
static int show_url(const struct site *site, struct tagged *tagged, const char *url,
		    struct error *err)
{
	_cleanup_(freep) char *bare = NULL;

	if (url_bare(url, &bare) < 0 || !(tagged->base = package_set_text(site->load->set, bare)))
		return error_oom(err);
	return 0;
}

static int open_top(struct site *site, struct tagged *tagged, struct error *err)
{
	const char *topdir = settings_of(site)->topdir, *topurl = settings_of(site)->topurl;
	int r = topdir ? open_topdir(site, tagged, topdir, err) : -ENOENT;

	if (r == 0 || !topurl || (r != -ENOENT && r != -ENOTDIR))
		return topdir ? r
			      : error_set(err, r, BLAME_US, NULL,
					  "neither koji.topdir nor koji.topurl is configured");
	transport_free(tagged->files);
	tagged->files = NULL;
	r = show_url(site, tagged, topurl, err);
	return r < 0 ? r : remote_new(site->load->context, topurl, &tagged->remote, err);
}

static int open_hub(struct site *site, struct error *err)
{
	const struct source_context *context = site->load->context;
	struct hub_settings settings = { .url = settings_of(site)->hub,
					 .call_ms = settings_of(site)->call_seconds * 1000,
					 .notice = on_notice,
					 .data = site };
	int r = context->connect(context->data, &site->transport, err);

	settings.transport = site->transport;
	return r < 0 ? r : hub_new(&settings, &site->hub, err);
}

/* ---- the whole --------------------------------------------------------- */

int site_open(struct site *site, struct tagged *tagged, struct error *err)
{
	int r = list_arches(site, err);

	if (r == 0)
		r = find_keys(site, tagged, err);
	if (r == 0)
		r = open_top(site, tagged, err);
	return r < 0 ? r : open_hub(site, err);
}

int site_event(const struct site *site, int64_t id, struct hub_event *ret, struct error *err)
{
	int r = hub_event(site->hub, id, ret, err);

	if (r == 0)
		return error_set(err, -ENOENT, BLAME_REQUEST, NULL,
				 "Unknown Koji event %" PRId64 ".", id);
	return r < 0 ? r : 0;
}

void site_identify(const struct site *site, const struct tagged *tagged, int64_t event,
		   struct text *ret)
{
	const char *hub = settings_of(site)->hub;
	const struct signing *signing = &tagged->signing;

	(void)text_addf(ret, "odcsfs " ODCSFS_VERSION " koji\n%zu:%s\n%zu:%s\nevent %" PRId64 "\n",
			strlen(hub), hub, strlen(tagged->base), tagged->base, event);
	for (size_t i = 0; i < signing->keys.count; i++)
		(void)text_addf(ret, "key %s\n", signing->keys.item[i]);
	(void)text_addf(ret, "unsigned %d\n", signing->with_unsigned);
}
