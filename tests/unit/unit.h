/* SPDX-License-Identifier: MIT */
/* What the unit tests share.
 *
 * The core keeps its state in static variables, so a test that needs it fresh runs in a child: CHILD_TEST. A child has failed
 * until its body has run to the end. In children and threads cmocka's assertions do not work: there it is require().
 */
#ifndef HEAPPROF_UNIT_H
#define HEAPPROF_UNIT_H

#include "core/compiler.h"
#include "core/config.h"
#include "core/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { UNIT_IS_ADDRESS_SANITIZED = 1 };
#else
enum { UNIT_IS_ADDRESS_SANITIZED = 0 };
#endif

#ifdef __SANITIZE_THREAD__
enum { UNIT_IS_THREAD_SANITIZED = 1 };
/* Readers of the region look for a tag inside of records that others are just filling in; the hash tells what it was. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
  return "race_top:region_next\nrace_top:is_sound\n";
}
#else
enum { UNIT_IS_THREAD_SANITIZED = 0 };
#endif

#define require(condition)                                                                                             \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      unit_die(__FILE__, __LINE__, #condition);                                                                        \
  } while (0)

enum { UNIT_REACHED_END = 42, UNIT_SECONDS = 150 };

static inline void unit_die(const char *file, int line, const char *condition)
{
  fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
  _exit(1);
}

/* The wait status of a child that runs `body`. One that takes longer is killed, whatever signals it blocks. */
static inline int unit_fork_for(void (*body)(void), unsigned seconds)
{
  enum { PAUSE_US = 500 };
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    for (int number = 1; number < SIGRTMIN; number++)
      (void)signal(number, SIG_DFL); /* cmocka's handlers would jump out of the body */
    body();
    _exit(UNIT_REACHED_END);
  }
  int status = -1;
  for (unsigned pauses = 0; waitpid(child, &status, WNOHANG) == 0; pauses++) {
    if (pauses == seconds * (1000000 / PAUSE_US))
      (void)kill(child, SIGKILL);
    (void)usleep(PAUSE_US);
  }
  return status;
}

static inline int unit_fork(void (*body)(void))
{
  return unit_fork_for(body, UNIT_SECONDS);
}

#define UNIT_PASSED (UNIT_REACHED_END << 8) /* as a wait status */

/* Of what an emulator does not do for the kernel: it is skipped there. */
#define KERNEL_TEST(name)                                                                                              \
  static void name##_body(void);                                                                                       \
  static void name(void **state)                                                                                       \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    if (getenv("HEAPPROF_EMULATOR") != NULL)                                                                           \
      skip();                                                                                                          \
    assert_int_equal(unit_fork(name##_body), UNIT_PASSED);                                                             \
  }                                                                                                                    \
  static void name##_body(void)

#define CHILD_TEST(name)                                                                                               \
  static void name##_body(void);                                                                                       \
  static void name(void **state)                                                                                       \
  {                                                                                                                    \
    (void)state;                                                                                                       \
    assert_int_equal(unit_fork(name##_body), UNIT_PASSED);                                                             \
  }                                                                                                                    \
  static void name##_body(void)

/* A directory that is gone when the test program is. */

static char unit_directory_path[64];
static pid_t unit_directory_owner;

static inline int unit_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
  (void)status, (void)type, (void)walk;
  return remove(path);
}

static inline void unit_remove_directory(void)
{
  if (getpid() == unit_directory_owner)
    (void)nftw(unit_directory_path, unit_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Call it once in the parent, before there are children. */
static inline const char *unit_directory(void)
{
  if (unit_directory_path[0] == '\0') {
    strcpy(unit_directory_path, "/tmp/heapprof-unit.XXXXXX");
    if (mkdtemp(unit_directory_path) == NULL)
      unit_die(__FILE__, __LINE__, "mkdtemp");
    unit_directory_owner = getpid();
    (void)atexit(unit_remove_directory);
  }
  return unit_directory_path;
}

static inline unsigned unit_count_files(const char *directory)
{
  unsigned count = 0;
  DIR *entries = opendir(directory);
  for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
    count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  if (entries != NULL)
    closedir(entries);
  return count;
}

static inline void unit_config(struct config *config)
{
  config_set_defaults(config);
  strcpy(config->state_dir, unit_directory());
}

static inline struct config unit_region(void)
{
  struct config config;
  unit_config(&config);
  require(region_create(&config, "unit", "/lib/liballocator.so"));
  require(region_path()[0] != '\0');
  return config;
}

static inline void unit_limit(int resource, rlim_t value)
{
  struct rlimit limit = {.rlim_cur = value, .rlim_max = RLIM_INFINITY};
  require(getrlimit(resource, &limit) == 0);
  limit.rlim_cur = value;
  require(setrlimit(resource, &limit) == 0);
}

/* `count` threads of `function`, each with its number. */
static inline void unit_run_threads(unsigned count, void *(*function)(void *))
{
  pthread_t threads[64];
  for (unsigned i = 0; i < count; i++)
    require(pthread_create(&threads[i], NULL, function, (void *)(uintptr_t)i) == 0);
  for (unsigned i = 0; i < count; i++)
    require(pthread_join(threads[i], NULL) == 0);
}

#endif
