/* SPDX-License-Identifier: MIT */
/* Two threads in a process that is profiled. The host makes the profiler do all its work: a state file that grows, a library that is
 * unloaded, a profile. The guest does one thing meanwhile, at a moment that a tracer chooses: each getppid is a point at which it may
 * be held, so that it comes between two system calls of the host (refuse.c).
 *
 *   meeting FOLDER PLUGIN|none ACTION
 *
 *   nothing
 *   close       all descriptors, as daemons do, and use the numbers for files of its own: nobody may touch those
 *   fork        a child that allocates and exits
 *   dump        another profile
 *   exit
 *   unload      load and unload the library
 *   allocate    at many new places
 *   threads     start some that allocate
 */
#include "descend.h"
#include "hz_victim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FILES = 12, LEVELS = 9, FEW_LEVELS = 7 };

extern int heapprof_dump(const char *path) __attribute__((weak));

static const char *folder, *plugin;

static void dump(const char *name)
{
  char path[512];
  snprintf(path, sizeof path, "%s/%s.pb.gz", folder, name);
  if (heapprof_dump)
    heapprof_dump(path);
}

/* Not when the guest closes all: the loader would map a file of the guest's instead. */
static void load_and_unload(void)
{
  if (strcmp(plugin, "none") == 0)
    return;
  void *library = dlopen(plugin, RTLD_NOW);
  REQUIRE(library != NULL && dlclose(library) == 0);
}

static void *be_host(void *unused)
{
  victim_visit(LEVELS);
  load_and_unload();
  dump("host");
  victim_visit(FEW_LEVELS);
  return unused;
}

/* What the guest does. */

static int open_own(int number)
{
  char path[512];
  snprintf(path, sizeof path, "%s/own.%d", folder, number);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, "own\n", 4) == 4);
  return fd;
}

static const char *harm_to(int fd)
{
  char text[16] = "";
  struct stat status;
  if (fstat(fd, &status) != 0)
    return "closed";
  if (status.st_size != 4 || status.st_blocks > 8)
    return "longer";
  return pread(fd, text, sizeof text, 0) != 4 || memcmp(text, "own\n", 4) != 0 ? "changed" : NULL;
}

static void open_files(int fds[FILES])
{
  for (int i = 0; i < FILES; i++)
    fds[i] = open_own(i);
}

static void check_files(const int fds[FILES])
{
  for (int i = 0; i < FILES; i++) {
    const char *harm = harm_to(fds[i]);
    if (harm)
      printf("own file %d is %s\n", i, harm);
  }
}

static void close_all(void)
{
  close_range(3, ~0u, 0);
}

static void run_child(void)
{
  int status;
  pid_t child = fork();
  if (child == 0) {
    shadow_become_child();
    victim_visit(FEW_LEVELS);
    exit(0);
  }
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

static void dump_too(void)
{
  dump("guest");
}

static void leave(void)
{
  shadow_print();
  exit(0);
}

static void allocate(void)
{
  victim_visit(LEVELS + 1);
}

static void *visit_some(void *unused)
{
  victim_visit(FEW_LEVELS);
  return unused;
}

static void start_threads(void)
{
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    threads[i] = hz_thread(visit_some, NULL, 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
}

static void do_nothing(void) {}

static void (*action_of(const char *name))(void)
{
  static const struct {
    const char *name;
    void (*function)(void);
  } actions[] = {{"nothing", do_nothing}, {"close", close_all},      {"fork", run_child},
                 {"dump", dump_too},      {"exit", leave},           {"unload", load_and_unload},
                 {"allocate", allocate},  {"threads", start_threads}};
  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    if (strcmp(actions[i].name, name) == 0)
      return actions[i].function;
  REQUIRE(!"an action");
  return NULL;
}

int main(int argc, char **argv)
{
  int fds[FILES];
  REQUIRE(argc > 3);
  folder = argv[1];
  plugin = argv[2];
  void (*action)(void) = action_of(argv[3]);
  victim_visit(1); /* its start has nobody to meet */
  syscall(SYS_getppid);
  pthread_t host = hz_thread(be_host, NULL, 0);
  syscall(SYS_getppid);
  action();
  if (action == close_all)
    open_files(fds);
  syscall(SYS_getppid);
  if (action == close_all)
    check_files(fds);
  pthread_join(host, NULL);
  if (action == close_all)
    check_files(fds);
  puts("end");
  fflush(stdout);
  shadow_print();
  return 0;
}
