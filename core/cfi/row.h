/* SPDX-License-Identifier: MIT */
/* A row of unwind information: what a place of the program says of the way from its frame to the caller's.
 *
 * Only what callers can rely on is kept: the registers that functions preserve, sp, and the return address. A slot each
 * (arch_cfi_slot in arch/arch.h), four bytes each.
 */
#ifndef HEAPPROF_CFI_ROW_H
#define HEAPPROF_CFI_ROW_H

#include "core/arch/arch.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the caller's value of a register is. */
enum cfi_how {
  CFI_SAME,          /* in the register; of sp: it is the CFA */
  CFI_UNDEFINED,     /* nowhere. Of the return address: there is no caller */
  CFI_AT_CFA,        /* in memory, at CFA + value */
  CFI_IS_CFA,        /* CFA + value itself */
  CFI_IN_REGISTER,   /* in the register of that number */
  CFI_AT_EXPRESSION, /* in memory, where the expression says, which starts with the CFA */
  CFI_IS_EXPRESSION, /* what the expression says */
};

/* An expression is known by where its block (length and operations) lies, in bytes from `base`. */
struct cfi_row {
  uintptr_t base;
  int32_t cfa_value;    /* CFA = register + this; of an expression: where it lies */
  uint8_t cfa_register; /* by its DWARF number, or CFI_CFA_EXPRESSION */
  bool is_signal;       /* the frame that the kernel made for a handler: its caller was interrupted, it did not call */
  bool is_signed;       /* the return address is, in this place (pointer authentication) */
  uint32_t rules[ARCH_CFI_SLOTS]; /* cfi_rule */
};

enum { CFI_CFA_UNDEFINED = 0xfe, CFI_CFA_EXPRESSION = 0xff, CFI_VALUE_BITS = 29 };

/* 3 bits of enum cfi_how, 29 of the value. The value has to fit. */
static inline uint32_t cfi_rule(enum cfi_how how, int32_t value)
{
  return (uint32_t)how | (uint32_t)value << 3;
}

static inline enum cfi_how cfi_rule_how(uint32_t rule)
{
  return (enum cfi_how)(rule & 7);
}

static inline int32_t cfi_rule_value(uint32_t rule)
{
  return (int32_t)rule >> 3;
}

#endif
