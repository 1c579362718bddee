/* SPDX-License-Identifier: MIT */
#include "tools/run/shim.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIM_ERROR g_quark_from_static_string("heapprof-shim")

static const char LIBRARY[] = "libheapprof.so";
static const char SEPARATORS[] = " :"; /* of LD_PRELOAD */

static char *real_path(const char *path)
{
  char *found = realpath(path, NULL), *result = access(path, R_OK) == 0 ? g_strdup(found) : NULL;
  free(found);
  return result;
}

char *shim_find(GError **error)
{
  const char *given = g_getenv("HEAPPROF_LIBRARY");
  if (given != NULL && given[0] != '\0') {
    char *path = real_path(given);
    if (path == NULL)
      g_set_error(error, SHIM_ERROR, errno, "HEAPPROF_LIBRARY=%s: %s", given, g_strerror(errno));
    return path;
  }
  g_autofree char *self = real_path("/proc/self/exe");
  g_autofree char *folder = g_path_get_dirname(self != NULL ? self : ".");
  g_autofree char *beside = g_build_filename(folder, LIBRARY, NULL);
  char *path = real_path(beside);
  if (path == NULL)
    path = real_path(HEAPPROF_LIBDIR "/libheapprof.so");
  if (path == NULL)
    g_set_error(error, SHIM_ERROR, ENOENT, "%s is neither in %s nor in %s; HEAPPROF_LIBRARY may name it", LIBRARY,
                folder, HEAPPROF_LIBDIR);
  return path;
}

static bool is_expressible(const char *path, GError **error)
{
  if (strpbrk(path, SEPARATORS) == NULL && strchr(path, '$') == NULL)
    return true;
  g_set_error(error, SHIM_ERROR, EINVAL, "%s cannot be preloaded: LD_PRELOAD has no way to write ' ', ':' and '$'",
              path);
  return false;
}

char *shim_preload(const char *library, const char *allocator, const char *others, GError **error)
{
  if (!is_expressible(library, error) || (allocator != NULL && !is_expressible(allocator, error)))
    return NULL;
  GString *value = g_string_new(library);
  if (allocator != NULL)
    g_string_append_printf(value, ":%s", allocator);
  g_auto(GStrv) entries = g_strsplit_set(others != NULL ? others : "", SEPARATORS, -1);
  for (char **entry = entries; *entry != NULL; entry++)
    if ((*entry)[0] != '\0' && strcmp(*entry, library) != 0 && g_strcmp0(*entry, allocator) != 0)
      g_string_append_printf(value, ":%s", *entry);
  return g_string_free(value, FALSE);
}
