#include "tests/support/disk_model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONE SIZE_MAX

struct name { char *text; size_t node; };

struct node {                /* a file or directory that was part of an fsync; never forgotten */
	ino_t ino;               /* 0: no name of the place leads to it any more */
	bool is_dir;
	bool synced;             /* a file: `bytes` is what is durable of it */
	char *bytes;
	size_t len;
	struct name *names;      /* a directory: those that are durable */
	size_t n_names;
};

struct disk {
	const struct place *place;
	struct place held;       /* a link to each file, so that its inode is not given away again */
	struct node *nodes;      /* the first is the place itself */
	size_t n, size;
};

static void *
grown(void *p, size_t size)
{
	p = realloc(p, size);
	HOLDS(p != NULL, "memory");
	return p;
}

static int
open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY);

	HOLDS(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

static DIR *
list_dir(int dirfd)
{
	DIR *dir = fdopendir(open_dir(dirfd, "."));

	HOLDS(dir != NULL, "%s", strerror(errno));
	return dir;
}

/* The next entry that is not "." or ".."; NULL at the end. */
static struct dirent *
next_entry(DIR *dir)
{
	struct dirent *entry;

	do
		entry = readdir(dir);
	while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry;
}

static void
read_bytes(int fd, char **ret, size_t *ret_len)
{
	struct stat st;
	char *bytes;

	HOLDS(fstat(fd, &st) == 0, "%s", strerror(errno));
	bytes = grown(NULL, (size_t)st.st_size + 1);
	HOLDS(pread(fd, bytes, (size_t)st.st_size, 0) == st.st_size, "%s", strerror(errno));
	*ret = bytes;
	*ret_len = (size_t)st.st_size;
}

static void
write_bytes(int dirfd, const char *name, const char *bytes, size_t len)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	HOLDS(fd >= 0, "%s: %s", name, strerror(errno));
	HOLDS(pwrite(fd, bytes, len, 0) == (ssize_t)len, "%s", name);
	close(fd);
}

/* Copies a tree; each(ctx, …) is told of each file and directory and its copy. */
typedef void each_fn(void *ctx, const struct stat *from, int to_dirfd, const char *name);

static void
copy_below(int from_fd, int to_fd, each_fn *each, void *ctx)
{
	DIR *dir = list_dir(from_fd);
	struct dirent *entry;
	struct stat st;
	char *bytes;
	size_t len;
	int from, to;

	while ((entry = next_entry(dir)) != NULL) {
		from = openat(from_fd, entry->d_name, O_RDONLY | O_NOFOLLOW);
		HOLDS(from >= 0 && fstat(from, &st) == 0, "%s: %s", entry->d_name, strerror(errno));
		if (!S_ISDIR(st.st_mode)) {
			read_bytes(from, &bytes, &len);
			write_bytes(to_fd, entry->d_name, bytes, len);
			free(bytes);
		} else {
			HOLDS(mkdirat(to_fd, entry->d_name, 0700) == 0, "%s", strerror(errno));
			to = open_dir(to_fd, entry->d_name);
			copy_below(from, to, each, ctx);
			close(to);
		}
		if (each != NULL)
			each(ctx, &st, to_fd, entry->d_name);
		close(from);
	}
	closedir(dir);
}

void
tree_copy(const struct place *from, const struct place *to)
{
	copy_below(from->fd, to->fd, NULL, NULL);
}

static size_t
find(const struct disk *d, ino_t ino)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->nodes[i].ino == ino)
			return i;
	return NONE;
}

/* Keeps a file from losing its inode number to another one. */
static void
hold(const struct disk *d, int dirfd, const char *name, size_t node)
{
	char link[24];

	snprintf(link, sizeof(link), "%zu", node);
	HOLDS(linkat(dirfd, name, d->held.fd, link, AT_SYMLINK_FOLLOW) == 0, "%s: %s", name, strerror(errno));
}

/* The node of the file or directory that stands under this name. */
static size_t
add(struct disk *d, int dirfd, const char *name, const struct stat *st)
{
	size_t at = find(d, st->st_ino);

	if (at != NONE)
		return at;
	if (d->n == d->size) {
		d->size *= 2;
		d->nodes = grown(d->nodes, d->size * sizeof(*d->nodes));
	}
	at = d->n++;
	d->nodes[at] = (struct node){ .ino = st->st_ino, .is_dir = S_ISDIR(st->st_mode) };
	if (!S_ISDIR(st->st_mode))
		hold(d, dirfd, name, at);
	return at;
}

static void
add_name(struct node *of, const char *text, size_t node)
{
	of->names = grown(of->names, (of->n_names + 1) * sizeof(*of->names));
	of->names[of->n_names] = (struct name){ strdup(text), node };
	HOLDS(of->names[of->n_names++].text != NULL, "memory");
}

static void
forget_names(struct node *of)
{
	for (size_t i = 0; i < of->n_names; i++)
		free(of->names[i].text);
	free(of->names);
	of->names = NULL;
	of->n_names = 0;
}

static void
sync_dir(struct disk *d, size_t at, int fd)
{
	DIR *dir = list_dir(fd);
	struct dirent *entry;
	struct stat st;
	size_t below;

	forget_names(&d->nodes[at]);
	while ((entry = next_entry(dir)) != NULL) {
		HOLDS(fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", strerror(errno));
		below = add(d, fd, entry->d_name, &st);
		add_name(&d->nodes[at], entry->d_name, below);
	}
	closedir(dir);
}

static void
sync_file(struct node *of, int fd)
{
	char path[40];
	int own;

	/* The descriptor may be one for writing alone. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY);
	HOLDS(own >= 0, "%s: %s", path, strerror(errno));
	free(of->bytes);
	read_bytes(own, &of->bytes, &of->len);
	of->synced = true;
	close(own);
}

void
disk_synced(struct disk *d, int fd)
{
	char path[40];
	struct stat st;
	size_t at;

	HOLDS(fstat(fd, &st) == 0, "%s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* its name may have become another meanwhile */
	at = add(d, AT_FDCWD, path, &st);
	if (S_ISDIR(st.st_mode))
		sync_dir(d, at, fd);
	else
		sync_file(&d->nodes[at], fd);
}

static void
sync_below(struct disk *d, int fd)
{
	DIR *dir = list_dir(fd);
	struct dirent *entry;
	struct stat st;
	int below;

	disk_synced(d, fd);
	while ((entry = next_entry(dir)) != NULL) {
		below = openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW);
		HOLDS(below >= 0 && fstat(below, &st) == 0, "%s: %s", entry->d_name, strerror(errno));
		if (S_ISDIR(st.st_mode))
			sync_below(d, below);
		else
			disk_synced(d, below);
		close(below);
	}
	closedir(dir);
}

static struct disk *
disk_of(const struct place *p)
{
	struct disk *d = grown(NULL, sizeof(*d));

	*d = (struct disk){ .place = p, .size = 64 };
	d->nodes = grown(NULL, d->size * sizeof(*d->nodes));
	place_open(&d->held);
	return d;
}

struct disk *
disk_new(const struct place *p)
{
	struct disk *d = disk_of(p);

	sync_below(d, p->fd);
	return d;
}

void
disk_free(struct disk *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++) {
		forget_names(&d->nodes[i]);
		free(d->nodes[i].bytes);
	}
	free(d->nodes);
	place_close(&d->held);
	free(d);
}

struct cloning { const struct disk *from; struct disk *to; };

static void
clone_one(void *ctx, const struct stat *from, int to_dirfd, const char *name)
{
	const struct cloning *c = ctx;
	size_t at = find(c->from, from->st_ino);
	char link[24];
	struct stat st;

	if (at == NONE)
		return;
	if (!S_ISDIR(from->st_mode) && c->to->nodes[at].ino != 0) { /* its second name */
		snprintf(link, sizeof(link), "%zu", at);
		HOLDS(unlinkat(to_dirfd, name, 0) == 0 && linkat(c->to->held.fd, link, to_dirfd, name, 0) == 0, "%s: %s", name,
		      strerror(errno));
		return;
	}
	HOLDS(fstatat(to_dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", strerror(errno));
	c->to->nodes[at].ino = st.st_ino;
	if (!S_ISDIR(st.st_mode))
		hold(c->to, to_dirfd, name, at);
}

struct disk *
disk_clone(const struct disk *d, const struct place *to)
{
	struct disk *clone = disk_of(to);
	struct cloning c = { d, clone };
	struct stat st;

	clone->n = d->n;
	clone->size = d->size;
	clone->nodes = grown(clone->nodes, d->size * sizeof(*d->nodes));
	for (size_t i = 0; i < d->n; i++) {
		const struct node *old = &d->nodes[i];
		struct node *new = &clone->nodes[i];

		*new = (struct node){ .is_dir = old->is_dir, .synced = old->synced, .len = old->len };
		if (old->bytes != NULL) {
			new->bytes = grown(NULL, old->len + 1);
			memcpy(new->bytes, old->bytes, old->len);
		}
		for (size_t k = 0; k < old->n_names; k++)
			add_name(new, old->names[k].text, old->names[k].node);
	}
	copy_below(d->place->fd, to->fd, clone_one, &c);
	HOLDS(fstat(to->fd, &st) == 0, "%s", strerror(errno));
	clone->nodes[0].ino = st.st_ino;
	return clone;
}

/* What is left ---------------------------------------------------------------------------------------- */

struct losing { const struct disk *d; struct rng *torn; };

static void lose_below(const struct losing *l, int now_fd, size_t dir, int to_fd);

/* Of a file that no fsync made durable: some of its bytes, or all of its length. */
static void
lose_tail(const struct losing *l, int now_fd, const char *name, int to_fd)
{
	int fd = openat(now_fd, name, O_RDONLY | O_NOFOLLOW);
	char *bytes;
	size_t len, kept;

	HOLDS(fd >= 0, "%s: %s", name, strerror(errno));
	read_bytes(fd, &bytes, &len);
	close(fd);
	kept = (size_t)rng_below(l->torn, len + 1);
	if (rng_below(l->torn, 4) == 0) {
		memset(bytes + kept, 0, len - kept); /* the length came to the disk, the bytes did not */
		kept = len;
	}
	write_bytes(to_fd, name, bytes, kept);
	free(bytes);
}

/* The node that a name durably leads to. */
static size_t
durable(const struct disk *d, size_t dir, const char *name)
{
	if (dir != NONE)
		for (size_t i = 0; i < d->nodes[dir].n_names; i++)
			if (strcmp(d->nodes[dir].names[i].text, name) == 0)
				return d->nodes[dir].names[i].node;
	return NONE;
}

static void
lose_name(const struct losing *l, int now_fd, size_t dir, const char *name, int to_fd)
{
	struct stat st;
	bool is_there = now_fd >= 0 && fstatat(now_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool keeps_new = l->torn != NULL && rng_below(l->torn, 2) == 0;
	size_t old = durable(l->d, dir, name), node = keeps_new ? is_there ? find(l->d, st.st_ino) : NONE : old;
	const struct node *n = node == NONE ? NULL : &l->d->nodes[node];
	int from, to;

	if (keeps_new ? !is_there : old == NONE)
		return;
	if (keeps_new ? S_ISDIR(st.st_mode) : n->is_dir) {
		HOLDS(mkdirat(to_fd, name, 0700) == 0, "%s", strerror(errno));
		from = now_fd < 0 ? -1 : openat(now_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		to = open_dir(to_fd, name);
		lose_below(l, from, node, to);
		if (from >= 0)
			close(from);
		close(to);
		return;
	}
	if (n != NULL && n->synced)
		write_bytes(to_fd, name, n->bytes, n->len);
	else if (keeps_new)
		lose_tail(l, now_fd, name, to_fd);
	else
		write_bytes(to_fd, name, "", 0); /* its name is durable, its bytes are not */
}

static void
lose_below(const struct losing *l, int now_fd, size_t dir, int to_fd)
{
	struct dirent *entry;
	DIR *now;

	for (size_t i = 0; dir != NONE && i < l->d->nodes[dir].n_names; i++)
		lose_name(l, now_fd, dir, l->d->nodes[dir].names[i].text, to_fd);
	if (l->torn == NULL || now_fd < 0)
		return;
	now = list_dir(now_fd);
	while ((entry = next_entry(now)) != NULL)
		if (durable(l->d, dir, entry->d_name) == NONE)
			lose_name(l, now_fd, dir, entry->d_name, to_fd);
	closedir(now);
}

void
disk_lose(const struct disk *d, const struct place *to, struct rng *torn)
{
	struct losing l = { d, torn };

	lose_below(&l, d->place->fd, 0, to->fd);
}
