/* SPDX-License-Identifier: MIT */
/* U5: memory that threads cost. Every thread of 64 KiB stack mallocs from a deep stack and then stays; prints how much the
 * resident set grew meanwhile, in KiB. Argument: number of threads. */
#include "hz_victim.h"

static pthread_barrier_t all_warm, all_measured;

static void *run(void *argument)
{
  for (int i = 0; i < 12; i++)
    hz_churn(i, 100);
  if (argument) {
    pthread_barrier_wait(&all_warm);
    pthread_barrier_wait(&all_measured);
  }
  return NULL;
}

int main(int argc, char **argv)
{
  long count = hz_argument(argc, argv, 1, 2000);
  pthread_t *threads = calloc(count, sizeof *threads);
  hz_alarm(60);
  REQUIRE(pthread_barrier_init(&all_warm, NULL, count + 1) == 0);
  REQUIRE(pthread_barrier_init(&all_measured, NULL, count + 1) == 0);
  for (int i = 0; i < 8; i++) /* what the first threads cost is not per thread */
    pthread_join(hz_thread(run, NULL, 65536), NULL);
  long before = hz_status_kib("VmRSS:");
  for (long i = 0; i < count; i++)
    threads[i] = hz_thread(run, threads, 65536);
  pthread_barrier_wait(&all_warm);
  printf("%ld\n", hz_status_kib("VmRSS:") - before);
  pthread_barrier_wait(&all_measured);
  for (long i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  free(threads);
  return 0;
}
