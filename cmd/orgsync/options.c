#include "cmd/orgsync/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/text.h"
#include "lib/conf/suggest.h"

#define EVERYWHERE 0u

enum { VAL_TAG = 256, VAL_EXCLUDE, VAL_JSON, VAL_MAX_LAG, VAL_LOCK_WAIT, VAL_REPAIR, VAL_VERSION };

static const struct known_option {
	const char *name;
	int val;                /* the short option's letter where it has one */
	const char *argument;   /* what it is called in the help; NULL: none */
	unsigned mask;          /* commands that take it; EVERYWHERE: all */
	const char *help;
} known[] = {
	{ "tag", VAL_TAG, "TAG", OPTION_SELECT,
	  "only organizations with this tag; \"eu+prod\": with both; given more than once: with one of them" },
	{ "exclude", VAL_EXCLUDE, "NAME", OPTION_SELECT, "leave this name or glob out; may be repeated" },
	{ "max-lag", VAL_MAX_LAG, "DURATION", OPTION_MAX_LAG,
	  "for monitoring: exit 3 where an archive is further behind than this (\"26h\", \"1d12h\"), 4 where all "
	  "are" },
	{ "lock-wait", VAL_LOCK_WAIT, "DURATION", OPTION_LOCK_WAIT,
	  "wait so long for organizations that another run is at work on (\"10m\"); the others are done meanwhile" },
	{ "repair", VAL_REPAIR, NULL, OPTION_REPAIR,
	  "set damaged files aside and forget just their seconds, so that the next sync reads them again" },
	{ "json", VAL_JSON, NULL, OPTION_JSON, "print one JSON document instead of tables" },
	{ "config", 'c', "FILE", OPTION_CONFIG, "read this configuration" },
	{ "verbose", 'v', NULL, EVERYWHERE, "log what is done; twice: every request" },
	{ "quiet", 'q', NULL, EVERYWHERE, "log errors only, and show no progress" },
	{ "help", 'h', NULL, EVERYWHERE, "print this help" },
	{ "version", VAL_VERSION, NULL, EVERYWHERE, "print the version" },
};
#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static const char *const exit_help[][2] = {
	{ "0", "every selected organization is up to date" },
	{ "1", "the run could not go on" },
	{ "2", "usage or configuration is wrong; nothing was attempted" },
	{ "3", "some organizations failed, or need a look" },
	{ "4", "all failed" },
	{ "10", "the deadline came first; what was read is kept" },
	{ "11", "another run is at work on it" },
	{ "12", "all failed, each because of its credential" },
	{ "13", "verify found damage or a gap" },
	{ "130, 143", "stopped by SIGINT or SIGTERM; what was read is kept" },
};

int
usage_error(const char *format, ...)
{
	char line[600];
	char *clean;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	clean = text_clean(line);
	fprintf(stderr, "orgsync: %s\n", clean == NULL ? "the command line is wrong" : clean);
	free(clean);
	return EXIT_NOT_ATTEMPTED;
}

const struct command *
options_find(const struct command *commands, size_t n_commands, const char *name)
{
	struct suggest near;

	suggest_begin(&near, name, strlen(name));
	for (size_t i = 0; i < n_commands; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		suggest_offer(&near, commands[i].name);
	}
	if (near.best != NULL)
		usage_error("unknown command \"%s\"; did you mean \"%s\"?", name, near.best);
	else
		usage_error("unknown command \"%s\"; \"orgsync help\" lists the commands", name);
	return NULL;
}

static int
unknown_option(const char *word)
{
	struct suggest near;
	size_t len = strcspn(word, "="), begins = 0;

	suggest_begin(&near, word, len);
	for (size_t i = 0; i < N_KNOWN; i++) {
		suggest_offer(&near, known[i].name);
		begins += strncmp(word, known[i].name, len) == 0;
	}
	if (begins > 1)
		return usage_error("option --%.*s may be one of several; write it out", (int)len, word);
	if (near.best != NULL)
		return usage_error("unknown option --%.*s; did you mean --%s?", (int)len, word, near.best);
	return usage_error("unknown option --%.*s; \"orgsync help\" lists the options", (int)len, word);
}

/* What getopt_long() called '?' or ':'. word is the argument it stopped at. */
static int
bad_option(int kind, int opt, const char *word)
{
	const struct known_option *o = NULL;

	for (size_t i = 0; i < N_KNOWN; i++)
		if (opt != 0 && known[i].val == opt)
			o = &known[i];
	if (o != NULL && kind == ':')
		return usage_error("option --%s wants a value: --%s %s", o->name, o->name, o->argument);
	if (o != NULL)
		return usage_error("option --%s takes no value", o->name);
	if (opt != 0)
		return usage_error("unknown option -%c; \"orgsync help\" lists the options", opt);
	return unknown_option(strncmp(word, "--", 2) == 0 ? word + 2 : word);
}

/* Keeps a value in one of the lists, which share cli->strings: each list has room for argc texts. */
static void
keep(const char **list, size_t *n, const char *value)
{
	list[(*n)++] = value;
}

static int
take(struct cli *cli, int val, const char *value, const char **tags, const char **excludes)
{
	switch (val) {
	case 'c':
		if (cli->config != NULL)
			return usage_error("--config is given twice: one configuration at a time (it may include "
			                   "others)");
		if (*value == '\0')
			return usage_error("--config wants a file");
		cli->config = value;
		return 0;
	case 'v':
		cli->verbose++;
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	case 'h':
		cli->help = true;
		return 0;
	case VAL_VERSION:
		cli->version = true;
		return 0;
	case VAL_JSON:
		cli->json = true;
		return 0;
	case VAL_TAG:
		keep(tags, &cli->selection.n_tags, value);
		return 0;
	case VAL_EXCLUDE:
		keep(excludes, &cli->selection.n_excludes, value);
		return 0;
	case VAL_REPAIR:
		cli->repair = true;
		return 0;
	case VAL_LOCK_WAIT:
		if (human_parse_duration(value, &cli->lock_wait_s) != 0)
			return usage_error("--lock-wait: \"%s\" is no duration; write it like 90s, 10m or 1h30m", value);
		return 0;
	case VAL_MAX_LAG:
		if (human_parse_duration(value, &cli->max_lag_s) != 0)
			return usage_error("--max-lag: \"%s\" is no duration; write it like 90m, 26h or 1d12h", value);
		return 0;
	}
	return usage_error("option %d is not handled", val);
}

/* Every option that was seen must be one the command takes. */
static int
check_options(const struct cli *cli, const bool *seen)
{
	char whose[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < N_KNOWN; i++) {
		if (!seen[i] || known[i].mask == EVERYWHERE || (known[i].mask & cli->command->options) != 0)
			continue;
		/* -c does no harm where no configuration is read: an alias may always give it. */
		if (known[i].mask == OPTION_CONFIG)
			continue;
		for (size_t c = 0; c < cli->n_commands && len < sizeof(whose); c++)
			if ((cli->commands[c].options & known[i].mask) != 0)
				len += (size_t)snprintf(whose + len, sizeof(whose) - len, "%s%s",
				                        len == 0 ? "" : ", ", cli->commands[c].name);
		return usage_error("%s does not take --%s; it is an option of: %s", cli->command->name,
		                   known[i].name, whose);
	}
	return 0;
}

static int
check_words(const struct cli *cli)
{
	const struct command *command = cli->command;

	if (cli->n_words < command->least_words)
		return usage_error("%s wants more: orgsync %s %s", command->name, command->name, command->words);
	if (cli->n_words > command->most_words)
		return usage_error("%s: \"%s\" is too much; see \"orgsync help %s\"", command->name,
		                   cli->words[command->most_words], command->name);
	if (cli->quiet && cli->verbose > 0)
		return usage_error("--quiet and --verbose contradict each other");
	return 0;
}

/* getopt's own tables, made from `known`. */
static void
make_tables(struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (size_t i = 0; i < N_KNOWN; i++) {
		longs[i].name = known[i].name;
		longs[i].has_arg = known[i].argument == NULL ? no_argument : required_argument;
		longs[i].flag = NULL;
		longs[i].val = known[i].val;
		if (known[i].val < 256) {
			*shorts++ = (char)known[i].val;
			if (known[i].argument != NULL)
				*shorts++ = ':';
		}
	}
	longs[N_KNOWN] = (struct option){ 0 };
	*shorts = '\0';
}

int
options_read(int argc, char **argv, const struct command *commands, size_t n_commands, struct cli *ret)
{
	struct option longs[N_KNOWN + 1];
	char shorts[2 * N_KNOWN + 2];
	bool seen[N_KNOWN] = { false };
	const char **tags, **excludes;
	int val, code, at = 0;

	memset(ret, 0, sizeof(*ret));
	ret->commands = commands;
	ret->n_commands = n_commands;
	ret->max_lag_s = ret->lock_wait_s = -1;
	ret->strings = calloc(3 * (size_t)argc + 3, sizeof(*ret->strings));
	if (ret->strings == NULL) {
		fputs("orgsync: out of memory\n", stderr);
		return EXIT_CANNOT_GO_ON;
	}
	tags = ret->strings + argc + 1;
	excludes = tags + argc + 1;
	make_tables(longs, shorts);
	opterr = 0;
	while ((val = getopt_long(argc, argv, shorts, longs, &at)) != -1) {
		if (val == '?' || val == ':')
			return bad_option(val, optopt, argv[optind - 1]);
		for (size_t i = 0; i < N_KNOWN; i++)
			seen[i] |= known[i].val == val;
		code = take(ret, val, optarg, tags, excludes);
		if (code != 0)
			return code;
	}
	ret->selection.tags = tags;
	ret->selection.excludes = excludes;
	if (optind < argc) {
		ret->command = options_find(commands, n_commands, argv[optind]);
		if (ret->command == NULL)
			return EXIT_NOT_ATTEMPTED;
		for (int i = optind + 1; i < argc; i++)
			keep(ret->strings, &ret->n_words, argv[i]);
	}
	ret->words = ret->strings;
	if (ret->help || ret->version)
		return 0;
	if (ret->command == NULL)
		return usage_error("which command? \"orgsync help\" lists them");
	if ((ret->command->options & OPTION_SELECT) != 0) {
		ret->selection.patterns = ret->words;
		ret->selection.n_patterns = ret->n_words;
	}
	code = check_options(ret, seen);
	return code != 0 ? code : check_words(ret);
}

void
options_free(struct cli *cli)
{
	free(cli->strings);
	cli->strings = NULL;
}

/* "  -c, --config FILE       text", wrapped. */
static void
help_line(const struct screen *screen, const char *left, const char *text)
{
	char first[64];

	snprintf(first, sizeof(first), "  %-22s  ", left);
	text_wrap(screen, first, text);
}

static void
help_options(const struct screen *screen, unsigned options)
{
	char left[40];

	for (size_t i = 0; i < N_KNOWN; i++) {
		bool is_short = known[i].val < 256;

		if (known[i].mask != EVERYWHERE && (known[i].mask & options) == 0)
			continue;
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", is_short ? '-' : ' ',
		         is_short ? known[i].val : ' ', is_short ? ',' : ' ', known[i].name,
		         known[i].argument == NULL ? "" : " ", known[i].argument == NULL ? "" : known[i].argument);
		help_line(screen, left, known[i].help);
	}
}

void
options_help(FILE *out, const struct command *commands, size_t n_commands)
{
	struct screen screen = screen_of(out);
	char first[20];

	screen.width = screen.width > 80 ? 80 : screen.width;
	fputs("Usage: orgsync [OPTION]... COMMAND [OPTION]... [WORD]...\n\n", out);
	text_wrap(&screen, "", "Brings the event history of many MongoDB Atlas organizations into one exact "
	                       "archive each.");
	fputs("\nCommands:\n", out);
	for (size_t i = 0; i < n_commands; i++) {
		snprintf(first, sizeof(first), "  %-10s", commands[i].name);
		text_wrap(&screen, first, commands[i].summary);
	}
	fputs("\nOptions of every command:\n", out);
	help_options(&screen, OPTION_CONFIG);
	fputs("\nExit codes:\n", out);
	for (size_t i = 0; i < sizeof(exit_help) / sizeof(exit_help[0]); i++) {
		snprintf(first, sizeof(first), "  %-10s", exit_help[i][0]);
		text_wrap(&screen, first, exit_help[i][1]);
	}
	fputs("\n", out);
	text_wrap(&screen, "",
	          "Without --config the configuration is ./orgsync.yaml, or else "
	          "$XDG_CONFIG_HOME/orgsync/orgsync.yaml (~/.config/orgsync/orgsync.yaml), or else "
	          "/etc/orgsync/orgsync.yaml. \"orgsync config init\" prints one to begin with; "
	          "\"orgsync help COMMAND\" tells more of a command.");
}

void
options_help_command(FILE *out, const struct command *command)
{
	struct screen screen = screen_of(out);

	screen.width = screen.width > 80 ? 80 : screen.width;
	fprintf(out, "Usage: orgsync %s [OPTION]...%s%s\n", command->name, *command->words == '\0' ? "" : " ",
	        command->words);
	for (const char *const *p = command->about; *p != NULL; p++) {
		fputs("\n", out);
		text_wrap(&screen, "", *p);
	}
	fputs("\nOptions:\n", out);
	help_options(&screen, command->options);
	if ((command->options & OPTION_SELECT) != 0) {
		fputs("\n", out);
		text_wrap(&screen, "", "A NAME may be a glob such as \"eu-*\"; without names and tags, every "
		                       "organization that is not disabled is selected.");
	}
}
