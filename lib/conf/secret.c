#include "lib/conf/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf/suggest.h"

#define WAYS "one of {env: NAME}, {file: PATH}, {command: [ARG, …]}, {systemd: NAME}"

static int
set_plain(struct values *v, const char *name, const struct node *node, struct conf_secret *secret)
{
	const struct source *source = node->at.source;

	if (value_check_text(v, name, node) != 0)
		return -1;
	if ((source->mode & 077) != 0) {
		report_error(v->report, node->at, "%s stands here in plain text, and others can reach this "
		             "file (mode %04o): chmod 600 it, or give %s", name,
		             (unsigned)source->mode & 07777, WAYS);
		return -1;
	}
	if (source->uid != geteuid() && source->uid != 0) {
		report_error(v->report, node->at, "%s stands here in plain text, and this file belongs to user "
		             "%u, not to this one (%u): give %s", name, (unsigned)source->uid,
		             (unsigned)geteuid(), WAYS);
		return -1;
	}
	if (strcmp(node->text, "(redacted)") == 0)
		report_warning(v->report, node->at, "%s is what config show prints in a secret's place, "
		               "not the secret", name);
	secret->kind = CONF_SECRET_PLAIN;
	secret->value = arena_text(v->arena, node->text, node->len);
	return secret->value == NULL ? report_no_memory(v->report) : 0;
}

static int
set_named(struct values *v, const char *name, const struct node *node, const struct form *form,
          struct conf_secret *secret)
{
	if (value_check_text(v, name, node) != 0)
		return -1;
	if (!form_fits(form, node->text, node->len) || looks_secret(node->text, node->len)) {
		/* Not quoted: the secret itself may have been put here. */
		report_error(v->report, node->at, "%s: %s wants %s", name,
		             secret->kind == CONF_SECRET_ENV ? "env" : "systemd", form->says);
		return -1;
	}
	secret->value = arena_text(v->arena, node->text, node->len);
	return secret->value == NULL ? report_no_memory(v->report) : 0;
}

static int
set_argument(struct values *v, const char *name, const struct node *item, bool first, char **ret)
{
	if (item->kind != NODE_TEXT || node_is_null(item))
		return value_wrong(v, name, "a text as argument of the command", item);
	if (holds_client_secret(item->text, item->len)) {
		report_error(v->report, item->at, "%s: a secret must not be an argument: everybody on this "
		             "machine could read it", name);
		return -1;
	}
	if (first && memchr(item->text, '/', item->len) != NULL) {
		*ret = value_path(v, name, item);
		if (*ret != NULL && access(*ret, X_OK) != 0) {
			report_error(v->report, item->at, "%s: there is no program %s that could be run", name,
			             *ret);
			return -1;
		}
		return *ret == NULL ? -1 : 0;
	}
	if (first && value_check_text(v, name, item) != 0)
		return -1;
	*ret = arena_text(v->arena, item->text, item->len);
	return *ret == NULL ? report_no_memory(v->report) : 0;
}

static int
set_command(struct values *v, const char *name, const struct node *node, struct conf_secret *secret)
{
	if (node->kind != NODE_LIST) {
		report_error(v->report, node->at, "%s: command wants a list, program and arguments: no shell "
		             "reads it", name);
		return -1;
	}
	if (node->n == 0 || node->n > KEY_ARGUMENTS_MAX) {
		report_error(v->report, node->at, node->n == 0 ? "%s: the command is empty" :
		             "%s: more than %d arguments", name, KEY_ARGUMENTS_MAX);
		return -1;
	}
	if ((node->at.source->mode & S_IWOTH) != 0) {
		report_error(v->report, node->at, "%s: no command is taken from a file that anybody may write "
		             "to (mode %04o): chmod 600 it", name, (unsigned)node->at.source->mode & 07777);
		return -1;
	}
	secret->argv = arena_alloc(v->arena, (node->n + 1) * sizeof(*secret->argv));
	if (secret->argv == NULL)
		return report_no_memory(v->report);
	for (size_t i = 0; i < node->n; i++)
		if (set_argument(v, name, node->items[i], i == 0, &secret->argv[i]) != 0)
			return -1;
	return 0;
}

/* Which of the four ways the map names, or CONF_SECRET_NONE after saying what is wrong. */
static enum conf_secret_kind
kind_of(struct values *v, const char *name, const struct node *node)
{
	const struct node *key;
	struct suggest s;

	if (node->kind == NODE_LIST || node_is_null(node)) {
		value_wrong(v, name, WAYS, node);
		return CONF_SECRET_NONE;
	}
	if (node->n != 1) {
		report_error(v->report, node->at, "%s wants exactly %s", name, WAYS);
		return CONF_SECRET_NONE;
	}
	key = node->pairs[0].key;
	suggest_begin(&s, key->text, key->len);
	for (int i = 0; secret_words[i] != NULL; i++) {
		if (strcmp(key->text, secret_words[i]) == 0)
			return (enum conf_secret_kind)(CONF_SECRET_ENV + i);
		suggest_offer(&s, secret_words[i]);
	}
	/* The word itself is not quoted: {SECRET} without a key is a map, too. */
	if (s.best != NULL)
		report_error(v->report, key->at, "%s wants %s (did you mean \"%s\"?)", name, WAYS, s.best);
	else
		report_error(v->report, key->at, "%s wants %s", name, WAYS);
	return CONF_SECRET_NONE;
}

int
value_secret(struct values *v, const struct key *key, const struct node *node, struct conf_secret *ret)
{
	struct conf_secret secret = { .pos = { node->at.source->path, node->at.line, node->at.column } };
	const struct node *value;
	int result = -1;

	if (node->kind == NODE_TEXT && !node_is_null(node)) {
		result = set_plain(v, key->name, node, &secret);
	} else {
		secret.kind = kind_of(v, key->name, node);
		if (secret.kind == CONF_SECRET_NONE)
			return -1;
		value = node->pairs[0].value;
		if (secret.kind == CONF_SECRET_COMMAND)
			result = set_command(v, key->name, value, &secret);
		else if (secret.kind == CONF_SECRET_FILE)
			result = (secret.value = value_path(v, key->name, value)) == NULL ? -1 : 0;
		else
			result = set_named(v, key->name, value, secret.kind == CONF_SECRET_ENV ?
			                   &form_env_name : &form_systemd_name, &secret);
	}
	if (result == 0)
		*ret = secret;
	return result;
}

void
secret_check(struct values *v, const char *name, struct place at, const struct conf_secret *secret)
{
	struct err e;
	int fd;

	err_clear(&e);
	switch (secret->kind) {
	case CONF_SECRET_FILE:
		fd = secret_open(secret->value, false, &e);
		break;
	case CONF_SECRET_SYSTEMD:
		fd = secret_open_credential(secret->value, &e);
		break;
	case CONF_SECRET_ENV:
		fd = secret_get_env(secret->value, &e) == NULL ? -1 : -2;
		break;
	default:
		return;
	}
	if (fd >= 0)
		close(fd);
	if (fd == -1)
		report_error(v->report, at, "%s: %s%s%s", name, e.text, e.hint[0] == '\0' ? "" : "; ", e.hint);
}
