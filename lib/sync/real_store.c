/* real_store.c: lib/store behind the interface that sync is written against. */
#include "lib/store/store.h"
#include "lib/sync/sync.h"

static const struct ledger *
real_ledger(void *ctx)
{
	return store_ledger(ctx);
}

static size_t
real_uncommitted_bytes(void *ctx)
{
	return store_uncommitted_bytes(ctx);
}

static int
real_set_since(void *ctx, int64_t since_s, struct err *e)
{
	return store_set_since(ctx, since_s, e);
}

static int
real_put(void *ctx, const struct event *events, size_t n, struct err *e)
{
	return store_put(ctx, events, n, e);
}

static int
real_quarantine(void *ctx, const char *bytes, size_t len, struct err *e)
{
	return store_quarantine(ctx, bytes, len, e);
}

static int
real_commit(void *ctx, const struct covered *ranges, size_t n, bool finishing, struct err *e)
{
	return store_commit(ctx, ranges, n, finishing, e);
}

struct sync_store
sync_store_of(struct store *s)
{
	return (struct sync_store){ s, real_ledger, real_set_since, real_put, real_quarantine, real_commit,
		                    real_uncommitted_bytes };
}
