/* SPDX-License-Identifier: MIT */
#include "core/modules.h"

#include "core/compiler.h"
#include "core/libc.h"
#include "core/loader/loaded.h"
#include "core/on_stack.h"
#include "core/rules.h"
#include "core/sys.h"
#include "core/text.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

_Static_assert((int)BUILD_ID_MAX_BYTES == (int)MODULE_BUILD_ID_MAX, "records hold what is found");

struct lock modules_lock;

/* The table grows by chunks, as most programs have few modules. */
enum { CHUNK_MODULES = 64 };
static LARGE struct module first_chunk[CHUNK_MODULES];
static struct module *chunks[MODULES_MAX / CHUNK_MODULES] = {first_chunk};
static unsigned module_count; /* of the table in use */
static uint64_t unloadings;
static char main_executable[MODULE_PATH_MAX];
static bool are_of_erlang;
static const struct link_map *first_loaded, *last_loaded; /* of those that the program started with */

/* Where modules are recorded whose place was another one's: each gets 4 GiB. */
#define SHIFTED_BASE (1ull << 60)
static uint64_t shifted_count;

/* Modules in ascending order of an address each. What is counted lies together, for few have more than a dozen. */
struct order {
  unsigned count;
  struct placed {
    uint64_t address;
    unsigned slot;
  } * places;
};

static LARGE struct placed loaded_places[MODULES_MAX], recorded_places[MODULES_MAX];
static struct order loaded = {0, loaded_places}; /* by where they lie */
/* By where they are recorded, if that is where a process has memory. */
static struct order recorded = {0, recorded_places};
static struct address_range forgotten; /* around the recorded places of those whose slot was given to another one */

static struct module *module_in(unsigned slot)
{
  return &chunks[slot / CHUNK_MODULES][slot % CHUNK_MODULES];
}

/* False: there is no memory. */
static bool make_chunk_for(unsigned slot)
{
  struct module **chunk = &chunks[slot / CHUNK_MODULES];
  if (*chunk != NULL)
    return true;
  *chunk = sys_map_anonymous(CHUNK_MODULES * sizeof **chunk);
  if (*chunk != NULL)
    region_add_own(*chunk, CHUNK_MODULES * sizeof **chunk);
  return *chunk != NULL;
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

/* Positions in an order. */

/* How many lie at `address` or below. */
static unsigned count_up_to(const struct order *order, uint64_t address)
{
  unsigned low = 0, high = order->count;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    if (order->places[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void move(struct order *order, unsigned from, unsigned to)
{
  memmove(&order->places[to], &order->places[from], (order->count - from) * sizeof *order->places);
  order->count += to - from;
}

static void order_add(struct order *order, uint64_t address, unsigned slot)
{
  unsigned at = count_up_to(order, address);
  INVARIANT(order->count < MODULES_MAX);
  move(order, at, at + 1);
  order->places[at] = (struct placed){address, slot};
}

static void order_remove(struct order *order, uint64_t address, unsigned slot)
{
  for (unsigned at = count_up_to(order, address); at-- > 0 && order->places[at].address == address;)
    if (order->places[at].slot == slot) {
      move(order, at + 1, at);
      return;
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

/* What there is to know of an object that is not in the table. */
struct description {
  struct module module;
  struct object_image image;
  struct build_id id;
  bool is_main;
  size_t path_bytes;                                 /* whole words */
  _Alignas(uint64_t) char path[MODULE_PATH_MAX + 8]; /* padded with zeros */
};

static void record_segment(const struct description *of, struct module *module, const ElfW(Phdr) * segment)
{
  size_t size =
      (sizeof(struct module_record) + of->path_bytes + REGION_GRANULE_BYTES - 1) & ~(size_t)(REGION_GRANULE_BYTES - 1);
  uint32_t granule;
  struct module_record *record = NULL;
  if (module->record_count < MODULE_SEGMENTS_MAX)
    record = (struct module_record *)region_reserve(size, &granule);
  if (record == NULL) {
    region_lose(LOSS_module_table);
    return;
  }
  uint64_t bias = of->image.bias + module->shift;
  record->start = object_page_down(bias + segment->p_vaddr);
  record->limit = object_page_up(bias + segment->p_vaddr + segment->p_memsz);
  record->file_offset = object_page_down(segment->p_offset);
  record->bias = bias;
  record->is_main = of->is_main;
  record->build_id_bytes = of->id.size;
  memcpy(record->build_id, of->id.bytes, sizeof record->build_id);
  memcpy(record->path, of->path, of->path_bytes);
  size_t words = (sizeof *record - offsetof(struct module_record, start) + of->path_bytes) / sizeof(uint64_t);
  region_publish(&record->record, REGION_RECORD_MODULE, &record->start, words,
                 region_hash_words(&record->start, words));
  module->records[module->record_count++] = granule;
}

static void record_module(const struct description *of, struct module *module)
{
  for (unsigned i = 0; i < of->image.count; i++)
    if (of->image.headers[i].p_type == PT_LOAD && (of->image.headers[i].p_flags & PF_X) != 0)
      record_segment(of, module, &of->image.headers[i]);
}

static void set_unloaded(const struct module *module, uint32_t is_unloaded)
{
  for (unsigned i = 0; i < module->record_count; i++) {
    struct module_record *record = (struct module_record *)region_at(module->records[i]);
    atomic_store_explicit(&record->is_unloaded, is_unloaded, memory_order_relaxed);
  }
}

/* Reading the object. */

static void describe_segments(const struct object_image *image, struct module *module)
{
  for (unsigned i = 0; i < image->count && module->readable_count < MODULE_SEGMENTS_MAX; i++) {
    struct address_range range = object_image_readable(image, i);
    if (range.high > range.low)
      module->readable[module->readable_count++] = range;
  }
}

/* What does not depend on its name. */
static void describe_image(const struct dl_find_object *object, const struct object_image *image, struct module *module)
{
  *module = (struct module){
      .link_map = object->dlfo_link_map,
      .image = image->range,
      .eh_frame_hdr = object->dlfo_eh_frame,
      .keeps_frames = object_image_keeps_frames(image),
      .entry = object_image_entry(image),
      .found_at = (uintptr_t)object->dlfo_map_start,
  };
  describe_segments(image, module);
}

static bool describe(const struct dl_find_object *object, struct description *of)
{
  const struct link_map *map = object->dlfo_link_map;
  memset(of, 0, sizeof *of);
  if (!object_image_open(object, &of->image))
    return false;
  of->id = object_image_build_id(&of->image);
  of->is_main = map->l_name == NULL || map->l_name[0] == '\0';
  struct text path = {.bytes = of->path, .capacity = MODULE_PATH_MAX};
  put_path(&path, map);
  of->path_bytes = (path.length + sizeof(uint64_t)) & ~(sizeof(uint64_t) - 1);
  describe_image(object, &of->image, &of->module);
  of->module.fingerprint = object_image_fingerprint(&of->image, &of->id) ^
                           region_hash_words((const uint64_t *)of->path, of->path_bytes / sizeof(uint64_t));
  return true;
}

bool modules_look(uintptr_t pc, struct module *module)
{
  struct dl_find_object object;
  struct object_image image;
  if (!loaded_find(pc, &object) || !object_image_open(&object, &image))
    return false;
  describe_image(&object, &image, module);
  return true;
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

static bool is_still_there(const struct module *module)
{
  struct dl_find_object object;
  return loaded_find(module->found_at, &object) && is_same_object(module, &object);
}

/* As far as processes have memory there; else empty. */
static struct address_range recorded_place(const struct module *module)
{
  struct address_range place = {module->image.low + module->shift, module->image.high + module->shift};
  return place.low < SHIFTED_BASE ? place : (struct address_range){0, 0};
}

static void fill_address_map(void)
{
  for (unsigned i = 0; i < loaded.count; i++) {
    const struct module *module = module_in(loaded.places[i].slot);
    address_map_add_loaded(module->image.low, module->image.high, module->shift);
  }
  for (unsigned i = 0; i < recorded.count; i++) {
    const struct module *module = module_in(recorded.places[i].slot);
    struct address_range place = recorded_place(module);
    if (module->unloaded_at != 0 || module->shift != 0)
      address_map_add_past(place.low, place.high);
  }
  address_map_set_past_span(forgotten.low, forgotten.high);
}

/* Which addresses are recorded has changed. Rules and trails of before have the old ones. */
static void renew_address_map(void)
{
  if (address_map_begin()) {
    fill_address_map();
    address_map_end();
  }
  atomic_fetch_add(&rule_generation, 1);
}

static void mark_unloaded(unsigned slot)
{
  struct module *module = module_in(slot);
  module->unloaded_at = ++unloadings;
  order_remove(&loaded, module->image.low, slot);
  set_unloaded(module, 1);
}

static void mark_loaded(unsigned slot)
{
  module_in(slot)->unloaded_at = 0;
  order_add(&loaded, module_in(slot)->image.low, slot);
}

/* Marks those that are gone, of all or of those that lay in a place. True: there are some. */
static bool mark_gone(const struct address_range *place)
{
  bool any = false;
  for (unsigned i = loaded.count; i-- > 0;) {
    unsigned slot = loaded.places[i].slot;
    if ((place != NULL && !overlaps(module_in(slot)->image, *place)) || is_still_there(module_in(slot)))
      continue;
    mark_unloaded(slot);
    any = true;
  }
  return any;
}

/* Slots. MODULES_MAX: there is none. */

static unsigned find_again(const struct module *fresh)
{
  for (unsigned i = 0; i < module_count; i++)
    if (module_in(i)->unloaded_at != 0 && module_in(i)->fingerprint == fresh->fingerprint &&
        module_in(i)->image.high - module_in(i)->image.low == fresh->image.high - fresh->image.low)
      return i;
  return MODULES_MAX;
}

/* What was recorded of it stays in the region. */
static void forget(unsigned slot)
{
  struct address_range place = recorded_place(module_in(slot));
  if (place.high == 0)
    return;
  order_remove(&recorded, place.low, slot);
  if (forgotten.high == 0 || place.low < forgotten.low)
    forgotten.low = place.low;
  if (place.high > forgotten.high)
    forgotten.high = place.high;
}

static unsigned take_slot(void)
{
  unsigned oldest = MODULES_MAX;
  if (module_count < MODULES_MAX && make_chunk_for(module_count))
    return module_count++;
  for (unsigned i = 0; i < module_count; i++)
    if (module_in(i)->unloaded_at != 0 &&
        (oldest == MODULES_MAX || module_in(i)->unloaded_at < module_in(oldest)->unloaded_at))
      oldest = i;
  if (oldest < MODULES_MAX)
    forget(oldest);
  return oldest;
}

static bool was_recorded(struct address_range place)
{
  if (overlaps(place, forgotten))
    return true;
  for (unsigned i = 0; i < recorded.count; i++)
    if (overlaps(place, recorded_place(module_in(recorded.places[i].slot))))
      return true;
  return false;
}

static struct module *load_new(const struct description *of)
{
  unsigned slot = take_slot();
  if (slot == MODULES_MAX) {
    region_lose(LOSS_module_table);
    return NULL;
  }
  struct module *module = module_in(slot);
  *module = of->module;
  if (was_recorded(module->image))
    module->shift = SHIFTED_BASE + (shifted_count++ << 32) - module->image.low;
  else
    order_add(&recorded, module->image.low, slot);
  record_module(of, module);
  mark_loaded(slot);
  return module;
}

static struct module *load_again(unsigned slot, const struct description *of)
{
  struct module *module = module_in(slot), before = *module;
  *module = of->module;
  module->shift = before.image.low + before.shift - module->image.low;
  module->frames = before.frames;
  eh_frame_move(&module->frames, module->image.low - before.image.low);
  module->frames_are_known = before.frames_are_known;
  module->frames_are_checked = before.frames_are_checked;
  module->record_count = before.record_count;
  memcpy(module->records, before.records, sizeof module->records);
  set_unloaded(module, 0);
  mark_loaded(slot);
  return module;
}

static struct module *add_module(const struct dl_find_object *object)
{
  struct description description;
  if (!describe(object, &description))
    return NULL;
  bool any_gone = mark_gone(&description.module.image); /* unloaded by a path that is not dlclose (gconv) */
  unsigned slot = find_again(&description.module);
  bool is_again = slot < MODULES_MAX;
  struct module *module = is_again ? load_again(slot, &description) : load_new(&description);
  if (any_gone || is_again || (module != NULL && module->shift != 0) || address_map_is_in_use())
    renew_address_map();
  return module;
}

struct module *modules_find(uintptr_t pc)
{
  INVARIANT(lock_is_ours(&modules_lock));
  struct dl_find_object object;
  if (!loaded_find(pc, &object))
    return NULL;
  /* Nearly always the last one that begins before the pc; objects with gaps may have others inside. */
  for (unsigned i = count_up_to(&loaded, pc); i-- > 0;)
    if (is_same_object(module_in(loaded.places[i].slot), &object))
      return module_in(loaded.places[i].slot);
  return add_module(&object);
}

/* A module that is no longer found at its place is gone. An object that took exactly its place in the meantime is
 * noticed when one of its pcs is compiled; until then stale rules cost short or wrong stacks, never a fault. */
static void check_unloaded(void)
{
  if (mark_gone(NULL))
    renew_address_map();
}

void modules_check_unloaded(void)
{
  if (!loaded_are_known())
    return;
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&modules_lock)) {
    check_unloaded();
    lock_release(&modules_lock);
  } else {
    atomic_fetch_add(&rule_generation, 1); /* we do not know what was unloaded, so forget all rules */
  }
  signals_restore(before);
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

/* Where the loader was started, with the program as its argument, it is that itself. */
static uintptr_t loader_address(void)
{
  uintptr_t base = getauxval(AT_BASE);
  return base != 0 ? base : getauxval(AT_PHDR);
}

/* What is loaded later comes behind them in the loader's list. If we do so ourselves, libraries that may be unloaded
 * lie before us; no such one lies before the loader, which is put there when the program starts. */
static void note_first_objects(void)
{
  struct dl_find_object program, loader, own;
  if (!loaded_find(getauxval(AT_PHDR), &program) || !loaded_find(loader_address(), &loader) ||
      !loaded_find((uintptr_t)note_first_objects, &own))
    return;
  first_loaded = program.dlfo_link_map;
  while (first_loaded->l_prev != NULL) /* the loader was started */
    first_loaded = first_loaded->l_prev;
  bool is_before_loader = false;
  for (last_loaded = first_loaded; last_loaded->l_next != NULL; last_loaded = last_loaded->l_next) {
    is_before_loader = is_before_loader || last_loaded == own.dlfo_link_map;
    if (last_loaded == loader.dlfo_link_map && !is_before_loader)
      return;
  }
}

const struct link_map *modules_next_permanent(const struct link_map *map)
{
  if (map == NULL)
    return first_loaded;
  return map != last_loaded ? map->l_next : NULL;
}

bool modules_are_permanent(const void *link_map)
{
  const struct link_map *map = modules_next_permanent(NULL);
  while (map != NULL && map != link_map)
    map = modules_next_permanent(map);
  return map != NULL;
}

static bool is_erlang(const char *path)
{
  const char *slash = strrchr(path, '/');
  return slash != NULL && strncmp(slash, "/beam.", sizeof "/beam." - 1) == 0;
}

bool modules_are_of_erlang(void)
{
  return are_of_erlang;
}

void modules_init(const char *main_path)
{
  struct text path = TEXT_INIT(main_executable);
  text_put(&path, main_path);
  are_of_erlang = is_erlang(main_path);
  note_first_objects();
}
