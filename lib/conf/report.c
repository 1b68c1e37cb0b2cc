#include "lib/conf/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_PREFIX "mdb_sa_sk_"

struct report_entry {
	struct place at;
	bool error;
	char *line;
};

void
report_init(struct report *r)
{
	memset(r, 0, sizeof(*r));
}

void
report_free(struct report *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->entries[i].line);
	free(r->entries);
	report_init(r);
}

int
report_no_memory(struct report *r)
{
	r->no_memory = true;
	return -1;
}

static int
make_room(struct report *r)
{
	struct report_entry *entries;
	size_t size;

	if (r->n < r->size)
		return 0;
	size = r->size == 0 ? 16 : r->size * 2;
	entries = realloc(r->entries, size * sizeof(*entries));
	if (entries == NULL)
		return report_no_memory(r);
	r->entries = entries;
	r->size = size;
	return 0;
}

/* The last look at a line. A line break in a file's name must not look like another finding; and a
 * service account's secret is left out wherever it was pasted, a path or a name included. */
static void
clean(char *line)
{
	const char *word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	for (unsigned char *p = (unsigned char *)line; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	for (char *p = strstr(line, SECRET_PREFIX); p != NULL; p = strstr(p, SECRET_PREFIX)) {
		p += strlen(SECRET_PREFIX);
		memset(p, '*', strspn(p, word));
	}
}

__attribute__((format(printf, 4, 0)))
static void
add(struct report *r, struct place at, bool error, const char *format, va_list args)
{
	char *text = NULL, *line = NULL;

	if (r->n >= REPORT_MAX) {
		*(error ? &r->dropped_errors : &r->dropped_warnings) += 1;
		return;
	}
	if (make_room(r) != 0)
		return;
	if (vasprintf(&text, format, args) < 0) {
		report_no_memory(r);
		return;
	}
	if (asprintf(&line, "%s:%u:%u: %s: %s", at.source->path, at.line, at.column,
	             error ? "error" : "warning", text) < 0) {
		report_no_memory(r);
		free(text);
		return;
	}
	free(text);
	clean(line);
	r->entries[r->n++] = (struct report_entry){ at, error, line };
}

void
report_error(struct report *r, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(r, at, true, format, args);
	va_end(args);
}

void
report_warning(struct report *r, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(r, at, false, format, args);
	va_end(args);
}

static int
compare(const void *left, const void *right)
{
	const struct report_entry *a = left, *b = right;

	if (a->at.source->index != b->at.source->index)
		return a->at.source->index < b->at.source->index ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	return strcmp(a->line, b->line);
}

void
report_finish(struct report *r, struct conf_findings *ret_findings)
{
	struct conf_findings f = { 0 };
	char *more = NULL;

	if (r->n > 0)
		qsort(r->entries, r->n, sizeof(*r->entries), compare);
	f.lines = calloc(r->n + 1, sizeof(*f.lines));
	if (f.lines == NULL) {
		report_free(r);
		report_no_memory(r);
		*ret_findings = f;
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (f.n > 0 && strcmp(f.lines[f.n - 1], r->entries[i].line) == 0) {
			free(r->entries[i].line);
			continue;
		}
		*(r->entries[i].error ? &f.n_errors : &f.n_warnings) += 1;
		f.lines[f.n++] = r->entries[i].line;
	}
	if (r->dropped_errors + r->dropped_warnings > 0 &&
	    asprintf(&more, "%s:1:1: %s: %zu more findings are not shown",
	             r->entries[0].at.source->path, r->dropped_errors > 0 ? "error" : "warning",
	             r->dropped_errors + r->dropped_warnings) >= 0) {
		clean(more);
		f.lines[f.n++] = more;
	}
	f.n_errors += (unsigned)r->dropped_errors;
	f.n_warnings += (unsigned)r->dropped_warnings;
	r->n = 0;  /* the lines are handed over */
	free(r->entries);
	r->entries = NULL;
	r->size = 0;
	*ret_findings = f;
}

bool
holds_client_secret(const char *text, size_t len)
{
	return memmem(text, len, SECRET_PREFIX, strlen(SECRET_PREFIX)) != NULL;
}

bool
looks_secret(const char *text, size_t len)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (holds_client_secret(text, len))
		return true;
	if (len != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (form[i] == '-' ? text[i] != '-' : strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return false;
	return true;
}

const char *
quote(struct quoted *q, const char *text, size_t len)
{
	const size_t max = 60;
	bool cut = len > max;
	size_t n = cut ? max : len;

	if (looks_secret(text, len))
		return strcpy(q->text, "(a text that looks secret)");
	while (cut && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	q->text[0] = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		q->text[i + 1] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	memcpy(q->text + n + 1, cut ? "…\"" : "\"", cut ? sizeof("…\"") : sizeof("\""));
	return q->text;
}
