/* SPDX-License-Identifier: MIT */
#include "tools/push/post.h"

#include "tools/push/secret.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  CONNECT_SECONDS_MAX = 10,
  SILENT_SECONDS_MAX = 30,
  SECONDS_MAX = 120,
  SAID_BYTES_MAX = 300, /* of an answer's body */
};

#define POST_ERROR g_quark_from_static_string("heapprof-post")

struct post {
  struct post_options options;
  char *url;
  bool is_told; /* who we are goes over the network as it is */
  CURLM *multi;
  CURL *easy;
  struct curl_slist *headers;
  GByteArray *body;
  GString *said;
  char problem[CURL_ERROR_SIZE];
  char *own_problem; /* the request could not be begun */
};

/* The URL. */

static bool refuse(GError **error, const char *url, const char *why)
{
  g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--to '%s': %s", url, why);
  return false;
}

/* "" if it has none. */
static char *part_of(CURLU *url, CURLUPart part)
{
  char *text = NULL;
  char *copy = g_strdup(curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : "");
  curl_free(text);
  return copy;
}

static bool has_part(CURLU *url, CURLUPart part)
{
  g_autofree char *text = part_of(url, part);
  return text[0] != '\0';
}

static const char *problem_of(CURLU *url)
{
  g_autofree char *scheme = part_of(url, CURLUPART_SCHEME);
  if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
    return "it must begin with http:// or https://";
  if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
    return "everybody can read a command line: --password-file holds user:password";
  if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
    return "it must end with the path";
  return NULL;
}

/* Does somebody on the way see who we are? */
static bool is_in_the_clear(const struct post_options *options, CURLU *url)
{
  static const char *const local[] = {"localhost", "127.0.0.1", "[::1]", NULL};
  g_autofree char *scheme = part_of(url, CURLUPART_SCHEME), *host = part_of(url, CURLUPART_HOST);
  bool has_secret = options->token_file != NULL || options->password_file != NULL;
  return has_secret && strcmp(scheme, "http") == 0 && !g_strv_contains(local, host);
}

static bool set_url(struct post *post, GError **error)
{
  CURLU *url = curl_url();
  const char *problem =
      curl_url_set(url, CURLUPART_URL, post->options.url, 0) != CURLUE_OK ? "it is no URL" : problem_of(url);
  if (problem == NULL) {
    g_autofree char *whole = part_of(url, CURLUPART_URL);
    size_t size = strlen(whole);
    while (size > 0 && whole[size - 1] == '/')
      size--;
    whole[size] = '\0';
    post->url = g_strconcat(whole, "/push.v1.PusherService/Push", NULL);
    post->is_told = is_in_the_clear(&post->options, url);
  }
  curl_url_cleanup(url);
  return problem == NULL || refuse(error, post->options.url, problem);
}

/* Who we are. NULL without *error: nobody. */
static char *authorization(const struct post_options *options, GError **error)
{
  if (options->token_file != NULL)
    return secret_bearer(options->token_file, error);
  return options->password_file != NULL ? secret_basic(options->password_file, error) : NULL;
}

/* What can be told before anything is sent. */
static bool check_files(const struct post *post, GError **error)
{
  g_autoptr(GError) problem = NULL;
  secret_free(authorization(&post->options, &problem));
  if (problem == NULL && post->options.ca_file != NULL && access(post->options.ca_file, R_OK) != 0)
    g_set_error(&problem, POST_ERROR, 0, "--ca-file '%s': %s", post->options.ca_file, g_strerror(errno));
  if (problem == NULL)
    return true;
  g_propagate_error(error, g_steal_pointer(&problem));
  return false;
}

/* The handle. */

static size_t take_body(char *bytes, size_t one, size_t size, void *said)
{
  GString *text = said;
  (void)one;
  g_string_append_len(text, bytes, (gssize)MIN(size, SAID_BYTES_MAX - text->len));
  return size;
}

static void set_up(struct post *post)
{
  CURL *easy = post->easy;
  curl_easy_setopt(easy, CURLOPT_URL, post->url);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "heapprof/" PACKAGE_VERSION);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS_MAX);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SILENT_SECONDS_MAX);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)SECONDS_MAX);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, post->said);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->problem);
  if (post->options.ca_file != NULL)
    curl_easy_setopt(easy, CURLOPT_CAINFO, post->options.ca_file);
}

struct post *post_new(const struct post_options *options, GError **error)
{
  struct post *post = g_new0(struct post, 1);
  post->options = *options;
  post->said = g_string_new(NULL);
  bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (post->multi = curl_multi_init()) != NULL &&
                  (post->easy = curl_easy_init()) != NULL;
  if (!is_ready)
    g_set_error_literal(error, POST_ERROR, 0, "libcurl cannot be used");
  if (is_ready && set_url(post, error) && check_files(post, error)) {
    set_up(post);
    if (post->is_told)
      say("%s gets what proves who we are unencrypted: https:// hides it", post->url);
    return post;
  }
  post_free(post);
  return NULL;
}

static void forget_headers(struct post *post)
{
  for (struct curl_slist *header = post->headers; header != NULL; header = header->next)
    explicit_bzero(header->data, strlen(header->data));
  curl_slist_free_all(post->headers);
  post->headers = NULL;
}

static void forget_request(struct post *post)
{
  if (post->body != NULL)
    (void)curl_multi_remove_handle(post->multi, post->easy);
  g_clear_pointer(&post->body, g_byte_array_unref);
  forget_headers(post);
}

void post_free(struct post *post)
{
  forget_request(post);
  if (post->easy != NULL)
    curl_easy_cleanup(post->easy);
  if (post->multi != NULL)
    (void)curl_multi_cleanup(post->multi);
  g_string_free(post->said, TRUE);
  g_free(post->own_problem);
  g_free(post->url);
  g_free(post);
  curl_global_cleanup();
}

/* A request. */

static void add_header(struct post *post, const char *name, const char *value)
{
  char *header = g_strconcat(name, value, NULL);
  post->headers = curl_slist_append(post->headers, header);
  secret_free(header);
}

static bool set_headers(struct post *post, GError **error)
{
  g_autoptr(GError) problem = NULL;
  char *secret = authorization(&post->options, &problem);
  if (problem != NULL) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
  }
  add_header(post, "Content-Type: ", "application/proto");
  add_header(post, "Connect-Protocol-Version: ", "1");
  add_header(post, "Expect:", "");
  if (post->options.tenant != NULL)
    add_header(post, "X-Scope-OrgID: ", post->options.tenant);
  if (secret != NULL)
    add_header(post, "Authorization: ", secret);
  secret_free(secret);
  return true;
}

void post_begin(struct post *post, GByteArray *body)
{
  g_autoptr(GError) error = NULL;
  g_string_truncate(post->said, 0);
  post->problem[0] = '\0';
  if (!set_headers(post, &error)) {
    post->own_problem = g_strdup(error->message);
    g_byte_array_unref(body);
    return;
  }
  post->body = body;
  curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers);
  curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
  curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, body->data);
  (void)curl_multi_add_handle(post->multi, post->easy);
}

/* A line of what the server says. */
static char *said(const struct post *post, long status)
{
  g_autofree char *text = g_strdelimit(g_strdup(post->said->str), "\r\n\t", ' ');
  g_autofree char *shown = printable(g_strstrip(text));
  return g_strdup_printf("%s answers %ld%s%s", post->url, status, shown[0] != '\0' ? ": " : "", shown);
}

static void judge(struct post *post, struct post_answer *answer)
{
  long status = 0;
  char *type = NULL, *location = NULL;
  curl_off_t wait = 0;
  (void)curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
  (void)curl_easy_getinfo(post->easy, CURLINFO_CONTENT_TYPE, &type);
  (void)curl_easy_getinfo(post->easy, CURLINFO_REDIRECT_URL, &location);
  (void)curl_easy_getinfo(post->easy, CURLINFO_RETRY_AFTER, &wait);
  answer->verdict = verdict_of(status, type);
  answer->may_be_its_fault = verdict_blames(status);
  answer->asked_seconds = (guint64)MAX(wait, 0);
  if (location != NULL)
    answer->problem = g_strdup_printf("%s answers %ld, go to %s: it is not followed", post->url, status, location);
  else if (answer->verdict == VERDICT_MISLED && status == 200)
    answer->problem =
        g_strdup_printf("%s answers as no Pyroscope does, with %s", post->url, type != NULL ? type : "no type");
  else if (answer->verdict != VERDICT_TAKEN)
    answer->problem = said(post, status);
}

/* Anything of the profiles. */
static bool has_sent(const struct post *post)
{
  curl_off_t bytes = 0;
  return curl_easy_getinfo(post->easy, CURLINFO_SIZE_UPLOAD_T, &bytes) == CURLE_OK && bytes > 0;
}

bool post_end(struct post *post, struct post_answer *answer)
{
  int running, left;
  *answer = (struct post_answer){.verdict = VERDICT_MISLED, .problem = g_steal_pointer(&post->own_problem)};
  if (answer->problem != NULL)
    return true;
  (void)curl_multi_perform(post->multi, &running);
  for (CURLMsg *message; (message = curl_multi_info_read(post->multi, &left)) != NULL;) {
    if (message->msg != CURLMSG_DONE)
      continue;
    CURLcode result = message->data.result;
    if (result == CURLE_OK)
      judge(post, answer);
    else {
      answer->verdict = VERDICT_LATER;
      answer->may_be_its_fault = has_sent(post);
      answer->problem = g_strdup_printf("%s cannot be reached: %s", post->url,
                                        post->problem[0] != '\0' ? post->problem : curl_easy_strerror(result));
    }
    forget_request(post);
    return true;
  }
  return false;
}

void post_wait(struct post *post, struct curl_waitfd *others, unsigned count, int milliseconds)
{
  (void)curl_multi_poll(post->multi, others, count, milliseconds, NULL);
}
