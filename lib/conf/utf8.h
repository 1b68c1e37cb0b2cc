/* utf8.h: which characters may stand in a configuration. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_UTF8_H
#define ORGSYNC_CONF_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Reads one character of at most len bytes (len > 0). Returns its length, or 0 where the bytes are no
 * UTF-8 (overlong forms, surrogates and numbers past U+10FFFF included). */
static inline size_t
utf8_read(const char *bytes, size_t len, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)bytes;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = p[0];
	size_t n;

	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || c > 0xf4 || n > len)
		return 0;
	c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Characters that make a line on a terminal, or in an editor, other than what it seems: controls, line
 * breaks beyond those of ASCII, marks that turn the direction of writing, byte order marks. Tab, line
 * feed and carriage return are for the caller to judge. */
static inline int
utf8_is_unsafe(uint32_t c)
{
	if (c == '\t' || c == '\n' || c == '\r')
		return 0;
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

#endif
