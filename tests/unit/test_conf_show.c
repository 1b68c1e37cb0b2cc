/* What `orgsync config` prints: the effective configuration loads again and says the same; the example
 * validates; the JSON Schema knows the parser's keys and refuses nothing the parser takes; the manual
 * page explains every key with its default. */
#include <check.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/conf/keys.h"
#include "tests/unit/conf_support.h"

#define CANARY "geheim-4711"

static char *
text_of(struct buf *b)
{
	char *text = buf_str(b);

	ck_assert_ptr_nonnull(text);
	return text;
}

/* ---- show ---- */

static void
same_text(const char *a, const char *b)
{
	ck_assert((a == NULL) == (b == NULL));
	if (a != NULL)
		ck_assert_str_eq(a, b);
}

static void
same_secret(const struct conf_secret *a, const struct conf_secret *b)
{
	ck_assert_int_eq(a->kind, b->kind);
	if (a->kind == CONF_SECRET_PLAIN) {
		ck_assert_str_eq(b->value, "(redacted)");
		return;
	}
	same_text(a->value, b->value);
	ck_assert((a->argv == NULL) == (b->argv == NULL));
	for (size_t i = 0; a->argv != NULL; i++) {
		same_text(a->argv[i], b->argv[i]);
		if (a->argv[i] == NULL)
			break;
	}
}

static void
same_texts(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
	ck_assert_uint_eq(n_a, n_b);
	for (size_t i = 0; i < n_a; i++)
		ck_assert_str_eq(a[i], b[i]);
}

static void
same(const struct conf *a, const struct conf *b)
{
	same_text(a->base_url, b->base_url);
	ck_assert_int_eq(a->api, b->api);
	same_text(a->ca_file, b->ca_file);
	same_text(a->proxy, b->proxy);
	same_text(a->directory, b->directory);
	ck_assert_int_eq(a->compression, b->compression);
	ck_assert_int_eq(a->workers, b->workers);
	ck_assert_int_eq(a->in_flight, b->in_flight);
	ck_assert_int_eq(a->requests_per_minute, b->requests_per_minute);
	ck_assert_int_eq(a->deadline_s, b->deadline_s);
	ck_assert_int_eq(a->backfill_share, b->backfill_share);
	ck_assert_int_eq(a->connect_timeout_ms, b->connect_timeout_ms);
	ck_assert_int_eq(a->silence_timeout_ms, b->silence_timeout_ms);
	ck_assert_int_eq(a->answer_timeout_ms, b->answer_timeout_ms);
	ck_assert_int_eq(a->retries, b->retries);
	ck_assert_int_eq(a->backoff_ms, b->backoff_ms);
	ck_assert_int_eq(a->outage_wait_ms, b->outage_wait_ms);
	ck_assert_uint_eq(a->n_orgs, b->n_orgs);
	for (size_t i = 0; i < a->n_orgs; i++) {
		const struct conf_org *x = &a->orgs[i], *y = &b->orgs[i];

		same_text(x->name, y->name);
		same_text(x->org_id, y->org_id);
		same_text(x->client_id, y->client_id);
		same_secret(&x->client_secret, &y->client_secret);
		same_text(x->public_key, y->public_key);
		same_secret(&x->private_key, &y->private_key);
		ck_assert_int_eq(x->start, y->start);
		ck_assert_int_eq(x->start_s, y->start_s);
		ck_assert_int_eq(x->settle_s, y->settle_s);
		ck_assert_int_eq(x->overlap_s, y->overlap_s);
		ck_assert_int_eq(x->include_raw, y->include_raw);
		same_texts(x->event_types, x->n_event_types, y->event_types, y->n_event_types);
		same_texts(x->tags, x->n_tags, y->tags, y->n_tags);
		ck_assert_int_eq(x->priority, y->priority);
		ck_assert_int_eq(x->requests_per_minute, y->requests_per_minute);
		same_text(x->disabled, y->disabled);
	}
}

START_TEST(test_round_trip)
{
	struct conf_findings f;
	struct conf *first, *second;
	char *findings;
	struct buf b;

	setenv("T_SECRET", CANARY, 1);
	setenv("CREDENTIALS_DIRECTORY", dir_path(), 1);
	dir_put("cred", CANARY);
	dir_put("ca.pem", "x");
	dir_put("a 'b\" \\c", CANARY);
	first = NULL;
	findings = findings_of("version: 1\n"
		"atlas: {base_url: 'http://localhost:1/', api: v1.0, ca_file: ca.pem, proxy: 'http://p:1'}\n"
		"output: {directory: 'o \"u\\t', compression: gzip}\n"
		"limits: {workers: 7, in_flight: 8, requests_per_minute: 9, deadline: 61s, backfill_share: 11,\n"
		"  connect_timeout: 1500ms, silence_timeout: 150ms, answer_timeout: 61s, retries: 3, backoff: 20ms,\n"
		"  outage_wait: 90s}\n"
		"organizations:\n"
		"  - {name: '1', org_id: 32b6e34b3d91647abb20e7b1, client_id: '!\"#', client_secret: " CANARY ",\n"
		"     public_key: '*x', private_key: {env: T_SECRET}, backfill_start_time: all, settle: 0,\n"
		"     overlap: 25h, include_raw: false, event_types: [B, A], tags: [1, true_, x], priority: -3,\n"
		"     requests_per_minute: 5, disabled: \"it's: [over] # \\\\ \\\"q\\\" é\"}\n"
		"  - {name: b, org_id: 32b6e34b3d91647abb20e7b2, public_key: k, private_key: {systemd: cred},\n"
		"     backfill_start_time: 2023-06-01T00:00:00Z, tags: []}\n"
		"  - name: c\n    org_id: 32b6e34b3d91647abb20e7b3\n    public_key: k\n"
		"    private_key: {file: \"a 'b\\\" \\\\c\"}\n"
		"  - {name: d, org_id: 32b6e34b3d91647abb20e7b4, public_key: k, disabled: true,\n"
		"     private_key: {command: [sh, -c, \"printf \\\"%s\\\"\\n\\t'x' \\\\\", '', é]}}\n"
		"  - {name: e, org_id: 32b6e34b3d91647abb20e7b5, disabled: 'false'}\n", &first);
	ck_assert_str_eq(findings, "");
	ck_assert_ptr_nonnull(first);
	buf_init(&b, 1 << 20);
	ck_assert_int_eq(conf_show(first, &b), 0);
	ck_assert_ptr_null(strstr(text_of(&b), "geheim"));
	/* From another directory: what was relative is absolute now. */
	second = conf_load(dir_write("other/c.yaml", b.data, b.len, 0600), NOW_S, &f);
	ck_assert_msg(second != NULL, "%s\n%s", f.n > 0 ? f.lines[0] : "", text_of(&b));
	ck_assert_uint_eq(f.n_warnings, 1);
	ck_assert_ptr_nonnull(strstr(f.lines[0], "client_secret is what config show prints"));
	same(first, second);
	conf_free(first);
	conf_free(second);
	conf_findings_free(&f);
	free(findings);
	buf_free(&b);
}
END_TEST

START_TEST(test_show_cap)
{
	struct conf *conf;
	char *findings = findings_of(HEAD "organizations:\n" ORG_A "}\n", &conf);
	struct buf b;

	for (size_t cap = 0; cap < 300; cap++) {
		buf_init(&b, cap);
		ck_assert_int_eq(conf_show(conf, &b), -1);
		buf_free(&b);
	}
	free(findings);
	conf_free(conf);
}
END_TEST

START_TEST(test_example)
{
	struct conf_findings f;
	struct conf *conf;
	const char *text = conf_example();

	conf = conf_load(dir_put("c.yaml", text), NOW_S, &f);
	ck_assert_msg(conf != NULL && f.n == 0, "%s", f.n > 0 ? f.lines[0] : "");
	ck_assert_uint_eq(conf->n_orgs, 2);
	ck_assert_ptr_nonnull(conf->orgs[0].client_id);
	ck_assert_ptr_nonnull(conf->orgs[1].public_key);
	conf_free(conf);
	conf_findings_free(&f);
	/* `orgsync config init > FILE` makes it readable to others: the secrets are refused, and why. */
	conf = conf_load(dir_write("c.yaml", text, strlen(text), 0644), NOW_S, &f);
	ck_assert_ptr_null(conf);
	ck_assert_uint_eq(f.n_errors, 2);
	ck_assert_ptr_nonnull(strstr(f.lines[0], "chmod 600"));
	conf_findings_free(&f);
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		ck_assert_int_le(strcspn(line, "\n"), 100);
}
END_TEST

/* What is commented out in the example is right, too: a line "#key: …" becomes "key: …". */
START_TEST(test_example_uncommented)
{
	const char *text = conf_example();
	char *plain = strdup(text), *to = plain, *findings;
	size_t lines = 0;
	struct conf *conf;

	ck_assert_ptr_nonnull(plain);
	setenv("ACME_CLIENT_SECRET", "x", 1);
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *hash = line + strspn(line, " ");
		size_t len = strcspn(line, "\n") + 1;
		bool commented = hash[0] == '#' && hash[1] != ' ' && strstr(hash, "secret:") != hash + 8 &&
		                 strncmp(hash, "#  ca_file", 10) != 0;

		if (hash[0] == '#' && strncmp(hash, "#  ", 3) == 0)
			commented = strncmp(hash, "#  ca_file", 10) != 0;
		for (size_t i = 0; i < len; i++)
			if (!commented || line + i != hash)
				*to++ = line[i];
		lines += commented;
	}
	*to = '\0';
	ck_assert_uint_ge(lines, 20);
	findings = findings_of(plain, &conf);
	ck_assert_str_eq(findings, "c.yaml:37:12: warning: include: orgs.d/*.yaml matches no file\n");
	ck_assert_ptr_nonnull(conf->proxy);
	ck_assert_int_eq(conf->deadline_s, 18000);
	ck_assert_int_eq(conf->orgs[0].start, CONF_START_AT);
	ck_assert_str_eq(conf->orgs[1].disabled, "contract ended");
	free(findings);
	free(plain);
	conf_free(conf);
}
END_TEST

/* ---- schema ---- */

/* As much of a draft-07 validator as our schema needs. A word it does not know fails the test. */
static bool valid(const json_t *root, const json_t *schema, const json_t *value);

static bool
has_type(const json_t *value, const char *type)
{
	if (strcmp(type, "number") == 0)
		return json_is_number(value);
	if (strcmp(type, "integer") == 0)
		return json_is_integer(value);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(value);
	if (strcmp(type, "null") == 0)
		return json_is_null(value);
	if (strcmp(type, "array") == 0)
		return json_is_array(value);
	if (strcmp(type, "object") == 0)
		return json_is_object(value);
	ck_assert_str_eq(type, "string");
	return json_is_string(value);
}

static bool
matches(const char *pattern, const char *text)
{
	regex_t compiled;
	bool result;

	ck_assert_msg(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) == 0, "%s", pattern);
	result = regexec(&compiled, text, 0, NULL, 0) == 0;
	regfree(&compiled);
	return result;
}

static bool
valid_object(const json_t *root, const json_t *schema, const json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties"), *item;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(schema, "required"), i, item)
		if (json_object_get(value, json_string_value(item)) == NULL)
			return false;
	json_object_foreach((json_t *)(uintptr_t)value, name, item) {
		const json_t *of = json_object_get(properties, name);

		if (of == NULL && json_is_false(json_object_get(schema, "additionalProperties")))
			return false;
		if (of != NULL && !valid(root, of, item))
			return false;
	}
	return true;
}

static bool
valid_word(const json_t *root, const json_t *schema, const char *word, const json_t *arg, const json_t *value)
{
	const json_t *item;
	size_t i, n = 0;

	if (strcmp(word, "type") == 0) {
		if (json_is_string(arg))
			return has_type(value, json_string_value(arg));
		json_array_foreach(arg, i, item)
			n += has_type(value, json_string_value(item));
		return n > 0;
	}
	if (strcmp(word, "enum") == 0 || strcmp(word, "oneOf") == 0) {
		json_array_foreach(arg, i, item)
			n += word[0] == 'e' ? (size_t)json_equal(item, value) : valid(root, item, value);
		return n == 1;
	}
	if (strcmp(word, "const") == 0)
		return json_equal(arg, value) == 1;
	if (strcmp(word, "pattern") == 0)
		return !json_is_string(value) || matches(json_string_value(arg), json_string_value(value));
	if (strcmp(word, "minLength") == 0)
		return !json_is_string(value) || json_string_length(value) >= (size_t)json_integer_value(arg);
	if (strcmp(word, "minimum") == 0)
		return !json_is_number(value) || json_number_value(value) >= json_number_value(arg);
	if (strcmp(word, "maximum") == 0)
		return !json_is_number(value) || json_number_value(value) <= json_number_value(arg);
	if (strcmp(word, "minItems") == 0)
		return !json_is_array(value) || json_array_size(value) >= (size_t)json_integer_value(arg);
	if (strcmp(word, "maxItems") == 0)
		return !json_is_array(value) || json_array_size(value) <= (size_t)json_integer_value(arg);
	if (strcmp(word, "items") == 0) {
		json_array_foreach(value, i, item)
			if (!valid(root, arg, item))
				return false;
		return true;
	}
	if (strcmp(word, "properties") == 0)
		return !json_is_object(value) || valid_object(root, schema, value);
	if (strcmp(word, "$ref") == 0) {
		ck_assert_int_eq(strncmp(json_string_value(arg), "#/definitions/", 14), 0);
		return valid(root, json_object_get(json_object_get(root, "definitions"),
		                                   json_string_value(arg) + 14), value);
	}
	if (strcmp(word, "required") == 0 || strcmp(word, "additionalProperties") == 0) {
		ck_assert_ptr_nonnull(json_object_get(schema, "properties"));
		return true;  /* seen to there */
	}
	ck_assert_msg(strcmp(word, "description") == 0 || strcmp(word, "default") == 0 ||
	              strcmp(word, "definitions") == 0 || strcmp(word, "title") == 0 ||
	              strcmp(word, "$schema") == 0, "unknown word %s", word);
	return true;
}

static bool
valid(const json_t *root, const json_t *schema, const json_t *value)
{
	const char *word;
	json_t *arg;

	ck_assert(json_is_object(schema));
	json_object_foreach((json_t *)(uintptr_t)schema, word, arg)
		if (!valid_word(root, schema, word, arg, value))
			return false;
	return true;
}

static json_t *
load_schema(void)
{
	json_t *schema;
	json_error_t error;
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(conf_schema(&b), 0);
	schema = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(schema != NULL, "%s", error.text);
	buf_free(&b);
	return schema;
}

static void
same_keys(const json_t *schema, const struct section *section, bool own)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *required = json_object_get(schema, "required");
	size_t n = 0, n_required = 0;

	ck_assert(json_is_false(json_object_get(schema, "additionalProperties")));
	for (size_t i = 0; i < section->n; i++) {
		const struct key *key = &section->keys[i];
		const json_t *of = json_object_get(properties, key->name);

		if (!own && (key->flags & KEY_OWN)) {
			ck_assert_ptr_null(of);
			continue;
		}
		n++;
		n_required += own && (key->flags & KEY_REQUIRED);
		ck_assert_msg(of != NULL, "%s", key->name);
		ck_assert_str_eq(json_string_value(json_object_get(of, "description")), key->help);
		ck_assert((json_object_get(of, "default") == NULL) == (key->fallback == NULL));
	}
	ck_assert_uint_eq(json_object_size(properties), n);
	ck_assert_uint_eq(json_array_size(required), n_required);
}

START_TEST(test_schema_keys)
{
	json_t *schema = load_schema();
	const json_t *top = json_object_get(schema, "properties");
	const json_t *definitions = json_object_get(schema, "definitions");

	ck_assert_str_eq(json_string_value(json_object_get(schema, "$schema")),
	                 "http://json-schema.org/draft-07/schema#");
	same_keys(schema, &section_top, true);
	same_keys(json_object_get(top, "atlas"), &section_atlas, true);
	same_keys(json_object_get(top, "output"), &section_output, true);
	same_keys(json_object_get(top, "limits"), &section_limits, true);
	same_keys(json_object_get(top, "defaults"), &section_defaults, false);
	same_keys(json_object_get(definitions, "organization"), &section_org, true);
	json_decref(schema);
}
END_TEST

enum verdict { BOTH, NEITHER, SCHEMA_ONLY };
/* Values as JSON, which is YAML too, for each key, and who takes them. What the parser takes the schema
 * must take; where the schema takes more, it says so here. */
static const struct { const char *section, *key, *value; enum verdict verdict; } samples[] = {
	{ "", "version", "1", BOTH }, { "", "version", "2", NEITHER }, { "", "version", "\"1\"", NEITHER },
	{ "", "atlas", "null", BOTH }, { "", "atlas", "{}", BOTH }, { "", "atlas", "[]", NEITHER },
	{ "", "output", "{}", NEITHER }, { "", "output", "null", NEITHER }, { "", "limits", "null", BOTH },
	{ "", "limits", "1", NEITHER }, { "", "defaults", "{}", BOTH }, { "", "defaults", "\"x\"", NEITHER },
	{ "", "include", "[]", BOTH }, { "", "include", "null", BOTH }, { "", "include", "\"x\"", NEITHER },
	{ "", "include", "[\"~x\"]", NEITHER }, { "", "include", "[\"*.none\"]", BOTH },
	{ "", "organizations", "{}", NEITHER }, { "", "organizations", "[1]", NEITHER },
	{ "", "organizations", "[]", SCHEMA_ONLY }, { "", "organisations", "[]", NEITHER },
	{ "atlas", "base_url", "\"https://cloud.mongodb.com\"", BOTH },
	{ "atlas", "base_url", "\"https://h.example:8443/path/\"", BOTH },
	{ "atlas", "base_url", "\"HTTPS://H\"", BOTH }, { "atlas", "base_url", "\"http://LocalHost\"", BOTH },
	{ "atlas", "base_url", "\"http://127.1.2.3:80/\"", BOTH },
	{ "atlas", "base_url", "\"http://[::1]:80\"", BOTH },
	{ "atlas", "base_url", "\"http://[0:0:0:0:0:0:0:1]\"", BOTH },
	{ "atlas", "base_url", "\"http://h\"", NEITHER }, { "atlas", "base_url", "\"https://u@h\"", NEITHER },
	{ "atlas", "base_url", "\"https://h?x\"", NEITHER }, { "atlas", "base_url", "\"http://127.1\"", SCHEMA_ONLY },
	{ "atlas", "base_url", "1", NEITHER },
	{ "atlas", "api", "\"v2\"", BOTH }, { "atlas", "api", "\"v1.0\"", BOTH },
	{ "atlas", "api", "\"public-v1.0\"", BOTH }, { "atlas", "api", "\"V2\"", NEITHER },
	{ "atlas", "ca_file", "\"/dev/null\"", BOTH }, { "atlas", "ca_file", "\"~/x\"", NEITHER },
	{ "atlas", "ca_file", "\"/nowhere/x\"", SCHEMA_ONLY }, { "atlas", "ca_file", "[]", NEITHER },
	{ "atlas", "proxy", "\"http://p:1\"", BOTH }, { "atlas", "proxy", "\"SOCKS5H://p:1/\"", BOTH },
	{ "atlas", "proxy", "\"https://p:1\"", BOTH }, { "atlas", "proxy", "\"socks4a://p:1\"", BOTH },
	{ "atlas", "proxy", "\"http://u:p@p:1\"", NEITHER }, { "atlas", "proxy", "\"http://p\"", NEITHER },
	{ "output", "directory", "\"x\"", BOTH }, { "output", "directory", "7", BOTH },
	{ "output", "directory", "\"$X\"", NEITHER }, { "output", "directory", "true", NEITHER },
	{ "output", "directory", "\"\"", NEITHER },
	{ "output", "compression", "\"none\"", BOTH }, { "output", "compression", "\"gzip\"", BOTH },
	{ "output", "compression", "\"zstd\"", BOTH }, { "output", "compression", "\"xz\"", NEITHER },
	{ "limits", "workers", "1", BOTH }, { "limits", "workers", "64", BOTH }, { "limits", "workers", "0", NEITHER },
	{ "limits", "workers", "65", NEITHER }, { "limits", "workers", "\"4\"", NEITHER },
	{ "limits", "workers", "1.5", NEITHER }, { "limits", "in_flight", "4096", BOTH },
	{ "limits", "in_flight", "4097", NEITHER }, { "limits", "requests_per_minute", "0", BOTH },
	{ "limits", "requests_per_minute", "1000001", NEITHER }, { "limits", "deadline", "\"5h\"", BOTH },
	{ "limits", "deadline", "0", BOTH }, { "limits", "deadline", "\"0\"", BOTH },
	{ "limits", "deadline", "90", NEITHER }, { "limits", "deadline", "\"1w\"", NEITHER },
	{ "limits", "deadline", "\"01h\"", NEITHER }, { "limits", "deadline", "\"31d\"", SCHEMA_ONLY },
	{ "limits", "deadline", "\"1000ms\"", NEITHER }, { "limits", "connect_timeout", "\"100ms\"", BOTH },
	{ "limits", "connect_timeout", "\"99ms\"", SCHEMA_ONLY }, { "limits", "connect_timeout", "0", NEITHER },
	{ "limits", "silence_timeout", "\"90s\"", BOTH }, { "limits", "silence_timeout", "60", NEITHER },
	{ "limits", "answer_timeout", "\"1h\"", BOTH }, { "limits", "answer_timeout", "\"0\"", NEITHER },
	{ "limits", "retries", "0", BOTH }, { "limits", "retries", "101", NEITHER },
	{ "limits", "backoff", "\"10ms\"", BOTH }, { "limits", "backoff", "\"10us\"", NEITHER },
	{ "limits", "outage_wait", "\"1d\"", BOTH }, { "limits", "outage_wait", "true", NEITHER },
	{ "limits", "backfill_share", "100", BOTH }, { "limits", "backfill_share", "101", NEITHER },
	{ "org", "name", "\"a.B-c_9\"", BOTH }, { "org", "name", "\"-a\"", NEITHER }, { "org", "name", "7", BOTH },
	{ "org", "name", "\"\"", NEITHER }, { "org", "name", "true", NEITHER }, { "org", "name", "null", NEITHER },
	{ "org", "name", "\"a\303\244\"", NEITHER },
	{ "org", "org_id", "\"32B6e34b3d91647abb20e7b8\"", BOTH },
	{ "org", "org_id", "\"32b6e34b3d91647abb20e7b\"", NEITHER }, { "org", "org_id", "1", SCHEMA_ONLY },
	{ "org", "client_id", "\"mdb_sa_id_0123456789abcdef01234567\"", BOTH },
	{ "org", "client_id", "\"a:b\"", NEITHER }, { "org", "client_id", "\"a b\"", NEITHER },
	{ "org", "client_id", "\"[x]\\\\^~!\"", BOTH }, { "org", "client_id", "\"a\303\244\"", NEITHER },
	{ "org", "client_secret", "\"x\"", BOTH }, { "org", "client_secret", "123", BOTH },
	{ "org", "client_secret", "\"\"", NEITHER }, { "org", "client_secret", "true", NEITHER },
	{ "org", "client_secret", "{}", NEITHER }, { "org", "client_secret", "{\"env\": \"PATH\"}", BOTH },
	{ "org", "client_secret", "{\"env\": \"a-b\"}", NEITHER }, { "org", "client_secret", "{\"env\": 1}", SCHEMA_ONLY },
	{ "org", "client_secret", "{\"file\": \"secret\"}", BOTH }, { "org", "client_secret", "{\"file\": \"~/x\"}", NEITHER },
	{ "org", "client_secret", "{\"systemd\": \"secret\"}", BOTH },
	{ "org", "client_secret", "{\"systemd\": \"../x\"}", NEITHER },
	{ "org", "client_secret", "{\"command\": [\"true\", 1, true, \"\", \"a b\"]}", BOTH },
	{ "org", "client_secret", "{\"command\": []}", NEITHER }, { "org", "client_secret", "{\"command\": \"x\"}", NEITHER },
	{ "org", "client_secret", "{\"env\": \"PATH\", \"file\": \"secret\"}", NEITHER },
	{ "org", "client_secret", "{\"password\": \"x\"}", NEITHER },
	{ "org", "public_key", "\"abcdefgh\"", BOTH }, { "org", "public_key", "12345678", BOTH },
	{ "org", "public_key", "\"a\\\"b\"", NEITHER }, { "org", "private_key", "{\"env\": \"PATH\"}", BOTH },
	{ "org", "private_key", "[]", NEITHER },
	{ "org", "backfill_start_time", "\"all\"", BOTH },
	{ "org", "backfill_start_time", "\"2023-06-01T00:00:00Z\"", BOTH },
	{ "org", "backfill_start_time", "\"2023-06-01t00:00:00.123z\"", BOTH },
	{ "org", "backfill_start_time", "\"2023-06-01 00:00+02:00\"", BOTH },
	{ "org", "backfill_start_time", "\"2023-06-01\"", NEITHER },
	{ "org", "backfill_start_time", "\"2023-06-01T00:00:00\"", NEITHER },
	{ "org", "backfill_start_time", "\"2023-13-01T00:00:00Z\"", SCHEMA_ONLY },
	{ "org", "settle", "\"90s\"", BOTH }, { "org", "settle", "\"2d\"", SCHEMA_ONLY }, { "org", "settle", "0", BOTH },
	{ "org", "settle", "\"-1s\"", NEITHER }, { "org", "overlap", "\"30d\"", BOTH }, { "org", "overlap", "\"1h30m\"", NEITHER },
	{ "org", "include_raw", "true", BOTH }, { "org", "include_raw", "false", BOTH },
	{ "org", "include_raw", "\"true\"", NEITHER }, { "org", "include_raw", "1", NEITHER },
	{ "org", "event_types", "[\"A_1\"]", BOTH }, { "org", "event_types", "[]", NEITHER },
	{ "org", "event_types", "[\"a\"]", NEITHER }, { "org", "event_types", "\"A\"", NEITHER },
	{ "org", "tags", "[\"prod\", \"a.b-c_d\", 7]", BOTH }, { "org", "tags", "[]", BOTH },
	{ "org", "tags", "[\"a+b\"]", NEITHER }, { "org", "tags", "[true]", NEITHER },
	{ "org", "priority", "-1000", BOTH }, { "org", "priority", "1000", BOTH }, { "org", "priority", "1001", NEITHER },
	{ "org", "priority", "\"10\"", NEITHER }, { "org", "requests_per_minute", "120", BOTH },
	{ "org", "requests_per_minute", "-1", NEITHER }, { "org", "disabled", "true", BOTH },
	{ "org", "disabled", "false", BOTH }, { "org", "disabled", "\"contract ended\"", BOTH },
	{ "org", "disabled", "\"\"", NEITHER }, { "org", "disabled", "0", NEITHER }, { "org", "disabled", "null", NEITHER },
	{ "org", "disabled", "[]", NEITHER }, { "org", "Name", "\"x\"", NEITHER },
};

/* A sound configuration with one key set to the value. */
static json_t *
configuration(const char *section, const char *key, const char *value)
{
	json_t *root = json_pack("{s:i, s:{s:s}, s:{}, s:{}, s:{}, s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}",
		"version", 1, "output", "directory", "out", "atlas", "limits", "defaults", "organizations",
		"name", "acme", "org_id", "32b6e34b3d91647abb20e7b8", "client_id", "i", "client_secret", "s",
		"public_key", "k", "private_key", "p");
	json_t *into = section[0] == '\0' ? root : strcmp(section, "org") == 0 ?
		json_array_get(json_object_get(root, "organizations"), 0) : json_object_get(root, section);
	json_t *json = json_loads(value, JSON_DECODE_ANY, NULL);

	ck_assert_ptr_nonnull(json);
	ck_assert_int_eq(json_object_set_new(into, key, json), 0);
	return root;
}

static bool
loads(const json_t *configuration_json)
{
	char *text = json_dumps(configuration_json, JSON_ENSURE_ASCII), *findings;
	struct conf *conf;

	ck_assert_ptr_nonnull(text);
	findings = findings_of(text, &conf);
	free(findings);
	free(text);
	conf_free(conf);
	return conf != NULL;
}

START_TEST(test_schema_samples)
{
	json_t *schema = load_schema(), *json;

	dir_put("secret", "x");
	setenv("CREDENTIALS_DIRECTORY", dir_path(), 1);
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		bool by_schema, by_parser;

		json = configuration(samples[i].section, samples[i].key, samples[i].value);
		by_schema = valid(schema, schema, json);
		by_parser = loads(json);
		ck_assert_msg(by_parser == (samples[i].verdict == BOTH), "parser: %s.%s: %s",
		              samples[i].section, samples[i].key, samples[i].value);
		ck_assert_msg(by_schema == (samples[i].verdict != NEITHER), "schema: %s.%s: %s",
		              samples[i].section, samples[i].key, samples[i].value);
		json_decref(json);
		if (strcmp(samples[i].section, "org") != 0)
			continue;
		/* The same under defaults, but for what is each organization's own. */
		json = configuration("defaults", samples[i].key, samples[i].value);
		by_schema = valid(schema, schema, json);
		ck_assert_int_eq(loads(json), samples[i].verdict == BOTH &&
		                 strcmp(samples[i].key, "name") != 0 && strcmp(samples[i].key, "org_id") != 0);
		ck_assert_int_eq(by_schema, samples[i].verdict != NEITHER &&
		                 strcmp(samples[i].key, "name") != 0 && strcmp(samples[i].key, "org_id") != 0);
		json_decref(json);
	}
	json_decref(schema);
}
END_TEST

/* Every key has a sample that is taken and one that is not. */
START_TEST(test_samples_complete)
{
	static const struct { const char *name; const struct section *section; } sections[] = {
		{ "", &section_top }, { "atlas", &section_atlas }, { "output", &section_output },
		{ "limits", &section_limits }, { "org", &section_org }
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		for (size_t j = 0; j < sections[i].section->n; j++) {
			const struct key *key = &sections[i].section->keys[j];
			bool taken = key->kind == KEY_ORGS || key->name[0] == 'o';  /* in every sample */
			bool refused = false;

			for (size_t k = 0; k < sizeof(samples) / sizeof(*samples); k++)
				if (strcmp(samples[k].section, sections[i].name) == 0 &&
				    strcmp(samples[k].key, key->name) == 0) {
					taken = taken || samples[k].verdict == BOTH;
					refused = refused || samples[k].verdict == NEITHER;
				}
			ck_assert_msg(taken && refused, "%s.%s", sections[i].name, key->name);
		}
}
END_TEST

START_TEST(test_example_against_schema)
{
	json_t *schema = load_schema(), *json = configuration("", "version", "1");

	ck_assert(valid(schema, schema, json));
	ck_assert_int_eq(json_object_del(json, "output"), 0);
	ck_assert(!valid(schema, schema, json));
	json_decref(json);
	json = configuration("org", "name", "\"x\"");
	ck_assert_int_eq(json_object_del(json_array_get(json_object_get(json, "organizations"), 0), "org_id"), 0);
	ck_assert(!valid(schema, schema, json));
	json_decref(json);
	json_decref(schema);
}
END_TEST

/* ---- manual page ---- */

static char *
read_page(void)
{
	const char *top = getenv("top_srcdir");
	char path[1000], *text = calloc(1, 100000);
	FILE *file;

	snprintf(path, sizeof(path), "%s/docs/orgsync.yaml.5", top != NULL ? top : ".");
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_gt(fread(text, 1, 99999, file), 1000);
	fclose(file);
	for (char *p = text; (p = strstr(p, "\\-")) != NULL; p++)  /* troff's minus */
		memmove(p, p + 1, strlen(p));
	return text;
}

/* Each section is a ".SS" with the section's name, each key a ".TP" and ".BR name …" or ".B name" whose
 * paragraph says "Default: VALUE." where there is one. */
START_TEST(test_manual_page)
{
	static const struct section *const sections[] = {
		&section_top, &section_atlas, &section_output, &section_limits, &section_org
	};
	static const char *const titles[] = { "top level", "atlas", "output", "limits", "organizations" };
	char *page = read_page(), heading[100], item[100], wanted[200];

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		char *from, *end;

		snprintf(heading, sizeof(heading), "\n.SS Keys of %s\n", titles[i]);
		from = strstr(page, heading);
		ck_assert_msg(from != NULL, "%s", heading);
		end = strstr(from + 5, "\n.S");
		for (size_t j = 0; j < sections[i]->n; j++) {
			const struct key *key = &sections[i]->keys[j];
			char *at, *next, saved;

			snprintf(item, sizeof(item), "\n.TP\n.BR %s ", key->name);
			at = strstr(from, item);
			ck_assert_msg(at != NULL && at < end, "%s: %s", titles[i], key->name);
			next = strstr(at + 4, "\n.TP");
			next = next == NULL || next > end ? end : next;
			saved = *next;
			*next = '\0';
			if (key->fallback != NULL) {
				snprintf(wanted, sizeof(wanted), "Default:\n.BR %s .", key->fallback);
				ck_assert_msg(strstr(at, wanted) != NULL, "%s: %s", key->name, wanted);
			} else {
				ck_assert_msg(strstr(at, "Default:\n.BR") == NULL, "%s", key->name);
			}
			for (size_t k = 0; key->words != NULL && key->words[k] != NULL; k++)
				ck_assert_msg(strstr(at, key->words[k]) != NULL, "%s: %s", key->name, key->words[k]);
			if (key->kind == KEY_INT) {
				snprintf(wanted, sizeof(wanted), "%lld to %lld", (long long)key->min,
				         (long long)key->max);
				ck_assert_msg(strstr(at, wanted) != NULL, "%s: %s", key->name, wanted);
			}
			*next = saved;
		}
	}
	free(page);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf_show");
	TCase *tc = tcase_create("show");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, NULL, dir_remove);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_show_cap);
	tcase_add_test(tc, test_example);
	tcase_add_test(tc, test_example_uncommented);
	tcase_add_test(tc, test_schema_keys);
	tcase_add_test(tc, test_schema_samples);
	tcase_add_test(tc, test_samples_complete);
	tcase_add_test(tc, test_example_against_schema);
	tcase_add_test(tc, test_manual_page);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
