/* SPDX-License-Identifier: MIT */
#include "tools/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static const char unix_prefix[] = "unix:";

static bool fail(GError **error, const char *address, const char *why)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "cannot listen at '%s': %s; nothing is served", address, why);
  return false;
}

/* What could be listened at nowhere. */
static bool refuse(GError **error, const char *address, const char *why)
{
  g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "cannot listen at '%s': %s", address, why);
  return false;
}

static bool bind_and_listen(struct listener *listener, const struct sockaddr *address, socklen_t size)
{
  int yes = 1;
  listener->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener->fd < 0)
    return false;
  if (address->sa_family != AF_UNIX)
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  mode_t mask = umask(0177); /* there is no moment in which others may connect */
  bool is_bound = bind(listener->fd, address, size) == 0 && listen(listener->fd, BACKLOG) == 0;
  int number = errno;
  umask(mask);
  if (!is_bound) {
    (void)close(listener->fd);
    listener->fd = -1;
  }
  errno = number;
  return is_bound;
}

/* Sockets in the file system. */

static bool is_answered(const struct sockaddr_un *address)
{
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool is_answered =
      fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED;
  if (fd >= 0)
    (void)close(fd);
  return is_answered;
}

/* Returns why the path cannot be used, to be freed; NULL: it can, as far as is known. */
static char *take_path(const struct sockaddr_un *address)
{
  struct stat status;
  if (lstat(address->sun_path, &status) != 0)
    return NULL;
  if (!S_ISSOCK(status.st_mode))
    return g_strdup("there is a file of that name, which is no socket; it stays what it is");
  if (is_answered(address))
    return g_strdup_printf("%s: a server answers there; another path is accepted", g_strerror(EADDRINUSE));
  if (unlink(address->sun_path) != 0)
    return g_strdup_printf("a socket that nobody answers at cannot be removed: %s", g_strerror(errno));
  return NULL;
}

/* Why no socket can be made at a path, and where one can. */
static char *explain_path(const char *path, int number)
{
  g_autofree char *folder = g_path_get_dirname(path);
  if (number == EACCES)
    return g_strdup_printf("%s: this user may make nothing in %s; a path in a folder of its own is accepted",
                           g_strerror(number), folder);
  if (number == ENOENT)
    return g_strdup_printf("%s: there is no folder %s, and it is not made", g_strerror(number), folder);
  return g_strdup(g_strerror(number));
}

static bool open_unix(const char *text, struct listener *listener, GError **error)
{
  const char *path = text + sizeof unix_prefix - 1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
    return refuse(error, text, "a path of 1 to 107 bytes is accepted");
  strcpy(address.sun_path, path);
  g_autofree char *problem = take_path(&address);
  if (problem == NULL && !bind_and_listen(listener, (const struct sockaddr *)&address, sizeof address))
    problem = explain_path(path, errno);
  if (problem != NULL)
    return fail(error, text, problem);
  listener->is_unix = listener->is_local = true;
  listener->path = g_strdup(path);
  listener->shown = g_strdup(text);
  return true;
}

/* Addresses. */

static bool is_loopback(const struct sockaddr *address)
{
  if (address->sa_family == AF_INET)
    return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == IN_LOOPBACKNET);
}

/* As it is bound: the kernel chooses a port for 0. */
static char *shown_address(int fd)
{
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0 ||
      getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return g_strdup("http://?/");
  return g_strdup_printf(strchr(host, ':') != NULL ? "http://[%s]:%s/" : "http://%s:%s/", host, port);
}

/* "[::1]:6060" -> "::1", "6060". False: there is no port. */
static bool split(const char *text, char **host, char **port)
{
  const char *colon = strrchr(text, ':');
  guint64 number;
  if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 0, UINT16_MAX, &number, NULL))
    return false;
  size_t size = (size_t)(colon - text);
  bool has_brackets = size >= 2 && text[0] == '[' && colon[-1] == ']';
  if (!has_brackets && memchr(text, ':', size) != NULL)
    return false;
  *host = has_brackets ? g_strndup(text + 1, size - 2) : g_strndup(text, size);
  *port = g_strdup(colon + 1);
  return true;
}

/* Ports below this one may not be everybody's. */
static guint64 first_free_port(void)
{
  guint64 port = 1024;
  g_autofree char *text = NULL;
  if (g_file_get_contents("/proc/sys/net/ipv4/ip_unprivileged_port_start", &text, NULL, NULL))
    (void)g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, UINT16_MAX + 1, &port, NULL);
  return port;
}

/* Why an address cannot be bound, and what can be. */
static char *explain_address(const char *port, int number)
{
  guint64 first = first_free_port();
  if (number == EACCES && g_ascii_strtoull(port, NULL, 10) < first)
    return g_strdup_printf("%s: a port below %" G_GUINT64_FORMAT
                           " takes root, or CAP_NET_BIND_SERVICE; any other is accepted",
                           g_strerror(number), first);
  if (number == EADDRINUSE)
    return g_strdup_printf("%s: something else listens there; another port is accepted, 0 for any that is free",
                           g_strerror(number));
  if (number == EADDRNOTAVAIL)
    return g_strdup_printf("%s: this machine has no such address; localhost, or one that it has, is accepted",
                           g_strerror(number));
  return g_strdup(g_strerror(number));
}

/* "127.0.0.1:70000" */
static bool has_number_for_port(const char *text)
{
  const char *colon = strrchr(text, ':');
  return colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
}

static bool open_address(const char *text, struct listener *listener, GError **error)
{
  g_autofree char *host = NULL, *port = NULL;
  if (!split(text, &host, &port))
    return refuse(error, text,
                  has_number_for_port(text) ? "a port is a number from 0 to 65535; an address with : goes into [ ]"
                                            : "ADDRESS:PORT, [ADDRESS]:PORT, :PORT or unix:PATH is accepted");
  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                  *found;
  int problem = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &found);
  if (problem != 0)
    return fail(error, text, gai_strerror(problem));
  bool is_open = bind_and_listen(listener, found->ai_addr, found->ai_addrlen);
  g_autofree char *why = is_open ? NULL : explain_address(port, errno);
  listener->is_local = is_loopback(found->ai_addr);
  freeaddrinfo(found);
  if (!is_open)
    return fail(error, text, why);
  listener->shown = shown_address(listener->fd);
  return true;
}

bool listener_open(const char *address, struct listener *listener, GError **error)
{
  *listener = (struct listener){.fd = -1};
  return g_str_has_prefix(address, unix_prefix) ? open_unix(address, listener, error)
                                                : open_address(address, listener, error);
}

/* Whose directory it is may have put something else there. A socket with one name that is ours is the one we made. */
static bool is_our_socket(int fd)
{
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_nlink == 1 && status.st_uid == geteuid();
}

/* NULL, or why it is not. */
static const char *give(const char *path, uid_t user)
{
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return g_strerror(errno);
  const char *problem = NULL;
  if (!is_our_socket(fd))
    problem = "another file has taken its place";
  else if (fchownat(fd, "", user, (gid_t)-1, AT_EMPTY_PATH) != 0)
    problem = g_strerror(errno);
  (void)close(fd);
  return problem;
}

bool listener_give_to(const struct listener *listener, uid_t user, GError **error)
{
  const char *problem = listener->path != NULL ? give(listener->path, user) : NULL;
  return problem == NULL || fail(error, listener->shown, problem);
}

void listener_close(struct listener *listener)
{
  if (listener->path != NULL)
    (void)unlink(listener->path);
  g_free(listener->path);
  g_free(listener->shown);
  *listener = (struct listener){.fd = -1};
}
