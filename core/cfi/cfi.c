/* SPDX-License-Identifier: MIT */
#include "core/cfi/cfi.h"

#include "core/libc.h"
#include "core/modules.h"
#include "core/on_stack.h"
#include "core/process.h"
#include "core/region.h"
#include "core/sys.h"
#include "core/text.h"

#include <dlfcn.h>
#include <errno.h>
#include ARCH_LIBUNWIND_HEADER
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

/* A step inside libunwind takes about 8 KiB. */
enum { COMPILER_STACK_BYTES = 64 << 10 };

/* Synthetic registers: far apart, and outside every address a process can have. */
#define SYNTHETIC_SP 0x0100000000000000u
#define SYNTHETIC_BP 0x0200000000000000u
#define SYNTHETIC_OTHER 0x0300000000000000u
#define SYNTHETIC_WINDOW (1ull << 30)
/* The n-th word read from the synthetic stack is SYNTHETIC_WORD + (n << 32): it may be used as an address itself. */
#define SYNTHETIC_WORD 0x0400000000000000u
#define SYNTHETIC_WORD_MIDDLE 0x80000000u

enum { WORDS_MAX = 16 };

static enum cfi_state state = CFI_NO_LIBRARY;
static char compiler_stack[COMPILER_STACK_BYTES] __attribute__((aligned(64))); /* not mapped: that could be refused */

static struct {
  unw_addr_space_t (*create_addr_space)(unw_accessors_t *, int);
  int (*set_caching_policy)(unw_addr_space_t, unw_caching_policy_t);
  int (*init_remote)(unw_cursor_t *, unw_addr_space_t, void *);
  int (*step)(unw_cursor_t *);
  int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
  int (*search_unwind_table)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);
  unw_addr_space_t address_space;
} libunwind;

static bool is_near(uint64_t value, uint64_t base)
{
  return value - base + SYNTHETIC_WINDOW < 2 * SYNTHETIC_WINDOW;
}

/* One compilation. */
struct compilation {
  uintptr_t pc;
  const struct module *module;
  struct address_range cfi_segment; /* what libunwind reads nearly all the time, a few bytes at a time */
  bool has_cfi;
  unsigned words_read;
  uint64_t word_addresses[WORDS_MAX]; /* where the n-th tagged word was read */
};

static bool is_word(uint64_t value)
{
  return value >= SYNTHETIC_WORD && value < SYNTHETIC_WORD + ((uint64_t)WORDS_MAX << 32);
}

/* Accessors. */

/* Only the search table that gcc, clang and every linker write: libunwind can abort() on others. */
static bool is_usual_table(const struct module *module)
{
  const uint8_t *header = module->eh_frame_hdr;
  enum {
    TABLE_VERSION = 1,
    PCREL_SDATA4 = 0x1b,
    UDATA4 = 0x03,
    DATAREL_SDATA4 = 0x3b,
    HEADER_BYTES = 12,
    ENTRY_BYTES = 8
  };
  if (header == NULL || !module_holds(module, (uintptr_t)header, HEADER_BYTES) || header[0] != TABLE_VERSION ||
      header[1] != PCREL_SDATA4 || header[2] != UDATA4 || header[3] != DATAREL_SDATA4)
    return false;
  uint32_t entries;
  memcpy(&entries, header + 8, sizeof entries);
  return module_holds(module, (uintptr_t)header, HEADER_BYTES + (size_t)entries * ENTRY_BYTES);
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info, int need_info, void *argument)
{
  struct compilation *job = argument;
  if (ip != job->pc || job->module == NULL || !is_usual_table(job->module))
    return -UNW_ENOINFO;
  uint32_t entries;
  memcpy(&entries, job->module->eh_frame_hdr + 8, sizeof entries);
  unw_dyn_info_t table = {.start_ip = job->module->image.low, .end_ip = job->module->image.high};
  table.format = UNW_INFO_FORMAT_REMOTE_TABLE;
  table.u.rti.segbase = (uintptr_t)job->module->eh_frame_hdr;
  table.u.rti.table_data = (uintptr_t)job->module->eh_frame_hdr + 12;
  table.u.rti.table_len = entries * 8u / sizeof(unw_word_t);
  int result = libunwind.search_unwind_table(space, ip, &table, info, need_info, argument);
  job->has_cfi = result == 0;
  return result;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write, void *argument)
{
  struct compilation *job = argument;
  (void)space;
  if (write)
    return -UNW_EINVAL;
  uintptr_t segment_bytes = job->cfi_segment.high - job->cfi_segment.low;
  bool is_cfi = segment_bytes >= sizeof *value && address - job->cfi_segment.low <= segment_bytes - sizeof *value;
  if (LIKELY(is_cfi) || (job->module != NULL && module_holds(job->module, address, sizeof *value))) {
    /* Without builtins, memcpy alone would be a call, for each of hundreds of words. */
    __builtin_memcpy(value, (const void *)address, sizeof *value);
    return 0;
  }
  if (!(is_near(address, SYNTHETIC_SP) || is_near(address, SYNTHETIC_BP) || is_word(address)) ||
      job->words_read == WORDS_MAX)
    return -UNW_EINVAL;
  *value = SYNTHETIC_WORD + ((uint64_t)job->words_read << 32) + SYNTHETIC_WORD_MIDDLE;
  job->word_addresses[job->words_read++] = address;
  return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write, void *argument)
{
  struct compilation *job = argument;
  (void)space;
  if (write)
    return -UNW_EINVAL;
  switch (reg) {
  case ARCH_LIBUNWIND_PC: *value = job->pc; break;
  case ARCH_LIBUNWIND_SP: *value = SYNTHETIC_SP; break;
  case ARCH_LIBUNWIND_BP: *value = SYNTHETIC_BP; break;
  default: *value = SYNTHETIC_OTHER + ((uint64_t)(unsigned)reg << 32); break;
  }
  return 0;
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *argument)
{
  (void)space, (void)info, (void)argument;
}

static int no_dyn_info(unw_addr_space_t space, unw_word_t *list, void *argument)
{
  (void)space, (void)list, (void)argument;
  return -UNW_ENOINFO;
}

static int no_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write, void *argument)
{
  (void)space, (void)reg, (void)value, (void)write, (void)argument;
  return -UNW_EINVAL;
}

static int no_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *argument)
{
  (void)space, (void)cursor, (void)argument;
  return -UNW_EINVAL;
}

static int no_proc_name(unw_addr_space_t space, unw_word_t ip, char *name, size_t size, unw_word_t *offset,
                        void *argument)
{
  (void)space, (void)ip, (void)name, (void)size, (void)offset, (void)argument;
  return -UNW_EINVAL;
}

/* From the registers after the step to the rule. */

/* The CFA as sp + n, bp + n, or a word that was read there, plus an addend. */
static bool read_cfa(const struct compilation *job, uint64_t cfa, struct frame_rule *rule)
{
  uint64_t base = cfa;
  bool is_loaded = is_word(cfa);
  if (is_loaded) {
    base = job->word_addresses[(cfa - SYNTHETIC_WORD) >> 32];
    rule->addend = (int32_t)((uint32_t)cfa - SYNTHETIC_WORD_MIDDLE);
  }
  if (is_near(base, SYNTHETIC_SP)) {
    rule->kind = is_loaded ? RULE_SP_DEREF : RULE_SP;
    rule->cfa_offset = (int32_t)(base - SYNTHETIC_SP);
  } else if (is_near(base, SYNTHETIC_BP)) {
    rule->kind = is_loaded ? RULE_BP_DEREF : RULE_BP;
    rule->cfa_offset = (int32_t)(base - SYNTHETIC_BP);
  } else {
    return false; /* relative to a register that we do not follow */
  }
  return true;
}

static bool is_offset(uint64_t address, uint64_t base, int32_t *offset)
{
  *offset = (int32_t)(address - base);
  return is_near(address, base);
}

static void read_bp(const struct compilation *job, uint64_t bp, uint64_t cfa, struct frame_rule *rule)
{
  rule->bp = RULE_BP_LOST;
  if (bp == SYNTHETIC_BP)
    rule->bp = RULE_BP_KEPT;
  else if (!is_word(bp))
    return;
  else if (is_offset(job->word_addresses[(bp - SYNTHETIC_WORD) >> 32], cfa, &rule->bp_offset))
    rule->bp = RULE_BP_AT_CFA;
  else if (is_offset(job->word_addresses[(bp - SYNTHETIC_WORD) >> 32], SYNTHETIC_BP, &rule->bp_offset))
    rule->bp = RULE_BP_AT_BP; /* realigned stacks (DRAP): the CFA is loaded, bp is saved at bp itself */
}

static packed_rule step_once(struct compilation *job)
{
  unw_cursor_t cursor;
  if (libunwind.init_remote(&cursor, libunwind.address_space, job) < 0)
    return RULE_FRAME_POINTER;
  int stepped = libunwind.step(&cursor);
  if (!job->has_cfi || stepped < 0)
    return RULE_FRAME_POINTER;
  if (stepped == 0)
    return RULE_OUTERMOST;
  struct frame_rule rule = {.kind = RULE_CAREFUL};
  unw_word_t cfa, bp, ra;
  if (libunwind.get_reg(&cursor, ARCH_LIBUNWIND_SP, &cfa) < 0 ||
      libunwind.get_reg(&cursor, ARCH_LIBUNWIND_BP, &bp) < 0 || libunwind.get_reg(&cursor, ARCH_LIBUNWIND_PC, &ra) < 0)
    return RULE_CAREFUL;
  if (!read_cfa(job, cfa, &rule) || !is_word(ra) ||
      !is_offset(job->word_addresses[(ra - SYNTHETIC_WORD) >> 32], cfa, &rule.ra_offset))
    return RULE_CAREFUL;
  read_bp(job, bp, cfa, &rule);
  return rule_pack(rule);
}

static bool is_signal_return(const struct module *module, uintptr_t return_address)
{
  static const uint8_t code[] = ARCH_SIGNAL_RETURN_CODE;
  return module != NULL && module_holds(module, return_address, sizeof code) &&
         memcmp((const void *)return_address, code, sizeof code) == 0;
}

/* What is asked of the compiler's stack. */
struct question {
  uintptr_t pc;
  packed_rule rule;
};

/* Where a coroutine's function returns to when it ends: glibc's makecontext and Boost.Context put that address there
 * without a call, and what lies before it has no CFI. */
static bool is_end_of_context(const struct module *module, uintptr_t return_address)
{
  return module != NULL && module_holds(module, return_address, ARCH_CONTEXT_END_BYTES) &&
         arch_ends_context((const uint8_t *)return_address);
}

/* The epoch in which libunwind is at work; 0: it is not. */
static _Atomic uint64_t at_work_in;

enum cfi_state cfi_state(void)
{
  uint64_t epoch = atomic_load(&at_work_in);
  bool was_forked_amid = epoch != 0 && !process_is_of_now(epoch);
  return state == CFI_READY && was_forked_amid ? CFI_ABANDONED : state;
}

static packed_rule compile_with_libunwind(struct compilation *job)
{
  atomic_store(&at_work_in, process_epoch());
  packed_rule rule = step_once(job);
  atomic_store(&at_work_in, 0);
  return rule;
}

static packed_rule compile_rule(struct compilation *job)
{
  job->module = modules_find(job->pc);
  if (job->module != NULL)
    job->cfi_segment = module_segment(job->module, (uintptr_t)job->module->eh_frame_hdr);
  if (is_signal_return(job->module, job->pc + 1))
    return RULE_SIGNAL;
  bool is_known = job->module != NULL && cfi_state() == CFI_READY;
  packed_rule rule = is_known ? compile_with_libunwind(job) : RULE_FRAME_POINTER;
  return !job->has_cfi && is_end_of_context(job->module, job->pc + 1) ? RULE_OUTERMOST : rule;
}

static void compile(void *argument)
{
  struct question *question = argument;
  struct compilation job = {.pc = question->pc};
  question->rule = compile_rule(&job);
}

packed_rule cfi_compile(uintptr_t pc)
{
  struct question question = {.pc = pc, .rule = RULE_ABSENT};
  if (!sys_may_call(SYS_rt_sigprocmask)) /* libunwind makes this call for every rule */
    return RULE_FRAME_POINTER;
  int saved_errno = errno;
  struct blocked_signals before = signals_block();
  if (lock_try_for_a_moment(&modules_lock)) {
    arch_call_on_stack(compile, &question, compiler_stack + COMPILER_STACK_BYTES);
    rule_cache_put(pc, question.rule);
    lock_release(&modules_lock);
  } else {
    region_lose(LOSS_compile_busy);
  }
  signals_restore(before);
  errno = saved_errno;
  return question.rule;
}

/* Start-up. */

static bool resolve(void *library)
{
  const struct {
    void **function;
    const char *name;
  } symbols[] = {
      {(void **)&libunwind.create_addr_space, ARCH_LIBUNWIND("create_addr_space")},
      {(void **)&libunwind.set_caching_policy, ARCH_LIBUNWIND("set_caching_policy")},
      {(void **)&libunwind.init_remote, ARCH_LIBUNWIND("init_remote")},
      {(void **)&libunwind.step, ARCH_LIBUNWIND("step")},
      {(void **)&libunwind.get_reg, ARCH_LIBUNWIND("get_reg")},
      {(void **)&libunwind.search_unwind_table, ARCH_LIBUNWIND("dwarf_search_unwind_table")},
  };
  for (size_t i = 0; i < COUNT_OF(symbols); i++)
    if ((*symbols[i].function = dlsym(library, symbols[i].name)) == NULL)
      return false;
  return true;
}

static long sys_pipe(int pair[2])
{
  return sys_call(SYS_pipe2, (long)pair, O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0);
}

static bool is_pipe_end(int fd, ino_t *inode)
{
  struct stat status;
  long flags = sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
  if (sys_fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode) || flags < 0 || (flags & O_NONBLOCK) == 0)
    return false;
  *inode = status.st_ino;
  return true;
}

/* When it starts, libunwind opens a pipe to check memory with, which we never let it do. The pipe stays open on the two
 * lowest free descriptors, where a shell will soon want its own file (hazard U1). A pipe of ours, opened and closed
 * first, tells which two those will be. */
struct foretold_pipe {
  int ends[2];
  bool is_known;
};

static struct foretold_pipe foretell_pipe(void)
{
  struct foretold_pipe pipe = {.is_known = sys_pipe(pipe.ends) == 0};
  if (pipe.is_known) {
    sys_close(pipe.ends[0]);
    sys_close(pipe.ends[1]);
  }
  return pipe;
}

static void close_if_it_came(const struct foretold_pipe *pipe)
{
  ino_t inodes[2];
  if (pipe->is_known && is_pipe_end(pipe->ends[0], &inodes[0]) && is_pipe_end(pipe->ends[1], &inodes[1]) &&
      inodes[0] == inodes[1]) {
    sys_close(pipe->ends[0]);
    sys_close(pipe->ends[1]);
  }
}

static enum cfi_state first_use(void)
{
  static unw_accessors_t accessors = {
      .find_proc_info = find_proc_info,
      .put_unwind_info = put_unwind_info,
      .get_dyn_info_list_addr = no_dyn_info,
      .access_mem = access_mem,
      .access_reg = access_reg,
      .access_fpreg = no_fpreg,
      .resume = no_resume,
      .get_proc_name = no_proc_name,
  };
  libunwind.address_space = libunwind.create_addr_space(&accessors, 0);
  if (libunwind.address_space == NULL)
    return CFI_NO_MEMORY;
  libunwind.set_caching_policy(libunwind.address_space, UNW_CACHE_NONE);
  struct compilation job = {.pc = (uintptr_t)first_use};
  unw_cursor_t cursor;
  (void)libunwind.init_remote(&cursor, libunwind.address_space, &job);
  return CFI_READY;
}

/* dlopen with RTLD_NOLOAD would tell, too, but it reads the loader's cache from disk. */
static bool is_loaded(const char *name)
{
  Dl_info info;
  struct link_map *map = NULL;
  if (dladdr1((void *)getauxval(AT_PHDR), &info, (void **)&map, RTLD_DL_LINKMAP) == 0)
    return false;
  for (; map != NULL; map = map->l_next)
    if (strcmp(text_basename(map->l_name), name) == 0)
      return true;
  return false;
}

static enum cfi_state load(void)
{
  static const char name[] = ARCH_LIBUNWIND_SONAME;
  bool is_the_programs = is_loaded(name); /* then so is its pipe */
  void *library = dlopen(name, RTLD_LOCAL | RTLD_NOW);
  if (library == NULL || !resolve(library))
    return CFI_NO_LIBRARY;
  struct foretold_pipe pipe = foretell_pipe();
  if (!pipe.is_known &&
      !is_the_programs) /* if libunwind opens its pipe all the same, we could not find it to close it */
    return CFI_NO_DESCRIPTOR;
  enum cfi_state result = first_use();
  if (!is_the_programs)
    close_if_it_came(&pipe);
  return result;
}

enum cfi_state cfi_init(void)
{
  state = load();
  return state;
}
