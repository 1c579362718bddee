/* SPDX-License-Identifier: MIT */
#include "tools/push/verdict.h"

#include <glib.h>

enum { OK = 200, MULTIPLE_CHOICES = 300, BAD_REQUEST = 400, TIMEOUT = 408, CONFLICT = 409, TOO_LARGE = 413 };
enum { UNPROCESSABLE = 422, TOO_EARLY = 425, TOO_MANY = 429, BROKEN = 500 };

/* A page that says "log in here" comes with 200, too. */
static bool is_of_push(const char *type)
{
  return type != NULL && g_ascii_strncasecmp(type, "application/proto", 17) == 0;
}

enum verdict verdict_of(long status, const char *type)
{
  if (status >= OK && status < MULTIPLE_CHOICES)
    return status == OK && is_of_push(type) ? VERDICT_TAKEN : VERDICT_MISLED;
  switch (status) {
  case BAD_REQUEST:
  case CONFLICT:
  case TOO_LARGE:
  case UNPROCESSABLE: return VERDICT_REFUSED;
  case TIMEOUT:
  case TOO_EARLY:
  case TOO_MANY: return VERDICT_LATER;
  default: return status >= BROKEN ? VERDICT_LATER : VERDICT_MISLED;
  }
}

bool verdict_blames(long status)
{
  return status >= BROKEN;
}
