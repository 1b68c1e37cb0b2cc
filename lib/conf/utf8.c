#include "lib/conf/utf8.h"

size_t
utf8_read(const char *bytes, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)bytes;
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

bool
utf8_is_unsafe(uint32_t c)
{
	if (c == '\t' || c == '\n' || c == '\r')
		return false;
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

int
utf8_check(const char *bytes, size_t len, struct utf8_finding *ret)
{
	unsigned line = 1, column = 1;
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_read(bytes + i, len - i, &c);
		if (n == 0 || utf8_is_unsafe(c)) {
			*ret = (struct utf8_finding){ line, column, n == 0,
			                              n == 0 ? (unsigned char)bytes[i] : c };
			return -1;
		}
		column++;
		if (c == '\n' || (c == '\r' && !(i + 1 < len && bytes[i + 1] == '\n'))) {
			line++;
			column = 1;
		}
	}
	return 0;
}
