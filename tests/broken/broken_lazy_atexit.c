/* SPDX-License-Identifier: MIT */
/* S2: registers its exit handler when it is first needed, in malloc. */
#include <stdlib.h>
static void report(void) {}
#define MINI_ON_FIRST atexit(report)
#include "mini_shim.h"
