#include "lib/conf/keys.h"

#include <stdio.h>
#include <string.h>

#include "lib/conf/conf.h"
#include "lib/conf/suggest.h"

#define CONF(field) offsetof(struct conf, field)
#define ORG(field) offsetof(struct conf_org, field)
#define DAY_S (24 * 60 * 60)
#define MINUTE_MS (60 * 1000)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static const char *const api_words[] = { "v2", "v1.0", "public-v1.0", NULL };
static const char *const compression_words[] = { "none", "gzip", "zstd", NULL };
const char *const secret_words[] = { "env", "file", "command", "systemd", NULL };

static const struct form name_form = {
	"A-Za-z0-9", "A-Za-z0-9._-", 1, 64,
	"1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit"
};
static const struct form org_id_form = { "0-9A-Fa-f", "0-9A-Fa-f", 24, 24, "24 hexadecimal digits" };
/* A ':' would end the user's part of HTTP Basic, a '"' the quoted name in a digest. */
static const struct form client_id_form = {
	"!-9;-~", "!-9;-~", 1, 200, "1 to 200 printable characters without space and ':'"
};
static const struct form public_key_form = {
	"!#-9;-~", "!#-9;-~", 1, 200, "1 to 200 printable characters without space, ':' and '\"'"
};
static const struct form event_type_form = {
	"A-Z0-9_", "A-Z0-9_", 1, 100, "capital letters, digits and '_'"
};
static const struct form tag_form = {
	"A-Za-z0-9._-", "A-Za-z0-9._-", 1, 64, "1 to 64 letters, digits, '.', '_' or '-'"
};
const struct form form_env_name = {
	"A-Za-z_", "A-Za-z0-9_", 1, 200, "letters, digits and '_', the first not a digit"
};
const struct form form_systemd_name = {
	"A-Za-z0-9_", "A-Za-z0-9._@:-", 1, 200, "a credential's name, without '/'"
};

static const struct key atlas_keys[] = {
	{ .name = "base_url", .kind = KEY_BASE_URL, .offset = CONF(base_url),
	  .fallback = "https://cloud.mongodb.com",
	  .help = "Where Atlas, Cloud Manager or Ops Manager answers: scheme, host and port." },
	{ .name = "api", .kind = KEY_WORD, .offset = CONF(api), .words = api_words, .fallback = "v2",
	  .help = "Which form of the API is spoken; public-v1.0 is that of Cloud Manager and Ops Manager." },
	{ .name = "ca_file", .kind = KEY_PATH, .flags = KEY_READABLE, .offset = CONF(ca_file),
	  .help = "PEM file of the authorities to trust, in place of the system's." },
	{ .name = "proxy", .kind = KEY_PROXY, .offset = CONF(proxy),
	  .help = "Proxy for every request, in place of the one the environment names." },
};

static const struct key output_keys[] = {
	{ .name = "directory", .kind = KEY_PATH, .flags = KEY_REQUIRED, .offset = CONF(directory),
	  .help = "Where the archives are kept; made where it is missing." },
	{ .name = "compression", .kind = KEY_WORD, .offset = CONF(compression),
	  .words = compression_words, .fallback = "none",
	  .help = "How day files are compressed; may be changed at any time." },
};

static const struct key limits_keys[] = {
	{ .name = "workers", .kind = KEY_INT, .offset = CONF(workers), .min = 1, .max = 64,
	  .fallback = "4", .help = "Worker threads." },
	{ .name = "in_flight", .kind = KEY_INT, .offset = CONF(in_flight), .min = 1, .max = 4096,
	  .fallback = "64", .help = "Requests under way at once, over all organizations." },
	{ .name = "requests_per_minute", .kind = KEY_INT, .offset = CONF(requests_per_minute),
	  .min = 0, .max = 1000000, .fallback = "0",
	  .help = "Cap on the requests of the whole process; 0: none." },
	{ .name = "deadline", .kind = KEY_DURATION, .offset = CONF(deadline_s), .min = 0,
	  .max = 30 * DAY_S, .fallback = "0",
	  .help = "After this time a run drains and ends; 0: never." },
	{ .name = "connect_timeout", .kind = KEY_SHORT, .offset = CONF(connect_timeout_ms), .min = 100,
	  .max = 10 * MINUTE_MS, .fallback = "15s",
	  .help = "How long a connection may take: name, TCP and TLS." },
	{ .name = "silence_timeout", .kind = KEY_SHORT, .offset = CONF(silence_timeout_ms), .min = 100,
	  .max = 10 * MINUTE_MS, .fallback = "1m",
	  .help = "How long nothing may come while an answer is waited for." },
	{ .name = "answer_timeout", .kind = KEY_SHORT, .offset = CONF(answer_timeout_ms), .min = 100,
	  .max = 60 * MINUTE_MS, .fallback = "5m",
	  .help = "How long one answer may take in all." },
	{ .name = "retries", .kind = KEY_INT, .offset = CONF(retries), .min = 0, .max = 100,
	  .fallback = "5",
	  .help = "How often a question is asked again when no good answer comes, each time for the same reason." },
	{ .name = "backoff", .kind = KEY_SHORT, .offset = CONF(backoff_ms), .min = 10, .max = MINUTE_MS,
	  .fallback = "1s",
	  .help = "The pause before the first of these retries; each one after doubles it, up to a minute." },
	{ .name = "outage_wait", .kind = KEY_SHORT, .offset = CONF(outage_wait_ms), .min = 100,
	  .max = 24 * 60 * MINUTE_MS, .fallback = "1m",
	  .help = "How long a server that answers none of the organizations is waited for." },
	{ .name = "memory", .kind = KEY_SIZE, .offset = CONF(memory_bytes), .min = CONF_MEMORY_MIN,
	  .max = 1024 * GIB, .fallback = "1GiB",
	  .help = "Memory of the whole process." },
	{ .name = "organization_memory", .kind = KEY_SIZE, .offset = CONF(organization_memory_bytes),
	  .min = 16 * MIB, .max = 1024 * GIB,
	  .help = "Memory of one organization, of which an answer may take a quarter; at most, and by default, "
	          "a quarter of memory." },
	{ .name = "backfill_share", .kind = KEY_INT, .offset = CONF(backfill_share), .min = 1,
	  .max = 100, .fallback = "50",
	  .help = "Per cent of the work that old gaps may take." },
};

static const struct key org_keys[] = {
	[ORG_NAME] = { .name = "name", .kind = KEY_TEXT, .flags = KEY_REQUIRED | KEY_OWN,
	  .offset = ORG(name), .form = &name_form,
	  .help = "The organization's name here, and its directory's; unique whatever the letter case." },
	[ORG_ORG_ID] = { .name = "org_id", .kind = KEY_TEXT,
	  .flags = KEY_REQUIRED | KEY_OWN | KEY_LOWER, .offset = ORG(org_id), .form = &org_id_form,
	  .help = "The organization's id in Atlas." },
	[ORG_CLIENT_ID] = { .name = "client_id", .kind = KEY_TEXT, .offset = ORG(client_id),
	  .form = &client_id_form, .help = "A service account's client id." },
	[ORG_CLIENT_SECRET] = { .name = "client_secret", .kind = KEY_SECRET,
	  .offset = ORG(client_secret), .help = "The service account's secret." },
	[ORG_PUBLIC_KEY] = { .name = "public_key", .kind = KEY_TEXT, .offset = ORG(public_key),
	  .form = &public_key_form, .help = "An API key's public part." },
	[ORG_PRIVATE_KEY] = { .name = "private_key", .kind = KEY_SECRET, .offset = ORG(private_key),
	  .help = "The API key's private part." },
	[ORG_START] = { .name = "backfill_start_time", .kind = KEY_START, .offset = ORG(start),
	  .offset2 = ORG(start_s),
	  .help = "How far back events are fetched: an instant with its zone, or all. Without it: "
	          "nothing from before the first run." },
	[ORG_SETTLE] = { .name = "settle", .kind = KEY_DURATION, .offset = ORG(settle_s), .min = 0,
	  .max = DAY_S, .fallback = "2m",
	  .help = "The newest events are left alone until they are this old." },
	[ORG_OVERLAP] = { .name = "overlap", .kind = KEY_DURATION, .offset = ORG(overlap_s), .min = 0,
	  .max = 30 * DAY_S, .fallback = "1h",
	  .help = "What was read when it was younger than this is read again, for events that appear late." },
	[ORG_INCLUDE_RAW] = { .name = "include_raw", .kind = KEY_BOOL, .offset = ORG(include_raw),
	  .fallback = "true", .help = "Whether events are asked for with their raw part." },
	[ORG_EVENT_TYPES] = { .name = "event_types", .kind = KEY_TEXTS, .flags = KEY_SORTED,
	  .offset = ORG(event_types), .offset2 = ORG(n_event_types), .min = 1, .max = 1000,
	  .form = &event_type_form, .help = "The events asked for, by type name. Without it: all." },
	[ORG_TAGS] = { .name = "tags", .kind = KEY_TEXTS, .offset = ORG(tags),
	  .offset2 = ORG(n_tags), .min = 0, .max = 100, .form = &tag_form,
	  .help = "Words to select organizations by." },
	[ORG_PRIORITY] = { .name = "priority", .kind = KEY_INT, .offset = ORG(priority), .min = -1000,
	  .max = 1000, .fallback = "0", .help = "Higher goes first." },
	[ORG_RPM] = { .name = "requests_per_minute", .kind = KEY_INT,
	  .offset = ORG(requests_per_minute), .min = 0, .max = 1000000, .fallback = "0",
	  .help = "Cap on the requests of this organization, under whatever Atlas allows; 0: none." },
	[ORG_DISABLED] = { .name = "disabled", .kind = KEY_DISABLED, .offset = ORG(disabled),
	  .fallback = "false",
	  .help = "The reason why this organization is left out; true: without a reason." },
};

#define SECTION(name, keys) { name, keys, sizeof(keys) / sizeof(*(keys)) }
const struct section section_atlas = SECTION("atlas", atlas_keys);
const struct section section_output = SECTION("output", output_keys);
const struct section section_limits = SECTION("limits", limits_keys);
const struct section section_defaults = SECTION("defaults", org_keys);
const struct section section_org = SECTION("organizations", org_keys);

static const struct key top_keys[] = {
	[TOP_VERSION] = { .name = "version", .kind = KEY_VERSION, .flags = KEY_REQUIRED, .min = 1, .max = 1,
	  .help = "The version of this format: 1." },
	[TOP_ATLAS] = { .name = "atlas", .kind = KEY_SECTION, .section = &section_atlas,
	  .help = "The server." },
	[TOP_OUTPUT] = { .name = "output", .kind = KEY_SECTION, .flags = KEY_REQUIRED,
	  .section = &section_output, .help = "The archives." },
	[TOP_LIMITS] = { .name = "limits", .kind = KEY_SECTION, .section = &section_limits,
	  .help = "How much at once." },
	[TOP_DEFAULTS] = { .name = "defaults", .kind = KEY_SECTION, .section = &section_defaults,
	  .help = "What holds for every organization that does not say otherwise." },
	[TOP_INCLUDE] = { .name = "include", .kind = KEY_GLOBS, .max = 1000,
	  .help = "Files that each hold an organizations list; paths and globs, from this file's directory." },
	[TOP_ORGANIZATIONS] = { .name = "organizations", .kind = KEY_ORGS, .section = &section_org,
	  .help = "The organizations, each with credentials of its own." },
};
const struct section section_top = SECTION("the configuration", top_keys);

static bool
class_holds(const char *class, unsigned char c)
{
	for (const unsigned char *p = (const unsigned char *)class; *p != '\0'; p++) {
		if (p[1] == '-' && p[2] != '\0') {
			if (c >= p[0] && c <= p[2])
				return true;
			p += 2;
		} else if (c == *p) {
			return true;
		}
	}
	return false;
}

bool
form_fits(const struct form *form, const char *text, size_t len)
{
	if (len < form->min_len || len > form->max_len || len == 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!class_holds(i == 0 ? form->first : form->rest, (unsigned char)text[i]))
			return false;
	return true;
}

int
key_find(const struct section *section, const char *name, size_t len)
{
	for (size_t i = 0; i < section->n; i++)
		if (strlen(section->keys[i].name) == len && memcmp(section->keys[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

const char *
key_suggestion(const struct section *section, const char *name, size_t len, char *out, size_t out_size)
{
	static const struct section *const all[] = {
		&section_top, &section_atlas, &section_output, &section_limits, &section_org
	};
	struct suggest s;

	out[0] = '\0';
	/* The right word in the wrong place, before a similar word. */
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		int at = key_find(all[i], name, len);

		if (at < 0 || all[i]->keys == section->keys)
			continue;
		if (all[i] == &section_top)
			snprintf(out, out_size, " (\"%s\" belongs at the top of the main file)",
			         all[i]->keys[at].name);
		else
			snprintf(out, out_size, " (\"%s\" belongs under \"%s\")", all[i]->keys[at].name,
			         all[i]->name);
		return out;
	}
	suggest_begin(&s, name, len);
	for (size_t i = 0; i < section->n; i++)
		if (section != &section_defaults || !(section->keys[i].flags & KEY_OWN))
			suggest_offer(&s, section->keys[i].name);
	if (s.best != NULL)
		snprintf(out, out_size, " (did you mean \"%s\"?)", s.best);
	return out;
}
