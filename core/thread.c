/* SPDX-License-Identifier: MIT */
#include "core/thread.h"

__thread struct thread this_thread __attribute__((tls_model("initial-exec")));
