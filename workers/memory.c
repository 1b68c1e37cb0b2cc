#include "workers/memory.h"

#include <string.h>

#define MIB ((size_t)1 << 20)
#define OF_THE_PROGRAM (64 * MIB)   /* itself, its threads, connections, compressors; a worker's page and rows; chunks
                                     * kept (lib/store/chunk.h) */
#define OF_AN_ORGANIZATION 32768    /* handle, buffers and ledger of one that is open */
#define OF_THE_ROWS (MIB / 8)       /* of a page of 500 or 1,000, in what is kept of them */
#define ANSWER_FIRST_MIN MIB        /* 500 events at 2 KiB each */
#define ANSWER_FIRST_MAX (2 * MIB)
#define COMMIT_MAX (4 * MIB)

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void
memory_plan(struct memory *m, size_t cap, size_t organization_cap, size_t n, size_t in_flight)
{
	size_t rest, answer;

	memset(m, 0, sizeof(*m));
	if (cap < MEMORY_CAP_MIN)
		cap = MEMORY_CAP_MIN;
	if (organization_cap < MEMORY_ORGANIZATION_MIN)
		organization_cap = MEMORY_ORGANIZATION_MIN;
	organization_cap = least(organization_cap, cap / MEMORY_ORGANIZATION_PARTS);
	rest = cap - OF_THE_PROGRAM;
	m->active_max = least(n, rest / 16 / OF_AN_ORGANIZATION);
	rest -= m->active_max * OF_AN_ORGANIZATION;
	m->large = rest * 3 / 8;
	m->large = m->large < organization_cap ? organization_cap : m->large;
	m->ordinary = rest - m->large;
	m->answer_most = organization_cap / 4;
	/* So that as many as may be in flight have room, if they can. */
	answer = m->ordinary / (in_flight > 0 ? in_flight : 1);
	answer = answer > OF_THE_ROWS ? (answer - OF_THE_ROWS) / 2 : 0;
	answer = answer < ANSWER_FIRST_MIN ? ANSWER_FIRST_MIN : least(answer, ANSWER_FIRST_MAX);
	m->answer_first = least(answer, m->answer_most);
	m->commit = least(COMMIT_MAX, organization_cap / 64);
	m->pending = 4 * m->commit;
}

static bool
is_large(const struct memory *m, size_t answer_cap)
{
	return answer_cap > m->answer_first;
}

/* The body, its copies, and what goes with each event. */
static size_t
ordinary_share(const struct memory *m)
{
	return 2 * m->answer_first + OF_THE_ROWS;
}

bool
memory_has_room(const struct memory *m)
{
	return m->asked + m->kept + ordinary_share(m) <= m->ordinary;
}

bool
memory_take(struct memory *m, struct memory_share *share, size_t answer_cap)
{
	size_t bytes = 4 * answer_cap;

	if (!is_large(m, answer_cap)) {
		if (share->asked == 0)
			m->asked += share->asked = ordinary_share(m);
		return true;
	}
	if (share->large >= bytes)
		return true;
	bytes -= share->large;
	if (m->large_used + bytes > m->large)
		return false;
	m->large_used += bytes;
	share->large += bytes;
	return true;
}

static void
keep(struct memory *m, struct memory_share *share, size_t kept)
{
	m->kept = m->kept - share->kept + kept;
	share->kept = kept;
}

void
memory_landed(struct memory *m, struct memory_share *share, size_t kept)
{
	m->asked -= share->asked;
	share->asked = 0;
	/* Within its large share what it keeps is counted already. */
	if (share->large == 0)
		keep(m, share, kept);
}

void
memory_settled(struct memory *m, struct memory_share *share, size_t kept)
{
	m->large_used -= share->large;
	share->large = 0;
	keep(m, share, kept);
}

bool
memory_pressed(const struct memory *m)
{
	return m->kept > m->ordinary / 2;
}
