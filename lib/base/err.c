#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

static void
fill(struct err *e, enum err_code code, enum err_scope scope, enum err_retry retry,
     const char *format, va_list args)
{
	err_clear(e);
	e->code = code;
	e->scope = scope;
	e->retry = retry;
	vsnprintf(e->text, sizeof(e->text), format, args);
}

int
err_set(struct err *e, enum err_code code, enum err_scope scope, enum err_retry retry,
        const char *format, ...)
{
	va_list args;

	if (e == NULL || err_is(e))
		return -1;
	va_start(args, format);
	fill(e, code, scope, retry, format, args);
	va_end(args);
	return -1;
}

int
err_set_errno(struct err *e, int errno_value, const char *format, ...)
{
	va_list args;
	size_t len;

	if (e == NULL || err_is(e))
		return -1;
	va_start(args, format);
	fill(e, errno_value == ENOMEM ? ERR_NOMEM : ERR_IO, ERR_SCOPE_ORGANIZATION,
	     ERR_RETRY_OPERATOR, format, args);
	va_end(args);
	len = strlen(e->text);
	snprintf(e->text + len, sizeof(e->text) - len, ": %s", strerrordesc_np(errno_value));
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
