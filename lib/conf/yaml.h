/* yaml.h: one YAML document as nodes that know where they stood. Aliases and merges ("<<") are resolved
 * here; a node is never changed after it was read. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_YAML_H
#define ORGSYNC_CONF_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf/arena.h"
#include "lib/conf/report.h"

#define YAML_FILE_MAX_BYTES ((size_t)16 << 20)
#define YAML_DEPTH_MAX 32               /* maps and lists inside each other */
#define YAML_KEYS_MAX 128               /* keys of one map */
#define YAML_ANCHORS_MAX 1000           /* of one file */
#define YAML_ALIAS_DEPTH_MAX 16         /* aliases inside what an alias names */
#define YAML_EXPANDED_MAX 1000000       /* nodes that all aliases of a file stand for */
#define YAML_NODES_MAX 2000000          /* nodes of all files */

enum node_kind { NODE_TEXT, NODE_LIST, NODE_MAP };

struct node;
struct pair { const struct node *key, *value; };

struct node {
	enum node_kind kind;
	bool plain;                /* text: written without quotes */
	bool breaks;               /* text: holds a tab or a line break */
	bool open;                 /* while reading: its end has not come yet */
	unsigned alias_depth;
	size_t weight;             /* nodes it stands for, aliases counted out */
	struct place at;           /* of an alias: where the alias stands */
	const char *text;          /* text: NUL-terminated, holds no other NUL */
	size_t len;
	const struct node *const *items;
	const struct pair *pairs;  /* merged; no key twice */
	size_t n;                  /* of items or pairs */
};

/* Reads a file's bytes. nodes is counted up to YAML_NODES_MAX over all files. Returns the root, in the
 * arena, or NULL: the file holds a syntax error, passes a limit, is empty or holds several documents;
 * all of that is reported. What does not stop the reading (a key twice, a tag) is reported too. */
const struct node *yaml_read(const struct source *source, const char *bytes, size_t len,
                             struct arena *arena, struct report *report, size_t *nodes);

/* The value of a key of a map, or NULL. */
const struct node *node_get(const struct node *map, const char *key);

/* Nothing at all, "~" or "null", without quotes. */
bool node_is_null(const struct node *node);

#endif
