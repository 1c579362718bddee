/* SPDX-License-Identifier: MIT */
/* P4: a daemon forks twice, closes descriptors 0 to 1023, opens a socket as its 0, 1 and 2, enters an empty root, becomes
 * nobody, allocates and exits. The other end of the socket must hear what it said and nothing else. Argument: the root. */
#include "hz_victim.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void daemonize(const char *root, int report)
{
  char text[64];
  for (int fd = 0; fd < 1024; fd++)
    close(fd);
  for (int fd = 0; fd < 3; fd++)
    REQUIRE(dup2(report, fd) == fd);
  close(report);
  int lowest = open("/dev/null", O_RDWR);
  REQUIRE(getuid() != 0 || (chroot(root) == 0 && chdir("/") == 0 && setgid(65534) == 0 && setuid(65534) == 0));
  for (int i = 0; i < 2000; i++)
    hz_churn(i % 20, 100 + i);
  REQUIRE(write(1, text, snprintf(text, sizeof text, "daemon: open gives %d\n", lowest)) > 0);
}

int main(int argc, char **argv)
{
  struct rlimit limit = {1200, 1200};
  int pair[2], status;
  char heard[4096];
  REQUIRE(argc > 1);
  hz_alarm(10);
  hz_churn(5, 100);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  int report = fcntl(pair[1], F_DUPFD, 1100);
  REQUIRE(report >= 1100 && close(pair[1]) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    if (fork() == 0) {
      hz_alarm(10);
      daemonize(argv[1], report);
      exit(0);
    }
    _exit(0);
  }
  close(report);
  REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
  for (ssize_t got; (got = read(pair[0], heard, sizeof heard)) > 0;)
    REQUIRE(write(1, heard, got) == got);
  puts("end");
  return 0;
}
