/* SPDX-License-Identifier: MIT */
/* `hz_u15_musl PLUGIN BROKEN`: a program of musl, whose loader asks callers to wait for a lock. Threads allocate, also from code that
 * no object holds, while another one opens BROKEN, which fails each time after it was listed. Then PLUGIN is opened, whose constructor
 * allocates, and a child goes on. */
#include "shadow.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { OPENINGS = 100, ROUNDS = 3000, ALLOCATING_THREADS = 3 };

typedef void *allocate_function(size_t size);
typedef void *through_function(size_t size, allocate_function *allocate);

static const unsigned char code[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd6,
                                     0x48, 0x83, 0xc4, 0x08, 0xc3}; /* calls its second argument */

VICTIM void *victim_threads(void *unused)
{
  through_function *through = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(through != MAP_FAILED);
  memcpy((void *)through, code, sizeof code);
  for (size_t i = 0; i < ROUNDS; i++) {
    void *p = shadow_add(malloc(i % 100), i % 100);
    free(through(i % 100, malloc));
    free(p);
    shadow_remove(i % 100);
  }
  return unused;
}

/* Before there are threads: those that begin together do not wait for each other's first sample. */
VICTIM void victim_first(void)
{
  free(shadow_add(malloc(1), 1));
  shadow_remove(1);
}

static void *open_in_vain(void *path)
{
  for (size_t i = 0; i < OPENINGS; i++)
    REQUIRE(dlopen(path, RTLD_NOW) == NULL);
  return NULL;
}

/* The constructor's part of it is counted here: the plug-in has no shadow. */
VICTIM void victim_open(const char *path)
{
  void *plugin = dlopen(path, RTLD_NOW);
  REQUIRE(plugin != NULL);
  for (size_t i = 0; i < 5; i++)
    shadow_add(plugin, 100);
  allocate_function *allocate = (allocate_function *)dlsym(plugin, "plugin_allocate");
  REQUIRE(allocate != NULL);
  shadow_add(allocate(1000), 1000);
  REQUIRE(dlclose(plugin) == 0);
}

int main(int argc, char **argv)
{
  pthread_t threads[ALLOCATING_THREADS], opener;
  victim_first();
  REQUIRE(argc == 3 && pthread_create(&opener, NULL, open_in_vain, argv[2]) == 0);
  for (size_t i = 0; i < ALLOCATING_THREADS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, victim_threads, NULL) == 0);
  for (size_t i = 0; i < ALLOCATING_THREADS; i++)
    REQUIRE(pthread_join(threads[i], NULL) == 0);
  REQUIRE(pthread_join(opener, NULL) == 0);
  victim_open(argv[1]);
  int status;
  pid_t child = fork();
  if (child == 0) {
    REQUIRE(dlopen(argv[2], RTLD_NOW) == NULL);
    free(malloc(10));
    _exit(3);
  }
  REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
  shadow_print();
  return 0;
}
