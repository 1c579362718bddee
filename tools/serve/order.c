/* SPDX-License-Identifier: MIT */
#include "tools/serve/order.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A message, and the descriptor of a parcel: -1 for none. */

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static bool send_message(int socket, const void *bytes, size_t size, int fd)
{
  struct iovec part = {(void *)(uintptr_t)bytes, size};
  union control control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == (ssize_t)size;
}

static int take_descriptor(struct msghdr *message)
{
  int fd = -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof fd))
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

static bool receive_message(int socket, void *bytes, size_t size, int *fd)
{
  struct iovec part = {bytes, size};
  union control control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t received;
  do
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  *fd = received >= 0 ? take_descriptor(&message) : -1;
  if (received == (ssize_t)size && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
    return true;
  if (*fd >= 0)
    (void)close(*fd);
  return false;
}

/* NULL for none. */
static struct parcel *parcel_received(int fd)
{
  struct stat status;
  if (fd < 0)
    return NULL;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
    return parcel_of_descriptor(fd, (uint64_t)status.st_size);
  (void)close(fd);
  return NULL;
}

bool order_init(struct order *order, enum order_kind kind, const char *process)
{
  memset(order, 0, sizeof *order); /* orders are compared as bytes */
  order->kind = kind;
  return g_strlcpy(order->process, process, sizeof order->process) < sizeof order->process;
}

bool order_send(int socket, const struct order *order, const struct parcel *input)
{
  return send_message(socket, order, sizeof *order, input != NULL ? input->fd : -1);
}

bool order_receive(int socket, struct order *order, struct parcel **input)
{
  int fd;
  if (!receive_message(socket, order, sizeof *order, &fd))
    return false;
  *input = parcel_received(fd);
  return true;
}

/* The parcel is told by its descriptor. */
bool outcome_send(int socket, const struct outcome *outcome)
{
  return send_message(socket, outcome, sizeof *outcome, outcome->body != NULL ? outcome->body->fd : -1);
}

bool outcome_receive(int socket, struct outcome *outcome)
{
  enum { STATUS_OK = 200, STATUS_LAST = 599 };
  int fd;
  if (!receive_message(socket, outcome, sizeof *outcome, &fd))
    return false;
  outcome->problem[sizeof outcome->problem - 1] = '\0';
  outcome->body = parcel_received(fd);
  bool is_sound = outcome->status == STATUS_OK ? outcome->body != NULL
                                               : outcome->status > STATUS_OK && outcome->status <= STATUS_LAST;
  if (!is_sound)
    parcel_release(outcome->body);
  return is_sound;
}
