/* SPDX-License-Identifier: MIT */
#include "tools/http/answer.h"

#include <fcntl.h>
#include <string.h>

static const char plain_text[] = "text/plain; charset=utf-8";

void answer_add_header(struct answer *answer, const char *name, const char *value)
{
  (void)MHD_add_response_header(answer->response, name, value);
}

static struct answer of_text(unsigned status, const char *type, const char *text)
{
  struct answer answer = {.status = status, .size = strlen(text)};
  answer.response = MHD_create_response_from_buffer(answer.size, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
  if (type != NULL)
    answer_add_header(&answer, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  return answer;
}

struct answer answer_text(unsigned status, const char *text)
{
  g_autofree char *line = g_strconcat(text, "\n", NULL);
  struct answer answer = of_text(status, plain_text, line);
  answer_add_header(&answer, "X-Content-Type-Options", "nosniff");
  return answer;
}

struct answer answer_problem(unsigned status, const char *problem)
{
  struct answer answer = answer_text(status, problem);
  answer_add_header(&answer, "X-Go-Pprof", "1");
  return answer;
}

struct answer answer_busy(const char *why)
{
  struct answer answer = answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, why);
  answer_add_header(&answer, MHD_HTTP_HEADER_RETRY_AFTER, "5");
  return answer;
}

struct answer answer_redirect(const char *location, bool has_body)
{
  g_autofree char *escaped = g_markup_escape_text(location, -1);
  g_autofree char *text = g_strdup_printf("<a href=\"%s\">Moved Permanently</a>.\n\n", escaped);
  struct answer answer =
      of_text(MHD_HTTP_MOVED_PERMANENTLY, has_body ? "text/html; charset=utf-8" : NULL, has_body ? text : "");
  answer_add_header(&answer, MHD_HTTP_HEADER_LOCATION, location);
  return answer;
}

struct answer answer_parcel(struct parcel *parcel, const char *type, const char *file_name)
{
  int fd = fcntl(parcel->fd, F_DUPFD_CLOEXEC, 0); /* which goes with the response */
  if (fd < 0)
    return answer_problem(MHD_HTTP_SERVICE_UNAVAILABLE, "too many files are open");
  struct answer answer = {.status = MHD_HTTP_OK, .size = parcel->size, .parcel = parcel_hold(parcel)};
  answer.response = MHD_create_response_from_fd64(parcel->size, fd);
  answer_add_header(&answer, "X-Content-Type-Options", "nosniff");
  answer_add_header(&answer, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  if (file_name != NULL) {
    g_autofree char *disposition = g_strdup_printf("attachment; filename=\"%s\"", file_name);
    answer_add_header(&answer, MHD_HTTP_HEADER_CONTENT_DISPOSITION, disposition);
  }
  return answer;
}

void answer_clear(struct answer *answer)
{
  if (answer->response != NULL)
    MHD_destroy_response(answer->response);
  parcel_release(answer->parcel);
  *answer = (struct answer){.response = NULL};
}
