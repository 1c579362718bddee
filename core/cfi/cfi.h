/* SPDX-License-Identifier: MIT */
/* The frame-rule compiler: a pure function from a pc to a rule or a recipe, by the unwind information of the object
 * that holds it.
 *
 * Threads, signals: any, at any time: no lock, no system call; but for the first pc of an object (objects.h). Memory:
 * none. Stack: under 450 bytes. Time: bounded, whatever the object holds. Nothing of the application's memory is read
 * but loaded objects. Fork: nothing to do. errno is kept.
 */
#ifndef HEAPPROF_CFI_CFI_H
#define HEAPPROF_CFI_CFI_H

#include "core/cfi/recipes.h"
#include "core/object_image.h"
#include "core/rules.h"

/* Compiles the rule for `pc`, which lies inside the calling instruction, and puts it into the cache. RULE_ABSENT: it
 * can't be told now, as libraries are loaded or unloaded; counted as lost. */
packed_rule cfi_compile(uintptr_t pc);

/* The function that holds the pc, as the same information tells. False: it does not, or can't be read now. */
bool cfi_find_function(uintptr_t pc, struct address_range *function);

/* The same for the recipe, whose rule is RULE_ABSENT then. */
void cfi_compile_recipe(uintptr_t pc, struct recipe *recipe);

#endif
