/* SPDX-License-Identifier: MIT */
#include "tools/run/allocators.h"

#include "tools/run/elf_facts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALLOCATORS_ERROR g_quark_from_static_string("heapprof-allocators")

static const struct allocator {
  const char *name;
  const char *libraries; /* the better ones first, with spaces */
  const char *package;   /* Debian's */
} allocators[] = {
    {"jemalloc", "libjemalloc.so.2 libjemalloc.so.1 libjemalloc.so", "libjemalloc2"},
    {"tcmalloc", "libtcmalloc.so.4 libtcmalloc_minimal.so.4 libtcmalloc.so libtcmalloc_minimal.so",
     "libgoogle-perftools4"},
    {"mimalloc", "libmimalloc.so.2 libmimalloc.so.3 libmimalloc.so.1 libmimalloc.so", "libmimalloc2.0"},
};

static const struct allocator *find_name(const char *given)
{
  for (size_t i = 0; i < G_N_ELEMENTS(allocators); i++)
    if (strcmp(allocators[i].name, given) == 0)
      return &allocators[i];
  return NULL;
}

bool allocators_accepts(const char *given)
{
  return find_name(given) != NULL || strchr(given, '/') != NULL;
}

/* What the dynamic linker would load for the names, one line each ("NAME => PATH (ADDRESS)"). We ask the linker itself,
 * which knows its cache, its directories and the environment best, and runs nothing of the libraries. */
static char *ask_dynamic_linker(const char *names)
{
  char *arguments[] = {(char *)"/proc/self/exe", NULL};
  g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "LD_PRELOAD", names, TRUE);
  environment = g_environ_setenv(environment, "LD_TRACE_LOADED_OBJECTS", "1", TRUE);
  char *answer = NULL;
  (void)g_spawn_sync(NULL, arguments, environment, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &answer, NULL, NULL, NULL);
  return answer != NULL ? answer : g_strdup("");
}

/* The path behind "NAME => " in the answer. */
static char *path_of(const char *name, char **answer_lines)
{
  for (char **line = answer_lines; *line != NULL; line++) {
    char **words = g_strsplit(g_strstrip(*line), " => ", 2);
    bool is_found = words[0] != NULL && words[1] != NULL && strcmp(words[0], name) == 0 && words[1][0] == '/';
    char *end = is_found ? strrchr(words[1], '(') : NULL;
    char *path = end != NULL ? g_strchomp(g_strndup(words[1], (gsize)(end - words[1]))) : NULL;
    g_strfreev(words);
    if (path != NULL)
      return path;
  }
  return NULL;
}

static char *find_library(const struct allocator *allocator, GError **error)
{
  g_autofree char *answer = ask_dynamic_linker(allocator->libraries);
  g_auto(GStrv) lines = g_strsplit(answer, "\n", -1);
  g_auto(GStrv) names = g_strsplit(allocator->libraries, " ", -1);
  for (char **name = names; *name != NULL; name++) {
    char *path = path_of(*name, lines);
    if (path != NULL)
      return path;
  }
  g_set_error(error, ALLOCATORS_ERROR, ENOENT,
              "%s is not where the dynamic linker looks (%s); on Debian: apt install %s", allocator->name, names[0],
              allocator->package);
  return NULL;
}

static char *check_library(const char *path, GError **error)
{
  struct stat status;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    g_set_error(error, ALLOCATORS_ERROR, errno, "allocator %s: %s", path, g_strerror(errno));
    return NULL;
  }
  struct elf_facts facts;
  elf_facts_read(descriptor, &facts);
  bool is_usable = facts.is_for_us && elf_facts_defines(&facts, "malloc");
  elf_facts_clear(&facts);
  close(descriptor);
  if (is_usable)
    return g_canonicalize_filename(path, NULL);
  g_set_error(error, ALLOCATORS_ERROR, EINVAL, "allocator %s: not a 64-bit library that defines malloc", path);
  return NULL;
}

char *allocators_find(const char *given, GError **error)
{
  const struct allocator *allocator = find_name(given);
  return allocator != NULL ? find_library(allocator, error) : check_library(given, error);
}
