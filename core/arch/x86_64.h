/* SPDX-License-Identifier: MIT */
/* x86-64 under Linux; arch.h says what is promised, and includes this. */
#ifndef HEAPPROF_X86_64_H
#define HEAPPROF_X86_64_H

static ALWAYS_INLINE long arch_sys_call(long number, long a, long b, long c, long d, long e, long f)
{
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

static ALWAYS_INLINE void arch_pause(void)
{
  __builtin_ia32_pause();
}

static ALWAYS_INLINE uint64_t arch_ticks(void)
{
  return __builtin_ia32_rdtsc();
}

/* Some processors tell in cpuid, which takes thousands of cycles in a virtual machine, and some do not. */
static ALWAYS_INLINE uint64_t arch_ticks_per_second(void)
{
  return 0;
}

/* 3 instructions. `jae` falls through with the carry set, so subtract-with-borrow takes amount + 1. */
static ALWAYS_INLINE bool arch_count_down(uint64_t *counter, uint64_t amount)
{
  __asm__ goto("cmpq %[counter], %[amount]\n\t"
               "jae %l[is_not_less]\n\t"
               "sbbq %[amount], %[counter]"
               : /* gcc 12 loses the label when there are outputs */
               : [counter] "m"(*counter), [amount] "r"(amount)
               : "cc", "memory"
               : is_not_less);
  return false;
is_not_less:
  return true;
}

/* One compare with memory: compilers load an atomic byte into a register first. */
static ALWAYS_INLINE bool arch_is_set(const _Atomic uint8_t *byte)
{
  bool is_set;
  __asm__("cmpb $0, %[byte]" : "=@ccne"(is_set) : [byte] "m"(*byte));
  return is_set;
}

/* Return addresses are never signed. */
static ALWAYS_INLINE uintptr_t arch_strip(uintptr_t return_address)
{
  return return_address;
}

static ALWAYS_INLINE const void *arch_untag(const void *pointer)
{
  return pointer;
}

/* glibc: mov %rbx, %rsp, which finds the next context. Boost: xor %rdi, %rdi; call _exit; hlt. Go: between two nop, a
 * call of what ends a goroutine. */
#define ARCH_CONTEXT_END_BYTES 9
static ALWAYS_INLINE bool arch_ends_context(const uint8_t *code)
{
  bool is_glibc = code[0] == 0x48 && code[1] == 0x89 && code[2] == 0xdc;
  bool is_boost = code[0] == 0x48 && code[1] == 0x31 && code[2] == 0xff && code[3] == 0xe8 && code[8] == 0xf4;
  bool is_go = code[-1] == 0x90 && code[0] == 0xe8 && code[5] == 0x90;
  return is_glibc || is_boost || is_go;
}

/* call rel32; call *%reg; call *disp8 or *disp32(%reg), with and without an index; call *disp32(%rip). */
#define ARCH_CALL_BYTES_MAX 7
static ALWAYS_INLINE bool arch_is_behind_call(const uint8_t *code)
{
  enum { CALL_NEAR = 0xe8, GROUP = 0xff, GROUP_MASK = 7 << 3, CALL_IN_GROUP = 2 << 3 };
  if (code[-5] == CALL_NEAR)
    return true;
  for (int bytes = 2; bytes <= ARCH_CALL_BYTES_MAX; bytes++)
    if (code[-bytes] == GROUP && (code[1 - bytes] & GROUP_MASK) == CALL_IN_GROUP)
      return true;
  return false;
}

static ALWAYS_INLINE bool arch_is_jump(const uint8_t *code, uint64_t left, uint64_t address, uint64_t *target)
{
  int32_t distance;
  if (left < 5 || code[0] != 0xe9)
    return false;
  __builtin_memcpy(&distance, code + 1, sizeof distance);
  *target = address + 5 + (uint64_t)(int64_t)distance;
  return true;
}

/* arch_prctl(ARCH_SHSTK_STATUS, &features): kernels without shadow stacks do not know it. */
static ALWAYS_INLINE bool arch_has_shadow_stack(void)
{
  enum { CALL_ARCH_PRCTL = 158, SHSTK_STATUS = 0x5005 };
  unsigned long features = 0;
  return arch_sys_call(CALL_ARCH_PRCTL, SHSTK_STATUS, (long)&features, 0, 0, 0, 0) == 0 && (features & 1) != 0;
}

static ALWAYS_INLINE double arch_square_root(double x)
{
  return __builtin_ia32_sqrtsd((__attribute__((vector_size(16))) double){x, 0})[0];
}

/* movaps and its like fault where the stack is not aligned to 16 bytes, and compilers spill by them. */
#define ARCH_ENTRY __attribute__((force_align_arg_pointer))

/* rbp points at the caller's, above which the return address lies: in realigned functions, too, as long as they hand on
 * no arguments by the stack. gcc finds its way back from those by r10 (tests/policy). */
#define ARCH_CALLER_RETURN_ADDRESS (((const uintptr_t *)__builtin_frame_address(0))[1])
#define ARCH_CALLER_SP ((uintptr_t)__builtin_frame_address(0) + 2 * sizeof(uintptr_t))
#define ARCH_CALLER_BP (((const uintptr_t *)__builtin_frame_address(0))[0])

/* The handler's return address is popped by now, so sp points at the ucontext: flags, link and stack, then r8 to r15,
 * rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags, segments, err, trapno, oldmask, cr2. */
#define ARCH_SIGNAL_BP (40 + 10 * 8)
#define ARCH_SIGNAL_SP (40 + 15 * 8)
#define ARCH_SIGNAL_PC (40 + 16 * 8)
#define ARCH_SIGNAL_TRAP (40 + 20 * 8)
#define ARCH_SIGNAL_FAULT_ADDRESS (40 + 22 * 8)
#define ARCH_TRAP_PAGE_FAULT 14
#define ARCH_SIGNAL_LINK 0
#define ARCH_CALL_BYTES 8

#define ARCH_SIGNAL_REGISTERS 40
#define ARCH_SIGNAL_WORDS                                                                                              \
  {                                                                                                                    \
    13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16                                                           \
  }

/* mov $15, %rax; syscall. glibc's and musl's alike. */
#define ARCH_SIGNAL_RETURN_CODE                                                                                        \
  {                                                                                                                    \
    0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05                                                               \
  }

#define ARCH_SIGNAL_RETURN_IS_KERNELS false
#define ARCH_FRAME_POINTER_ENDS_FRAME true

/* Programs lie at 0x55..., libraries at 0x7f.... */
#define ARCH_PROGRAM_BIT 45

/* rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, and a column for the return address. */
#define ARCH_DWARF_REGISTERS 17
#define ARCH_DWARF_BP 6
#define ARCH_DWARF_SP 7
#define ARCH_DWARF_PC 16
#define ARCH_DWARF_RETURN_ADDRESS ARCH_DWARF_PC

/* Return addresses lie right below the CFA. */
#define ARCH_RULE_RETURN_ADDRESS_BITS 8
#define ARCH_RULE_BP_BITS 12
#define ARCH_RULE_ADDEND_BITS 10

/* rbx, rbp, rsp, r12 to r15, and the pc. */
#define ARCH_REGISTERS_READ 0x1f0c8u
static ALWAYS_INLINE void arch_read_registers(uintptr_t *values)
{
  __asm__ volatile("movq %%rbx, 24(%[values])\n\t"
                   "movq %%rbp, 48(%[values])\n\t"
                   "movq %%rsp, 56(%[values])\n\t"
                   "movq %%r12, 96(%[values])\n\t"
                   "movq %%r13, 104(%[values])\n\t"
                   "movq %%r14, 112(%[values])\n\t"
                   "movq %%r15, 120(%[values])\n\t"
                   "leaq 0(%%rip), %%rax\n\t"
                   "movq %%rax, 128(%[values])"
                   :
                   : [values] "r"(values)
                   : "rax", "memory");
}

#define ARCH_CFI_SLOTS 8
#define ARCH_CFI_SLOT_REGISTERS                                                                                        \
  {                                                                                                                    \
    3, 6, 7, 12, 13, 14, 15, 16                                                                                        \
  }
#define ARCH_CFI_OTHER_REGISTERS                                                                                       \
  {                                                                                                                    \
    3, 12, 13, 14, 15                                                                                                  \
  }
static ALWAYS_INLINE unsigned arch_cfi_slot(uint64_t dwarf_register)
{
  enum { RBX = 3, FIRST_AFTER_GAP = 12 };
  if (dwarf_register == RBX)
    return 0;
  if (dwarf_register == ARCH_DWARF_BP || dwarf_register == ARCH_DWARF_SP)
    return (unsigned)dwarf_register - ARCH_DWARF_BP + 1;
  if (dwarf_register >= FIRST_AFTER_GAP && dwarf_register <= ARCH_DWARF_RETURN_ADDRESS)
    return (unsigned)dwarf_register - FIRST_AFTER_GAP + 3;
  return ARCH_CFI_SLOTS;
}

#define ARCH_RETURN_ADDRESS_AT ((const uintptr_t *)__builtin_dwarf_cfa() - 1)
#define ARCH_SYSCALL_PARAMETERS long number, long a, long b, long c, long d, long e
#define ARCH_SYSCALL_ARGUMENTS number, a, b, c, d, e
#define ARCH_SYSCALL_ALL ARCH_SYSCALL_ARGUMENTS, *(const long *)ARCH_CALLER_SP

#define ARCH_RELOCATION_SLOT R_X86_64_JUMP_SLOT
#define ARCH_RELOCATION_DATA R_X86_64_GLOB_DAT
#define ARCH_RELOCATION_ADDRESS R_X86_64_64
#define ARCH_ELF_MACHINE EM_X86_64
#define ARCH_DYNAMIC_LINKER "ld-linux-x86-64.so.2"
#define ARCH_GLIBC_FIRST "GLIBC_2.2.5"
#define ARCH_MUSL_LINKER "ld-musl-x86_64.so.1"

#endif
