/* json.h: the one JSON document that --json prints, and how texts and times go into it. One thread. */
#ifndef ORGSYNC_CMD_JSON_H
#define ORGSYNC_CMD_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Prints the document (which is given away) and returns the exit code as results_end() does; a NULL
 * document means that memory was short. */
int json_print(json_t *document, int code) __attribute__((warn_unused_result));

/* A string whatever the bytes: what is no UTF-8 or a control character becomes '?'. NULL gives null. */
json_t *json_text(const char *text);
/* "2026-11-22T01:58:00Z"; null where epoch_s is below 0. */
json_t *json_time(int64_t epoch_s);
/* {"code", "text", "hint"?, "http_status"?}, or null where e holds no failure. */
json_t *json_err(const struct err *e);

#endif
