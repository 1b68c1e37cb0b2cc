/* Access tokens: lib/atlas/token.c. The input: a byte (odd: the token endpoint's reply follows, even: the
 * content of a kept token's file, whose "@" stands for the place it belongs to), the text. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atlas/token.h"
#include "tests/fuzz/fuzz.h"

#define BASE_URL "https://cloud.mongodb.com"
#define CLIENT_ID "mdb_sa_id_0123"

static void
check_token(const struct atlas_token *t)
{
	size_t len = strlen(t->text);

	MUST(len > 0 && len <= ATLAS_TOKEN_MAX);
	for (size_t i = 0; i < len; i++)
		MUST(t->text[i] > 0x20 && t->text[i] < 0x7f);
	MUST(t->lifetime_s >= 1 && t->lifetime_s <= 30 * 86400);
}

static void
check_reply(const uint8_t *data, size_t size)
{
	struct atlas_token t = { 0 };
	struct buf body;
	struct err e;

	buf_init(&body, size + 1);
	MUST(buf_append(&body, data, size) == 0);
	err_clear(&e);
	if (atlas_token_parse(&t, &body, FUZZ_NOW_S, &e) == 0) {
		check_token(&t);
		MUST(t.fresh && t.expires_at_s == FUZZ_NOW_S + t.lifetime_s);
		MUST(atlas_token_usable(&t, FUZZ_NOW_S) || t.lifetime_s == 1);
		MUST(!atlas_token_usable(&t, t.expires_at_s));
	} else {
		MUST(e.code == ERR_SERVER && t.text == NULL && fuzz_is_line(e.text));
	}
	MUST(body.len == 0 && body.data == NULL); /* wiped */
	atlas_token_drop(&t);
}

/* The name under which a token of this place is kept. */
static const char *
kept_name(const struct atlas_token_place *place)
{
	static char name[256];
	struct atlas_token t = { .text = (char *)(uintptr_t)"x", .expires_at_s = FUZZ_NOW_S + 60, .lifetime_s = 60 };
	struct dirent *entry;
	DIR *dir;

	if (name[0] != '\0')
		return name;
	atlas_token_keep(&t, place);
	dir = opendir(fuzz_dir());
	MUST(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			snprintf(name, sizeof(name), "%s", entry->d_name);
	closedir(dir);
	MUST(strlen(name) == 64);
	return name;
}

static void
check_kept(const uint8_t *data, size_t size)
{
	static const char belongs[] = "\"base_url\":\"" BASE_URL "\",\"client_id\":\"" CLIENT_ID "\",";
	struct atlas_token_place place = { fuzz_dirfd(), BASE_URL, CLIENT_ID, "acme" };
	struct atlas_token t = { 0 }, again = { 0 };
	const char *name = kept_name(&place);
	char *text = malloc(size + sizeof(belongs));
	size_t len = 0;

	MUST(text != NULL);
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '@' && len == i) { /* the first only */
			memcpy(text + len, belongs, sizeof(belongs) - 1);
			len += sizeof(belongs) - 1;
		} else {
			text[len++] = (char)data[i];
		}
	}
	fuzz_write(name, text, len);
	if (atlas_token_load(&t, &place, FUZZ_NOW_S)) {
		check_token(&t);
		MUST(atlas_token_usable(&t, FUZZ_NOW_S) && t.expires_at_s <= FUZZ_NOW_S + t.lifetime_s);
		atlas_token_keep(&t, &place);
		MUST(atlas_token_load(&again, &place, FUZZ_NOW_S));
		MUST(strcmp(again.text, t.text) == 0 && again.expires_at_s == t.expires_at_s &&
		     again.lifetime_s == t.lifetime_s);
		atlas_token_forget(&again, &place);
		MUST(!atlas_token_load(&again, &place, FUZZ_NOW_S));
		atlas_token_drop(&again);
	} else {
		MUST(t.text == NULL);
	}
	atlas_token_drop(&t);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		check_reply(data + 1, size - 1);
	else
		check_kept(data + 1, size - 1);
	return 0;
}
