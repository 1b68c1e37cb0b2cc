/* event_plain.h: the scanner compiled once more without its 16-bytes-at-a-time search, so that a test can
 * hold one against the other. */
#ifndef ORGSYNC_TESTS_EVENT_PLAIN_H
#define ORGSYNC_TESTS_EVENT_PLAIN_H

#include "lib/base/event.h"

const char *plain_event_scan(const char *p, const char *end, char scratch[static EVENT_SCRATCH_SIZE],
                             struct event_scan *ret);
const char *plain_json_skip_value(const char *p, const char *end, int depth, bool *ret_bad_utf8,
                                  bool *ret_has_space);
size_t plain_json_strip_space(const char *bytes, size_t len, char *out);

#endif
