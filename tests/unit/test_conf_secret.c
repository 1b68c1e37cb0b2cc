/* conf_secret_read(): each kind, what is refused, and what a command gets and does not get. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/conf/secret.h"
#include "tests/unit/conf_support.h"

#define CANARY "geheim-4711"

static struct conf_secret
secret_of(enum conf_secret_kind kind, const char *value)
{
	return (struct conf_secret){ .kind = kind, .value = (char *)(uintptr_t)value };
}

/* Reads; the result must be `wanted`. */
static void
expect(struct conf_secret secret, const char *wanted)
{
	struct buf b;
	struct err e;
	int result;

	err_clear(&e);
	buf_init(&b, CONF_SECRET_MAX);
	result = conf_secret_read(&secret, &b, &e);
	ck_assert_msg(result == 0, "%s", e.text);
	ck_assert(!err_is(&e));
	ck_assert_uint_eq(b.len, strlen(wanted));
	ck_assert_mem_eq(b.data, wanted, b.len);
	buf_wipe(&b);
}

/* Reads; it must fail for this reason, and neither text nor buffer holds anything of the secret. */
static void
refuse(struct conf_secret secret, const char *why)
{
	struct buf b;
	struct err e;

	err_clear(&e);
	buf_init(&b, CONF_SECRET_MAX);
	ck_assert_int_eq(conf_secret_read(&secret, &b, &e), -1);
	ck_assert_int_eq(e.code, ERR_SECRET);
	ck_assert_int_eq(e.scope, ERR_SCOPE_ORGANIZATION);
	ck_assert_int_eq(e.retry, ERR_RETRY_OPERATOR);
	ck_assert_msg(strstr(e.text, why) != NULL, "wanted %s, got %s", why, e.text);
	ck_assert_str_ne(e.hint, "");
	ck_assert_ptr_null(strstr(e.text, "geheim"));
	ck_assert_ptr_null(strstr(e.hint, "geheim"));
	ck_assert_uint_eq(b.len, 0);
	if (b.size > 0)
		ck_assert_ptr_null(memmem(b.data, b.size, "geheim", 6));
	buf_wipe(&b);
}

static void
expect_command(const char *const *argv, const char *wanted)
{
	expect((struct conf_secret){ .kind = CONF_SECRET_COMMAND, .argv = (char **)(uintptr_t)argv }, wanted);
}

static void
refuse_command(const char *const *argv, const char *why)
{
	refuse((struct conf_secret){ .kind = CONF_SECRET_COMMAND, .argv = (char **)(uintptr_t)argv }, why);
}

#define ARGV(...) (const char *const[]){ __VA_ARGS__, NULL }

START_TEST(test_plain)
{
	expect(secret_of(CONF_SECRET_PLAIN, CANARY), CANARY);
	refuse(secret_of(CONF_SECRET_PLAIN, ""), "empty");
	refuse(secret_of(CONF_SECRET_NONE, NULL), "no secret");
}
END_TEST

START_TEST(test_env)
{
	setenv("T_SECRET", CANARY, 1);
	expect(secret_of(CONF_SECRET_ENV, "T_SECRET"), CANARY);
	setenv("T_SECRET", "", 1);
	refuse(secret_of(CONF_SECRET_ENV, "T_SECRET"), "variable T_SECRET is empty");
	unsetenv("T_SECRET");
	refuse(secret_of(CONF_SECRET_ENV, "T_SECRET"), "variable T_SECRET is not set");
	setenv("T_SECRET", "geheim\ngeheim", 1);
	refuse(secret_of(CONF_SECRET_ENV, "T_SECRET"), "more than one line");
}
END_TEST

START_TEST(test_file_contents)
{
	static const struct { const char *text; size_t len; const char *secret, *why; } files[] = {
		{ CANARY, 11, CANARY, NULL },
		{ CANARY "\n", 12, CANARY, NULL },
		{ CANARY "\r\n", 13, CANARY, NULL },
		{ " geheim ", 8, " geheim ", NULL },
		{ "gehe\303\274m", 7, "gehe\303\274m", NULL },
		{ "", 0, NULL, "empty" },
		{ "\n", 1, NULL, "empty" },
		{ CANARY "\n\n", 13, NULL, "more than one line" },
		{ CANARY "\nuser: x\n", 20, NULL, "more than one line" },
		{ "geheim\0geheim", 13, NULL, "control character" },
		{ "geheim\tx", 8, NULL, "control character" },
		{ "geheim\r", 7, NULL, "control character" },
		{ "geheim\177", 7, NULL, "control character" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		const char *path = dir_write("secret", files[i].text, files[i].len, 0600);

		if (files[i].secret != NULL)
			expect(secret_of(CONF_SECRET_FILE, path), files[i].secret);
		else
			refuse(secret_of(CONF_SECRET_FILE, path), files[i].why);
	}
}
END_TEST

START_TEST(test_file_size)
{
	char *text = malloc(CONF_SECRET_MAX + 2);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', CONF_SECRET_MAX + 1);
	text[CONF_SECRET_MAX + 1] = '\0';
	refuse(secret_of(CONF_SECRET_FILE, dir_put("secret", text)), "longer than 65536 bytes");
	refuse(secret_of(CONF_SECRET_PLAIN, text), "longer than 65536 bytes");
	text[CONF_SECRET_MAX] = '\0';
	expect(secret_of(CONF_SECRET_FILE, dir_put("secret", text)), text);
	free(text);
}
END_TEST

START_TEST(test_file_refused)
{
	static const mode_t bad[] = { 0640, 0604, 0644, 0660, 0620, 0602, 0610, 0601, 0777 };
	static const mode_t good[] = { 0600, 0400, 0700, 0500 };
	const char *path;
	char mode[20];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		path = dir_write("secret", CANARY, 11, bad[i]);
		snprintf(mode, sizeof(mode), "(mode %04o)", (unsigned)bad[i]);
		refuse(secret_of(CONF_SECRET_FILE, path), mode);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		expect(secret_of(CONF_SECRET_FILE, dir_write("secret", CANARY, 11, good[i])), CANARY);
	/* A link is taken (/run/secrets is made of them); what it leads to is what counts. */
	ck_assert_int_eq(symlink("secret", dir_file("link")), 0);
	expect(secret_of(CONF_SECRET_FILE, dir_file("link")), CANARY);
	dir_write("secret", CANARY, 11, 0644);
	refuse(secret_of(CONF_SECRET_FILE, dir_file("link")), "(mode 0644)");
	refuse(secret_of(CONF_SECRET_FILE, dir_file("missing")), "No such file");
	refuse(secret_of(CONF_SECRET_FILE, dir_path()), "not a regular file");
	ck_assert_int_eq(mkfifo(dir_file("fifo"), 0600), 0);
	refuse(secret_of(CONF_SECRET_FILE, dir_file("fifo")), "not a regular file");
	if (geteuid() == 0) {
		path = dir_write("secret", CANARY, 11, 0600);
		ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
		refuse(secret_of(CONF_SECRET_FILE, path), "belongs to user 12345");
	}
}
END_TEST

START_TEST(test_systemd)
{
	unsetenv("CREDENTIALS_DIRECTORY");
	refuse(secret_of(CONF_SECRET_SYSTEMD, "acme"), "$CREDENTIALS_DIRECTORY is not set");
	setenv("CREDENTIALS_DIRECTORY", dir_path(), 1);
	refuse(secret_of(CONF_SECRET_SYSTEMD, "acme"), "No such file");
	/* systemd shows the mask of its access list as group bits. */
	dir_write("acme", CANARY, 11, 0440);
	expect(secret_of(CONF_SECRET_SYSTEMD, "acme"), CANARY);
}
END_TEST

START_TEST(test_command)
{
	expect_command(ARGV("printf", CANARY "\\n"), CANARY);
	/* No shell: these are just arguments. */
	expect_command(ARGV("printf", "%s|", "a b", "$HOME", ";id", "`id`", "*"), "a b|$HOME|;id|`id`|*|");
	/* Standard input is empty, standard error goes nowhere. */
	expect_command(ARGV("sh", "-c", "cat; echo noise >&2; echo x"), "x");
	refuse_command(ARGV("sh", "-c", "echo geheim; exit 3"), "exit status 3");
	refuse_command(ARGV("sh", "-c", "echo geheim; kill -9 $$"), "signal 9");
}
END_TEST

START_TEST(test_command_refused)
{
	/* valgrind makes a fork() of vfork(), and posix_spawn() no longer hears why nothing could be run. */
	if (getenv("MEMCHECK") == NULL) {
		refuse_command(ARGV("/nowhere/program", "geheim"), "/nowhere/program cannot be run: No such file");
		refuse_command(ARGV(dir_put("script", "#!/bin/sh\n"), "geheim"), "Permission denied");
	}
	refuse_command(ARGV("true"), "empty");
	refuse_command(ARGV("printf", "geheim\\ngeheim\\n"), "more than one line");
	refuse_command(ARGV("yes", "geheim"), "gave more than 65536 bytes");
}
END_TEST

/* Neither a variable that holds a secret of the configuration nor one of orgsync's own. */
START_TEST(test_command_environment)
{
	const char *const hidden[] = { "T_A", "T_SECRET", "T_Z", NULL };
	const char *const argv[] = { "sh", "-c", "echo \"$T_SECRET/$T_SECRET2/$ORGSYNC_X/$T_OTHER\"", NULL };
	struct conf_secret secret = { .kind = CONF_SECRET_COMMAND, .argv = (char **)(uintptr_t)argv };

	setenv("T_SECRET", "a", 1);
	setenv("T_SECRET2", "b", 1);
	setenv("ORGSYNC_X", "c", 1);
	setenv("T_OTHER", "d", 1);
	expect(secret, "a/b//d");
	secret.hidden = hidden;
	expect(secret, "/b//d");
}
END_TEST

/* conf_load() hides the variables of every organization from the commands of every other. */
START_TEST(test_hidden_by_load)
{
	struct conf *conf;
	char *findings;

	setenv("T_ONE", "1", 1);
	setenv("T_TWO", "2", 1);
	setenv("T_THREE", "3", 1);
	findings = findings_of(HEAD "defaults: {private_key: {env: T_THREE}}\norganizations:\n"
		"  - {name: a, org_id: 32b6e34b3d91647abb20e7b1, client_id: i, client_secret: {env: T_TWO}}\n"
		"  - {name: b, org_id: 32b6e34b3d91647abb20e7b2, client_id: i, client_secret: {env: T_ONE}}\n"
		"  - {name: c, org_id: 32b6e34b3d91647abb20e7b3, client_id: i, client_secret: {env: T_ONE}}\n"
		"  - {name: d, org_id: 32b6e34b3d91647abb20e7b4, client_id: i, client_secret:\n"
		"      {command: [sh, -c, 'echo \"$T_ONE/$T_TWO/$T_THREE/\"']}}\n", &conf);
	ck_assert_str_eq(findings, "");
	ck_assert_ptr_nonnull(conf);
	ck_assert_str_eq(conf->orgs[3].client_secret.hidden[0], "T_ONE");
	ck_assert_str_eq(conf->orgs[3].client_secret.hidden[1], "T_THREE");
	ck_assert_str_eq(conf->orgs[3].client_secret.hidden[2], "T_TWO");
	ck_assert_ptr_null(conf->orgs[3].client_secret.hidden[3]);
	expect(conf->orgs[3].client_secret, "///");
	free(findings);
	conf_free(conf);
}
END_TEST

/* What runs too long is killed with all it started; so is what has closed its output and goes on. */
START_TEST(test_command_timeout)
{
	static const char *const scripts[] = {
		"echo $$ >\"$1\"; echo geheim; sleep 600 & sleep 600; :",
		"echo $$ >\"$1\"; exec >&-; sleep 600; :",
		"echo $$ >\"$1\"; trap '' TERM INT HUP; while :; do sleep 600; done"
	};

	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		const char *path = dir_put("pid", "");
		const char *const argv[] = { "sh", "-c", scripts[i], "sh", path, NULL };
		struct command command = { (char *const *)(uintptr_t)argv, NULL, 300 };
		int64_t before = clock_mono_ms(&clock_system), took;
		struct buf b;
		struct err e;
		FILE *file;
		int pid = 0, tries = 0;

		err_clear(&e);
		buf_init(&b, CONF_SECRET_MAX);
		ck_assert_int_eq(command_read(&command, &b, &e), -1);
		took = clock_mono_ms(&clock_system) - before;
		ck_assert_msg(strstr(e.text, "did not end within 300 ms") != NULL, "%s", e.text);
		ck_assert_msg(took >= 290 && took < 20000, "%lld ms", (long long)took);
		buf_wipe(&b);
		file = fopen(path, "r");
		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
		fclose(file);
		ck_assert_int_gt(pid, 1);
		/* Killed means killed; that init has reaped the orphans may take it a moment. */
		while (kill(-pid, 0) == 0 && tries++ < 1000)
			usleep(2000);
		ck_assert_int_lt(tries, 1000);
	}
}
END_TEST

/* Signals that orgsync blocks for its waiting thread, or ignores, work in the command. */
START_TEST(test_command_signals)
{
	sigset_t block, old;

	sigfillset(&block);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &block, &old), 0);
	signal(SIGPIPE, SIG_IGN);
	refuse_command(ARGV("sh", "-c", "echo geheim; kill -TERM $$; sleep 5"), "signal 15");
	refuse_command(ARGV("sh", "-c", "kill -PIPE $$; sleep 5"), "signal 13");
	signal(SIGPIPE, SIG_DFL);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}
END_TEST

static void *
read_some(void *arg)
{
	const char *const argv[] = { "printf", arg, NULL };
	struct conf_secret secret = { .kind = CONF_SECRET_COMMAND, .argv = (char **)(uintptr_t)argv };
	long wrong = 0;

	for (int i = 0; i < 10; i++) {
		struct buf b;
		struct err e;

		err_clear(&e);
		buf_init(&b, CONF_SECRET_MAX);
		if (conf_secret_read(&secret, &b, &e) != 0 || b.len != strlen(arg) ||
		    memcmp(b.data, arg, b.len) != 0)
			wrong++;
		buf_wipe(&b);
	}
	return (void *)wrong;
}

START_TEST(test_threads)
{
	static char names[6][8] = { "s-one", "s-two", "s-three", "s-four", "s-five", "s-six" };
	pthread_t threads[6];
	void *wrong;

	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_some, names[i]), 0);
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

/* conf_load() finds what reading would find, for each organization that is not disabled. */
START_TEST(test_checked_by_load)
{
	struct conf *conf;
	char *findings;

	unsetenv("T_NONE");
	setenv("T_EMPTY", "", 1);
	setenv("CREDENTIALS_DIRECTORY", dir_path(), 1);
	dir_write("open", CANARY, 11, 0644);
	dir_write("good", CANARY, 11, 0600);
	findings = findings_of(HEAD "defaults: {private_key: {file: open}}\norganizations:\n"
		"  - {name: a, org_id: 32b6e34b3d91647abb20e7b1, client_id: i, client_secret: {env: T_NONE}}\n"
		"  - {name: b, org_id: 32b6e34b3d91647abb20e7b2, client_id: i, client_secret: {env: T_EMPTY}}\n"
		"  - {name: c, org_id: 32b6e34b3d91647abb20e7b3, client_id: i, client_secret: {file: open}}\n"
		"  - {name: d, org_id: 32b6e34b3d91647abb20e7b4, client_id: i, client_secret: {file: none}}\n"
		"  - {name: e, org_id: 32b6e34b3d91647abb20e7b5, client_id: i, client_secret: {systemd: none}}\n"
		"  - {name: f, org_id: 32b6e34b3d91647abb20e7b6, client_id: i, client_secret: {systemd: good}}\n"
		"  - {name: g, org_id: 32b6e34b3d91647abb20e7b7, client_id: i, client_secret: {file: good}}\n"
		"  - {name: h, org_id: 32b6e34b3d91647abb20e7b8, client_id: i, client_secret: {file: open},\n"
		"     disabled: true}\n", &conf);
	ck_assert_ptr_null(conf);
	ck_assert_str_eq(findings,
		"c.yaml:3:25: error: private_key: secret file open can be reached by others than its owner "
		"(mode 0644); chmod 600 open\n"
		"c.yaml:5:78: error: client_secret: environment variable T_NONE is not set\n"
		"c.yaml:6:78: error: client_secret: environment variable T_EMPTY is empty\n"
		"c.yaml:7:78: error: client_secret: secret file open can be reached by others than its owner "
		"(mode 0644); chmod 600 open\n"
		"c.yaml:8:78: error: client_secret: secret file none cannot be read: No such file or directory\n"
		"c.yaml:9:78: error: client_secret: secret file none cannot be read: No such file or directory\n");
	free(findings);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_secret");
	TCase *tc = tcase_create("secret");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, NULL, dir_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_plain);
	tcase_add_test(tc, test_env);
	tcase_add_test(tc, test_file_contents);
	tcase_add_test(tc, test_file_size);
	tcase_add_test(tc, test_file_refused);
	tcase_add_test(tc, test_systemd);
	tcase_add_test(tc, test_command);
	tcase_add_test(tc, test_command_refused);
	tcase_add_test(tc, test_command_environment);
	tcase_add_test(tc, test_hidden_by_load);
	tcase_add_test(tc, test_command_timeout);
	tcase_add_test(tc, test_command_signals);
	tcase_add_test(tc, test_threads);
	tcase_add_test(tc, test_checked_by_load);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
