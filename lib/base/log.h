/* log.h: one line an occurrence, key=value, on stderr (or wherever log_open() says).
 *
 * Levels by who acts: error = the operator, warn = it will be tried again, info = once a run,
 * debug = once a request. Never a secret, a token or a body.
 * A line is written by one write(2), so lines of several threads never mix. Any thread may log.
 */
#ifndef ORGSYNC_BASE_LOG_H
#define ORGSYNC_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Before the first thread: the file descriptor (borrowed) and the least important level written.
 * Without it: stderr, warn. */
void log_open(int fd, enum log_level level);
enum log_level log_level(void);

/* Called with the lock of the log held, before and after each line: lets a progress display take
 * its line off a terminal and put it back. Set before the first thread; NULL: none. */
void log_set_hooks(void (*before)(void *ctx), void (*after)(void *ctx), void *ctx);

/* One line: "2026-08-10T03:06:47Z level=warn org=acme " + the formatted rest. org NULL: no
 * organization. The rest is key=value words, by convention first msg="…"; control characters in
 * it come out as '?'. */
void log_line(enum log_level level, const char *org, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(org, ...) log_line(LOG_LEVEL_ERROR, org, __VA_ARGS__)
#define log_warn(org, ...) log_line(LOG_LEVEL_WARN, org, __VA_ARGS__)
#define log_info(org, ...) log_line(LOG_LEVEL_INFO, org, __VA_ARGS__)
#define log_debug(org, ...) log_line(LOG_LEVEL_DEBUG, org, __VA_ARGS__)

#endif
