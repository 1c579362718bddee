/* SPDX-License-Identifier: MIT */
/* What a forked child holds that its parent allocated: its stacks have a flag in the state file, its samples a label,
 * so that whoever adds up parents and children counts it once.
 */
#ifndef HEAPPROF_INHERITED_H
#define HEAPPROF_INHERITED_H

#define INHERITED_LABEL "inherited"
#define INHERITED_TEXT "by fork"

#endif
