/* SPDX-License-Identifier: MIT */
/* E4: exec | move PAGE, and a command: runs it where memory may not be made executable, as under SELinux, or where nothing may be moved
 * to that page. */
#include "hz_filter.h"

#include <sys/mman.h>

#define ARGUMENT(i) (offsetof(struct seccomp_data, args) + 8 * (i))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define REFUSE(number)                                                                                                 \
  BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (number)), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(int argc, char **argv)
{
  bool is_move = argc > 2 && strcmp(argv[1], "move") == 0;
  unsigned page = is_move ? (unsigned)strtoul(argv[2], NULL, 16) : 0;
  struct sock_filter no_exec[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
      LOAD(ARGUMENT(2)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
      REFUSE(EACCES),
  };
  struct sock_filter no_move[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mremap, 0, 8),
      LOAD(ARGUMENT(4)),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_IMM, page),
      BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
      BPF_STMT(BPF_MISC | BPF_TAX, 0), /* how far behind the start of what is moved it lies */
      LOAD(ARGUMENT(2)),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
      REFUSE(ENOMEM),
  };
  struct sock_fprog filters[] = {{sizeof no_exec / sizeof *no_exec, no_exec},
                                 {sizeof no_move / sizeof *no_move, no_move}};
  hz_confine("prctl", &filters[is_move]);
  char **command = argv + (is_move ? 3 : 2);
  execv(command[0], command);
  return 98;
}
