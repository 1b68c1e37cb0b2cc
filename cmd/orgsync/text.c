#include "cmd/orgsync/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80
#define WIDTH_LEAST 40
#define WIDTH_MOST 120
#define ELLIPSIS "\xe2\x80\xa6"

struct screen
screen_of(FILE *out)
{
	struct screen s = { out, WIDTH_DEFAULT, false };
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	if (!isatty(fileno(out)))
		return s;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		s.width = size.ws_col < WIDTH_LEAST  ? WIDTH_LEAST
		          : size.ws_col > WIDTH_MOST ? WIDTH_MOST
		                                     : size.ws_col;
	s.colour = (no_color == NULL || *no_color == '\0') && term != NULL && strcmp(term, "dumb") != 0;
	return s;
}

/* Length of the UTF-8 sequence at p, or 0 where there is none (overlong forms, surrogates and what is
 * past U+10FFFF included). */
static size_t
sequence(const unsigned char *p)
{
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

/* Characters that a terminal acts on, or that turn the direction of what follows. */
static bool
is_control(const unsigned char *p, size_t len)
{
	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	if (len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	return len == 3 && p[0] == 0xe2 &&
	       ((p[1] == 0x80 && (p[2] >= 0x8e && p[2] <= 0x8f)) ||
	        (p[1] == 0x80 && (p[2] >= 0xa8 && p[2] <= 0xae)) ||
	        (p[1] == 0x81 && (p[2] >= 0xa6 && p[2] <= 0xa9)));
}

char *
text_clean(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	char *copy = malloc(strlen(text) + sizeof(ELLIPSIS)), *out = copy;
	size_t len;

	if (copy == NULL)
		return NULL;
	while (*p != '\0') {
		len = sequence(p);
		if (len == 0 || is_control(p, len)) {
			*out++ = *p == '\n' || *p == '\t' ? ' ' : '?';
			p += len == 0 ? 1 : len;
			continue;
		}
		memcpy(out, p, len);
		out += len;
		p += len;
	}
	*out = '\0';
	return copy;
}

size_t
text_width(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* The byte at which code point number `width` begins, or the text's end. */
static size_t
offset_of(const char *text, size_t width)
{
	size_t i = 0;

	for (; text[i] != '\0'; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80 && width-- == 0)
			break;
	return i;
}

void
text_shorten(char *text, size_t width)
{
	if (text_width(text) > width)
		memcpy(text + offset_of(text, width - 1), ELLIPSIS, sizeof(ELLIPSIS));
}

void
text_styled(const struct screen *screen, enum text_style style, const char *text)
{
	static const char *const begins[] = {
		[STYLE_PLAIN] = "",
		[STYLE_BOLD] = "\033[1m",
		[STYLE_GOOD] = "\033[32m",
		[STYLE_WARN] = "\033[33m",
		[STYLE_BAD] = "\033[31m",
	};

	if (!screen->colour || style == STYLE_PLAIN)
		fputs(text, screen->out);
	else
		fprintf(screen->out, "%s%s\033[0m", begins[style], text);
}

void
text_wrap(const struct screen *screen, const char *first, const char *text)
{
	char *copy = text_clean(text);
	const char *p = copy == NULL ? text : copy; /* without memory as it is, rather than nothing */
	size_t indent = text_width(first), room, at, cut;

	room = (size_t)screen->width > indent + 10 ? (size_t)screen->width - indent : 10;
	fputs(first, screen->out);
	for (;;) {
		while (*p == ' ')
			p++;
		at = offset_of(p, room);
		cut = at;
		if (p[at] != '\0') {
			while (cut > 0 && p[cut] != ' ')
				cut--;
			if (cut == 0)
				cut = at;
		}
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): offset_of() stays inside */
		while (cut > 0 && p[cut - 1] == ' ')
			cut--;
		fprintf(screen->out, "%.*s\n", (int)cut, p);
		p += cut;
		if (p[strspn(p, " ")] == '\0')
			break;
		for (size_t i = 0; i < indent; i++)
			fputc(' ', screen->out);
	}
	free(copy);
}
