/* SPDX-License-Identifier: MIT */
/* Makes a profiler need everything that it ever needs: places and live objects enough that each of its tables grows, a library that
 * comes and goes, a profile on the way, a forked child. One thread, and the same in every run; the output does not tell whether it is
 * profiled.
 *
 *   consumer PLUGIN LEVELS OBJECTS [DESCRIPTORS]     2^LEVELS places; RLIMIT_NOFILE once main has begun
 *
 * A SIGUSR1 makes it allocate, and fork a child that does, from a place of its own.
 * With CONSUMER_PEAK in the environment it prints the most address space that it ever had, in KiB, to standard error.
 */
#include "descend.h"
#include "hz_victim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern int heapprof_dump(const char *path) __attribute__((weak));

/* Not opendir: it allocates. */
static void print_descriptors(void)
{
  char line[256], *end = line + sprintf(line, "descriptors");
  for (int fd = 0; fd < 64; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      end += sprintf(end, " %d", fd);
  dprintf(1, "%s\n", line);
}

static char *objects[1 << 16];

VICTIM void victim_hold(int count)
{
  for (int i = 0; i < count; i++) {
    objects[i] = shadow_add(malloc(24 + i % 64), 24 + i % 64);
    REQUIRE(objects[i] != NULL);
    memset(objects[i], 'x', 24 + i % 64);
  }
}

VICTIM void victim_drop(int from, int to)
{
  for (int i = from; i < to; i++) {
    REQUIRE(objects[i][0] == 'x');
    shadow_remove(24 + i % 64);
    free(objects[i]);
  }
}

static void load_and_unload(const char *plugin)
{
  void *library = dlopen(plugin, RTLD_NOW);
  dprintf(1, "library: %s\n", library != NULL ? "loaded" : "not loaded");
  if (library != NULL)
    REQUIRE(dlclose(library) == 0);
}

__attribute__((noinline)) void be_signalled(int number)
{
  int error = errno, status;
  (void)number;
  char *object = malloc(100);
  pid_t child = fork();
  if (child == 0) {
    free(malloc(200));
    _exit(object == NULL);
  }
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  free(object);
  errno = error;
}

static void run_child(int count)
{
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    shadow_become_child();
    victim_visit(3);
    victim_drop(0, count / 2);
    shadow_print();
    exit(3);
  }
  int status;
  REQUIRE(waitpid(child, &status, 0) == child);
  dprintf(1, "child: %#x\n", status);
}

int main(int argc, char **argv)
{
  signal(SIGUSR1, be_signalled);
  int levels = (int)hz_argument(argc, argv, 2, 8), count = (int)hz_argument(argc, argv, 3, 1000);
  syscall(SYS_getppid); /* a sign that main has begun */
  REQUIRE(count <= 1 << 16);
  if (argc > 4)
    REQUIRE(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)atol(argv[4]), (rlim_t)atol(argv[4])}) == 0);
  victim_hold(count);
  victim_visit(levels);
  load_and_unload(argv[1]);
  if (heapprof_dump)
    heapprof_dump(NULL);
  run_child(count);
  victim_drop(count / 2, count);
  victim_visit(levels);
  print_descriptors();
  shadow_print();
  if (getenv("CONSUMER_PEAK"))
    dprintf(2, "peak %ld\n", hz_status_kib("VmPeak"));
  return 7;
}
