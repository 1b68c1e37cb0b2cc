/* faults.h: which request goes wrong, and how: a pure function of (fault seed, organization, its n-th
 * request), so a run can be repeated. */
#ifndef ATLAS_SANDBOX_FAULTS_H
#define ATLAS_SANDBOX_FAULTS_H

#include "cmd/atlas-sandbox/settings.h"

enum fault fault_of(const struct settings *set, uint64_t fault_seed, unsigned org, uint64_t question);

/* Damages JSON text in a way that no parser accepts: where, depends on hash. Returns the new length. */
size_t fault_damage(char *bytes, size_t len, uint64_t hash);

#endif
