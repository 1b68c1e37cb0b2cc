#include "tests/crash/alloc_hooks.h"

#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS ((size_t)1 << 16)   /* open addressing: far more than are ever live at once */
#define FRAMES 30

/* NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
int __wrap_vasprintf(char **ret, const char *format, va_list args);
int __wrap_asprintf(char **ret, const char *format, ...);
void __wrap_free(void *p);

extern const char __executable_start; /* the linker's too */

struct slot { void *p; size_t size; const void *caller; };

static struct {
	pthread_mutex_t lock;    /* guards the rest */
	bool armed, goes_on, tell;
	size_t n, fail_at, live;
	struct slot slots[SLOTS]; /* p NULL: free */
} hooks = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t
home_of(const void *p)
{
	return (size_t)(((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48) % SLOTS;
}

static size_t
slot_of(const void *p)
{
	size_t at = home_of(p);

	while (hooks.slots[at].p != NULL && hooks.slots[at].p != p)
		at = (at + 1) % SLOTS;
	return at;
}

/* Takes slot `at` out and closes the gap, so that no search ends too early. */
static void
take_out(size_t at)
{
	size_t next = at, home;

	hooks.live--;
	for (;;) {
		hooks.slots[at].p = NULL;
		do {
			next = (next + 1) % SLOTS;
			if (hooks.slots[next].p == NULL)
				return;
			home = home_of(hooks.slots[next].p);
		} while (at <= next ? at < home && home <= next : at < home || home <= next);
		hooks.slots[at] = hooks.slots[next];
		at = next;
	}
}

/* Whether the allocation that is asked for now fails. */
static bool
fails(void)
{
	bool failed = false;
	void *frames[FRAMES];

	pthread_mutex_lock(&hooks.lock);
	if (hooks.armed) {
		hooks.n++;
		failed = hooks.fail_at != 0 && (hooks.n == hooks.fail_at || (hooks.goes_on && hooks.n > hooks.fail_at));
	}
	pthread_mutex_unlock(&hooks.lock);
	if (failed && hooks.tell)
		backtrace_symbols_fd(frames, backtrace(frames, FRAMES), 2);
	if (failed)
		errno = ENOMEM;
	return failed;
}

static void *
note(void *p, size_t size, const void *caller)
{
	size_t at;

	pthread_mutex_lock(&hooks.lock);
	if (hooks.armed && p != NULL) {
		at = slot_of(p);
		if (hooks.live == SLOTS / 2)
			abort();
		hooks.live += hooks.slots[at].p == NULL; /* else libc gave it back behind our back */
		hooks.slots[at] = (struct slot){ p, size, caller };
	}
	pthread_mutex_unlock(&hooks.lock);
	return p;
}

static void
forget(const void *p)
{
	size_t at;

	pthread_mutex_lock(&hooks.lock);
	at = p == NULL ? 0 : slot_of(p);
	if (p != NULL && hooks.slots[at].p == p)
		take_out(at);
	pthread_mutex_unlock(&hooks.lock);
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : note(__real_malloc(size), size, __builtin_return_address(0));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : note(__real_calloc(n, size), n * size, __builtin_return_address(0));
}

static void *
resize(void *p, size_t size, const void *caller)
{
	void *moved;

	if (fails())
		return NULL;
	/* Out of the account first: once realloc() has given p back another thread may get it. */
	forget(p);
	moved = __real_realloc(p, size);
	note(moved == NULL ? p : moved, size, caller);
	return moved;
}

void *
__wrap_realloc(void *p, size_t size)
{
	return resize(p, size, __builtin_return_address(0));
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (size > 0 && n > SIZE_MAX / size)
		return NULL;
	return resize(p, n * size, __builtin_return_address(0));
}

static char *
copy(const char *text, size_t len, const void *caller)
{
	char *p = fails() ? NULL : note(__real_malloc(len + 1), len + 1, caller);

	if (p != NULL) {
		memcpy(p, text, len);
		p[len] = '\0';
	}
	return p;
}

char *
__wrap_strdup(const char *text)
{
	return copy(text, strlen(text), __builtin_return_address(0));
}

char *
__wrap_strndup(const char *text, size_t max)
{
	return copy(text, strnlen(text, max), __builtin_return_address(0));
}

int
__wrap_vasprintf(char **ret, const char *format, va_list args)
{
	char text[4096];
	int len = vsnprintf(text, sizeof(text), format, args);

	if (len < 0 || (size_t)len >= sizeof(text))
		abort();
	*ret = copy(text, (size_t)len, __builtin_return_address(0));
	return *ret == NULL ? -1 : len;
}

int
__wrap_asprintf(char **ret, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = __wrap_vasprintf(ret, format, args);
	va_end(args);
	return len;
}

void
__wrap_free(void *p)
{
	forget(p);
	__real_free(p);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void
alloc_hooks_arm(size_t fail_at, int on)
{
	pthread_mutex_lock(&hooks.lock);
	hooks.fail_at = fail_at;
	hooks.goes_on = on != 0;
	hooks.tell = getenv("ORGSYNC_TEST_ONE") != NULL;
	hooks.armed = true;
	pthread_mutex_unlock(&hooks.lock);
}

size_t
alloc_hooks_disarm(size_t *ret_live)
{
	size_t n;

	pthread_mutex_lock(&hooks.lock);
	hooks.armed = false;
	n = hooks.n;
	*ret_live = hooks.live;
	pthread_mutex_unlock(&hooks.lock);
	return n;
}

void
alloc_hooks_print_live(void)
{
	pthread_mutex_lock(&hooks.lock);
	for (size_t i = 0; i < SLOTS; i++)
		if (hooks.slots[i].p != NULL)
			fprintf(stderr, "not given back: %zu bytes, asked for at 0x%zx of the program (addr2line -e)\n",
			        hooks.slots[i].size, (size_t)((const char *)hooks.slots[i].caller - &__executable_start));
	pthread_mutex_unlock(&hooks.lock);
}
