/* SPDX-License-Identifier: MIT */
#include "core/profile.h"

#include "core/allocation_names.h"
#include "core/compiler.h"
#include "core/cuts.h"
#include "core/inherited.h"
#include "core/lanes/own_stacks.h"
#include "core/module_names.h"
#include "core/modules.h"
#include "core/peak.h"
#include "core/region.h"
#include "core/stacks.h"
#include "core/text.h"

#include <string.h>

/* The first four are those of Go's heap profiles, which scrapers expect where they are. */
const char *const profile_value_names[PROFILE_VALUES] = {"alloc_objects", "alloc_space",  "inuse_objects",
                                                         "inuse_space",   "peak_objects", "peak_space"};
const char *const profile_value_units[PROFILE_VALUES] = {"count", "bytes", "count", "bytes", "count", "bytes"};

/* Tables begin small: a process that lived for a few milliseconds pays for each page that it touches. */
enum { PAGE_BYTES = 4096, TEXTS_FIRST = 128, LOCATIONS_FIRST = 128 };

/* Strings. */

static uint64_t hash_text(const char *text, size_t length)
{
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
  return hash ^ hash >> 32;
}

static uint32_t *string_slot(struct string_table *table, const char *text, size_t length)
{
  for (size_t i = (size_t)hash_text(text, length);; i++) {
    uint32_t *slot = &table->slots[i & (table->slot_count - 1)];
    if (*slot == 0 ||
        (table->entries[*slot - 1].length == length && memcmp(table->entries[*slot - 1].text, text, length) == 0))
      return slot;
  }
}

/* Doubles the table; the old arrays stay in the arena. */
static bool grow_strings(struct string_table *table, struct arena *arena)
{
  struct string_table larger = {.capacity = table->capacity == 0 ? TEXTS_FIRST : table->capacity * 2,
                                .count = table->count};
  larger.slot_count = larger.capacity * 2;
  larger.entries = arena_get_array(arena, larger.capacity, sizeof *larger.entries);
  larger.slots = arena_get_array(arena, larger.slot_count, sizeof *larger.slots);
  if (larger.entries == NULL || larger.slots == NULL)
    return false;
  if (table->count > 0)
    memcpy(larger.entries, table->entries, table->count * sizeof *table->entries);
  for (size_t i = 0; i < larger.count; i++)
    *string_slot(&larger, larger.entries[i].text, larger.entries[i].length) = (uint32_t)i + 1;
  *table = larger;
  return true;
}

/* The id of a copy of valid text; 0, which is "", when memory runs out (the arena knows). */
static profile_string intern_valid(struct profile *profile, struct arena *arena, const char *text)
{
  struct string_table *table = &profile->strings;
  size_t length = strlen(text);
  if (table->count == table->capacity && !grow_strings(table, arena))
    return 0;
  uint32_t *slot = string_slot(table, text, length);
  if (*slot != 0)
    return *slot - 1;
  const char *copy = arena_copy_text(arena, text, length);
  if (copy == NULL)
    return 0;
  table->entries[table->count++] = (struct string_entry){.text = copy, .length = length};
  *slot = (uint32_t)table->count;
  return *slot - 1;
}

/* Protocol buffers want UTF-8: some readers would reject the whole profile because of one file's name. */
static profile_string intern(struct profile *profile, struct arena *arena, const char *text)
{
  if (LIKELY(text_is_utf8(text)))
    return intern_valid(profile, arena, text);
  char *valid = arena_copy_text(arena, text, strlen(text));
  if (valid == NULL)
    return 0;
  text_make_utf8(valid);
  return intern_valid(profile, arena, valid);
}

bool profile_add_comment(struct profile *profile, struct arena *arena, const char *line)
{
  if (profile->comment_count == PROFILE_COMMENTS_MAX)
    return false;
  profile->comments[profile->comment_count] = intern(profile, arena, line);
  return profile->comments[profile->comment_count++] != 0;
}

/* Locations: a hash set of addresses. */

struct location_set {
  uint32_t *slots; /* ids */
  size_t slot_count;
  size_t capacity; /* of profile->locations */
};

static uint32_t *location_slot(const struct profile *profile, const struct location_set *set, uint64_t address)
{
  for (size_t i = (size_t)(address * 0x9e3779b97f4a7c15u >> 20);; i++) {
    uint32_t *slot = &set->slots[i & (set->slot_count - 1)];
    if (*slot == 0 || profile->locations[*slot - 1].address == address)
      return slot;
  }
}

static bool grow_locations(struct profile *profile, struct location_set *set, struct arena *arena)
{
  size_t capacity = set->capacity == 0 ? LOCATIONS_FIRST : set->capacity * 2;
  struct profile_location *locations = arena_get_array(arena, capacity, sizeof *locations);
  struct location_set larger = {.capacity = capacity, .slot_count = capacity * 2};
  larger.slots = arena_get_array(arena, larger.slot_count, sizeof *larger.slots);
  if (locations == NULL || larger.slots == NULL)
    return false;
  if (profile->location_count > 0)
    memcpy(locations, profile->locations, profile->location_count * sizeof *locations);
  profile->locations = locations;
  for (size_t i = 0; i < profile->location_count; i++)
    *location_slot(profile, &larger, locations[i].address) = (uint32_t)i + 1;
  *set = larger;
  return true;
}

static uint32_t location_id(struct profile *profile, struct location_set *set, uint64_t address, struct arena *arena)
{
  if (profile->location_count == set->capacity && !grow_locations(profile, set, arena))
    return 0;
  uint32_t *slot = location_slot(profile, set, address);
  if (*slot == 0) {
    profile->locations[profile->location_count++] = (struct profile_location){.address = address};
    *slot = (uint32_t)profile->location_count;
  }
  return *slot;
}

/* Samples. */

/* Stands for the stacks that found no room in the region; an address no program has. */
#define STAND_IN_ADDRESS ((uint64_t)PAGE_BYTES)
static const char stand_in_name[] = "[stack table full]";

static void add_total(struct profile *profile, enum profile_value value, double estimate, double variance)
{
  profile->totals[value].estimate += estimate;
  profile->totals[value].standard_error += variance; /* the root is taken at the end */
}

static void read_pair(struct profile *profile, const struct tally_sums *sums, enum profile_value objects,
                      struct profile_sample *sample)
{
  enum profile_value space = objects + 1;
  sample->values[objects] = (int64_t)((sums->objects_q16 + (1 << 15)) >> 16);
  sample->values[space] = (int64_t)((sums->bytes_q4 + (1 << 3)) >> 4);
  sample->variances[objects] = (float)sums->variance_objects;
  sample->variances[space] = (float)sums->variance_bytes;
  add_total(profile, objects, (double)sums->objects_q16 * 0x1p-16, sums->variance_objects);
  add_total(profile, space, (double)sums->bytes_q4 * 0x1p-4, sums->variance_bytes);
}

static void read_values(struct profile *profile, const struct stack_record *stack, const struct peak_moments *moments,
                        struct profile_sample *sample)
{
  struct tally_sums peak = peak_read(stack, moments);
  struct stack_sums sums = stacks_read(stack);
  read_pair(profile, &sums.allocated, PROFILE_ALLOC_OBJECTS, sample);
  read_pair(profile, &sums.in_use, PROFILE_INUSE_OBJECTS, sample);
  read_pair(profile, &peak, PROFILE_PEAK_OBJECTS, sample);
}

static void put_in_use_at_peak(struct profile *profile)
{
  for (unsigned value = 0; value < 2; value++) {
    unsigned from = PROFILE_INUSE_OBJECTS + value, to = PROFILE_PEAK_OBJECTS + value;
    for (size_t i = 0; i < profile->sample_count; i++) {
      profile->samples[i].values[to] = profile->samples[i].values[from];
      profile->samples[i].variances[to] = profile->samples[i].variances[from];
    }
    profile->totals[to] = profile->totals[from];
  }
}

static bool is_all_zero(const int64_t values[PROFILE_VALUES])
{
  int64_t any = 0;
  for (unsigned value = 0; value < PROFILE_VALUES; value++)
    any |= values[value];
  return any == 0;
}

/* Samples lie in the order of their records. */
static struct profile_sample *find_sample(const struct profile *profile, uint32_t stack)
{
  size_t low = 0, high = profile->sample_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (profile->samples[middle].stack < stack)
      low = middle + 1;
    else
      high = middle;
  }
  return low < profile->sample_count && profile->samples[low].stack == stack ? &profile->samples[low] : NULL;
}

/* Of the others, or of who else counted apart, as where all that was shared has ended before a fork. */
static struct profile_sample *find_shared(const struct profile *profile, uint32_t own)
{
  uint32_t shared = own_stacks_shared(own), other;
  unsigned position = 0;
  struct profile_sample *sample = find_sample(profile, shared);
  while (sample == NULL && (other = own_stacks_next(shared, &position)) != 0)
    sample = find_sample(profile, other);
  return sample;
}

/* What some threads counted apart. False: there is no sample of the others. */
static bool add_to_shared(const struct profile *profile, const struct profile_sample *own)
{
  struct profile_sample *shared = find_shared(profile, own->stack);
  if (shared == NULL)
    return false;
  for (unsigned value = 0; value < PROFILE_VALUES; value++) {
    shared->values[value] += own->values[value];
    shared->variances[value] += own->variances[value];
  }
  return true;
}

static bool add_sample(struct profile *profile, struct location_set *set, const struct stack_record *stack,
                       const struct peak_moments *moments, struct arena *arena)
{
  static const uint64_t stand_in_pc = STAND_IN_ADDRESS;
  struct profile_sample *sample = &profile->samples[profile->sample_count];
  bool is_stand_in = (stack->flags & STACK_TABLE_FULL) != 0;
  const uint64_t *pcs = is_stand_in ? &stand_in_pc : stack->pcs;
  uint32_t depth = is_stand_in ? 1 : stack->record.constant_words;
  read_values(profile, stack, moments, sample);
  if (is_all_zero(sample->values) || depth == 0)
    return true;
  if (UNLIKELY((stack->flags & STACK_OWN) != 0) && add_to_shared(profile, sample))
    return true;
  uint32_t *ids = arena_get_array(arena, depth, sizeof *ids);
  if (ids == NULL)
    return false;
  for (uint32_t i = 0; i < depth; i++)
    if ((ids[i] = location_id(profile, set, pcs[i], arena)) == 0)
      return false;
  sample->locations = ids;
  sample->location_count = depth;
  sample->cut = (stack->flags & STACK_TRUNCATED) != 0 ? intern(profile, arena, cut_label(cut_of(stack->flags))) : 0;
  sample->is_inherited = (stack->flags & STACK_INHERITED) != 0;
  profile->sample_count++;
  return true;
}

static bool add_samples(struct profile *profile, struct arena *arena)
{
  struct location_set set = {.slots = NULL};
  const struct region_header *header = region_header();
  struct peak_moments moments = {.is_whole = false};
  if (header != NULL)
    moments = peak_moments(header);
  size_t most = 0;
  uint64_t position = 0;
  while (stacks_next(&position) != NULL)
    most++;
  profile->samples = arena_get_array(arena, most, sizeof *profile->samples);
  if (profile->samples == NULL)
    return false;
  position = 0;
  struct stack_record *stack;
  for (size_t i = 0; i < most && (stack = stacks_next(&position)) != NULL; i++) {
    profile->samples[profile->sample_count].stack =
        (uint32_t)((position - stack->record.size_bytes) / REGION_GRANULE_BYTES);
    if (!add_sample(profile, &set, stack, &moments, arena))
      return false;
  }
  if (peak_is_now(&moments, profile->totals[PROFILE_INUSE_SPACE].estimate,
                  profile->totals[PROFILE_PEAK_SPACE].estimate))
    put_in_use_at_peak(profile);
  for (unsigned value = 0; value < PROFILE_VALUES; value++)
    profile->totals[value].standard_error = arch_square_root(profile->totals[value].standard_error);
  return true;
}

/* Mappings. */

/* Locations in the order of their addresses. Heapsort: qsort may allocate. */
static uint64_t sort_key(const struct profile *profile, uint32_t id)
{
  return profile->locations[id - 1].address;
}

static void sift_down(const struct profile *profile, uint32_t *ids, size_t root, size_t count)
{
  for (size_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && sort_key(profile, ids[child]) < sort_key(profile, ids[child + 1]))
      child++;
    if (sort_key(profile, ids[root]) >= sort_key(profile, ids[child]))
      return;
    uint32_t swap = ids[root];
    ids[root] = ids[child];
    ids[child] = swap;
  }
}

static uint32_t *sorted_locations(const struct profile *profile, struct arena *arena)
{
  size_t count = profile->location_count;
  uint32_t *ids = arena_get_array(arena, count, sizeof *ids);
  if (ids == NULL)
    return NULL;
  for (size_t i = 0; i < count; i++)
    ids[i] = (uint32_t)i + 1;
  for (size_t i = count / 2; i-- > 0;)
    sift_down(profile, ids, i, count);
  for (size_t end = count; end-- > 1;) {
    uint32_t last = ids[end];
    ids[end] = ids[0];
    ids[0] = last;
    sift_down(profile, ids, 0, end);
  }
  return ids;
}

static size_t first_at_or_after(const struct profile *profile, const uint32_t *sorted, uint64_t address)
{
  size_t low = 0, high = profile->location_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sort_key(profile, sorted[middle]) < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void add_function(struct profile *profile, struct profile_location *location, const char *name,
                         struct arena *arena)
{
  profile_string id = intern(profile, arena, name);
  struct string_entry *entry = &profile->strings.entries[id];
  if (id == 0)
    return;
  if (entry->function == 0) {
    profile->functions[profile->function_count++] = (struct profile_function){.name = id};
    entry->function = (uint32_t)profile->function_count;
  }
  location->function = entry->function;
}

/* Names for the locations sorted[0..count) of a mapping. */
static bool add_names(struct profile *profile, const struct module_record *module,
                      const struct profile_mapping *mapping, const uint32_t *sorted, size_t count, struct arena *arena)
{
  struct elfsym_query *queries = arena_get_array(arena, count, sizeof *queries);
  if (queries == NULL)
    return false;
  for (size_t i = 0; i < count; i++)
    queries[i].address = sort_key(profile, sorted[i]) - module->bias;
  const char *path = profile->strings.entries[mapping->path].text;
  module_names_find(module, path, queries, count, arena);
  for (size_t i = 0; i < count; i++)
    if (queries[i].name != NULL)
      add_function(profile, &profile->locations[sorted[i] - 1], queries[i].name, arena);
  return true;
}

/* Readers that apply drop_frames would leave them out too. */
static bool is_allocation_wrapper(const struct profile *profile, uint32_t location)
{
  static const char *const names[] = {ALLOCATION_WRAPPERS};
  uint32_t function = profile->locations[location - 1].function;
  if (function == 0)
    return false;
  const char *name = profile->strings.entries[profile->functions[function - 1].name].text;
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

static void strip_wrappers(struct profile *profile)
{
  for (size_t i = 0; i < profile->sample_count; i++) {
    struct profile_sample *sample = &profile->samples[i];
    while (sample->location_count > 1 && is_allocation_wrapper(profile, sample->locations[0])) {
      sample->locations++;
      sample->location_count--;
    }
  }
}

static const char *without_deleted(const char *path, struct arena *arena)
{
  static const char suffix[] = " (deleted)";
  size_t length = strlen(path), tail = sizeof suffix - 1;
  if (length <= tail || strcmp(path + length - tail, suffix) != 0)
    return path;
  const char *shorter = arena_copy_text(arena, path, length - tail);
  return shorter != NULL ? shorter : path;
}

static bool add_module(struct profile *profile, const struct module_record *module, const uint32_t *sorted,
                       struct arena *arena)
{
  char build_id[2 * MODULE_BUILD_ID_MAX + 1] = "";
  struct text text = TEXT_INIT(build_id);
  text_put_hex_bytes(&text, module->build_id, module->build_id_bytes);
  struct profile_mapping *mapping = &profile->mappings[profile->mapping_count++];
  *mapping = (struct profile_mapping){.start = module->start,
                                      .limit = module->limit,
                                      .file_offset = module->file_offset,
                                      .path = intern(profile, arena, without_deleted(module->path, arena)),
                                      .build_id = intern(profile, arena, build_id)};
  size_t first = first_at_or_after(profile, sorted, module->start),
         last = first_at_or_after(profile, sorted, module->limit);
  for (size_t i = first; i < last; i++)
    profile->locations[sorted[i] - 1].mapping = (uint32_t)profile->mapping_count;
  return first == last || add_names(profile, module, mapping, sorted + first, last - first, arena);
}

static const char anonymous[] = "//anon";

/* Code that belongs to no file: one mapping for each run of it that nothing interrupts. */
static void add_anonymous(struct profile *profile, const uint32_t *sorted, struct arena *arena)
{
  struct profile_mapping *open = NULL;
  const char *other_code = module_names_stand_in(anonymous, arena);
  if (other_code == NULL)
    return;
  for (size_t i = 0; i < profile->location_count; i++) {
    struct profile_location *location = &profile->locations[sorted[i] - 1];
    bool is_stand_in = location->address == STAND_IN_ADDRESS;
    if (location->mapping != 0) {
      open = NULL;
      continue;
    }
    if (open == NULL || is_stand_in || open->start == STAND_IN_ADDRESS) {
      open = &profile->mappings[profile->mapping_count++];
      *open = (struct profile_mapping){.start = location->address & ~(uint64_t)(PAGE_BYTES - 1),
                                       .path = intern(profile, arena, is_stand_in ? "[heapprof]" : anonymous)};
    }
    add_function(profile, location, is_stand_in ? stand_in_name : other_code, arena);
    open->limit = (location->address | (PAGE_BYTES - 1)) + 1;
    location->mapping = (uint32_t)(open - profile->mappings) + 1;
  }
}

static bool add_mappings(struct profile *profile, struct arena *arena)
{
  const uint32_t *sorted = sorted_locations(profile, arena);
  size_t modules = 0;
  uint64_t position = 0;
  while (modules_next(&position) != NULL)
    modules++;
  /* Anonymous runs lie between modules or beside the stand-in. */
  size_t most = 2 * modules + 3;
  profile->mappings = arena_get_array(arena, most, sizeof *profile->mappings);
  profile->functions = arena_get_array(arena, profile->location_count + 1, sizeof *profile->functions);
  if (sorted == NULL || profile->mappings == NULL || profile->functions == NULL)
    return false;
  for (int want_main = 1; want_main >= 0; want_main--) {
    const struct module_record *module;
    position = 0;
    for (size_t i = 0; i < modules && (module = modules_next(&position)) != NULL; i++)
      if ((int)module->is_main == want_main && !add_module(profile, module, sorted, arena))
        return false;
  }
  add_anonymous(profile, sorted, arena);
  return true;
}

/* Speedscope before 1.25 takes the number of the default's name for the place of its values. So it has that number. */
static void add_value_types(struct profile *profile, struct arena *arena)
{
  for (unsigned value = 0; value < PROFILE_INUSE_SPACE - 1; value++)
    (void)intern(profile, arena, profile_value_names[value]);
  (void)intern(profile, arena, profile_value_names[PROFILE_INUSE_SPACE]);
  for (unsigned value = 0; value < PROFILE_VALUES; value++)
    profile->value_types[value] =
        (struct profile_value_type){.name = intern(profile, arena, profile_value_names[value]),
                                    .unit = intern(profile, arena, profile_value_units[value])};
}

bool profile_build(struct profile *profile, struct arena *arena)
{
  memset(profile, 0, sizeof *profile);
  if (!grow_strings(&profile->strings, arena))
    return false;
  (void)intern(profile, arena, ""); /* string 0 */
  add_value_types(profile, arena);
  if (!add_samples(profile, arena) || !add_mappings(profile, arena))
    return false;
  strip_wrappers(profile);
  profile->period_type =
      (struct profile_value_type){.name = intern(profile, arena, "space"), .unit = intern(profile, arena, "bytes")};
  profile->cut_key = intern(profile, arena, CUT_LABEL);
  profile->inherited_key = intern(profile, arena, INHERITED_LABEL);
  profile->inherited_text = intern(profile, arena, INHERITED_TEXT);
  profile->drop_frames = intern(profile, arena, ALLOCATION_DROP_FRAMES);
  return !arena->failed;
}
