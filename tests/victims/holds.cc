/* SPDX-License-Identifier: MIT */
/* holds PLUGIN: does what makes a profile interesting, and then waits, so that others can look at it. Reads orders from standard
 * input, one per line:
 *   work  allocates through every form of operator new, strdup, code without a file, and a library that it then unloads
 *   peak  allocates much, and frees it
 *   fork  makes a child that only waits, and says its number
 *   exec  begins anew, as another program of the same number would
 *   bare  the same without what is preloaded
 *   end   says what it counted, and returns */
#include "orders.h"
#include "shadow.h"

#include <cstring>
#include <dlfcn.h>
#include <new>
#include <sys/mman.h>

enum { PEAK_OBJECTS = 100, PEAK_BYTES = 100000 };

VICTIM void victim_news()
{
  for (size_t i = 1; i < 50; i++) {
    shadow_add(operator new(i), i);
    shadow_add(new char[2 * i], 2 * i);
    shadow_add(new (std::nothrow) char[3 * i], 3 * i);
    shadow_add(operator new(64 * i, std::align_val_t(64)), 64 * i);
    void *p = shadow_add(operator new(i), i);
    operator delete(p);
    shadow_remove(i);
  }
}

VICTIM void victim_texts()
{
  for (int i = 0; i < 20; i++)
    shadow_add(strdup("a text"), sizeof "a text");
}

/* push %rbp; mov %rsp,%rbp; call *%rsi; pop %rbp; ret: allocates on behalf of its caller, and belongs to no file. */
VICTIM void victim_code()
{
  static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3};
  void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  memcpy(page, code, sizeof code);
  auto call = reinterpret_cast<void *(*)(size_t, void *(*)(size_t))>(page);
  for (size_t i = 0; i < 30; i++)
    shadow_add(call(11 * i, malloc), 11 * i);
}

VICTIM void victim_plugin(const char *path)
{
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  auto allocate = reinterpret_cast<void *(*)(size_t)>(dlsym(library, "victim_plugin_allocate"));
  for (size_t i = 0; i < 20; i++)
    shadow_add(allocate(10 * i), 10 * i);
  REQUIRE(dlclose(library) == 0);
}

VICTIM void victim_peak()
{
  void *held[PEAK_OBJECTS];
  for (void *&p : held)
    p = shadow_add(malloc(PEAK_BYTES), PEAK_BYTES);
  for (void *p : held) {
    free(p);
    shadow_remove(PEAK_BYTES);
  }
}

/* Not by stdio, which would allocate. */
static void say(const char *line)
{
  REQUIRE(write(STDOUT_FILENO, line, strlen(line)) == static_cast<ssize_t>(strlen(line)));
}

static void fork_one()
{
  char line[32];
  pid_t child = fork();
  if (child == 0)
    pause();
  REQUIRE(snprintf(line, sizeof line, "%d\n", static_cast<int>(child)) > 0);
  say(line);
}

static void begin_anew(char **argv)
{
  (void)execv("/proc/self/exe", argv);
  REQUIRE(false);
}

int main(int argc, char **argv)
{
  REQUIRE(argc == 2);
  say("ready\n");
  char order[32];
  while (read_order(order, sizeof order) && strcmp(order, "end") != 0) {
    if (strcmp(order, "work") == 0) {
      victim_news();
      victim_texts();
      victim_code();
      victim_plugin(argv[1]);
    } else if (strcmp(order, "peak") == 0) {
      victim_peak();
    } else if (strcmp(order, "fork") == 0) {
      fork_one();
    } else if (strcmp(order, "exec") == 0) {
      begin_anew(argv);
    } else if (strcmp(order, "bare") == 0) {
      REQUIRE(unsetenv("LD_PRELOAD") == 0);
      begin_anew(argv);
    }
    say("done\n");
  }
  shadow_print();
  return 0;
}
