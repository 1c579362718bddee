/* SPDX-License-Identifier: MIT */
/* Text profiles made by anybody: the first byte chooses how they begin, so that few are refused at once. */
#include "heap_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const starts[] = {
      "",
      "heap profile: 1: 2 [3: 4] @ heap_v2/512\n",
      "heap profile: 1: 2 [1: 2] @ heap/1024\n",
      "heap profile: 1: 2 [3: 4] @ heapprofile\n",
      "heap profile: 1: 2 [1: 2] @ growth\n",
      "heap_v2/512\n t*: 1: 2 [3: 4]\n",
      "--- heapz 1 ---\nresolution = bytes\n",
      "heap profile: 1: 2 [1: 2] @ heap_v2/512\nMAPPED_LIBRARIES:\n",
  };
  if (size == 0)
    return 0;
  g_autoptr(GByteArray) text = g_byte_array_new();
  const char *start = starts[data[0] % G_N_ELEMENTS(starts)];
  g_byte_array_append(text, (const uint8_t *)start, (guint)strlen(start));
  g_byte_array_append(text, data + 1, (guint)(size - 1));
  if (text->len > 0)
    check_input(text->data, text->len);
  return 0;
}
