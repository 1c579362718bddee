/* SPDX-License-Identifier: MIT */
/* The contract with the machine: whatever differs from one instruction set, or its ABI under Linux, to the next. One
 * file for each machine (NAME.h, and NAME.c for what is a function) keeps it; configure chooses. No other file
 * names a register, an instruction or a machine, and none asks with #ifdef (tests/policy). A new machine is its file, a
 * line in configure.ac and one in the Makefile.inc.
 *
 * pc, sp, bp: the program counter, the stack pointer, and the register that frame pointers are kept in, whatever their
 * names are. All machines here have 64 bits, little endian, stacks that grow down, and frame pointers that point at the
 * saved bp of the caller with the return address above it.
 *
 * Threads, signals, fork: safe everywhere. Functions here are inline, leave errno alone and call nothing.
 */
#ifndef HEAPPROF_ARCH_H
#define HEAPPROF_ARCH_H

#include "core/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's answer, or -errno. Calls that newer machines lack (open, stat, unlink, poll) are not made on any: see
 * sys.h. */
static ALWAYS_INLINE long arch_sys_call(long number, long a, long b, long c, long d, long e, long f);

/* Tells the core that this thread waits for another one. */
static ALWAYS_INLINE void arch_pause(void);

/* A clock that all cores share, that never stops, and that takes no more than some 10 ns to read. */
static ALWAYS_INLINE uint64_t arch_ticks(void);

/* Its speed; 0: the machine does not tell, so it has to be measured (ticks.h). */
static ALWAYS_INLINE uint64_t arch_ticks_per_second(void);

/* If amount < *counter, subtracts amount + 1 and returns false; else it changes nothing and returns true. The counter
 * never falls below zero, not for a moment. What a signal handler counts down in between may be lost. */
static ALWAYS_INLINE bool arch_count_down(uint64_t *counter, uint64_t amount);

/* A relaxed load and a test, in as few instructions as the machine can. */
static ALWAYS_INLINE bool arch_is_set(const _Atomic uint8_t *byte);

/* Without the signature that the callee may have put into it (pointer authentication). */
static ALWAYS_INLINE uintptr_t arch_strip(uintptr_t return_address);

/* Without the tag that an allocator may have put into it (memory tagging). */
static ALWAYS_INLINE const void *arch_untag(const void *pointer);

/* Of a number that is not negative; in hardware, as nothing of libm may be called. */
static ALWAYS_INLINE double arch_square_root(double x);

/* Is this where the function of a coroutine returns to when it ends? Of the byte before and ARCH_CONTEXT_END_BYTES
 * bytes of code. */
static ALWAYS_INLINE bool arch_ends_context(const uint8_t *code);

/* Does a call end here? Of ARCH_CALL_BYTES_MAX bytes of code before. */
static ALWAYS_INLINE bool arch_is_behind_call(const uint8_t *code);

/* Those registers of the function this stands in that it has to keep for its caller, sp, and the pc it is at: by DWARF
 * number. The others stay as they are; ARCH_REGISTERS_READ has a bit for each that is read. */
static ALWAYS_INLINE void arch_read_registers(uintptr_t *values);

/* The slot of a register in the rows of unwind information (cfi/row.h), by its DWARF number; ARCH_CFI_SLOTS: it has
 * none, for functions do not preserve it. */
static ALWAYS_INLINE unsigned arch_cfi_slot(uint64_t dwarf_register);

/* Does a jump to a fixed place start with that byte of code, which is at `address`, of so many that are left? */
static ALWAYS_INLINE bool arch_is_jump(const uint8_t *code, uint64_t left, uint64_t address, uint64_t *target);

/* Does the processor check for this thread that functions return to where they were called? */
static ALWAYS_INLINE bool arch_has_shadow_stack(void);

/* Calls the function on the stack that ends at `top`: 16-byte aligned, just past the highest usable byte. Unwinders can
 * walk through it. The caller's own stack may be aligned in any way. */
HIDDEN void arch_call_on_stack(void (*function)(void *argument), void *argument, void *top);

/* The file of the machine has these as macros, too:
 *
 * ARCH_ENTRY
 *     attribute of a function that others call: it puts up with any alignment of its caller's stack, and what it calls
 *     finds the stack as the ABI has it (hazard A9). Not for those that call nothing and keep nothing on the stack, as
 *     the fast paths do.
 * ARCH_CALLER_RETURN_ADDRESS, _SP, _BP
 *     the registers of the caller of the function this stands in, as they will be once that has returned. The function
 *     keeps a frame pointer because of them.
 * ARCH_SIGNAL_PC, _SP, _BP
 *     where the interrupted registers lie, in bytes above the sp of the kernel's frame, to which a handler returns.
 * ARCH_SIGNAL_TRAP, ARCH_TRAP_PAGE_FAULT, ARCH_SIGNAL_FAULT_ADDRESS
 *     where the number of the thread's last trap lies, or -1 if none is told; what it is for memory that is not there;
 *     and where lies which memory that was.
 * ARCH_SIGNAL_LINK, ARCH_CALL_BYTES
 *     where lies what a call that had gone astray left in its register; 0: it left it on top of the stack, in so many
 *     bytes.
 * ARCH_SIGNAL_REGISTERS, ARCH_SIGNAL_WORDS
 *     where all of them lie, and which word there is whose: by DWARF number, as the initializer of an array.
 * ARCH_SIGNAL_RETURN_CODE
 *     the bytes of the code that it returns to: rt_sigreturn, as the initializer of an array.
 * ARCH_SIGNAL_RETURN_IS_KERNELS
 *     the kernel puts that code there, maybe where no object is.
 * ARCH_FRAME_POINTER_ENDS_FRAME
 *     the caller's sp is what lies above the saved bp and the return address; else frames may go on above them.
 * ARCH_PROGRAM_BIT
 *     of addresses: tells a program from its libraries where they lie apart.
 * ARCH_DWARF_REGISTERS, ARCH_DWARF_SP, _BP, _PC, _RETURN_ADDRESS
 *     how many registers unwind information numbers that may lead to a caller, and the numbers of some. The last is
 *     what it calls that of the return address: the register that calls leave it in, or where there is none, the pc
 *     once more.
 * ARCH_RULE_RETURN_ADDRESS_BITS, _BP_BITS, _ADDEND_BITS
 *     what of a rule's word (rules.h) there is for each of these, in words of memory; the rest is for the CFA.
 * ARCH_CFI_SLOTS, ARCH_CFI_SLOT_REGISTERS
 *     how many of them rows keep; the number of the register in each slot, as the initializer of an array.
 * ARCH_CFI_OTHER_REGISTERS
 *     the same without sp, bp and the return address.
 * ARCH_RETURN_ADDRESS_AT
 *     where the call of the function this stands in has put its return address; NULL: it was not put into memory.
 * ARCH_SYSCALL_PARAMETERS, ARCH_SYSCALL_ARGUMENTS, ARCH_SYSCALL_ALL
 *     those of syscall() that come in registers; and with what may come by the stack, in the function that it is called
 *     or jumped to. That stays where the caller put it: a hook that ends in a jump neither reads nor writes it.
 * ARCH_RELOCATION_SLOT, _DATA, _ADDRESS
 *     the relocations by which an object gets the address of a function: for a call, for data, as data.
 * ARCH_GLIBC_FIRST
 *     the version of symbols in glibc's first one for the machine.
 * ARCH_ELF_MACHINE, ARCH_DYNAMIC_LINKER, ARCH_MUSL_LINKER
 *     what ELF files for us say: e_machine, and the names of glibc's and musl's dynamic linkers. */
#include HEAPPROF_MACHINE_H

/* Names the function by the version that glibc's first one for the machine had. */
#define ARCH_FIRST_VERSION(function) __asm__(".symver " #function "," #function "@" ARCH_GLIBC_FIRST)

/* How a function goes on from a place to its end: where it then finds its return address and what it has saved, in
 * bytes from sp or bp as they are now (counts_from: by DWARF number). ARCH_LEAVING_KEPT: it is in the register. */
struct arch_leaving {
  uint8_t counts_from;
  int32_t return_at;
  int32_t saved_at[ARCH_CFI_SLOTS];
  uintptr_t room[8]; /* of the machine's own */
};
enum { ARCH_LEAVING_KEPT = INT32_MIN };

/* Of code that can be read from `low` to `high`. False: nobody can tell. */
HIDDEN bool arch_foresee_leaving(const uint8_t *code, const uint8_t *low, const uint8_t *high,
                                 struct arch_leaving *leaving);

/* Does a call through a pointer end here whose result is handed to another function at once, as where C libraries start
 * programs and threads? Of ARCH_CALL_BYTES_MAX bytes before and behind. */
HIDDEN bool arch_is_first_call(const uint8_t *code);

#endif
