/* exit_code.h: the exit code of a command, a contract that scripts and timers build on.
 *
 * One pure function over counted facts, so that the precedence can be tested as a table. */
#ifndef ORGSYNC_CMD_EXIT_CODE_H
#define ORGSYNC_CMD_EXIT_CODE_H

#include <stdbool.h>
#include <stddef.h>

enum exit_codes {
	EXIT_UP_TO_DATE = 0,      /* every selected organization is up to date */
	EXIT_CANNOT_GO_ON = 1,    /* the run itself could not go on */
	EXIT_NOT_ATTEMPTED = 2,   /* usage or configuration; nothing was attempted */
	EXIT_SOME_FAILED = 3,
	EXIT_ALL_FAILED = 4,
	EXIT_DEADLINE = 10,       /* the deadline came first; what was read is intact */
	EXIT_LOCKED = 11,         /* another run holds the lock */
	EXIT_CREDENTIALS = 12,    /* all failed, each for a refused or unsafe credential */
	EXIT_DAMAGED = 13,        /* verify found damage or a gap */
	EXIT_SIGNAL = 128         /* + the signal's number: stopped by it after a clean drain */
};

/* What came of the selected organizations. */
struct exit_facts {
	bool cannot_go_on;        /* the run ended before every organization had its turn */
	int signal;               /* that asked us to stop; 0: none */
	size_t selected;
	size_t failed;
	size_t credentials;       /* of the failed: refused or unsafe credentials */
	size_t reported;          /* done, but with something the operator has to look at */
	size_t deadline;
	size_t locked;
};

/* Where several apply: 1, 130/143, 4 (12 where every failure is a credential), 3, 10, 11, 0. */
int exit_code(const struct exit_facts *facts);

#endif
