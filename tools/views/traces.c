/* SPDX-License-Identifier: MIT */
#include "tools/views/traces.h"

#include "tools/filter/label_unit.h"
#include "tools/terminal/quantity.h"
#include "tools/terminal/shown.h"
#include "tools/views/view.h"

#include <stdlib.h>

static const char separator[] = "-----------+-------------------------------------------------------\n";

struct order {
  const struct heap *heap;
  int type;
};

static gint compare_samples(gconstpointer a, gconstpointer b, gpointer data)
{
  const struct order *order = data;
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  int64_t value = llabs(heap_values(order->heap, one)[order->type]),
          other_value = llabs(heap_values(order->heap, other)[order->type]);
  if (value != other_value)
    return value > other_value ? -1 : 1;
  return (one > other) - (one < other);
}

static GArray *sorted_samples(const struct heap *heap, int type)
{
  GArray *samples = g_array_new(FALSE, FALSE, sizeof(uint32_t));
  struct order order = {heap, type};
  for (uint32_t i = 0; i < heap->samples->len; i++)
    if (heap_values(heap, i)[type] != 0 && heap_sample(heap, i)->frame_count > 0)
      g_array_append_val(samples, i);
  g_array_sort_with_data(samples, compare_samples, &order);
  return samples;
}

static struct quantity_text number_of(const struct heap_label *label)
{
  double value;
  const char *unit = label_unit_base(label_unit(label), (double)label->number, &value);
  return quantity(value, unit != NULL ? unit : "count");
}

static void append_label(GString *text, const struct heap_label *label)
{
  g_autofree char *key = shown_text(label->key), *value = shown_text(label->text);
  if (label->text[0] != '\0')
    g_string_append_printf(text, "%10s:  %s\n", key, value);
  else
    g_string_append_printf(text, "%10s:  %s\n", key, number_of(label).text);
}

static void append_trace(GString *text, const struct heap *heap, int type, struct heap_places *places, uint32_t sample)
{
  const struct heap_sample *stack = heap_sample(heap, sample);
  const char *unit = heap_type(heap, (uint32_t)type)->unit;
  uint32_t count;
  const struct stack_place *frames = heap_places_stack(places, sample, &count);
  g_string_append(text, separator);
  for (uint32_t i = 0; i < stack->label_count; i++)
    append_label(text, &g_array_index(heap->labels, struct heap_label, stack->first_label + i));
  for (uint32_t i = 0; i < count; i++) {
    const struct place *place = place_of(places->places, frames[i].place);
    g_autofree char *name = view_place_name(place->name, place->file, place->line), *shown = shown_text(name);
    g_string_append_printf(text, "%10s   %s%s\n",
                           i == 0 ? quantity((double)heap_values(heap, sample)[type], unit).text : "", shown,
                           frames[i].is_inlined ? " (inline)" : "");
  }
}

uint32_t traces_append(GString *text, const struct heap *heap, int type, enum places_by by, uint32_t count)
{
  struct places *places = places_new(by);
  struct heap_places *of_heap = heap_places_new(places, heap);
  g_autoptr(GArray) samples = sorted_samples(heap, type);
  for (uint32_t i = 0; i < samples->len && i < count; i++)
    append_trace(text, heap, type, of_heap, g_array_index(samples, uint32_t, i));
  g_string_append(text, separator);
  heap_places_free(of_heap);
  places_free(places);
  return samples->len;
}
