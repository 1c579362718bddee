/* SPDX-License-Identifier: MIT */
#include "core/module_names.h"

#include "core/libc.h"
#include "core/sys.h"
#include "core/text.h"

#include <sys/auxv.h>

static const char running_program[] = "/proc/self/exe";

/* The kernel tells the address of the loader that it brought in; of a loader that was started with the program as its
 * argument, none. Then the program that runs is the loader. */
static bool kernel_started_it(const struct module_record *module)
{
  return module->is_main != 0 && getauxval(AT_BASE) != 0;
}

/* Without a build id only the program's own file can be told from one that took its place. */
static bool is_replaced_program(const struct module_record *module, const char *path)
{
  struct stat named, running;
  return module->build_id_bytes == 0 && kernel_started_it(module) && sys_stat(path, &named) == 0 &&
         sys_stat(running_program, &running) == 0 && (named.st_ino != running.st_ino || named.st_dev != running.st_dev);
}

/* Open for root only, and only where it is recorded as it lies. Of a file without a build id it is the right one, too.
 */
static void put_mapped_file(struct text *path, const struct module_record *module)
{
  text_put(path, "/proc/self/map_files/");
  text_put_hex(path, module->start);
  text_put(path, "-");
  text_put_hex(path, module->limit);
}

static enum elfsym_table resolve(const char *path, const struct module_record *module, struct elfsym_query *queries,
                                 size_t count, struct arena *arena)
{
  return elfsym_resolve(path, module->build_id, module->build_id_bytes, queries, count, arena);
}

struct module_names module_names_find(const struct module_record *module, const char *path,
                                      struct elfsym_query *queries, size_t count, struct arena *arena)
{
  struct module_names names = {.is_elsewhere = is_replaced_program(module, path)};
  names.table = names.is_elsewhere ? ELFSYM_OTHER_FILE : resolve(path, module, queries, count, arena);
  names.is_elsewhere = names.table == ELFSYM_OTHER_FILE;
  if (names.table <= ELFSYM_OTHER_FILE && kernel_started_it(module))
    names.table = resolve(running_program, module, queries, count, arena);
  bool may_lie_there =
      atomic_load_explicit(&module->is_unloaded, memory_order_relaxed) == 0 || module->build_id_bytes > 0;
  if (names.table <= ELFSYM_OTHER_FILE && may_lie_there) {
    char mapped[64];
    struct text text = TEXT_INIT(mapped);
    put_mapped_file(&text, module);
    names.table = resolve(mapped, module, queries, count, arena);
  }
  return names;
}
