/* SPDX-License-Identifier: MIT */
#include "tools/source/generated_code.h"

#include "core/comments.h"
#include "tools/heap/layout.h"
#include "tools/heap/stand_in.h"
#include "tools/symbols/jitdump.h"
#include "tools/symbols/perf_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 256 << 20 };

/* --- places --- */

static bool is_wanted(const struct heap *heap, const struct heap_location *location)
{
  bool is_anonymous =
      location->mapping >= heap->mappings->len || layout_is_anonymous(heap_mapping(heap, location->mapping));
  return is_anonymous && location->address != 0 && stand_in_is_all(heap, location);
}

static gint compare_addresses(gconstpointer a, gconstpointer b)
{
  uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
  return (one > other) - (one < other);
}

/* Sorted, each once. */
static GArray *wanted_addresses(const struct heap *heap)
{
  GArray *addresses = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  for (uint32_t i = 0; i < heap->locations->len; i++)
    if (is_wanted(heap, heap_location(heap, i)))
      g_array_append_val(addresses, heap_location(heap, i)->address);
  g_array_sort(addresses, compare_addresses);
  guint unique = 0;
  for (guint i = 0; i < addresses->len; i++) {
    uint64_t address = g_array_index(addresses, uint64_t, i);
    if (unique == 0 || g_array_index(addresses, uint64_t, unique - 1) != address)
      g_array_index(addresses, uint64_t, unique++) = address;
  }
  g_array_set_size(addresses, unique);
  return addresses;
}

static void set_name(struct heap *heap, uint32_t location, const char *name)
{
  struct heap_line line = {heap_add_function(heap, (struct heap_function){.name = name, .system_name = name}), 0};
  heap_set_lines(heap, location, &line, 1);
}

/* Memory in which some code has a name is known for what it is. What is called after the memory loses that name. */
static void rename_mappings(struct heap *heap, const bool *holds_code)
{
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    if (is_wanted(heap, location) && location->mapping < heap->mappings->len && holds_code[location->mapping])
      heap_set_lines(heap, i, NULL, 0);
  }
  for (uint32_t i = 0; i < heap->mappings->len; i++)
    if (holds_code[i])
      heap_mapping(heap, i)->path = heap_text(heap, LAYOUT_GENERATED);
}

static uint32_t set_names(struct heap *heap, GArray *addresses, const struct code_names *names)
{
  uint32_t found = 0;
  g_autofree bool *holds_code = g_new0(bool, heap->mappings->len);
  for (uint32_t i = 0; i < heap->locations->len; i++) {
    const struct heap_location *location = heap_location(heap, i);
    guint index;
    if (!is_wanted(heap, location) || !g_array_binary_search(addresses, &location->address, compare_addresses, &index))
      continue;
    const char *name = code_names_get(names, index);
    if (name == NULL)
      continue;
    if (location->mapping < heap->mappings->len)
      holds_code[location->mapping] = true;
    set_name(heap, i, name);
    found++;
  }
  rename_mappings(heap, holds_code);
  return found;
}

/* --- files --- */

/* -1: there is none, or none that may be used. */
static int open_file(const char *path, const struct generated_code_process *process, off_t *size, GPtrArray *problems)
{
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  const char *problem = NULL;
  if (fd < 0) {
    if (errno != ENOENT && errno != ENOTDIR)
      g_ptr_array_add(problems, g_strdup_printf("%s: names of generated code: %s", path, g_strerror(errno)));
    return -1;
  }
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
    problem = "not a regular file";
  else if (status.st_uid != process->owner && status.st_uid != 0)
    problem = "it belongs neither to the user of the process nor to root";
  *size = status.st_size;
  if (problem == NULL)
    return fd;
  g_ptr_array_add(problems, g_strdup_printf("%s: names of generated code: %s", path, problem));
  close(fd);
  return -1;
}

/* What lies from `at` on, as far as it can be read. NULL: nothing. */
static uint8_t *read_from(int fd, off_t at, size_t size, size_t *got)
{
  uint8_t *bytes = g_try_malloc(size + 1);
  ssize_t part = 1;
  *got = 0;
  while (bytes != NULL && *got < size && part > 0) {
    part = pread(fd, bytes + *got, size - *got, at + (off_t)*got);
    *got += part > 0 ? (size_t)part : 0;
  }
  return bytes;
}

/* Of a map that is too large the end, of a dump the start. */
static void read_file(const char *path, const struct generated_code_process *process, struct code_names *names,
                      GPtrArray *problems)
{
  off_t size;
  int fd = code_names_are_complete(names) ? -1 : open_file(path, process, &size, problems);
  if (fd < 0)
    return;
  bool is_map = g_str_has_suffix(path, ".map");
  off_t most = MIN(size, FILE_BYTES_MAX);
  size_t got;
  g_autofree uint8_t *bytes = read_from(fd, is_map ? size - most : 0, (size_t)most, &got);
  close(fd);
  if (bytes == NULL)
    return;
  if (is_map)
    perf_map_read((const char *)bytes, got, names);
  else if (!jitdump_read(bytes, got, names))
    g_ptr_array_add(problems, g_strdup_printf("%s: names of generated code: it is no dump that can be read", path));
}

static void add_path(GPtrArray *paths, char *path)
{
  if (g_ptr_array_find_with_equal_func(paths, path, g_str_equal, NULL))
    g_free(path);
  else
    g_ptr_array_add(paths, path);
}

/* A runtime maps the dump that it writes, so that others find it. */
static void add_mapped_dumps(GPtrArray *paths, const char *root, int pid)
{
  g_autofree char *maps = g_strdup_printf("/proc/%d/maps", pid), *text = NULL;
  if (pid == 0 || !g_file_get_contents(maps, &text, NULL, NULL))
    return;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    const char *path = strchr(*line, '/'), *name = path != NULL ? strrchr(path, '/') + 1 : NULL;
    if (name != NULL && g_str_has_prefix(name, "jit-") && g_str_has_suffix(name, ".dump"))
      add_path(paths, g_strconcat(root, path, NULL));
  }
}

/* Below the home of whom the process is of, in a folder for each run: perf's agent for Java, LLVM. */
static void add_dumps_at_home(GPtrArray *paths, const char *name)
{
  const char *home = g_getenv("HOME");
  g_autofree char *runs = home != NULL && home[0] == '/' ? g_build_filename(home, ".debug/jit", NULL) : NULL;
  g_autoptr(GDir) folder = runs != NULL ? g_dir_open(runs, 0, NULL) : NULL;
  const char *run;
  while (folder != NULL && (run = g_dir_read_name(folder)) != NULL)
    add_path(paths, g_build_filename(runs, run, name, NULL));
}

/* Those that may be there, the ones that tell more first. */
static GPtrArray *paths_of(const struct generated_code_process *process, uint64_t inner_pid)
{
  const char *root = process->root != NULL ? process->root : "";
  GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *dump = g_strdup_printf("jit-%" PRIu64 ".dump", inner_pid);
  add_mapped_dumps(paths, root, process->pid);
  add_path(paths, g_strconcat(root, "/tmp/", dump, NULL));
  if (root[0] == '\0') {
    add_path(paths, g_strdup(dump)); /* in the current directory */
    add_dumps_at_home(paths, dump);
  }
  add_path(paths, g_strdup_printf("%s/tmp/perf-%" PRIu64 ".map", root, inner_pid));
  if (process->pid != 0) /* by an agent from outside */
    add_path(paths, g_strdup_printf("/tmp/perf-%d.map", process->pid));
  return paths;
}

/* False: the profile is of several, or does not say. */
static bool only_pid(const struct heap *heap, uint64_t *pid)
{
  guint pids = 0;
  g_autofree char *start = g_strconcat(COMMENT_START, COMMENT_pid, ": ", NULL);
  for (guint i = 0; i < heap->comments->len; i++)
    pids += g_str_has_prefix(g_ptr_array_index(heap->comments, i), start);
  return pids == 1 && heap_comment(heap, COMMENT_merged) == NULL && heap_comment_number(heap, COMMENT_pid, pid);
}

uint32_t generated_code_add_names(struct heap *heap, const struct generated_code_process *process, GPtrArray *problems)
{
  uint64_t pid;
  g_autoptr(GArray) addresses = wanted_addresses(heap);
  if (addresses->len == 0 || !only_pid(heap, &pid))
    return 0;
  struct code_names *names = code_names_new((const uint64_t *)(void *)addresses->data, addresses->len);
  g_autoptr(GPtrArray) paths = paths_of(process, pid);
  for (guint i = 0; i < paths->len; i++)
    read_file(g_ptr_array_index(paths, i), process, names, problems);
  uint32_t found = set_names(heap, addresses, names);
  code_names_free(names);
  return found;
}
