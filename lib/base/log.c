#include "lib/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/isotime.h"

static struct {
	pthread_mutex_t lock; /* guards the hooks' calls and keeps lines whole on a terminal */
	int fd;
	enum log_level level;
	void (*before)(void *ctx);
	void (*after)(void *ctx);
	void *ctx;
} sink = { PTHREAD_MUTEX_INITIALIZER, STDERR_FILENO, LOG_LEVEL_WARN, NULL, NULL, NULL };

void
log_open(int fd, enum log_level level)
{
	sink.fd = fd;
	sink.level = level;
}

enum log_level
log_level(void)
{
	return sink.level;
}

void
log_set_hooks(void (*before)(void *ctx), void (*after)(void *ctx), void *ctx)
{
	sink.before = before;
	sink.after = after;
	sink.ctx = ctx;
}

static void
write_line(const char *line, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(sink.fd, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nowhere to say it */
		line += n;
		len -= (size_t)n;
	}
}

void
log_line(enum log_level level, const char *org, const char *format, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char line[1200], stamp[ISOTIME_LEN + 1];
	size_t len, size = sizeof(line) - 1;
	va_list args;

	if (level > sink.level)
		return;
	isotime_format_s(clock_wall_s(&clock_system), stamp);
	len = (size_t)snprintf(line, size, "%s level=%s %s%s%s", stamp, names[level],
	                       org == NULL ? "" : "org=", org == NULL ? "" : org,
	                       org == NULL ? "" : " ");
	va_start(args, format);
	if (len < size)
		vsnprintf(line + len, size - len, format, args);
	va_end(args);
	len = strlen(line);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';

	pthread_mutex_lock(&sink.lock);
	if (sink.before != NULL)
		sink.before(sink.ctx);
	write_line(line, len);
	if (sink.after != NULL)
		sink.after(sink.ctx);
	pthread_mutex_unlock(&sink.lock);
}
