/* sandbox.c: building the organizations, finding them, and telling the time. */
#include "cmd/atlas-sandbox/sandbox.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/atlas-sandbox/auth.h"
#include "cmd/atlas-sandbox/hash.h"
#include "cmd/atlas-sandbox/prepared.h"
#include "lib/base/clock.h"

static bool
selector_matches(const struct org *org, const char *selector)
{
	uint64_t number;

	if (strncmp(selector, "every/", 6) == 0)
		return parse_u64(selector + 6, 1000000, &number) == 0 && number > 0 &&
		       org->number % number == 0;
	if (parse_u64(selector, 1000000, &number) == 0)
		return org->number == number;
	return fnmatch(selector, org->name, 0) == 0;
}

static int
apply_rules(struct sandbox *sb, char *why, size_t why_size)
{
	for (size_t r = 0; r < sb->options.n_rules; r++) {
		const struct org_rule *rule = &sb->options.rules[r];
		bool used = false;

		for (size_t i = 0; i < sb->n_orgs; i++) {
			if (!selector_matches(&sb->orgs[i], rule->selector))
				continue;
			used = true;
			if (settings_apply(&sb->orgs[i].set, rule->text, why, why_size) != 0)
				return -1;
		}
		if (!used) {
			snprintf(why, why_size, "--org: no organization matches %s", rule->selector);
			return -1;
		}
	}
	return 0;
}

static const struct org *sort_orgs; /* of the one sort that is going on, before any thread */

static int
compare_org_id(const void *a, const void *b)
{
	return strcmp(sort_orgs[*(const unsigned *)a].org_id, sort_orgs[*(const unsigned *)b].org_id);
}

static int
compare_public_key(const void *a, const void *b)
{
	return strcmp(sort_orgs[*(const unsigned *)a].public_key,
	              sort_orgs[*(const unsigned *)b].public_key);
}

static int
compare_client_id(const void *a, const void *b)
{
	return strcmp(sort_orgs[*(const unsigned *)a].client_id, sort_orgs[*(const unsigned *)b].client_id);
}

static unsigned *
sorted_index(const struct sandbox *sb, int (*compare)(const void *, const void *))
{
	unsigned *index = calloc(sb->n_orgs + 1, sizeof *index);

	if (index == NULL)
		return NULL;
	for (size_t i = 0; i < sb->n_orgs; i++)
		index[i] = (unsigned)i;
	sort_orgs = sb->orgs;
	qsort(index, sb->n_orgs, sizeof *index, compare);
	return index;
}

int
sandbox_init(struct sandbox *sb, const struct options *options, char *why, size_t why_size)
{
	memset(sb, 0, sizeof *sb);
	sb->options = *options;
	sb->n_orgs = options->n_orgs;
	sb->run_key = hash_mix(hash_mix(options->seed) ^ UINT64_C(0x746f6b656e73));
	pthread_mutex_init(&sb->nonces_lock, NULL);
	pthread_mutex_init(&sb->windows_lock, NULL);
	sb->start_wall_ms = clock_wall_ms(&clock_system);
	sb->start_mono_ms = clock_mono_ms(&clock_system);
	atomic_init(&sb->shift_ms, options->has_now ? options->now_ms - sb->start_wall_ms : 0);
	/* Serials never come twice, also after a restart within the same second of a kept token. */
	atomic_init(&sb->next_serial, (uint64_t)sb->start_wall_ms << 20);
	sb->orgs = calloc(sb->n_orgs + 1, sizeof *sb->orgs);
	sb->accounts = calloc(sb->n_orgs + 1, sizeof *sb->accounts);
	if (sb->orgs == NULL || sb->accounts == NULL || auth_init(sb) != 0) {
		free(sb->accounts);
		sb->accounts = NULL; /* its locks were never made */
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < sb->n_orgs; i++) { /* whole, so that sandbox_free() may follow any failure */
		org_identify(&sb->orgs[i], options->seed, (unsigned)i + 1);
		sb->orgs[i].set = options->defaults;
		pthread_mutex_init(&sb->accounts[i].lock, NULL);
		sb->accounts[i].level[0] = sb->accounts[i].level[1] = options->capacity;
	}
	if (apply_rules(sb, why, why_size) != 0)
		return -1;
	for (size_t i = 0; i < sb->n_orgs; i++)
		if (org_build(&sb->orgs[i], options->seed, why, why_size) != 0)
			return -1;
	sb->by_org_id = sorted_index(sb, compare_org_id);
	sb->by_public_key = sorted_index(sb, compare_public_key);
	sb->by_client_id = sorted_index(sb, compare_client_id);
	if (options->prepared_mib > 0)
		sb->prepared = prepared_new((size_t)options->prepared_mib << 20);
	if (sb->by_org_id == NULL || sb->by_public_key == NULL || sb->by_client_id == NULL ||
	    (options->prepared_mib > 0 && sb->prepared == NULL)) {
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	return 0;
}

void
sandbox_free(struct sandbox *sb)
{
	for (size_t i = 0; i < sb->n_orgs && sb->orgs != NULL; i++)
		org_free(&sb->orgs[i]);
	for (size_t i = 0; i < sb->n_orgs && sb->accounts != NULL; i++)
		pthread_mutex_destroy(&sb->accounts[i].lock);
	pthread_mutex_destroy(&sb->nonces_lock);
	pthread_mutex_destroy(&sb->windows_lock);
	free(sb->orgs);
	free(sb->accounts);
	free(sb->by_org_id);
	free(sb->by_public_key);
	free(sb->by_client_id);
	prepared_free(sb->prepared);
	auth_free(sb);
}

int64_t
sandbox_now_ms(const struct sandbox *sb)
{
	return clock_wall_ms(&clock_system) + atomic_load(&sb->shift_ms);
}

int64_t
sandbox_limits_ms(const struct sandbox *sb)
{
	double passed_ms = (double)(clock_mono_ms(&clock_system) - sb->start_mono_ms);

	return sb->start_wall_ms + (int64_t)(passed_ms * sb->options.time_scale) +
	       atomic_load(&sb->shift_ms);
}

static int
find(const struct sandbox *sb, const unsigned *index, size_t offset, const char *text)
{
	size_t low = 0, high = sb->n_orgs;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp((const char *)&sb->orgs[index[middle]] + offset, text);

		if (order == 0)
			return (int)index[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

int
sandbox_find_org_id(const struct sandbox *sb, const char *text)
{
	return find(sb, sb->by_org_id, offsetof(struct org, org_id), text);
}

int
sandbox_find_public_key(const struct sandbox *sb, const char *text)
{
	return find(sb, sb->by_public_key, offsetof(struct org, public_key), text);
}

int
sandbox_find_client_id(const struct sandbox *sb, const char *text)
{
	return find(sb, sb->by_client_id, offsetof(struct org, client_id), text);
}

int
sandbox_find(const struct sandbox *sb, const char *text)
{
	uint64_t number;
	int found = sandbox_find_org_id(sb, text);

	if (found >= 0)
		return found;
	if (parse_u64(text, sb->n_orgs, &number) == 0 && number > 0)
		return (int)number - 1;
	for (size_t i = 0; i < sb->n_orgs; i++)
		if (strcmp(sb->orgs[i].name, text) == 0)
			return (int)i;
	return -1;
}

unsigned
sandbox_credentials(const struct org *org)
{
	if (org->set.credentials == CREDENTIAL_MIXED)
		return org->number % 2 == 1 ? CREDENTIAL_DIGEST : CREDENTIAL_SERVICE_ACCOUNT;
	return org->set.credentials;
}
