/* orgsync: the command. See docs/orgsync.1 for what it does, options.h for how it is told. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/orgsync/commands.h"
#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/session.h"
#include "lib/base/log.h"
#include "lib/base/memory.h"

#define SELECTING (OPTION_CONFIG | OPTION_SELECT | OPTION_JSON)

static int cmd_help(const struct cli *cli);

static const char *const sync_about[] = {
	"Brings the archive of every selected organization up to date: reads what is missing, newest first, "
	"and writes it into day files. What one organization fails at does not stop the others. It may be "
	"stopped and started again at any time; nothing is lost and nothing stands twice.",
	"Ends with a table that names every organization that failed and what to do about it. The same as a "
	"JSON document is kept in .orgsync/runs/ of the output directory.",
	"An organization that another run is at work on is left to it (exit 11 where nothing else was wrong), or waited for "
	"with --lock-wait.",
	"The first SIGINT or SIGTERM keeps what was read and stops; the second stops at once.",
	NULL
};
static const char *const plan_about[] = {
	"Shows what the next sync would read, and why. Nothing is asked of Atlas and nothing is written.",
	"WHY: \"new\": after everything on record; \"older history\": before it; \"left open\": between, "
	"by an interrupted run or because the seconds could not be read; \"asked narrower\": read before with "
	"fewer event types or without raw; \"read again\": read so soon after its time that late events "
	"may be missing. EVENTS is a guess from the days on record; PAGES counts requests of up to 500 "
	"events, for adjoining ranges together in the last of them. \"its first sync\": without a "
	"backfill_start_time the archive begins at the moment of its first sync. Times are UTC.",
	NULL
};
static const char *const status_about[] = {
	"Shows per organization what its archive covers, how many gaps are still to be read, how far it is "
	"behind (settle is taken off), how many events it holds, and when it was last up to date. An error "
	"after that is told with what to do. Nothing is asked of Atlas. Times are UTC.",
	"COVERED: \"never run\": no sync was made; \"nothing yet\": none came so far; \"asked narrower\": all "
	"there is was read with fewer event types or without raw, and the next sync reads it again.",
	"Exit codes: 3 where an archive cannot be read, or is further behind than --max-lag; 4 where that is "
	"so of all. One that was never run is behind. Without --max-lag being behind is no failure.",
	NULL
};
static const char *const verify_about[] = {
	"Reads every day file and holds it against its entry in the ledger: SHA-256, number of events, order, "
	"no id twice, each event in its own day; and looks for gaps between covered seconds. Nothing is "
	"changed, and nothing is asked of Atlas. Exit 13 where anything is found.",
	"--repair sets each file that is damaged, or that the ledger does not know, aside (quarantine/damaged/ of the "
	"organization), and takes just its seconds out of the ledger. The next sync reads them again, compares, and "
	"tells which events of the damaged file the server no longer gave. Exit 13 here too: verify once more after the "
	"sync. A damaged ledger is not repaired.",
	NULL
};
static const char *const test_about[] = {
	"Makes one cheap request per organization: does the credential work, and for the right organization? "
	"Nothing is read of its events, and nothing is written but renewed access tokens.",
	NULL
};
static const char *const list_about[] = {
	"Lists the organizations of the configuration, the disabled ones too.",
	NULL
};
static const char *const config_about[] = {
	"validate: names every mistake in the configuration with its file, line and column.",
	"show: prints the effective configuration, defaults filled in and secrets left out.",
	("init [FILE]: prints an example to begin with, or makes FILE of it (mode 0600; an old file stays as "
	 "it is)."),
	"schema: prints the JSON Schema of the configuration, for editors.",
	NULL
};
static const char *const help_about[] = {
	"Prints help on everything, or on one command.",
	NULL
};

static const struct command commands[] = {
	{ "sync", "[NAME]...", "bring the archives up to date", sync_about, SELECTING | OPTION_LOCK_WAIT, 0, SIZE_MAX,
	  cmd_sync },
	{ "plan", "[NAME]...", "show what the next sync would read, and why", plan_about, SELECTING, 0, SIZE_MAX,
	  cmd_plan },
	{ "status", "[NAME]...", "show what each archive covers and how far it is behind", status_about,
	  SELECTING | OPTION_MAX_LAG, 0, SIZE_MAX, cmd_status },
	{ "verify", "[NAME]...", "check every day file and look for gaps", verify_about,
	  SELECTING | OPTION_REPAIR | OPTION_LOCK_WAIT, 0, SIZE_MAX,
	  cmd_verify },
	{ "test", "[NAME]...", "check that every credential works", test_about, SELECTING, 0, SIZE_MAX, cmd_test },
	{ "list", "[NAME]...", "list the organizations", list_about, SELECTING, 0, SIZE_MAX, cmd_list },
	{ "config", "validate|show|init [FILE]|schema", "check, show or begin a configuration", config_about,
	  OPTION_CONFIG, 1, 2, cmd_config },
	{ "help", "[COMMAND]", "print help", help_about, 0, 0, 1, cmd_help },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int
cmd_help(const struct cli *cli)
{
	const struct command *command = NULL;

	if (cli->n_words > 0) {
		command = options_find(commands, N_COMMANDS, cli->words[0]);
		if (command == NULL)
			return EXIT_NOT_ATTEMPTED;
	}
	if (command != NULL)
		options_help_command(stdout, command);
	else
		options_help(stdout, commands, N_COMMANDS);
	return results_end(EXIT_UP_TO_DATE);
}

/* A file opened later must never get the number of a standard stream that the caller had closed:
 * results would go into an archive. */
static int
hold_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/* Secrets are in this process's memory from the configuration's first byte on: no core file, and no other process may read along. */
static void
keep_memory_private(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
	/* The leak checker of a sanitized build has to look into the process. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static int
run(const struct cli *cli)
{
	if (cli->version) {
		puts("orgsync " ORGSYNC_VERSION);
		return results_end(EXIT_UP_TO_DATE);
	}
	if (cli->help) {
		if (cli->command != NULL)
			options_help_command(stdout, cli->command);
		else
			options_help(stdout, commands, N_COMMANDS);
		return results_end(EXIT_UP_TO_DATE);
	}
	log_open(STDERR_FILENO, cli->quiet          ? LOG_LEVEL_ERROR
	                        : cli->verbose == 0 ? LOG_LEVEL_WARN
	                        : cli->verbose == 1 ? LOG_LEVEL_INFO
	                                            : LOG_LEVEL_DEBUG);
	return cli->command->run(cli);
}

int
main(int argc, char **argv)
{
	struct cli cli;
	int code;

	if (hold_standard_streams() != 0)
		return EXIT_CANNOT_GO_ON;
	keep_memory_private();
	umask(077);
	json_set_alloc_funcs(memory_alloc, memory_free); /* see memory.h */
	code = options_read(argc, argv, commands, N_COMMANDS, &cli);
	if (code == 0)
		code = run(&cli);
	options_free(&cli);
	return code;
}
