/* commands.h: the commands; each takes the command line and returns the exit code. */
#ifndef ORGSYNC_CMD_COMMANDS_H
#define ORGSYNC_CMD_COMMANDS_H

#include "cmd/orgsync/options.h"

int cmd_sync(const struct cli *cli);
int cmd_test(const struct cli *cli);
int cmd_plan(const struct cli *cli);
int cmd_status(const struct cli *cli);
int cmd_verify(const struct cli *cli);
int cmd_list(const struct cli *cli);
int cmd_config(const struct cli *cli);

#endif
