/* auth.c: digest. */
#include "cmd/atlas-sandbox/auth.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/tokens.h"

#define REALM "MMS Public API"
#define NONCES 65536       /* kept; an older one counts as stale */
#define NONCE_LEN 32
#define MD5_HEX 32
#define VALUE_MAX 2048

struct nonce { int64_t made_ms; uint64_t last_count; };

int
auth_init(struct sandbox *sb)
{
	sb->nonces = calloc(NONCES, sizeof *sb->nonces);
	sb->windows = tokens_windows_new();
	return sb->nonces != NULL && sb->windows != NULL ? 0 : -1;
}

void
auth_free(struct sandbox *sb)
{
	free(sb->nonces);
	free(sb->windows);
}

/* A nonce is its number and a proof that this run made it. */
static void
nonce_text(const struct sandbox *sb, uint64_t number, char out[NONCE_LEN + 1])
{
	hash_hex(number, 16, out);
	hash_hex(hash_two(sb->run_key ^ (uint64_t)sb->start_wall_ms, number), 16, out + 16);
	out[NONCE_LEN] = '\0';
}

void
auth_challenge(struct sandbox *sb, bool stale, char out[CHALLENGE_MAX])
{
	char text[NONCE_LEN + 1];
	uint64_t number;

	pthread_mutex_lock(&sb->nonces_lock);
	number = sb->next_nonce++;
	sb->nonces[number % NONCES].made_ms = sandbox_limits_ms(sb);
	sb->nonces[number % NONCES].last_count = 0;
	pthread_mutex_unlock(&sb->nonces_lock);
	nonce_text(sb, number, text);
	snprintf(out, CHALLENGE_MAX,
	         "Digest realm=\"" REALM "\", domain=\"\", nonce=\"%s\", algorithm=MD5, qop=\"auth\", stale=%s",
	         text, stale ? "true" : "false");
}

enum nonce_state { NONCE_FOREIGN, NONCE_STALE, NONCE_REPLAYED, NONCE_GOOD };

/* Judges a nonce and, where it is good, takes the count as used. */
static enum nonce_state
nonce_use(struct sandbox *sb, const char *text, uint64_t count)
{
	enum nonce_state state = NONCE_FOREIGN;
	char expected[NONCE_LEN + 1], head[17];
	struct nonce *nonce;
	uint64_t number;

	if (strlen(text) != NONCE_LEN)
		return NONCE_FOREIGN;
	memcpy(head, text, 16);
	head[16] = '\0';
	number = strtoull(head, NULL, 16);
	nonce_text(sb, number, expected);
	if (strcmp(expected, text) != 0)
		return NONCE_FOREIGN;
	pthread_mutex_lock(&sb->nonces_lock);
	nonce = &sb->nonces[number % NONCES];
	if (number >= sb->next_nonce)
		state = NONCE_FOREIGN;
	else if (sb->next_nonce - number > NONCES ||
	         sandbox_limits_ms(sb) - nonce->made_ms > sb->options.nonce_life_s * 1000)
		state = NONCE_STALE;
	else if (count <= nonce->last_count)
		state = NONCE_REPLAYED;
	else
		state = NONCE_GOOD;
	if (state == NONCE_GOOD)
		nonce->last_count = count;
	pthread_mutex_unlock(&sb->nonces_lock);
	return state;
}

static void
md5_hex(const char *text, size_t len, char out[MD5_HEX + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;

	memset(digest, 0, sizeof digest);
	EVP_Digest(text, len, digest, &digest_len, EVP_md5(), NULL);
	for (int i = 0; i < 16; i++)
		hash_hex(digest[i], 2, out + 2 * i);
	out[MD5_HEX] = '\0';
}

/* The value of one parameter of a Digest header; quotes are taken off. -1 where it is not there. */
static int
parameter(const char *header, const char *name, char *out, size_t size)
{
	const char *p = header;

	while (*p != '\0') {
		size_t name_len, n = 0;
		bool wanted;

		p += strspn(p, " \t,");
		name_len = strcspn(p, "=, \t");
		wanted = name_len == strlen(name) && strncasecmp(p, name, name_len) == 0;
		p += name_len;
		p += strspn(p, " \t");
		if (*p != '=') {
			if (name_len == 0)
				return -1;
			continue;
		}
		p++;
		p += strspn(p, " \t");
		if (*p == '"') {
			for (p++; *p != '"'; p++) {
				if (*p == '\\' && p[1] != '\0')
					p++;
				if (*p == '\0')
					return -1;
				if (n + 1 < size)
					out[n++] = *p;
				else if (wanted)
					return -1;
			}
			p++;
		} else {
			for (; *p != '\0' && *p != ',' && *p != ' '; p++)
				if (n + 1 < size)
					out[n++] = *p;
		}
		if (wanted) {
			out[n] = '\0';
			return 0;
		}
	}
	return -1;
}

static void
check_digest(struct sandbox *sb, const char *header, const char *method, const char *uri,
             struct auth *ret)
{
	char user[64], realm[64], nonce[64], response[MD5_HEX + 8], qop[16], nc[16], cnonce[256];
	char their_uri[VALUE_MAX], text[VALUE_MAX + 128], ha1[MD5_HEX + 1], ha2[MD5_HEX + 1];
	char expected[MD5_HEX + 1];
	const struct org *org;
	uint64_t count;
	char *end;

	if (parameter(header, "username", user, sizeof user) != 0)
		return;
	ret->claimed = sandbox_find_public_key(sb, user);
	if (ret->claimed < 0)
		return;
	org = &sb->orgs[ret->claimed];
	if (parameter(header, "realm", realm, sizeof realm) != 0 || strcmp(realm, REALM) != 0 ||
	    parameter(header, "nonce", nonce, sizeof nonce) != 0 ||
	    parameter(header, "response", response, sizeof response) != 0 ||
	    parameter(header, "qop", qop, sizeof qop) != 0 || strcmp(qop, "auth") != 0 ||
	    parameter(header, "nc", nc, sizeof nc) != 0 || strlen(nc) != 8 ||
	    parameter(header, "cnonce", cnonce, sizeof cnonce) != 0 ||
	    parameter(header, "uri", their_uri, sizeof their_uri) != 0 || strcmp(their_uri, uri) != 0)
		return;
	count = strtoull(nc, &end, 16);
	if (*end != '\0')
		return;
	snprintf(text, sizeof text, "%s:%s:%s", org->public_key, REALM, org->private_key);
	md5_hex(text, strlen(text), ha1);
	snprintf(text, sizeof text, "%s:%s", method, uri);
	md5_hex(text, strlen(text), ha2);
	snprintf(text, sizeof text, "%s:%s:%s:%s:%s:%s", ha1, nonce, nc, cnonce, qop, ha2);
	md5_hex(text, strlen(text), expected);
	if (strcasecmp(expected, response) != 0)
		return;
	if (org->set.refuse == REFUSE_BAD_KEY || (sandbox_credentials(org) & CREDENTIAL_DIGEST) == 0)
		return;
	switch (nonce_use(sb, nonce, count)) {
	case NONCE_GOOD:
		ret->ok = true;
		break;
	case NONCE_STALE:
		ret->stale = true;
		break;
	case NONCE_FOREIGN:
	case NONCE_REPLAYED:
		break;
	}
}

void
auth_check(struct sandbox *sb, const char *header, const char *method, const char *uri,
           struct auth *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->claimed = -1;
	if (header == NULL)
		return;
	ret->kind = AUTH_OTHER;
	if (strncasecmp(header, "Digest ", 7) == 0) {
		ret->kind = AUTH_DIGEST;
		check_digest(sb, header + 7, method, uri, ret);
	} else if (strncasecmp(header, "Bearer ", 7) == 0) {
		ret->kind = AUTH_BEARER;
		ret->ok = tokens_check(sb, header + 7, &ret->claimed);
	}
}
