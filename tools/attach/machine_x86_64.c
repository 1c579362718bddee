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
  ALIGNMENT_FLAG = 0x40000,
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
};

#define WIDE_MARK 0x46505853u
#define WIDE_END_MARK 0x46505845u

/* What the kernel says in a register of a call that is to begin anew (its include/linux/errno.h). */
enum { INTERRUPTED = 4, RESTART_SYS = 512, RESTART_NO_INTR = 513, RESTART_NO_HAND = 514, RESTART_BLOCK = 516 };

const uint8_t machine_call_code[3] = {0x0f, 0x05, 0xc3};
const uint8_t machine_restore_code[9] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

/* rbx: the structure, rsp: the frame; the registers of before are in the frame. The lock is tried 3 times 2,000
 * times, and nobody waits for it. At the end it waits for 50 milliseconds by select, which leaves nothing of the
 * kernel's notes of a call that is to go on. */
__asm__(".pushsection .rodata\n"
        ".globl machine_stub_code, machine_stub_wait, machine_stub_last, machine_stub_end\n"
        ".hidden machine_stub_code, machine_stub_wait, machine_stub_last, machine_stub_end\n"
        "machine_stub_code:\n"
        "  call *(%rbx)\n" /* errno_location */
        "  mov %rax, %r12\n"
        "  mov (%rax), %r13d\n"
        "  cmpq $0, 88(%rbx)\n" /* lock */
        "  je 3f\n"
        "  mov $3, %ebp\n"
        "1:\n"
        "  mov $2000, %r15d\n"
        "2:\n"
        "  mov 88(%rbx), %rdi\n"
        "  call *96(%rbx)\n" /* trylock */
        "  test %eax, %eax\n"
        "  jz 3f\n"
        "  pause\n"
        "  dec %r15d\n"
        "  jnz 2b\n"
        "  mov $24, %eax\n" /* sched_yield */
        "  syscall\n"
        "  dec %ebp\n"
        "  jnz 1b\n"
        "  jmp 8f\n"
        "3:\n"
        "  mov 112(%rbx), %rax\n" /* walks: its word, and its owner */
        "  mov (%rax), %ecx\n"
        "  or 8(%rax), %ecx\n"
        "  jnz 7f\n"
        "  mov 56(%rbx), %r14\n" /* function */
        "  test %r14, %r14\n"
        "  jnz 4f\n"
        "  mov 32(%rbx), %rdi\n" /* path */
        "  mov 40(%rbx), %rsi\n" /* flags */
        "  call *8(%rbx)\n"      /* dlopen */
        "  mov %rax, 72(%rbx)\n" /* handle */
        "  test %rax, %rax\n"
        "  jz 6f\n"
        "  mov %rax, %rdi\n"
        "  mov 48(%rbx), %rsi\n" /* name */
        "  call *16(%rbx)\n"     /* dlsym */
        "  mov %rax, %r14\n"
        "  test %r14, %r14\n"
        "  jz 6f\n"
        "  mov %rax, 56(%rbx)\n"
        "4:\n"
        "  mov 64(%rbx), %rdi\n" /* attachment */
        "  call *%r14\n"
        "  jmp 7f\n"
        "6:\n"
        "  call *24(%rbx)\n"     /* dlerror */
        "  mov %rax, 80(%rbx)\n" /* error */
        "7:\n"
        "  mov 88(%rbx), %rdi\n"
        "  test %rdi, %rdi\n"
        "  jz 8f\n"
        "  call *104(%rbx)\n" /* unlock */
        "8:\n"
        "  mov %r13d, (%r12)\n"
        "  movq $1, 120(%rbx)\n" /* is_at_end */
        "  mov $50, %ebp\n"
        "machine_stub_wait:\n"
        "  movq $0, 128(%rbx)\n" /* limit */
        "  movq $1000, 136(%rbx)\n"
        "  mov $23, %eax\n" /* select(0, NULL, NULL, NULL, &limit) */
        "  xor %edi, %edi\n"
        "  xor %esi, %esi\n"
        "  xor %edx, %edx\n"
        "  xor %r10d, %r10d\n"
        "  lea 128(%rbx), %r8\n"
        "  syscall\n"
        "  dec %ebp\n"
        "  jnz machine_stub_wait\n"
        "machine_stub_last:\n"
        "  mov $15, %eax\n" /* rt_sigreturn */
        "  syscall\n"
        "  jmp machine_stub_last\n"
        "machine_stub_end:\n"
        ".popsection\n");

extern const uint8_t machine_stub_wait[], machine_stub_last[];

_Static_assert(offsetof(struct machine_stub, errno_location) == 0 && offsetof(struct machine_stub, dlopen) == 8 &&
                   offsetof(struct machine_stub, dlsym) == 16 && offsetof(struct machine_stub, dlerror) == 24 &&
                   offsetof(struct machine_stub, path) == 32 && offsetof(struct machine_stub, flags) == 40 &&
                   offsetof(struct machine_stub, name) == 48 && offsetof(struct machine_stub, function) == 56 &&
                   offsetof(struct machine_stub, attachment) == 64 && offsetof(struct machine_stub, handle) == 72 &&
                   offsetof(struct machine_stub, error) == 80 && offsetof(struct machine_stub, lock) == 88 &&
                   offsetof(struct machine_stub, trylock) == 96 && offsetof(struct machine_stub, unlock) == 104 &&
                   offsetof(struct machine_stub, walks) == 112 && offsetof(struct machine_stub, is_at_end) == 120 &&
                   offsetof(struct machine_stub, limit) == 128,
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

/* glibc's control block begins with its own address, and has it again as its third word. */
bool machine_has_control_block(const struct memory *memory, const struct user_regs_struct *registers)
{
  uint64_t words[3];
  return memory_read(memory, registers->fs_base, words, sizeof words) && words[0] == registers->fs_base &&
         words[2] == registers->fs_base;
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

/* The kernel gives up waiting in these after any interruption, and a program that has no handlers may not expect
 * that. Nothing was transferred, or it would not be this error. A limit of time begins anew, too: to wait for
 * longer is better than an error that nobody expects. */
bool machine_mend_interruption(struct user_regs_struct *registers)
{
  static const long calls[] = {
      SYS_read,       SYS_readv,           SYS_recvfrom,     SYS_recvmsg,      SYS_recvmmsg,     SYS_write,
      SYS_writev,     SYS_sendto,          SYS_sendmsg,      SYS_sendmmsg,     SYS_accept,       SYS_accept4,
      SYS_connect,    SYS_io_uring_enter,  SYS_epoll_wait,   SYS_epoll_pwait,  SYS_epoll_pwait2, SYS_semop,
      SYS_semtimedop, SYS_rt_sigtimedwait, SYS_io_getevents, SYS_io_pgetevents};
  if ((long)registers->rax != -INTERRUPTED)
    return false;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (calls[i] == (long)registers->orig_rax) {
      registers->rax = (unsigned long)-RESTART_NO_HAND;
      return true;
    }
  return false;
}

void machine_note_handler(struct machine_state *state, bool restarts)
{
  long result = -(long)state->registers.rax;
  if ((long)state->registers.orig_rax >= 0 &&
      ((result == RESTART_SYS && !restarts) || result == RESTART_NO_HAND || result == RESTART_BLOCK))
    state->registers.rax = (unsigned long)-INTERRUPTED;
}

bool machine_would_restart(const struct user_regs_struct *registers)
{
  return (long)registers->rax != -INTERRUPTED;
}

static uint64_t bit_of(int number)
{
  return UINT64_C(1) << (number - 1);
}

/* Whoever changes a user ID has glibc send a signal to all threads, and holds a lock of the loader's until each has
 * handled it. Its handler only makes that system call. */
uint64_t machine_blocked(const struct machine_state *state)
{
  enum { SET_ID = 33 };
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, /* never are: */ SIGKILL, SIGSTOP};
  uint64_t mask = ~bit_of(SET_ID) | (state->mask & bit_of(SET_ID));
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    mask &= ~bit_of(faults[i]);
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

size_t machine_frame_bytes(const struct machine_state *state)
{
  uint64_t features;
  return WIDE_AT + wide_bytes_in_frame(state, &features) + WIDE_END_MARK_BYTES;
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
  registers.eflags &= ~(unsigned long)(DIRECTION_FLAG | TRAP_FLAG | ALIGNMENT_FLAG);
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
  uint64_t mask = machine_blocked(state);
  return ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0 &&
         ptrace(PTRACE_SETSIGMASK, thread, (void *)sizeof mask, &mask) == 0;
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

bool machine_is_at_end(const struct user_regs_struct *registers, uint64_t code)
{
  uint64_t first = code + (uint64_t)(machine_stub_wait - machine_stub_code);
  return registers->rip - first < (uint64_t)(machine_stub_last - machine_stub_wait);
}
