/* SPDX-License-Identifier: MIT */
/* core/daemon/main.c: the words after `odcsfs`.
 *
 * Exit codes (odcsfs(8)): 0 clean stop, 1 failure, 2 wrong usage or configuration. */
#include "cli/cli.h"
#include "core/daemon/check.h"
#include "core/daemon/keeper.h"
#include "resolver/worker/worker.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RELOAD_SECONDS 120

static const char usage_text[] =
	"Usage: odcsfs serve [--no-keeper | --check] [-c FILE] [-o SECTION.KEY=VALUE]... "
	"[MOUNTPOINT]\n"
	"       odcsfs reload [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       odcsfs why [-u URL] ID PACKAGE\n"
	"       odcsfs cache [-u URL] [--trim SIZE]\n"
	"       odcsfs prefetch [-u URL] ID [PACKAGE...]\n"
	"       odcsfs config [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       odcsfs check [--repair] [--deep] [--json] [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       odcsfs --help | --version\n"
	"\n"
	"On-demand composes: a temporary RPM repository with just the packages asked for.\n"
	"\n"
	"  serve   mount the tree, answer HTTP, make composes; runs in the foreground and prints\n"
	"          `ready mount=... http=...` once both serve. SIGTERM ends it, SIGHUP is a "
	"reload.\n"
	"          --no-keeper: one process, without reload; --check: only say what is wrong with\n"
	"          the configuration\n"
	"  reload  start the program on disk, with the configuration as it is now, in the place "
	"of\n"
	"          the running server: mounts and HTTP go on\n"
	"  why     say why PACKAGE (a name or NEVRA) is in compose ID\n"
	"  cache   what the cache of packages of servers holds; --trim removes what was not read\n"
	"          for longest until no more than SIZE is left\n"
	"  prefetch  fetch packages of servers before they are read: all of compose ID, or these\n"
	"  config  print every configuration key with its value and meaning\n"
	"  check   say what is wrong in the state directory; --repair mends it while no service\n"
	"          runs, --deep reads every file, --json prints one object\n"
	"\n"
	"  -c FILE                 configuration (default " CONFIG_DEFAULT_FILE
	", may be missing)\n"
	"  -o SECTION.KEY=VALUE    set one key; may be given again\n"
	"  -u URL                  of the service (default http://localhost:5005, or ODCSFS_URL)\n"
	"\n"
	"Exit codes: 0 success or clean stop, 1 failure, 2 wrong usage or configuration.\n"
	"check: 0 clean, 1 findings, 2 wrong usage, or it cannot be looked at.\n"
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

/* The last line of an INI file that sets "section.key"; 0: none does */
static int line_of(const char *text, const char *name)
{
	const char *dot = strchr(name, '.');
	bool inside = false;
	int found = 0, line = 1;

	for (const char *at = text; dot && *at; line++) {
		size_t length = strcspn(at, "\n"), key = strlen(dot + 1);
		size_t section = (size_t)(dot - name);

		if (*at == '[')
			inside = !strncmp(at + 1, name, section) && at[1 + section] == ']';
		else if (inside && !strncmp(at, dot + 1, key) && strchr(" \t=:", at[key]))
			found = line;
		at += length + (at[length] == '\n');
	}
	return found;
}

/* Where the value of the key that @err is about was set: by an option, or in a line of the file. */
static int say_place(int r, const char *file, const struct strings *options, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	size_t length = strlen(err->field);
	int line;

	if (r == 0 || !length)
		return r;
	for (size_t i = 0; i < options->count; i++)
		if (!strncmp(options->item[i], err->field, length) &&
		    options->item[i][length] == '=')
			return error_prefix(err, "-o %s", err->field);
	if (file_read(AT_FDCWD, file, 1 << 20, &text, NULL) < 0)
		return r;
	line = line_of(text, err->field);
	return line ? error_prefix(err, "%s:%d", file, line) : r;
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
	if (r == 0)
		r = say_place(config_check(config, err), file ? file : CONFIG_DEFAULT_FILE,
			      &options, err);
	strings_done(&options);
	return r;
}

/* false: it was told what is wrong */
static bool load_config(struct config *config, int argc, char **argv)
{
	struct error err = { 0 };
	int r = config_init(config, &err);

	if (r == 0)
		r = read_options(config, argc, argv, &err);
	if (r < 0) {
		(void)fprintf(stderr, "odcsfs: %s\n", err.message);
		config_done(config);
		return false;
	}
	set_log_level(config);
	return true;
}

static int with_config(int argc, char **argv, int (*run)(const struct config *config))
{
	struct config config;
	int r;

	if (!load_config(&config, argc, argv))
		return 2;
	r = run(&config);
	config_done(&config);
	return r;
}

static int serve_alone(const struct config *config)
{
	return serve(config, -1);
}

/* The keeper hands all that it was given on to the server, which reads it. */
static int run_serve(int argc, char **argv)
{
	static const char fd_option[] = "--keeper-fd=";
	struct config config;
	const char *first = argc > 1 ? argv[1] : "";
	int64_t fd;
	int r;

	if (strncmp(first, "--", 2) != 0 || !first[2])
		return keeper(argc, argv);
	argv[1] = argv[0];
	if (!strcmp(first, "--no-keeper"))
		return with_config(argc - 1, argv + 1, serve_alone);
	if (!strcmp(first, "--check"))
		return with_config(argc - 1, argv + 1, serve_check);
	if (strncmp(first, fd_option, strlen(fd_option)) != 0 ||
	    parse_int64(first + strlen(fd_option), &fd) < 0) {
		(void)fprintf(stderr, "odcsfs: serve: unknown option \"%s\"\n", first);
		return 2;
	}
	if (!load_config(&config, argc - 1, argv + 1))
		return 2;
	r = serve(&config, (int)fd);
	config_done(&config);
	return r;
}

/* Connecting is the question; the answer is an exit code and words. */
static int run_reload(const struct config *config)
{
	_cleanup_(closep) int dirfd = open(config->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int fd = dirfd < 0 ? -errno : state_control_ask(dirfd);
	const struct timeval patience = { .tv_sec = RELOAD_SECONDS };
	char text[1024];
	ssize_t n;

	if (fd < 0) {
		(void)fprintf(stderr,
			      "odcsfs: no service to reload uses the state directory %s: %s\n",
			      config->state_dir, strerror(-fd));
		return 1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = io_read(fd, text, sizeof(text) - 1);
	if (n <= 1) {
		(void)fprintf(stderr, "odcsfs: the service does not answer: %s\n",
			      n == -EAGAIN ? "no server was ready in time; its log says more"
			      : n < 0	   ? strerror((int)-n)
					   : "it has ended");
		return 1;
	}
	text[n] = '\0';
	(void)fputs(text + 1, text[0] == '0' ? stdout : stderr);
	return text[0] >= '0' && text[0] <= '2' ? text[0] - '0' : 1;
}

/* Its own options are taken out of @argv wherever they stand; the rest is the configuration's. */
static int run_check(int argc, char **argv)
{
	struct check_options options = { 0 };
	const struct {
		const char *word;
		bool *flag;
	} words[] = { { "--repair", &options.repair },
		      { "--deep", &options.deep },
		      { "--json", &options.json } };
	struct config config;
	int kept = 1, r;

	for (int i = 1; i < argc; i++) {
		bool taken = false;

		for (size_t k = 0; k < ARRAY_SIZE(words); k++)
			if (!strcmp(argv[i], words[k].word))
				*words[k].flag = taken = true;
		if (!taken)
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	if (!load_config(&config, kept, argv))
		return CHECK_IMPOSSIBLE;
	r = check(&config, &options);
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
		return run_serve(argc - 1, argv + 1);
	if (!strcmp(verb, "reload"))
		return with_config(argc - 1, argv + 1, run_reload);
	if (!strcmp(verb, "config"))
		return with_config(argc - 1, argv + 1, print_config);
	if (!strcmp(verb, "check"))
		return run_check(argc - 1, argv + 1);
	if (!strcmp(verb, "worker"))
		return worker_main(argc - 1, argv + 1);
	if (!strcmp(verb, "why"))
		return cli_why(argc - 1, argv + 1);
	if (!strcmp(verb, "cache"))
		return cli_cache(argc - 1, argv + 1);
	if (!strcmp(verb, "prefetch"))
		return cli_prefetch(argc - 1, argv + 1);
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
