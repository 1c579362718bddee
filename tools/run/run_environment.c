/* SPDX-License-Identifier: MIT */
#include "tools/run/run_environment.h"

#include "core/config.h"
#include "tools/terminal/amount.h"
#include "tools/terminal/say.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

bool run_environment_accepts(const char *variable, const char *value)
{
  static struct config config;
  config_set_defaults(&config);
  return config_set(&config, variable, value);
}

/* NULL: there is no such variable. */
static const char *accepted_by(const char *variable)
{
  static const struct {
    const char *variable, *accepted;
  } settings[] = {
#define HEAPPROF_SETTING(identifier, variable, kind, default_text, accepted, what) {variable, accepted},
#include "core/config.def"
#undef HEAPPROF_SETTING
  };
  for (size_t i = 0; i < G_N_ELEMENTS(settings); i++)
    if (strcmp(settings[i].variable, variable) == 0)
      return settings[i].accepted;
  return NULL;
}

const char *run_environment_accepted(const char *variable)
{
  const char *accepted = accepted_by(variable);
  return accepted != NULL ? accepted : "another value";
}

char *run_environment_interval(const char *text)
{
  const char *unit = amount_end(text);
  double bytes = unit != NULL ? amount_factor(unit) * g_ascii_strtod(text, NULL) : 0;
  g_autofree char *whole = g_strdup_printf("%.0f", bytes);
  bool is_better =
      !run_environment_accepts("HEAPPROF_SAMPLE", text) && run_environment_accepts("HEAPPROF_SAMPLE", whole);
  return is_better ? g_steal_pointer(&whole) : g_strdup(text);
}

static bool is_known(const char *variable)
{
  return strcmp(variable, "HEAPPROF_LIBRARY") == 0 || accepted_by(variable) != NULL;
}

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void run_environment_tell_unknown(void)
{
  g_auto(GStrv) names = g_listenv();
  g_autoptr(GString) unknown = g_string_new(NULL);
  qsort(names, g_strv_length(names), sizeof *names, compare_names);
  for (char **name = names; *name != NULL; name++)
    if (g_str_has_prefix(*name, "HEAPPROF_") && !is_known(*name))
      g_string_append_printf(unknown, "%s%s", unknown->len > 0 ? ", " : "", *name);
  if (unknown->len > 0)
    say("nobody knows %s: man 7 libheapprof has the variables that there are", unknown->str);
}

/* NULL leaves it as it is. */
static void set(char ***environment, const char *variable, const char *value)
{
  if (value != NULL)
    *environment = g_environ_setenv(*environment, variable, value, TRUE);
}

/* The profile at the end is ours to write, from the state that is kept. Whether a signal asks for one stays as the
 * user has it. */
static char *dump_value(bool keeps)
{
  const char *own = g_getenv("HEAPPROF_DUMP");
  bool on_signal = own == NULL || strstr(own, "signal") != NULL;
  return g_strconcat(keeps ? "keep" : "exit", on_signal ? ",signal" : "", NULL);
}

char **run_environment_make(const struct run_environment *settings)
{
  char **environment = g_get_environ();
  g_autofree char *dump = dump_value(settings->folder != NULL);
  set(&environment, "LD_PRELOAD", settings->preload);
  set(&environment, "HEAPPROF_STATE_DIR", settings->folder);
  set(&environment, "HEAPPROF_DUMP", dump);
  set(&environment, "HEAPPROF_SAMPLE", settings->sample);
  set(&environment, "HEAPPROF_SIGNAL", settings->signal);
  /* Otherwise the path to the current directory is too long. */
  if (run_environment_accepts("HEAPPROF_OUT", settings->pattern))
    set(&environment, "HEAPPROF_OUT", settings->pattern);
  if (!settings->follows)
    set(&environment, "HEAPPROF_FOLLOW", "no");
  else
    environment = g_environ_unsetenv(environment, "HEAPPROF_FOLLOW");
  return environment;
}
