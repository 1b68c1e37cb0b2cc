/* progress.h: one line on a terminal that says how far a long command is.
 *
 * A thread redraws it at most four times a second; it is taken off before each line of the log and put
 * back after it. Where stderr is no terminal nothing happens at all. One progress at a time. Lock order:
 * the log's lock, then the one in here. */
#ifndef ORGSYNC_CMD_PROGRESS_H
#define ORGSYNC_CMD_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the line (without a line end) into out; called from the progress thread, and with its lock
 * held: it must not log. */
typedef void progress_line(void *ctx, char *out, size_t size);

/* Begins where stderr is a terminal that can move its cursor. ctx is borrowed until progress_end(). */
void progress_begin(progress_line *line, void *ctx);
/* Takes the line off and ends the thread. Nothing where none was begun. */
void progress_end(void);

/* One line on stderr, never into the middle of the progress line. Any thread. */
void progress_say(const char *text);

#endif
