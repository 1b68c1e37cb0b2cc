/* replay.c: gives a fuzz target every input of its corpus, without a fuzzer: each file as it is, then cut
 * short at every length (at 200 of them where it is long), then changed at random, as long as TIME_MS lasts.
 * The inputs that were crashes once are in the corpus, so that they are tried in every build.
 *
 *   replay_TARGET [FILE...]     only these files, as they are
 *   ORGSYNC_TEST_SEED=N         the seed of the changes
 * An input that fails is kept as replay_TARGET.input in the working directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/cases.h"
#include "tests/support/seed.h"

#define TIME_MS 700
#define CUTS 200
#define FEWEST_FILES 8       /* a corpus that was not found must not pass */
#define SIZE_MAX_BYTES 65536

struct input { char *name; uint8_t *bytes; size_t len; };

static struct {
	const uint8_t *bytes;
	size_t len;
	const char *from;    /* the corpus file it was made of */
	size_t n;
} now;

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* Only what a signal handler may do. */
static void
keep_input(void)
{
	static const char said[] = "\nthe input is in replay_" FUZZ_TARGET ".input; it was made of ";
	int fd = open("replay_" FUZZ_TARGET ".input", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, now.bytes, now.len) < 0 || write(2, said, sizeof(said) - 1) < 0 ||
	    write(2, now.from, strlen(now.from)) < 0 || write(2, "\n", 1) < 0)
		return;
	close(fd);
}

static void
on_signal(int signo)
{
	keep_input();
	signal(signo, SIG_DFL);
	raise(signo);
}

static void
run(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len);

	if (exact == NULL && len > 0)
		abort();
	if (len > 0)
		memcpy(exact, bytes, len);
	now.bytes = exact;
	now.len = len;
	now.n++;
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static void
read_input(const char *path, struct input *ret)
{
	FILE *f = fopen(path, "rb");

	ret->name = strdup(path);
	ret->bytes = malloc(SIZE_MAX_BYTES);
	if (f == NULL || ret->name == NULL || ret->bytes == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	ret->len = fread(ret->bytes, 1, SIZE_MAX_BYTES, f);
	fclose(f);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct input *)a)->name, ((const struct input *)b)->name);
}

static size_t
read_corpus(struct input **ret)
{
	const char *top = getenv("top_srcdir");
	char dir_name[400], path[800];
	struct input *inputs = NULL;
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(dir_name, sizeof(dir_name), "%s/tests/fuzz/corpus/" FUZZ_TARGET, top == NULL ? "." : top);
	dir = opendir(dir_name);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		inputs = realloc(inputs, (n + 1) * sizeof(*inputs));
		if (inputs == NULL)
			abort();
		snprintf(path, sizeof(path), "%s/%s", dir_name, entry->d_name);
		read_input(path, &inputs[n++]);
	}
	if (dir != NULL)
		closedir(dir);
	if (n < FEWEST_FILES) {
		fprintf(stderr, "%s: %zu inputs, where there must be %d at least\n", dir_name, n, FEWEST_FILES);
		exit(2);
	}
	qsort(inputs, n, sizeof(*inputs), by_name);
	*ret = inputs;
	return n;
}

/* One change of a kind that a fuzzer makes. len is at most SIZE_MAX_BYTES; so is what is returned. */
static size_t
change(struct rng *r, uint8_t *bytes, size_t len, const struct input *other)
{
	static const char telling[] = "\"\\{}[]:,\n\r\t 0-9.eZT\x1e\xff\x80\xc3";
	size_t at = (size_t)rng_below(r, len + 1), n = 1 + (size_t)rng_below(r, 16), from;

	switch (rng_below(r, 6)) {
	case 0:
		if (at < len)
			bytes[at] = (uint8_t)rng_next(r);
		return len;
	case 1:
		if (at < len)
			bytes[at] = (uint8_t)telling[rng_below(r, sizeof(telling) - 1)];
		return len;
	case 2: /* takes some out */
		n = n < len - at ? n : len - at;
		memmove(bytes + at, bytes + at + n, len - at - n);
		return len - n;
	case 3: /* doubles some */
		n = n < len - at ? n : len - at;
		n = n < SIZE_MAX_BYTES - len ? n : SIZE_MAX_BYTES - len;
		memmove(bytes + at + n, bytes + at, len - at);
		return len + n;
	case 4: /* some of another */
		from = (size_t)rng_below(r, other->len + 1);
		n = n < other->len - from ? n : other->len - from;
		n = n < len - at ? n : len - at;
		memcpy(bytes + at, other->bytes + from, n);
		return len;
	default:
		if (at < len)
			bytes[at] ^= (uint8_t)(1u << rng_below(r, 8));
		return len;
	}
}

static void
cut(const struct input *in)
{
	size_t step = in->len / CUTS + 1;

	for (size_t len = 0; len < in->len; len += step)
		run(in->bytes, len);
}

static void
change_all(const struct input *inputs, size_t n, struct rng *r)
{
	static uint8_t bytes[SIZE_MAX_BYTES];
	int64_t end_ms = clock_mono_ms(&clock_system) + (int64_t)test_cases(TIME_MS, 60 * TIME_MS);
	const struct input *in;
	size_t len;

	while (clock_mono_ms(&clock_system) < end_ms) {
		in = &inputs[rng_below(r, n)];
		now.from = in->name;
		memcpy(bytes, in->bytes, len = in->len);
		for (uint64_t k = 1 + rng_below(r, 4); k > 0; k--)
			len = change(r, bytes, len, &inputs[rng_below(r, n)]);
		run(bytes, len);
	}
}

int
main(int argc, char **argv)
{
	static struct input *inputs; /* static: no leak until the end */
	size_t n;
	struct rng r;

	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(keep_input);
	else
		signal(SIGSEGV, on_signal);
	log_open(-1, LOG_LEVEL_ERROR);
	for (int i = 1; i < argc; i++) {
		struct input in;

		read_input(now.from = argv[i], &in);
		run(in.bytes, in.len);
		free(in.bytes);
		free(in.name);
	}
	if (argc > 1)
		return 0;
	n = read_corpus(&inputs);
	rng_seed(&r, test_seed("replay_" FUZZ_TARGET));
	for (size_t i = 0; i < n; i++) {
		now.from = inputs[i].name;
		run(inputs[i].bytes, inputs[i].len);
	}
	for (size_t i = 0; i < n; i++) {
		now.from = inputs[i].name;
		cut(&inputs[i]);
	}
	change_all(inputs, n, &r);
	printf("replay_" FUZZ_TARGET ": %zu files of the corpus\n", n);
	test_cases_played("replay_" FUZZ_TARGET, now.n);
	printf("100%%: Checks: %zu, Failures: 0, Errors: 0\n", n);
	for (size_t i = 0; i < n; i++) {
		free(inputs[i].name);
		free(inputs[i].bytes);
	}
	free(inputs);
	return 0;
}
