/* The configuration: lib/conf. The input is the text of the main file; beside it lie "d/a.yaml" and "d/b.yaml" to be
 * included and a "secret". Files elsewhere are not there (the linker sends open() and glob() here), so that
 * an input is the same on every machine. Commands that give secrets are not run by loading. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 16384
#define SHOWN_MAX ((size_t)4 << 20)
#define FINDINGS_MAX 10001
#define SECRET_LEN 12    /* a shorter one may well stand elsewhere too */

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __real_glob(const char *pattern, int flags, int (*failed)(const char *path, int error), glob_t *ret);
int __wrap_glob(const char *pattern, int flags, int (*failed)(const char *path, int error), glob_t *ret);

static bool
is_ours(const char *path)
{
	size_t len = strlen(fuzz_dir());

	return strncmp(path, fuzz_dir(), len) == 0 && path[len] == '/' && strstr(path, "..") == NULL;
}

int
__wrap_open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if (!is_ours(path)) {
		errno = ENOENT;
		return -1;
	}
	if (flags & O_CREAT) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return __real_open(path, flags, mode);
}

int
__wrap_glob(const char *pattern, int flags, int (*failed)(const char *path, int error), glob_t *ret)
{
	return is_ours(pattern) ? __real_glob(pattern, flags, failed, ret) : GLOB_NOMATCH;
}

static void
set_up(void)
{
	static const char a[] = "organizations:\n- {name: a1, org_id: 32b6e34b3d91647abb20e701, public_key: k, "
	                        "private_key: {file: ../secret}}\n";
	static const char b[] = "organizations:\n- {name: b1, org_id: 32b6e34b3d91647abb20e702, public_key: k, "
	                        "private_key: {env: ORGSYNC_FUZZ}}\n- *x\n";
	static bool done;

	if (done)
		return;
	fuzz_write("d/a.yaml", a, sizeof(a) - 1);
	fuzz_write("d/b.yaml", b, sizeof(b) - 1);
	fuzz_write("secret", "abc\n", 4);
	setenv("ORGSYNC_FUZZ", "abc", 1);
	unsetenv("CREDENTIALS_DIRECTORY");
	done = true;
}

/* The place in the input, where it stands there just once; else NULL. */
static bool
stands_once(const char *secret, const uint8_t *data, size_t size)
{
	const uint8_t *first = memmem(data, size, secret, strlen(secret));
	size_t at = first == NULL ? size : (size_t)(first - data) + 1;

	return first != NULL && memmem(data + at, size - at, secret, strlen(secret)) == NULL;
}

static void
check_hidden(const struct conf_secret *secret, const struct conf_findings *f, const struct buf *shown,
             const uint8_t *data, size_t size)
{
	size_t len;

	if (secret->kind != CONF_SECRET_PLAIN || strcmp(secret->value, "(redacted)") == 0)
		return;
	len = strlen(secret->value);
	if (len < SECRET_LEN || !stands_once(secret->value, data, size))
		return;
	MUST(memmem(shown->data, shown->len, secret->value, len) == NULL);
	for (size_t i = 0; i < f->n; i++)
		MUST(strstr(f->lines[i], secret->value) == NULL);
}

static void
check_findings(const struct conf *conf, const struct conf_findings *f)
{
	MUST((conf == NULL) == (f->n_errors > 0) && f->n <= FINDINGS_MAX);
	for (size_t i = 0; i < f->n; i++)
		MUST(f->lines[i] != NULL && fuzz_is_line(f->lines[i]) &&
		     (strstr(f->lines[i], ": error: ") != NULL || strstr(f->lines[i], ": warning: ") != NULL));
}

/* What is shown is taken again, and shown the same. */
static void
check_shown(const struct buf *shown)
{
	char path[240];
	struct conf_findings f;
	struct conf *conf;
	struct buf again;

	fuzz_write("shown.yaml", shown->data, shown->len);
	snprintf(path, sizeof(path), "%s/shown.yaml", fuzz_dir());
	conf = conf_load_offline(path, FUZZ_NOW_S, &f);
	if (conf == NULL)
		for (size_t i = 0; i < f.n; i++)
			fprintf(stderr, "%s\n", f.lines[i]);
	MUST(conf != NULL);
	buf_init(&again, SHOWN_MAX);
	MUST(conf_show(conf, &again) == 0);
	MUST(again.len == shown->len && memcmp(again.data, shown->data, again.len) == 0);
	buf_free(&again);
	conf_free(conf);
	conf_findings_free(&f);
}

static void
check_conf(const struct conf *conf, const struct conf_findings *f, const uint8_t *data, size_t size)
{
	struct buf shown;

	buf_init(&shown, SHOWN_MAX);
	MUST(conf->n_orgs > 0 && conf_show(conf, &shown) == 0);
	for (size_t i = 0; i < conf->n_orgs; i++) {
		check_hidden(&conf->orgs[i].client_secret, f, &shown, data, size);
		check_hidden(&conf->orgs[i].private_key, f, &shown, data, size);
	}
	check_shown(&shown);
	buf_free(&shown);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_findings f, offline_f;
	struct conf *conf, *offline;
	char path[240];

	if (size > INPUT_MAX)
		return 0;
	set_up();
	fuzz_write("c.yaml", data, size);
	snprintf(path, sizeof(path), "%s/c.yaml", fuzz_dir());
	conf = conf_load(path, FUZZ_NOW_S, &f);
	check_findings(conf, &f);
	offline = conf_load_offline(path, FUZZ_NOW_S, &offline_f);
	check_findings(offline, &offline_f);
	MUST(conf == NULL || offline != NULL); /* it looks at less */
	if (conf != NULL)
		check_conf(conf, &f, data, size);
	conf_free(conf);
	conf_free(offline);
	conf_findings_free(&f);
	conf_findings_free(&offline_f);
	return 0;
}
