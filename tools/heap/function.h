/* SPDX-License-Identifier: MIT */
/* A function as profiles know it. Whoever holds the function owns its texts. */
#ifndef HEAPPROF_FUNCTION_H
#define HEAPPROF_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

/* What a function is to whoever asks whose memory it is (filter/plumbing.h); no file tells. */
enum function_role {
  FUNCTION_ORDINARY,
  FUNCTION_UNNAMED,   /* nobody knows */
  FUNCTION_PLUMBING,  /* it allocates on behalf of its callers */
  FUNCTION_ALLOCATOR, /* so, and whatever it calls does, too */
  FUNCTION_START,     /* of a program or a thread */
  FUNCTION_RUNTIME,   /* either: a start at the outer end of a stack, plumbing elsewhere */
};

static inline bool function_is_plumbing(enum function_role role)
{
  return role == FUNCTION_PLUMBING || role == FUNCTION_ALLOCATOR || role == FUNCTION_RUNTIME;
}

static inline bool function_is_start(enum function_role role)
{
  return role == FUNCTION_START || role == FUNCTION_RUNTIME;
}

struct heap_function {
  const char *name;        /* for people: demangled, without parameters */
  const char *system_name; /* as in the symbol table */
  const char *file;        /* "" if unknown */
  int64_t start_line;      /* 0 if unknown */
  enum function_role role;
};

#endif
