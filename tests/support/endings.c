#include "tests/support/endings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"

#define AGAIN_STEPS 29       /* a run that repairs is ended before one of so many steps */

const char *const ending_names[N_ENDINGS] = {
	[ENDING_KILLED] = "killed", [ENDING_TORN_WRITE] = "killed inside the write", [ENDING_POWER_LOST] = "power lost",
	[ENDING_TORN] = "torn", [ENDING_KILLED_TWICE] = "killed twice",
	[ENDING_KILLED_POWER_LOST] = "killed, then power lost", [ENDING_KILLED_TORN] = "killed, then torn",
};

/* One run under way. Runs nest: what is left of one is gone on from while it stands still. */
struct playing {
	struct endings *e;
	struct place work, left;
	struct disk *disk;
	struct rng rng;
	int synced_fd;           /* of the fsync that the last step was; -1: it was none */
	bool changed;            /* the last step changed what a kill leaves */
	bool synced;             /* and this, what a loss of power does */
	int write_fd;            /* of the write that comes next; -1 */
	long k;                  /* the step that comes next */
	/* the second run of two that end */
	bool again;
	long end_at;             /* its last step; from there on every one fails */
	enum ending how;
	bool ended;
	char when[160];
};

static struct playing *playing; /* NULL: steps are nobody's matter */

/* NOLINTBEGIN(bugprone-reserved-identifier): the names are the linker's. */
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __wrap_fsync(int fd);
/* NOLINTEND(bugprone-reserved-identifier) */

static void
judge(struct playing *p, const struct place *left, enum ending how)
{
	struct endings *e = p->e;

	e->played[how]++;
	if (!p->again)
		snprintf(p->when, sizeof(p->when), "%s before step %ld", ending_names[how], p->k);
	playing = NULL;
	file_step_hook = NULL;
	e->judge(e->ctx, left, p->when);
}

static int step(const char *kind, int fd, const char *what);

static void
go_on(struct playing *p)
{
	playing = p;
	file_step_hook = p == NULL ? NULL : step;
}

static void
end_killed(struct playing *p, enum ending how)
{
	place_empty(&p->left);
	tree_copy(&p->work, &p->left);
	judge(p, &p->left, how);
	go_on(p);
}

static void
end_without_power(struct playing *p, enum ending how, bool torn)
{
	struct rng rng;

	rng_seed(&rng, rng_next(&p->rng));
	place_empty(&p->left);
	disk_lose(p->disk, &p->left, torn ? &rng : NULL);
	judge(p, &p->left, how);
	go_on(p);
}

/* A second run begins where this one would have been killed, and is ended before one of its own steps. */
static void
end_again(struct playing *p, enum ending how)
{
	struct playing second = { .e = p->e, .synced_fd = -1, .write_fd = -1, .again = true, .how = how,
		.end_at = (long)rng_below(&p->rng, rng_below(&p->rng, 3) == 0 ? 6 : AGAIN_STEPS) };

	rng_seed(&second.rng, rng_next(&p->rng));
	snprintf(second.when, sizeof(second.when), "%s before step %ld and step %ld", ending_names[how], p->k,
	         second.end_at);
	place_open(&second.work);
	place_open(&second.left);
	second.disk = disk_clone(p->disk, &second.work);
	go_on(&second);
	HOLDS(p->e->run(p->e->ctx, &second.work) == 0 || second.ended, "%s: the run after it fails", second.when);
	disk_free(second.disk);
	if (second.synced_fd >= 0)
		close(second.synced_fd);
	place_close(&second.left);
	place_close(&second.work);
	go_on(p);
}

static void
end_everyhow(struct playing *p)
{
	const struct endings *e = p->e;

	if (p->changed)
		end_killed(p, ENDING_KILLED);
	if (p->synced)
		end_without_power(p, ENDING_POWER_LOST, false);
	for (unsigned i = 0; i < e->times; i++) {
		end_without_power(p, ENDING_TORN, true);
		if (p->changed)
			end_again(p, ENDING_KILLED_TWICE);
		end_again(p, ENDING_KILLED_POWER_LOST);
		end_again(p, ENDING_KILLED_TORN);
	}
}

/* The second of two runs: it ends here, and only here. */
static int
step_again(struct playing *p)
{
	if (p->k++ < p->end_at)
		return 0;
	if (p->ended)
		return EIO;
	p->ended = true;
	if (p->how == ENDING_KILLED_TWICE)
		end_killed(p, p->how);
	else
		end_without_power(p, p->how, p->how == ENDING_KILLED_TORN);
	return EIO;
}

static void
take_sync(struct playing *p)
{
	if (p->synced_fd < 0)
		return;
	disk_synced(p->disk, p->synced_fd);
	close(p->synced_fd);
	p->synced_fd = -1;
}

static int
step(const char *kind, int fd, const char *what)
{
	struct playing *p = playing;
	bool is_sync = strcmp(kind, "fsync") == 0, ends = !p->again && p->k % p->e->stride == 0;
	int failed;

	(void)what;
	take_sync(p);
	failed = p->again ? step_again(p) : 0;
	if (failed)
		return failed;
	if (ends) {
		end_everyhow(p);
		p->changed = p->synced = false;
	}
	p->k += !p->again;
	if (is_sync)
		p->synced_fd = dup(fd); /* the step itself comes after this */
	p->changed |= !is_sync;
	p->synced |= is_sync;
	p->write_fd = ends && strcmp(kind, "write") == 0 ? fd : -1;
	return 0;
}

/* A torn write: of its bytes some come to the disk, and there it ends. The run itself goes on, and the rest of
 * them comes too, with the call after this: a short write is one of the things that can happen. */
ssize_t
__wrap_write(int fd, const void *bytes, size_t len)
{
	struct playing *p = playing;
	size_t some;

	if (p == NULL || p->write_fd != fd || len < 2)
		return __real_write(fd, bytes, len);
	p->write_fd = -1;
	some = 1 + (size_t)rng_below(&p->rng, len - 1);
	if (__real_write(fd, bytes, some) != (ssize_t)some)
		return -1;
	end_killed(p, ENDING_TORN_WRITE);
	return (ssize_t)some;
}

/* The disk's slowness is not what is tested: what an fsync promises is modelled. */
int
__wrap_fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

void
endings_play(struct endings *e, const struct place *before)
{
	struct playing p = { .e = e, .synced_fd = -1, .write_fd = -1, .changed = true, .synced = true };

	rng_seed(&p.rng, e->seed);
	place_open(&p.work);
	place_open(&p.left);
	tree_copy(before, &p.work);
	p.disk = disk_new(&p.work);
	go_on(&p);
	HOLDS(e->run(e->ctx, &p.work) == 0, "the run that was never ended fails");
	take_sync(&p);
	end_everyhow(&p); /* after its last step */
	go_on(NULL);
	e->steps = p.k;
	disk_free(p.disk);
	place_close(&p.left);
	place_close(&p.work);
}

long
endings_played(const struct endings *e)
{
	long n = 0;

	for (int i = 0; i < N_ENDINGS; i++)
		n += e->played[i];
	return n;
}
