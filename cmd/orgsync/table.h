/* table.h: rows and columns for a person, within a screen's width.
 *
 * Every text is cleaned as text.h says. One owner, one thread at a time. */
#ifndef ORGSYNC_CMD_TABLE_H
#define ORGSYNC_CMD_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/orgsync/text.h"

struct table_column {
	const char *title;
	bool right;       /* aligned to the right */
	bool shrinks;     /* shortened where the table is too wide; the widest of such columns first */
};

struct table;

/* The columns are borrowed until table_free(). NULL: no memory. */
struct table *table_new(const struct table_column *columns, size_t n);
void table_free(struct table *t); /* NULL is fine */
/* Adds a row; cells are copied, NULL is an empty one. styles NULL: all plain. A failure shows in
 * table_print(). */
void table_row(struct table *t, const char *const *cells, const enum text_style *styles);
/* Adds a paragraph below the last row: `first` (copied) begins its first line, see text_wrap(). */
void table_note(struct table *t, const char *first, const char *text);
/* Prints titles and rows. 0, or -1 where memory was short (what there is was printed). */
int table_print(const struct table *t, const struct screen *screen)
	__attribute__((warn_unused_result));

#endif
