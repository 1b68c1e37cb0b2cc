#include "cmd/orgsync/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/human.h"
#include "cmd/orgsync/session.h"
#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/conf/suggest.h"

#define TEXT_CAP (64u << 20)

static int
validate(const struct cli *cli)
{
	char organizations[HUMAN_LEN], disabled[HUMAN_LEN];
	struct session s;
	int code = session_load(cli, SESSION_ASKS, &s);

	if (code != 0)
		return code;
	if (!cli->quiet)
		printf("%s: %s, %s disabled: no error\n", s.path,
		       human_count(s.conf->n_orgs, "organization", organizations),
		       human_number(s.n_disabled, disabled));
	session_close(&s);
	return results_end(EXIT_UP_TO_DATE);
}

static int
print_buf(struct buf *b, int failed)
{
	if (failed)
		fputs("orgsync: no memory\n", stderr);
	else if (b->len > 0)
		fwrite(b->data, 1, b->len, stdout);
	buf_free(b);
	return failed ? EXIT_CANNOT_GO_ON : results_end(EXIT_UP_TO_DATE);
}

static int
show(const struct cli *cli)
{
	struct session s;
	struct buf b;
	int code = session_load(cli, SESSION_ASKS, &s), failed;

	if (code != 0)
		return code;
	buf_init(&b, TEXT_CAP);
	failed = conf_show(s.conf, &b) != 0;
	session_close(&s);
	return print_buf(&b, failed);
}

static int
schema(void)
{
	struct buf b;

	buf_init(&b, TEXT_CAP);
	return print_buf(&b, conf_schema(&b) != 0);
}

/* A new file that its owner alone can read; an old one is never touched. */
static int
init(const char *path)
{
	const char *text = conf_example();
	struct err e;
	int fd;

	if (path == NULL) {
		fputs(text, stdout);
		return results_end(EXIT_UP_TO_DATE);
	}
	err_clear(&e);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return usage_error("%s is there already, and stays as it is", path);
	if (fd < 0) {
		err_set_errno(&e, errno, "%s: cannot make the file", path);
		say_err(&e);
		return EXIT_NOT_ATTEMPTED;
	}
	if (file_write(fd, text, strlen(text), path, &e) != 0 || file_sync(fd, path, &e) != 0) {
		unlink(path);
		say_err(&e);
		close(fd);
		return EXIT_CANNOT_GO_ON;
	}
	close(fd);
	printf("%s is made: fill in your organizations, then: orgsync config validate -c %s\n", path, path);
	return results_end(EXIT_UP_TO_DATE);
}

int
cmd_config(const struct cli *cli)
{
	static const char *const names[] = { "validate", "show", "init", "schema" };
	const char *word = cli->words[0];
	struct suggest near;

	if (cli->n_words > 1 && strcmp(word, "init") != 0)
		return usage_error("config %s: \"%s\" is too much%s", word, cli->words[1],
		                   strcmp(word, "schema") == 0 ? "" : "; name a configuration with --config FILE");
	if (strcmp(word, "validate") == 0)
		return validate(cli);
	if (strcmp(word, "show") == 0)
		return show(cli);
	if (strcmp(word, "schema") == 0)
		return schema();
	if (strcmp(word, "init") == 0)
		return init(cli->n_words > 1 ? cli->words[1] : NULL);
	suggest_begin(&near, word, strlen(word));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		suggest_offer(&near, names[i]);
	if (near.best != NULL)
		return usage_error("unknown command \"config %s\"; did you mean \"config %s\"?", word, near.best);
	return usage_error("unknown command \"config %s\"; there are validate, show, init and schema", word);
}
