/* SPDX-License-Identifier: MIT */
#include "tools/attach/allocators.h"

#include <string.h>

/* Most threads are in one of these all the time, and they lead to no allocator's lock. */
static const char *const runtimes[] = {"libc.so",  "libm.so",      "libpthread.so", "libdl.so",
                                       "librt.so", "libstdc++.so", "libc++.so",     "ld-linux"};

static bool is_runtime(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(runtimes); i++)
    if (g_str_has_prefix(name, runtimes[i]))
      return true;
  return false;
}

bool allocators_is_one(const struct image *image)
{
  return image_find(image, "malloc") != 0 && image_find(image, "free") != 0;
}

static void add_by_name(GPtrArray *found, const GPtrArray *objects, const char *name)
{
  for (guint i = 0; i < objects->len; i++) {
    struct image *image = g_ptr_array_index(objects, i);
    if (strcmp(image->name, name) == 0 && !g_ptr_array_find(found, image, NULL))
      g_ptr_array_add(found, image);
  }
}

GPtrArray *allocators_among(const GPtrArray *objects)
{
  GPtrArray *found = g_ptr_array_new();
  for (guint i = 0; i < objects->len; i++)
    if (allocators_is_one(g_ptr_array_index(objects, i)))
      g_ptr_array_add(found, g_ptr_array_index(objects, i));
  for (guint i = 0; i < found->len; i++) {
    const struct image *image = g_ptr_array_index(found, i);
    for (guint j = 0; j < image->needed->len; j++) {
      const char *name = g_ptr_array_index(image->needed, j);
      if (!is_runtime(name))
        add_by_name(found, objects, name);
    }
  }
  return found;
}
