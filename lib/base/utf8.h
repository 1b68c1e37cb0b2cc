/* utf8.h: what is UTF-8, by Unicode's table 3-7: nothing overlong, no surrogates, nothing past U+10FFFF.
 */
#ifndef ORGSYNC_BASE_UTF8_H
#define ORGSYNC_BASE_UTF8_H

#include <stddef.h>

/* Length of the character at p (1 to 4 bytes, all before end), or 0 where there is none. p < end. */
static inline size_t
utf8_len(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p), len = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	unsigned char low = 0x80, high = 0xbf;

	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xc2 || u[0] > 0xf4 || left < len)
		return 0;
	if (u[0] == 0xe0)
		low = 0xa0;
	else if (u[0] == 0xed)
		high = 0x9f;
	else if (u[0] == 0xf0)
		low = 0x90;
	else if (u[0] == 0xf4)
		high = 0x8f;
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

#endif
