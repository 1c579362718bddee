/* SPDX-License-Identifier: MIT */
#include "tools/attach/machine.h"

#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

enum {
  RED_ZONE_BYTES = 128,
  CALL_BYTES = 2, /* of a system call's instruction */
  DIRECTION_FLAG = 0x400,
  TRAP_FLAG = 0x100,
  WIDE_AT = 512,          /* in a frame */
  WIDE_FEATURES_AT = 464, /* in the wide state, the kernel's own words */
  WIDE_WORDS_BYTES = 20,
  WIDE_IN_USE_AT = 512, /* its first word: which parts are not as they begin */
  WIDE_TILES = 3 << 17, /* AMX: their room is only there for who asked for it */
  WIDE_END_MARK_BYTES = 4,
  WIDE_LEAST_BYTES = 576,
  FRAME_HAS_WIDE = 1,
  FRAME_HAS_SS = 2,
  FRAME_IS_STRICT = 4,
  SHORT_WAIT_MS = 1000,
};

#define WIDE_MARK 0x46505853u
#define WIDE_END_MARK 0x46505845u

/* What the kernel says in a register of a call that is to begin anew (its include/linux/errno.h). */
enum { RESTART_SYS = 512, RESTART_NO_INTR = 513, RESTART_NO_HAND = 514, RESTART_BLOCK = 516 };

const uint8_t machine_call_code[3] = {0x0f, 0x05, 0xc3};
const uint8_t machine_restore_code[9] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

/* rbx: the structure, rsp: the frame; the registers of before are in the frame. */
__asm__(".pushsection .rodata\n"
        ".globl machine_stub_code, machine_stub_moment, machine_stub_last, machine_stub_end\n"
        ".hidden machine_stub_code, machine_stub_moment, machine_stub_last, machine_stub_end\n"
        "machine_stub_code:\n"
        "  mov $14, %eax\n" /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
        "  mov $2, %edi\n"
        "  mov %rbx, %rsi\n"
        "  xor %edx, %edx\n"
        "  mov $8, %r10d\n"
        "  syscall\n"
        "  call *8(%rbx)\n" /* errno_location */
        "  mov %rax, %r12\n"
        "  mov (%rax), %r13d\n"
        "  mov 64(%rbx), %r14\n" /* function */
        "  test %r14, %r14\n"
        "  jnz 1f\n"
        "  mov 40(%rbx), %rdi\n" /* path */
        "  mov 48(%rbx), %rsi\n" /* flags */
        "  call *16(%rbx)\n"     /* dlopen */
        "  mov %rax, 80(%rbx)\n" /* handle */
        "  test %rax, %rax\n"
        "  jz 2f\n"
        "  mov %rax, %rdi\n"
        "  mov 56(%rbx), %rsi\n" /* name */
        "  call *24(%rbx)\n"     /* dlsym */
        "  mov %rax, %r14\n"
        "  test %r14, %r14\n"
        "  jz 2f\n"
        "  mov %rax, 64(%rbx)\n"
        "1:\n"
        "  mov 72(%rbx), %rdi\n" /* attachment */
        "  xor %esi, %esi\n"
        "  call *%r14\n"
        "  mov $39, %eax\n" /* getpid */
        "  syscall\n"
        "machine_stub_moment:\n"
        "  mov 72(%rbx), %rdi\n"
        "  mov $1, %esi\n"
        "  call *%r14\n"
        "  jmp 3f\n"
        "2:\n"
        "  call *32(%rbx)\n"     /* dlerror */
        "  mov %rax, 88(%rbx)\n" /* error */
        "3:\n"
        "  mov %r13d, (%r12)\n"
        "4:\n"
        "  mov $15, %eax\n" /* rt_sigreturn */
        "  syscall\n"
        "machine_stub_last:\n"
        "  jmp 4b\n"
        "machine_stub_end:\n"
        ".popsection\n");

extern const uint8_t machine_stub_moment[], machine_stub_last[];

_Static_assert(offsetof(struct machine_stub, mask) == 0 && offsetof(struct machine_stub, errno_location) == 8 &&
                   offsetof(struct machine_stub, dlopen) == 16 && offsetof(struct machine_stub, dlsym) == 24 &&
                   offsetof(struct machine_stub, dlerror) == 32 && offsetof(struct machine_stub, path) == 40 &&
                   offsetof(struct machine_stub, flags) == 48 && offsetof(struct machine_stub, name) == 56 &&
                   offsetof(struct machine_stub, function) == 64 && offsetof(struct machine_stub, attachment) == 72 &&
                   offsetof(struct machine_stub, handle) == 80 && offsetof(struct machine_stub, error) == 88,
               "as the stub knows them");

static void *as_data(const void *data)
{
  return (void *)(uintptr_t)data;
}

uint64_t machine_pc(const struct user_regs_struct *registers)
{
  return registers->rip;
}

uint64_t machine_sp(const struct user_regs_struct *registers)
{
  return registers->rsp;
}

uint64_t machine_thread_pointer(const struct user_regs_struct *registers)
{
  return registers->fs_base;
}

long machine_call(const struct user_regs_struct *registers)
{
  return (long)registers->orig_rax;
}

uint64_t machine_result(const struct user_regs_struct *registers)
{
  return registers->rax;
}

bool machine_get(pid_t thread, struct machine_state *state)
{
  struct iovec wide = {state->wide, sizeof state->wide};
  memset(state->wide, 0, sizeof state->wide);
  if (ptrace(PTRACE_GETREGS, thread, NULL, &state->registers) != 0 ||
      ptrace(PTRACE_GETREGSET, thread, (void *)NT_X86_XSTATE, &wide) != 0 ||
      ptrace(PTRACE_GETSIGMASK, thread, (void *)sizeof state->mask, &state->mask) != 0)
    return false;
  state->wide_bytes = wide.iov_len;
  return wide.iov_len >= WIDE_LEAST_BYTES && wide.iov_len < sizeof state->wide;
}

bool machine_set(pid_t thread, const struct machine_state *state)
{
  struct iovec wide = {as_data(state->wide), state->wide_bytes};
  return ptrace(PTRACE_SETSIGMASK, thread, (void *)sizeof state->mask, &state->mask) == 0 &&
         ptrace(PTRACE_SETREGSET, thread, (void *)NT_X86_XSTATE, &wide) == 0 &&
         ptrace(PTRACE_SETREGS, thread, NULL, &state->registers) == 0;
}

static uint64_t word_at(const uint8_t *bytes, size_t at)
{
  uint64_t word;
  memcpy(&word, bytes + at, sizeof word);
  return word;
}

const char *machine_why_not(const struct machine_state *state)
{
  enum { FLAT_CODE = 0x33 };
  if (state->registers.cs != FLAT_CODE)
    return "runs 32-bit code";
  if ((word_at(state->wide, WIDE_IN_USE_AT) & WIDE_TILES) != 0)
    return "uses tiles";
  return NULL;
}

/* The kernel gives up waiting here after any interruption, and a program that has no handlers may not expect that. A
 * wait of more than a second stays interrupted, as by SIGSTOP and SIGCONT: begun anew it would be much too long. */
bool machine_mend_interruption(struct user_regs_struct *registers)
{
  enum { INTERRUPTED = 4 };
  if ((long)registers->rax != -INTERRUPTED)
    return false;
  bool waits_shortly;
  switch ((long)registers->orig_rax) {
  case SYS_epoll_wait:
  case SYS_epoll_pwait: waits_shortly = (int)registers->r10 < 0 || (int)registers->r10 <= SHORT_WAIT_MS; break;
  case SYS_semop: waits_shortly = true; break;
  case SYS_semtimedop:
  case SYS_rt_sigtimedwait:
    waits_shortly = (registers->orig_rax == SYS_semtimedop ? registers->r10 : registers->rdx) == 0;
    break;
  case SYS_epoll_pwait2: waits_shortly = registers->r10 == 0; break;
  case SYS_io_getevents: waits_shortly = registers->r8 == 0; break;
  default: return false;
  }
  if (waits_shortly)
    registers->rax = (unsigned long)-RESTART_NO_HAND;
  return waits_shortly;
}

uint64_t machine_stub_mask(void)
{
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
  uint64_t mask = UINT64_MAX;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    mask &= ~(UINT64_C(1) << (faults[i] - 1));
  return mask;
}

/* As the kernel would leave them to a handler, but that every call begins anew: there is no handler that could want to
 * know of it. */
static struct user_regs_struct to_come_back_to(const struct user_regs_struct *registers)
{
  struct user_regs_struct back = *registers;
  long result = -(long)registers->rax;
  if ((long)registers->orig_rax >= 0 &&
      (result == RESTART_SYS || result == RESTART_NO_INTR || result == RESTART_NO_HAND || result == RESTART_BLOCK)) {
    back.rax = registers->orig_rax;
    back.rip -= CALL_BYTES;
  }
  return back;
}

static void put_registers(ucontext_t *context, const struct user_regs_struct *registers)
{
  greg_t *to = context->uc_mcontext.gregs;
  const struct user_regs_struct back = to_come_back_to(registers);
  to[REG_R8] = (greg_t)back.r8;
  to[REG_R9] = (greg_t)back.r9;
  to[REG_R10] = (greg_t)back.r10;
  to[REG_R11] = (greg_t)back.r11;
  to[REG_R12] = (greg_t)back.r12;
  to[REG_R13] = (greg_t)back.r13;
  to[REG_R14] = (greg_t)back.r14;
  to[REG_R15] = (greg_t)back.r15;
  to[REG_RDI] = (greg_t)back.rdi;
  to[REG_RSI] = (greg_t)back.rsi;
  to[REG_RBP] = (greg_t)back.rbp;
  to[REG_RBX] = (greg_t)back.rbx;
  to[REG_RDX] = (greg_t)back.rdx;
  to[REG_RAX] = (greg_t)back.rax;
  to[REG_RCX] = (greg_t)back.rcx;
  to[REG_RSP] = (greg_t)back.rsp;
  to[REG_RIP] = (greg_t)back.rip;
  to[REG_EFL] = (greg_t)back.eflags;
  to[REG_CSGSFS] = (greg_t)(back.cs | back.gs << 16 | back.fs << 32 | back.ss << 48);
}

/* Where the room for the tiles begins, if there is one: only who uses them has it in a frame. */
static size_t wide_bytes_in_frame(const struct machine_state *state, uint64_t *features)
{
  enum { LEAF = 0xd, FIRST = 2, LAST = 16 };
  *features = word_at(state->wide, WIDE_FEATURES_AT);
  if ((*features & WIDE_TILES) == 0)
    return state->wide_bytes;
  size_t end = WIDE_LEAST_BYTES;
  *features &= ~(uint64_t)WIDE_TILES;
  for (unsigned part = FIRST; part <= LAST; part++) {
    unsigned size, offset, c, d;
    __asm__("cpuid" : "=a"(size), "=b"(offset), "=c"(c), "=d"(d) : "a"(LEAF), "c"(part));
    if ((*features >> part & 1) != 0 && offset + size > end)
      end = offset + size;
  }
  return end;
}

bool machine_write_frame(const struct memory *memory, uint64_t address, const struct machine_state *state)
{
  g_autofree uint8_t *frame = g_malloc0(MACHINE_FRAME_BYTES);
  ucontext_t *context = (ucontext_t *)(void *)frame;
  uint64_t features;
  size_t wide_bytes = wide_bytes_in_frame(state, &features);
  /* An alternate stack of no size is none that the kernel accepts, so the thread keeps the one that it has. */
  context->uc_flags = FRAME_HAS_WIDE | FRAME_HAS_SS | FRAME_IS_STRICT;
  put_registers(context, &state->registers);
  context->uc_mcontext.fpregs = (fpregset_t)(uintptr_t)(address + WIDE_AT);
  memcpy(&context->uc_sigmask, &state->mask, sizeof state->mask);
  uint8_t *wide = frame + WIDE_AT;
  memcpy(wide, state->wide, wide_bytes);
  struct {
    uint32_t mark, whole_bytes;
    uint64_t features;
    uint32_t bytes;
  } words = {WIDE_MARK, (uint32_t)wide_bytes + WIDE_END_MARK_BYTES, features, (uint32_t)wide_bytes};
  memcpy(wide + WIDE_FEATURES_AT, &words, WIDE_WORDS_BYTES);
  uint32_t end_mark = WIDE_END_MARK;
  memcpy(wide + wide_bytes, &end_mark, sizeof end_mark);
  return memory_write(memory, address, frame, WIDE_AT + wide_bytes + sizeof end_mark);
}

static struct user_regs_struct led_away(const struct machine_state *state, uint64_t pc, uint64_t sp)
{
  struct user_regs_struct registers = state->registers;
  registers.rip = pc;
  registers.rsp = sp;
  registers.orig_rax = (unsigned long)-1;
  registers.eflags &= ~(unsigned long)(DIRECTION_FLAG | TRAP_FLAG);
  return registers;
}

bool machine_begin_call(pid_t thread, const struct memory *memory, const struct machine_state *state,
                        const struct machine_call_request *request)
{
  uint64_t sp = request->frame - sizeof request->restore_code;
  if (!memory_write(memory, sp, &request->restore_code, sizeof request->restore_code))
    return false;
  struct user_regs_struct registers = led_away(state, request->call_code, sp);
  registers.rax = (unsigned long)request->number;
  registers.rdi = request->arguments[0];
  registers.rsi = request->arguments[1];
  registers.rdx = request->arguments[2];
  registers.r10 = request->arguments[3];
  registers.r8 = request->arguments[4];
  registers.r9 = request->arguments[5];
  return ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0;
}

bool machine_is_in_call(const struct user_regs_struct *registers, const struct machine_call_request *request)
{
  return registers->rip == request->call_code + CALL_BYTES && (long)registers->orig_rax == request->number;
}

bool machine_begin_stub(pid_t thread, const struct machine_state *state, uint64_t code, uint64_t data, uint64_t frame)
{
  enum { USUAL_CONTROL = 0x37f, USUAL_VECTOR_CONTROL = 0x1f80 };
  struct user_regs_struct registers = led_away(state, code, frame);
  struct user_fpregs_struct usual = {.cwd = USUAL_CONTROL, .mxcsr = USUAL_VECTOR_CONTROL};
  registers.rbx = data;
  return ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0 && ptrace(PTRACE_SETFPREGS, thread, NULL, &usual) == 0;
}

bool machine_is_at_moment(const struct user_regs_struct *registers, uint64_t code)
{
  return registers->rip == code + (uint64_t)(machine_stub_moment - machine_stub_code);
}

bool machine_is_at_end(const struct user_regs_struct *registers, uint64_t code)
{
  return registers->rip == code + (uint64_t)(machine_stub_last - machine_stub_code);
}

bool machine_skip_call(pid_t thread)
{
  return ptrace(PTRACE_POKEUSER, thread, (void *)offsetof(struct user_regs_struct, orig_rax), (void *)-1L) == 0;
}
