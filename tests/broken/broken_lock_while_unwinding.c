/* SPDX-License-Identifier: MIT */
/* U2, U3: a lock of its own, held while it looks at the loaded modules, wanted by free, unknown to fork. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
static pthread_mutex_t tables = PTHREAD_MUTEX_INITIALIZER;
static int see(struct dl_phdr_info *module, size_t size, void *data)
{
  return (void)module, (void)size, (void)data, 0;
}
#define MINI_ON_ALLOC(size)                                                                                            \
  (void)(size), pthread_mutex_lock(&tables), dl_iterate_phdr(see, NULL), pthread_mutex_unlock(&tables)
#define MINI_ON_FREE(p)                                                                                                \
  if (!inside)                                                                                                         \
  pthread_mutex_lock(&tables), pthread_mutex_unlock(&tables)
#include "mini_shim.h"
