/* answer.h: an answer as libcurl hands it over, line by line, without libcurl's transfer. */
#ifndef ORGSYNC_TESTS_FUZZ_ANSWER_H
#define ORGSYNC_TESTS_FUZZ_ANSWER_H

#include "lib/http/private.h"

#define ANSWER_HEADER_CAP 4096
#define ANSWER_BODY_CAP 1024

/* A session ready to take an answer; one for the process. */
struct http_session *answer_begin(void);
/* One header line, its end included. False: the transfer is over. */
bool answer_line(struct http_session *s, const void *bytes, size_t len);
bool answer_body(struct http_session *s, const void *bytes, size_t len);

#endif
