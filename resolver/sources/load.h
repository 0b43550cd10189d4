/* SPDX-License-Identifier: MIT */
/* resolver/sources/load.h: repositories of one job, and the rows that are taken from them. */
#pragma once

#include "resolver/sources/set.h"

struct load;
struct online;

/** struct repository - one word of source.source or lookaside_repos, or what is tagged */
struct repository {
	const char *word; /* as requested; borrowed */
	const char *base; /* its real path, or the word in its one spelling; owned by the set */
	struct repomd *repomd; /* after repository_find() */
	struct held *held;     /* after repository_open(); the set's reference */
	bool lookaside;
	struct transport *files; /* opens what is in it; NULL: the context's. Borrowed */
	struct online *online;	 /* of a URL (online.h); NULL: files */
	uint8_t *taken;		 /* one bit per package: already in the tree being filled */
	/** @look: NULL, or what fills where the file of a package is, in place of the transport */
	int (*look)(struct load *load, const struct repository *repository, uint32_t index,
		    struct composer_package *row, struct error *err);
	void *look_data;
};

/** struct load - a job on its way from repositories to a package set */
struct load {
	const struct source_context *context;
	struct package_set *set;
	struct repository *repository; /* lookaside ones last */
	size_t count, sources;	       /* all of them; those that are not lookaside */
	struct unseen *unseen;	       /* rows whose files nobody has looked at yet (rows.c) */
	size_t unseen_count, unseen_room;
	struct text log;     /* becomes the compose's depsolve log: no times in it */
	int64_t step, steps; /* of the progress line */
	/** @more: NULL, or adds rows of an arch beside those that were chosen */
	int (*more)(struct load *load, size_t arch, struct error *err);
	void *more_data;
};
void load_done(struct load *load); /* all but the context */

void load_say(const struct load *load, const char *format, ...) _printf_(2, 3);
/** load_log() - lines of the solver into the depsolve log, and said */
void load_log(struct load *load, const char *arch, const char *what, const struct strings *lines);
void load_progress(const struct load *load, const char *phase, const char *format, ...)
	_printf_(3, 4);

/** load_find() - find the repositories of @words, or with NULL leave the first one to the source
 * type, and the lookaside ones */
int load_find(struct load *load, const struct strings *words, struct error *err);
/** load_open() - then open those that are not open */
int load_open(struct load *load, struct error *err);
/**
 * load_identify() - add a line for each that was found
 *
 * Where a repository really is belongs to it: packages are read from there as long as the compose
 * lives. Order counts among sources; lookaside ones are a set (odcs-api.md 5). */
int load_identify(const struct load *load, struct text *ret, struct error *err);
/** load_arches() - solve for each arch, and take rows (arches.c). -ENOENT, BLAME_REQUEST: a name
 * that no arch has */
int load_arches(struct load *load, struct error *err);

/** load_site() - what opens the site's own places; the caller's to free */
int load_site(const struct source_context *context, struct transport **ret, struct error *err);
/** repository_files() - what opens its files */
struct transport *repository_files(const struct load *load, const struct repository *repository);
/** repository_modules() - after repository_find(): append its modules record, if it has one */
int repository_modules(const struct load *load, const struct repository *repository,
		       struct text *ret, struct error *err);

/** repository_find() - where it is, and its repomd.xml */
int repository_find(struct load *load, struct repository *repository, struct error *err);
/** repository_open() - then its snapshot, opened or built */
int repository_open(struct load *load, struct repository *repository, struct error *err);

/**
 * repository_path() - a location below the repository, with the xml:base before it
 * @base: as the metadata has it, or NULL, or ""
 * Malloc'ed. -EACCES, BLAME_SOURCE: @base leads elsewhere */
int repository_path(const struct repository *repository, const char *base, const char *href,
		    char **ret, struct error *err);

/* ---- multilib.c ---- */

/** multilib_arch() - the arch whose packages the request wants beside those of @arch, or NULL */
const char *multilib_arch(const struct spec *spec, const char *arch);
/** multilib_add() - take them, beside the set @chosen for arch @arch of the request */
int multilib_add(struct load *load, size_t arch, const struct solve_answer *chosen,
		 struct error *err);
/** multilib_ships_library() - does a package's element of filelists name a *.so.* in a library
 * directory? */
bool multilib_ships_library(const char *element);

/* ---- rows (rows.c) ---- */

/** package_nevra() - "name-[epoch:]version-release.arch", as the solver prints it; malloc'ed or
 * NULL */
char *package_nevra(const struct snapshot_package *package);

/** rows_begin() - a new tree: nothing is taken yet; 0 or -ENOMEM */
int rows_begin(struct load *load);
/** rows_add() - take package @index of repository @number into a tree, unless it is there already
 * @reason: owned by the set. -ENOENT, -ESTALE, BLAME_SOURCE: its file is missing or has another
 * size; of a file of this machine rows_add_sources() says that, of all rows at once */
int rows_add(struct load *load, size_t number, uint32_t index, size_t arch, enum composer_tree tree,
	     const char *reason, struct error *err);
/** rows_add_debug() - debug packages of the rows that @arch has since @first; all with @everything
 */
int rows_add_debug(struct load *load, size_t arch, size_t first, bool everything,
		   struct error *err);
/** rows_add_sources() - last: source packages of all rows; all with @everything */
int rows_add_sources(struct load *load, bool everything, struct error *err);
