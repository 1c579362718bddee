/* SPDX-License-Identifier: MIT */
/* The control: no hazard is broken, so every victim but those of row 3 and G5 must pass under it. */
#define MINI_TABLE
#include "mini_shim.h"
