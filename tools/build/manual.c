/* SPDX-License-Identifier: MIT */
/* Fills in the manual during the build:
 *
 *   manual VERSION < libheapprof.7.in > libheapprof.7
 *
 * A line @SETTINGS@ becomes the settings of core/config.def, a line @HOOKS@ the hooks of interpose/hooks.def, a line
 * @LOSSES@ the losses of core/losses.def; @VERSION@ is replaced anywhere. So the manual lists what was compiled. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static const struct setting {
  const char *name, *default_text, *accepted, *description;
} settings[] = {
#define HEAPPROF_SETTING(identifier, name, kind, default_text, accepted, description)                                  \
  {name, default_text, accepted, description},
#include "core/config.def"
};

static const struct hook {
  const char *name, *group, *description;
} hooks[] = {
#define HEAPPROF_HOOK(identifier, group, need, result, parameters, description) {#identifier, #group, description},
#include "interpose/hooks.def"
};

static const struct loss {
  const char *key, *description;
} losses[] = {
#define HEAPPROF_LOSS(identifier, key, description) {key, description},
#include "core/losses.def"
};

/* Plain text as roff: nothing in it is a request or an escape, and a minus can be copied from the page. */
static void put_text(const char *text)
{
  if (*text == '.' || *text == '\'')
    fputs("\\&", stdout);
  for (; *text != '\0'; text++) {
    if (*text == '\\')
      fputs("\\e", stdout);
    else if (*text == '-')
      fputs("\\-", stdout);
    else
      putchar(*text);
  }
}

static void put_line(const char *before, const char *text, const char *after)
{
  fputs(before, stdout);
  put_text(text);
  puts(after);
}

static void put_settings(void)
{
  for (size_t i = 0; i < COUNT_OF(settings); i++) {
    puts(".TP");
    put_line(".B ", settings[i].name, "");
    put_line("", settings[i].description, "");
    put_line("Accepted: ", settings[i].accepted, ".");
    put_line("Default: ", settings[i].default_text, ".");
  }
}

static void put_hooks(void)
{
  const char *group = "";
  for (size_t i = 0; i < COUNT_OF(hooks); i++) {
    if (strcmp(hooks[i].group, group) != 0)
      put_line(".SS ", hooks[i].group, "");
    group = hooks[i].group;
    puts(".TP");
    put_line(".B ", hooks[i].name, "");
    put_line("", hooks[i].description, "");
  }
}

static void put_losses(void)
{
  for (size_t i = 0; i < COUNT_OF(losses); i++) {
    puts(".TP");
    put_line(".B ", losses[i].key, "");
    put_line("", losses[i].description, "");
  }
}

static const struct list {
  const char *placeholder;
  void (*put)(void);
} lists[] = {
    {"@SETTINGS@\n", put_settings},
    {"@HOOKS@\n", put_hooks},
    {"@LOSSES@\n", put_losses},
};

static bool put_list_for(const char *line)
{
  for (size_t i = 0; i < COUNT_OF(lists); i++) {
    if (strcmp(line, lists[i].placeholder) == 0) {
      lists[i].put();
      return true;
    }
  }
  return false;
}

static void put_template_line(const char *line, const char *version)
{
  static const char placeholder[] = "@VERSION@";
  const char *found = strstr(line, placeholder);
  if (found == NULL) {
    fputs(line, stdout);
    return;
  }
  printf("%.*s%s%s", (int)(found - line), line, version, found + sizeof placeholder - 1);
}

int main(int argc, char **argv)
{
  char line[1024];
  if (argc != 2) {
    fputs("usage: manual VERSION < template > page\n", stderr);
    return 2;
  }
  while (fgets(line, sizeof line, stdin) != NULL)
    if (!put_list_for(line))
      put_template_line(line, argv[1]);
  return ferror(stdin) || fflush(stdout) != 0 || ferror(stdout) ? 1 : 0;
}
