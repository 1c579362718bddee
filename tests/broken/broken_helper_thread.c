/* SPDX-License-Identifier: MIT */
/* S6: a thread of its own. */
#include <pthread.h>
#include <unistd.h>
static pthread_t thread;
static void *wait_for_work(void *nothing)
{
  return pause(), nothing;
}
#define MINI_ON_LOAD pthread_create(&thread, NULL, wait_for_work, NULL)
#include "mini_shim.h"
