/* keys.h: every key of the configuration, once: what it takes, its bounds, its default, where its value
 * lands in the description, and a sentence on it. The parser, the suggestions, the JSON Schema and the
 * test of the manual page all read these tables. Constant; any thread. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_KEYS_H
#define ORGSYNC_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_kind {
	KEY_VERSION,   /* the number 1; lands nowhere */
	KEY_SECTION,   /* a map with keys of its own */
	KEY_ORGS,      /* the list of organizations */
	KEY_GLOBS,     /* a list of paths and globs; lands nowhere */
	KEY_INT,       /* int */
	KEY_BOOL,      /* bool */
	KEY_WORD,      /* an enum: the index into words */
	KEY_TEXT,      /* char *, of a form */
	KEY_PATH,      /* char *, made absolute */
	KEY_BASE_URL,  /* char * */
	KEY_PROXY,     /* char * */
	KEY_DURATION,  /* int64_t, seconds */
	KEY_SHORT,     /* int64_t, milliseconds: a duration that may be less than a second */
	KEY_SIZE,      /* int64_t, bytes */
	KEY_START,     /* enum conf_start, and int64_t epoch seconds at offset2 */
	KEY_SECRET,    /* struct conf_secret */
	KEY_TEXTS,     /* char **, and size_t at offset2; each of a form */
	KEY_DISABLED   /* char * or NULL */
};

enum {
	KEY_REQUIRED = 1,  /* must be there */
	KEY_OWN = 2,       /* an organization's own: not in defaults */
	KEY_LOWER = 4,     /* text: letters become lower case */
	KEY_SORTED = 8,    /* texts: sorted; otherwise in the order given. Repeats go in both cases */
	KEY_READABLE = 16  /* path: must name a file that can be opened for reading */
};

#define KEY_ARGUMENTS_MAX 100  /* words of a secret's command */

/* What a text looks like: its first and its other characters as they stand between the brackets of a
 * regular expression (single characters and ranges; '-' last is itself). */
struct form {
	const char *first, *rest;
	size_t min_len, max_len;
	const char *says;        /* for messages: "24 hexadecimal digits" */
};

bool form_fits(const struct form *form, const char *text, size_t len);

struct section;
struct key {
	const char *name;
	enum key_kind kind;
	unsigned flags;
	size_t offset, offset2;      /* in the struct the section fills */
	int64_t min, max;            /* int: the value; durations and sizes: in their unit; texts: how many */
	const char *const *words;    /* KEY_WORD: NULL-terminated, in the order of the enum */
	const struct form *form;
	const struct section *section;
	const char *fallback;        /* the default as YAML, or NULL */
	const char *help;
};

struct section {
	const char *name;            /* "atlas"; "an organization" has none in the file */
	const struct key *keys;
	size_t n;
};

/* The order of section_org. */
enum org_key {
	ORG_NAME, ORG_ORG_ID, ORG_CLIENT_ID, ORG_CLIENT_SECRET, ORG_PUBLIC_KEY, ORG_PRIVATE_KEY, ORG_START,
	ORG_SETTLE, ORG_OVERLAP, ORG_INCLUDE_RAW, ORG_EVENT_TYPES, ORG_TAGS, ORG_PRIORITY, ORG_RPM,
	ORG_DISABLED, ORG_KEYS
};

/* The order of section_top. */
enum top_key {
	TOP_VERSION, TOP_ATLAS, TOP_OUTPUT, TOP_LIMITS, TOP_DEFAULTS, TOP_INCLUDE, TOP_ORGANIZATIONS, TOP_KEYS
};

extern const struct section section_top;       /* fills nothing itself */
extern const struct section section_atlas;     /* these three fill a struct conf */
extern const struct section section_output;
extern const struct section section_limits;
extern const struct section section_defaults;  /* section_org's table; KEY_OWN keys do not count */
extern const struct section section_org;       /* fills a struct conf_org */

/* The forms of secret references. */
extern const struct form form_env_name, form_systemd_name;
/* "env", "file", "command", "systemd": the index is that of the kind after CONF_SECRET_PLAIN. */
extern const char *const secret_words[];

/* The index of a key in the section's table, or -1. */
int key_find(const struct section *section, const char *name, size_t len);

/* Writes ` (did you mean "…"?)`, ` ("…" belongs under "atlas")` or nothing. Returns out. */
const char *key_suggestion(const struct section *section, const char *name, size_t len, char *out,
                           size_t out_size);

#endif
