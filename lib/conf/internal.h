/* internal.h: the description with what keeps it alive. Internal to lib/conf. */
#ifndef ORGSYNC_CONF_INTERNAL_H
#define ORGSYNC_CONF_INTERNAL_H

#include "lib/conf/arena.h"
#include "lib/conf/conf.h"

/* What conf_load() returns is the first member of this. */
struct whole {
	struct conf conf;
	struct arena arena;  /* every text of conf; orgs itself is malloc'd */
};

#endif
