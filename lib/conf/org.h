/* org.h: one entry of an organizations list, and what holds across entries. One thread.
 * Internal to lib/conf. */
#ifndef ORGSYNC_CONF_ORG_H
#define ORGSYNC_CONF_ORG_H

#include "lib/conf/conf.h"
#include "lib/conf/value.h"

/* What an organization starts from. */
struct org_defaults {
	struct conf_org org;
	const struct node *seen[ORG_KEYS];  /* the keys that stand under defaults */
};

/* Where an organization said who it is, for messages about two of them. */
struct org_places { struct place name, org_id; };

/* Reads a map's pairs by the section's table into a struct; reports unknown and missing keys.
 * ret_seen (room for section->n): the value of each key that was there, right or wrong. */
void section_read(struct values *v, const struct section *section, const struct node *map, void *into,
                  const struct node **ret_seen);

/* Fills d with the built-in defaults and then those of the map (NULL: none). 0, or -1: no memory. */
int org_defaults_read(struct values *v, const struct node *map, struct org_defaults *d)
	__attribute__((warn_unused_result));

/* One organization: all of its mistakes are reported. */
void org_read(struct values *v, const struct org_defaults *d, const struct node *node,
              struct conf_org *ret_org, struct org_places *ret_places);

/* Reports names and org_ids that two organizations share. 0, or -1: no memory. */
int org_check_unique(struct report *report, const struct conf_org *orgs, const struct org_places *places,
                     size_t n) __attribute__((warn_unused_result));

#endif
