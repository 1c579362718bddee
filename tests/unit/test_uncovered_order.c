/* SPDX-License-Identifier: MIT */
/* Names of what is not seen, and who reads them, under every order that C11 allows (tests/order/explorer.h). */
#include "core/compiler.h"
#include "tests/order/explored.h"

#include "core/region.h"
#include "core/settle.h"
#include "core/sys.h"
#include "core/text.h"

/* Of a text the first letter stands for all. */
#define strcpy(to, from) ((to)[0] = (from)[0])
#define strcmp(a, b) ((a)[0] - (b)[0])

#include "interpose/uncovered.c"

#include "order.h"

static struct region_header header;

struct region_header *region_header(void)
{
  return &header;
}

bool settle_for_sample(void)
{
  return true;
}

void text_put(struct text *text, const char *string)
{
  if (text->length++ == 0)
    text->bytes[0] = string[0];
}

void text_make_utf8(char *string)
{
  (void)string;
}

void text_make_name_part(char *name)
{
  (void)name;
}

const char *text_basename(const char *path)
{
  return path;
}

static void note_a(void)
{
  uncovered_note("a", "");
}

static void note_b(void)
{
  uncovered_note("b", "");
}

/* As a dump does. */
static void read_names(void)
{
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++)
    if (atomic_load_explicit(&header.uncovered_names[i].state, memory_order_acquire) == UNCOVERED_IS_WHOLE)
      explorer_require(header.uncovered_names[i].text[0] != '\0');
}

static void expect_both(void)
{
  char first = header.uncovered_names[0].text[0], second = header.uncovered_names[1].text[0];
  explorer_require((first == 'a' && second == 'b') || (first == 'b' && second == 'a'));
}

static const struct explorer_scenario two_are_noted = {
    .name = "two are noted, and read", .threads = {note_a, note_b, read_names}, .finish = expect_both};

static const struct explorer_scenario *const scenarios[] = {&two_are_noted};

ORDER_MAIN(name_is_whole_and_none_is_lost, NULL)
