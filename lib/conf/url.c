#include "lib/conf/url.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct span { const char *at; size_t len; };
struct url { struct span scheme, host, port, path; bool userinfo; };

static bool
is(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

static bool
all_of(struct span s, const char *allowed)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] == '\0' || strchr(allowed, s.at[i]) == NULL)
			return false;
	return true;
}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const char *
check_host(struct span host, bool bracketed)
{
	char text[64];
	struct in6_addr six;

	if (host.len == 0)
		return "there is no host in it";
	if (bracketed) {
		if (host.len >= sizeof(text))
			return "the address in brackets is no IPv6 address";
		memcpy(text, host.at, host.len);
		text[host.len] = '\0';
		return inet_pton(AF_INET6, text, &six) == 1 ? NULL :
		       "the address in brackets is no IPv6 address";
	}
	if (host.len > 253 || !all_of(host, LETTERS DIGITS ".-_"))
		return "the host may hold letters, digits, '.' and '-' only";
	return NULL;
}

static const char *
check_port(struct span port)
{
	unsigned number = 0;

	if (port.len == 0 || port.len > 5 || !all_of(port, DIGITS))
		return "the port must be a number from 1 to 65535";
	for (size_t i = 0; i < port.len; i++)
		number = number * 10 + (unsigned)(port.at[i] - '0');
	return number >= 1 && number <= 65535 ? NULL : "the port must be a number from 1 to 65535";
}

static const char *
split(const char *text, size_t len, struct url *u, bool *ret_bracketed)
{
	const char *end = text + len, *colon = memchr(text, ':', len), *p, *slash, *at, *close;

	memset(u, 0, sizeof(*u));
	*ret_bracketed = false;
	for (p = text; p < end; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("\\\"<>^`{|}", *p) != NULL)
			return "it holds a character that a URL cannot hold";
	if (colon == NULL || end - colon < 3 || memcmp(colon, "://", 3) != 0)
		return "it must begin with https://";
	u->scheme = (struct span){ text, (size_t)(colon - text) };
	p = colon + 3;
	for (slash = p; slash < end && *slash != '/' && *slash != '?' && *slash != '#'; slash++)
		;
	u->path = (struct span){ slash, (size_t)(end - slash) };
	at = memchr(p, '@', (size_t)(slash - p));
	if (at != NULL) {
		u->userinfo = true;
		return NULL;
	}
	if (p < slash && *p == '[') {
		close = memchr(p, ']', (size_t)(slash - p));
		if (close == NULL)
			return "the '[' of its address is never closed";
		*ret_bracketed = true;
		u->host = (struct span){ p + 1, (size_t)(close - p - 1) };
		p = close + 1;
	} else {
		for (close = p; close < slash && *close != ':'; close++)
			;
		u->host = (struct span){ p, (size_t)(close - p) };
		p = close;
	}
	if (p < slash && *p != ':')
		return "something stands between host and port";
	if (p < slash)
		u->port = (struct span){ p + 1, (size_t)(slash - p - 1) };
	if (p < slash && check_port(u->port) != NULL)
		return check_port(u->port);
	return check_host(u->host, *ret_bracketed);
}

static bool
is_loopback(struct span host, bool bracketed)
{
	struct in6_addr six;
	struct in_addr four;
	char text[64];

	if (is(host, "localhost"))
		return !bracketed;
	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.at, host.len);
	text[host.len] = '\0';
	if (bracketed)
		return inet_pton(AF_INET6, text, &six) == 1 &&
		       memcmp(&six, &in6addr_loopback, sizeof(six)) == 0;
	return inet_pton(AF_INET, text, &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

const char *
url_check_base(const char *text, size_t len, size_t *ret_len)
{
	struct url u;
	bool bracketed;
	const char *wrong = split(text, len, &u, &bracketed);

	if (wrong != NULL)
		return wrong;
	if (u.userinfo)
		return "user and password do not belong in it; credentials are an organization's";
	if (memchr(u.path.at, '?', u.path.len) != NULL)
		return "it must not hold a query ('?')";
	if (memchr(u.path.at, '#', u.path.len) != NULL)
		return "it must not hold a fragment ('#')";
	if (memmem(u.path.at, u.path.len, "/api/", 5) != NULL)
		return "leave the path of the API out; the key \"api\" says which it is";
	if (!is(u.scheme, "https") && !is(u.scheme, "http"))
		return "it must begin with https://";
	if (is(u.scheme, "http") && !is_loopback(u.host, bracketed))
		return "plain http is for loopback alone (localhost, 127.0.0.0/8, [::1]); use https";
	while (len > 0 && text[len - 1] == '/')
		len--;
	*ret_len = len;
	return NULL;
}

const char *
url_check_proxy(const char *text, size_t len)
{
	static const char *const schemes[] = { "http", "https", "socks4", "socks4a", "socks5", "socks5h" };
	struct url u;
	bool bracketed, known = false;
	const char *wrong;

	if (memmem(text, len, "://", 3) == NULL)
		return "it must begin with http://, https://, socks5h:// or another socks scheme";
	wrong = split(text, len, &u, &bracketed);
	if (wrong != NULL)
		return wrong;
	if (u.userinfo)
		return "a password must not stand here; give user and password in the environment "
		       "variable https_proxy and leave this key out";
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		known = known || is(u.scheme, schemes[i]);
	if (!known)
		return "it must begin with http://, https://, socks5h:// or another socks scheme";
	if (u.port.len == 0)
		return "say the port: proxies have no usual one";
	if (u.path.len > 0 && !is(u.path, "/"))
		return "nothing may follow host and port";
	return NULL;
}
