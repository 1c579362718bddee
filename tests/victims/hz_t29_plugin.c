/* SPDX-License-Identifier: MIT */
/* hz_t29_plugin PLUGIN: it has opened that. After a line that is closed again;
 * what the plugin does last is to allocate, while it is being unloaded. After another line the program ends. Built with
 * -DPLUGIN it is the plugin. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef PLUGIN
__attribute__((noinline)) static void *keep_last(size_t size)
{
  void *p = malloc(size);
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

__attribute__((destructor)) static void plugin_ends(void)
{
  static void *last;
  last = keep_last(12345);
  __asm__ volatile("" : : "r"(&last) : "memory");
}
#else
static void say_and_wait(void)
{
  char byte;
  if (write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1)
    _exit(7);
}

int main(int argc, char **argv)
{
  void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (plugin == NULL)
    return 2;
  say_and_wait();
  if (dlclose(plugin) != 0)
    return 3;
  say_and_wait();
  return 0;
}
#endif
