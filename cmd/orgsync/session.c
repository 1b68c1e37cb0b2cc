#include "cmd/orgsync/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/text.h"
#include "lib/base/clock.h"

#define PLACES 3

static void
say(const char *text)
{
	char *clean = text_clean(text);

	/* Without memory as it is: what comes here is one line without control characters already. */
	fprintf(stderr, "%s\n", clean != NULL ? clean : text);
	free(clean);
}

void
say_err(const struct err *e)
{
	char line[sizeof(e->text) + sizeof(e->hint) + 16];

	snprintf(line, sizeof(line), "orgsync: %s", e->text);
	say(line);
	if (e->hint[0] != '\0') {
		snprintf(line, sizeof(line), "orgsync: %s", e->hint);
		say(line);
	}
}

/* Where a configuration is looked for without --config; entries may be NULL. */
static void
places(char **ret_places)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char *user = NULL;

	/* A relative XDG_CONFIG_HOME is to be ignored, says its specification. */
	if (xdg != NULL && *xdg == '/') {
		if (asprintf(&user, "%s/orgsync/orgsync.yaml", xdg) < 0)
			user = NULL;
	} else if (home != NULL && *home != '\0') {
		if (asprintf(&user, "%s/.config/orgsync/orgsync.yaml", home) < 0)
			user = NULL;
	}
	ret_places[0] = strdup("./orgsync.yaml");
	ret_places[1] = user;
	ret_places[2] = strdup("/etc/orgsync/orgsync.yaml");
}

/* The first place where there is a file, the caller's to free(); NULL, having said so, where there is
 * none. A file that is there and cannot be read is the one: it must not be passed over in silence. */
static char *
find_config(void)
{
	char *all[PLACES], *found = NULL;

	places(all);
	for (size_t i = 0; i < PLACES && found == NULL; i++)
		if (all[i] != NULL && (access(all[i], F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))) {
			found = all[i];
			all[i] = NULL;
		}
	if (found == NULL) {
		fputs("orgsync: no configuration; looked at:\n", stderr);
		for (size_t i = 0; i < PLACES; i++)
			if (all[i] != NULL)
				fprintf(stderr, "  %s\n", all[i]);
		fputs("Name one with --config FILE, or begin with: orgsync config init orgsync.yaml\n", stderr);
	}
	for (size_t i = 0; i < PLACES; i++)
		free(all[i]);
	return found;
}

int
session_load(const struct cli *cli, enum session_use use, struct session *ret)
{
	struct conf_findings findings = { 0 };
	struct session s = { 0 };
	char errors[HUMAN_LEN];
	int code = EXIT_NOT_ATTEMPTED;

	s.now_s = clock_wall_s(&clock_system);
	s.path = cli->config != NULL ? strdup(cli->config) : find_config();
	if (s.path == NULL && cli->config != NULL) {
		fputs("orgsync: out of memory\n", stderr);
		return EXIT_CANNOT_GO_ON;
	}
	if (s.path == NULL)
		return EXIT_NOT_ATTEMPTED;
	s.conf = use == SESSION_ASKS ? conf_load(s.path, s.now_s, &findings)
	                             : conf_load_offline(s.path, s.now_s, &findings);
	if (s.conf == NULL || !cli->quiet)
		for (size_t i = 0; i < findings.n; i++)
			say(findings.lines[i]);
	if (s.conf == NULL && findings.n_errors == 0) {
		fprintf(stderr, "orgsync: cannot read %s: out of memory\n", s.path);
		code = EXIT_CANNOT_GO_ON;
	} else if (s.conf == NULL)
		fprintf(stderr, "orgsync: %s in the configuration; nothing was done\n",
		        human_count(findings.n_errors, "error", errors));
	conf_findings_free(&findings);
	if (s.conf == NULL) {
		session_close(&s);
		return code;
	}
	for (size_t i = 0; i < s.conf->n_orgs; i++)
		s.n_disabled += s.conf->orgs[i].disabled != NULL;
	*ret = s;
	return 0;
}

int
session_open(const struct cli *cli, enum session_use use, struct session *ret)
{
	struct session s;
	struct err e;
	int code = session_load(cli, use, &s);

	if (code != 0)
		return code;
	err_clear(&e);
	s.orgs = calloc(s.conf->n_orgs + 1, sizeof(*s.orgs));
	if (s.orgs == NULL) {
		err_set_errno(&e, ENOMEM, "cannot select the organizations");
		code = EXIT_CANNOT_GO_ON;
	} else if (conf_select(s.conf, &cli->selection, s.orgs, &s.n_orgs, &e) != 0) {
		code = EXIT_NOT_ATTEMPTED;
	}
	if (code != 0) {
		say_err(&e);
		session_close(&s);
		return code;
	}
	if (s.n_orgs == 0)
		fputs("orgsync: every organization is disabled; there is nothing to do\n", stderr);
	*ret = s;
	return 0;
}

void
session_close(struct session *s)
{
	free(s->orgs);
	conf_free(s->conf);
	free(s->path);
	memset(s, 0, sizeof(*s));
}

void
session_count(const struct session *s, const struct cli *cli)
{
	char read[HUMAN_LEN], disabled[HUMAN_LEN], selected[HUMAN_LEN];

	if (!cli->quiet)
		fprintf(stderr, "%s read, %s disabled, %s selected\n",
		        human_count(s->conf->n_orgs, "organization", read), human_number(s->n_disabled, disabled),
		        human_number(s->n_orgs, selected));
}

int
results_end(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "orgsync: cannot write the results: %s\n", strerror(errno));
	return code == 0 ? EXIT_CANNOT_GO_ON : code;
}
