/* SPDX-License-Identifier: MIT */
#include "interpose/follow.h"

#include "core/text.h"
#include "interpose/loader.h"

#include <stdbool.h>
#include <string.h>

static const char separators[] = ": "; /* ld.so's */

static bool is_named(const char *entry, size_t length, const char *name)
{
  size_t name_length = strlen(name);
  return length >= name_length && memcmp(entry + length - name_length, name, name_length) == 0 &&
         (length == name_length || entry[length - name_length - 1] == '/');
}

/* An entry is removed with the separator before it, so that the others keep theirs; a new first entry needs none. */
static void take_out(char *list, const char *name)
{
  size_t whole = strlen(list), kept = 0;
  const char *entry = list;
  for (bool is_last = false; !is_last;) {
    size_t length = strcspn(entry, separators);
    is_last = entry[length] == '\0';
    if (!is_named(entry, length, name)) {
      size_t separator = kept > 0;
      memmove(list + kept, entry - separator, length + separator);
      kept += length + separator;
    }
    entry += length + 1;
  }
  memset(list + kept, 0, whole - kept); /* also for readers of /proc/PID/environ */
}

void follow_end(char **environment)
{
  static const char variable[] = "LD_PRELOAD=";
  const char *own = loader_own_path();
  if (own == NULL)
    return;
  for (char **entry = environment; *entry != NULL; entry++)
    if (strncmp(*entry, variable, sizeof variable - 1) == 0)
      take_out(*entry + sizeof variable - 1, text_basename(own));
}
