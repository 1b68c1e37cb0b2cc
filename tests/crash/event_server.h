/* event_server.h: a small Atlas in a process of its own: fixed events, digest keys and service accounts, pages of a
 * few rows. For tests that run the program thousands of times; the full-size one is cmd/atlas-sandbox. */
#ifndef ORGSYNC_TESTS_CRASH_EVENT_SERVER_H
#define ORGSYNC_TESTS_CRASH_EVENT_SERVER_H

#include <stdint.h>
#include <sys/types.h>

/* Begins the process, with n events each step_s before the next, the newest at newest_s. Returns its id, and its
 * port on 127.0.0.1; ends with the process that began it, or by kill(). Aborts where that fails. */
pid_t event_server_begin(int64_t newest_s, int64_t step_s, unsigned n, int *ret_port);

#endif
