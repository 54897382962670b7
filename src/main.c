/* SPDX-License-Identifier: MIT
 *
 * main.c - roost: options, configuration, and on to the daemon.
 */
#include "admin/api.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "config/config.h"
#include "config/load.h"
#include "config/schema.h"
#include "daemon/daemon.h"
#include "daemon/heritage.h"
#include "daemon/preflight.h"
#include "daemon/process.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_CONFIG SYSCONFDIR "/roost/roost.yaml"

static const char default_config[] = DEFAULT_CONFIG;

enum { OPT_LOG_FORMAT = 256, OPT_CORE_DUMPS, OPT_PORTS_FILE, OPT_WATCH, OPT_LIST_KEYS };

/* The single truth for parsing and for --help. No help: for tests of the manual only.
 */
static const struct {
	int code;
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
} rows[] = {
    {'c', "config", "FILE", "default " DEFAULT_CONFIG},
    {'t', "test", NULL, "check what a start would need and exit (0 good, 1 bad)"},
    {'T', "dump", NULL, "print the effective configuration as YAML and exit"},
    {'L', "listen", "ADDR", "listen here, instead of the file's listeners; repeatable"},
    {'U', "upstream", "ADDR[=WEIGHT]", "a backend of upstream \"default\"; repeatable"},
    {'A', "admin", "ADDR", "admin API here (HOST:PORT or unix:/path)"},
    {'w', "workers", "N", "threads (default: one per usable CPU)"},
    {'d', "daemon", NULL, "detach"},
    {'p', "pid-file", "FILE", "write the process id there"},
    {'u', "user", "USER[:GROUP]", "become this user once the sockets are open"},
    {'l', "log-level", "LEVEL", "debug, info, notice, warn or error"},
    {OPT_LOG_FORMAT, "log-format", "FORMAT", "text or json"},
    {OPT_CORE_DUMPS, "core-dumps", NULL, "leave a core dump behind after a crash"},
    {OPT_PORTS_FILE, "ports-file", "FILE", "write the addresses listened on there"},
    {OPT_WATCH, "watch", NULL, "reload when a file of the configuration has changed"},
    {'V', "version", NULL, "print the version and exit"},
    {'h', "help", NULL, "print this and exit"},
    {OPT_LIST_KEYS, "list-keys", NULL, NULL},
};

enum { N_ROWS = sizeof rows / sizeof *rows, LIST_MAX = 256 };

enum action {
	ACTION_RUN,
	ACTION_TEST,
	ACTION_DUMP,
	ACTION_VERSION,
	ACTION_HELP,
	ACTION_LIST_KEYS
};

struct command_line {
	enum action action;
	struct daemon_options daemon;
	const char *listens[LIST_MAX];
	const char *upstreams[LIST_MAX];
};

static void
print_help(void)
{
	printf("usage: roost [-c FILE] [options]\n"
	       "       roost -L ADDR -U ADDR[=WEIGHT] [-U ...]\n\n");
	for (int i = 0; i < N_ROWS; i++) {
		char flag[64];
		bool is_short = rows[i].code < OPT_LOG_FORMAT;

		if (!rows[i].help)
			continue;
		snprintf(flag, sizeof flag, "%c%c%s --%s%s%s", is_short ? '-' : ' ',
		    is_short ? rows[i].code : ' ', is_short ? "," : " ", rows[i].name,
		    rows[i].argument ? " " : "",
		    rows[i].argument ? rows[i].argument : "");
		printf("  %-32s %s\n", flag, rows[i].help);
	}
	printf(
	    "\nsignals: HUP reloads, USR1 reopens the logs, USR2 starts a new "
	    "process that takes\n"
	    "over, TERM and INT stop gracefully, a second one stops now. See roost(8) "
	    "and\nroost.yaml(5).\n");
}

static bool
add_to(const char **list, size_t *n, const char *value)
{
	if (*n == LIST_MAX) {
		fprintf(stderr, "roost: more than %d of the same option\n", LIST_MAX);
		return false;
	}
	list[(*n)++] = value;
	return true;
}

/* False: usage error, already said. */
static bool
take_option(struct command_line *cl, int code)
{
	struct daemon_options *d = &cl->daemon;

	switch (code) {
	case 'c': d->config_file = optarg; break;
	case 't': cl->action = ACTION_TEST; break;
	case 'T': cl->action = ACTION_DUMP; break;
	case 'L': return add_to(cl->listens, &d->flags.n_listens, optarg);
	case 'U': return add_to(cl->upstreams, &d->flags.n_upstreams, optarg);
	case 'A': d->flags.admin = optarg; break;
	case 'w': d->flags.workers = optarg; break;
	case 'd': d->detach = true; break;
	case 'p': d->pid_file = optarg; break;
	case 'u': d->user = optarg; break;
	case 'l': d->flags.log_level = optarg; break;
	case OPT_LOG_FORMAT: d->flags.log_format = optarg; break;
	case OPT_CORE_DUMPS: d->core_dumps = true; break;
	case OPT_PORTS_FILE: d->ports_file = optarg; break;
	case OPT_WATCH: d->watch = true; break;
	case 'V': cl->action = ACTION_VERSION; break;
	case 'h': cl->action = ACTION_HELP; break;
	case OPT_LIST_KEYS: cl->action = ACTION_LIST_KEYS; break;
	default: return false; /* getopt has said what is wrong */
	}
	return true;
}

static bool
parse_command_line(int argc, char **argv, struct command_line *cl)
{
	struct option options[N_ROWS + 1] = {0};
	char letters[3 * N_ROWS + 1], *p = letters;
	int code;

	for (int i = 0; i < N_ROWS; i++) {
		options[i].name = rows[i].name;
		options[i].has_arg = rows[i].argument ? required_argument : no_argument;
		options[i].val = rows[i].code;
		if (rows[i].code >= OPT_LOG_FORMAT)
			continue;
		*p++ = (char)rows[i].code;
		if (rows[i].argument)
			*p++ = ':';
	}
	*p = '\0';
	cl->daemon.flags.listens = cl->listens;
	cl->daemon.flags.upstreams = cl->upstreams;
	while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1)
		if (!take_option(cl, code))
			return false;
	if (optind == argc)
		return true;
	fprintf(stderr, "roost: unexpected argument: %s\n", argv[optind]);
	return false;
}

static int
dump(const struct config *config)
{
	struct strbuf out = STRBUF_INIT;
	bool ok;

	config_dump(config, &out);
	ok = !out.failed && fwrite(out.data, 1, out.len, stdout) == out.len;
	strbuf_fini(&out);
	return ok && fflush(stdout) == 0 ? EXIT_STOPPED : EXIT_CONFIG;
}

/* Says why it cannot start: to the terminal, and to the process before us. */
static bool
refuse(const struct daemon_options *o, const char *what, const char *why)
{
	struct strbuf text = STRBUF_INIT;

	strbuf_printf(&text, "%s%s%s", what, *what ? ": " : "", why);
	fprintf(stderr, "roost: %s\n", strbuf_cstr(&text));
	heritage_say_failed(o->heritage, strbuf_cstr(&text));
	strbuf_fini(&text);
	return false;
}

/* The user, and that his logs will be his. */
static bool
user_is_good(const struct daemon_options *o)
{
	struct strbuf error = STRBUF_INIT;
	bool ok = process_user_check(o->user, &error);

	if (!ok)
		refuse(o, "", strbuf_cstr(&error));
	else if (!process_forbid_new_privileges())
		ok = refuse(o, "--user", strerror(errno));
	else
		process_give_logs(o->user);
	strbuf_fini(&error);
	return ok;
}

/* Things a start would need beside a good configuration. */
static bool
can_start(const struct daemon_options *o, const struct config *config)
{
	struct strbuf error = STRBUF_INIT;
	bool ok = !o->user || user_is_good(o);

	if (!admin_check(&config->admin, &error))
		ok = refuse(o, "", strbuf_cstr(&error));
	strbuf_fini(&error);
	if (!log_open(&config->log)) {
		const char *why = strerror(errno), *socket = log_socket(&config->log);

		ok = refuse(o, socket ? socket : config->log.file, why);
	}
	return ok;
}

static int
act(const struct command_line *cl, struct config *config)
{
	int code;

	if (cl->action == ACTION_DUMP) {
		code = dump(config);
		config_free(config);
		return code;
	}
	if (cl->action == ACTION_TEST) {
		code = preflight(&cl->daemon, config) ? EXIT_STOPPED : EXIT_CONFIG;
		if (code == EXIT_STOPPED)
			printf("%s: good\n", config->file ? config->file : "flags");
		config_free(config);
		return code;
	}
	if (!can_start(&cl->daemon, config)) {
		config_free(config);
		return EXIT_START;
	}
	code = daemon_run(&cl->daemon, config);
	log_close();
	return code;
}

/* Whoever starts us may have closed some of the three: the first socket would get that
 * number, and with it what is written to standard error. */
static bool
fill_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && close(fd) == 0;
}

/* Whoever types the name for the first time. */
static void
help_without_file(const struct command_line *cl)
{
	if (cl->daemon.config_file == default_config && access(default_config, F_OK))
		fputs("roost: name a file with -c, or serve without one: "
		      "roost -L :8080 -U 127.0.0.1:3000; see roost --help\n",
		    stderr);
}

int
main(int argc, char **argv)
{
	struct command_line cl = {0};
	struct daemon_options *d = &cl.daemon;
	struct strbuf errors = STRBUF_INIT;
	struct heritage heritage = {.link = -1, .pid_file = -1};
	struct config *config;
	int code;

	if (!fill_standard_streams())
		return EXIT_START;
	d->argv = argv;
	d->heritage = &heritage;
	if (!parse_command_line(argc, argv, &cl)) {
		fprintf(stderr, "roost: see roost --help\n");
		return EXIT_USAGE;
	}
	switch (cl.action) {
	case ACTION_VERSION: puts("roost " PACKAGE_VERSION); return EXIT_STOPPED;
	case ACTION_HELP: print_help(); return EXIT_STOPPED;
	case ACTION_LIST_KEYS: schema_print(stdout); return EXIT_STOPPED;
	default: break;
	}
	if (!d->config_file && d->flags.n_upstreams == 0)
		d->config_file = default_config;
	if (cl.action == ACTION_RUN && !heritage_find(&heritage))
		return EXIT_START;
	config = config_load(d->config_file, &d->flags, &errors);
	if (!config) {
		fputs(strbuf_cstr(&errors), stderr);
		help_without_file(&cl);
		heritage_say_failed(&heritage, strbuf_cstr(&errors));
	}
	strbuf_fini(&errors);
	code = config ? act(&cl, config) : EXIT_CONFIG;
	heritage_fini(&heritage);
	return code;
}
