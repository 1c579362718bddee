/* SPDX-License-Identifier: MIT */
/* P3: a program of another libc, which knows little of what glibc has: it allocates in every way, in threads, in a child, in a library
 * that it opens, and ends. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUIRE(condition) ((condition) ? (void)0 : (printf("not true: %s\n", #condition), abort()))

static void *allocate(void *unused)
{
  void *kept[100] = {NULL};
  for (size_t i = 0; i < 10000; i++) {
    void **slot = &kept[i % 100];
    size_t size = i % 5000 + 1;
    free(*slot);
    switch (i % 5) {
    case 0: *slot = malloc(size); break;
    case 1: *slot = calloc(size, 1); break;
    case 2: *slot = realloc(NULL, size); break;
    case 3: *slot = aligned_alloc(64, 64); break;
    default: REQUIRE(posix_memalign(slot, 4096, size) == 0); break;
    }
    REQUIRE(*slot != NULL && (uintptr_t)*slot % 16 == 0);
    memset(*slot, 1, i % 5 == 3 ? 64 : size);
  }
  for (size_t i = 0; i < 100; i++)
    free(kept[i]);
  return unused;
}

int main(int argc, char **argv)
{
  pthread_t threads[4];
  int status;
  (void)argc;
  alarm(60);
  for (size_t i = 0; i < 4; i++)
    REQUIRE(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
  for (size_t i = 0; i < 4; i++)
    REQUIRE(pthread_join(threads[i], NULL) == 0);
  REQUIRE(malloc(SIZE_MAX / 2) == NULL);
  void *library = dlopen(argv[1], RTLD_NOW);
  REQUIRE(library != NULL && dlclose(library) == 0);
  pid_t child = fork();
  if (child == 0) {
    allocate(NULL);
    _exit(3);
  }
  REQUIRE(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
  puts("ok");
  return 0;
}
