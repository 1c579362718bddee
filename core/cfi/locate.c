/* SPDX-License-Identifier: MIT */
#include "core/cfi/locate.h"

#include "core/region.h"
#include "core/sys.h"

/* As linkers write them: nobody says that they are aligned. */
struct __attribute__((packed)) pair {
  int32_t code, entry;
};

/* .eh_frame_hdr: version, three encodings, where .eh_frame is, how many pairs, the pairs. */
enum {
  HEADER_VERSION = 1,
  ENCODINGS_AT = 1,
  USUAL_HEADER_BYTES = 12,
  PCREL_SDATA4 = 0x1b,
  UDATA4 = 0x03,
  DATAREL_SDATA4 = 0x3b
};

static struct bytes open_header(const struct module *module)
{
  uintptr_t at = (uintptr_t)module->eh_frame_hdr;
  struct bytes header = {at, module_segment(module, at).high};
  if (bytes_u8(&header) != HEADER_VERSION)
    bytes_spoil(&header);
  return header;
}

/* Where the header says that .eh_frame is; 0: it does not say. */
static uintptr_t noted_start(const struct module *module)
{
  struct bytes header = open_header(module);
  uint8_t encoding = bytes_u8(&header);
  (void)bytes_u16(&header);
  if (!bytes_are_good(&header) || encoding == POINTER_OMITTED)
    return 0;
  struct pointer_bases bases = {.data = (uintptr_t)module->eh_frame_hdr};
  struct address_range segment = module_segment(module, header.at);
  uintptr_t start = bytes_pointer(&header, encoding, &bases, segment.low, segment.high);
  return bytes_are_good(&header) ? start : 0;
}

/* The table that all usual linkers write. */
static void use_table_of_header(struct module *module)
{
  struct bytes header = open_header(module);
  struct eh_frame *frames = &module->frames;
  bool is_usual =
      bytes_u8(&header) == PCREL_SDATA4 && bytes_u8(&header) == UDATA4 && bytes_u8(&header) == DATAREL_SDATA4;
  (void)bytes_u32(&header);
  uint32_t count = bytes_u32(&header);
  uintptr_t table = bytes_take(&header, count * sizeof(struct pair));
  if (!is_usual || table == 0)
    return;
  frames->table = table;
  frames->table_base = (uintptr_t)module->eh_frame_hdr;
  frames->table_count = count;
}

static struct eh_frame frames_from(const struct module *module, uintptr_t start)
{
  struct address_range segment = module_segment(module, start);
  return (struct eh_frame){.span = {.low = segment.low, .high = segment.high}, .start = start};
}

/* Looking for it. */

/* Does a CIE with augmentation data begin here, and behind it an entry for code of this object? */
static bool is_start(const struct module *module, uintptr_t at)
{
  enum { SHARED_BYTES_MAX = 256, LENGTH_BYTES = 4 };
  struct bytes shared = {at, module_segment(module, at).high};
  uint32_t length = bytes_u32(&shared), id = bytes_u32(&shared);
  uint8_t version = bytes_u8(&shared);
  if (length > SHARED_BYTES_MAX || id != 0 || !(version == 1 || version == 3) || bytes_u8(&shared) != 'z')
    return false;
  struct eh_frame frames = frames_from(module, at);
  struct eh_frame_entry entry = {.at = 0};
  uintptr_t next = at + LENGTH_BYTES + length;
  return eh_frame_read(&frames.span, &next, &entry) == EH_FRAME_ENTRY && entry.shared_at == at &&
         entry.pc_low >= module->image.low && entry.pc_high <= module->image.high && entry.pc_high > entry.pc_low;
}

static uintptr_t scanned_start(const struct module *module)
{
  uintptr_t left = LOCATE_SCAN_BYTES_MAX;
  for (unsigned i = 0; i < module->readable_count; i++) {
    struct address_range range = module->readable[i];
    enum { RECORD_ALIGNMENT = 4 };
    for (uintptr_t at = (range.low + RECORD_ALIGNMENT - 1) & ~(uintptr_t)(RECORD_ALIGNMENT - 1); at < range.high;
         at += RECORD_ALIGNMENT) {
      if (is_start(module, at))
        return at;
      left -= RECORD_ALIGNMENT;
      if (left == 0)
        return 0;
    }
  }
  return 0;
}

/* A table of our own. */

static bool is_in_reach(uintptr_t address, uintptr_t base)
{
  intptr_t distance = (intptr_t)(address - base);
  return distance >= INT32_MIN && distance <= INT32_MAX;
}

/* How many entries there are; `pairs` NULL: they are only counted. */
static uintptr_t list_entries(const struct eh_frame *frames, struct pair *pairs, uintptr_t room)
{
  struct eh_frame_entry entry = {.at = 0};
  uintptr_t count = 0, at = frames->start;
  enum eh_frame_record record;
  while (count < room && (record = eh_frame_read(&frames->span, &at, &entry)) != EH_FRAME_END) {
    if (record == EH_FRAME_SHARED || entry.pc_high == entry.pc_low || !is_in_reach(entry.pc_low, frames->start) ||
        !is_in_reach(entry.at, frames->start))
      continue;
    if (pairs != NULL)
      pairs[count] = (struct pair){(int32_t)(entry.pc_low - frames->start), (int32_t)(entry.at - frames->start)};
    count++;
  }
  return count;
}

static void sift_down(struct pair *pairs, uintptr_t root, uintptr_t count)
{
  struct pair moved = pairs[root];
  for (uintptr_t child = 2 * root + 1; child < count; root = child, child = 2 * root + 1) {
    if (child + 1 < count && pairs[child + 1].code > pairs[child].code)
      child++;
    if (pairs[child].code <= moved.code)
      break;
    pairs[root] = pairs[child];
  }
  pairs[root] = moved;
}

/* In place, and never slow: this is somebody else's data. */
static void sort(struct pair *pairs, uintptr_t count)
{
  for (uintptr_t root = count / 2; root-- > 0;)
    sift_down(pairs, root, count);
  for (uintptr_t last = count; last-- > 1;) {
    struct pair largest = pairs[0];
    pairs[0] = pairs[last];
    pairs[last] = largest;
    sift_down(pairs, 0, last);
  }
}

static bool make_table(struct eh_frame *frames)
{
  uintptr_t count = list_entries(frames, NULL, LOCATE_ENTRIES_MAX), bytes = count * sizeof(struct pair);
  struct pair *pairs = count > 0 ? sys_map_anonymous(bytes) : NULL;
  if (pairs == NULL)
    return false;
  region_add_own(pairs, bytes);
  count = list_entries(frames, pairs, count);
  sort(pairs, count);
  frames->table = (uintptr_t)pairs;
  frames->table_base = frames->start;
  frames->table_count = count;
  return true;
}

bool locate_noted_frames(struct module *module)
{
  uintptr_t start = noted_start(module);
  module->frames = frames_from(module, start != 0 ? start : (uintptr_t)module->eh_frame_hdr);
  use_table_of_header(module);
  return start != 0 || module->frames.table_count > 0;
}

void locate_frames(struct module *module)
{
  (void)locate_noted_frames(module);
  module->frames_are_known = true;
  if (module->frames.table_count > 0)
    return;
  uintptr_t start = noted_start(module);
  module->frames_are_checked = true;
  module->frames = frames_from(module, start != 0 ? start : scanned_start(module));
  (void)make_table(&module->frames);
}

static bool is_sorted(const struct eh_frame *frames)
{
  const struct pair *pairs = (const struct pair *)frames->table;
  for (uintptr_t i = 1; i < frames->table_count; i++)
    if (pairs[i].code < pairs[i - 1].code)
      return false;
  return true;
}

bool locate_sort_if_needed(struct module *module)
{
  if (module->frames_are_checked)
    return false;
  module->frames_are_checked = true;
  if (is_sorted(&module->frames))
    return false;
  uintptr_t start = noted_start(module);
  struct eh_frame frames = frames_from(module, start != 0 ? start : scanned_start(module));
  if (!make_table(&frames))
    return false;
  module->frames = frames;
  return true;
}
