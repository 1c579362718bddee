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

static void add_folder(GPtrArray *folders, char *folder)
{
  if (g_ptr_array_find_with_equal_func(folders, folder, g_str_equal, NULL))
    g_free(folder);
  else
    g_ptr_array_add(folders, folder);
}

/* "lib": where the library is installed, as seen from the folder that bin is in; NULL: somewhere else. */
static const char *library_below_prefix(void)
{
  size_t length = (size_t)(strrchr(HEAPPROF_BINDIR, '/') - HEAPPROF_BINDIR) + 1;
  return strncmp(HEAPPROF_LIBDIR, HEAPPROF_BINDIR, length) == 0 ? &HEAPPROF_LIBDIR[length] : NULL;
}

/* Beside this command, as in the folder that it is built in; where an installation that was moved has it; where it was
 * to be installed. */
static GPtrArray *folders_of_library(void)
{
  GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *self = real_path("/proc/self/exe");
  g_autofree char *folder = g_path_get_dirname(self != NULL ? self : ".");
  g_autofree char *prefix = g_path_get_dirname(folder);
  add_folder(folders, g_strdup(folder));
  if (library_below_prefix() != NULL)
    add_folder(folders, g_build_filename(prefix, library_below_prefix(), NULL));
  add_folder(folders, g_build_filename(prefix, "lib", NULL));
  add_folder(folders, g_strdup(HEAPPROF_LIBDIR));
  return folders;
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
  g_autoptr(GPtrArray) folders = folders_of_library();
  for (guint i = 0; i < folders->len; i++) {
    g_autofree char *candidate = g_build_filename(g_ptr_array_index(folders, i), LIBRARY, NULL);
    char *path = real_path(candidate);
    if (path != NULL)
      return path;
  }
  g_ptr_array_add(folders, NULL);
  g_autofree char *looked = g_strjoinv(", ", (char **)folders->pdata);
  g_set_error(error, SHIM_ERROR, ENOENT, "%s is in none of %s; HEAPPROF_LIBRARY may name it", LIBRARY, looked);
  return NULL;
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
