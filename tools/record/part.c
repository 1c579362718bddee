/* SPDX-License-Identifier: MIT */
#include "tools/record/part.h"

#include "tools/heap/load.h"
#include "tools/record/pack.h"
#include "tools/record/values.h"

#define PART_ERROR g_quark_from_static_string("heapprof-part")

enum { LINES_MAX = 4096, FRAMES_MAX = 65536, LABELS_MAX = 1024 };

/* --- writing --- */

struct packer {
  GByteArray *bytes;
  const struct heap *heap;
  struct texts *texts;
};

static void put_text(const struct packer *packer, const char *text)
{
  pack_number(packer->bytes, text[0] != '\0' ? texts_number(packer->texts, text) : 0);
}

static void put_mapping(const struct packer *packer, const struct heap_mapping *mapping)
{
  pack_number(packer->bytes, mapping->start);
  pack_number(packer->bytes, mapping->limit - mapping->start);
  pack_number(packer->bytes, mapping->file_offset);
  put_text(packer, mapping->path);
  put_text(packer, mapping->build_id);
}

static void put_function(const struct packer *packer, const struct heap_function *function)
{
  put_text(packer, function->name);
  put_text(packer, function->system_name);
  put_text(packer, function->file);
  pack_signed(packer->bytes, function->start_line);
}

/* 0: none; else the number and one. */
static void put_index(const struct packer *packer, uint32_t index)
{
  pack_number(packer->bytes, index == HEAP_NONE ? 0 : (uint64_t)index + 1);
}

static void put_location(const struct packer *packer, const struct heap_location *location)
{
  const struct heap_line *lines = heap_lines(packer->heap, location);
  pack_number(packer->bytes, location->address);
  put_index(packer, location->mapping);
  pack_number(packer->bytes, location->is_folded);
  pack_number(packer->bytes, location->line_count);
  for (uint32_t i = 0; i < location->line_count; i++) {
    put_index(packer, lines[i].function);
    pack_signed(packer->bytes, lines[i].line);
  }
}

static void put_label(const struct packer *packer, const struct heap_label *label)
{
  put_text(packer, label->key);
  put_text(packer, label->text);
  put_text(packer, label->unit);
  pack_signed(packer->bytes, label->number);
}

static void put_stack(const struct packer *packer, const struct heap_sample *sample)
{
  const uint32_t *frames = heap_frames(packer->heap, sample);
  pack_number(packer->bytes, sample->frame_count);
  for (uint32_t i = 0; i < sample->frame_count; i++)
    pack_number(packer->bytes, frames[i]);
  pack_number(packer->bytes, sample->label_count);
  for (uint32_t i = 0; i < sample->label_count; i++)
    put_label(packer, &g_array_index(packer->heap->labels, struct heap_label, sample->first_label + i));
}

GBytes *part_pack(const struct heap *heap, const struct part_start *start, struct texts *texts)
{
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  struct packer packer = {bytes, heap, texts};
  pack_number(bytes, heap->mappings->len - start->mappings);
  for (uint32_t i = start->mappings; i < heap->mappings->len; i++)
    put_mapping(&packer, heap_mapping(heap, i));
  pack_number(bytes, heap->functions->len - start->functions);
  for (uint32_t i = start->functions; i < heap->functions->len; i++)
    put_function(&packer, heap_function(heap, i));
  pack_number(bytes, heap->locations->len - start->locations);
  for (uint32_t i = start->locations; i < heap->locations->len; i++)
    put_location(&packer, heap_location(heap, i));
  pack_number(bytes, heap->samples->len - start->samples);
  for (uint32_t i = start->samples; i < heap->samples->len; i++)
    put_stack(&packer, heap_sample(heap, i));
  return pack_deflate(bytes);
}

/* --- reading --- */

struct unpacker {
  struct unpack from;
  struct heap *heap;         /* NULL: only texts are wanted */
  const struct texts *texts; /* of the heap */
  GHashTable *used;          /* NULL, or gets the numbers of texts */
};

static const char *get_text(struct unpacker *unpacker)
{
  uint64_t number = unpack_number(&unpacker->from);
  if (unpacker->used != NULL && number != 0)
    g_hash_table_add(unpacker->used, g_memdup2(&number, sizeof number));
  const char *text = number != 0 && unpacker->texts != NULL ? texts_at(unpacker->texts, number) : "";
  unpacker->from.is_broken |= text == NULL;
  return text != NULL ? text : "";
}

static uint32_t get_index(struct unpacker *unpacker, uint32_t limit)
{
  uint32_t index = unpack_index(&unpacker->from, unpacker->heap != NULL ? limit + 1 : UINT32_MAX);
  return index == 0 ? HEAP_NONE : index - 1;
}

static void get_mapping(struct unpacker *unpacker)
{
  struct heap_mapping mapping = {.start = unpack_number(&unpacker->from)};
  uint64_t size = unpack_number(&unpacker->from);
  unpacker->from.is_broken |= size > UINT64_MAX - mapping.start;
  mapping.limit = mapping.start + size;
  mapping.file_offset = unpack_number(&unpacker->from);
  mapping.path = get_text(unpacker);
  mapping.build_id = get_text(unpacker);
  if (unpacker->heap != NULL)
    heap_add_mapping(unpacker->heap, mapping);
}

/* Not heap_add_function: what is there twice has two numbers. */
static void get_function(struct unpacker *unpacker)
{
  struct heap_function function = {.name = get_text(unpacker)};
  function.system_name = get_text(unpacker);
  function.file = get_text(unpacker);
  function.start_line = unpack_signed(&unpacker->from);
  if (unpacker->heap == NULL)
    return;
  uint32_t expected = unpacker->heap->functions->len;
  unpacker->from.is_broken |= heap_add_function(unpacker->heap, function) != expected;
}

static void get_location(struct unpacker *unpacker)
{
  struct heap *heap = unpacker->heap;
  uint64_t address = unpack_number(&unpacker->from);
  uint32_t mapping = get_index(unpacker, heap != NULL ? heap->mappings->len : 0);
  bool is_folded = unpack_index(&unpacker->from, 2) != 0;
  uint32_t count = unpack_count(&unpacker->from);
  unpacker->from.is_broken |= count > LINES_MAX;
  g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(struct heap_line));
  for (uint32_t i = 0; i < count && !unpacker->from.is_broken; i++) {
    struct heap_line line = {.function = get_index(unpacker, heap != NULL ? heap->functions->len : 0)};
    line.line = unpack_signed(&unpacker->from);
    unpacker->from.is_broken |= heap != NULL && line.function == HEAP_NONE;
    g_array_append_val(lines, line);
  }
  if (heap == NULL || unpacker->from.is_broken)
    return;
  uint32_t location = heap_add_location(heap, address, mapping);
  heap_location(heap, location)->is_folded = is_folded;
  if (lines->len > 0)
    heap_set_lines(heap, location, (const struct heap_line *)(void *)lines->data, lines->len);
}

static void get_labels(struct unpacker *unpacker)
{
  uint32_t count = unpack_count(&unpacker->from);
  unpacker->from.is_broken |= count > LABELS_MAX;
  for (uint32_t i = 0; i < count && !unpacker->from.is_broken; i++) {
    const char *key = get_text(unpacker), *text = get_text(unpacker), *unit = get_text(unpacker);
    int64_t number = unpack_signed(&unpacker->from);
    if (unpacker->heap != NULL)
      heap_add_label(unpacker->heap, key, text, number, unit);
  }
}

static void get_stack(struct unpacker *unpacker)
{
  static const int64_t zeros[HEAP_TYPES_MAX];
  struct heap *heap = unpacker->heap;
  uint32_t count = unpack_count(&unpacker->from), limit = heap != NULL ? heap->locations->len : UINT32_MAX;
  unpacker->from.is_broken |= count > FRAMES_MAX;
  g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  for (uint32_t i = 0; i < count && !unpacker->from.is_broken; i++) {
    uint32_t frame = unpack_index(&unpacker->from, limit);
    g_array_append_val(frames, frame);
  }
  if (heap != NULL && !unpacker->from.is_broken) {
    heap_add_sample(heap, (const uint32_t *)(void *)frames->data, frames->len, zeros, NULL);
    unpacker->from.is_broken |= heap->samples->len > VALUES_STACKS_MAX;
  }
  get_labels(unpacker);
}

static bool unpack_all(struct unpacker *unpacker)
{
  static void (*const getters[])(struct unpacker *) = {get_mapping, get_function, get_location, get_stack};
  for (unsigned kind = 0; kind < G_N_ELEMENTS(getters); kind++)
    for (uint32_t left = unpack_count(&unpacker->from); left > 0 && !unpacker->from.is_broken; left--)
      getters[kind](unpacker);
  return unpack_is_done(&unpacker->from);
}

static bool read_part(struct unpacker *unpacker, const void *bytes, size_t size, const char *name, GError **error)
{
  g_autoptr(GByteArray) whole = pack_inflate(bytes, size, LOAD_BYTES_MAX, name, error);
  if (whole == NULL)
    return false;
  unpacker->from = unpack_of(whole);
  if (unpack_all(unpacker))
    return true;
  g_set_error(error, PART_ERROR, 0, "%s is damaged: the stacks of a process cannot be read", name);
  return false;
}

bool part_unpack(struct heap *heap, const void *bytes, size_t size, const struct texts *texts, GError **error)
{
  struct unpacker unpacker = {.heap = heap, .texts = texts};
  return read_part(&unpacker, bytes, size, heap->name, error);
}

bool part_note_texts(const void *bytes, size_t size, GHashTable *used, const char *name, GError **error)
{
  struct unpacker unpacker = {.used = used};
  return read_part(&unpacker, bytes, size, name, error);
}
