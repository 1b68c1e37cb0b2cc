#include <stdio.h>
#include <string.h>

#include "lib/base/isotime.h"
#include "lib/conf/conf.h"
#include "lib/conf/value.h"

/* A text in double quotes: whatever it holds, it comes back as it was. */
static int
put_text(struct buf *b, const char *text)
{
	int failed = buf_append(b, "\"", 1);

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			failed |= buf_printf(b, "\\%c", *p);
		else if (*p == '\n')
			failed |= buf_append(b, "\\n", 2);
		else if (*p == '\t')
			failed |= buf_append(b, "\\t", 2);
		else
			failed |= buf_append(b, p, 1);
	}
	return failed | buf_append(b, "\"", 1);
}

static int
put_list(struct buf *b, char *const *texts, size_t n)
{
	int failed = buf_append(b, "[", 1);

	for (size_t i = 0; i < n; i++) {
		failed |= i == 0 ? 0 : buf_append(b, ", ", 2);
		failed |= put_text(b, texts[i]);
	}
	return failed | buf_append(b, "]", 1);
}

static int
put_secret(struct buf *b, const struct conf_secret *secret)
{
	size_t n = 0;
	int failed;

	if (secret->kind == CONF_SECRET_PLAIN)
		return put_text(b, "(redacted)");
	failed = buf_printf(b, "{ %s: ", secret_words[secret->kind - CONF_SECRET_ENV]);
	if (secret->kind == CONF_SECRET_COMMAND) {
		while (secret->argv[n] != NULL)
			n++;
		failed |= put_list(b, secret->argv, n);
	} else {
		failed |= put_text(b, secret->value);
	}
	return failed | buf_append_str(b, " }");
}

/* "none" where the key is better left out. */
static bool
is_absent(const struct key *key, const void *from)
{
	const char *at = (const char *)from + key->offset;
	enum conf_start start;
	char *text;

	switch (key->kind) {
	case KEY_START:
		memcpy(&start, at, sizeof(start));
		return start == CONF_START_NONE;
	case KEY_SIZE:
		return *(const int64_t *)(const void *)at == 0;
	case KEY_SECRET:
		return ((const struct conf_secret *)(const void *)at)->kind == CONF_SECRET_NONE;
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_BASE_URL:
	case KEY_PROXY:
	case KEY_TEXTS:
	case KEY_DISABLED:
		memcpy(&text, at, sizeof(text));
		return text == NULL;
	default:
		return false;
	}
}

static int
put_start(struct buf *b, const struct key *key, const void *from)
{
	enum conf_start start;
	int64_t start_s;
	char text[ISOTIME_LEN + 1];

	memcpy(&start, (const char *)from + key->offset, sizeof(start));
	memcpy(&start_s, (const char *)from + key->offset2, sizeof(start_s));
	return buf_append_str(b, start == CONF_START_ALL ? "all" : isotime_format_s(start_s, text));
}

static int
put_value(struct buf *b, const struct key *key, const void *from)
{
	const void *at = (const char *)from + key->offset;
	char text[24];
	size_t n;

	switch (key->kind) {
	case KEY_INT:
		return buf_printf(b, "%d", *(const int *)at);
	case KEY_BOOL:
		return buf_append_str(b, *(const bool *)at ? "true" : "false");
	case KEY_WORD:
		return buf_append_str(b, key->words[*(const int *)at]);
	case KEY_DURATION:
		return buf_append_str(b, value_format_duration(*(const int64_t *)at * 1000, text));
	case KEY_SHORT:
		return buf_append_str(b, value_format_duration(*(const int64_t *)at, text));
	case KEY_SIZE:
		return buf_append_str(b, value_format_size(*(const int64_t *)at, text));
	case KEY_START:
		return put_start(b, key, from);
	case KEY_SECRET:
		return put_secret(b, at);
	case KEY_TEXTS:
		memcpy(&n, (const char *)from + key->offset2, sizeof(n));
		return put_list(b, *(char *const *const *)at, n);
	case KEY_TEXT:
	case KEY_PATH:
	case KEY_BASE_URL:
	case KEY_PROXY:
	case KEY_DISABLED:
		return put_text(b, *(char *const *)at);
	default:
		return 0;
	}
}

static int
put_keys(struct buf *b, const struct section *section, const void *from, const char *first,
         const char *indent)
{
	int failed = 0;

	for (size_t i = 0; i < section->n; i++) {
		if (is_absent(&section->keys[i], from))
			continue;
		failed |= buf_printf(b, "%s%s: ", first, section->keys[i].name);
		failed |= put_value(b, &section->keys[i], from);
		failed |= buf_append(b, "\n", 1);
		first = indent;
	}
	return failed;
}

int
conf_show(const struct conf *conf, struct buf *b)
{
	static const struct section *const sections[] = {
		&section_atlas, &section_output, &section_limits
	};
	int failed = buf_append_str(b, "version: 1\n");

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		failed |= buf_printf(b, "%s:\n", sections[i]->name);
		failed |= put_keys(b, sections[i], conf, "  ", "  ");
	}
	failed |= buf_append_str(b, "organizations:\n");
	for (size_t i = 0; i < conf->n_orgs; i++)
		failed |= put_keys(b, &section_org, &conf->orgs[i], "  - ", "    ");
	return failed == 0 ? 0 : -1;
}
