/* SPDX-License-Identifier: MIT */
/* core/daemon/main.c: the words after `odcsfs`.
 *
 * Exit codes (odcsfs(8)): 0 clean stop, 1 failure, 2 wrong usage or configuration. */
#include "cli/cli.h"
#include "core/daemon/daemon.h"
#include "resolver/worker/worker.h"

#include <getopt.h>
#include <unistd.h>

static const char usage_text[] =
	"Usage: odcsfs serve [-c FILE] [-o SECTION.KEY=VALUE]... [MOUNTPOINT]\n"
	"       odcsfs why [-u URL] ID PACKAGE\n"
	"       odcsfs config [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       odcsfs --help | --version\n"
	"\n"
	"On-demand composes: a temporary RPM repository with just the packages asked for.\n"
	"\n"
	"  serve   mount the tree, answer HTTP, make composes; runs in the foreground and prints\n"
	"          `ready mount=... http=...` once both serve. SIGTERM ends it, SIGHUP reads the\n"
	"          roles again and mounts again\n"
	"  why     say why PACKAGE (a name or NEVRA) is in compose ID\n"
	"  config  print every configuration key with its value and meaning\n"
	"\n"
	"  -c FILE                 configuration (default " CONFIG_DEFAULT_FILE
	", may be missing)\n"
	"  -o SECTION.KEY=VALUE    set one key; may be given again\n"
	"  -u URL                  of the service (default http://localhost:5005, or ODCSFS_URL)\n"
	"\n"
	"Exit codes: 0 success or clean stop, 1 failure, 2 wrong usage or configuration.\n"
	"Manual: odcsfs(8)\n";

static int wrong_usage(const char *word)
{
	(void)fprintf(stderr, "odcsfs: unknown command \"%s\"\nTry `odcsfs --help`.\n", word);
	return 2;
}

static void set_log_level(const struct config *config)
{
	static const char *const words[] = { "error", "warning", "info", "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(config->log_level, words[i]))
			log_level_set((enum log_level)i);
}

/* -c and -o in the order: file first, then options, then MOUNTPOINT */
static int read_options(struct config *config, int argc, char **argv, struct error *err)
{
	struct strings options = { 0 };
	const char *file = NULL;
	int option, r = 0;

	while (r == 0 && (option = getopt(argc, argv, "+c:o:")) != -1) {
		if (option == 'c')
			file = optarg;
		else if (option == 'o')
			r = strings_add(&options, optarg);
		else
			r = error_set(err, -EINVAL, BLAME_REQUEST, NULL, "wrong option");
	}
	if (r == 0)
		r = config_file(config, file ? file : CONFIG_DEFAULT_FILE, err);
	if (r == -ENOENT && !file)
		r = 0; /* the default file may be missing */
	for (size_t i = 0; i < options.count && r == 0; i++)
		r = config_option(config, options.item[i], err);
	if (r == 0 && optind < argc) {
		_cleanup_(freep) char *set = NULL;

		if (asprintf(&set, "odcsfs.mountpoint=%s", argv[optind++]) < 0)
			r = error_oom(err);
		else
			r = config_option(config, set, err);
	}
	if (r == 0 && optind < argc)
		r = error_set(err, -EINVAL, BLAME_REQUEST, NULL,
			      "one MOUNTPOINT only, not also \"%s\"", argv[optind]);
	strings_done(&options);
	return r == 0 ? config_check(config, err) : r;
}

static int with_config(int argc, char **argv, int (*run)(const struct config *config))
{
	struct config config;
	struct error err = { 0 };
	int r = config_init(&config, &err);

	if (r == 0)
		r = read_options(&config, argc, argv, &err);
	if (r < 0) {
		(void)fprintf(stderr, "odcsfs: %s\n", err.message);
		config_done(&config);
		return 2;
	}
	set_log_level(&config);
	r = run(&config);
	config_done(&config);
	return r;
}

static int print_config(const struct config *config)
{
	_cleanup_(text_done) struct text text = { 0 };

	if (config_print(config, &text) < 0 || io_write(STDOUT_FILENO, text.data, text.length) < 0)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc == 3 && strcmp(verb, "worker") != 0 &&
	    (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h")))
		verb = "--help";
	if (!strcmp(verb, "serve"))
		return with_config(argc - 1, argv + 1, serve);
	if (!strcmp(verb, "config"))
		return with_config(argc - 1, argv + 1, print_config);
	if (!strcmp(verb, "worker"))
		return worker_main(argc - 1, argv + 1);
	if (!strcmp(verb, "why"))
		return cli_why(argc - 1, argv + 1);
	if (!strcmp(verb, "--help") || !strcmp(verb, "-h") || !strcmp(verb, "help")) {
		(void)fputs(usage_text, stdout);
		return 0;
	}
	if (!strcmp(verb, "--version")) {
		(void)printf("odcsfs %s\n", ODCSFS_VERSION);
		return 0;
	}
	if (!verb[0]) {
		(void)fputs(usage_text, stderr);
		return 2;
	}
	return wrong_usage(verb);
}
