/* quick.c: the innermost work, to be counted in instructions (quick.py).
 *
 *     quick scan|merge|stage|ledger ROUNDS DIRECTORY
 *
 * Two runs with different ROUNDS differ by just so many rounds: what starting costs cancels out. SHA-256 is left out
 * by the linker (--wrap): OpenSSL takes whichever instructions the processor has, and they are not ours.
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/atlas/page.h"
#include "lib/base/isotime.h"
#include "lib/store/store.h"

#define ORG_ID "32b6e34b3d91647abb20e7b8"
#define DAY_S INT64_C(1754870400) /* 2025-08-11 */
#define ROWS 500                  /* quick.py divides by it */
#define DAYS 700                  /* and by that */

int __wrap_EVP_DigestUpdate(EVP_MD_CTX *hash, const void *bytes, size_t len);
int
__wrap_EVP_DigestUpdate(EVP_MD_CTX *hash, const void *bytes, size_t len)
{
	(void)hash;
	(void)bytes;
	(void)len;
	return 1;
}

int __wrap_EVP_Digest(const void *bytes, size_t len, unsigned char *ret, unsigned *ret_len, const EVP_MD *kind, ENGINE *e);
int
__wrap_EVP_Digest(const void *bytes, size_t len, unsigned char *ret, unsigned *ret_len, const EVP_MD *kind, ENGINE *e)
{
	(void)bytes;
	(void)len;
	(void)kind;
	(void)e;
	memset(ret, 0, 32);
	if (ret_len != NULL)
		*ret_len = 32;
	return 1;
}

static void
must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "quick: %s\n", what);
	exit(1);
}

/* A page as recorded: white space after commas and colons, about 930 bytes an event, newest first; `from` numbers its
 * oldest event. */
static void
make_page(struct buf *b, unsigned from)
{
	char created[ISOTIME_LEN + 1];
	bool good;

	buf_reset(b);
	good = buf_append_str(b, "{\"links\": [], \"results\": [") == 0;
	for (unsigned i = ROWS; i-- > 0;)
		good = good && buf_printf(b, "%s{\"apiKeyId\": \"6835e8210123456789abcdef\", \"created\": \"%s\", "
		        "\"eventTypeName\": \"API_KEY_ACCESS_LIST_ENTRY_ADDED\", \"id\": \"689a0000%016x\", "
		        "\"isGlobalAdmin\": false, \"links\": [{\"href\": \"https://cloud.mongodb.com/api/atlas/v2/groups/null/"
		        "events/689a0000%016x\", \"rel\": \"self\"}], \"orgId\": \"" ORG_ID "\", \"publicKey\": \"pubkey12\", "
		        "\"raw\": {\"_t\": \"ORG_AUDIT\", \"alertConfigId\": null, \"cid\": null, \"cre\": \"%s\", "
		        "\"description\": \"something was added to the list of somebody\", \"et\": \"API_KEY_ACCESS_LIST_ENTRY_ADDED\", "
		        "\"gn\": null, \"id\": \"689a0000%016x\", \"orgId\": \"" ORG_ID "\", \"orgName\": \"Example\", "
		        "\"ra\": \"192.0.2.77\", \"severity\": \"INFO\", \"source\": \"PUBLIC_API\", \"ua\": \"Mozilla/5.0 (X11; "
		        "Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\", \"un\": \"pubkey12\"}, "
		        "\"remoteAddress\": \"192.0.2.77\"}", i == ROWS - 1 ? "" : ", ",
		        isotime_format_s(DAY_S + from + i, created), from + i, from + i, created, from + i) == 0;
	must(good && buf_printf(b, "], \"totalCount\": %u}", ROWS) == 0, "no memory");
}

static void
scan(struct page *page, const struct buf *text, char *copy)
{
	struct err e;

	err_clear(&e);
	memcpy(copy, text->data, text->len);
	must(page_scan(page, copy, text->len, ORG_ID, &e) == 0 && page->n_events == ROWS, "no page");
}

static void
scan_rounds(const struct buf *text, char *copy, unsigned rounds)
{
	struct page page;

	page_init(&page);
	while (rounds-- > 0)
		scan(&page, text, copy);
	page_free(&page);
}

/* Each round puts two pages into the day file of a new archive. merge: the first is merged, the second joins it: the file
 * is read and written anew. stage: the first waits for its day, and both are merged when the second completes it. */
static void
merge_rounds(const struct buf *older, const struct buf *newer, char *copy, unsigned rounds, int dirfd, bool stage)
{
	const struct covered day = { .from_s = DAY_S, .to_s = DAY_S + 86400, .as_of_s = DAY_S + 200000 };
	char name[16], org_id[25];
	struct store_options options = { .dirfd = dirfd, .name = name, .org_id = org_id };
	struct page page;
	struct store *s;
	struct err e;

	err_clear(&e);
	page_init(&page);
	for (unsigned round = 0; round < rounds; round++) {
		snprintf(name, sizeof(name), "org%04u", round);
		snprintf(org_id, sizeof(org_id), "%024x", round + 1);
		s = store_open(&options, &e);
		must(s != NULL, e.text);
		for (unsigned half = 0; half < 2; half++) {
			struct covered range = day;

			if (stage && half == 0)
				range.from_s += ROWS;
			scan(&page, half == 0 ? newer : older, copy);
			must(store_put(s, page.events, page.n_events, &e) == 0 &&
			     store_commit(s, &range, 1, !stage, &e) == 0, e.text);
			must(store_counts(s)->events_new == (half + !stage) * ROWS || half == 1, "merged too soon");
		}
		must(store_counts(s)->events_new == 2 * ROWS, "not merged");
		store_close(s);
	}
	page_free(&page);
}

/* Each round writes the ledger of two years as text and reads it back. */
static void
ledger_rounds(struct buf *text, unsigned rounds)
{
	struct ledger l, again;
	struct err e;

	err_clear(&e);
	ledger_init(&l);
	strcpy(l.org_id, ORG_ID);
	for (int i = 0; i < DAYS; i++) {
		struct day d = { .day_s = DAY_S + i * INT64_C(86400), .events = 1000, .bytes = 930000 };

		d.first_ns = d.day_s * 1000000000;
		d.last_ns = (d.day_s + 86399) * 1000000000;
		must(ledger_set_day(&l, &d) == 0, "no memory");
	}
	while (rounds-- > 0) {
		buf_reset(text);
		ledger_init(&again);
		must(ledger_write(&l, text) == 0 && ledger_read(&again, text->data, text->len, "ledger", &e) == 0 &&
		     again.n_days == DAYS, e.text);
		ledger_free(&again);
	}
	ledger_free(&l);
}

int
main(int argc, char **argv)
{
	unsigned rounds = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	int dirfd = argc == 4 ? open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct buf text, second;
	char *copy;

	must(rounds > 0 && dirfd >= 0, "usage: quick scan|merge|stage|ledger ROUNDS DIRECTORY");
	buf_init(&text, 16 << 20);
	make_page(&text, 0);
	buf_init(&second, 16 << 20);
	make_page(&second, ROWS);
	copy = malloc(2 * text.len);
	must(copy != NULL, "no memory");
	if (strcmp(argv[1], "scan") == 0)
		scan_rounds(&text, copy, rounds);
	else if (strcmp(argv[1], "merge") == 0 || strcmp(argv[1], "stage") == 0)
		merge_rounds(&text, &second, copy, rounds, dirfd, argv[1][0] == 's');
	else if (strcmp(argv[1], "ledger") == 0)
		ledger_rounds(&text, rounds);
	else
		must(false, "scan, merge, stage or ledger");
	printf("%zu bytes an event\n", text.len / ROWS);
	free(copy);
	buf_free(&text);
	buf_free(&second);
	close(dirfd);
	return 0;
}
