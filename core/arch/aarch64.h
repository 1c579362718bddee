/* SPDX-License-Identifier: MIT */
/* AArch64, little endian, under Linux; arch.h says what is promised, and includes this. */
#ifndef HEAPPROF_AARCH64_H
#define HEAPPROF_AARCH64_H

static ALWAYS_INLINE long arch_sys_call(long number, long a, long b, long c, long d, long e, long f)
{
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

/* `yield` does nothing on most cores; this takes some ten cycles. */
static ALWAYS_INLINE void arch_pause(void)
{
  __asm__ volatile("isb" : : : "memory");
}

/* The virtual counter: 24 MHz on some machines, 1 GHz on others. */
static ALWAYS_INLINE uint64_t arch_ticks(void)
{
  uint64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
}

/* 0 where the firmware has left it out. */
static ALWAYS_INLINE uint64_t arch_ticks_per_second(void)
{
  uint64_t per_second;
  __asm__("mrs %0, cntfrq_el0" : "=r"(per_second));
  return per_second & UINT32_MAX;
}

static ALWAYS_INLINE bool arch_count_down(uint64_t *counter, uint64_t amount)
{
  uint64_t left = *counter;
  if (UNLIKELY(amount >= left))
    return true;
  *counter = left - amount - 1;
  return false;
}

static ALWAYS_INLINE bool arch_is_set(const _Atomic uint8_t *byte)
{
  return atomic_load_explicit(byte, memory_order_relaxed) != 0;
}

/* xpaclri, which works on the link register; cores without pointer authentication take it for a nop. */
static ALWAYS_INLINE uintptr_t arch_strip(uintptr_t return_address)
{
  register uintptr_t x30 __asm__("x30") = return_address;
  __asm__("hint #7" : "+r"(x30));
  return x30;
}

/* The top byte is ignored where memory is accessed. */
static ALWAYS_INLINE const void *arch_untag(const void *pointer)
{
  return (const void *)((uintptr_t)pointer & (UINTPTR_MAX >> 8));
}

static ALWAYS_INLINE uint32_t arch_instruction(const uint8_t *code)
{
  uint32_t instruction;
  __builtin_memcpy(&instruction, code, sizeof instruction);
  return instruction;
}

#define ARCH_B 0x14000000u
#define ARCH_BL 0x94000000u
static ALWAYS_INLINE bool arch_is_branch(uint32_t instruction, uint32_t kind)
{
  return (instruction & 0xfc000000u) == kind;
}

/* glibc: mov x0, x19; cbnz x0, which finds the next context. Boost: mov x0, #0; bl _exit. Go: mov x0, x0 is before, a
 * call of what ends a goroutine here. A landing pad (bti c), or a nop for one, may be
 * in front. */
#define ARCH_CONTEXT_END_BYTES 12
static ALWAYS_INLINE bool arch_ends_context(const uint8_t *code)
{
  unsigned at = arch_instruction(code) == 0xd503245fu || arch_instruction(code) == 0xd503201fu ? 4 : 0;
  uint32_t first = arch_instruction(code + at), second = arch_instruction(code + at + 4);
  bool is_glibc = first == 0xaa1303e0u && (second & 0xff00001fu) == 0xb5000000u;
  bool is_boost = (first == 0xd2800000u || first == 0x52800000u) && arch_is_branch(second, ARCH_BL);
  bool is_go = code[-1] == 0xaa && arch_is_branch(first, ARCH_BL);
  return is_glibc || is_boost || is_go;
}

/* bl; blr, and its forms that authenticate. */
#define ARCH_CALL_BYTES_MAX 4
static ALWAYS_INLINE bool arch_is_behind_call(const uint8_t *code)
{
  uint32_t instruction = arch_instruction(code - 4);
  return arch_is_branch(instruction, ARCH_BL) || (instruction & 0xfefff000u) == 0xd63f0000u;
}

static ALWAYS_INLINE bool arch_is_jump(const uint8_t *code, uint64_t left, uint64_t address, uint64_t *target)
{
  if (left < 4 || address % 4 != 0 || !arch_is_branch(arch_instruction(code), ARCH_B))
    return false;
  int32_t distance = (int32_t)(arch_instruction(code) << 6) >> 4;
  *target = address + (uint64_t)(int64_t)distance;
  return true;
}

/* Linux has guarded control stacks since 6.13, and glibc asks for none yet. Nothing here would mind. */
static ALWAYS_INLINE bool arch_has_shadow_stack(void)
{
  return false;
}

static ALWAYS_INLINE double arch_square_root(double x)
{
  double root;
  __asm__("fsqrt %d0, %d1" : "=w"(root) : "w"(x));
  return root;
}

/* Memory is accessed by sp only where that is aligned to 16 bytes: nobody has it otherwise. */
#define ARCH_ENTRY

/* The frame pointer leads to where it and the link register are saved, which may be anywhere in the frame: where that
 * ends is asked for by another name. */
#define ARCH_CALLER_RETURN_ADDRESS ((uintptr_t)__builtin_return_address(0))
#ifdef __clang__
#define ARCH_CALLER_SP ((uintptr_t)__builtin_sponentry())
#else
#define ARCH_CALLER_SP ((uintptr_t)__builtin_dwarf_cfa())
#endif
#define ARCH_CALLER_BP (((const uintptr_t *)__builtin_frame_address(0))[0])

/* sp points at siginfo, 128 bytes, and the ucontext: flags, link, stack, 128 bytes of mask, then aligned to 16 bytes
 * the address of the last fault, x0 to x30, sp, pc. */
#define ARCH_SIGNAL_FAULT_ADDRESS (128 + 176)
#define ARCH_SIGNAL_REGISTERS (ARCH_SIGNAL_FAULT_ADDRESS + 8)
#define ARCH_SIGNAL_BP (ARCH_SIGNAL_REGISTERS + 29 * 8)
#define ARCH_SIGNAL_LINK (ARCH_SIGNAL_REGISTERS + 30 * 8)
#define ARCH_SIGNAL_SP (ARCH_SIGNAL_REGISTERS + 31 * 8)
#define ARCH_SIGNAL_PC (ARCH_SIGNAL_REGISTERS + 32 * 8)
#define ARCH_SIGNAL_TRAP (-1)
#define ARCH_TRAP_PAGE_FAULT 0
#define ARCH_CALL_BYTES 0

#define ARCH_SIGNAL_WORDS                                                                                              \
  {                                                                                                                    \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,  \
        31, 32                                                                                                         \
  }

/* mov x8, #139; svc #0: in the vDSO, or on a page that a kernel without one makes for it. */
#define ARCH_SIGNAL_RETURN_CODE                                                                                        \
  {                                                                                                                    \
    0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4                                                                     \
  }
#define ARCH_SIGNAL_RETURN_IS_KERNELS true
#define ARCH_FRAME_POINTER_ENDS_FRAME false

/* Programs lie at 0xaaaa..., libraries at 0xffff.... */
#define ARCH_PROGRAM_BIT 46

/* x0 to x30, sp, and the pc. Calls leave the return address in x30. */
#define ARCH_DWARF_REGISTERS 33
#define ARCH_DWARF_BP 29
#define ARCH_DWARF_RETURN_ADDRESS 30
#define ARCH_DWARF_SP 31
#define ARCH_DWARF_PC 32

/* x29 and x30 lie beside each other, most often at the frame's lower end. */
#define ARCH_RULE_RETURN_ADDRESS_BITS 12
#define ARCH_RULE_BP_BITS 12
#define ARCH_RULE_ADDEND_BITS 8

/* x19 to x29, sp, and the pc. */
#define ARCH_REGISTERS_READ 0x1bff80000ull
static ALWAYS_INLINE void arch_read_registers(uintptr_t *values)
{
  __asm__ volatile("stp x19, x20, [%[values], #152]\n\t"
                   "stp x21, x22, [%[values], #168]\n\t"
                   "stp x23, x24, [%[values], #184]\n\t"
                   "stp x25, x26, [%[values], #200]\n\t"
                   "stp x27, x28, [%[values], #216]\n\t"
                   "str x29, [%[values], #232]\n\t"
                   "mov x16, sp\n\t"
                   "adr x17, .\n\t"
                   "stp x16, x17, [%[values], #248]"
                   :
                   : [values] "r"(values)
                   : "x16", "x17", "memory");
}

#define ARCH_CFI_SLOTS 13
#define ARCH_CFI_SLOT_REGISTERS                                                                                        \
  {                                                                                                                    \
    19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 32                                                                 \
  }
#define ARCH_CFI_OTHER_REGISTERS                                                                                       \
  {                                                                                                                    \
    19, 20, 21, 22, 23, 24, 25, 26, 27, 28                                                                             \
  }
static ALWAYS_INLINE unsigned arch_cfi_slot(uint64_t dwarf_register)
{
  enum { FIRST = 19 };
  if (dwarf_register >= FIRST && dwarf_register <= ARCH_DWARF_BP)
    return (unsigned)dwarf_register - FIRST;
  if (dwarf_register == ARCH_DWARF_SP)
    return ARCH_CFI_SLOTS - 2;
  return dwarf_register == ARCH_DWARF_RETURN_ADDRESS ? ARCH_CFI_SLOTS - 1 : ARCH_CFI_SLOTS;
}

#define ARCH_RETURN_ADDRESS_AT NULL
#define ARCH_SYSCALL_PARAMETERS long number, long a, long b, long c, long d, long e, long f
#define ARCH_SYSCALL_ARGUMENTS number, a, b, c, d, e, f
#define ARCH_SYSCALL_ALL ARCH_SYSCALL_ARGUMENTS

#define ARCH_RELOCATION_SLOT R_AARCH64_JUMP_SLOT
#define ARCH_RELOCATION_DATA R_AARCH64_GLOB_DAT
#define ARCH_RELOCATION_ADDRESS R_AARCH64_ABS64
#define ARCH_ELF_MACHINE EM_AARCH64
#define ARCH_DYNAMIC_LINKER "ld-linux-aarch64.so.1"
#define ARCH_GLIBC_FIRST "GLIBC_2.17"
#define ARCH_MUSL_LINKER "ld-musl-aarch64.so.1"

#endif
