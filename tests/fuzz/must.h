/* SPDX-License-Identifier: MIT */
/* What a harness demands; it says which line did not get it, and dies. */
#ifndef MUST_H
#define MUST_H

#include <glib.h>

#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      g_error("line %d: not so: %s", __LINE__, #condition);                                                            \
  } while (0)

#endif
