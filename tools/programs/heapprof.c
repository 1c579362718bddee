/* SPDX-License-Identifier: MIT */
/* The heapprof command: a table of subcommands, each in a file of its own. */
#include "tools/cmd/cmd.h"

#include <stddef.h>

extern const struct command cmd_run, cmd_ls, cmd_dump, cmd_recover, cmd_top, cmd_tree, cmd_peek, cmd_symbolize,
    cmd_merge, cmd_diff, cmd_folded, cmd_info, cmd_report, cmd_rss, cmd_serve, cmd_record, cmd_recording, cmd_push,
    cmd_attach, cmd_detach;

const struct command *const commands[] = {
    &cmd_run,  &cmd_attach, &cmd_detach, &cmd_ls,        &cmd_rss,       &cmd_dump, &cmd_recover,
    &cmd_top,  &cmd_tree,   &cmd_peek,   &cmd_symbolize, &cmd_merge,     &cmd_diff, &cmd_folded,
    &cmd_info, &cmd_report, &cmd_serve,  &cmd_record,    &cmd_recording, &cmd_push, NULL,
};

int main(int argc, char **argv)
{
  return cmd_main(argc, argv);
}
