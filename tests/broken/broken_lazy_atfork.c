/* SPDX-License-Identifier: MIT */
/* S2: the same with pthread_atfork. */
#include <pthread.h>
#define MINI_ON_FIRST pthread_atfork(NULL, NULL, NULL)
#include "mini_shim.h"
