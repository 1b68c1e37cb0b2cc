/* buf.h: a growing run of bytes with a cap stated when it is made.
 *
 * One owner, one thread at a time. Past the cap, or when memory is short, an append returns -1 and
 * leaves the contents as they were: an ordinary error of the caller's, never an abort.
 */
#ifndef ORGSYNC_BASE_BUF_H
#define ORGSYNC_BASE_BUF_H

#include <stddef.h>

struct buf {
	char *data;        /* NULL while nothing was ever appended; never NUL-terminated by itself */
	size_t len;        /* bytes in use */
	size_t size;       /* bytes allocated: at most cap_bytes + 1, for a NUL */
	size_t cap_bytes;  /* len never exceeds this */
};

/* Makes b empty with a cap; allocates nothing. */
void buf_init(struct buf *b, size_t cap_bytes);
/* Gives the memory back; b is as after buf_init() with the same cap. */
void buf_free(struct buf *b);
/* Overwrites every allocated byte (secrets), then as buf_free(). Growing moves the bytes and leaves the
 * old ones behind: reserve a secret's room before it is appended. */
void buf_wipe(struct buf *b);
/* Empties b and keeps its memory. */
void buf_reset(struct buf *b);

/* Makes room for len more bytes after b->len. 0, or -1 (cap or memory). */
int buf_reserve(struct buf *b, size_t len) __attribute__((warn_unused_result));
int buf_append(struct buf *b, const void *bytes, size_t len) __attribute__((warn_unused_result));
int buf_append_str(struct buf *b, const char *text) __attribute__((warn_unused_result));
int buf_printf(struct buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3), warn_unused_result));
/* Writes a NUL after the last byte without counting it, even at the cap, and returns the text; NULL:
 * no memory. The next append overwrites the NUL. */
char *buf_str(struct buf *b);

/* Overwrites len bytes at p in a way the compiler keeps. p may be NULL where len is 0. */
void wipe(void *p, size_t len);

#endif
