/* SPDX-License-Identifier: MIT */
/* S3: a library constructor allocates 10,000 blocks on each of 8 threads before ours runs; main frees them. */
#include "hz_victim.h"

enum { THREADS = 8, BLOCKS = 10000 };
static unsigned char *blocks[THREADS][BLOCKS];

static void *allocate(void *argument)
{
  unsigned char **mine = argument;
  for (int i = 0; i < BLOCKS; i++) {
    REQUIRE((mine[i] = i % 3 ? malloc(8 + i % 300) : calloc(1, 8 + i % 300)) != NULL);
    memset(mine[i], i & 255, 8);
    if (i % 5 == 0)
      REQUIRE((mine[i] = realloc(mine[i], 600)) != NULL);
  }
  return NULL;
}

void hz_library_constructor(int argc, char **argv);
void hz_library_constructor(int argc, char **argv)
{
  (void)argc, (void)argv;
  pthread_t threads[THREADS];
  hz_alarm(20);
  for (int i = 0; i < THREADS; i++)
    threads[i] = hz_thread(allocate, blocks[i], 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

int main(void)
{
  for (int i = 0; i < THREADS; i++)
    for (int k = 0; k < BLOCKS; k++) {
      REQUIRE(blocks[i][k][7] == (k & 255));
      free(blocks[i][k]);
    }
  puts("ok");
  return 0;
}
