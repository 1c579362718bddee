/* SPDX-License-Identifier: MIT */
#include "tools/serve/order.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A message, and the descriptors of parcels. */

enum { PARCELS_MAX = 2 };

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(PARCELS_MAX * sizeof(int))];
};

struct descriptors {
  int all[PARCELS_MAX];
  size_t count;
};

static void put_descriptors(struct msghdr *message, union control *control, const struct descriptors *descriptors)
{
  size_t size = descriptors->count * sizeof(int);
  memset(control, 0, sizeof *control);
  message->msg_control = control;
  message->msg_controllen = CMSG_SPACE(size);
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(header), descriptors->all, size);
}

static bool send_message(int socket, const void *bytes, size_t size, const struct descriptors *descriptors)
{
  struct iovec part = {(void *)(uintptr_t)bytes, size};
  union control control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (descriptors->count > 0)
    put_descriptors(&message, &control, descriptors);
  ssize_t sent;
  do
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent == (ssize_t)size;
}

static void take_descriptors(struct msghdr *message, struct descriptors *descriptors)
{
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
    return;
  descriptors->count = MIN((header->cmsg_len - CMSG_LEN(0)) / sizeof(int), PARCELS_MAX);
  memcpy(descriptors->all, CMSG_DATA(header), descriptors->count * sizeof(int));
}

static bool receive_message(int socket, void *bytes, size_t size, struct descriptors *descriptors)
{
  struct iovec part = {bytes, size};
  union control control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t received;
  descriptors->count = 0;
  do
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  while (received < 0 && errno == EINTR);
  if (received >= 0)
    take_descriptors(&message, descriptors);
  if (received == (ssize_t)size && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
    return true;
  for (size_t i = 0; i < descriptors->count; i++)
    (void)close(descriptors->all[i]);
  return false;
}

static void add_parcel(struct descriptors *descriptors, const struct parcel *parcel)
{
  if (parcel != NULL)
    descriptors->all[descriptors->count++] = parcel->fd;
}

/* NULL for none. */
static struct parcel *parcel_received(const struct descriptors *descriptors, size_t index)
{
  struct stat status;
  if (index >= descriptors->count)
    return NULL;
  int fd = descriptors->all[index];
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
  struct descriptors descriptors = {.count = 0};
  add_parcel(&descriptors, input);
  return send_message(socket, order, sizeof *order, &descriptors);
}

bool order_receive(int socket, struct order *order, struct parcel **input)
{
  struct descriptors descriptors;
  if (!receive_message(socket, order, sizeof *order, &descriptors))
    return false;
  *input = parcel_received(&descriptors, 0);
  return true;
}

/* Parcels are told by their order: no marks without a body. */
bool outcome_send(int socket, const struct outcome *outcome)
{
  struct descriptors descriptors = {.count = 0};
  add_parcel(&descriptors, outcome->body);
  add_parcel(&descriptors, outcome->marks);
  return send_message(socket, outcome, sizeof *outcome, &descriptors);
}

bool outcome_receive(int socket, struct outcome *outcome)
{
  enum { STATUS_OK = 200, STATUS_LAST = 599 };
  struct descriptors descriptors;
  if (!receive_message(socket, outcome, sizeof *outcome, &descriptors))
    return false;
  outcome->problem[sizeof outcome->problem - 1] = '\0';
  outcome->body = parcel_received(&descriptors, 0);
  outcome->marks = parcel_received(&descriptors, 1);
  bool is_sound = outcome->status == STATUS_OK ? outcome->body != NULL
                                               : outcome->status > STATUS_OK && outcome->status <= STATUS_LAST;
  if (!is_sound)
    outcome_clear(outcome);
  return is_sound;
}

void outcome_clear(struct outcome *outcome)
{
  parcel_release(outcome->body);
  parcel_release(outcome->marks);
  outcome->body = outcome->marks = NULL;
}
