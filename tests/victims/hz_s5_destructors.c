/* SPDX-License-Identifier: MIT */
/* S5: short threads whose last act, in a key destructor, is to malloc and to free. Fails when they leave more than 100
 * bytes each behind. Argument: number of threads. */
#include "hz_victim.h"
#include <limits.h>

static pthread_key_t key;

static void destroy(void *block)
{
  static _Thread_local int again;
  free(block);
  if (++again < PTHREAD_DESTRUCTOR_ITERATIONS)
    REQUIRE(pthread_setspecific(key, malloc(200)) == 0);
}

static void *run(void *argument)
{
  hz_churn(4, 100);
  REQUIRE(pthread_setspecific(key, malloc(100)) == 0);
  return argument;
}

static void run_threads(long count)
{
  for (long i = 0; i < count; i += 2) {
    pthread_t two[2] = {hz_thread(run, NULL, 65536), hz_thread(run, NULL, 65536)};
    pthread_join(two[0], NULL);
    pthread_join(two[1], NULL);
  }
}

int main(int argc, char **argv)
{
  long count = hz_argument(argc, argv, 1, 10000);
  hz_alarm(60);
  REQUIRE(pthread_key_create(&key, destroy) == 0);
  run_threads(count / 5);
  long before = hz_status_kib("VmRSS:");
  run_threads(count);
  REQUIRE(hz_status_kib("VmRSS:") - before < count / 10);
  puts("ok");
  return 0;
}
