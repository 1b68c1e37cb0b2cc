/* print.h: --print: what a person or a test wants to know of the organizations, without a server. */
#ifndef ATLAS_SANDBOX_PRINT_H
#define ATLAS_SANDBOX_PRINT_H

#include "cmd/atlas-sandbox/sandbox.h"

/* Writes to stdout (and secret files). The exit code. */
int print_run(struct sandbox *sb);

#endif
