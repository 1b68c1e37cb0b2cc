/* options.h: the command line. */
#ifndef ATLAS_SANDBOX_OPTIONS_H
#define ATLAS_SANDBOX_OPTIONS_H

#include "cmd/atlas-sandbox/sandbox.h"

/* Fills o, whose texts point into argv or are o's own. -1: go on; otherwise the exit code (a usage
 * error has been written to stderr, or --help or --version to stdout). */
int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
