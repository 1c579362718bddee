/* SPDX-License-Identifier: MIT */
#include "core/module_names.h"

#include "core/address_map.h"
#include "core/cfi/cfi.h"
#include "core/libc.h"
#include "core/sys.h"
#include "core/text.h"

#include <sys/auxv.h>

enum { STAND_IN_BYTES = 320 }; /* more than a file's name can have */

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

/* Names that stand in for better ones. */

const char *module_names_stand_in(const char *path, struct arena *arena)
{
  char name[STAND_IN_BYTES];
  struct text text = TEXT_INIT(name);
  const char *base = text_basename(path);
  bool is_bare = base[0] != '[';
  text_put(&text, is_bare ? "[" : "");
  text_put(&text, base);
  text_put(&text, is_bare ? "]" : "");
  return arena_copy_text(arena, name, text.length);
}

static const char *name_by_start(const char *path, uint64_t start, struct arena *arena)
{
  char name[STAND_IN_BYTES];
  struct text text = TEXT_INIT(name);
  text_put(&text, text_basename(path));
  text_put(&text, "+0x");
  text_put_hex(&text, start);
  return arena_copy_text(arena, name, text.length);
}

/* Is what lies there now what was recorded there? */
static bool lies_there(const struct module_record *module)
{
  return atomic_load_explicit(&module->is_unloaded, memory_order_relaxed) == 0 && module->path[0] == '/';
}

static bool find_function(const struct module_record *module, uint64_t pc, struct address_range *function)
{
  return lies_there(module) && address_map_get((uintptr_t)pc) == pc && cfi_find_function((uintptr_t)pc, function);
}

/* Those that no symbol names, after where their function starts in the file. */
static void name_the_rest(const struct module_record *module, const char *path, struct elfsym_query *queries,
                          size_t count, struct arena *arena)
{
  struct address_range function = {0, 0};
  const char *of_function = NULL, *of_module = NULL;
  for (size_t i = 0; i < count; i++) {
    uint64_t pc = queries[i].address + module->bias;
    if (queries[i].name != NULL)
      continue;
    if ((pc < function.low || pc >= function.high) && find_function(module, pc, &function))
      of_function = name_by_start(path, queries[i].start = function.low - module->bias, arena);
    if (pc >= function.low && pc < function.high)
      queries[i].name = of_function;
    else
      queries[i].name = of_module = of_module != NULL ? of_module : module_names_stand_in(path, arena);
  }
}

static void name_by_symbols(const struct module_record *module, const char *path, struct elfsym_query *queries,
                            size_t count, struct arena *arena)
{
  enum elfsym_table table = ELFSYM_OTHER_FILE;
  if (!is_replaced_program(module, path))
    table = resolve(path, module, queries, count, arena);
  if (table <= ELFSYM_OTHER_FILE && kernel_started_it(module))
    table = resolve(running_program, module, queries, count, arena);
  bool may_lie_there =
      atomic_load_explicit(&module->is_unloaded, memory_order_relaxed) == 0 || module->build_id_bytes > 0;
  if (table <= ELFSYM_OTHER_FILE && may_lie_there) {
    char mapped[64];
    struct text text = TEXT_INIT(mapped);
    put_mapped_file(&text, module);
    (void)resolve(mapped, module, queries, count, arena);
  }
}

void module_names_find(const struct module_record *module, const char *path, struct elfsym_query *queries, size_t count,
                       struct arena *arena)
{
  name_by_symbols(module, path, queries, count, arena);
  name_the_rest(module, path, queries, count, arena);
}
