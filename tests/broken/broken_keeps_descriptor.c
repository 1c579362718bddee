/* SPDX-License-Identifier: MIT */
/* P4: keeps the number of a descriptor, and says something there, when the file it belonged to is long closed. */
#include <fcntl.h>
#include <unistd.h>
static int log_file;
#define MINI_ON_LOAD log_file = open("/dev/null", O_WRONLY | O_CLOEXEC)
#define MINI_ON_UNLOAD (void)!write(log_file < 3 ? log_file : 2, "profile written\n", 16)
#include "mini_shim.h"
