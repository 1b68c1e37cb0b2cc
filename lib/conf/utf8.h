/* utf8.h: which characters may stand in a configuration. Pure functions; any thread.
 * Internal to lib/conf. */
#ifndef ORGSYNC_CONF_UTF8_H
#define ORGSYNC_CONF_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one character of at most len bytes (len > 0). Returns its length, or 0 where the bytes are no
 * UTF-8 (overlong forms, surrogates and numbers past U+10FFFF included). */
size_t utf8_read(const char *bytes, size_t len, uint32_t *ret);

/* Characters that make a line on a terminal, or in an editor, other than what it seems: controls, line
 * breaks beyond those of ASCII, marks that turn the direction of writing, byte order marks. Tab, line
 * feed and carriage return are for the caller to judge. */
bool utf8_is_unsafe(uint32_t c);

struct utf8_finding { unsigned line, column; bool no_utf8; uint32_t character; };  /* or the byte */
/* 0 where all is UTF-8 and nothing unsafe, otherwise -1 and the first that is not. */
int utf8_check(const char *bytes, size_t len, struct utf8_finding *ret);

#endif
