/* text.h: text for a person that keeps to a width.
 *
 * Texts come from configurations and servers, so every one is cleaned before it is printed: control
 * characters and bytes that are no UTF-8 come out as '?', so that no text can move a terminal's cursor.
 * Widths are counted in code points. Any thread; nothing blocks but the writing. */
#ifndef ORGSYNC_CMD_TEXT_H
#define ORGSYNC_CMD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum text_style { STYLE_PLAIN, STYLE_BOLD, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

/* Where the text goes. */
struct screen {
	FILE *out;      /* borrowed */
	int width;      /* columns */
	bool colour;
};

/* 80 columns without colour; on a terminal its own width (40 to 120), and colour unless NO_COLOR is set
 * or TERM is "dumb". */
struct screen screen_of(FILE *out);

/* A cleaned copy of the text, the caller's to free(); NULL: no memory. Tabs and line ends are blanks.
 * The copy has room for what text_shorten() may put at its end. */
char *text_clean(const char *text);
/* Code points of a clean text. */
size_t text_width(const char *text);
/* Shortens a text of text_clean() in place to at most `width` code points (width >= 1), the last one
 * then being an ellipsis. */
void text_shorten(char *text, size_t width);

/* Prints the text wrapped at blanks; the first line begins with `first` (may be ""), the following ones
 * with as many blanks as first is wide. A word that is too long alone is broken. */
void text_wrap(const struct screen *screen, const char *first, const char *text);
/* Prints a text in a style, without a line end. */
void text_styled(const struct screen *screen, enum text_style style, const char *text);

#endif
