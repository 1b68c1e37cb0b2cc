/* Day files, plain and compressed: lib/store/dayfile.c. The input: a byte (which of the three), the file. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/store/dayfile.h"
#include "tests/fuzz/fuzz.h"

#define CONTENT_MAX ((size_t)8 << 20)

/* Reads the file line by line; 0, or -1 with e filled. 1: it is more than is looked at. */
static int
read_lines(const char *name, enum ledger_suffix suffix, struct buf *content, unsigned char sha[32], struct err *e)
{
	struct day_reader r;
	const char *line;
	size_t len;
	int rc;

	day_reader_init(&r);
	MUST(day_reader_open(&r, fuzz_dirfd(), name, suffix, true, "acme/x", e) == 0);
	while ((rc = day_reader_line(&r, &line, &len, e)) == 1) {
		MUST(memchr(line, '\n', len) == NULL);
		if (buf_append(content, line, len) != 0 || buf_append(content, "\n", 1) != 0)
			break;
		MUST(r.offset == content->len);
	}
	if (rc == 0)
		rc = day_reader_sha256(&r, sha, e);
	day_reader_free(&r);
	return rc;
}

/* The same by bytes, as a merge copies them. */
static void
check_bytes(const char *name, enum ledger_suffix suffix, const struct buf *content)
{
	struct day_reader r;
	const char *bytes;
	size_t len, at = 0;
	struct err e;
	int rc;

	day_reader_init(&r);
	err_clear(&e);
	MUST(day_reader_open(&r, fuzz_dirfd(), name, suffix, false, "acme/x", &e) == 0);
	while ((rc = day_reader_bytes(&r, 1000, &bytes, &len, &e)) == 1) {
		MUST(len > 0 && len <= 1000 && len <= content->len - at &&
		     memcmp(content->data + at, bytes, len) == 0);
		at += len;
	}
	MUST(rc == 0 && at == content->len);
	day_reader_free(&r);
}

/* What was read is written in each way, and reads the same. */
static void
check_written(const struct buf *content, const unsigned char sha[32])
{
	unsigned char written[32], again[32];
	struct day_writer w;
	struct buf b;
	struct err e;

	day_writer_init(&w);
	err_clear(&e);
	for (int i = LEDGER_PLAIN; i <= LEDGER_ZSTD; i++) {
		enum ledger_suffix suffix = (enum ledger_suffix)i;

		MUST(day_writer_open(&w, fuzz_dirfd(), "written", suffix, content->len, "acme/x", &e) == 0);
		MUST(day_writer_put(&w, content->data, content->len, &e) == 0);
		MUST(w.bytes == content->len && day_writer_finish(&w, written, &e) == 0);
		buf_init(&b, CONTENT_MAX);
		MUST(read_lines("written", suffix, &b, again, &e) == 0);
		MUST(b.len == content->len && (b.len == 0 || memcmp(b.data, content->data, b.len) == 0));
		MUST(memcmp(written, sha, 32) == 0 && memcmp(again, sha, 32) == 0);
		buf_free(&b);
	}
	day_writer_free(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char sha[32], whole[32];
	enum ledger_suffix suffix;
	struct buf content;
	struct err e;
	int rc;

	if (size == 0)
		return 0;
	suffix = (enum ledger_suffix)(data[0] % 3);
	fuzz_write("file", data + 1, size - 1);
	buf_init(&content, CONTENT_MAX);
	err_clear(&e);
	rc = read_lines("file", suffix, &content, sha, &e);
	if (rc == 0) {
		MUST(sha256_of(content.data == NULL ? "" : content.data, content.len, whole) == 0 &&
		     memcmp(sha, whole, 32) == 0);
		check_bytes("file", suffix, &content);
		if (content.len < 65536)
			check_written(&content, sha);
	} else if (rc < 0) {
		MUST(e.code == ERR_DAMAGE && fuzz_is_line(e.text));
	}
	buf_free(&content);
	return 0;
}
