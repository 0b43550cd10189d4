/* SPDX-License-Identifier: MIT */
/* core/daemon/check.c: `odcsfs check`: what is wrong below the state directory, one line for each.
 *
 * The report changes nothing and takes no lock for longer than to ask who holds it, so it works
 * beside a service. A repair holds the lock: no service starts meanwhile. A catalogue that is
 * damaged is left as it is, and with it everything that only it can judge. */
#include "core/daemon/check.h"

#include <fcntl.h>
#include <unistd.h>

#define CATALOGUE "catalogue.sqlite"

/* ---- the report ---------------------------------------------------------------- */

struct report {
	const struct check_options *options;
	bool log;		  /* to the service's log, and nowhere else */
	json_t *findings, *notes; /* NULL: out of memory */
	size_t count, repaired;
};

static const struct {
	const char *todo, *done;
} remedies[] = {
	[REMEDY_NONE] = { NULL, NULL },
	[REMEDY_REMOVE] = { "removes it", "removed" },
	[REMEDY_ASIDE] = { "moves it to damaged/", "moved to damaged/" },
	[REMEDY_LOSE] = { "removes the compose, with this reason", "removed, with this reason" },
	[REMEDY_OPEN] = { "brings it up", "brought up" },
};

/* "; repair: removes it", or what came of it */
static void remedy_words(enum remedy remedy, int result, char *ret, size_t room)
{
	ret[0] = '\0';
	if (remedy == REMEDY_NONE)
		return;
	if (result > 0)
		(void)snprintf(ret, room, "--repair %s", remedies[remedy].todo);
	else if (result == 0)
		(void)snprintf(ret, room, "%s", remedies[remedy].done);
	else
		(void)snprintf(ret, room, "not repaired: %s", strerror(-result));
}

/* A copy that is one line, and UTF-8: names of files can be anything. NULL: out of memory */
static char *printable(const char *text)
{
	char *copy = strdup(text);
	json_auto_t *json = json_string(text);

	for (char *at = copy; at && *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f || (!json && (unsigned char)*at > 0x7f))
			*at = '?';
	return copy;
}

static void add_json(struct report *report, const char *kind, const char *what, const char *words,
		     const char *todo, bool repaired)
{
	json_t *finding = json_pack("{s:s, s:s, s:s, s:s?, s:b}", "kind", kind, "what", what,
				    "words", words, "repair", todo, "repaired", repaired);

	(void)json_array_append_new(report->findings, finding);
}

void report_add(struct report *report, const char *kind, const char *what, const char *words,
		enum remedy remedy, int result)
{
	_cleanup_(freep) char *where = printable(what), *why = printable(words);
	bool repaired = remedy != REMEDY_NONE && result == 0;
	char action[128];

	remedy_words(remedy, result, action, sizeof(action));
	report->count++;
	report->repaired += repaired;
	if (report->log)
		log_warning("%s: %s%s%s", where ? where : what, why ? why : words,
			    action[0] ? "; " : "", action);
	else if (report->options->json)
		add_json(report, kind, where, why, remedies[remedy].todo, repaired);
	else
		printf("%s: %s%s%s\n", where ? where : what, why ? why : words,
		       action[0] ? "; " : "", action);
}

void report_note(struct report *report, const char *words)
{
	if (report->options->json)
		(void)json_array_append_new(report->notes, json_string(words));
	else
		printf("note: %s\n", words);
}

static int report_end(const struct look *look)
{
	const struct report *report = look->report;
	json_auto_t *all = NULL;
	char *line;

	if (!report->options->json) {
		if (report->count)
			printf("%zu findings, %zu repaired\n", report->count, report->repaired);
		else
			printf("clean: %" PRId64 " composes that are done, %" PRId64 " files\n",
			       look->composes, look->files);
		return report->count ? CHECK_FOUND : CHECK_CLEAN;
	}
	all = json_pack("{s:s, s:O, s:O, s:I, s:I, s:b, s:s*}", "state_dir",
			look->config->state_dir, "findings", report->findings, "notes",
			report->notes, "composes", (json_int_t)look->composes, "files",
			(json_int_t)look->files, "repair", report->options->repair, "used_by",
			look->holder[0] ? look->holder : NULL);
	line = all ? json_line(all) : NULL;
	if (!line || json_array_size(report->findings) != report->count) {
		free(line);
		(void)fputs("odcsfs: out of memory\n", stderr);
		return CHECK_IMPOSSIBLE;
	}
	(void)fputs(line, stdout);
	free(line);
	return report->count ? CHECK_FOUND : CHECK_CLEAN;
}

/* ---- the catalogue --------------------------------------------------------------- */

struct rows {
	struct look *look;
	bool file; /* the file as a whole was told of */
};

static void on_row(void *data, const char *row, const char *words)
{
	struct rows *rows = data;

	rows->file = rows->file || !row[0];
	report_add(rows->look->report, row[0] ? "row" : "catalogue", row[0] ? row : CATALOGUE,
		   words, REMEDY_NONE, 1);
}

static const char restore_words[] =
	"restore " CATALOGUE " from a backup (odcsfs(8), BACKUP); composes that it does not know "
	"are asked for again. Nothing that depends on it was looked at";

/* Older files than this version keeps cannot be read; a repair brings them up as a start would. */
static int open_catalogue(struct look *look, const char *path, struct error *err)
{
	struct catalogue *catalogue = NULL;
	int r = catalogue_look(path, &look->catalogue, err), brought;

	if (r != -ESTALE)
		return r;
	brought = look->options->repair ? catalogue_open(path, NULL, &catalogue, NULL) : 1;
	catalogue_close(catalogue);
	report_add(look->report, "catalogue", CATALOGUE, err->message, REMEDY_OPEN, brought);
	if (brought != 0)
		return r;
	return catalogue_look(path, &look->catalogue, err);
}

/* A state directory that never was in use has no catalogue, and nothing else. */
static bool is_new(const struct look *look)
{
	static const char *const folders[] = { "manifests", "logs" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (faccessat(look->state_dirfd, folders[i], F_OK, 0) == 0)
			return false;
	return true;
}

/* 0, with look->catalogue NULL when there is none that can be trusted */
static int check_catalogue(struct look *look, struct error *err)
{
	_cleanup_(freep) char *path = NULL;
	struct rows rows = { .look = look };
	int r;

	if (asprintf(&path, "%s/" CATALOGUE, look->config->state_dir) < 0) {
		path = NULL;
		return error_oom(err);
	}
	r = open_catalogue(look, path, err);
	if (r == -ENOENT && is_new(look))
		return 0;
	if (r >= 0)
		r = catalogue_examine(look->catalogue, on_row, &rows, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0 && r != -ESTALE) {
		if (!rows.file)
			report_add(look->report, "catalogue", CATALOGUE, err->message, REMEDY_NONE,
				   1);
		report_note(look->report, restore_words);
	}
	if (r < 0) {
		catalogue_close(steal(look->catalogue));
		return 0;
	}
	if (r > 0)
		report_note(look->report,
			    "a row that is damaged cannot be repaired: it is left out wherever "
			    "composes are listed; a backup may have it whole");
	if (!look->options->repair)
		return 0;
	catalogue_close(steal(look->catalogue));
	return catalogue_open(path, NULL, &look->catalogue, err);
}

/* ---- configuration ----------------------------------------------------------------- */

/* The keys were checked when they were read; these are the files that they name. */
static int check_configuration(struct look *look, struct error *err)
{
	const struct config *config = look->config;
	const struct {
		const char *key, *path;
	} files[] = { { "http.tls_cert", config->tls_cert },
		      { "http.tls_key", config->tls_key },
		      { "http.tls_client_ca", config->tls_client_ca },
		      { "auth.crl", config->auth_crl },
		      { "koji.ca", config->koji_ca } };
	_cleanup_(access_freep) struct access *access = NULL;
	int r = access_new(config, &access, err);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		report_add(look->report, "configuration", "auth.roles", err->message, REMEDY_NONE,
			   1);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char words[256];

		if (!files[i].path[0] || faccessat(AT_FDCWD, files[i].path, R_OK, AT_EACCESS) == 0)
			continue;
		(void)snprintf(words, sizeof(words), "%.180s: %s", files[i].path, strerror(errno));
		report_add(look->report, "configuration", files[i].key, words, REMEDY_NONE, 1);
	}
	return 0;
}

/* ---- the command --------------------------------------------------------------------- */

static int look_through(struct look *look, struct error *err)
{
	int r = check_configuration(look, err);

	if (r == 0)
		r = check_catalogue(look, err);
	if (r == 0 && look->catalogue)
		r = check_trees(look, err);
	if (r == 0 && look->catalogue)
		r = check_logs(look, err);
	if (r == 0)
		r = check_leftovers(look, err);
	return r == 0 ? check_caches(look, err) : r;
}

int check_after_crash(const struct config *config, int state_dirfd, struct catalogue *catalogue,
		      struct error *err)
{
	static const struct check_options options = { .repair = true };
	struct report report = { .options = &options, .log = true };
	struct look look = { .config = config,
			     .options = &options,
			     .report = &report,
			     .state_dirfd = state_dirfd,
			     .catalogue = catalogue };

	return check_trees(&look, err);
}

static void note_holder(struct look *look)
{
	char words[256];

	if (!look->holder[0])
		return;
	(void)snprintf(words, sizeof(words),
		       "process %s uses the state directory: files younger than two minutes are "
		       "left out, and what it does meanwhile may show as an orphan; look again",
		       look->holder);
	report_note(look->report, words);
}

static int open_state(struct look *look, int *ret_lock, bool *ret_lost, struct error *err)
{
	const char *path = look->config->state_dir;
	int r;

	look->state_dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (look->state_dirfd < 0)
		return error_errno(err, -errno, "state directory %s", path);
	if (look->options->repair)
		return state_lock(look->state_dirfd, path, getpid(), false, ret_lock, ret_lost,
				  err);
	r = state_holder(look->state_dirfd, look->holder);
	return r < 0 ? error_errno(err, r, "%s/lock", path) : 0;
}

int check(const struct config *config, const struct check_options *options)
{
	_cleanup_(closep) int lock = -1;
	json_auto_t *findings = json_array(), *notes = json_array();
	struct report report = { .options = options, .findings = findings, .notes = notes };
	struct look look = {
		.config = config, .options = options, .report = &report, .state_dirfd = -1
	};
	bool used, lost = false;
	struct error err = { 0 };
	int r = open_state(&look, &lock, &lost, &err);

	used = look.holder[0];
	if (r == 0)
		r = look_through(&look, &err);
	if (r == 0 && !options->repair && !used) /* has one started meanwhile? */
		(void)state_holder(look.state_dirfd, look.holder);
	note_holder(&look);
	if (r == 0 && lost && look.catalogue)
		r = state_recovered(look.state_dirfd, &err);
	catalogue_close(look.catalogue);
	closep(&look.state_dirfd);
	if (r == 0)
		return report_end(&look);
	(void)fprintf(stderr, "odcsfs: %s\n", err.message);
	return CHECK_IMPOSSIBLE;
}
