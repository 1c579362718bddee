/* SPDX-License-Identifier: MIT */
/* What Python calls: cc -g -shared -fPIC -o cart.so cart.c */
#include <stdlib.h>
#include <string.h>

long total(const char *text)
{
  char *copy = strdup(text);
  long result = (long)strlen(copy);
  free(copy);
  return result;
}

long forgetful_total(const char *text)
{
  return (long)strlen(strdup(text));
}
