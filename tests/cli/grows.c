/* SPDX-License-Identifier: MIT */
/* Keeps memory in the function that is asked for, "pictures 3000000"; says "done" each time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPER(name)                                                                                                   \
  __attribute__((noinline)) static void name(size_t bytes)                                                             \
  {                                                                                                                    \
    static void *last;                                                                                                 \
    void **block = malloc(bytes);                                                                                      \
    memset(block, 1, bytes);                                                                                           \
    *block = last;                                                                                                     \
    last = block;                                                                                                      \
  }

KEEPER(keep_pictures)
KEEPER(keep_words)
KEEPER(keep_index)

static void say(const char *word)
{
  puts(word);
  fflush(stdout);
}

int main(void)
{
  char line[100], name[50];
  unsigned long bytes;
  say("ready");
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "%49s %lu", name, &bytes) != 2)
      break;
    if (strcmp(name, "pictures") == 0)
      keep_pictures(bytes);
    else if (strcmp(name, "words") == 0)
      keep_words(bytes);
    else
      keep_index(bytes);
    say("done");
  }
  return 0;
}
