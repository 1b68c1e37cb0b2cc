#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf/internal.h"
#include "lib/conf/org.h"
#include "lib/conf/value.h"
#include "lib/conf/yaml.h"

struct load {
	struct whole *whole;
	struct report report;
	struct values values;
	struct org_defaults defaults;
	const struct source **sources;   /* of every file opened, to know one met twice */
	size_t n_sources, sources_size;
	size_t nodes;
	struct org_places *places;       /* beside whole->conf.orgs */
	size_t orgs_size;
	bool any_org_missed;             /* a file or a list could not be read: "no organization" would be idle */
};

/* ---- files ---- */

static char *
directory_of(struct load *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash == NULL ? 0 : (int)(slash - path);
	char *cwd, *dir;

	if (path[0] == '/')
		return arena_printf(&l->whole->arena, "%.*s", len, path);
	cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return NULL;
	dir = arena_printf(&l->whole->arena, "%s%s%.*s", strcmp(cwd, "/") == 0 ? "" : cwd,
	                   len == 0 ? "" : "/", len, path);
	free(cwd);
	return dir;
}

static struct source *
new_source(struct load *l, const char *path)
{
	struct source *source = arena_alloc(&l->whole->arena, sizeof(*source));
	const struct source **sources;
	size_t size;

	if (source == NULL)
		return NULL;
	source->path = arena_text(&l->whole->arena, path, strlen(path));
	source->dir = directory_of(l, path);
	source->index = (unsigned)l->n_sources;
	if (source->path == NULL || source->dir == NULL)
		return NULL;
	if (l->n_sources == l->sources_size) {
		size = l->sources_size == 0 ? 16 : l->sources_size * 2;
		sources = realloc(l->sources, size * sizeof(struct source *));
		if (sources == NULL)
			return NULL;
		l->sources = sources;
		l->sources_size = size;
	}
	l->sources[l->n_sources++] = source;
	return source;
}

/* Opens a file of the configuration and notes what it is. at: where to report. */
static int
open_source(struct load *l, struct source *source, struct place at, bool included)
{
	struct stat st;
	int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (included ? O_NONBLOCK : 0));

	if (fd < 0) {
		report_error(&l->report, at, "%s cannot be read: %s", included ? source->path : "the file",
		             strerrordesc_np(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode) || (included && !S_ISREG(st.st_mode))) {
		report_error(&l->report, at, "%s is %s, not a file", included ? source->path : "this",
		             S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
		close(fd);
		return -1;
	}
	source->mode = st.st_mode;
	source->uid = st.st_uid;
	source->size_bytes = st.st_size;
	source->dev = st.st_dev;
	source->ino = st.st_ino;
	for (size_t i = 0; i < l->n_sources; i++)
		if (l->sources[i] != source && l->sources[i]->ino == st.st_ino &&
		    l->sources[i]->dev == st.st_dev) {
			report_error(&l->report, at, "%s is read twice; before as %s", source->path,
			             l->sources[i]->path);
			close(fd);
			return -1;
		}
	return fd;
}

/* Reads the whole file; at: where to report. */
static int
read_source(struct load *l, const struct source *source, int fd, struct place at, struct buf *b)
{
	ssize_t n;

	/* All at once where the size is known: growth would leave copies of secrets behind. */
	if (source->size_bytes > 0 && (size_t)source->size_bytes <= YAML_FILE_MAX_BYTES &&
	    buf_reserve(b, (size_t)source->size_bytes + 65536) != 0)
		return report_no_memory(&l->report);
	for (;;) {
		if (b->len > YAML_FILE_MAX_BYTES) {
			report_error(&l->report, at, "%s is bigger than %zu MiB", source->path,
			             YAML_FILE_MAX_BYTES >> 20);
			return -1;
		}
		if (buf_reserve(b, 65536) != 0)
			return report_no_memory(&l->report);
		n = read(fd, b->data + b->len, 65536);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR) {
			report_error(&l->report, at, "%s cannot be read: %s", source->path,
			             strerrordesc_np(errno));
			return -1;
		}
		b->len += n > 0 ? (size_t)n : 0;
	}
}

/* One file as nodes in nodes, or NULL: reported, or no memory. from: the place that includes it, NULL
 * for the main file. */
static const struct node *
read_file(struct load *l, const char *path, const struct place *from, struct arena *nodes)
{
	struct source *source = new_source(l, path);
	const struct node *root = NULL;
	struct place at;
	struct buf b;
	int fd;

	if (source == NULL) {
		report_no_memory(&l->report);
		return NULL;
	}
	at = from != NULL ? *from : (struct place){ source, 1, 1 };
	fd = open_source(l, source, at, from != NULL);
	if (fd < 0)
		return NULL;
	buf_init(&b, YAML_FILE_MAX_BYTES + 2 * 65536);
	if (read_source(l, source, fd, at, &b) == 0)
		root = yaml_read(source, b.data, b.len, nodes, &l->report, &l->nodes);
	close(fd);
	buf_wipe(&b);
	return root;
}

/* ---- organizations ---- */

static int
make_room(struct load *l)
{
	struct conf *conf = &l->whole->conf;
	struct conf_org *orgs;
	struct org_places *places;
	size_t size;

	if (conf->n_orgs < l->orgs_size)
		return 0;
	size = l->orgs_size == 0 ? 64 : l->orgs_size * 2;
	orgs = realloc(conf->orgs, size * sizeof(*orgs));
	if (orgs == NULL)
		return report_no_memory(&l->report);
	conf->orgs = orgs;
	places = realloc(l->places, size * sizeof(*places));
	if (places == NULL)
		return report_no_memory(&l->report);
	l->places = places;
	l->orgs_size = size;
	return 0;
}

static void
read_orgs(struct load *l, const struct node *list)
{
	struct conf *conf = &l->whole->conf;

	if (node_is_null(list))
		return;
	if (list->kind != NODE_LIST) {
		value_wrong(&l->values, "organizations", "a list", list);
		l->any_org_missed = true;
		return;
	}
	for (size_t i = 0; i < list->n && !l->report.no_memory; i++) {
		if (make_room(l) != 0)
			return;
		org_read(&l->values, &l->defaults, list->items[i], &conf->orgs[conf->n_orgs],
		         &l->places[conf->n_orgs]);
		conf->n_orgs++;
	}
}

/* ---- included files ---- */

static void
read_included(struct load *l, const char *path, struct place from)
{
	const struct node *root, *key;
	struct arena nodes;
	struct quoted q;

	arena_init(&nodes);
	root = read_file(l, path, &from, &nodes);
	if (root == NULL) {
		l->any_org_missed = true;
	} else if (root->kind != NODE_MAP) {
		report_error(&l->report, root->at, "an included file holds one key, \"organizations\"");
		l->any_org_missed = true;
	}
	for (size_t i = 0; root != NULL && root->kind == NODE_MAP && i < root->n; i++) {
		key = root->pairs[i].key;
		if (strcmp(key->text, "organizations") == 0)
			read_orgs(l, root->pairs[i].value);
		else
			report_error(&l->report, key->at, "key %s in an included file, which holds "
			             "\"organizations\" only", quote(&q, key->text, key->len));
	}
	arena_free(&nodes);
}

static bool
is_glob(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The pattern below the including file's directory, whose own name is no pattern. NULL: no memory. */
static char *
absolute_pattern(struct load *l, const struct node *item)
{
	const char *path = item->at.source->path, *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1, n = 0;
	char *pattern;

	if (item->text[0] == '/')
		return arena_text(&l->whole->arena, item->text, item->len);
	pattern = arena_alloc(&l->whole->arena, 2 * len + item->len + 1);
	if (pattern == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (strchr("*?[]\\", path[i]) != NULL && is_glob(item->text))
			pattern[n++] = '\\';
		pattern[n++] = path[i];
	}
	memcpy(pattern + n, item->text, item->len);
	return pattern;
}

static void
read_glob(struct load *l, const struct node *item)
{
	char *pattern;
	glob_t found = { 0 };
	int error;

	if (value_check_text(&l->values, "include", item) != 0)
		return;
	if (item->text[0] == '~' || item->text[0] == '$') {
		report_error(&l->report, item->at, "include: \"%c\" is not expanded; write the path out",
		             item->text[0]);
		return;
	}
	pattern = absolute_pattern(l, item);
	if (pattern == NULL) {
		report_no_memory(&l->report);
		return;
	}
	if (!is_glob(item->text)) {
		read_included(l, pattern, item->at);
		return;
	}
	error = glob(pattern, GLOB_NOSORT, NULL, &found);
	if (error == GLOB_NOMATCH)
		report_warning(&l->report, item->at, "include: %s matches no file", item->text);
	else if (error == GLOB_NOSPACE)
		report_no_memory(&l->report);
	else if (error != 0)
		report_error(&l->report, item->at, "include: %s cannot be looked up", item->text);
	if (error == 0)
		qsort(found.gl_pathv, found.gl_pathc, sizeof(*found.gl_pathv), compare_paths);
	for (size_t i = 0; error == 0 && i < found.gl_pathc && !l->report.no_memory; i++)
		read_included(l, found.gl_pathv[i], item->at);
	globfree(&found);
}

static void
read_includes(struct load *l, const struct node *list)
{
	const struct key *key = &section_top.keys[TOP_INCLUDE];

	if (node_is_null(list))
		return;
	if (list->kind != NODE_LIST) {
		value_wrong(&l->values, key->name, "a list of paths and globs", list);
		l->any_org_missed = true;
		return;
	}
	if (list->n > (size_t)key->max) {
		report_error(&l->report, list->at, "include is too long a list: at most %lld", (long long)key->max);
		l->any_org_missed = true;
		return;
	}
	for (size_t i = 0; i < list->n && !l->report.no_memory; i++)
		read_glob(l, list->items[i]);
}

/* ---- the main file ---- */

static void
read_section(struct load *l, const struct section *section, const struct node *node)
{
	const struct node *seen[ORG_KEYS];  /* no section has more keys */

	if (node != NULL)
		section_read(&l->values, section, node, &l->whole->conf, seen);
}

/* One organization must leave the others room. */
static void
check_memory(struct load *l, const struct node *limits)
{
	struct conf *conf = &l->whole->conf;
	int64_t most = conf->memory_bytes / CONF_MEMORY_PARTS;
	const struct node *own = limits == NULL || limits->kind != NODE_MAP ? NULL
	                                                 : node_get(limits, "organization_memory");
	char wanted[24];

	if (own != NULL && conf->organization_memory_bytes > most)
		report_error(&l->report, own->at, "organization_memory may be at most a quarter of memory, which is %s",
		             value_format_size(conf->memory_bytes, wanted));
	if (conf->organization_memory_bytes == 0)
		conf->organization_memory_bytes = most;
}

static void
check_top_keys(struct load *l, const struct node *root)
{
	char suggestion[120];
	struct quoted q;

	for (size_t i = 0; i < root->n; i++) {
		const struct node *key = root->pairs[i].key;

		if (key_find(&section_top, key->text, key->len) < 0)
			report_error(&l->report, key->at, "unknown key %s%s", quote(&q, key->text, key->len),
			             key_suggestion(&section_top, key->text, key->len, suggestion,
			                            sizeof(suggestion)));
	}
	for (size_t i = 0; i < section_top.n; i++)
		if ((section_top.keys[i].flags & KEY_REQUIRED) &&
		    node_get(root, section_top.keys[i].name) == NULL)
			report_error(&l->report, root->at, "missing key \"%s\"", section_top.keys[i].name);
}

static void
read_main(struct load *l, const struct node *root)
{
	const struct node *version, *orgs, *include;

	if (root->kind != NODE_MAP) {
		report_error(&l->report, root->at, "the configuration is a map of keys: version, output, "
		             "organizations, …");
		return;
	}
	check_top_keys(l, root);
	version = node_get(root, "version");
	if (version != NULL && value_set(&l->values, &section_top.keys[TOP_VERSION], version, NULL) != 0 &&
	    l->report.no_memory)
		return;  /* a wrong version is reported, and the rest is still looked at */
	read_section(l, &section_atlas, node_get(root, "atlas"));
	read_section(l, &section_output, node_get(root, "output"));
	read_section(l, &section_limits, node_get(root, "limits"));
	check_memory(l, node_get(root, "limits"));
	if (org_defaults_read(&l->values, node_get(root, "defaults"), &l->defaults) != 0)
		return;
	orgs = node_get(root, "organizations");
	include = node_get(root, "include");
	if (orgs != NULL)
		read_orgs(l, orgs);
	if (include != NULL)
		read_includes(l, include);
	if (l->whole->conf.n_orgs == 0 && !l->any_org_missed && !l->report.no_memory)
		report_error(&l->report, orgs != NULL ? orgs->at : root->at, "there is no organization");
	if (!l->report.no_memory &&
	    org_check_unique(&l->report, l->whole->conf.orgs, l->places, l->whole->conf.n_orgs) != 0)
		return;  /* noted in the report */
}

/* ---- the variables that commands do not get ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
hide_variables(struct load *l)
{
	struct conf *conf = &l->whole->conf;
	const char **names = arena_alloc(&l->whole->arena, (2 * conf->n_orgs + 3) * sizeof(char *));
	size_t n = 0, kept = 0;

	if (names == NULL)
		return report_no_memory(&l->report);
	for (size_t i = 0; i <= conf->n_orgs; i++) {
		const struct conf_org *org = i < conf->n_orgs ? &conf->orgs[i] : &l->defaults.org;

		if (org->client_secret.kind == CONF_SECRET_ENV)
			names[n++] = org->client_secret.value;
		if (org->private_key.kind == CONF_SECRET_ENV)
			names[n++] = org->private_key.value;
	}
	if (n > 1)
		qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	names[kept] = NULL;
	for (size_t i = 0; i < conf->n_orgs; i++) {
		conf->orgs[i].client_secret.hidden = names;
		conf->orgs[i].private_key.hidden = names;
	}
	return 0;
}

static int
load(struct load *l, const char *path)
{
	struct arena nodes;
	const struct node *root;

	arena_init(&nodes);
	if (value_set_fallbacks(&l->values, &section_atlas, &l->whole->conf) != 0 ||
	    value_set_fallbacks(&l->values, &section_output, &l->whole->conf) != 0 ||
	    value_set_fallbacks(&l->values, &section_limits, &l->whole->conf) != 0)
		return -1;
	root = read_file(l, path, NULL, &nodes);
	if (root != NULL)
		read_main(l, root);
	arena_free(&nodes);
	if (l->report.no_memory)
		return -1;
	return hide_variables(l);
}

static struct conf *
load_whole(const char *path, int64_t now_s, bool no_secrets, struct conf_findings *ret_findings)
{
	struct load l = { 0 };
	struct conf_findings findings = { 0 };
	int result;

	memset(ret_findings, 0, sizeof(*ret_findings));
	l.whole = calloc(1, sizeof(*l.whole));
	if (l.whole == NULL)
		return NULL;
	report_init(&l.report);
	l.values = (struct values){ &l.whole->arena, &l.report, now_s, no_secrets };
	result = load(&l, path);
	report_finish(&l.report, &findings);
	free(l.sources);
	free(l.places);
	*ret_findings = findings;
	if (result != 0 || findings.n_errors > 0 || l.report.no_memory) {
		conf_free(&l.whole->conf);
		return NULL;
	}
	return &l.whole->conf;
}

struct conf *
conf_load(const char *path, int64_t now_s, struct conf_findings *ret_findings)
{
	return load_whole(path, now_s, false, ret_findings);
}

struct conf *
conf_load_offline(const char *path, int64_t now_s, struct conf_findings *ret_findings)
{
	return load_whole(path, now_s, true, ret_findings);
}

void
conf_free(struct conf *conf)
{
	struct whole *whole = (struct whole *)conf;

	if (conf == NULL)
		return;
	free(conf->orgs);
	arena_free(&whole->arena);
	free(whole);
}

void
conf_findings_free(struct conf_findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->lines[i]);
	free(f->lines);
	memset(f, 0, sizeof(*f));
}
