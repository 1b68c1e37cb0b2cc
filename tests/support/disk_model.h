/* disk_model.h: a disk that keeps of a tree of files what was fsynced, and of the rest what chance leaves.
 *
 * A directory's durable content is the list of its names at its last fsync; a file's, its bytes at its last
 * fsync. What a loss of power leaves is built in another place. For tests alone; failures abort the test.
 */
#ifndef ORGSYNC_TESTS_DISK_MODEL_H
#define ORGSYNC_TESTS_DISK_MODEL_H

#include "lib/base/rng.h"
#include "tests/unit/store_support.h"

/* Copies the files and directories of one place into another, empty one. */
void tree_copy(const struct place *from, const struct place *to);

struct disk;

/* Everything in p is durable. */
struct disk *disk_new(const struct place *p);
void disk_free(struct disk *d); /* NULL is fine */

/* The same disk with the same things not durable yet, whose files stand in `to`, an empty place. */
struct disk *disk_clone(const struct disk *d, const struct place *to);

/* fd, of a file or of a directory of the disk's place, was fsynced. */
void disk_synced(struct disk *d, int fd);

/* Builds in `to`, an empty place, what a loss of power leaves. torn NULL: the least there can be. Otherwise
 * each name is the old one, the new one or none, and a file that was never synced has some of its bytes, or all,
 * or zeros in the place of the last of them: the in-between. */
void disk_lose(const struct disk *d, const struct place *to, struct rng *torn);

#endif
