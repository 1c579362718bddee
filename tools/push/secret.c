/* SPDX-License-Identifier: MIT */
#include "tools/push/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_MAX = 4096 };

#define SECRET_ERROR g_quark_from_static_string("heapprof-secret")

static bool fail(GError **error, const char *path, const char *why)
{
  g_set_error(error, SECRET_ERROR, 0, "%s cannot be used: %s", path, why);
  return false;
}

/* Up to the end of the first line. */
static bool read_line(const char *path, char line[BYTES_MAX + 1], GError **error)
{
  struct stat status = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  ssize_t size = fd >= 0 && fstat(fd, &status) == 0 ? read(fd, line, BYTES_MAX) : -1;
  int number = errno;
  if (fd >= 0)
    (void)close(fd);
  if (size < 0)
    return fail(error, path, g_strerror(number));
  line[size] = '\0';
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(error, path, "others than its owner may write it");
  if (size == BYTES_MAX)
    return fail(error, path, "it is larger than 4 KiB");
  line[strcspn(line, "\r\n")] = '\0';
  return true;
}

static bool is_line(const char *line)
{
  for (const char *at = line; *at != '\0'; at++)
    if (*at < ' ' || *at > '~')
      return false;
  return line[0] != '\0';
}

char *secret_bearer(const char *path, GError **error)
{
  char line[BYTES_MAX + 1] = "", *secret = NULL;
  bool is_read = read_line(path, line, error);
  if (is_read && (!is_line(line) || strchr(line, ' ') != NULL))
    (void)fail(error, path, "its first line must be a token, without spaces");
  else if (is_read)
    secret = g_strconcat("Bearer ", line, NULL);
  explicit_bzero(line, sizeof line);
  return secret;
}

char *secret_basic(const char *path, GError **error)
{
  char line[BYTES_MAX + 1] = "", *secret = NULL;
  bool is_read = read_line(path, line, error);
  if (is_read && (line[0] == ':' || strchr(line, ':') == NULL))
    (void)fail(error, path, "its first line must be user:password");
  else if (is_read) {
    char *encoded = g_base64_encode((const guchar *)line, strlen(line));
    secret = g_strconcat("Basic ", encoded, NULL);
    secret_free(encoded);
  }
  explicit_bzero(line, sizeof line);
  return secret;
}

void secret_free(char *secret)
{
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  g_free(secret);
}
