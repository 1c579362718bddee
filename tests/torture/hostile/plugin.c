/* SPDX-License-Identifier: MIT */
/* A library that allocates as it comes, when it is used, in each thread, and as it goes. */
#include <stdlib.h>
#include <string.h>

static char *made_by_constructor, *made_at_use;
static __thread char of_thread[3000];

static void free_at_exit(void)
{
  free(made_at_use);
  made_at_use = NULL;
}

__attribute__((constructor)) static void begin(void)
{
  made_by_constructor = malloc(700);
  if (made_by_constructor != NULL)
    memset(made_by_constructor, 'c', 700);
  atexit(free_at_exit); /* when it is unloaded */
}

__attribute__((destructor)) static void end(void)
{
  free(made_by_constructor);
  free(malloc(50));
}

__attribute__((visibility("default"))) unsigned plugin_use(unsigned number);
unsigned plugin_use(unsigned number)
{
  char *volatile object = malloc(number * 10 + 1);
  if (object == NULL || made_by_constructor == NULL)
    return 0;
  object[number * 10] = made_by_constructor[699];
  of_thread[number] = object[number * 10];
  unsigned sum = (unsigned)of_thread[number] + number;
  free(object);
  return sum;
}
