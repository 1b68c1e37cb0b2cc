/* The command's main() under another name, to be called by a test. */
#define main orgsync_main
int orgsync_main(int argc, char **argv);
/* NOLINTNEXTLINE(bugprone-suspicious-include): to compile it under another name is the purpose. */
#include "cmd/orgsync/main.c"
