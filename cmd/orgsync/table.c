#include "cmd/orgsync/table.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 10
#define BETWEEN 2          /* blanks between columns */
#define SHRUNK_LEAST 8     /* a column is not made narrower */

struct line {
	bool note;
	char *cells[COLUMNS_MAX];   /* note: [0] is how the first line begins, [1] the text */
	enum text_style styles[COLUMNS_MAX];
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct line *lines;
	size_t n_lines, size_lines;
	bool failed;                /* memory was short */
};

struct table *
table_new(const struct table_column *columns, size_t n)
{
	struct table *t = n <= COLUMNS_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (t == NULL)
		return NULL;
	t->columns = columns;
	t->n_columns = n;
	return t;
}

void
table_free(struct table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_lines; i++)
		for (size_t c = 0; c < COLUMNS_MAX; c++)
			free(t->lines[i].cells[c]);
	free(t->lines);
	free(t);
}

static struct line *
add_line(struct table *t)
{
	struct line *lines;
	size_t size;

	if (t->n_lines == t->size_lines) {
		size = t->size_lines == 0 ? 32 : t->size_lines * 2;
		lines = reallocarray(t->lines, size, sizeof(*lines));
		if (lines == NULL) {
			t->failed = true;
			return NULL;
		}
		t->lines = lines;
		t->size_lines = size;
	}
	memset(&t->lines[t->n_lines], 0, sizeof(t->lines[0]));
	return &t->lines[t->n_lines++];
}

void
table_row(struct table *t, const char *const *cells, const enum text_style *styles)
{
	struct line *line = add_line(t);

	if (line == NULL)
		return;
	for (size_t c = 0; c < t->n_columns; c++) {
		line->cells[c] = text_clean(cells[c] == NULL ? "" : cells[c]);
		t->failed |= line->cells[c] == NULL;
		line->styles[c] = styles == NULL ? STYLE_PLAIN : styles[c];
	}
}

void
table_note(struct table *t, const char *first, const char *text)
{
	struct line *line = add_line(t);

	if (line == NULL)
		return;
	line->note = true;
	line->cells[0] = text_clean(first);
	line->cells[1] = text_clean(text);
	t->failed |= line->cells[0] == NULL || line->cells[1] == NULL;
}

/* How wide each column is to be, so that a row fits. */
static void
measure(const struct table *t, int width, size_t *ret_widths)
{
	size_t sum = 0, widest;

	for (size_t c = 0; c < t->n_columns; c++) {
		ret_widths[c] = text_width(t->columns[c].title);
		for (size_t i = 0; i < t->n_lines; i++) {
			const char *cell = t->lines[i].note ? NULL : t->lines[i].cells[c];

			if (cell != NULL && text_width(cell) > ret_widths[c])
				ret_widths[c] = text_width(cell);
		}
		sum += ret_widths[c] + (c > 0 ? BETWEEN : 0);
	}
	for (; sum > (size_t)width; sum--) {
		widest = t->n_columns;
		for (size_t c = 0; c < t->n_columns; c++)
			if (t->columns[c].shrinks && ret_widths[c] > SHRUNK_LEAST &&
			    (widest == t->n_columns || ret_widths[c] > ret_widths[widest]))
				widest = c;
		if (widest == t->n_columns)
			break;
		ret_widths[widest]--;
	}
}

static void
blanks(FILE *out, size_t n)
{
	while (n-- > 0)
		fputc(' ', out);
}

static void
print_row(const struct table *t, const struct screen *screen, const size_t *widths, char *const *cells,
          const enum text_style *styles)
{
	size_t owed = 0; /* blanks, printed only when something follows them */

	for (size_t c = 0; c < t->n_columns; c++) {
		const char *cell = cells[c] == NULL ? "" : cells[c];
		size_t len, pad;

		if (cells[c] != NULL)
			text_shorten(cells[c], widths[c]);
		len = text_width(cell);
		pad = widths[c] - len;
		if (c > 0)
			owed += BETWEEN;
		if (t->columns[c].right)
			owed += pad;
		if (len > 0) {
			blanks(screen->out, owed);
			owed = 0;
			text_styled(screen, styles[c], cell);
		}
		if (!t->columns[c].right)
			owed += pad;
	}
	fputc('\n', screen->out);
}

int
table_print(const struct table *t, const struct screen *screen)
{
	enum text_style title_styles[COLUMNS_MAX];
	char *titles[COLUMNS_MAX] = { NULL };
	size_t widths[COLUMNS_MAX];
	bool failed = t->failed;

	measure(t, screen->width, widths);
	for (size_t c = 0; c < t->n_columns; c++) {
		titles[c] = text_clean(t->columns[c].title);
		failed |= titles[c] == NULL;
		title_styles[c] = STYLE_BOLD;
	}
	print_row(t, screen, widths, titles, title_styles);
	for (size_t c = 0; c < t->n_columns; c++)
		free(titles[c]);
	for (size_t i = 0; i < t->n_lines; i++) {
		const struct line *line = &t->lines[i];

		if (!line->note)
			print_row(t, screen, widths, line->cells, line->styles);
		else if (line->cells[0] != NULL && line->cells[1] != NULL)
			text_wrap(screen, line->cells[0], line->cells[1]);
	}
	return failed ? -1 : 0;
}
