/* url.h: the two URLs of a configuration, checked as text; nothing is looked up. Pure functions.
 * Internal to lib/conf. */
#ifndef ORGSYNC_CONF_URL_H
#define ORGSYNC_CONF_URL_H

#include <stddef.h>

/* Each returns NULL where the text will do, otherwise what is wrong with it, in words that follow
 * `base_url "…": `. Nothing is said of passwords that stand in it. */

/* https, or http to a loopback address; host, port, path; nothing else. *ret_len: without a '/' at the
 * end. */
const char *url_check_base(const char *text, size_t len, size_t *ret_len);
/* http, https or socks (4, 4a, 5, 5h); host and port. */
const char *url_check_proxy(const char *text, size_t len);

#endif
