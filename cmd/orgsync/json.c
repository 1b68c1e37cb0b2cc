#include "cmd/orgsync/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/orgsync/exit_code.h"
#include "cmd/orgsync/session.h"
#include "cmd/orgsync/text.h"
#include "lib/base/isotime.h"

int
json_print(json_t *document, int code)
{
	int failed = document == NULL || json_dumpf(document, stdout, JSON_INDENT(2)) != 0;

	json_decref(document);
	if (document == NULL) {
		fputs("orgsync: no memory for the results\n", stderr);
		return code == 0 ? EXIT_CANNOT_GO_ON : code;
	}
	if (!failed)
		putchar('\n');
	return results_end(code);
}

json_t *
json_text(const char *text)
{
	char *clean;
	json_t *value;

	if (text == NULL)
		return json_null();
	clean = text_clean(text);
	value = clean == NULL ? NULL : json_string(clean);
	free(clean);
	return value;
}

json_t *
json_time(int64_t epoch_s)
{
	char stamp[ISOTIME_LEN + 1];

	return epoch_s < 0 ? json_null() : json_string(isotime_format_s(epoch_s, stamp));
}

json_t *
json_err(const struct err *e)
{
	json_t *o;
	int failed = 0;

	if (!err_is(e))
		return json_null();
	o = json_pack("{s:s, s:o}", "code", err_code_name(e->code), "text", json_text(e->text));
	if (o != NULL && e->hint[0] != '\0')
		failed |= json_object_set_new(o, "hint", json_text(e->hint));
	if (o != NULL && e->http_status != 0)
		failed |= json_object_set_new(o, "http_status", json_integer(e->http_status));
	if (!failed)
		return o;
	json_decref(o);
	return NULL;
}
