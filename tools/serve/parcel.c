/* SPDX-License-Identifier: MIT */
#include "tools/serve/parcel.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t bytes_held;

struct parcel *parcel_of_descriptor(int fd, uint64_t size)
{
  struct parcel *parcel = g_new(struct parcel, 1);
  *parcel = (struct parcel){.fd = fd, .size = size, .holders = 1};
  bytes_held += size;
  return parcel;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
  while (size > 0) {
    ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno != EINTR)
      return false;
    bytes += MAX(written, 0);
    size -= (size_t)MAX(written, 0);
  }
  return true;
}

struct parcel *parcel_of_bytes(const void *bytes, size_t size)
{
  int fd = memfd_create("heapprof-serve", MFD_CLOEXEC);
  if (fd < 0)
    return NULL;
  if (write_all(fd, bytes, size))
    return parcel_of_descriptor(fd, size);
  int number = errno;
  (void)close(fd);
  errno = number;
  return NULL;
}

struct parcel *parcel_hold(struct parcel *parcel)
{
  if (parcel != NULL)
    parcel->holders++;
  return parcel;
}

void parcel_release(struct parcel *parcel)
{
  if (parcel == NULL || --parcel->holders > 0)
    return;
  bytes_held -= parcel->size;
  (void)close(parcel->fd);
  g_free(parcel);
}

GBytes *parcel_bytes(const struct parcel *parcel, size_t most)
{
  if (parcel->size > most)
    return NULL;
  g_autofree char *bytes = g_malloc(parcel->size + 1);
  size_t read_bytes = 0;
  while (read_bytes < parcel->size) {
    ssize_t count = pread(parcel->fd, bytes + read_bytes, parcel->size - read_bytes, (off_t)read_bytes);
    if (count == 0 || (count < 0 && errno != EINTR))
      return NULL;
    read_bytes += (size_t)MAX(count, 0);
  }
  return g_bytes_new_take(g_steal_pointer(&bytes), parcel->size);
}

uint64_t parcel_bytes_held(void)
{
  return bytes_held;
}
