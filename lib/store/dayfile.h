/* dayfile.h: reading and writing a file of lines, plain or compressed, as a stream.
 *
 * Memory does not grow with the file: a reader holds one line, a writer one buffer. Both are kept for many
 * files, one after the other, so that a compressor is made once a commit and not once a day file.
 * SHA-256, offsets and counts are of the uncompressed bytes. Private to lib/store; one owner, one
 * thread at a time; every function blocks on the disk.
 */
#ifndef ORGSYNC_STORE_DAYFILE_H
#define ORGSYNC_STORE_DAYFILE_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/err.h"
#include "lib/store/ledger.h"

#define DAYFILE_LINE_MAX ((size_t)256 * 1024 * 1024)
#define DAYFILE_NAME_MAX 32 /* "2025-08-11.ndjson.zst.tmp" and a NUL */

/* The day's file name, "2025-08-11.ndjson.gz", with a NUL; out holds DAYFILE_NAME_MAX. Returns out. */
char *dayfile_name(int64_t day_s, enum ledger_suffix suffix, char *out);
/* Reads such a name. false: it is none. */
bool dayfile_parse_name(const char *name, int64_t *ret_day_s, enum ledger_suffix *ret_suffix);

/* Fills e: the day file `what` is not as it should be, and what to do. Returns -1. */
int dayfile_damaged(const char *what, const char *why, struct err *e);

/* The SHA-256 of some bytes. 0 or -1 (memory). */
int sha256_of(const void *bytes, size_t len, unsigned char ret[32]) __attribute__((warn_unused_result));
/* Its 64 digits, and a NUL. */
void sha256_hex(const unsigned char sha256[32], char ret[65]);

struct day_reader {           /* private but for: */
	uint64_t offset;          /* of the next line or byte to be handed out */
	int fd;
	enum ledger_suffix suffix;
	const char *what;
	EVP_MD_CTX *sha;
	bool hashing;
	z_stream z;
	bool has_z;
	ZSTD_DCtx *zstd;
	unsigned char *in;
	size_t in_at, in_len;
	bool in_frame;            /* a compressed stream began and did not end */
	char *out;
	size_t out_size, start, end;
};

void day_reader_init(struct day_reader *r);
void day_reader_free(struct day_reader *r);
/* Opens `name` below dirfd. what is borrowed until the next open. hash: day_reader_sha256() will be
 * asked. 0; 1 where there is no such file (e untouched); -1. */
int day_reader_open(struct day_reader *r, int dirfd, const char *name, enum ledger_suffix suffix,
                    bool hash, const char *what, struct err *e) __attribute__((warn_unused_result));
void day_reader_close(struct day_reader *r); /* closed already: nothing */
/* The next line without its end; good until the next call. 1, 0 at the end, or -1: ERR_DAMAGE where the
 * file is cut short, does not decompress or ends inside a line, ERR_IO, ERR_NOMEM. */
int day_reader_line(struct day_reader *r, const char **ret_line, size_t *ret_len, struct err *e)
	__attribute__((warn_unused_result));
/* After day_reader_line() returned -1: what was read after the last line that has an end. Good until the next
 * call. */
void day_reader_rest(const struct day_reader *r, const char **ret_bytes, size_t *ret_len);
/* Up to max bytes, wherever lines end. As day_reader_line(). */
int day_reader_bytes(struct day_reader *r, uint64_t max, const char **ret_bytes, size_t *ret_len,
                     struct err *e) __attribute__((warn_unused_result));
/* Of everything read, which must be everything there is. 0 or -1. */
int day_reader_sha256(struct day_reader *r, unsigned char ret[32], struct err *e)
	__attribute__((warn_unused_result));

struct day_writer {           /* private but for: */
	uint64_t bytes;           /* taken so far */
	int fd;
	enum ledger_suffix suffix;
	const char *what;
	EVP_MD_CTX *sha;
	z_stream z;
	bool has_z;
	ZSTD_CCtx *zstd;
	unsigned char *in;        /* what was taken and not yet looked at */
	size_t in_len;
	unsigned char *out;       /* compressed, and not yet written */
	size_t out_len;
};

void day_writer_init(struct day_writer *w);
void day_writer_free(struct day_writer *w); /* closes a file that was not finished */
/* Makes the file `name` below dirfd for exactly size bytes. what is borrowed until it is finished. */
int day_writer_open(struct day_writer *w, int dirfd, const char *name, enum ledger_suffix suffix,
                    uint64_t size, const char *what, struct err *e) __attribute__((warn_unused_result));
int day_writer_put(struct day_writer *w, const void *bytes, size_t len, struct err *e)
	__attribute__((warn_unused_result));
/* Writes what is left. The file is the caller's: to be fsynced, and closed. */
int day_writer_hand_over(struct day_writer *w, unsigned char ret_sha256[32], int *ret_fd, struct err *e)
	__attribute__((warn_unused_result));
/* Writes what is left, fsyncs, closes. */
int day_writer_finish(struct day_writer *w, unsigned char ret_sha256[32], struct err *e)
	__attribute__((warn_unused_result));

#endif
