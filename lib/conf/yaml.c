/* From libyaml's events to nodes. The stack of open maps and lists and the values collected for them
 * are explicit, so the depth of a file costs no stack of ours. Nothing is expanded: an alias is a copy
 * of the head of what it names, and shares the rest; the weights keep count of what it stands for. */
#include "lib/conf/yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/buf.h"
#include "lib/conf/utf8.h"

struct anchor { const char *name; const struct node *node; };
struct frame { struct node *node; size_t first_value; };

struct reader {
	const struct source *source;
	const char *bytes;
	size_t len;
	struct arena *arena;
	struct report *report;
	size_t *nodes;
	size_t expanded;
	struct frame frames[YAML_DEPTH_MAX];
	size_t n_frames;
	const struct node **values;      /* collected for the open frames */
	size_t n_values, values_size;
	struct anchor anchors[YAML_ANCHORS_MAX];
	size_t n_anchors;
	const struct node *root;
	bool failed;                     /* reading ends here */
};

static struct place
place_of(const struct reader *r, const yaml_mark_t *mark)
{
	return (struct place){ r->source, (unsigned)mark->line + 1, (unsigned)mark->column + 1 };
}

static void
fail_no_memory(struct reader *r)
{
	report_no_memory(r->report);
	r->failed = true;
}

/* libyaml never meets a character it does not take: its errors of that kind have no line. */
static void
check_characters(struct reader *r)
{
	struct utf8_finding bad;

	if (utf8_check(r->bytes, r->len, &bad) == 0)
		return;
	r->failed = true;
	if (bad.no_utf8)
		report_error(r->report, (struct place){ r->source, bad.line, bad.column },
		             "byte 0x%02x here is no UTF-8", (unsigned)bad.character);
	else
		report_error(r->report, (struct place){ r->source, bad.line, bad.column },
		             "control character U+%04X", (unsigned)bad.character);
}

/* Says what libyaml stumbled over. Its texts never quote the file. */
static void
report_syntax(struct reader *r, const yaml_parser_t *parser)
{
	struct place at = place_of(r, &parser->problem_mark);
	const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
	size_t index = parser->problem_mark.index, offset = 0;

	if (parser->error == YAML_MEMORY_ERROR) {
		report_no_memory(r->report);
		return;
	}
	/* The mark counts characters; the bytes are sound UTF-8. */
	for (; offset < r->len && (index > 0 || ((unsigned char)r->bytes[offset] & 0xc0) == 0x80); offset++)
		if (((unsigned char)r->bytes[offset] & 0xc0) != 0x80)
			index--;
	if (parser->error == YAML_SCANNER_ERROR && offset < r->len && r->bytes[offset] == '\t')
		report_error(r->report, at, "syntax: a tab cannot indent or begin a value; use spaces");
	else if (parser->error == YAML_SCANNER_ERROR && offset < r->len &&
	         (r->bytes[offset] == '@' || r->bytes[offset] == '`' || r->bytes[offset] == '%'))
		report_error(r->report, at, "syntax: a value that begins with '%c' needs quotes",
		             r->bytes[offset]);
	else if (parser->context != NULL)
		report_error(r->report, at, "syntax: %s (%s that begins at %zu:%zu)", problem,
		             parser->context, parser->context_mark.line + 1,
		             parser->context_mark.column + 1);
	else
		report_error(r->report, at, "syntax: %s", problem);
}

/* ---- nodes ---- */

static struct node *
new_node(struct reader *r, enum node_kind kind, struct place at)
{
	struct node *node;

	if (++*r->nodes > YAML_NODES_MAX) {
		report_error(r->report, at, "the configuration is too big: more than %d keys and values",
		             YAML_NODES_MAX);
		r->failed = true;
		return NULL;
	}
	node = arena_alloc(r->arena, sizeof(*node));
	if (node == NULL) {
		fail_no_memory(r);
		return NULL;
	}
	node->kind = kind;
	node->at = at;
	node->weight = 1;
	return node;
}

/* Hands a finished node to the map or list it stands in. */
static void
push_value(struct reader *r, const struct node *node)
{
	const struct node **values;
	size_t size;

	if (r->n_frames == 0) {
		r->root = node;
		return;
	}
	if (r->n_values == r->values_size) {
		size = r->values_size == 0 ? 256 : r->values_size * 2;
		values = realloc(r->values, size * sizeof(struct node *));
		if (values == NULL) {
			fail_no_memory(r);
			return;
		}
		r->values = values;
		r->values_size = size;
	}
	r->values[r->n_values++] = node;
}

static void
set_anchor(struct reader *r, const yaml_char_t *name, const struct node *node)
{
	const char *copy;

	if (name == NULL)
		return;
	if (r->n_anchors == YAML_ANCHORS_MAX) {
		report_error(r->report, node->at, "too many anchors: more than %d in one file",
		             YAML_ANCHORS_MAX);
		r->failed = true;
		return;
	}
	copy = arena_text(r->arena, (const char *)name, strlen((const char *)name));
	if (copy == NULL) {
		fail_no_memory(r);
		return;
	}
	r->anchors[r->n_anchors++] = (struct anchor){ copy, node };
}

static void
check_tag(struct reader *r, const yaml_char_t *tag, struct place at)
{
	/* Nor is it told which: a password that begins with ! and stands without quotes is a tag to YAML. */
	if (tag != NULL)
		report_error(r->report, at, "YAML tags have no meaning here: take it out, or put a value that "
		             "begins with ! in quotes");
}

static void
on_text(struct reader *r, const yaml_event_t *event)
{
	struct place at = place_of(r, &event->start_mark);
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length, n;
	struct node *node = new_node(r, NODE_TEXT, at);
	uint32_t c;

	if (node == NULL)
		return;
	check_tag(r, event->data.scalar.tag, at);
	for (size_t i = 0; i < len; i += n) {
		n = utf8_read(text + i, len - i, &c);
		if (n == 0 || utf8_is_unsafe(c)) {
			/* Only an escape ("\0") can have made it. Read on as if it were not there. */
			if (n == 0)
				report_error(r->report, at, "an escape in this text makes no character");
			else
				report_error(r->report, at, "control character U+%04X in this text",
				             (unsigned)c);
			len = i;
			break;
		}
		node->breaks = node->breaks || c < 0x20;
	}
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_text(r->arena, text, len);
	node->len = len;
	if (node->text == NULL) {
		fail_no_memory(r);
		return;
	}
	set_anchor(r, event->data.scalar.anchor, node);
	push_value(r, node);
}

static void
on_alias(struct reader *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct place at = place_of(r, &event->start_mark);
	const struct node *target = NULL;
	struct node *node;
	struct quoted q;

	for (size_t i = r->n_anchors; i > 0 && target == NULL; i--)
		if (strcmp(r->anchors[i - 1].name, name) == 0)
			target = r->anchors[i - 1].node;
	r->failed = true;
	if (target == NULL) {
		/* Its name is not told: it may be a password without quotes. */
		report_error(r->report, at, "alias of an anchor that is not there; a value that begins with * "
		             "has to stand in quotes");
		return;
	}
	if (target->open) {
		report_error(r->report, at, "alias of %s stands inside %s itself",
		             quote(&q, name, strlen(name)), q.text);
		return;
	}
	if (target->alias_depth >= YAML_ALIAS_DEPTH_MAX) {
		report_error(r->report, at, "aliases too deep: more than %d inside each other",
		             YAML_ALIAS_DEPTH_MAX);
		return;
	}
	r->expanded += target->weight;
	if (r->expanded > YAML_EXPANDED_MAX) {
		report_error(r->report, at, "too many aliases: together they stand for more than %d values",
		             YAML_EXPANDED_MAX);
		return;
	}
	r->failed = false;
	node = new_node(r, target->kind, at);
	if (node == NULL)
		return;
	*node = *target;
	node->at = at;
	node->alias_depth = target->alias_depth + 1;
	push_value(r, node);
}

static void
on_start(struct reader *r, const yaml_event_t *event, enum node_kind kind)
{
	struct place at = place_of(r, &event->start_mark);
	struct node *node;

	if (r->n_frames == YAML_DEPTH_MAX) {
		report_error(r->report, at, "too deep: more than %d maps and lists inside each other",
		             YAML_DEPTH_MAX);
		r->failed = true;
		return;
	}
	node = new_node(r, kind, at);
	if (node == NULL)
		return;
	node->open = true;
	check_tag(r, kind == NODE_MAP ? event->data.mapping_start.tag : event->data.sequence_start.tag, at);
	set_anchor(r, kind == NODE_MAP ? event->data.mapping_start.anchor :
	           event->data.sequence_start.anchor, node);
	r->frames[r->n_frames++] = (struct frame){ node, r->n_values };
}

/* ---- maps: keys twice, merges ---- */

struct pairs { struct pair *list; size_t n; };

static const struct pair *
find_pair(const struct pairs *pairs, const struct node *key)
{
	for (size_t i = 0; i < pairs->n; i++)
		if (pairs->list[i].key->len == key->len &&
		    memcmp(pairs->list[i].key->text, key->text, key->len) == 0)
			return &pairs->list[i];
	return NULL;
}

static bool
is_merge(const struct node *key)
{
	return key->plain && key->len == 2 && memcmp(key->text, "<<", 2) == 0;
}

static void
add_pair(struct reader *r, struct pairs *pairs, const struct node *key, const struct node *value)
{
	const struct pair *first;
	struct quoted q;

	if (key->kind != NODE_TEXT) {
		report_error(r->report, key->at, "a key must be a word, not a %s",
		             key->kind == NODE_MAP ? "map" : "list");
		return;
	}
	first = find_pair(pairs, key);
	if (first != NULL) {
		report_error(r->report, key->at, "key %s twice in one map; first at %s:%u:%u",
		             quote(&q, key->text, key->len), first->key->at.source->path,
		             first->key->at.line, first->key->at.column);
		return;
	}
	if (pairs->n == YAML_KEYS_MAX) {
		report_error(r->report, key->at, "too many keys: more than %d in one map", YAML_KEYS_MAX);
		r->failed = true;
		return;
	}
	pairs->list[pairs->n++] = (struct pair){ key, value };
}

/* Adds what is not there yet: the map's own keys and earlier merges win. */
static void
merge_map(struct reader *r, struct pairs *pairs, const struct node *from)
{
	if (from->kind != NODE_MAP) {
		report_error(r->report, from->at, "<< takes a map, or a list of maps");
		return;
	}
	for (size_t i = 0; i < from->n && !r->failed; i++)
		if (find_pair(pairs, from->pairs[i].key) == NULL)
			add_pair(r, pairs, from->pairs[i].key, from->pairs[i].value);
}

static void
finish_map(struct reader *r, struct node *map, const struct node *const *values, size_t n)
{
	struct pair list[YAML_KEYS_MAX];
	struct pairs pairs = { list, 0 };
	const struct node *merged = NULL;
	struct pair *copy;

	for (size_t i = 0; i + 1 < n && !r->failed; i += 2)
		add_pair(r, &pairs, values[i], values[i + 1]);
	for (size_t i = 0; i < pairs.n; i++)
		if (is_merge(list[i].key)) {
			merged = list[i].value;
			memmove(list + i, list + i + 1, (--pairs.n - i) * sizeof(*list));
			break;
		}
	if (merged != NULL && merged->kind == NODE_LIST) {
		for (size_t i = 0; i < merged->n && !r->failed; i++)
			merge_map(r, &pairs, merged->items[i]);
	} else if (merged != NULL) {
		merge_map(r, &pairs, merged);
	}
	copy = arena_alloc(r->arena, (pairs.n + 1) * sizeof(*copy));
	if (copy == NULL) {
		fail_no_memory(r);
		return;
	}
	memcpy(copy, list, pairs.n * sizeof(*copy));
	map->pairs = copy;
	map->n = pairs.n;
}

static void
finish_list(struct reader *r, struct node *list, const struct node *const *values, size_t n)
{
	const struct node **copy = arena_alloc(r->arena, (n + 1) * sizeof(struct node *));

	if (copy == NULL) {
		fail_no_memory(r);
		return;
	}
	if (n > 0)
		memcpy(copy, values, n * sizeof(struct node *));
	list->items = copy;
	list->n = n;
}

static void
on_end(struct reader *r)
{
	const struct frame *frame = &r->frames[--r->n_frames];
	size_t n = r->n_values - frame->first_value;
	const struct node *const *values = n > 0 ? r->values + frame->first_value : NULL;
	struct node *node = frame->node;

	for (size_t i = 0; i < n; i++) {
		node->weight += values[i]->weight;
		if (values[i]->alias_depth > node->alias_depth)
			node->alias_depth = values[i]->alias_depth;
	}
	if (node->kind == NODE_MAP)
		finish_map(r, node, values, n);
	else
		finish_list(r, node, values, n);
	node->open = false;
	r->n_values = frame->first_value;
	push_value(r, node);
}

/* ---- the whole file ---- */

static void
on_event(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->root != NULL) {
			report_error(r->report, place_of(r, &event->start_mark),
			             "a second YAML document begins here; a file holds one");
			r->failed = true;
		}
		break;
	case YAML_SCALAR_EVENT:
		on_text(r, event);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(r, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_start(r, event, NODE_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		on_start(r, event, NODE_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_end(r);
		break;
	default:
		break;
	}
}

static void
read_events(struct reader *r, yaml_parser_t *parser)
{
	yaml_event_t event;
	bool more = true;

	while (more && !r->failed) {
		if (!yaml_parser_parse(parser, &event)) {
			report_syntax(r, parser);
			r->failed = true;
			return;
		}
		more = event.type != YAML_STREAM_END_EVENT;
		on_event(r, &event);
		if (event.type == YAML_SCALAR_EVENT)
			wipe(event.data.scalar.value, event.data.scalar.length);
		yaml_event_delete(&event);
	}
}

const struct node *
yaml_read(const struct source *source, const char *bytes, size_t len, struct arena *arena,
          struct report *report, size_t *nodes)
{
	struct reader *r;
	yaml_parser_t parser;
	const struct node *root;

	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		bytes += 3;
		len -= 3;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL || !yaml_parser_initialize(&parser)) {
		free(r);
		report_no_memory(report);
		return NULL;
	}
	r->source = source;
	r->bytes = bytes;
	r->len = len;
	r->arena = arena;
	r->report = report;
	r->nodes = nodes;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
	check_characters(r);
	if (!r->failed)
		read_events(r, &parser);
	if (!r->failed && r->root == NULL)
		report_error(report, (struct place){ source, 1, 1 }, "the file is empty");
	root = r->failed ? NULL : r->root;
	/* Plain secrets passed through libyaml's own buffers. */
	if (parser.buffer.start != NULL)
		wipe(parser.buffer.start, (size_t)(parser.buffer.end - parser.buffer.start));
	if (parser.raw_buffer.start != NULL)
		wipe(parser.raw_buffer.start, (size_t)(parser.raw_buffer.end - parser.raw_buffer.start));
	yaml_parser_delete(&parser);
	free(r->values);
	free(r);
	return root;
}

const struct node *
node_get(const struct node *map, const char *key)
{
	size_t len = strlen(key);

	if (map->kind != NODE_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (map->pairs[i].key->len == len && memcmp(map->pairs[i].key->text, key, len) == 0)
			return map->pairs[i].value;
	return NULL;
}

bool
node_is_null(const struct node *node)
{
	return node->kind == NODE_TEXT && node->plain &&
	       (node->len == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}
