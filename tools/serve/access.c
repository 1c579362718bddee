/* SPDX-License-Identifier: MIT */
#include "tools/serve/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_BYTES_MIN = 16, TOKEN_BYTES_MAX = 1024 };

void access_init(struct access *access)
{
  *access = (struct access){.hosts = g_ptr_array_new_with_free_func(g_free)};
}

void access_clear(struct access *access)
{
  g_free(access->token_digest);
  g_ptr_array_free(access->hosts, TRUE);
  *access = (struct access){.hosts = NULL};
}

/* The token. */

static char *digest_of(const char *text)
{
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

/* How long it takes tells nothing: digests are of one length, and all of them is compared. */
static bool is_digest_of(const char *digest, const char *text)
{
  g_autofree char *other = digest_of(text);
  unsigned char difference = 0;
  for (size_t i = 0; digest[i] != '\0'; i++)
    difference |= (unsigned char)(digest[i] ^ other[i]);
  return difference == 0;
}

static bool fail(GError **error, const char *path, const char *why)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s holds no token to use: %s", path, why);
  return false;
}

/* What is there, up to the first line's end, in a buffer of TOKEN_BYTES_MAX + 1; -1 and errno. */
static ssize_t read_line(const char *path, char *line, struct stat *status)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return -1;
  ssize_t size = fstat(fd, status) == 0 ? read(fd, line, TOKEN_BYTES_MAX + 1) : -1;
  int number = errno;
  (void)close(fd);
  errno = number;
  return size;
}

bool access_read_token(struct access *access, const char *path, GError **error)
{
  char line[TOKEN_BYTES_MAX + 2] = {0};
  struct stat status;
  ssize_t size = read_line(path, line, &status);
  if (size < 0)
    return fail(error, path, g_strerror(errno));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(error, path, "others than its owner may write it");
  line[strcspn(line, "\r\n")] = '\0';
  if (strlen(line) < TOKEN_BYTES_MIN || strlen(line) > TOKEN_BYTES_MAX)
    return fail(error, path, "its first line must have 16 to 1024 bytes");
  access->token_digest = digest_of(line);
  explicit_bzero(line, sizeof line);
  return true;
}

/* What the client says after "Basic": "user:TOKEN", in base64. */
static bool is_password(const char *digest, const char *encoded)
{
  gsize size;
  g_autofree char *copy = g_strdup(encoded);
  g_autofree guchar *decoded = g_base64_decode(copy, &size);
  g_autofree char *text = g_strndup((const char *)decoded, size);
  const char *colon = strchr(text, ':');
  return colon != NULL && is_digest_of(digest, colon + 1);
}

static const char *behind(const char *header, const char *scheme)
{
  size_t size = strlen(scheme);
  return g_ascii_strncasecmp(header, scheme, size) == 0 && header[size] == ' '
             ? header + size + strspn(header + size, " ")
             : NULL;
}

static bool has_token(const struct access *access, const char *authorization)
{
  if (authorization == NULL)
    return false;
  const char *token = behind(authorization, "Bearer"), *basic = behind(authorization, "Basic");
  return (token != NULL && is_digest_of(access->token_digest, token)) ||
         (basic != NULL && is_password(access->token_digest, basic));
}

/* The name. */

/* "[::1]:6060" -> "::1" */
static char *host_without_port(const char *host)
{
  if (host[0] == '[')
    return g_strndup(host + 1, strcspn(host + 1, "]"));
  return g_strndup(host, strcspn(host, ":"));
}

static bool is_address(const char *host)
{
  struct in6_addr address;
  return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool is_known_host(const struct access *access, const char *host)
{
  g_autofree char *name = host_without_port(host);
  if (name[0] == '\0')
    return false;
  if (is_address(name) || g_ascii_strcasecmp(name, "localhost") == 0)
    return true;
  for (guint i = 0; i < access->hosts->len; i++)
    if (g_ascii_strcasecmp(g_ptr_array_index(access->hosts, i), name) == 0)
      return true;
  return false;
}

/* A browser always says a name; a client of HTTP/1.0 need not. Who knows the token is no page of somebody else. */
enum access_verdict access_check(const struct access *access, const char *host, const char *authorization)
{
  if (access->token_digest != NULL)
    return has_token(access, authorization) ? ACCESS_GRANTED : ACCESS_NO_TOKEN;
  bool is_known = access->takes_any_host || host == NULL || is_known_host(access, host);
  return is_known ? ACCESS_GRANTED : ACCESS_FOREIGN_HOST;
}
