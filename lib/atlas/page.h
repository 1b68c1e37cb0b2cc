/* page.h: one page of the organization events endpoint, scanned in place.
 *
 * Known of the shape: a recorded reply (2026-08) is {"links": […], "results": [event…], "totalCount": N};
 * members may come in any order and unknown ones are passed over. A page is reused: page_scan() forgets
 * what it held. One owner, one thread at a time; nothing blocks.
 */
#ifndef ORGSYNC_ATLAS_PAGE_H
#define ORGSYNC_ATLAS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/event.h"

struct page_fault {          /* an object of results that cannot be filed */
	const char *bytes;
	size_t len;
	enum event_fault fault;
};

struct page {
	struct event *events;    /* those that can be filed, in the order of the page */
	size_t n_events;
	struct page_fault *faults;
	size_t n_faults;
	size_t rows;             /* objects in results: n_events + n_faults + foreign ones */
	bool has_next;           /* links holds a rel "next" */
	int64_t total_count;     /* totalCount, or -1 where it is absent or no number */
	size_t n_foreign;        /* events whose orgId is another organization's: in no list */
	char foreign_org_id[64]; /* of the first of them, as far as it is plain text */
	struct page_memory *memory; /* private */
};

void page_init(struct page *p);
void page_free(struct page *p);

/* Scans the body [bytes, bytes + len) of an answer about organization org_id (24 hex, compared without
 * regard to letter case). Spans of the page lead into `bytes`, which stays the caller's and must
 * outlive the page's use; where an event has white space between tokens it is compacted in place.
 * 0; -1 with code ERR_PAGE (scope page, retry now) where the body is not sound JSON or not of that
 * shape (results missing or no array of objects, text after the end, a member of the top level's
 * results/totalCount/links given twice), or ERR_NOMEM. */
int page_scan(struct page *p, char *bytes, size_t len, const char *org_id, struct err *e)
	__attribute__((warn_unused_result));

#endif
