#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"

static const char *const code_names[ERR_CODES] = {
	[ERR_NONE] = "none",
	[ERR_NOMEM] = "no_memory",
	[ERR_IO] = "io",
	[ERR_USAGE] = "usage",
	[ERR_CONFIG] = "config",
	[ERR_LOCKED] = "locked",
	[ERR_LEDGER] = "ledger",
	[ERR_DAMAGE] = "damage",
	[ERR_NETWORK] = "network",
	[ERR_TIMEOUT] = "timeout",
	[ERR_TLS] = "tls",
	[ERR_RATE_LIMITED] = "rate_limited",
	[ERR_SERVER] = "server",
	[ERR_CREDENTIAL] = "credential",
	[ERR_ROLE] = "role",
	[ERR_ACCESS_LIST] = "access_list",
	[ERR_TENANT] = "tenant",
	[ERR_ORG_UNKNOWN] = "org_unknown",
	[ERR_REQUEST] = "request",
	[ERR_REDIRECT] = "redirect",
	[ERR_PAGE] = "page",
	[ERR_TOO_BIG] = "too_big",
	[ERR_FOREIGN_EVENT] = "foreign_event",
	[ERR_UNSTABLE] = "unstable",
	[ERR_SECRET] = "secret",
	[ERR_STOPPED] = "stopped",
};

void
err_clear(struct err *e)
{
	memset(e, 0, sizeof(*e));
	e->retry_after_ms = -1;
}

/* Makes a text one line of UTF-8 whatever a server or a file put into it: '?' for a control character
 * (C0, DEL, C1) and for a byte that is no UTF-8; half a character where the room ended goes. */
static void
clean(char *text, size_t size)
{
	char *end = text + strlen(text), *p = text;
	size_t len;

	if (end == text + size - 1) { /* cut, perhaps inside a character */
		for (len = 1; len < 4 && len < size && (end[-(ptrdiff_t)len] & 0xc0) == 0x80; len++)
			;
		if ((end[-(ptrdiff_t)len] & 0xc0) == 0xc0 && utf8_len(end - len, end) == 0)
			*(end -= len) = '\0';
	}
	for (; p < end; p += len) {
		len = utf8_len(p, end);
		if (len == 0)
			len = 1, *p = '?';
		else if (len == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f))
			*p = '?';
		else if (len == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

/* The text gets room_bytes of its room. */
__attribute__((format(printf, 6, 0))) static void
fill(struct err *e, enum err_code code, enum err_scope scope, enum err_retry retry, size_t room_bytes,
     const char *format, va_list args)
{
	err_clear(e);
	e->code = code;
	e->scope = scope;
	e->retry = retry;
	vsnprintf(e->text, room_bytes, format, args);
	clean(e->text, room_bytes);
}

int
err_set(struct err *e, enum err_code code, enum err_scope scope, enum err_retry retry,
        const char *format, ...)
{
	va_list args;

	if (e == NULL || err_is(e))
		return -1;
	va_start(args, format);
	fill(e, code, scope, retry, sizeof(e->text), format, args);
	va_end(args);
	return -1;
}

int
err_set_errno(struct err *e, int errno_value, const char *format, ...)
{
	const char *reason = strerrordesc_np(errno_value);
	char number[40];
	va_list args;
	size_t len;

	if (e == NULL || err_is(e))
		return -1;
	if (reason == NULL) {
		snprintf(number, sizeof(number), "error %d", errno_value);
		reason = number;
	}
	va_start(args, format);
	/* A long name must not push the reason out. */
	fill(e, errno_value == ENOMEM ? ERR_NOMEM : ERR_IO, ERR_SCOPE_ORGANIZATION, ERR_RETRY_OPERATOR,
	     sizeof(e->text) - strlen(reason) - strlen(": "), format, args);
	va_end(args);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s", reason);
	if (errno_value == ENOSPC || errno_value == EDQUOT)
		err_hint(e, "make room there; what was read before is kept, and the next run goes on from it");
	else if (errno_value == EFBIG)
		err_hint(e, "let the process write larger files (ulimit -f unlimited; LimitFSIZE= of a systemd unit)");
	else if (errno_value == EMFILE)
		err_hint(e, "let the process have more open files (ulimit -n 4096; LimitNOFILE= of a systemd unit), or "
		            "lower limits.workers and limits.in_flight");
	else if (errno_value == ENFILE)
		err_hint(e, "the whole system has too many open files: raise fs.file-max, or let less run beside this");
	return -1;
}

void
err_hint(struct err *e, const char *format, ...)
{
	va_list args;

	if (e == NULL || !err_is(e) || e->hint[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(e->hint, sizeof(e->hint), format, args);
	va_end(args);
	clean(e->hint, sizeof(e->hint));
}

const char *
err_code_name(enum err_code code)
{
	if ((unsigned)code >= ERR_CODES || code_names[code] == NULL)
		return "unknown";
	return code_names[code];
}

bool
err_is_credential(enum err_code code)
{
	return code == ERR_CREDENTIAL || code == ERR_ROLE || code == ERR_ACCESS_LIST ||
	       code == ERR_SECRET;
}
