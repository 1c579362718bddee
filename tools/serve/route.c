/* SPDX-License-Identifier: MIT */
#include "tools/serve/route.h"

#include "tools/serve/uri.h"

#include <glib.h>
#include <string.h>

static const char profiles[] = "/debug/pprof/";

static const struct {
  const char *name;
  enum route_end end;
} names[] = {
    {"", ROUTE_INDEX},
    {"heap", ROUTE_HEAP},
    {"allocs", ROUTE_ALLOCS},
    {"peak", ROUTE_PEAK},
    {"delta_heap", ROUTE_DELTA_HEAP},
    {"cmdline", ROUTE_CMDLINE},
    {"symbol", ROUTE_SYMBOL},
};

static const struct {
  const char *path;
  enum route_end end;
} parts[] = {
    {"/live/heap", ROUTE_LIVE_HEAP},
    {"/live/timeline", ROUTE_LIVE_TIMELINE},
    {"/live/change", ROUTE_LIVE_CHANGE},
};

/* Of what stands behind the process. */
static enum route_end end_of(const char *rest)
{
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
    if (strcmp(rest, parts[i].path) == 0)
      return parts[i].end;
  if (!g_str_has_prefix(rest, profiles))
    return ROUTE_NOTHING;
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    if (strcmp(rest + sizeof profiles - 1, names[i].name) == 0)
      return names[i].end;
  return ROUTE_UNKNOWN_PROFILE;
}

/* Where `path` should have led; the query stays. */
static struct route redirection(const char *path, const char *suffix, const char *uri)
{
  const char *query = strchr(uri, '?');
  char *location = g_strconcat(path, suffix, query != NULL ? query : "", NULL);
  return (struct route){.end = ROUTE_REDIRECT, .process = g_strdup(""), .location = location};
}

static struct route fixed(enum route_end end)
{
  return (struct route){.end = end, .process = g_strdup("")};
}

/* The path is "/PROCESS" and perhaps more. */
static struct route route_of_process(const char *path, const char *uri)
{
  const char *rest = path + 1 + strcspn(path + 1, "/");
  g_autofree char *element = g_strndup(path + 1, (gsize)(rest - path - 1));
  char *process = uri_decoded(element);
  if (process == NULL || process[0] == '\0') {
    g_free(process);
    return fixed(ROUTE_NOTHING);
  }
  if (rest[0] == '\0' || strcmp(rest, "/debug/pprof") == 0) {
    struct route whole = redirection(path, "/", uri);
    g_free(whole.process);
    whole.process = process;
    return whole;
  }
  struct route route = {.end = end_of(rest), .process = process};
  if (strcmp(rest, "/") == 0) {
    struct route elsewhere = redirection(path, profiles + 1, uri);
    route.end = ROUTE_PAGE;
    route.location = g_steal_pointer(&elsewhere.location);
    route_clear(&elsewhere);
  }
  return route;
}

/* As it was asked for, to see whether it had to be cleaned. */
static bool is_clean(const char *path, const char *uri)
{
  size_t size = strlen(path);
  return uri[0] != '/' || (strncmp(uri, path, size) == 0 && strchr("?#", uri[size]) != NULL);
}

struct route route_of(const char *uri)
{
  g_autofree char *path = uri_path(uri);
  if (strcmp(uri, "*") == 0 || strchr(path, '\\') != NULL) /* browsers take it for a slash: it could lead elsewhere */
    return fixed(ROUTE_NOTHING);
  if (!is_clean(path, uri))
    return redirection(path, "", uri);
  if (strcmp(path, "/") == 0)
    return fixed(ROUTE_LIST);
  if (strcmp(path, "/healthz") == 0)
    return fixed(ROUTE_HEALTH);
  if (strcmp(path, "/metrics") == 0)
    return fixed(ROUTE_METRICS);
  if (strcmp(path, "/debug/pprof") == 0)
    return redirection(path, "/", uri);
  if (strcmp(path, "/debug") == 0 || strcmp(path, "/debug/") == 0)
    return fixed(ROUTE_NOTHING);
  if (g_str_has_prefix(path, profiles))
    return fixed(end_of(path));
  return route_of_process(path, uri);
}

void route_clear(struct route *route)
{
  g_free(route->process);
  g_free(route->location);
  *route = (struct route){.end = ROUTE_NOTHING};
}
