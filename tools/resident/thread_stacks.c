/* SPDX-License-Identifier: MIT */
#include "tools/resident/thread_stacks.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

GArray *thread_stacks_of(int pid)
{
  GArray *addresses = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  g_autofree char *tasks = g_strdup_printf("/proc/%d/task", pid);
  g_autoptr(GDir) folder = g_dir_open(tasks, 0, NULL);
  const char *name;
  while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
    void *head = NULL;
    size_t size;
    int tid = atoi(name);
    uint64_t address;
    if (tid != pid && syscall(SYS_get_robust_list, tid, &head, &size) == 0 && (address = (uintptr_t)head) != 0)
      g_array_append_val(addresses, address);
  }
  return addresses;
}
