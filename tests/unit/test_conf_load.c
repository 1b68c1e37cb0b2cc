/* conf_load(): what is said of every kind of mistake, to the letter; files, includes and limits; and that
 * each key lands where it belongs. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/conf/keys.h"
#include "lib/conf/yaml.h"
#include "tests/unit/conf_support.h"

static const struct { const char *yaml, *findings; } cases[] = {
#include "tests/unit/conf_cases.inc"
};

static void
setup(void)
{
	setenv("HOME", "/home/someone", 1);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* The findings of text, which must be these. */
static void
expect(const char *text, const char *findings)
{
	struct conf *conf;
	char *got = findings_of(text, &conf);

	ck_assert_msg(strcmp(got, findings) == 0, "for\n%s\nwanted\n%s\ngot\n%s", text, findings, got);
	free(got);
	conf_free(conf);
}

static struct conf *
load(const char *text)
{
	struct conf *conf;
	char *got = findings_of(text, &conf);

	ck_assert_msg(conf != NULL && got[0] == '\0', "for\n%s\ngot\n%s", text, got);
	free(got);
	return conf;
}

START_TEST(test_findings)
{
	expect(cases[_i].yaml, cases[_i].findings);
}
END_TEST

/* ---- where values land ---- */

START_TEST(test_defaults)
{
	struct conf *conf = load(HEAD "organizations:\n" ORG_A "}\n");
	const struct conf_org *org = &conf->orgs[0];

	ck_assert_str_eq(conf->base_url, "https://cloud.mongodb.com");
	ck_assert_int_eq(conf->api, CONF_API_V2);
	ck_assert_ptr_null(conf->ca_file);
	ck_assert_ptr_null(conf->proxy);
	ck_assert_str_eq(conf->directory, dir_file("out"));
	ck_assert_int_eq(conf->compression, CONF_COMPRESSION_NONE);
	ck_assert_int_eq(conf->workers, 4);
	ck_assert_int_eq(conf->in_flight, 64);
	ck_assert_int_eq(conf->requests_per_minute, 0);
	ck_assert_int_eq(conf->deadline_s, 0);
	ck_assert_int_eq(conf->backfill_share, 50);
	ck_assert_int_eq(conf->connect_timeout_ms, 15000);
	ck_assert_int_eq(conf->silence_timeout_ms, 60000);
	ck_assert_int_eq(conf->answer_timeout_ms, 300000);
	ck_assert_int_eq(conf->retries, 5);
	ck_assert_int_eq(conf->backoff_ms, 1000);
	ck_assert_int_eq(conf->outage_wait_ms, 60000);
	ck_assert_int_eq(conf->memory_bytes, 1 << 30);
	ck_assert_int_eq(conf->organization_memory_bytes, 256 << 20);
	ck_assert_uint_eq(conf->n_orgs, 1);
	ck_assert_str_eq(org->name, "acme");
	ck_assert_str_eq(org->org_id, "32b6e34b3d91647abb20e7b8");
	ck_assert_str_eq(org->client_id, "i");
	ck_assert_int_eq(org->client_secret.kind, CONF_SECRET_PLAIN);
	ck_assert_str_eq(org->client_secret.value, "s");
	ck_assert_ptr_null(org->public_key);
	ck_assert_int_eq(org->private_key.kind, CONF_SECRET_NONE);
	ck_assert_int_eq(org->start, CONF_START_NONE);
	ck_assert_int_eq(org->settle_s, 120);
	ck_assert_int_eq(org->overlap_s, 3600);
	ck_assert(org->include_raw);
	ck_assert_ptr_null(org->event_types);
	ck_assert_uint_eq(org->n_event_types, 0);
	ck_assert_uint_eq(org->n_tags, 0);
	ck_assert_int_eq(org->priority, 0);
	ck_assert_int_eq(org->requests_per_minute, 0);
	ck_assert_ptr_null(org->disabled);
	ck_assert_str_eq(org->pos.file, dir_file("c.yaml"));
	ck_assert_uint_eq(org->pos.line, 4);
	ck_assert_uint_eq(org->pos.column, 12);
	conf_free(conf);
}
END_TEST

START_TEST(test_main_keys)
{
	struct conf *conf;

	dir_put("ca.pem", "x");
	conf = load("version: 1\n"
	            "atlas: {base_url: 'HTTP://127.0.0.9:8080/proxy//', api: public-v1.0, ca_file: ca.pem,"
	            " proxy: 'socks5h://p.example.com:1080'}\n"
	            "output: {directory: ./a/b, compression: zstd}\n"
	            "limits: {workers: 64, in_flight: 4096, requests_per_minute: 1000000, deadline: 5h,"
	            " backfill_share: 100, connect_timeout: 100ms, silence_timeout: 10m, answer_timeout: 1h,"
	            " retries: 100, backoff: 1m, outage_wait: 1d, memory: 1024GiB, organization_memory: 256GiB}\n"
	            "organizations:\n" ORG_A "}\n");
	ck_assert_str_eq(conf->base_url, "HTTP://127.0.0.9:8080/proxy");
	ck_assert_int_eq(conf->api, CONF_API_PUBLIC_V1_0);
	ck_assert_str_eq(conf->ca_file, dir_file("ca.pem"));
	ck_assert_str_eq(conf->proxy, "socks5h://p.example.com:1080");
	ck_assert_str_eq(conf->directory, dir_file("a/b"));
	ck_assert_int_eq(conf->compression, CONF_COMPRESSION_ZSTD);
	ck_assert_int_eq(conf->workers, 64);
	ck_assert_int_eq(conf->in_flight, 4096);
	ck_assert_int_eq(conf->requests_per_minute, 1000000);
	ck_assert_int_eq(conf->deadline_s, 18000);
	ck_assert_int_eq(conf->backfill_share, 100);
	ck_assert_int_eq(conf->connect_timeout_ms, 100);
	ck_assert_int_eq(conf->silence_timeout_ms, 600000);
	ck_assert_int_eq(conf->answer_timeout_ms, 3600000);
	ck_assert_int_eq(conf->retries, 100);
	ck_assert_int_eq(conf->backoff_ms, 60000);
	ck_assert_int_eq(conf->outage_wait_ms, 86400000);
	ck_assert_int_eq(conf->memory_bytes, INT64_C(1) << 40);
	ck_assert_int_eq(conf->organization_memory_bytes, INT64_C(1) << 38);
	conf_free(conf);
	conf = load("version: 1\natlas: {base_url: 'http://[::1]:9', api: v1.0}\n"
	            "output: {directory: /x, compression: gzip}\n"
	            "limits: {workers: 1, in_flight: 1, deadline: 0, backfill_share: 1,"
	            " connect_timeout: 1250ms, silence_timeout: 100ms, answer_timeout: 100ms, retries: 0,"
	            " backoff: 10ms, outage_wait: 100ms, memory: 262144KiB}\n"
	            "organizations:\n" ORG_A "}\n");
	ck_assert_str_eq(conf->base_url, "http://[::1]:9");
	ck_assert_int_eq(conf->api, CONF_API_V1_0);
	ck_assert_str_eq(conf->directory, "/x");
	ck_assert_int_eq(conf->compression, CONF_COMPRESSION_GZIP);
	ck_assert_int_eq(conf->workers, 1);
	ck_assert_int_eq(conf->in_flight, 1);
	ck_assert_int_eq(conf->backfill_share, 1);
	ck_assert_int_eq(conf->connect_timeout_ms, 1250);
	ck_assert_int_eq(conf->silence_timeout_ms, 100);
	ck_assert_int_eq(conf->answer_timeout_ms, 100);
	ck_assert_int_eq(conf->retries, 0);
	ck_assert_int_eq(conf->backoff_ms, 10);
	ck_assert_int_eq(conf->outage_wait_ms, 100);
	ck_assert_int_eq(conf->memory_bytes, 256 << 20);
	ck_assert_int_eq(conf->organization_memory_bytes, 64 << 20);
	conf_free(conf);
}
END_TEST

/* Every key an organization or the defaults may hold, but name and org_id. */
#define ALL_KEYS \
	"client_id: mdb_sa_id_1, client_secret: {command: [printf, 'a b', \"c\\nd\"]}, public_key: abcdefgh," \
	" private_key: {file: key}, backfill_start_time: '2023-06-01T02:00:00.75+02:00', settle: 90s," \
	" overlap: 30d, include_raw: false, event_types: [B_2, A1, B_2], tags: [z, a.b-c_d, z, 7]," \
	" priority: -1000, requests_per_minute: 120, disabled: contract ended"

static void
check_all_keys(const struct conf_org *org)
{
	ck_assert_str_eq(org->client_id, "mdb_sa_id_1");
	ck_assert_int_eq(org->client_secret.kind, CONF_SECRET_COMMAND);
	ck_assert_str_eq(org->client_secret.argv[0], "printf");
	ck_assert_str_eq(org->client_secret.argv[1], "a b");
	ck_assert_str_eq(org->client_secret.argv[2], "c\nd");
	ck_assert_ptr_null(org->client_secret.argv[3]);
	ck_assert_ptr_null(org->client_secret.value);
	ck_assert_str_eq(org->public_key, "abcdefgh");
	ck_assert_int_eq(org->private_key.kind, CONF_SECRET_FILE);
	ck_assert_str_eq(org->private_key.value, dir_file("key"));
	ck_assert_int_eq(org->start, CONF_START_AT);
	ck_assert_int_eq(org->start_s, 1685577600);
	ck_assert_int_eq(org->settle_s, 90);
	ck_assert_int_eq(org->overlap_s, 30 * 86400);
	ck_assert(!org->include_raw);
	ck_assert_uint_eq(org->n_event_types, 2);
	ck_assert_str_eq(org->event_types[0], "A1");
	ck_assert_str_eq(org->event_types[1], "B_2");
	ck_assert_uint_eq(org->n_tags, 3);
	ck_assert_str_eq(org->tags[0], "z");
	ck_assert_str_eq(org->tags[1], "a.b-c_d");
	ck_assert_str_eq(org->tags[2], "7");
	ck_assert_int_eq(org->priority, -1000);
	ck_assert_int_eq(org->requests_per_minute, 120);
	ck_assert_str_eq(org->disabled, "contract ended");
}

START_TEST(test_org_keys)
{
	struct conf *conf;

	dir_put("key", "x");
	conf = load(HEAD "organizations:\n"
	            "  - {name: A-1.b_, org_id: 32B6E34B3D91647ABB20E7B8, " ALL_KEYS "}\n");
	check_all_keys(&conf->orgs[0]);
	ck_assert_str_eq(conf->orgs[0].name, "A-1.b_");
	ck_assert_str_eq(conf->orgs[0].org_id, "32b6e34b3d91647abb20e7b8");
	ck_assert_uint_eq(conf->orgs[0].client_secret.pos.line, 4);
	ck_assert_uint_eq(conf->orgs[0].client_secret.pos.column, 93);
	conf_free(conf);
}
END_TEST

/* Any key but name and org_id may stand under defaults, and an organization overrides each. */
START_TEST(test_defaults_apply)
{
	struct conf *conf;
	const struct conf_org *org;

	dir_put("key", "x");
	/* The order of the two in the file does not matter. */
	conf = load("organizations:\n"
	            "  - {name: a, org_id: 32b6e34b3d91647abb20e7b8}\n"
	            "  - {name: b, org_id: 32b6e34b3d91647abb20e7b9, client_id: c, client_secret: d,"
	            " backfill_start_time: all, settle: 0, overlap: 0s, include_raw: true, event_types: [C],"
	            " tags: [], priority: 1000, requests_per_minute: 0, disabled: false}\n"
	            "  - {name: c, org_id: 32b6e34b3d91647abb20e7ba, public_key: q, disabled: true}\n"
	            "defaults: {" ALL_KEYS "}\n" HEAD);
	check_all_keys(&conf->orgs[0]);
	org = &conf->orgs[1];
	ck_assert_str_eq(org->client_id, "c");
	ck_assert_str_eq(org->client_secret.value, "d");
	ck_assert_ptr_null(org->public_key);  /* the other kind is not taken over */
	ck_assert_int_eq(org->private_key.kind, CONF_SECRET_NONE);
	ck_assert_int_eq(org->start, CONF_START_ALL);
	ck_assert_int_eq(org->settle_s, 0);
	ck_assert_int_eq(org->overlap_s, 0);
	ck_assert(org->include_raw);
	ck_assert_uint_eq(org->n_event_types, 1);
	ck_assert_uint_eq(org->n_tags, 0);
	ck_assert_int_eq(org->priority, 1000);
	ck_assert_int_eq(org->requests_per_minute, 0);
	ck_assert_ptr_null(org->disabled);
	org = &conf->orgs[2];
	ck_assert_ptr_null(org->client_id);
	ck_assert_int_eq(org->client_secret.kind, CONF_SECRET_NONE);
	ck_assert_str_eq(org->public_key, "q");
	ck_assert_int_eq(org->private_key.kind, CONF_SECRET_FILE);
	ck_assert_str_eq(org->disabled, "disabled");
	conf_free(conf);
}
END_TEST

START_TEST(test_durations)
{
	static const struct { const char *text; int64_t seconds; } good[] = {
		{ "0", 0 }, { "'0'", 0 }, { "0s", 0 }, { "1s", 1 }, { "90s", 90 }, { "2m", 120 }, { "1h", 3600 },
		{ "1d", 86400 }, { "30d", 2592000 }, { "'720h'", 2592000 }
	};
	char text[300];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct conf *conf;

		snprintf(text, sizeof(text), HEAD "organizations:\n" ORG_A ", overlap: %s}\n", good[i].text);
		conf = load(text);
		ck_assert_int_eq(conf->orgs[0].overlap_s, good[i].seconds);
		conf_free(conf);
	}
}
END_TEST

START_TEST(test_merge_and_alias)
{
	struct conf *conf = load(HEAD "organizations:\n"
		"  - &a\n    name: acme\n    org_id: 32b6e34b3d91647abb20e7b8\n    client_id: &i id\n"
		"    client_secret: &s {command: [printf, x]}\n    tags: &t [x, *i]\n    settle: 1s\n"
		"  - <<: [*a, {overlap: 5s, settle: 9s}]\n    name: b\n    org_id: 32b6e34b3d91647abb20e7b9\n"
		"    priority: 4\n"
		"  - {name: c, org_id: 32b6e34b3d91647abb20e7ba, client_id: *i, client_secret: *s, tags: *t}\n");

	for (size_t i = 0; i < 3; i++) {
		ck_assert_str_eq(conf->orgs[i].client_id, "id");
		ck_assert_str_eq(conf->orgs[i].client_secret.argv[1], "x");
		ck_assert_uint_eq(conf->orgs[i].n_tags, 2);
	}
	ck_assert_str_eq(conf->orgs[1].name, "b");
	ck_assert_int_eq(conf->orgs[1].settle_s, 1);
	ck_assert_int_eq(conf->orgs[1].overlap_s, 5);
	ck_assert_int_eq(conf->orgs[1].priority, 4);
	ck_assert_uint_eq(conf->orgs[2].client_secret.pos.column, 79);  /* where the alias stands */
	conf_free(conf);
}
END_TEST

/* ---- files ---- */

#define ORG_FILE(name, id) "organizations: [{name: " name ", org_id: 32b6e34b3d91647abb20e7" id \
	", public_key: k, private_key: {file: key}}]\n"

START_TEST(test_include)
{
	struct conf *conf;

	dir_put("d[1]/orgs.d/key", "x");
	dir_put("d[1]/key", "x");
	dir_put("d[1]/orgs.d/b.yaml", ORG_FILE("b", "b2"));
	dir_put("d[1]/orgs.d/a.yaml", ORG_FILE("a", "b1"));
	dir_put("d[1]/orgs.d/empty.yaml", "organizations:\n");
	dir_put("d[1]/orgs.d/c.yml", "{}");
	dir_put("d[1]/last.yaml", ORG_FILE("last", "b9"));
	dir_put("d[1]/main.yaml", HEAD "include: [last.yaml, 'orgs.d/*.yaml', './none/*.yaml']\n"
	        ORG_FILE("first", "b0"));
	for (int relative = 0; relative < 2; relative++) {
		struct conf_findings f;
		char old[400];

		/* Relative paths of the configuration do not depend on where orgsync is started. */
		ck_assert_ptr_nonnull(getcwd(old, sizeof(old)));
		if (relative)
			ck_assert_int_eq(chdir(dir_path()), 0);
		conf = conf_load(relative ? "d[1]/main.yaml" : dir_file("d[1]/main.yaml"), NOW_S, &f);
		ck_assert_ptr_nonnull(conf);
		ck_assert_uint_eq(f.n_warnings, 1);
		ck_assert_ptr_nonnull(strstr(f.lines[0], "main.yaml:3:39: warning: include: ./none/*.yaml "
		                                         "matches no file"));
		ck_assert_uint_eq(conf->n_orgs, 4);
		ck_assert_str_eq(conf->orgs[0].name, "first");
		ck_assert_str_eq(conf->orgs[1].name, "last");
		ck_assert_str_eq(conf->orgs[2].name, "a");
		ck_assert_str_eq(conf->orgs[3].name, "b");
		ck_assert_str_eq(conf->orgs[0].private_key.value, dir_file("d[1]/key"));
		ck_assert_str_eq(conf->orgs[3].private_key.value, dir_file("d[1]/orgs.d/key"));
		ck_assert_str_eq(conf->orgs[3].pos.file,
		                 relative ? "d[1]/orgs.d/b.yaml" : dir_file("d[1]/orgs.d/b.yaml"));
		ck_assert_str_eq(conf->directory, dir_file("d[1]/out"));
		conf_free(conf);
		conf_findings_free(&f);
		ck_assert_int_eq(chdir(old), 0);
	}
}
END_TEST

START_TEST(test_include_mistakes)
{
	dir_put("ok.yaml", "organizations: [{name: x, org_id: 32b6e34b3d91647abb20e7b0, public_key: k, "
	                   "private_key: s}]\n");
	ck_assert_int_eq(symlink("ok.yaml", dir_file("link.yaml")), 0);
	dir_put("broken.yaml", "organizations: [\n");
	dir_put("list.yaml", "[]\n");
	dir_put("keys.yaml", "version: 1\norganizations: {}\ninclude: [x]\nzzz: 1\n");
	dir_put("twin.yaml", "organizations:\n" ORG_A "}\n");
	mkdir(dir_file("sub"), 0700);
	ck_assert_int_eq(mkfifo(dir_file("fifo"), 0600), 0);
	expect(HEAD "include: [ok.yaml, link.yaml, broken.yaml, list.yaml, keys.yaml, twin.yaml, sub, fifo,\n"
	       " c.yaml, nope.yaml, '~/x.yaml', 3.yaml, [x], '', 'no*']\norganizations:\n" ORG_A ", zzz: 1}\n",
	       "c.yaml:3:20: error: link.yaml is read twice; before as ok.yaml\n"
	       "c.yaml:3:77: error: sub is a directory, not a file\n"
	       "c.yaml:3:82: error: fifo is a device or pipe, not a file\n"
	       "c.yaml:4:2: error: c.yaml is read twice; before as c.yaml\n"
	       "c.yaml:4:10: error: nope.yaml cannot be read: No such file or directory\n"
	       "c.yaml:4:21: error: include: \"~\" is not expanded; write the path out\n"
	       "c.yaml:4:33: error: 3.yaml cannot be read: No such file or directory\n"
	       "c.yaml:4:41: error: include wants a text, not a list\n"
	       "c.yaml:4:46: error: include is empty\n"
	       "c.yaml:4:50: warning: include: no* matches no file\n"
	       "c.yaml:6:84: error: unknown key \"zzz\"\n"
	       "broken.yaml:2:1: error: syntax: did not find expected node content (while parsing a flow node "
	       "that begins at 2:1)\n"
	       "list.yaml:1:1: error: an included file holds one key, \"organizations\"\n"
	       "keys.yaml:1:1: error: key \"version\" in an included file, which holds \"organizations\" only\n"
	       "keys.yaml:2:16: error: organizations wants a list, not a map\n"
	       "keys.yaml:3:1: error: key \"include\" in an included file, which holds \"organizations\" only\n"
	       "keys.yaml:4:1: error: key \"zzz\" in an included file, which holds \"organizations\" only\n"
	       "twin.yaml:2:12: error: name \"acme\" twice; first at c.yaml:6:12\n"
	       "twin.yaml:2:26: error: org_id \"32b6e34b3d91647abb20e7b8\" twice; first at c.yaml:6:26\n");
	expect(HEAD "include: ['no*']\n",
	       "c.yaml:1:1: error: there is no organization\n"
	       "c.yaml:3:11: warning: include: no* matches no file\n");
}
END_TEST

START_TEST(test_main_file)
{
	struct conf_findings f;
	char *text;

	ck_assert_ptr_null(conf_load(dir_file("missing.yaml"), NOW_S, &f));
	text = findings_text(&f);
	ck_assert_str_eq(text, "missing.yaml:1:1: error: the file cannot be read: No such file or directory\n");
	free(text);
	conf_findings_free(&f);
	mkdir(dir_file("sub"), 0700);
	ck_assert_ptr_null(conf_load(dir_file("sub"), NOW_S, &f));
	text = findings_text(&f);
	ck_assert_str_eq(text, "sub:1:1: error: this is a directory, not a file\n");
	free(text);
	conf_findings_free(&f);
	/* A line break in a file's name makes no second line. */
	dir_put("a\nb: error: x", "zzz: 1\nversion: 1\noutput: {directory: x}\n");
	ck_assert_ptr_null(conf_load(dir_file("a\nb: error: x"), NOW_S, &f));
	ck_assert_uint_eq(f.n, 2);
	ck_assert_ptr_null(strchr(f.lines[0], '\n'));
	conf_findings_free(&f);
}
END_TEST

/* Bytes that a text in a C string cannot hold. */
START_TEST(test_raw_bytes)
{
	static const struct { const char *text; size_t len; const char *finding; } files[] = {
		{ "version: 1\n\0", 12, "c.yaml:2:1: error: control character U+0000\n" },
		{ "a\0b: 1\n", 7, "c.yaml:1:2: error: control character U+0000\n" },
		{ "\xff\xfe" "v\0", 4, "c.yaml:1:1: error: byte 0xff here is no UTF-8\n" },
		{ "\xfe\xff" "\0v", 4, "c.yaml:1:1: error: byte 0xfe here is no UTF-8\n" },
		{ "a\r\nb\rc\xc3", 7, "c.yaml:3:2: error: byte 0xc3 here is no UTF-8\n" },
		{ "\xc0\x80", 2, "c.yaml:1:1: error: byte 0xc0 here is no UTF-8\n" },
		{ "\xed\xa0\x80", 3, "c.yaml:1:1: error: byte 0xed here is no UTF-8\n" },
		{ "\xe0\x80\x80", 3, "c.yaml:1:1: error: byte 0xe0 here is no UTF-8\n" },
		{ "\xf4\x90\x80\x80", 4, "c.yaml:1:1: error: byte 0xf4 here is no UTF-8\n" },
		{ "#\xef\xbf\xbe", 4, "c.yaml:1:2: error: control character U+FFFE\n" },
		{ "#\xc3\xa9\xf0\x9f\x99\x82\x1b[31m", 12, "c.yaml:1:4: error: control character U+001B\n" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct conf_findings f;
		char *text;

		ck_assert_ptr_null(conf_load(dir_write("c.yaml", files[i].text, files[i].len, 0600), NOW_S, &f));
		text = findings_text(&f);
		ck_assert_str_eq(text, files[i].finding);
		free(text);
		conf_findings_free(&f);
	}
}
END_TEST

/* `orgsync -c <(…)`: a pipe is read to its end. */
START_TEST(test_pipe)
{
	struct conf_findings f;
	struct conf *conf;
	char path[40];
	int fds[2];
	const char *text = HEAD "organizations:\n" ORG_A "}\n";

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	conf = conf_load(path, NOW_S, &f);
	ck_assert_ptr_nonnull(conf);
	conf_free(conf);
	conf_findings_free(&f);
	close(fds[0]);
}
END_TEST

START_TEST(test_plain_secret_modes)
{
	static const struct { mode_t mode; bool plain_taken, command_taken; } modes[] = {
		{ 0600, true, true }, { 0400, true, true }, { 0700, true, true }, { 0640, false, true },
		{ 0644, false, true }, { 0604, false, true }, { 0610, false, true }, { 0660, false, true },
		{ 0602, false, false }, { 0666, false, false }
	};
	const char *plain = HEAD "organizations:\n" ORG_A "}\n";
	const char *command = HEAD "organizations:\n  - {name: a, org_id: 32b6e34b3d91647abb20e7b8, "
		"client_id: i, client_secret: {command: [geheim]}}\n";

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		struct conf_findings f;
		struct conf *conf;

		conf = conf_load(dir_write("c.yaml", plain, strlen(plain), modes[i].mode), NOW_S, &f);
		ck_assert_msg((conf != NULL) == modes[i].plain_taken, "mode %o", (unsigned)modes[i].mode);
		if (conf == NULL) {
			char mode[8];

			snprintf(mode, sizeof(mode), "%04o", (unsigned)modes[i].mode);
			ck_assert_uint_eq(f.n, 1);
			ck_assert_ptr_nonnull(strstr(f.lines[0], mode));
			ck_assert_ptr_nonnull(strstr(f.lines[0], "chmod 600"));
		}
		conf_free(conf);
		conf_findings_free(&f);
		conf = conf_load(dir_write("c.yaml", command, strlen(command), modes[i].mode), NOW_S, &f);
		ck_assert_msg((conf != NULL) == modes[i].command_taken, "mode %o", (unsigned)modes[i].mode);
		conf_free(conf);
		conf_findings_free(&f);
	}
}
END_TEST

/* ---- limits ---- */

static char *
repeat(const char *before, const char *part, size_t times, const char *after)
{
	size_t len = strlen(part), at = strlen(before);
	char *text = malloc(at + len * times + strlen(after) + 1);

	ck_assert_ptr_nonnull(text);
	memcpy(text, before, at);
	for (size_t i = 0; i < times; i++, at += len)
		memcpy(text + at, part, len);
	strcpy(text + at, after);
	return text;
}

static void
expect_with(char *text, const char *finding)
{
	struct conf *conf;
	char *got = findings_of(text, &conf);

	ck_assert_msg(strstr(got, finding) != NULL, "wanted %s, got %.500s", finding, got);
	free(got);
	free(text);
	conf_free(conf);
}

START_TEST(test_limits)
{
	char doubled[3000] = "zzz:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n", line[100];

	expect_with(repeat(HEAD "#", "x", YAML_FILE_MAX_BYTES, ""), "is bigger than 16 MiB");
	/* A big file of little content is fine. */
	expect_with(repeat(HEAD "#", "x", YAML_FILE_MAX_BYTES - 200, ""), "there is no organization");
	expect_with(repeat(HEAD "zzz: {", "? a ", 0, "}"), "unknown key \"zzz\"");
	expect_with(repeat(HEAD "zzz: [", "a,", YAML_NODES_MAX, "]"), "too big: more than 2000000 keys");
	/* Ten times more with each line: 10^12 in a tree that is written out. */
	for (int i = 1; i < 12; i++) {
		snprintf(line, sizeof(line), "  a%d: &a%d [*a%d", i, i, i - 1);
		strcat(doubled, line);
		for (int j = 0; j < 9; j++) {
			snprintf(line, sizeof(line), ", *a%d", i - 1);
			strcat(doubled, line);
		}
		strcat(doubled, "]\n");
	}
	expect_with(repeat(doubled, "", 0, HEAD), "c.yaml:7:47: error: too many aliases");
	/* Seventeen aliases inside each other. */
	strcpy(doubled, "zzz:\n  a0: &a0 x\n");
	for (int i = 1; i <= 18; i++) {
		snprintf(line, sizeof(line), "  a%d: &a%d [*a%d]\n", i, i, i - 1);
		strcat(doubled, line);
	}
	expect_with(repeat(doubled, "", 0, HEAD), "c.yaml:19:14: error: aliases too deep: more than 16");
	expect_with(repeat(HEAD "zzz: [", "&a x,", YAML_ANCHORS_MAX + 1, "]"), "too many anchors");
}
END_TEST

START_TEST(test_many_keys)
{
	size_t size = 20 * 300;
	char *text = malloc(size), *p = text;

	ck_assert_ptr_nonnull(text);
	p += sprintf(p, HEAD "zzz:\n");
	for (int i = 0; i < 129; i++)
		p += sprintf(p, "  k%d: 1\n", i);
	expect_with(text, "c.yaml:132:3: error: too many keys: more than 128 in one map");
}
END_TEST

/* More findings than are kept: the count stays true. */
START_TEST(test_many_findings)
{
	char *text = repeat(HEAD "organizations:\n", "  - {zzz: 1}\n", 5000, "");
	struct conf_findings f;

	ck_assert_ptr_null(conf_load(dir_put("c.yaml", text), NOW_S, &f));
	ck_assert_uint_eq(f.n_errors, 20000);  /* each: unknown key, name, org_id, credentials */
	ck_assert_uint_eq(f.n, 10001);
	ck_assert_ptr_nonnull(strstr(f.lines[10000], "error: 10000 more findings are not shown"));
	conf_findings_free(&f);
	free(text);
}
END_TEST

/* A provider's 10,000 organizations: linear, and far under a second. */
START_TEST(test_ten_thousand)
{
	enum { N = 10000 };
	char *text = malloc(400 * N), *p = text;
	struct conf_findings f;
	struct conf *conf;
	clock_t before;
	double seconds;

	ck_assert_ptr_nonnull(text);
	p += sprintf(p, HEAD "defaults: &d {settle: 1m}\norganizations:\n");
	for (int i = 0; i < N; i++)
		p += sprintf(p, "  - <<: *d\n    name: org-%d\n    org_id: %024x\n    client_id: mdb_sa_id_%024x\n"
		             "    client_secret: s%d\n    tags: [a, b]\n    event_types: [USER_ADDED, USER_LEFT]\n"
		             "    backfill_start_time: 2023-06-01T00:00:00Z\n", i, i, i, i);
	dir_put("c.yaml", text);
	before = clock();
	conf = conf_load(dir_file("c.yaml"), NOW_S, &f);
	seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
	printf("%d organizations, %zu bytes: %.3f s of CPU\n", N, strlen(text), seconds);
	ck_assert_ptr_nonnull(conf);
	ck_assert_uint_eq(conf->n_orgs, N);
	ck_assert_str_eq(conf->orgs[N - 1].name, "org-9999");
	ck_assert_int_eq(conf->orgs[N - 1].settle_s, 60);
	/* 0.1 s; the sanitizers take ten times that, valgrind forty times */
	ck_assert_msg(seconds < (getenv("MEMCHECK") != NULL ? 60.0 : 3.0), "%.3f s", seconds);
	conf_free(conf);
	conf_findings_free(&f);
	free(text);
}
END_TEST

/* Every key of the tables is one that the tests above set and looked at. */
START_TEST(test_no_key_forgotten)
{
	static const char *const tested[] = {
		"version", "atlas", "output", "limits", "defaults", "include", "organizations", "base_url",
		"api", "ca_file", "proxy", "directory", "compression", "workers", "in_flight",
		"requests_per_minute", "deadline", "backfill_share", "connect_timeout", "silence_timeout",
		"answer_timeout", "retries", "backoff", "outage_wait", "memory", "organization_memory", "name", "org_id", "client_id",
		"client_secret", "public_key", "private_key", "backfill_start_time", "settle", "overlap",
		"include_raw", "event_types", "tags", "priority", "disabled"
	};
	static const struct section *const sections[] = {
		&section_top, &section_atlas, &section_output, &section_limits, &section_org
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		for (size_t j = 0; j < sections[i]->n; j++, n++) {
			size_t k = 0;

			while (k < sizeof(tested) / sizeof(*tested) &&
			       strcmp(tested[k], sections[i]->keys[j].name) != 0)
				k++;
			ck_assert_msg(k < sizeof(tested) / sizeof(*tested), "%s", sections[i]->keys[j].name);
		}
	ck_assert_uint_eq(n, sizeof(tested) / sizeof(*tested) + 1);  /* requests_per_minute is in two */
	ck_assert_uint_eq(section_org.n, ORG_KEYS);
	ck_assert_uint_eq(section_top.n, TOP_KEYS);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_load");
	TCase *tc = tcase_create("load");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, dir_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_findings, 0, (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(tc, test_defaults);
	tcase_add_test(tc, test_main_keys);
	tcase_add_test(tc, test_org_keys);
	tcase_add_test(tc, test_defaults_apply);
	tcase_add_test(tc, test_durations);
	tcase_add_test(tc, test_merge_and_alias);
	tcase_add_test(tc, test_include);
	tcase_add_test(tc, test_include_mistakes);
	tcase_add_test(tc, test_main_file);
	tcase_add_test(tc, test_raw_bytes);
	tcase_add_test(tc, test_pipe);
	tcase_add_test(tc, test_plain_secret_modes);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_many_keys);
	tcase_add_test(tc, test_many_findings);
	tcase_add_test(tc, test_ten_thousand);
	tcase_add_test(tc, test_no_key_forgotten);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
