/* SPDX-License-Identifier: MIT */
/* rest/page_use.c: the .repo file of a compose, and commands to copy.
 *
 * Commands go to a shell: each word that comes from outside passes shell_word(). */
#include "rest/page.h"

#include <ctype.h>

#define REPO_MAX_BYTES ((size_t)64 * 1024)

/* ---- the repositories -------------------------------------------------- */

/* A package that was asked for, when its name is fit for an example. */
static const char *example(const struct spec *spec)
{
	const char *name = spec->packages.count ? spec->packages.item[0] : "";

	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && (at == name || !strchr(".+_-~^:", *at)))
			return "PACKAGE";
	return *name ? name : "PACKAGE";
}

static void repo_path(const struct view *view, const char *name, struct text *ret)
{
	(void)text_addf(ret, "compose/Temporary/odcs-%" PRId64 "%s", compose_tree_id(view->compose),
			name);
}

/* The file as it is served, byte by byte. */
static int repo_read(const struct view *view, struct text *ret, struct error *err)
{
	_cleanup_(tree_file_done) struct tree_file file = { .fd = -1 };
	_cleanup_(text_done) struct text path = { 0 };
	struct tree_node node;
	ssize_t n;
	int r;

	repo_path(view, ".repo", &path);
	r = path.failed ? error_oom(err) : tree_find(view->tree, path.data, &node);
	if (r >= 0)
		r = tree_file_open(view->tree, node.index, &file, err);
	if (r < 0)
		return r;
	if (file.size > REPO_MAX_BYTES || text_reserve(ret, file.size) < 0)
		return -EFBIG;
	n = tree_file_read(&file, ret->data, file.size, 0);
	if (n < 0)
		return (int)n;
	ret->length = (size_t)n;
	ret->data[n] = '\0';
	return 0;
}

static void repo_print(const struct view *view)
{
	_cleanup_(text_done) struct text file = { 0 };
	struct text *ret = view->body;
	struct error err = { 0 };

	if (repo_read(view, &file, &err) < 0)
		return;
	(void)text_addf(ret, "<details id=\"repo\"><summary>The .repo file</summary>\n"
			     "<div class=\"copies\"><pre class=\"command\">");
	html_escape(ret, file.data);
	(void)text_addf(ret,
			"</pre></div>\n<p class=\"small\"><a href=\"../composes/odcs-%" PRId64 "/",
			view->compose->id);
	repo_path(view, ".repo", ret);
	(void)text_adds(ret, "\">As a file</a></p></details>\n");
}

static void file_command(const struct view *view, struct text *ret)
{
	(void)text_addf(ret, "curl -fo /etc/yum.repos.d/odcs-%" PRId64 ".repo \\\n  ",
			view->compose->id);
	shell_word(ret, view_word(view, "result_repofile"));
}

static void path_command(const struct view *view, struct text *ret)
{
	_cleanup_(text_done) struct text word = { 0 };

	(void)text_addf(&word, "--repofrompath=odcs-%" PRId64 ",%s/$basearch/os", view->compose->id,
			view_word(view, "result_repo"));
	(void)text_adds(ret, "dnf install ");
	shell_word(ret, example(view->compose->spec));
	(void)text_addf(ret, " --setopt=odcs-%" PRId64 ".gpgcheck=0 \\\n  ", view->compose->id);
	shell_word(ret, word.failed ? "" : word.data);
	ret->failed |= word.failed;
}

static void local_command(const struct view *view, const char *mountpoint, struct text *ret)
{
	_cleanup_(text_done) struct text word = { 0 };

	(void)text_addf(&word, "%s/composes/%" PRId64 "/", mountpoint, view->compose->id);
	repo_path(view, ".local.repo", &word);
	(void)text_adds(ret, "cp ");
	shell_word(ret, word.failed ? "" : word.data);
	(void)text_adds(ret, " /etc/yum.repos.d/");
	ret->failed |= word.failed;
}

static void command_print(const struct view *view, const char *heading, struct text *command)
{
	(void)text_addf(view->body, "<h3>%s</h3>\n", heading);
	html_command(view->body, command->failed ? "" : command->data);
	view->body->failed |= command->failed;
	text_clear(command);
}

void use_print(const struct view *view)
{
	const char *mountpoint = view->ex->rest->options.mountpoint;
	_cleanup_(text_done) struct text command = { 0 };

	(void)text_adds(view->body, "<section class=\"card\"><h2>Use it</h2>\n");
	if (*view_word(view, "result_repofile")) {
		file_command(view, &command);
		command_print(view, "On any machine, until the compose is over", &command);
		path_command(view, &command);
		command_print(view, "Once, without a file", &command);
	}
	if (mountpoint && *mountpoint) {
		local_command(view, mountpoint, &command);
		command_print(view, "On the machine where it is mounted", &command);
	}
	repo_print(view);
	(void)text_adds(view->body, "</section>\n");
}

/* ---- what can be done with it ------------------------------------------ */

static void api_command(const struct view *view, const char *arguments, struct text *ret)
{
	_cleanup_(text_done) struct text url = { 0 };

	exchange_base(view->ex, &url);
	(void)text_addf(&url, "/api/1/composes/%" PRId64, view->compose->id);
	(void)text_addf(ret, "curl %s ", arguments);
	shell_word(ret, url.failed ? "" : url.data);
	ret->failed |= url.failed;
}

void renew_print(const struct view *view)
{
	enum compose_state state = view->compose->state;
	_cleanup_(text_done) struct text command = { 0 };

	(void)text_adds(view->body, "<section class=\"card later\"><h2>Change it</h2>\n");
	if (state == STATE_DONE) {
		api_command(view, "-X PATCH -d '{\"seconds_to_live\": 86400}'", &command);
		command_print(view, "Keep it for a day from now, or longer if it lives longer",
			      &command);
	} else if (state == STATE_FAILED || state == STATE_REMOVED) {
		api_command(view, "-X PATCH -d '{}'", &command);
		command_print(view, "Make it again, under a new number", &command);
	}
	if (state == STATE_DONE || state == STATE_FAILED) {
		api_command(view, "-X DELETE", &command);
		command_print(view, "End it now", &command);
	} else if (state == STATE_WAIT || state == STATE_GENERATING) {
		api_command(view, "-X DELETE", &command);
		command_print(view, "Cancel it", &command);
	}
	page_identity(view->ex, view->body);
	(void)text_adds(view->body, "</section>\n");
}
