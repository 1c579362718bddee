/* SPDX-License-Identifier: MIT */
#include "tools/cmd/cmd.h"

#include "tools/terminal/say.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32, HELP_KEY = 1000, FIRST_KEY = 1001 };

static const struct command *find_command(const char *name)
{
  for (const struct command *const *command = commands; *command != NULL; command++)
    if (strcmp((*command)->name, name) == 0)
      return *command;
  return NULL;
}

/* Suggestions. */

/* Levenshtein's: how many letters must be put in, taken out or changed. */
static unsigned edit_distance(const char *one, const char *other)
{
  size_t width = strlen(other) + 1;
  g_autofree unsigned *row = g_new(unsigned, width);
  for (size_t j = 0; j < width; j++)
    row[j] = (unsigned)j;
  for (size_t i = 1; one[i - 1] != '\0'; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t j = 1; j < width; j++) {
      unsigned changed = diagonal + (one[i - 1] != other[j - 1]);
      diagonal = row[j];
      row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[width - 1];
}

/* The command that is meant; NULL if none is near. */
static const char *nearest_command(const char *name)
{
  const char *nearest = NULL;
  unsigned least = 3;
  if (strlen(name) > 32)
    return NULL;
  for (const struct command *const *command = commands; *command != NULL; command++) {
    unsigned distance = edit_distance(name, (*command)->name);
    if (distance < least && distance < strlen((*command)->name)) {
      least = distance;
      nearest = (*command)->name;
    }
  }
  return nearest;
}

static int refuse_command(const char *name)
{
  const char *nearest = nearest_command(name);
  if (name[0] == '-')
    say("there is no option '%s' before a command; heapprof --help tells what there is", name);
  else if (nearest != NULL)
    say("there is no command '%s'; did you mean '%s'?", name, nearest);
  else
    say("there is no command '%s'; heapprof --help lists them", name);
  return EXIT_USAGE;
}

/* Usage. */

static void print_option(char letter, const char *name, const char *argument, const char *help)
{
  g_autofree char *left = g_strconcat("--", name, argument != NULL ? " " : "", argument != NULL ? argument : "", NULL);
  if (letter != 0)
    printf("  -%c, %-26s %s\n", letter, left, help);
  else
    printf("      %-26s %s\n", left, help);
}

void cmd_print_help(const struct command *command)
{
  printf("Usage: heapprof %s [OPTION]... %s\n%s.\n\n", command->name, command->operands, command->summary);
  for (const struct cmd_option *option = command->options; option->name != NULL; option++)
    print_option(option->letter, option->name, option->argument, option->help);
  print_option('h', "help", NULL, "show this");
  printf("\nMore: man heapprof-%s\n", command->name);
}

static void print_overview(FILE *stream)
{
  fputs("Usage: heapprof COMMAND [OPTION]...\nHeap profiles of any program: run it, watch it, read what it left.\n\n",
        stream);
  for (const struct command *const *command = commands; *command != NULL; command++)
    fprintf(stream, "  %-11s %s\n", (*command)->name, (*command)->summary);
  fputs("\nheapprof COMMAND --help tells more of each. heapprof --version.\n", stream);
}

/* For the completions and the check of the manual: one line per option, tab-separated. */
static int list_options(void)
{
  for (const struct command *const *command = commands; *command != NULL; command++) {
    printf("%s\t\t\t%s\t%s\n", (*command)->name, (*command)->operands, (*command)->summary);
    for (const struct cmd_option *option = (*command)->options; option->name != NULL; option++)
      printf("%s\t--%s\t%.1s\t%s\t%s\n", (*command)->name, option->name, option->letter != 0 ? &option->letter : "",
             option->argument != NULL ? option->argument : "", option->help);
    printf("%s\t--help\th\t\tshow this\n", (*command)->name);
  }
  return finish_output(EXIT_OK);
}

/* Values. */

static int position_of(const struct cmd_line *line, const char *name)
{
  for (int i = 0; line->command->options[i].name != NULL; i++)
    if (strcmp(line->command->options[i].name, name) == 0)
      return i;
  g_assert_not_reached(); /* the command asks for an option that its table does not have */
}

const char *cmd_value(const struct cmd_line *line, const char *option)
{
  return line->values[position_of(line, option)];
}

bool cmd_has(const struct cmd_line *line, const char *option)
{
  return cmd_value(line, option) != NULL;
}

const char **cmd_values(const struct cmd_line *line, const char *option)
{
  const char **values = g_new0(const char *, (size_t)line->given_count + 1);
  for (int i = 0, count = 0; i < line->given_count; i++)
    if (line->given[i].option == position_of(line, option))
      values[count++] = line->given[i].value;
  return values;
}

bool cmd_number(const struct cmd_line *line, const char *option, uint64_t low, uint64_t high, uint64_t fallback,
                uint64_t *number)
{
  const char *text = cmd_value(line, option);
  *number = fallback;
  if (text == NULL || g_ascii_string_to_unsigned(text, 10, low, high, number, NULL))
    return true;
  say("--%s takes a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ", not '%s'", option, low, high, text);
  return false;
}

int cmd_misused(const struct cmd_line *line, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  say("%s; heapprof %s --help tells what it takes", text, line->command->name);
  return EXIT_USAGE;
}

int cmd_takes(const struct cmd_line *line, int most, const char *what)
{
  const char *name = line->command->name;
  if (line->count > most)
    return cmd_misused(line, "%s takes %s, and '%s' is one too many", name, what, line->operands[most]);
  if (line->count > 0)
    return cmd_misused(line, "%s takes %s, and there is only '%s'", name, what, line->operands[line->count - 1]);
  return cmd_misused(line, "%s takes %s, and none is given", name, what);
}

/* Parsing. */

/* How pprof spells options: -name=value, with _ where we have -; sample types are options, and rows are nodes. */

static bool has_option(const struct command *command, const char *name)
{
  for (const struct cmd_option *option = command->options; option->name != NULL; option++)
    if (strcmp(option->name, name) == 0)
      return true;
  return false;
}

static bool is_sample_type(const char *name)
{
  static const char *const types[] = {"alloc_objects", "alloc_space",  "inuse_objects",
                                      "inuse_space",   "peak_objects", "peak_space"};
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
    if (strcmp(types[i], name) == 0)
      return true;
  return false;
}

/* A new string: the word as getopt_long knows it. */
static char *our_spelling(const struct command *command, const char *word)
{
  if (word[0] != '-' || word[1] == '\0')
    return g_strdup(word);
  const char *start = word + strspn(word, "-"), *rest = start + strcspn(start, "=");
  g_autofree char *as_written = g_strndup(start, (gsize)(rest - start)), *name = g_strdup(as_written);
  g_strdelimit(name, "_", '-');
  if (start - word > 2 || strlen(name) < 2)
    return g_strdup(word);
  if (has_option(command, name))
    return g_strconcat("--", name, rest, NULL);
  if (is_sample_type(as_written) && rest[0] == '\0' && has_option(command, "sample-index"))
    return g_strconcat("--sample-index=", as_written, NULL);
  if (strcmp(name, "nodecount") == 0 && has_option(command, "rows"))
    return g_strconcat("--rows", rest, NULL);
  return g_strdup(word);
}

/* A new array. What follows the first operand of some commands is not for us. */
static char **our_spellings(const struct command *command, int argc, char **argv)
{
  char **words = g_new0(char *, (size_t)argc + 1);
  bool is_ours = !command->stops_at_operand;
  for (int i = 0; i < argc; i++) {
    is_ours = is_ours && strcmp(argv[i], "--") != 0;
    words[i] = is_ours ? our_spelling(command, argv[i]) : g_strdup(argv[i]);
  }
  return words;
}

/* FIRST_KEY + position for each, so that letters and names are told apart. */
static void fill_tables(const struct command *command, struct option *longs, GString *shorts)
{
  int i = 0;
  g_string_append(shorts, command->stops_at_operand ? "+:h" : ":h");
  for (; command->options[i].name != NULL; i++) {
    const struct cmd_option *option = &command->options[i];
    g_assert(i + 2 < OPTIONS_MAX); /* room for --help and the end */
    longs[i] =
        (struct option){option->name, option->argument != NULL ? required_argument : no_argument, NULL, FIRST_KEY + i};
    if (option->letter != 0)
      g_string_append_printf(shorts, "%c%s", option->letter, option->argument != NULL ? ":" : "");
  }
  longs[i] = (struct option){"help", no_argument, NULL, HELP_KEY};
}

static int position_of_key(const struct command *command, int key)
{
  if (key >= FIRST_KEY)
    return key - FIRST_KEY;
  for (int i = 0; command->options[i].name != NULL; i++)
    if (command->options[i].letter == key)
      return i;
  return -1;
}

/* What getopt stumbled over, as it was written. */
static int refuse_option(const struct cmd_line *line, int key, const char *word)
{
  char letter[] = {'-', (char)optopt, '\0'};
  bool is_long = g_str_has_prefix(word, "--");
  const char *option = is_long ? word : letter;
  if (key == ':')
    return cmd_misused(line, "option '%s' needs a value", option);
  int name = (int)strcspn(word, "=");
  if (is_long && optopt != 0)
    return cmd_misused(line, "option '%.*s' takes no value", name, word);
  if (g_str_has_prefix(word, "-nodecount"))
    return cmd_misused(line, "%s has no option '%.*s': it has no limit of rows", line->command->name, name, word);
  if (is_long || word[1] != optopt)
    return cmd_misused(line, "there is no option '%s'", option);
  return cmd_misused(line, "there is no option '%.*s'", name, word); /* in pprof's spelling */
}

/* No word has more than one that takes something. */
static void take_option(struct cmd_line *line, int option, const char *value)
{
  line->values[option] = value != NULL ? value : "";
  if (value != NULL)
    line->given[line->given_count++] = (struct cmd_given){option, value};
}

/* EXIT_OK and the line filled in, or an exit status and *is_done. */
static int parse(struct cmd_line *line, int argc, char **argv, bool *is_done)
{
  struct option longs[OPTIONS_MAX] = {{0}};
  g_autoptr(GString) shorts = g_string_new(NULL);
  fill_tables(line->command, longs, shorts);
  *is_done = true;
  opterr = 0;
  optind = 0; /* from the start, also when this is not the first time */
  for (;;) {
    int word = MAX(optind, 1);
    int key = getopt_long(argc, argv, shorts->str, longs, NULL);
    if (key == -1)
      break;
    if (key == HELP_KEY || key == 'h') {
      cmd_print_help(line->command);
      return finish_output(EXIT_OK);
    }
    if (key == ':' || key == '?')
      return refuse_option(line, key, argv[optind > word ? optind - 1 : word]);
    take_option(line, position_of_key(line->command, key), optarg);
  }
  line->count = argc - optind;
  line->operands = argv + optind;
  *is_done = false;
  return EXIT_OK;
}

static int run_command(const struct command *command, int argc, char **argv)
{
  const char *values[OPTIONS_MAX] = {NULL};
  g_autofree struct cmd_given *given = g_new(struct cmd_given, (size_t)argc + 1);
  struct cmd_line line = {.command = command, .words = argv, .values = values, .given = given};
  bool is_done;
  g_auto(GStrv) words = our_spellings(command, argc, argv);
  g_autofree char **order = g_memdup2(words, ((size_t)argc + 1) * sizeof *words); /* which getopt changes */
  int status = parse(&line, argc, order, &is_done);
  return is_done ? status : command->run(&line);
}

/* A file that gets the number of standard output or error would get our messages. */
static void occupy_standard_descriptors(void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)!open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC); /* using it fails as before */
}

static int run_word(int argc, char **argv, const char *name, bool wants_help)
{
  const struct command *command = find_command(name);
  if (command == NULL)
    return refuse_command(name);
  if (!wants_help)
    return run_command(command, argc - 1, argv + 1);
  cmd_print_help(command);
  return finish_output(EXIT_OK);
}

static bool is_word(const char *word, const char *name, const char *letter)
{
  return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

static int refuse_more(const char *word, const char *more)
{
  say("%s stands alone, and there is '%s'", word, more);
  return EXIT_USAGE;
}

int cmd_main(int argc, char **argv)
{
  occupy_standard_descriptors();
  (void)setlocale(LC_CTYPE, "");
  if (argc < 2) {
    print_overview(stderr);
    return EXIT_USAGE;
  }
  if (is_word(argv[1], "--version", "-V")) {
    if (argc > 2)
      return refuse_more("--version", argv[2]);
    puts("heapprof " PACKAGE_VERSION);
    return finish_output(EXIT_OK);
  }
  if (strcmp(argv[1], "--list-options") == 0)
    return list_options();
  bool wants_help = is_word(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0;
  if (wants_help && argc == 2) {
    print_overview(stdout);
    return finish_output(EXIT_OK);
  }
  return run_word(argc, argv, argv[wants_help ? 2 : 1], wants_help);
}
