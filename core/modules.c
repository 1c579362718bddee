/* SPDX-License-Identifier: MIT */
#include "core/modules.h"

#include "core/compiler.h"
#include "core/on_stack.h"
#include "core/rules.h"
#include "core/sys.h"
#include "core/text.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

struct lock modules_lock;

static struct module modules[MODULES_MAX];
static _Atomic unsigned module_count;
_Atomic unsigned modules_shifted_count; /* modules whose recorded addresses differ from the real ones */
static char main_executable[MODULE_PATH_MAX];

/* Where shifted modules are recorded: no process has memory there, and each gets 4 GiB. */
#define SHIFTED_BASE (1ull << 60)

static int (*find_object)(void *address, struct dl_find_object *result);

enum { PAGE_BYTES = 4096 };

static uint64_t page_down(uint64_t address)
{
  return address & ~(uint64_t)(PAGE_BYTES - 1);
}

bool module_holds(const struct module *module, uintptr_t address, size_t size)
{
  for (unsigned i = 0; i < module->readable_count; i++)
    if (address >= module->readable[i].low && address <= module->readable[i].high &&
        size <= module->readable[i].high - address)
      return true;
  return false;
}

struct address_range module_segment(const struct module *module, uintptr_t address)
{
  for (unsigned i = 0; i < module->readable_count; i++)
    if (address >= module->readable[i].low && address < module->readable[i].high)
      return module->readable[i];
  return (struct address_range){0, 0};
}

/* Reading the object. */

struct build_id {
  uint8_t bytes[MODULE_BUILD_ID_MAX];
  uint32_t size;
};

static uint32_t padded(uint32_t size)
{
  return (size + 3) & ~3u;
}

/* The first NT_GNU_BUILD_ID note in [address, address + size), which the module holds. */
static void find_build_id(uintptr_t address, size_t size, struct build_id *id)
{
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    memcpy(&note, (const void *)address, sizeof note);
    uint64_t whole = sizeof note + (uint64_t)padded(note.n_namesz) + padded(note.n_descsz);
    if (note.n_namesz > size || note.n_descsz > size || whole > size)
      return;
    const uint8_t *name = (const uint8_t *)address + sizeof note;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
        note.n_descsz <= sizeof id->bytes) {
      memcpy(id->bytes, name + 4, note.n_descsz);
      id->size = note.n_descsz;
      return;
    }
    address += whole;
    size -= whole;
  }
}

struct image {
  const ElfW(Phdr) * headers;
  unsigned count;
  uintptr_t bias;
};

/* The program headers, through the ELF header at the start of the mapping. False: there is none, or not where expected. */
static bool read_headers(uintptr_t start, struct image *image)
{
  const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)start;
  if (start % PAGE_BYTES != 0 || !sys_is_readable(start) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > PAGE_BYTES)
    return false;
  image->headers = (const ElfW(Phdr) *)(start + header->e_phoff);
  image->count = header->e_phnum;
  for (unsigned i = 0; i < image->count; i++)
    if (image->headers[i].p_type == PT_LOAD && image->headers[i].p_offset == 0) {
      image->bias = start - image->headers[i].p_vaddr;
      return true;
    }
  return false;
}

/* What the loader knows as one object begins with the ELF header. Of an executable with gaps it tells the single segments. */
static uintptr_t find_image(const struct dl_find_object *object, struct image *image)
{
  const struct link_map *map = object->dlfo_link_map;
  bool is_main = map->l_name != NULL && map->l_name[0] == '\0';
  const uintptr_t candidates[] = {(uintptr_t)object->dlfo_map_start, map->l_addr,
                                  is_main ? page_down(getauxval(AT_PHDR)) : 0};
  for (size_t i = 0; i < COUNT_OF(candidates); i++)
    if (candidates[i] != 0 && read_headers(candidates[i], image))
      return candidates[i];
  return 0;
}

static void read_segments(const struct image *image, uintptr_t start, struct module *module)
{
  module->image = (struct address_range){start, start};
  for (unsigned i = 0; i < image->count; i++) {
    const ElfW(Phdr) *segment = &image->headers[i];
    uintptr_t low = image->bias + segment->p_vaddr, high = low + segment->p_memsz;
    if (segment->p_type != PT_LOAD)
      continue;
    if (high > module->image.high)
      module->image.high = high;
    if ((segment->p_flags & PF_R) != 0 && module->readable_count < MODULE_SEGMENTS_MAX)
      module->readable[module->readable_count++] = (struct address_range){low, low + segment->p_filesz};
  }
}

/* Writing it to the region. */

/* A relative path was relative to the directory at the time of the dlopen, most likely still this one. */
static void put_path(struct text *path, const struct link_map *map)
{
  const char *name = map->l_name;
  if (name == NULL || name[0] == '\0')
    name = main_executable;
  if (strncmp(name, "linux-vdso", 10) == 0)
    name = "[vdso]";
  if (name[0] != '/' && name[0] != '[') {
    char directory[MODULE_PATH_MAX];
    if (sys_getcwd(directory, sizeof directory) > 0 && directory[0] == '/') {
      text_put(path, directory);
      text_put(path, "/");
    }
    if (strncmp(name, "./", 2) == 0)
      name += 2;
  }
  text_put(path, name);
}

static void record_segment(struct module *module, const struct image *image, const ElfW(Phdr) * segment,
                           const struct build_id *id, const struct text *path, bool is_main)
{
  size_t path_bytes = (path->length + sizeof(uint64_t)) & ~(sizeof(uint64_t) - 1);
  size_t size =
      (sizeof(struct module_record) + path_bytes + REGION_GRANULE_BYTES - 1) & ~(size_t)(REGION_GRANULE_BYTES - 1);
  uint32_t granule;
  struct module_record *record = (struct module_record *)region_reserve(size, &granule);
  if (record == NULL || module->record_count == MODULE_SEGMENTS_MAX)
    return;
  uint64_t bias = image->bias + module->shift;
  record->start = page_down(bias + segment->p_vaddr);
  record->limit = page_down(bias + segment->p_vaddr + segment->p_memsz + PAGE_BYTES - 1);
  record->file_offset = page_down(segment->p_offset);
  record->bias = bias;
  record->is_main = is_main;
  record->build_id_bytes = id->size;
  memcpy(record->build_id, id->bytes, sizeof record->build_id);
  memcpy(record->path, path->bytes, path->length);
  size_t constant = offsetof(struct module_record, start);
  region_publish(&record->record, REGION_RECORD_MODULE, &record->start, (sizeof *record - constant + path_bytes) / 8,
                 region_hash_words(&record->start, (sizeof *record - constant + path_bytes) / 8));
  module->records[module->record_count++] = granule;
}

static void record_module(struct module *module, const struct image *image, const struct link_map *map)
{
  struct build_id id = {.size = 0};
  for (unsigned i = 0; i < image->count && id.size == 0; i++) {
    uintptr_t address = image->bias + image->headers[i].p_vaddr;
    if (image->headers[i].p_type == PT_NOTE && module_holds(module, address, image->headers[i].p_filesz))
      find_build_id(address, image->headers[i].p_filesz, &id);
  }
  char buffer[MODULE_PATH_MAX];
  struct text path = TEXT_INIT(buffer);
  put_path(&path, map);
  bool is_main = map->l_name == NULL || map->l_name[0] == '\0';
  for (unsigned i = 0; i < image->count; i++)
    if (image->headers[i].p_type == PT_LOAD && (image->headers[i].p_flags & PF_X) != 0)
      record_segment(module, image, &image->headers[i], &id, &path, is_main);
}

/* The table. */

static bool overlaps(struct address_range a, struct address_range b)
{
  return a.low < b.high && b.low < a.high;
}

static bool is_same_object(const struct module *module, const struct dl_find_object *object)
{
  uintptr_t start = (uintptr_t)object->dlfo_map_start;
  return module->link_map == object->dlfo_link_map && start >= module->image.low && start < module->image.high &&
         module->eh_frame_hdr == object->dlfo_eh_frame;
}

static void mark_unloaded(struct module *module)
{
  module->is_unloaded = true;
  for (unsigned i = 0; i < module->record_count; i++) {
    struct module_record *record = (struct module_record *)region_at(module->records[i]);
    atomic_store_explicit(&record->is_unloaded, 1, memory_order_relaxed);
  }
}

static const struct module *add_module(const struct dl_find_object *object)
{
  unsigned count = atomic_load_explicit(&module_count, memory_order_relaxed);
  struct image image;
  uintptr_t start = count < MODULES_MAX ? find_image(object, &image) : 0;
  if (start == 0)
    return NULL;
  struct module *module = &modules[count];
  memset(module, 0, sizeof *module);
  read_segments(&image, start, module);
  module->link_map = object->dlfo_link_map;
  module->found_at = (uintptr_t)object->dlfo_map_start;
  module->eh_frame_hdr = object->dlfo_eh_frame;
  for (unsigned i = 0; i < count; i++) {
    if (!overlaps(modules[i].image, module->image))
      continue;
    if (!modules[i].is_unloaded) { /* unloaded by a path that is not dlclose (gconv) */
      mark_unloaded(&modules[i]);
      atomic_fetch_add(&rule_generation, 1);
    }
    if (module->shift == 0)
      module->shift = SHIFTED_BASE + ((uint64_t)count << 32) - page_down(start);
  }
  record_module(module, &image, object->dlfo_link_map);
  if (module->shift != 0) {
    atomic_fetch_add(&modules_shifted_count, 1);
    atomic_fetch_add(&rule_generation, 1); /* trails of before have its addresses as they are */
  }
  atomic_store_explicit(&module_count, count + 1, memory_order_release);
  return module;
}

const struct module *modules_find(uintptr_t pc)
{
  INVARIANT(atomic_load(&modules_lock.holder) == lock_thread_identity());
  struct dl_find_object object;
  if (find_object == NULL || find_object((void *)pc, &object) != 0)
    return NULL;
  unsigned count = atomic_load_explicit(&module_count, memory_order_relaxed);
  for (unsigned i = count; i-- > 0;)
    if (!modules[i].is_unloaded && is_same_object(&modules[i], &object))
      return &modules[i];
  return add_module(&object);
}

/* Whatever is no longer found where it was is gone. An object that took its very place in the meantime is told apart when one of
 * its pcs is compiled; until then stale rules cost short or wrong stacks, never a fault. */
static void check_unloaded(void)
{
  unsigned count = atomic_load_explicit(&module_count, memory_order_relaxed);
  bool any = false;
  for (unsigned i = 0; i < count; i++) {
    struct dl_find_object object;
    if (modules[i].is_unloaded ||
        (find_object((void *)modules[i].found_at, &object) == 0 && is_same_object(&modules[i], &object)))
      continue;
    mark_unloaded(&modules[i]);
    any = true;
  }
  if (any)
    atomic_fetch_add(&rule_generation, 1);
}

void modules_check_unloaded(void)
{
  if (find_object == NULL)
    return;
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&modules_lock)) {
    check_unloaded();
    lock_release(&modules_lock);
  } else {
    atomic_fetch_add(&rule_generation, 1); /* not knowing what went, forget all rules */
  }
  signals_restore(before);
}

uint64_t modules_shifted_pc(uintptr_t pc)
{
  for (unsigned i = atomic_load_explicit(&module_count, memory_order_acquire); i-- > 0;)
    if (!modules[i].is_unloaded && pc >= modules[i].image.low && pc < modules[i].image.high)
      return pc + modules[i].shift;
  return pc;
}

struct module_record *modules_next(uint64_t *position)
{
  struct region_record *record;
  while ((record = region_next(position, REGION_RECORD_MODULE)) != NULL) {
    struct module_record *module = (struct module_record *)record;
    if (record->constant_offset == offsetof(struct module_record, start) && record->size_bytes > sizeof *module &&
        module->build_id_bytes <= MODULE_BUILD_ID_MAX &&
        memchr(module->path, '\0', record->size_bytes - sizeof *module) != NULL)
      return module;
  }
  return NULL;
}

bool modules_init(const char *main_path)
{
  struct text path = TEXT_INIT(main_executable);
  text_put(&path, main_path);
  *(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
  return find_object != NULL;
}
