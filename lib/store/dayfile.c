#include "lib/store/dayfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/isotime.h"

#define IN_SIZE ((size_t)64 * 1024)
#define OUT_SIZE ((size_t)128 * 1024)
#define GZIP_LEVEL 6
#define GZIP_WINDOW (15 + 16) /* zlib's way of asking for gzip; its header then has no time and no name */
#define ZSTD_LEVEL 1 /* 2.0 µs of CPU an event against 3.5, for a file a tenth larger */

char *
dayfile_name(int64_t day_s, enum ledger_suffix suffix, char *out)
{
	isotime_format_day(day_s, out);
	strcpy(out + 10, ledger_suffix_text(suffix));
	return out;
}

bool
dayfile_parse_name(const char *name, int64_t *ret_day_s, enum ledger_suffix *ret_suffix)
{
	if (strlen(name) < 10 || isotime_parse_day(name, 10, ret_day_s) != 0)
		return false;
	for (int s = LEDGER_PLAIN; s <= LEDGER_ZSTD; s++)
		if (strcmp(name + 10, ledger_suffix_text((enum ledger_suffix)s)) == 0) {
			*ret_suffix = (enum ledger_suffix)s;
			return true;
		}
	return false;
}

int
dayfile_damaged(const char *what, const char *why, struct err *e)
{
	err_set(e, ERR_DAMAGE, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR, "%s: damaged: %s", what, why);
	err_hint(e, "bring the file back from a backup, or run orgsync verify --repair, which sets it aside and has its day "
	            "read again; it is not overwritten");
	return -1;
}

int
sha256_of(const void *bytes, size_t len, unsigned char ret[32])
{
	return EVP_Digest(bytes, len, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

void
sha256_hex(const unsigned char sha256[32], char ret[65])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 32; i++) {
		ret[2 * i] = digits[sha256[i] >> 4];
		ret[2 * i + 1] = digits[sha256[i] & 15];
	}
	ret[64] = '\0';
}

static int
sha_begin(EVP_MD_CTX **sha, const char *what, struct err *e)
{
	if (*sha == NULL)
		*sha = EVP_MD_CTX_new();
	if (*sha == NULL || EVP_DigestInit_ex(*sha, EVP_sha256(), NULL) != 1)
		return err_set_errno(e, ENOMEM, "%s: cannot begin a SHA-256", what);
	return 0;
}

static int
sha_end(EVP_MD_CTX *sha, unsigned char ret[32], const char *what, struct err *e)
{
	if (EVP_DigestFinal_ex(sha, ret, NULL) != 1)
		return err_set_errno(e, ENOMEM, "%s: cannot end a SHA-256", what);
	return 0;
}

/* Reader ----------------------------------------------------------------------------------------- */

void
day_reader_init(struct day_reader *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = -1;
}

void
day_reader_close(struct day_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

void
day_reader_free(struct day_reader *r)
{
	day_reader_close(r);
	EVP_MD_CTX_free(r->sha);
	if (r->has_z)
		inflateEnd(&r->z);
	ZSTD_freeDCtx(r->zstd);
	free(r->in);
	free(r->out);
	day_reader_init(r);
}

static int
reader_begin(struct day_reader *r, struct err *e)
{
	r->in_at = r->in_len = r->start = r->end = 0;
	r->offset = 0;
	r->in_frame = false;
	if (r->out == NULL) {
		r->out = malloc(OUT_SIZE);
		r->out_size = r->out == NULL ? 0 : OUT_SIZE;
	}
	if (r->in == NULL && r->suffix != LEDGER_PLAIN)
		r->in = malloc(IN_SIZE);
	if (r->out == NULL || (r->in == NULL && r->suffix != LEDGER_PLAIN))
		return err_set_errno(e, ENOMEM, "%s", r->what);
	if (r->suffix == LEDGER_GZIP) {
		if ((r->has_z ? inflateReset(&r->z) : inflateInit2(&r->z, GZIP_WINDOW)) != Z_OK)
			return err_set_errno(e, ENOMEM, "%s: cannot begin to decompress", r->what);
		r->has_z = true;
	} else if (r->suffix == LEDGER_ZSTD) {
		if (r->zstd == NULL)
			r->zstd = ZSTD_createDCtx();
		if (r->zstd == NULL || ZSTD_isError(ZSTD_DCtx_reset(r->zstd, ZSTD_reset_session_only)))
			return err_set_errno(e, ENOMEM, "%s: cannot begin to decompress", r->what);
	}
	return 0;
}

int
day_reader_open(struct day_reader *r, int dirfd, const char *name, enum ledger_suffix suffix, bool hash,
                const char *what, struct err *e)
{
	day_reader_close(r);
	r->what = what;
	r->suffix = suffix;
	r->hashing = hash;
	r->fd = file_open_read(dirfd, name, what, e);
	if (r->fd < 0)
		return errno == ENOENT ? 1 : -1;
	if ((hash && sha_begin(&r->sha, what, e) != 0) || reader_begin(r, e) != 0) {
		day_reader_close(r);
		return -1;
	}
	return 0;
}

/* The number of bytes read, 0 at the end, or -1. */
static ssize_t
read_some(struct day_reader *r, void *to, size_t size, struct err *e)
{
	ssize_t n;

	do
		n = read(r->fd, to, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		err_set_errno(e, errno, "%s: cannot read", r->what);
	return n;
}

static ssize_t
inflate_some(struct day_reader *r, char *to, size_t size, struct err *e)
{
	int rc;

	r->z.next_in = r->in + r->in_at;
	r->z.avail_in = (uInt)(r->in_len - r->in_at);
	r->z.next_out = (unsigned char *)to;
	r->z.avail_out = (uInt)(size > UINT32_MAX ? UINT32_MAX : size);
	size = r->z.avail_out;
	rc = inflate(&r->z, Z_NO_FLUSH);
	r->in_at = r->in_len - r->z.avail_in;
	r->in_frame = rc != Z_STREAM_END;
	if (rc == Z_STREAM_END)
		inflateReset(&r->z);
	else if (rc == Z_MEM_ERROR)
		return err_set_errno(e, ENOMEM, "%s: cannot decompress", r->what);
	else if (rc != Z_OK && rc != Z_BUF_ERROR)
		return dayfile_damaged(r->what, "it is not sound gzip", e);
	return (ssize_t)(size - r->z.avail_out);
}

static ssize_t
zstd_some(struct day_reader *r, char *to, size_t size, struct err *e)
{
	ZSTD_inBuffer in = { r->in, r->in_len, r->in_at };
	ZSTD_outBuffer out = { to, size, 0 };
	size_t rc = ZSTD_decompressStream(r->zstd, &out, &in);

	if (ZSTD_isError(rc))
		return dayfile_damaged(r->what, "it is not sound zstd", e);
	r->in_at = in.pos;
	r->in_frame = rc != 0;
	return (ssize_t)out.pos;
}

static ssize_t
decompress_some(struct day_reader *r, char *to, size_t size, struct err *e)
{
	size_t before;
	ssize_t n;

	for (;;) {
		if (r->in_frame || r->in_at < r->in_len) {
			before = r->in_at;
			n = r->suffix == LEDGER_GZIP ? inflate_some(r, to, size, e) : zstd_some(r, to, size, e);
			if (n != 0)
				return n;
			if (r->in_at < r->in_len && r->in_at == before)
				return dayfile_damaged(r->what, "it does not decompress", e);
		}
		if (r->in_at < r->in_len)
			continue;
		n = read_some(r, r->in, IN_SIZE, e);
		if (n < 0)
			return -1;
		if (n == 0)
			return r->in_frame ? dayfile_damaged(r->what, "it is cut short", e) : 0;
		r->in_at = 0;
		r->in_len = (size_t)n;
	}
}

/* More bytes after r->end. 1, 0 at the end, or -1. */
static int
fill(struct day_reader *r, struct err *e)
{
	char *out;
	ssize_t n;

	if (r->start > 0) {
		memmove(r->out, r->out + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->end == r->out_size) {
		if (r->out_size >= DAYFILE_LINE_MAX)
			return dayfile_damaged(r->what, "it holds a line that is longer than any event", e);
		/* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): it began with OUT_SIZE */
		out = realloc(r->out, r->out_size * 2);
		if (out == NULL)
			return err_set_errno(e, ENOMEM, "%s", r->what);
		r->out = out;
		r->out_size *= 2;
	}
	n = r->suffix == LEDGER_PLAIN ? read_some(r, r->out + r->end, r->out_size - r->end, e)
	                              : decompress_some(r, r->out + r->end, r->out_size - r->end, e);
	if (n <= 0)
		return (int)n;
	if (r->hashing && EVP_DigestUpdate(r->sha, r->out + r->end, (size_t)n) != 1)
		return err_set_errno(e, ENOMEM, "%s: cannot go on with a SHA-256", r->what);
	r->end += (size_t)n;
	return 1;
}

int
day_reader_line(struct day_reader *r, const char **ret_line, size_t *ret_len, struct err *e)
{
	size_t seen = 0;
	const char *nl;
	int rc;

	for (;;) {
		nl = memchr(r->out + r->start + seen, '\n', r->end - r->start - seen);
		if (nl != NULL)
			break;
		seen = r->end - r->start;
		rc = fill(r, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			return r->start == r->end ? 0 : dayfile_damaged(r->what, "its last line has no end", e);
	}
	*ret_line = r->out + r->start;
	*ret_len = (size_t)(nl - *ret_line);
	r->start += *ret_len + 1;
	r->offset += *ret_len + 1;
	return 1;
}

void
day_reader_rest(const struct day_reader *r, const char **ret_bytes, size_t *ret_len)
{
	*ret_bytes = r->out + r->start;
	*ret_len = r->end - r->start;
}

int
day_reader_bytes(struct day_reader *r, uint64_t max, const char **ret_bytes, size_t *ret_len,
                 struct err *e)
{
	size_t len;
	int rc;

	if (r->start == r->end) {
		rc = fill(r, e);
		if (rc <= 0)
			return rc;
	}
	len = r->end - r->start;
	if (len > max)
		len = (size_t)max;
	*ret_bytes = r->out + r->start;
	*ret_len = len;
	r->start += len;
	r->offset += len;
	return 1;
}

int
day_reader_sha256(struct day_reader *r, unsigned char ret[32], struct err *e)
{
	return sha_end(r->sha, ret, r->what, e);
}

/* Writer ----------------------------------------------------------------------------------------- */

void
day_writer_init(struct day_writer *w)
{
	memset(w, 0, sizeof(*w));
	w->fd = -1;
}

void
day_writer_free(struct day_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	EVP_MD_CTX_free(w->sha);
	if (w->has_z)
		deflateEnd(&w->z);
	ZSTD_freeCCtx(w->zstd);
	free(w->in);
	free(w->out);
	day_writer_init(w);
}

static int
gzip_begin(struct day_writer *w, struct err *e)
{
	int rc = w->has_z ? deflateReset(&w->z)
	                  : deflateInit2(&w->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);

	if (rc != Z_OK)
		return err_set_errno(e, ENOMEM, "%s: cannot begin to compress", w->what);
	w->has_z = true;
	return 0;
}

static int
zstd_begin(struct day_writer *w, uint64_t size, struct err *e)
{
	if (w->zstd == NULL)
		w->zstd = ZSTD_createCCtx();
	if (w->zstd == NULL || ZSTD_isError(ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1)) ||
	    ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(w->zstd, size)))
		return err_set_errno(e, ENOMEM, "%s: cannot begin to compress", w->what);
	return 0;
}

int
day_writer_open(struct day_writer *w, int dirfd, const char *name, enum ledger_suffix suffix,
                uint64_t size, const char *what, struct err *e)
{
	w->what = what;
	w->suffix = suffix;
	w->bytes = 0;
	w->in_len = w->out_len = 0;
	if (w->in == NULL)
		w->in = malloc(OUT_SIZE);
	if (w->out == NULL && suffix != LEDGER_PLAIN)
		w->out = malloc(OUT_SIZE);
	if (w->in == NULL || (w->out == NULL && suffix != LEDGER_PLAIN))
		return err_set_errno(e, ENOMEM, "%s", what);
	if (sha_begin(&w->sha, what, e) != 0 || (suffix == LEDGER_GZIP && gzip_begin(w, e) != 0) ||
	    (suffix == LEDGER_ZSTD && zstd_begin(w, size, e) != 0))
		return -1;
	w->fd = file_create(dirfd, name, what, e);
	return w->fd < 0 ? -1 : 0;
}

static int
flush_out(struct day_writer *w, struct err *e)
{
	if (w->out_len > 0 && file_write(w->fd, w->out, w->out_len, w->what, e) != 0)
		return -1;
	w->out_len = 0;
	return 0;
}

static int
put_gzip(struct day_writer *w, const void *bytes, size_t len, bool last, struct err *e)
{
	int rc;

	w->z.next_in = (unsigned char *)(uintptr_t)bytes; /* zlib does not write there */
	w->z.avail_in = (uInt)len;
	do {
		if (w->out_len == OUT_SIZE && flush_out(w, e) != 0)
			return -1;
		w->z.next_out = w->out + w->out_len;
		w->z.avail_out = (uInt)(OUT_SIZE - w->out_len);
		rc = deflate(&w->z, last ? Z_FINISH : Z_NO_FLUSH);
		w->out_len = OUT_SIZE - w->z.avail_out;
		if (rc == Z_STREAM_ERROR)
			return err_set_errno(e, EINVAL, "%s: cannot compress", w->what);
	} while (w->z.avail_in > 0 || (last && rc != Z_STREAM_END));
	return 0;
}

static int
put_zstd(struct day_writer *w, const void *bytes, size_t len, bool last, struct err *e)
{
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t rc;

	do {
		ZSTD_outBuffer out = { w->out, OUT_SIZE, w->out_len };

		rc = ZSTD_compressStream2(w->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		w->out_len = out.pos;
		if (ZSTD_isError(rc))
			return err_set_errno(e, EINVAL, "%s: cannot compress (%s)", w->what,
			                     ZSTD_getErrorName(rc));
		if (w->out_len == OUT_SIZE && flush_out(w, e) != 0)
			return -1;
	} while (in.pos < in.size || (last && rc != 0));
	return 0;
}

/* No more than OUT_SIZE bytes. */
static int
put_part(struct day_writer *w, const void *bytes, size_t len, bool last, struct err *e)
{
	if (EVP_DigestUpdate(w->sha, bytes, len) != 1)
		return err_set_errno(e, ENOMEM, "%s: cannot go on with a SHA-256", w->what);
	if (w->suffix == LEDGER_GZIP)
		return put_gzip(w, bytes, len, last, e);
	if (w->suffix == LEDGER_ZSTD)
		return put_zstd(w, bytes, len, last, e);
	return len == 0 ? 0 : file_write(w->fd, bytes, len, w->what, e);
}

/* Gathered first: a call of each of the libraries an event costs more than the copy. */
int
day_writer_put(struct day_writer *w, const void *bytes, size_t len, struct err *e)
{
	const unsigned char *p = bytes;
	size_t part;

	w->bytes += len;
	for (; len > 0; p += part, len -= part) {
		part = len < OUT_SIZE - w->in_len ? len : OUT_SIZE - w->in_len;
		memcpy(w->in + w->in_len, p, part);
		w->in_len += part;
		if (w->in_len < OUT_SIZE)
			continue;
		if (put_part(w, w->in, w->in_len, false, e) != 0)
			return -1;
		w->in_len = 0;
	}
	return 0;
}

int
day_writer_hand_over(struct day_writer *w, unsigned char ret_sha256[32], int *ret_fd, struct err *e)
{
	if (put_part(w, w->in, w->in_len, true, e) != 0 || flush_out(w, e) != 0 ||
	    sha_end(w->sha, ret_sha256, w->what, e) != 0)
		return -1;
	*ret_fd = w->fd;
	w->fd = -1;
	return 0;
}

int
day_writer_finish(struct day_writer *w, unsigned char ret_sha256[32], struct err *e)
{
	int fd;

	return day_writer_hand_over(w, ret_sha256, &fd, e) != 0 ? -1 : file_sync_close(fd, w->what, e);
}
