/* SPDX-License-Identifier: MIT */
/* bears WHAT [PLUGIN | alone]: a program that may not be attached to, or only with care. Its second thread always
 * sleeps, but for `alone`; its first does WHAT until a line comes, then says what came of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static void say(const char *text)
{
  if (write(1, text, strlen(text)) < 0)
    _exit(9);
}

static bool wait_for_line(void)
{
  char byte;
  ssize_t got;
  do
    got = read(0, &byte, 1);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

static void *sleep_on(void *unused)
{
  for (;;)
    usleep(1000);
  return unused;
}

static volatile bool is_good;

static void wait_apart(int number)
{
  (void)number;
  say("ready\n");
  is_good = wait_for_line();
}

static bool handle(void *stack, size_t bytes)
{
  stack_t there = {.ss_sp = stack, .ss_size = bytes};
  struct sigaction action = {.sa_handler = wait_apart, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&there, NULL) != 0 || sigaction(SIGUSR2, &action, NULL) != 0)
    return false;
  raise(SIGUSR2);
  return is_good;
}

/* What lies below the alternate stack is somebody's. */
static bool handle_in_array(void)
{
  static volatile char *data;
  char array[128 << 10];
  data = array;
  memset(array, 'x', sizeof array);
  is_good = handle(array + sizeof array - (64 << 10), 64 << 10);
  for (size_t i = 0; i < sizeof array - (64 << 10); i++)
    is_good = is_good && data[i] == 'x';
  return is_good;
}

static int on_object(struct dl_phdr_info *info, size_t size, void *unused)
{
  (void)info, (void)size, (void)unused;
  say("ready\n");
  return wait_for_line() ? 1 : -1;
}

static bool walk(void)
{
  return dl_iterate_phdr(on_object, NULL) == 1;
}

static const char *plugin;

/* Its constructor waits for a line. */
static bool load(void)
{
  return dlopen(plugin, RTLD_NOW) != NULL;
}

/* The parent stands still until the child has ended. */
static bool wait_for_child(void)
{
  say("ready\n");
  pid_t child = vfork();
  if (child == 0) {
    char byte;
    _exit(read(0, &byte, 1) == 1 ? 0 : 1);
  }
  return child > 0;
}

/* In a child, so that the process has one thread, which waits for that. */
static bool act_after_line(void (*act)(int end), int end, int others_end)
{
  pid_t child = fork();
  if (child != 0)
    return child > 0;
  close(others_end);
  if (wait_for_line())
    act(end);
  _exit(0);
}

static void read_all(int end)
{
  static char bytes[64 << 10];
  while (read(end, bytes, sizeof bytes) > 0)
    ;
}

static bool write_much(void)
{
  static char bytes[1 << 20];
  int ends[2];
  if (pipe(ends) != 0 || !act_after_line(read_all, ends[0], ends[1]))
    return false;
  say("ready\n");
  bool is_whole = write(ends[1], bytes, sizeof bytes) == sizeof bytes;
  close(ends[1]);
  return is_whole;
}

static void send_byte(int end)
{
  if (write(end, "x", 1) != 1)
    _exit(8);
}

/* With a limit of time, so that the kernel does not begin the call anew. */
static bool receive(void)
{
  int ends[2];
  char byte;
  struct timeval limit = {600, 0};
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 ||
      setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      !act_after_line(send_byte, ends[1], ends[0]))
    return false;
  say("ready\n");
  return recv(ends[0], &byte, 1, 0) == 1;
}

/* Gives the kernel something to do, and waits until that is done, in one call. */
static bool submit(void)
{
  enum { CANNOT = 77 };
  static char byte;
  struct io_uring_params parameters = {0};
  int ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
  if (ring < 0)
    _exit(CANNOT);
  size_t bytes = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
  char *rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  struct io_uring_sqe *request =
      mmap(NULL, sizeof *request, PROT_READ | PROT_WRITE, MAP_SHARED, ring, (off_t)IORING_OFF_SQES);
  if (rings == MAP_FAILED || request == MAP_FAILED)
    return false;
  *request = (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = 0, .addr = (uintptr_t)&byte, .len = 1};
  *(volatile unsigned *)(void *)(rings + parameters.sq_off.array) = 0;
  *(volatile unsigned *)(void *)(rings + parameters.sq_off.tail) = 1;
  say("ready\n");
  return syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1 &&
         *(volatile unsigned *)(void *)(rings + parameters.cq_off.tail) == 1;
}

static char *low, *high;
static volatile bool was_elsewhere;
static volatile int ticks;

static void look_where(int number)
{
  char here;
  (void)number;
  ticks++;
  if (&here < low || &here > high)
    was_elsewhere = true;
}

/* Handlers, as those of a garbage collector, that are to run on the stack of their thread. */
static bool tick(void)
{
  pthread_attr_t attributes;
  void *stack;
  size_t bytes;
  struct sigaction action = {.sa_handler = look_where, .sa_flags = SA_RESTART};
  struct itimerval often = {{0, 1000}, {0, 1000}};
  if (pthread_getattr_np(pthread_self(), &attributes) != 0 || pthread_attr_getstack(&attributes, &stack, &bytes) != 0)
    return false;
  low = stack;
  high = low + bytes;
  if (sigaction(SIGALRM, &action, NULL) != 0 || setitimer(ITIMER_REAL, &often, NULL) != 0)
    return false;
  say("ready\n");
  return wait_for_line() && !was_elsewhere && ticks > 0;
}

/* The C library as data, below its code. */
static bool map_library(void)
{
  Dl_info info;
  int file = dladdr((void *)(uintptr_t)malloc, &info) != 0 ? open(info.dli_fname, O_RDONLY) : -1;
  if (file < 0 ||
      mmap((void *)(UINT64_C(1) << 32), 1 << 20, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, file, 0) == MAP_FAILED)
    return false;
  say("ready\n");
  return wait_for_line();
}

/* As the loader leaves a library behind that it had no memory for. */
static bool map_segments(void)
{
  enum { ROOM = 64 << 20, HEADERS = 16, PAGE = 4096 };
  ElfW(Ehdr) header;
  ElfW(Phdr) segments[HEADERS];
  int file = open(plugin, O_RDONLY);
  char *base = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED || pread(file, &header, sizeof header, 0) != sizeof header || header.e_phnum > HEADERS ||
      pread(file, segments, header.e_phnum * sizeof *segments, (off_t)header.e_phoff) < 0)
    return false;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    size_t before = segments[i].p_vaddr % PAGE;
    int protection = (segments[i].p_flags & PF_X) != 0 ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE;
    if (segments[i].p_type == PT_LOAD &&
        mmap(base + segments[i].p_vaddr - before, segments[i].p_filesz + before, protection, MAP_PRIVATE | MAP_FIXED,
             file, (off_t)(segments[i].p_offset - before)) == MAP_FAILED)
      return false;
  }
  say("ready\n");
  return wait_for_line();
}

/* Of the program, the first object: what may be written, also the pointers that the loader has set. */
static int protect_data(struct dl_phdr_info *info, size_t size, void *protection)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uintptr_t start = (info->dlpi_addr + segment->p_vaddr) & ~(page - 1);
    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) != 0)
      mprotect((void *)start, info->dlpi_addr + segment->p_vaddr + segment->p_filesz - start, *(int *)protection);
  }
  return 1;
}

static bool protect(void)
{
  int protection = PROT_READ;
  char byte;
  ssize_t none = read(0, &byte, 0); /* it is bound by now, as is all that is called meanwhile */
  protection = PROT_READ | PROT_WRITE;
  (void)dl_iterate_phdr(protect_data, &protection);
  say("protecting\n");
  protection = PROT_READ;
  (void)dl_iterate_phdr(protect_data, &protection);
  say("ready\n");
  bool is_over = read(0, &byte, 1) == 1;
  protection = PROT_READ | PROT_WRITE;
  (void)dl_iterate_phdr(protect_data, &protection);
  return none == 0 && is_over;
}

static bool just_wait(void)
{
  say("ready\n");
  return wait_for_line();
}

/* The second thread goes on. */
static bool leave(void)
{
  say("ready\n");
  pthread_exit(NULL);
}

/* Of what it may still have it takes three quarters at once. */
static bool limit_memory(int resource, unsigned field, size_t left)
{
  unsigned long pages[6];
  struct rlimit limit;
  FILE *statm = fopen("/proc/self/statm", "r");
  for (unsigned i = 0; i < 6; i++)
    if (statm == NULL || fscanf(statm, "%lu", &pages[i]) != 1)
      return false;
  fclose(statm);
  if (getrlimit(resource, &limit) != 0)
    return false;
  limit.rlim_cur = pages[field] * (size_t)sysconf(_SC_PAGESIZE) + left;
  if (setrlimit(resource, &limit) != 0)
    return false;
  say("ready\n");
  return wait_for_line() && malloc(left / 4 * 3) != NULL;
}

static bool limit_addresses(void)
{
  return limit_memory(RLIMIT_AS, 0, 12 << 20);
}

static bool limit_data(void)
{
  return limit_memory(RLIMIT_DATA, 5, 12 << 20);
}

/* All that comes is locked, which is limited for who has no right to more. */
static bool limit_locked(void)
{
  enum { VERSION_3 = 0x20080522, CANNOT = 77 };
  struct {
    unsigned version;
    int pid;
  } header = {VERSION_3, 0};
  unsigned none[6] = {0};
  struct rlimit limit = {8 << 20, 8 << 20};
  if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || syscall(SYS_capset, &header, none) != 0 ||
      mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
    _exit(CANNOT);
  say("ready\n");
  return wait_for_line() && malloc(1 << 20) != NULL;
}

static bool limit_amply(void)
{
  return limit_memory(RLIMIT_AS, 0, 400 << 20);
}

static const struct {
  const char *name;
  bool (*run)(void);
} all[] = {{"array", handle_in_array},     {"walk", walk},       {"load", load},         {"vfork", wait_for_child},
           {"write", write_much},          {"receive", receive}, {"submit", submit},     {"tick", tick},
           {"map", map_library},           {"wait", just_wait},  {"protect", protect},   {"leave", leave},
           {"addresses", limit_addresses}, {"data", limit_data}, {"amply", limit_amply}, {"locked", limit_locked},
           {"segments", map_segments}};

int main(int argc, char **argv)
{
  pthread_t sleeper;
  if (argc < 2)
    return 2;
  plugin = argc > 2 ? argv[2] : NULL;
  /* One with a single thread has nobody else to be led away. */
  bool is_alone = argc > 2 && strcmp(argv[2], "alone") == 0;
  if (!is_alone && pthread_create(&sleeper, NULL, sleep_on, NULL) != 0)
    return 2;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strcmp(all[i].name, argv[1]) == 0)
      return all[i].run() ? 0 : 1;
  return 2;
}
