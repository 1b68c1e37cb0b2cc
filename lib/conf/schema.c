/* The JSON Schema (draft-07) of the configuration, from the tables of keys. jansson keeps the order of
 * insertion, so the schema reads in the order of the manual. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/conf/conf.h"
#include "lib/conf/keys.h"

static json_t *section_schema(const struct section *section, bool own_keys, bool nullable);

static json_t *
text_schema(const struct form *form)
{
	char pattern[200];

	if (form->min_len == form->max_len)
		snprintf(pattern, sizeof(pattern), "^[%s][%s]{%zu}$", form->first, form->rest,
		         form->min_len - 1);
	else
		snprintf(pattern, sizeof(pattern), "^[%s][%s]{%zu,%zu}$", form->first, form->rest,
		         form->min_len - 1, form->max_len - 1);
	/* A number is taken as its digits: ids and tags may hold nothing else. */
	return json_pack("{s:[s,s], s:s}", "type", "string", "number", "pattern", pattern);
}

static json_t *
path_schema(void)
{
	return json_pack("{s:[s,s], s:s}", "type", "string", "number", "pattern", "^[^~$]");
}

static json_t *
secret_schema(void)
{
	json_t *ways = json_array(), *schema;
	bool failed = ways == NULL;

	failed |= json_array_append_new(ways, json_pack("{s:[s,s], s:i}", "type", "string", "number",
	                                              "minLength", 1)) != 0;
	for (int i = 0; secret_words[i] != NULL; i++) {
		enum conf_secret_kind kind = (enum conf_secret_kind)(CONF_SECRET_ENV + i);
		json_t *value;

		if (kind == CONF_SECRET_COMMAND)
			value = json_pack("{s:s, s:i, s:i, s:{s:[s,s,s]}}", "type", "array", "minItems", 1,
			                  "maxItems", KEY_ARGUMENTS_MAX, "items", "type", "string", "number",
			                  "boolean");
		else if (kind == CONF_SECRET_FILE)
			value = path_schema();
		else
			value = text_schema(kind == CONF_SECRET_ENV ? &form_env_name : &form_systemd_name);
		failed |= json_array_append_new(ways, json_pack("{s:s, s:[s], s:b, s:{s:o}}", "type", "object",
			"required", secret_words[i], "additionalProperties", 0, "properties", secret_words[i],
			value)) != 0;
	}
	schema = failed ? NULL : json_pack("{s:O}", "oneOf", ways);
	json_decref(ways);
	return schema;
}

static json_t *
words_schema(const char *const *words)
{
	json_t *list = json_array(), *schema;
	bool failed = list == NULL;

	for (size_t i = 0; words[i] != NULL; i++)
		failed |= json_array_append_new(list, json_string(words[i])) != 0;
	schema = failed ? NULL : json_pack("{s:O}", "enum", list);
	json_decref(list);
	return schema;
}

static json_t *
list_schema(json_t *item, bool nullable, int64_t min, int64_t max)
{
	json_t *schema = nullable ?
		json_pack("{s:[s,s], s:o}", "type", "array", "null", "items", item) :
		json_pack("{s:s, s:o}", "type", "array", "items", item);

	if (min > 0 && json_object_set_new(schema, "minItems", json_integer(min)) != 0)
		goto out;
	if (max > 0 && json_object_set_new(schema, "maxItems", json_integer(max)) != 0)
		goto out;
	return schema;
out:
	json_decref(schema);
	return NULL;
}

static json_t *
kind_schema(const struct key *key)
{
	const char *nonempty = "^.+$";

	switch (key->kind) {
	case KEY_VERSION:
		return json_pack("{s:i}", "const", 1);
	case KEY_INT:
		return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)key->min,
		                 "maximum", (json_int_t)key->max);
	case KEY_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case KEY_WORD:
		return words_schema(key->words);
	case KEY_TEXT:
		return text_schema(key->form);
	case KEY_PATH:
		return path_schema();
	case KEY_BASE_URL:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		                 "^([Hh][Tt][Tt][Pp][Ss]://[^@?#]+|[Hh][Tt][Tt][Pp]://"
		                 "([Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]|127[.][0-9.]+|\\[[0-9:.]+\\])"
		                 "(:[0-9]+)?(/[^?#]*)?)$");
	case KEY_PROXY:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		                 "^([Hh][Tt][Tt][Pp][Ss]?|[Ss][Oo][Cc][Kk][Ss](4|4[Aa]|5|5[Hh]))"
		                 "://[^@/?#]+:[0-9]+/?$");
	case KEY_DURATION:
		return json_pack("{s:[s,s], s:s, s:i, s:i}", "type", "string", "integer", "pattern",
		                 "^(0|(0|[1-9][0-9]*)[smhd])$", "minimum", 0, "maximum", 0);
	case KEY_SHORT:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[1-9][0-9]*(ms|[smhd])$");
	case KEY_SIZE:
		return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[1-9][0-9]*(KiB|MiB|GiB)$");
	case KEY_START:
		return json_pack("{s:s, s:s}", "type", "string", "pattern",
		                 "^(all|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
		                 "([Zz]|[+-][0-9]{2}:[0-9]{2}))$");
	case KEY_SECRET:
		return json_pack("{s:s}", "$ref", "#/definitions/secret");
	case KEY_TEXTS:
		return list_schema(text_schema(key->form), false, key->min, key->max);
	case KEY_DISABLED:
		return json_pack("{s:[s,s], s:s}", "type", "string", "boolean", "pattern", nonempty);
	case KEY_GLOBS:
		return list_schema(path_schema(), true, key->min, key->max);
	case KEY_ORGS:
		return list_schema(json_pack("{s:s}", "$ref", "#/definitions/organization"), true, 0, 0);
	case KEY_SECTION:
		return section_schema(key->section, key->section != &section_defaults, true);
	}
	return NULL;
}

static json_t *
key_schema(const struct key *key)
{
	json_t *schema = kind_schema(key);
	json_t *fallback = NULL;

	if (schema == NULL || json_object_set_new(schema, "description", json_string(key->help)) != 0)
		goto out;
	if (key->fallback == NULL)
		return schema;
	if (key->kind == KEY_INT || strcmp(key->fallback, "0") == 0)
		fallback = json_integer(strtoll(key->fallback, NULL, 10));
	else if (strcmp(key->fallback, "true") == 0 || strcmp(key->fallback, "false") == 0)
		fallback = json_boolean(key->fallback[0] == 't');
	else
		fallback = json_string(key->fallback);
	if (json_object_set_new(schema, "default", fallback) == 0)
		return schema;
out:
	json_decref(schema);
	return NULL;
}

static json_t *
section_schema(const struct section *section, bool own_keys, bool nullable)
{
	json_t *schema = json_object(), *properties = json_object(), *required = json_array();
	json_t *type = nullable ? json_pack("[s,s]", "object", "null") : json_string("object");
	bool failed = properties == NULL || required == NULL;

	for (size_t i = 0; i < section->n; i++) {
		const struct key *key = &section->keys[i];

		if (!own_keys && (key->flags & KEY_OWN))
			continue;
		failed |= json_object_set_new(properties, key->name, key_schema(key)) != 0;
		if (own_keys && (key->flags & KEY_REQUIRED)) {
			failed |= json_array_append_new(required, json_string(key->name)) != 0;
			nullable = false;
		}
	}
	if (!nullable) {
		json_decref(type);
		type = json_string("object");
	}
	failed |= json_object_set_new(schema, "type", type) != 0;
	failed |= json_object_set_new(schema, "additionalProperties", json_false()) != 0;
	if (json_array_size(required) > 0)
		failed |= json_object_set(schema, "required", required) != 0;
	failed |= json_object_set(schema, "properties", properties) != 0;
	json_decref(properties);
	json_decref(required);
	if (!failed)
		return schema;
	json_decref(schema);
	return NULL;
}

int
conf_schema(struct buf *b)
{
	json_t *top = section_schema(&section_top, true, false), *schema;
	json_t *definitions = json_pack("{s:o, s:o}", "organization", section_schema(&section_org, true, false),
	                                "secret", secret_schema());
	char *text = NULL;
	int result = -1;

	schema = json_pack("{s:s, s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#", "title",
	                   "orgsync configuration", "description", "See orgsync.yaml(5).");
	if (top != NULL && definitions != NULL && schema != NULL && json_object_update(schema, top) == 0 &&
	    json_object_set(schema, "definitions", definitions) == 0)
		text = json_dumps(schema, JSON_INDENT(2));
	if (text != NULL && buf_append_str(b, text) == 0 && buf_append_str(b, "\n") == 0)
		result = 0;
	free(text);
	json_decref(top);
	json_decref(definitions);
	json_decref(schema);
	return result;
}
