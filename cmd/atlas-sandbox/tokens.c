/* tokens.c: the token endpoint's rules: 10 requests a minute for an address and client, 100 live tokens. */
#include "cmd/atlas-sandbox/tokens.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/atlas-sandbox/auth.h"
#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/query.h"

#define WINDOWS 16384         /* slots of a table that forgets on collision */
#define WINDOW_MS 60000
#define WINDOW_REQUESTS 10
#define TOKEN_PREFIX "eyJhbGciOiJub25lIn0."
#define TOKEN_LEN (20 + 8 + 16 + 16 + 1 + 32)

struct token_window { uint64_t key; int64_t start_ms; unsigned requests; };

struct token_window *
tokens_windows_new(void)
{
	return calloc(WINDOWS, sizeof(struct token_window));
}

static void
token_text(const struct sandbox *sb, unsigned number, uint64_t serial, int64_t expires_ms,
           char out[TOKEN_TEXT_MAX])
{
	uint64_t proof = hash_two(hash_two(hash_two(sb->run_key, number), serial), (uint64_t)expires_ms);
	char *at = out;

	memcpy(at, TOKEN_PREFIX, 20);
	hash_hex(number, 8, at + 20);
	hash_hex(serial, 16, at + 28);
	hash_hex((uint64_t)expires_ms, 16, at + 44);
	at[60] = '.';
	hash_hex(proof, 16, at + 61);
	hash_hex(hash_two(~sb->run_key, proof), 16, at + 77);
	at[TOKEN_LEN] = '\0';
}

static uint64_t
hex_value(const char *text, size_t digits)
{
	char copy[17];

	memcpy(copy, text, digits);
	copy[digits] = '\0';
	return strtoull(copy, NULL, 16);
}

static bool
revoked(struct account *account, uint64_t serial)
{
	bool found = false;

	pthread_mutex_lock(&account->lock);
	for (size_t i = 0; i < account->n_tokens; i++)
		if (account->tokens[i].serial == serial && account->tokens[i].revoked)
			found = true;
	pthread_mutex_unlock(&account->lock);
	return found;
}

/* Takes a token apart and checks its proof. The organization's index, or -1. */
static int
token_read(const struct sandbox *sb, const char *token, uint64_t *ret_serial, int64_t *ret_expires_ms)
{
	char expected[TOKEN_TEXT_MAX];
	uint64_t number;

	if (strlen(token) != TOKEN_LEN || strncmp(token, TOKEN_PREFIX, 20) != 0)
		return -1;
	number = hex_value(token + 20, 8);
	*ret_serial = hex_value(token + 28, 16);
	*ret_expires_ms = (int64_t)hex_value(token + 44, 16);
	if (number == 0 || number > sb->n_orgs)
		return -1;
	token_text(sb, (unsigned)number, *ret_serial, *ret_expires_ms, expected);
	return strcmp(token, expected) == 0 ? (int)number - 1 : -1;
}

bool
tokens_check(struct sandbox *sb, const char *token, int *ret_org)
{
	uint64_t serial;
	int64_t expires_ms;
	int org = token_read(sb, token, &serial, &expires_ms);

	if (org < 0)
		return false;
	*ret_org = org;
	return sandbox_limits_ms(sb) < expires_ms && sb->orgs[org].set.refuse != REFUSE_BAD_KEY &&
	       (sandbox_credentials(&sb->orgs[org]) & CREDENTIAL_SERVICE_ACCOUNT) != 0 &&
	       !revoked(&sb->accounts[org], serial);
}

/* Reads "Basic BASE64(id:secret)". The organization's index where both are right, or -1; *ret_claimed is
 * whose the id is. */
static int
basic(const struct sandbox *sb, const char *header, char client[64], int *ret_claimed)
{
	unsigned char plain[256];
	const char *text;
	char *secret;
	int len, org;

	*ret_claimed = -1;
	snprintf(client, 64, "?");
	if (header == NULL || strncasecmp(header, "Basic ", 6) != 0)
		return -1;
	text = header + 6 + strspn(header + 6, " ");
	if (strlen(text) == 0 || strlen(text) % 4 != 0 || strlen(text) / 4 * 3 >= sizeof plain)
		return -1;
	len = EVP_DecodeBlock(plain, (const unsigned char *)text, (int)strlen(text));
	if (len < 0)
		return -1;
	/* The padding, of which there is at most two, comes out as NULs. */
	for (size_t i = 1; i <= 2 && text[strlen(text) - i] == '='; i++)
		len--;
	plain[len] = '\0';
	secret = strchr((char *)plain, ':');
	if (secret == NULL)
		return -1;
	*secret++ = '\0';
	snprintf(client, 64, "%.63s", (char *)plain);
	org = sandbox_find_client_id(sb, (char *)plain);
	*ret_claimed = org;
	if (org < 0 || strcmp(sb->orgs[org].client_secret, secret) != 0 ||
	    (sandbox_credentials(&sb->orgs[org]) & CREDENTIAL_SERVICE_ACCOUNT) == 0 ||
	    sb->orgs[org].set.refuse == REFUSE_BAD_KEY)
		return -1;
	return org;
}

/* Counts a request. 0, or the milliseconds until the next is allowed. */
static int64_t
window_use(struct sandbox *sb, const char *address, const char *client)
{
	uint64_t key = sb->run_key;
	int64_t now = sandbox_limits_ms(sb), wait = 0;
	struct token_window *window;

	for (const char *p = address; *p != '\0'; p++)
		key = hash_two(key, (unsigned char)*p);
	for (const char *p = client; *p != '\0'; p++)
		key = hash_two(key, (unsigned char)*p);
	pthread_mutex_lock(&sb->windows_lock);
	window = &sb->windows[key % WINDOWS];
	if (window->key != key || now - window->start_ms >= WINDOW_MS) {
		window->key = key;
		window->start_ms = now;
		window->requests = 0;
	}
	if (window->requests >= WINDOW_REQUESTS)
		wait = window->start_ms + WINDOW_MS - now;
	else
		window->requests++;
	pthread_mutex_unlock(&sb->windows_lock);
	return wait;
}

static bool
form_has(const char *form, const char *name, const char *value, char *ret, size_t ret_size)
{
	while (*form != '\0') {
		size_t len = strcspn(form, "&"), name_len = strlen(name);
		char text[256];

		if (len > name_len && strncmp(form, name, name_len) == 0 && form[name_len] == '=' &&
		    query_decode(form + name_len + 1, len - name_len - 1, text, sizeof text) >= 0 &&
		    (value == NULL || strcmp(text, value) == 0)) {
			if (ret != NULL)
				snprintf(ret, ret_size, "%s", text);
			return true;
		}
		form += len + (form[len] == '&');
	}
	return false;
}

/* Enters a token into the account. False where it has as many as it may. */
static bool
remember(struct sandbox *sb, struct account *account, uint64_t serial, int64_t expires_ms)
{
	int64_t now = sandbox_limits_ms(sb);
	size_t kept = 0, live = 0;
	bool ok = false;

	pthread_mutex_lock(&account->lock);
	for (size_t i = 0; i < account->n_tokens; i++) {
		if (account->tokens[i].expires_ms <= now)
			continue;
		live += !account->tokens[i].revoked;
		account->tokens[kept++] = account->tokens[i];
	}
	account->n_tokens = kept;
	if (live < TOKENS_LIVE_MAX && kept == TOKENS_KEPT_MAX) {
		/* No room to remember every revoked one: forget the oldest of them. */
		for (size_t i = 0; i < kept; i++) {
			if (account->tokens[i].revoked) {
				account->tokens[i] = account->tokens[--account->n_tokens];
				break;
			}
		}
	}
	if (live < TOKENS_LIVE_MAX) {
		account->tokens[account->n_tokens].serial = serial;
		account->tokens[account->n_tokens].expires_ms = expires_ms;
		account->tokens[account->n_tokens++].revoked = false;
		account->minted++;
		ok = true;
	}
	pthread_mutex_unlock(&account->lock);
	return ok;
}

void
auth_token(struct sandbox *sb, const char *header, const char *form, const char *address,
           struct token_answer *ret)
{
	int64_t wait_ms, expires_ms = sandbox_limits_ms(sb) + sb->options.token_life_s * 1000;
	uint64_t serial = atomic_fetch_add(&sb->next_serial, 1);
	char client[64];
	int org;

	memset(ret, 0, sizeof *ret);
	org = basic(sb, header, client, &ret->org);
	wait_ms = sb->options.no_limits ? 0 : window_use(sb, address, client);
	if (wait_ms > 0) {
		ret->outcome = TOKEN_LIMITED;
		ret->retry_after_s = (int64_t)((double)wait_ms / sb->options.time_scale) / 1000 + 1;
		return;
	}
	if (org < 0) {
		ret->outcome = TOKEN_BAD_CLIENT;
		return;
	}
	if (!form_has(form, "grant_type", "client_credentials", NULL, 0)) {
		ret->outcome = TOKEN_BAD_GRANT;
		return;
	}
	if (!remember(sb, &sb->accounts[org], serial, expires_ms)) {
		ret->outcome = TOKEN_TOO_MANY;
		return;
	}
	token_text(sb, sb->orgs[org].number, serial, expires_ms, ret->token);
	ret->outcome = TOKEN_MINTED;
}

bool
auth_revoke(struct sandbox *sb, const char *header, const char *form)
{
	char client[64], token[256];
	int claimed, org = basic(sb, header, client, &claimed);
	struct account *account;
	uint64_t serial;
	int64_t expires_ms;

	if (org < 0)
		return false;
	if (!form_has(form, "token", NULL, token, sizeof token) ||
	    token_read(sb, token, &serial, &expires_ms) != org)
		return true; /* RFC 7009: an unknown token is no error */
	account = &sb->accounts[org];
	pthread_mutex_lock(&account->lock);
	for (size_t i = 0; i < account->n_tokens; i++)
		if (account->tokens[i].serial == serial)
			account->tokens[i].revoked = true;
	pthread_mutex_unlock(&account->lock);
	return true;
}
