/* value.h: one node becomes one value of the description, or findings. One thread. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_VALUE_H
#define ORGSYNC_CONF_VALUE_H

#include <stdint.h>

#include "lib/conf/arena.h"
#include "lib/conf/keys.h"
#include "lib/conf/report.h"
#include "lib/conf/yaml.h"

/* What every value needs; all borrowed. Values are allocated in arena and live as long as it does. */
struct values {
	struct arena *arena;
	struct report *report;
	int64_t now_s;
	bool no_secrets;   /* whether secrets can be had does not matter to the caller */
};

/* Sets key's value at into + key->offset. 0; or -1 with into untouched: reported, or no memory. */
int value_set(struct values *v, const struct key *key, const struct node *node, void *into)
	__attribute__((warn_unused_result));

/* Sets every default of the section. 0, or -1: no memory. */
int value_set_fallbacks(struct values *v, const struct section *section, void *into)
	__attribute__((warn_unused_result));

/* A path from the file at `at`, made absolute; NULL: reported, or no memory. */
char *value_path(struct values *v, const char *name, const struct node *node);

/* Reports `NAME wants WHAT, not …` and returns -1. The node's text is not quoted where secret. */
int value_wrong(struct values *v, const char *name, const char *wanted, const struct node *node);

/* 0 where the node is a text that is not empty and on one line, otherwise reported and -1. */
int value_check_text(struct values *v, const char *name, const struct node *node)
	__attribute__((warn_unused_result));

/* The struct conf_secret of a node. 0 or -1 as value_set(). */
int value_secret(struct values *v, const struct key *key, const struct node *node,
                 struct conf_secret *ret) __attribute__((warn_unused_result));

/* text.c's part of value_set(): the same contract. into: the struct; ret: the place in it. */
int value_set_text(struct values *v, const struct key *key, const struct node *node, char **ret);
int value_set_texts(struct values *v, const struct key *key, const struct node *node, char *into);
int value_set_bool(struct values *v, const struct key *key, const struct node *node, bool *ret);
int value_set_disabled(struct values *v, const struct key *key, const struct node *node, char **ret);
int value_set_path(struct values *v, const struct key *key, const struct node *node, char **ret);
int value_set_url(struct values *v, const struct key *key, const struct node *node, char **ret);

/* A duration and a size as value_set() reads them, for show: in the largest unit that keeps them whole.
 * They return out. */
char *value_format_duration(int64_t ms, char out[24]);
char *value_format_size(int64_t bytes, char out[24]);

#endif
