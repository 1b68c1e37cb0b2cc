/* query.c: reading the query string; a '+' is a space, as in the real one. */
#include "cmd/atlas-sandbox/query.h"

#include <stdio.h>
#include <string.h>

#include "cmd/atlas-sandbox/settings.h"

#define VALUE_MAX 128

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
query_decode(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return (int)n;
}

static int
fail(struct query_error *e, const char *code, const char *parameter, const char *what)
{
	e->code = code;
	snprintf(e->parameter, sizeof e->parameter, "%s", parameter);
	snprintf(e->detail, sizeof e->detail, "%s", what);
	return -1;
}

static int
parse_flag(const char *name, const char *value, bool *ret, struct query_error *e)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return fail(e, "INVALID_QUERY_PARAMETER", name, "A flag must be true or false.");
	*ret = value[0] == 't';
	return 0;
}

static int
parse_date(const char *name, const char *value, int64_t *ret, struct query_error *e)
{
	if (parse_iso_ms(value, ret) != 0)
		return fail(e, "INVALID_DATE_FORMAT", name,
		            "The date is not in ISO 8601 format with a time zone.");
	return 0;
}

static int
parse_type(const char *value, struct query *q, struct query_error *e)
{
	int type = event_type_find(value, strlen(value));

	if (value[0] == '\0' || value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] != '\0')
		return fail(e, "INVALID_ENUM_VALUE", "eventType", "No such event type.");
	q->has_types = true;
	if (type >= 0) /* a real name this program never sends matches nothing */
		q->types[type / 64] |= UINT64_C(1) << (type % 64);
	return 0;
}

static int
take(const char *name, const char *value, struct query *q, struct query_error *e)
{
	uint64_t number;

	if (strcmp(name, "pageNum") == 0) {
		if (parse_u64(value, INT32_MAX, &q->page) != 0 || q->page == 0)
			return fail(e, "INVALID_QUERY_PARAMETER", name, "pageNum must be 1 or more.");
		return 0;
	}
	if (strcmp(name, "itemsPerPage") == 0) {
		if (parse_u64(value, ROWS_MAX, &number) != 0 || number == 0)
			return fail(e, "INVALID_QUERY_PARAMETER", name,
			            "itemsPerPage must be between 1 and 500.");
		q->rows = (unsigned)number;
		return 0;
	}
	if (strcmp(name, "includeCount") == 0)
		return parse_flag(name, value, &q->count, e);
	if (strcmp(name, "includeRaw") == 0)
		return parse_flag(name, value, &q->raw, e);
	if (strcmp(name, "pretty") == 0)
		return parse_flag(name, value, &q->pretty, e);
	if (strcmp(name, "envelope") == 0)
		return parse_flag(name, value, &q->envelope, e);
	if (strcmp(name, "minDate") == 0)
		return parse_date(name, value, &q->min_ms, e);
	if (strcmp(name, "maxDate") == 0)
		return parse_date(name, value, &q->max_ms, e);
	if (strcmp(name, "eventType") == 0)
		return parse_type(value, q, e);
	return fail(e, "INVALID_QUERY_PARAMETER", name, "No such query parameter.");
}

int
query_parse(const char *text, struct query *ret, struct query_error *ret_error)
{
	int result = 0;

	memset(ret, 0, sizeof *ret);
	ret->page = 1;
	ret->rows = ROWS_DEFAULT;
	ret->count = true;
	ret->min_ms = INT64_MIN / 4;
	ret->max_ms = INT64_MAX / 4;
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "&");
		const char *equals = memchr(text, '=', len);
		size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
		char name[64], value[VALUE_MAX];
		int bad = query_decode(text, name_len, name, sizeof name) < 0;

		value[0] = '\0';
		if (!bad && equals != NULL)
			bad = query_decode(equals + 1, len - name_len - 1, value, sizeof value) < 0;
		if (result == 0 && bad)
			result = fail(ret_error, "INVALID_QUERY_PARAMETER", "", "A parameter cannot be read.");
		else if (len > 0 && result == 0)
			result = take(name, value, ret, ret_error);
		else if (!bad && result != 0 && (strcmp(name, "envelope") == 0 || strcmp(name, "pretty") == 0))
			(void)take(name, value, ret, &(struct query_error){ 0 });
		text += len + (text[len] == '&');
	}
	if (result == 0 && ret->min_ms > ret->max_ms && ret->max_ms != INT64_MAX / 4)
		result = fail(ret_error, "INVALID_DATE_RANGE", "minDate", "minDate is after maxDate.");
	return result;
}

void
query_link(const char *text, uint64_t page, unsigned rows, char *out, size_t size)
{
	size_t n = 0;

	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "&");

		if (len > 0 && strncmp(text, "pageNum=", 8) != 0 && strncmp(text, "itemsPerPage=", 13) != 0 &&
		    n + len + 2 < size) {
			for (size_t i = 0; i < len; i++) /* nothing that would end the JSON string */
				out[n++] = text[i] == '"' || text[i] == '\\' || (unsigned char)text[i] < ' '
				               ? '_' : text[i];
			out[n++] = '&';
		}
		text += len + (text[len] == '&');
	}
	snprintf(out + n, size - n, "pageNum=%llu&itemsPerPage=%u", (unsigned long long)page, rows);
}
