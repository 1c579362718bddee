/* SPDX-License-Identifier: MIT */
#include "tools/http/refusal.h"

#include <string.h>

static const char *header(struct MHD_Connection *connection, const char *name)
{
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* What says whom a request is for, and where it ends. */
struct framing {
  unsigned hosts, lengths, codings;
  bool is_odd;
};

static enum MHD_Result add_header(void *framing, enum MHD_ValueKind kind, const char *name, const char *value)
{
  (void)kind;
  struct framing *seen = framing;
  bool is_coding = g_ascii_strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
  bool is_unknown = is_coding && (value == NULL || g_ascii_strcasecmp(value, "chunked") != 0);
  seen->hosts += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
  seen->lengths += g_ascii_strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
  seen->codings += is_coding;
  seen->is_odd = seen->is_odd || is_unknown || strpbrk(name, " \t") != NULL;
  return MHD_YES;
}

/* Of two names, or two lengths, whoever forwards the request may take the other. NULL: there is nothing to doubt. */
static const char *doubt_about(struct MHD_Connection *connection, const char *version)
{
  struct framing seen = {.hosts = 0};
  (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, add_header, &seen);
  if (seen.hosts > 1)
    return "400 Bad Request: too many Host headers";
  if (seen.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
    return "400 Bad Request: missing required Host header";
  return seen.is_odd || seen.lengths + seen.codings > 1 ? "400 Bad Request: it is not clear where it ends" : NULL;
}

static struct answer refuse_without_token(void)
{
  struct answer answer = answer_text(MHD_HTTP_UNAUTHORIZED, "this needs the token that the server was started with");
  answer_add_header(&answer, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"heapprof\", charset=\"UTF-8\"");
  return answer;
}

static struct answer refuse_doubtful(const char *doubt)
{
  struct answer answer = answer_text(MHD_HTTP_BAD_REQUEST, doubt);
  answer_add_header(&answer, MHD_HTTP_HEADER_CONNECTION, "close");
  return answer;
}

/* Go's handlers take it for GET, and who has nothing to say says so to all. */
static bool takes_post(enum route_end end)
{
  switch (end) {
  case ROUTE_LIST:
  case ROUTE_HEALTH:
  case ROUTE_METRICS:
  case ROUTE_PAGE:
  case ROUTE_LIVE_HEAP:
  case ROUTE_LIVE_TIMELINE:
  case ROUTE_LIVE_CHANGE: return false;
  default: return true;
  }
}

static bool is_allowed(const char *method, enum route_end end)
{
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || (strcmp(method, "POST") == 0 && takes_post(end));
}

static struct answer refuse_method(enum route_end end)
{
  struct answer answer = answer_text(MHD_HTTP_METHOD_NOT_ALLOWED, "405 method not allowed");
  answer_add_header(&answer, MHD_HTTP_HEADER_ALLOW, takes_post(end) ? "GET, HEAD, POST" : "GET, HEAD");
  return answer;
}

static bool is_too_long(const char *content_length)
{
  guint64 bytes;
  return content_length != NULL &&
         !g_ascii_string_to_unsigned(content_length, 10, 0, REFUSAL_BODY_BYTES_MAX, &bytes, NULL);
}

struct answer refusal_of(struct MHD_Connection *connection, const struct access *access, const char *method,
                         const char *version, enum route_end end)
{
  const char *doubt = doubt_about(connection, version);
  if (doubt != NULL)
    return refuse_doubtful(doubt);
  enum access_verdict verdict =
      access_check(access, header(connection, MHD_HTTP_HEADER_HOST), header(connection, MHD_HTTP_HEADER_AUTHORIZATION));
  if (verdict == ACCESS_NO_TOKEN && end != ROUTE_HEALTH)
    return refuse_without_token();
  if (verdict == ACCESS_FOREIGN_HOST)
    return answer_text(MHD_HTTP_FORBIDDEN, "this is not served by that name; heapprof serve --host NAME does");
  if (!is_allowed(method, end))
    return refuse_method(end);
  if (is_too_long(header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH)))
    return answer_text(MHD_HTTP_CONTENT_TOO_LARGE, "413 request too large");
  return (struct answer){.response = NULL};
}
