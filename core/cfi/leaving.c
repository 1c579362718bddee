/* SPDX-License-Identifier: MIT */
#include "core/cfi/leaving.h"

#include "core/arch/arch.h"
#include "core/libc.h"

bool leaving_find_row(const struct cfi_object *object, uintptr_t return_address, struct arch_leaving *leaving,
                      struct cfi_row *row)
{
  if (!libc_is_musl() || !object_code_holds(object, return_address, 1) ||
      !arch_foresee_leaving((const uint8_t *)return_address, (const uint8_t *)object->code.low,
                            (const uint8_t *)object->code.high, leaving))
    return false;
  *row = (struct cfi_row){.cfa_register = leaving->counts_from,
                          .cfa_value = leaving->return_at + (int32_t)sizeof return_address};
  for (unsigned slot = 0; slot < ARCH_CFI_SLOTS; slot++)
    if (leaving->saved_at[slot] != ARCH_LEAVING_KEPT)
      row->rules[slot] = cfi_rule(CFI_AT_CFA, leaving->saved_at[slot] - row->cfa_value);
  row->rules[arch_cfi_slot(ARCH_DWARF_RETURN_ADDRESS)] = cfi_rule(CFI_AT_CFA, -(int32_t)sizeof return_address);
  return true;
}

bool leaving_is_outermost(const struct cfi_object *object, uintptr_t return_address)
{
  return libc_is_musl() && object_code_holds(object, return_address - ARCH_CALL_BYTES_MAX, 2 * ARCH_CALL_BYTES_MAX) &&
         arch_is_first_call((const uint8_t *)return_address);
}
