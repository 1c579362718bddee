/* SPDX-License-Identifier: MIT */
#include "tools/state/region_heap.h"

#include "core/allocation_names.h"
#include "core/comments.h"
#include "core/cuts.h"
#include "core/inherited.h"
#include "core/peak.h"
#include "core/region_hooks.h"
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/state/addresses.h"

#include <math.h>
#include <string.h>

enum { VALUES = 6, PAGE_BYTES = 4096, ATTEMPTS = 4 };

/* Stands for the stacks that found no room in the region; an address no program has. */
static const uint64_t stand_in_pc = PAGE_BYTES;

/* Objects in 1/65536 and bytes in 1/16, in the order of the types. */
static const unsigned fraction_bits[VALUES] = {16, 4, 16, 4, 16, 4};

struct stack {
  uint64_t sums[VALUES];
  double variances[VALUES];
  uint64_t rounding_q4;        /* of what is in use; in a heap of mappings, the resident bytes */
  uint32_t first_frame, depth; /* in the frames of all; none: it makes no sample */
  uint64_t granule;            /* of its first record, which stays where it is */
  const char *cut;             /* why outermost frames are missing, NULL: none are */
  bool is_inherited;
};

/* Of a log. Frames are indexes of addresses: there are few addresses in many stacks. */
struct stacks {
  GArray *all;    /* struct stack, in the order of the log */
  GArray *frames; /* uint32_t */
  struct addresses addresses;
  uint64_t reserved_bytes;           /* mapped without access */
  uint64_t location_bytes, id_bytes; /* that the addresses, and one frame for each, take in a profile at least */
};

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t to_number(double value)
{
  return value < 0x1p63 ? (uint64_t)(value + 0.5) : (uint64_t)1 << 63;
}

/* Stacks. */

static bool is_same(const struct peak_moments *one, const struct peak_moments *other)
{
  return memcmp(one->peaks, other->peaks, sizeof one->peaks) == 0;
}

/* Of the peak in force, unless that moves on too fast. */
static struct tally_sums sums_at_peak(struct region_log *log, const struct stack_record *record,
                                      struct peak_moments *moments)
{
  for (int attempt = 0; attempt < ATTEMPTS && !is_same(&log->moments, moments); attempt++) {
    if (attempt > 0)
      *moments = log->moments;
    region_log_reread(log, record);
  }
  return peak_read(record, moments);
}

static void read_sums(struct region_log *log, struct stack *stack, const struct stack_record *record,
                      struct peak_moments *moments)
{
  struct tally_sums peak = sums_at_peak(log, record, moments);
  struct stack_sums sums = tally_read(&record->allocated, &record->freed);
  const struct tally_sums *kinds[] = {&sums.allocated, &sums.in_use, &peak};
  for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
    stack->sums[2 * i] = kinds[i]->objects_q16;
    stack->sums[2 * i + 1] = kinds[i]->bytes_q4;
    stack->variances[2 * i] = region_log_variance(kinds[i]->variance_objects);
    stack->variances[2 * i + 1] = region_log_variance(kinds[i]->variance_bytes);
  }
  stack->rounding_q4 = to_number((double)sums.in_use.bytes_q4 * region_summary_rounding(record));
}

static struct stack *stack_at(const struct stacks *stacks, guint index)
{
  return &g_array_index(stacks->all, struct stack, index);
}

static void stacks_init(struct stacks *stacks)
{
  *stacks = (struct stacks){.all = g_array_new(FALSE, FALSE, sizeof(struct stack)),
                            .frames = g_array_sized_new(FALSE, TRUE, sizeof(uint32_t), 1)};
  addresses_init(&stacks->addresses);
}

static void stacks_clear(struct stacks *stacks)
{
  g_array_free(stacks->all, TRUE);
  if (stacks->frames != NULL)
    g_array_free(stacks->frames, TRUE);
  addresses_clear(&stacks->addresses);
}

static uint64_t varint_bytes(uint64_t value)
{
  enum { BITS = 7 };
  return (g_bit_storage(value) + BITS - 1) / BITS;
}

static void add_frame(struct stacks *stacks, uint64_t pc)
{
  enum { FIXED_BYTES = 6 }; /* tag and length, the tags of id, mapping and address, the least number of a mapping */
  uint32_t known = stacks->addresses.values->len, frame = addresses_add(&stacks->addresses, pc);
  g_array_append_val(stacks->frames, frame);
  if (frame < known)
    return;
  uint64_t id_bytes = varint_bytes(frame + 1);
  stacks->location_bytes += FIXED_BYTES + id_bytes + varint_bytes(pc);
  stacks->id_bytes += id_bytes;
}

static void add_frames(struct stacks *stacks, struct stack *stack, const GArray *pcs, bool is_stand_in)
{
  stack->first_frame = stacks->frames->len;
  for (uint32_t i = 0; i < pcs->len; i++)
    addresses_expect(&stacks->addresses, g_array_index(pcs, uint64_t, i));
  for (uint32_t i = 0; i < stack->depth; i++)
    add_frame(stacks, is_stand_in ? stand_in_pc : g_array_index(pcs, uint64_t, i));
  g_array_append_val(stacks->all, *stack);
}

static const char *cut_of_flags(uint32_t flags)
{
  return (flags & STACK_TRUNCATED) != 0 ? cut_label(cut_of(flags)) : NULL;
}

/* One that counts nothing yet is there all the same: it may be the first of its frames, by whose place they are known.
 * `peak`: the peak that was in force last. */
static void add_stack(struct stacks *stacks, struct region_log *log, const struct stack_record *record,
                      struct peak_moments *peak, const GArray *pcs)
{
  uint32_t flags = record->flags;
  bool is_stand_in = (flags & STACK_TABLE_FULL) != 0;
  struct stack stack = {.granule = region_log_granule(log, record),
                        .cut = cut_of_flags(flags),
                        .is_inherited = (flags & STACK_INHERITED) != 0,
                        .depth = is_stand_in ? 1 : pcs->len};
  read_sums(log, &stack, record, peak);
  add_frames(stacks, &stack, pcs, is_stand_in);
}

/* What was reserved is nobody's memory yet; but where the program got access to it since, some is resident. */
static void add_mapped(struct stacks *stacks, const struct stack_record *record, uint64_t resident_bytes,
                       const GArray *pcs)
{
  struct stack_sums sums = tally_read(&record->allocated, &record->freed);
  struct stack stack = {
      .cut = cut_of_flags(record->flags), .depth = pcs->len, .rounding_q4 = resident_bytes << fraction_bits[1]};
  bool is_reserved = (record->flags & STACK_RESERVED) != 0;
  if (is_reserved)
    stacks->reserved_bytes = add_saturating(stacks->reserved_bytes, sums.in_use.bytes_q4 >> fraction_bits[1]);
  const struct tally_sums *kinds[] = {&sums.allocated, &sums.in_use};
  for (unsigned i = 0; !is_reserved && i < G_N_ELEMENTS(kinds); i++) {
    stack.sums[2 * i] = kinds[i]->objects_q16;
    stack.sums[2 * i + 1] = kinds[i]->bytes_q4;
  }
  if (stack.sums[1] > 0 || resident_bytes > 0)
    add_frames(stacks, &stack, pcs, false);
}

static int compare_frames(const struct stacks *stacks, const struct stack *a, const struct stack *b)
{
  int cuts = g_strcmp0(a->cut, b->cut);
  if (cuts != 0)
    return cuts;
  if (a->is_inherited != b->is_inherited)
    return a->is_inherited ? 1 : -1;
  if (a->depth != b->depth)
    return a->depth < b->depth ? -1 : 1;
  const uint32_t *frames = (const uint32_t *)(void *)stacks->frames->data;
  return memcmp(frames + a->first_frame, frames + b->first_frame, a->depth * sizeof *frames);
}

static gint compare_stacks(gconstpointer a, gconstpointer b, gpointer data)
{
  guint one = *(const guint *)a, other = *(const guint *)b;
  int order = compare_frames(data, stack_at(data, one), stack_at(data, other));
  return order != 0 ? order : (one > other) - (one < other);
}

static void add_sums(struct stack *first, struct stack *other)
{
  for (unsigned value = 0; value < VALUES; value++) {
    first->sums[value] = add_saturating(first->sums[value], other->sums[value]);
    first->variances[value] = region_log_variance(first->variances[value] + other->variances[value]);
  }
  first->rounding_q4 = add_saturating(first->rounding_q4, other->rounding_q4);
  other->depth = 0;
}

/* Adds what has the frames of another to the first of them; those are left with no frames. Sorting, not hashing: the
 * maker of the file may have chosen them so that they collide. */
static void merge_equal(struct stacks *stacks)
{
  g_autofree guint *sorted = g_new(guint, stacks->all->len);
  for (guint i = 0; i < stacks->all->len; i++)
    sorted[i] = i;
  g_qsort_with_data(sorted, (gint)stacks->all->len, sizeof *sorted, compare_stacks, stacks);
  struct stack *first = NULL;
  for (guint i = 0; i < stacks->all->len; i++) {
    struct stack *stack = stack_at(stacks, sorted[i]);
    if (first != NULL && compare_frames(stacks, first, stack) == 0)
      add_sums(first, stack);
    else
      first = stack;
  }
}

static int64_t rounded(uint64_t sum, unsigned bits)
{
  return (int64_t)(add_saturating(sum, (uint64_t)1 << (bits - 1)) >> bits);
}

static bool counts(const struct stack *stack, bool has_rounding)
{
  bool is_zero = !has_rounding || rounded(stack->rounding_q4, fraction_bits[1]) == 0;
  for (unsigned value = 0; value < VALUES; value++)
    is_zero = is_zero && rounded(stack->sums[value], fraction_bits[value]) == 0;
  return !is_zero && stack->depth > 0;
}

/* Those that make samples keep frames. */
static void leave_out(struct stacks *stacks, bool has_rounding)
{
  for (guint i = 0; i < stacks->all->len; i++) {
    struct stack *stack = stack_at(stacks, i);
    if (!counts(stack, has_rounding))
      stack->depth = 0;
  }
}

/* No program has so much code; a file that somebody made up may have more than fits into memory. */
static bool has_too_many_addresses(const struct stacks *stacks)
{
  return stacks->location_bytes + stacks->id_bytes > LOAD_BYTES_MAX;
}

static void collect_at(struct stacks *stacks, struct region_log *log, struct peak_moments *peak)
{
  g_autoptr(GArray) pcs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  const struct stack_record *record;
  stacks_init(stacks);
  region_log_rewind(log);
  while (!has_too_many_addresses(stacks) && (record = region_log_next_stack(log, pcs)) != NULL)
    add_stack(stacks, log, record, peak, pcs);
  merge_equal(stacks);
}

static void collect_mapped(struct stacks *stacks, struct region_log *log, GHashTable *resident)
{
  g_autoptr(GArray) pcs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  const struct stack_record *record;
  stacks_init(stacks);
  region_log_rewind(log);
  while (!has_too_many_addresses(stacks) && (record = region_log_next_mapped(log, pcs)) != NULL) {
    gpointer granule = (gpointer)(uintptr_t)region_log_granule(log, record);
    uint64_t bytes = resident != NULL ? (uintptr_t)g_hash_table_lookup(resident, granule) : 0;
    add_mapped(stacks, record, bytes, pcs);
  }
  merge_equal(stacks);
  leave_out(stacks, resident != NULL);
}

/* Where the objects of each are; bytes are behind them. */
enum kind { KIND_IN_USE = 2, KIND_PEAK = 4 };

static void copy_sums(struct stacks *stacks, enum kind from, enum kind to)
{
  for (guint i = 0; i < stacks->all->len; i++) {
    struct stack *stack = stack_at(stacks, i);
    for (unsigned k = 0; k < 2; k++) {
      stack->sums[to + k] = stack->sums[from + k];
      stack->variances[to + k] = stack->variances[from + k];
    }
  }
}

static double sum_of_bytes(const struct stacks *stacks, enum kind kind)
{
  double sum = 0;
  for (guint i = 0; i < stacks->all->len; i++)
    sum += (double)stack_at(stacks, i)->sums[kind + 1];
  return sum;
}

/* All at one peak, if a few tries find that it does not move meanwhile. While a heap grows every sample is a new peak;
 * what is read then is what is in use now, as good as at one. */
static void collect_stacks(struct stacks *stacks, struct region_log *log)
{
  struct peak_moments peak = region_log_moments(log), before = {.peaks = {0}};
  for (int attempt = 0; attempt < ATTEMPTS && (attempt == 0 || !is_same(&before, &peak)); attempt++) {
    before = peak;
    if (attempt > 0)
      stacks_clear(stacks);
    collect_at(stacks, log, &peak);
    peak = region_log_moments(log);
  }
  if (peak_is_now(&peak, sum_of_bytes(stacks, KIND_IN_USE), sum_of_bytes(stacks, KIND_PEAK)))
    copy_sums(stacks, KIND_IN_USE, KIND_PEAK);
}

/* Locations: every address once, sorted, so that its position is its index. */

static void sort_addresses(struct stacks *stacks)
{
  g_autofree uint32_t *ranks = addresses_sort(&stacks->addresses);
  uint32_t *frames = (uint32_t *)(void *)stacks->frames->data;
  for (guint i = 0; i < stacks->frames->len; i++)
    frames[i] = ranks[frames[i]];
}

/* Mappings. */

struct placed {
  uint64_t start, limit;
  uint32_t mapping;
};

static void add_module(struct heap *heap, GArray *placed, const struct region_log_module *module)
{
  static const char suffix[] = " (deleted)";
  g_autoptr(GString) build_id = g_string_new(NULL);
  for (unsigned i = 0; i < module->build_id_bytes; i++)
    g_string_append_printf(build_id, "%02x", module->build_id[i]);
  g_autofree char *path = g_strdup(module->path);
  if (g_str_has_suffix(path, suffix) && path[sizeof suffix - 1] != '\0')
    path[strlen(path) - (sizeof suffix - 1)] = '\0';
  struct placed place = {.start = module->start, .limit = module->limit};
  place.mapping = heap_add_mapping(heap, (struct heap_mapping){.start = module->start,
                                                               .limit = module->limit,
                                                               .file_offset = module->file_offset,
                                                               .path = path,
                                                               .build_id = build_id->str});
  g_array_append_val(placed, place);
}

static void free_module(gpointer module)
{
  g_free(((struct region_log_module *)module)->path);
}

static int compare_places(gconstpointer a, gconstpointer b)
{
  const struct placed *one = a, *other = b;
  if (one->start != other->start)
    return one->start < other->start ? -1 : 1;
  return one->mapping < other->mapping ? -1 : 1;
}

/* All modules of the log, the main program first; where they lie, sorted. */
static GArray *add_modules(struct heap *heap, struct region_log *log)
{
  g_autoptr(GArray) modules = g_array_new(FALSE, FALSE, sizeof(struct region_log_module));
  g_array_set_clear_func(modules, free_module);
  GArray *placed = g_array_new(FALSE, FALSE, sizeof(struct placed));
  struct region_log_module module;
  region_log_rewind(log);
  while (region_log_next_module(log, &module))
    g_array_append_val(modules, module);
  for (int wants_main = 1; wants_main >= 0; wants_main--)
    for (guint i = 0; i < modules->len; i++) {
      const struct region_log_module *one = &g_array_index(modules, struct region_log_module, i);
      if (one->is_main == wants_main)
        add_module(heap, placed, one);
    }
  g_array_sort(placed, compare_places);
  return placed;
}

static uint32_t add_pseudo_mapping(struct heap *heap, uint64_t address)
{
  uint64_t page = address & ~(uint64_t)(PAGE_BYTES - 1);
  return heap_add_mapping(
      heap, (struct heap_mapping){.start = page, .path = address == stand_in_pc ? "[heapprof]" : "//anon"});
}

static void name_stand_in(struct heap *heap, uint32_t location)
{
  static const char name[] = "[stack table full]";
  struct heap_line line = {.function =
                               heap_add_function(heap, (struct heap_function){.name = name, .system_name = name})};
  heap_set_lines(heap, location, &line, 1);
}

/* Code that belongs to no file: one mapping for each run of it that nothing interrupts. */
static void add_locations(struct heap *heap, const GArray *addresses, const GArray *placed)
{
  uint32_t open = HEAP_NONE;
  guint next = 0;
  for (guint i = 0; i < addresses->len; i++) {
    uint64_t address = g_array_index(addresses, uint64_t, i);
    while (next < placed->len && g_array_index(placed, struct placed, next).start <= address)
      next++;
    const struct placed *place = next > 0 ? &g_array_index(placed, struct placed, next - 1) : NULL;
    if (place != NULL && address < place->limit) {
      heap_add_location(heap, address, place->mapping);
      open = HEAP_NONE;
      continue;
    }
    bool is_stand_in = address == stand_in_pc;
    if (open == HEAP_NONE || is_stand_in || heap_mapping(heap, open)->start == stand_in_pc)
      open = add_pseudo_mapping(heap, address);
    heap_mapping(heap, open)->limit = (address | (PAGE_BYTES - 1)) + 1;
    uint32_t location = heap_add_location(heap, address, open);
    if (is_stand_in)
      name_stand_in(heap, location);
  }
}

/* Samples. */

static void add_sample(struct heap *heap, const struct stack *stack)
{
  int64_t values[VALUES + 1];
  double variances[VALUES + 1] = {0};
  for (unsigned value = 0; value < VALUES; value++)
    values[value] = rounded(stack->sums[value], fraction_bits[value]);
  memcpy(variances, stack->variances, sizeof stack->variances);
  values[VALUES] = rounded(stack->rounding_q4, fraction_bits[VALUES - 1]); /* where the heap has a seventh */
  heap_add_sample_of(heap, stack->first_frame, stack->depth, values, variances);
  g_array_append_val(heap->places, stack->granule);
  if (stack->cut != NULL)
    heap_add_label(heap, CUT_LABEL, stack->cut, 0, "");
  if (stack->is_inherited)
    heap_add_label(heap, INHERITED_LABEL, INHERITED_TEXT, 0, "");
}

static void add_mapped_sample(struct heap *heap, const struct stack *stack)
{
  enum { MAPPED_VALUES = 4 };
  int64_t values[MAPPED_VALUES + 1];
  for (unsigned value = 0; value < MAPPED_VALUES; value++)
    values[value] = rounded(stack->sums[value], fraction_bits[value]);
  values[MAPPED_VALUES] = rounded(stack->rounding_q4, fraction_bits[1]); /* where the heap has a fifth */
  heap_add_sample_of(heap, stack->first_frame, stack->depth, values, NULL);
  if (stack->cut != NULL)
    heap_add_label(heap, CUT_LABEL, stack->cut, 0, "");
}

static void add_samples(struct heap *heap, struct stacks *stacks)
{
  heap_take_frames(heap, g_steal_pointer(&stacks->frames));
  heap->places = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  for (guint i = 0; i < stacks->all->len; i++)
    if (stack_at(stacks, i)->depth > 0)
      add_sample(heap, stack_at(stacks, i));
}

static void add_mapped_samples(struct heap *heap, struct stacks *stacks)
{
  heap_take_frames(heap, g_steal_pointer(&stacks->frames));
  for (guint i = 0; i < stacks->all->len; i++)
    if (stack_at(stacks, i)->depth > 0)
      add_mapped_sample(heap, stack_at(stacks, i));
}

/* Comments. */

static void add_text(struct heap *heap, const char *key, const char *text)
{
  g_autofree char *line = g_strdup(text);
  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < ' ')
      *c = ' ';
  heap_add_comment(heap, key, "%s", line);
}

static void add_number(struct heap *heap, const char *key, uint64_t number)
{
  heap_add_comment(heap, key, "%" G_GUINT64_FORMAT, number);
}

static void add_totals(struct heap *heap, const struct stacks *stacks)
{
  double totals[VALUES] = {0}, variances[VALUES] = {0};
  for (guint i = 0; i < stacks->all->len; i++) {
    const struct stack *stack = stack_at(stacks, i);
    for (unsigned value = 0; stack->depth > 0 && value < VALUES; value++) {
      totals[value] += ldexp((double)stack->sums[value], -(int)fraction_bits[value]);
      variances[value] += stack->variances[value];
    }
  }
  add_number(heap, COMMENT_estimated_units, to_number(totals[0] + totals[1]));
  for (unsigned value = 0; value < VALUES; value++) {
    g_autofree char *key = g_strconcat(COMMENT_standard_error, heap_type(heap, value)->name, NULL);
    add_number(heap, key, to_number(sqrt(variances[value])));
  }
}

static void add_losses(struct heap *heap, const struct region_summary *summary)
{
  static const char *const keys[] = {
#define HEAPPROF_LOSS(identifier, key, what) key,
#include "core/losses.def"
#undef HEAPPROF_LOSS
  };
  for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
    g_autofree char *key = g_strconcat(COMMENT_lost, keys[i], NULL);
    add_number(heap, key, summary->lost[i]);
  }
  add_number(heap, COMMENT_lost_total, summary->lost_samples);
}

static void add_uncovered(struct heap *heap, const struct region_summary *summary)
{
  if (summary->uncovered_objects == 0)
    return;
  add_number(heap, COMMENT_uncovered_objects, summary->uncovered_objects);
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++)
    if (summary->uncovered_names[i][0] != '\0')
      add_text(heap, COMMENT_uncovered, summary->uncovered_names[i]);
}

static void add_origin(struct heap *heap, const struct region_summary *summary, const char *reason)
{
  heap_add_comment(heap, COMMENT_version, "%s", PACKAGE_VERSION);
  add_text(heap, COMMENT_program, summary->program);
  add_number(heap, COMMENT_pid, (uint32_t)summary->pid);
  if (summary->command[0] != '\0')
    add_text(heap, COMMENT_command, summary->command);
  add_text(heap, COMMENT_reason, reason);
}

static void add_incomplete(struct heap *heap, const struct region_summary *summary)
{
  if (!summary->is_whole)
    heap_add_comment(heap, COMMENT_incomplete,
                     "the log of the process went on in private memory, which is out of reach");
}

static void add_mapped_comments(struct heap *heap, const struct region_summary *summary, const struct stacks *stacks,
                                const char *reason)
{
  add_origin(heap, summary, reason);
  add_text(heap, COMMENT_memory, REGION_MAPPED_TEXT);
  add_number(heap, COMMENT_sampling_interval_bytes, 1);
  add_number(heap, COMMENT_reserved_bytes, stacks->reserved_bytes);
  add_number(heap, COMMENT_lost_total, summary->lost[LOSS_mapping]);
  add_number(heap, COMMENT_created_unix_ns, summary->created_unix_ns);
  add_incomplete(heap, summary);
}

static void add_comments(struct heap *heap, const struct region_summary *summary, const struct stacks *stacks,
                         const char *reason)
{
  const char *since = region_summary_since(summary);
  add_origin(heap, summary, reason);
  add_number(heap, COMMENT_sampling_interval_bytes, summary->sample_interval_bytes);
  if (since != NULL)
    add_text(heap, COMMENT_since, since);
  add_text(heap, COMMENT_allocator, summary->allocator);
  char hooks[REGION_HOOKS_TEXT_BYTES] = "";
  struct text hooks_text = TEXT_INIT(hooks);
  region_hooks_put(&hooks_text, summary->hooks);
  if (hooks[0] != '\0')
    add_text(heap, COMMENT_hooks, hooks);
  add_number(heap, COMMENT_samples, summary->samples);
  add_number(heap, COMMENT_stacks, summary->stacks);
  add_number(heap, COMMENT_exact_units, summary->exact_units);
  add_totals(heap, stacks);
  add_losses(heap, summary);
  add_uncovered(heap, summary);
  add_number(heap, COMMENT_own_bytes, summary->own_bytes);
  add_number(heap, COMMENT_own_unused_bytes, summary->own_unused_bytes);
  if (summary->sampling_ns > 0)
    add_number(heap, COMMENT_sampling_ns, summary->sampling_ns);
  if (summary->cpu_ns > 0)
    add_number(heap, COMMENT_cpu_ns, summary->cpu_ns);
  if (summary->resident_most_bytes > 0) {
    add_number(heap, COMMENT_resident_bytes, summary->resident_bytes);
    add_number(heap, COMMENT_resident_most_bytes, summary->resident_most_bytes);
  }
  if (summary->origin_pid != 0)
    heap_add_comment(heap, COMMENT_forked_from, "%" G_GUINT64_FORMAT " %u", summary->origin_unix_ns,
                     (unsigned)summary->origin_pid);
  add_number(heap, COMMENT_created_unix_ns, summary->created_unix_ns);
  add_number(heap, COMMENT_peak_inuse_space, to_number(summary->peak_bytes));
  add_incomplete(heap, summary);
}

static struct heap *new_mapped_heap(const char *name)
{
  struct heap *heap = heap_new(name);
  heap_set_usual_types(heap);
  heap->variances = g_array_new(FALSE, TRUE, sizeof(double));
  heap->period = 1;
  heap->time_unix_ns = g_get_real_time() * 1000;
  heap->drop_frames = heap_text(heap, ALLOCATION_DROP_FRAMES);
  return heap;
}

static struct heap *new_heap(const struct region_summary *summary, const char *name)
{
  struct heap *heap = new_mapped_heap(name);
  heap_add_peak_types(heap);
  heap->period = (int64_t)MIN(summary->sample_interval_bytes, (uint64_t)INT64_MAX);
  return heap;
}

static void add_type_of_bytes(struct heap *heap, const char *name)
{
  struct heap_type type = {.name = heap_text(heap, name), .unit = heap_text(heap, "bytes")};
  g_array_append_val(heap->types, type);
}

struct heap *region_heap_of_log(struct region_log *log, const struct region_summary *summary, enum region_moment moment,
                                const char *reason, const char *name, GError **error)
{
  struct stacks stacks;
  /* Stacks first: the modules they run through were recorded before them. */
  collect_stacks(&stacks, log);
  leave_out(&stacks, moment == REGION_ROUNDING);
  if (moment == REGION_PEAK)
    copy_sums(&stacks, KIND_PEAK, KIND_IN_USE);
  if (has_too_many_addresses(&stacks)) {
    stacks_clear(&stacks);
    save_fail_too_large(name, error);
    return NULL;
  }
  struct heap *heap = new_heap(summary, name);
  sort_addresses(&stacks);
  if (moment == REGION_ROUNDING)
    add_type_of_bytes(heap, REGION_ROUNDING_TYPE);
  g_autoptr(GArray) placed = add_modules(heap, log);
  add_locations(heap, stacks.addresses.values, placed);
  add_comments(heap, summary, &stacks, reason);
  if (moment == REGION_PEAK)
    add_text(heap, COMMENT_moment, "peak");
  add_samples(heap, &stacks);
  stacks_clear(&stacks);
  return heap;
}

static void fail_nothing_noted(const char *name, GError **error)
{
  g_set_error(
      error, REGION_ERROR, REGION_ERROR_UNUSABLE,
      "%s: nothing is noted of what it maps: it was started without HEAPPROF_MMAP=yes, or has mapped nothing itself",
      name);
}

/* False: *error. What is resident may be nothing. */
static bool check_mapped(const struct stacks *stacks, GHashTable *resident, const char *name, GError **error)
{
  if (has_too_many_addresses(stacks))
    save_fail_too_large(name, error);
  else if (resident == NULL && stacks->all->len == 0 && stacks->reserved_bytes == 0)
    fail_nothing_noted(name, error);
  else
    return true;
  return false;
}

struct heap *region_heap_of_mappings(struct region_log *log, const struct region_summary *summary, GHashTable *resident,
                                     const char *reason, const char *name, GError **error)
{
  struct stacks stacks;
  collect_mapped(&stacks, log, resident);
  if (!check_mapped(&stacks, resident, name, error)) {
    stacks_clear(&stacks);
    return NULL;
  }
  struct heap *heap = new_mapped_heap(name);
  sort_addresses(&stacks);
  if (resident != NULL)
    add_type_of_bytes(heap, REGION_RESIDENT_TYPE);
  g_autoptr(GArray) placed = add_modules(heap, log);
  add_locations(heap, stacks.addresses.values, placed);
  add_mapped_comments(heap, summary, &stacks, reason);
  add_mapped_samples(heap, &stacks);
  stacks_clear(&stacks);
  return heap;
}
