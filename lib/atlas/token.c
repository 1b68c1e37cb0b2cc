#include "lib/atlas/token.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/memory.h"

#define FILE_MAX 65536
#define NAME_LEN 64                /* hex SHA-256 */
#define DEFAULT_LIFETIME_S 3600
#define LIFETIME_MAX_S 2592000     /* 30 days: what is said to live longer is looked at again */

void
atlas_token_drop(struct atlas_token *t)
{
	if (t->text != NULL)
		wipe(t->text, strlen(t->text));
	free(t->text);
	memset(t, 0, sizeof(*t));
}

bool
atlas_token_usable(const struct atlas_token *t, int64_t now_s)
{
	int64_t margin_s = t->lifetime_s / 20;

	if (t->text == NULL)
		return false;
	if (margin_s < 60)
		margin_s = 60;
	if (margin_s > t->lifetime_s / 2)
		margin_s = t->lifetime_s / 2;
	return now_s < t->expires_at_s - margin_s;
}

/* Printable ASCII without spaces: nothing that could end a header line. */
static bool
is_token_text(const char *text, size_t len)
{
	if (len == 0 || len > ATLAS_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= 0x20 || text[i] >= 0x7f)
			return false;
	return true;
}

/* Overwrites a text inside a JSON value before it is freed. */
static void
wipe_member(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		wipe((char *)(uintptr_t)json_string_value(value), json_string_length(value));
}

/* Reads access_token and expires_in of an object. False where the token is none. */
static bool
read_members(struct atlas_token *t, json_t *object)
{
	json_t *text = json_object_get(object, "access_token");
	json_t *lifetime = json_object_get(object, "expires_in");

	if (!json_is_string(text) || !is_token_text(json_string_value(text), json_string_length(text)))
		return false;
	t->lifetime_s = DEFAULT_LIFETIME_S;
	if (json_is_number(lifetime) && json_number_value(lifetime) >= 1)
		t->lifetime_s = json_number_value(lifetime) > LIFETIME_MAX_S ?
		                LIFETIME_MAX_S : (int64_t)json_number_value(lifetime);
	t->text = strdup(json_string_value(text));
	return true;
}

int
atlas_token_parse(struct atlas_token *ret, struct buf *body, int64_t now_s, struct err *e)
{
	struct atlas_token t = { .fresh = true };
	json_t *object = NULL, *type;
	bool sound = false, no_memory;

	memory_watch();
	if (body->len > 0 && body->len <= FILE_MAX)
		object = json_loadb(body->data, body->len, 0, NULL);
	buf_wipe(body);
	no_memory = memory_was_short(); /* then the token itself may lack something */
	if (json_is_object(object)) {
		type = json_object_get(object, "token_type");
		sound = (type == NULL || (json_is_string(type) &&
		                          strcasecmp(json_string_value(type), "bearer") == 0)) &&
		        read_members(&t, object);
		wipe_member(object, "access_token");
	}
	json_decref(object);
	if (no_memory || (sound && t.text == NULL)) {
		atlas_token_drop(&t);
		return err_set_errno(e, ENOMEM, "access token");
	}
	if (!sound)
		return err_set(e, ERR_SERVER, ERR_SCOPE_ORGANIZATION, ERR_RETRY_LATER,
		               "the token endpoint's answer holds no access token");
	t.expires_at_s = now_s + t.lifetime_s;
	*ret = t;
	return 0;
}

/* out holds NAME_LEN + 1 bytes. 0, or -1 for lack of memory. */
static int
file_name(const struct atlas_token_place *place, char *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	unsigned len = 0;
	int ok;

	ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(hash, place->base_url, strlen(place->base_url)) == 1 &&
	     EVP_DigestUpdate(hash, "\n", 1) == 1 &&
	     EVP_DigestUpdate(hash, place->client_id, strlen(place->client_id)) == 1 &&
	     EVP_DigestFinal_ex(hash, sum, &len) == 1;
	EVP_MD_CTX_free(hash);
	if (!ok)
		return -1;
	for (unsigned i = 0; i < NAME_LEN / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

/* A file that others could read or have put there is no place to take a token from. */
static bool
is_safe(int fd, const struct atlas_token_place *place)
{
	struct stat st;
	const char *why = NULL;

	if (fstat(fd, &st) != 0)
		why = "cannot be looked at";
	else if (st.st_uid != geteuid())
		why = "belongs to another user";
	else if ((st.st_mode & 077) != 0)
		why = "is open to group or others";
	else if (st.st_nlink != 1)
		why = "has a second name";
	if (why != NULL)
		log_warn(place->name, "msg=\"kept access token ignored: its file %s\"", why);
	return why == NULL;
}

/* Reads the safe file into b. False: there is none. */
static bool
read_file(const struct atlas_token_place *place, const char *file, struct buf *b)
{
	struct err e = { 0 };
	ssize_t n = -1;
	int fd;

	errno = 0;
	fd = file_open_read(place->dirfd, file, "access token", &e);
	if (fd < 0) {
		if (err_is(&e))
			log_warn(place->name, "msg=\"kept access token ignored: %s\"", e.text);
		return false;
	}
	if (is_safe(fd, place)) {
		while (buf_reserve(b, 4096) == 0) {
			n = read(fd, b->data + b->len, 4096);
			if (n > 0)
				b->len += (size_t)n;
			else if (n == 0 || errno != EINTR)
				break;
		}
	}
	close(fd);
	return n == 0;
}

static bool
member_is(json_t *object, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL && strcmp(text, want) == 0;
}

/* The token in the file, usable or not. */
static bool
read_kept(struct atlas_token *ret, const struct atlas_token_place *place, const char *file)
{
	struct atlas_token t = { 0 };
	json_t *object = NULL, *expires;
	struct buf b;

	buf_init(&b, FILE_MAX);
	memory_watch();
	if (read_file(place, file, &b) && b.len > 0)
		object = json_loadb(b.data, b.len, 0, NULL);
	buf_wipe(&b);
	if (json_is_object(object) && !memory_was_short()) {
		expires = json_object_get(object, "expires_at");
		if (member_is(object, "base_url", place->base_url) &&
		    member_is(object, "client_id", place->client_id) && json_is_integer(expires) &&
		    json_integer_value(expires) > 0 && read_members(&t, object) && t.text != NULL)
			t.expires_at_s = json_integer_value(expires);
		wipe_member(object, "access_token");
	}
	json_decref(object);
	if (t.text == NULL)
		return false;
	*ret = t;
	return true;
}

bool
atlas_token_load(struct atlas_token *ret, const struct atlas_token_place *place, int64_t now_s)
{
	struct atlas_token t;
	char file[NAME_LEN + 1];

	if (place->dirfd < 0 || file_name(place, file) != 0 || !read_kept(&t, place, file))
		return false;
	/* A stamp further away than the life of a token is no stamp of ours (a clock was wrong, then). */
	if (!atlas_token_usable(&t, now_s) || t.expires_at_s - now_s > t.lifetime_s) {
		atlas_token_drop(&t);
		return false;
	}
	*ret = t;
	return true;
}

static char *
dump(const struct atlas_token *t, const struct atlas_token_place *place)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I}", "base_url", place->base_url, "client_id",
	                           place->client_id, "access_token", t->text, "expires_at",
	                           (json_int_t)t->expires_at_s, "expires_in", (json_int_t)t->lifetime_s);
	char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

	if (object != NULL)
		wipe_member(object, "access_token");
	json_decref(object);
	return text;
}

/* Written aside under a name of its own, so that two writers never share a file; the last rename wins
 * and either token is good. Not fsynced: a file torn by a crash is unsound JSON and is minted anew. */
static int
write_file(const struct atlas_token_place *place, const char *file, const char *text, struct err *e)
{
	static atomic_uint counter;
	char aside[NAME_LEN + 40];
	int fd, failed;

	snprintf(aside, sizeof(aside), "%s.%ld-%u.tmp", file, (long)getpid(), atomic_fetch_add(&counter, 1));
	fd = file_create(place->dirfd, aside, "access token", e);
	if (fd < 0)
		return -1;
	failed = file_write(fd, text, strlen(text), "access token", e) != 0;
	if (close(fd) != 0 && !failed)
		failed = err_set_errno(e, errno, "access token: cannot close") != 0;
	if (failed || file_rename(place->dirfd, aside, place->dirfd, file, "access token", e) != 0) {
		unlinkat(place->dirfd, aside, 0);
		return -1;
	}
	return 0;
}

void
atlas_token_keep(const struct atlas_token *t, const struct atlas_token_place *place)
{
	struct err e = { 0 };
	char file[NAME_LEN + 1], *text;

	if (place->dirfd < 0)
		return;
	text = dump(t, place);
	if (text == NULL || file_name(place, file) != 0)
		err_set_errno(&e, ENOMEM, "access token");
	else if (write_file(place, file, text, &e) == 0)
		err_clear(&e);
	if (text != NULL)
		wipe(text, strlen(text));
	free(text);
	if (err_is(&e))
		log_warn(place->name, "msg=\"the access token cannot be kept for the next run: %s\"", e.text);
}

void
atlas_token_forget(const struct atlas_token *t, const struct atlas_token_place *place)
{
	struct atlas_token kept;
	struct err e = { 0 };
	char file[NAME_LEN + 1];

	if (place->dirfd < 0 || t->text == NULL || file_name(place, file) != 0 ||
	    !read_kept(&kept, place, file))
		return;
	if (strcmp(kept.text, t->text) == 0 && file_remove(place->dirfd, file, "access token", &e) != 0)
		log_warn(place->name, "msg=\"%s\"", e.text);
	atlas_token_drop(&kept);
}
