/* options.h: the command line: which command, with which options and words.
 *
 * One thread, at the start. Options may stand before or after the command and its words (GNU
 * getopt_long); each belongs to the commands whose mask names it, and a command's help is made from the
 * same mask, so that it can name no option the command does not take. */
#ifndef ORGSYNC_CMD_OPTIONS_H
#define ORGSYNC_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/conf/conf.h"

enum option_mask {
	OPTION_CONFIG = 1 << 0,     /* -c */
	OPTION_SELECT = 1 << 1,     /* names, globs, --tag, --exclude */
	OPTION_JSON = 1 << 2,
	OPTION_MAX_LAG = 1 << 3,
	OPTION_LOCK_WAIT = 1 << 4,
	OPTION_REPAIR = 1 << 5
};

struct cli;

struct command {
	const char *name;
	const char *words;           /* what may follow it, for the usage line */
	const char *summary;         /* one line for the list of commands */
	const char *const *about;    /* paragraphs for its help, NULL-terminated */
	unsigned options;            /* enum option_mask */
	size_t least_words, most_words;
	int (*run)(const struct cli *cli); /* the exit code */
};

struct cli {
	const struct command *command;  /* NULL: none was given (--help, --version) */
	const struct command *commands; /* all of them */
	size_t n_commands;
	const char *config;             /* -c FILE, or NULL */
	struct conf_selection selection;
	const char **words;             /* after the command */
	size_t n_words;
	const char **strings;           /* owns the arrays above; the texts are argv's */
	unsigned verbose;               /* number of -v */
	bool quiet, json, help, version;
	bool repair;
	int64_t max_lag_s;              /* -1: not given */
	int64_t lock_wait_s;            /* -1: not given */
};

/* Reads the command line into *ret. 0; or the exit code, having said on stderr what is wrong. */
int options_read(int argc, char **argv, const struct command *commands, size_t n_commands,
                 struct cli *ret) __attribute__((warn_unused_result));
void options_free(struct cli *cli);

/* Help on everything, or on one command. */
void options_help(FILE *out, const struct command *commands, size_t n_commands);
void options_help_command(FILE *out, const struct command *command);

/* The command of that name; NULL after having said on stderr that there is none. */
const struct command *options_find(const struct command *commands, size_t n_commands, const char *name);

/* "orgsync: …" on stderr, control characters made harmless; returns EXIT_NOT_ATTEMPTED. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
