/* SPDX-License-Identifier: MIT */
/* rest/page.h: the parts of the page of one compose, each in a file of its own. */
#pragma once

#include "rest/html.h"

/** struct view - one compose while its page is made */
struct view {
	struct exchange *ex;
	const struct compose *compose;
	json_t *record;		 /* as the API tells it */
	const struct tree *tree; /* NULL unless it has packages to show */
	const char *trouble;	 /* why a compose that is done has no @tree; else NULL */
	int64_t now;
	struct text *body;
};

/** view_word() - a string of the record, or "" */
const char *view_word(const struct view *view, const char *name);

/* page_use.c: the .repo file, and commands to copy */
void use_print(const struct view *view);
void renew_print(const struct view *view);

/* page_facts.c: what was asked, what became of it */
void facts_print(const struct view *view);

/* page_packages.c: what is in it, and why; by pages, with a filter */
int packages_print(const struct view *view);

/* page_texts.c: the end of the log, and the request as it was written */
void log_print(const struct view *view);
void request_print(const struct view *view);
