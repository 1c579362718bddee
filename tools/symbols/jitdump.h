/* SPDX-License-Identifier: MIT */
/* Dumps of generated code, jit-PID.dump: records of code that was loaded, with its name, and moved. */
#ifndef HEAPPROF_JITDUMP_H
#define HEAPPROF_JITDUMP_H

#include "tools/symbols/code_names.h"

/* Of this machine's byte order. False: it is no such dump. What is damaged or missing at the end costs names. */
bool jitdump_read(const uint8_t *bytes, size_t size, struct code_names *names);

#endif
