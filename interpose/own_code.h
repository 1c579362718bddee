/* SPDX-License-Identifier: MIT */
/* Where our own code lies: frames in there are left out of stacks, for they are no part of the program. Of a shared
 * object that is all of it; where the library is linked into the program (linked/own_code.c), its own functions alone.
 */
#ifndef HEAPPROF_OWN_CODE_H
#define HEAPPROF_OWN_CODE_H

#include "core/object_image.h"

struct address_range own_code(void);

#endif
