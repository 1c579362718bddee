/* SPDX-License-Identifier: MIT */
/* What is named weakly elsewhere (core/libc.h), though every libc has it: a weak name takes nothing out of an archive.
 */
#include <errno.h>
#include <sys/auxv.h>

__attribute__((used)) static const void *const needed[] = {
    (const void *)getauxval,
    &program_invocation_name,
    &program_invocation_short_name,
};
