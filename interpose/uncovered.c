/* SPDX-License-Identifier: MIT */
#include "interpose/uncovered.h"

#include "core/compiler.h"
#include "core/region.h"
#include "core/settle.h"
#include "core/text.h"

#include <stdbool.h>
#include <string.h>

static void describe(char text[UNCOVERED_NAME_BYTES], const char *path, const char *why)
{
  struct text description = {.bytes = text, .length = 0, .capacity = UNCOVERED_NAME_BYTES, .cut = false};
  char name[UNCOVERED_NAME_BYTES - 24]; /* so that the reason is never cut */
  struct text cut_name = TEXT_INIT(name);
  text_put(&cut_name, text_basename(path));
  text_make_utf8(name);
  text_make_name_part(name);
  text_put(&description, name);
  text_put(&description, " (");
  text_put(&description, why);
  text_put(&description, ")");
}

static bool is_known(const struct region_header *header, const char *text)
{
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++)
    if (atomic_load_explicit(&header->uncovered_names[i].state, memory_order_acquire) == UNCOVERED_IS_WHOLE &&
        strcmp(header->uncovered_names[i].text, text) == 0)
      return true;
  return false;
}

static void put(struct region_header *header, const char *text)
{
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++) {
    struct uncovered_name *name = &header->uncovered_names[i];
    uint32_t empty = UNCOVERED_IS_EMPTY;
    if (!atomic_compare_exchange_strong_explicit(&name->state, &empty, UNCOVERED_IS_WRITTEN, memory_order_relaxed,
                                                 memory_order_relaxed))
      continue;
    strcpy(name->text, text);
    atomic_store_explicit(&name->state, UNCOVERED_IS_WHOLE, memory_order_release /* with the text */);
    return;
  }
}

void uncovered_note(const char *path, const char *why)
{
  char text[UNCOVERED_NAME_BYTES] = "";
  if (!settle_for_sample())
    return;
  struct region_header *header = region_header();
  describe(text, path, why);
  if (is_known(header, text))
    return;
  put(header, text);
  atomic_fetch_add_explicit(&header->uncovered_objects, 1, memory_order_relaxed);
}
