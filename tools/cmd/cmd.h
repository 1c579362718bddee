/* SPDX-License-Identifier: MIT */
/* cmd/: the command line. A command parses, asks the rooms below, prints, and returns the exit status; it computes
 * nothing itself.
 *
 * A subcommand: one file cmd_NAME.c, one const entry in the table of programs/heapprof.c. Usage texts, completions and
 * the check of the manual come from these entries.
 *
 * Failure: one line on standard error that names what was given and what is accepted; EXIT_USAGE for the command line,
 * EXIT_FAILED for everything else.
 */
#ifndef HEAPPROF_CMD_H
#define HEAPPROF_CMD_H

#include "tools/terminal/exit_status.h"

#include <stdbool.h>
#include <stdint.h>

struct cmd_option {
  const char *name;     /* without dashes */
  char letter;          /* 0: only the long form */
  const char *argument; /* what the option takes, as usage shows it: "FILE"; NULL: nothing */
  const char *help;     /* one line */
};

struct cmd_line;

struct command {
  const char *name;
  const char *operands;                    /* as usage shows them: "PID... " */
  const char *summary;                     /* one line, starts with a verb */
  const struct cmd_option *options;        /* ends with an empty one; --help is always there */
  bool stops_at_operand;                   /* what follows the first operand are not options of ours: run */
  int (*run)(const struct cmd_line *line); /* the exit status */
};

#define CMD_OPTIONS_END                                                                                                \
  {                                                                                                                    \
    0                                                                                                                  \
  }

/* clang-format off */
/* Options that several commands have mean the same in each. */
#define CMD_OPTION_OUTPUT {"output", 'o', "FILE", "write FILE; - is standard output"}
#define CMD_OPTION_FORCE {"force", 'f', NULL, "replace a file that is there"} /* save_replacing() */
#define CMD_OPTION_JSON {"json", 0, NULL, "print JSON"}
/* clang-format on */

/* An option that takes something, as often as it was given. */
struct cmd_given {
  int option; /* its position in command->options */
  const char *value;
};

/* A command line, parsed. */
struct cmd_line {
  const struct command *command;
  char *const *words;  /* all, as they were written, the command's name first; ends with NULL */
  int count;           /* of operands */
  char **operands;     /* ends with NULL */
  const char **values; /* by position in command->options; "" for a flag that was given, NULL: not given */
  int given_count;
  struct cmd_given *given; /* in their order */
};

/* The value of an option, NULL if it was not given. */
const char *cmd_value(const struct cmd_line *line, const char *option);
bool cmd_has(const struct cmd_line *line, const char *option);
/* All of its values, if it may be given more than once, ending with NULL. The array is to be freed. */
const char **cmd_values(const struct cmd_line *line, const char *option);

/* A whole number in [low, high], `fallback` if it was not given. False, after a message: not one. */
bool cmd_number(const struct cmd_line *line, const char *option, uint64_t low, uint64_t high, uint64_t fallback,
                uint64_t *number);

/* Says what is wrong and which option shows help; returns EXIT_USAGE. */
int cmd_misused(const struct cmd_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for too few operands or too many: says that the command takes `what`, and what there is instead. */
int cmd_takes(const struct cmd_line *line, int most, const char *what);

/* The commands, ending with NULL; defined by each of programs/. */
extern const struct command *const commands[];

/* Finds the command of argv[0], parses, runs. */
int cmd_main(int argc, char **argv);

/* Usage on standard output, from the entry. */
void cmd_print_help(const struct command *command);

#endif
