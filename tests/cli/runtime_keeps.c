/* SPDX-License-Identifier: MIT */
/* Makes libc keep what argv[1] says, and nothing of ours; with OWN, functions of ours that are called as libc's are. */
#include <dlfcn.h>
#include <execinfo.h>
#include <grp.h>
#include <iconv.h>
#include <libintl.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

static void *volatile last;

#ifdef OWN
void tzset(void)
{
  last = malloc(100);
}

int putenv(char *text)
{
  last = strdup(text);
  return 0;
}
#endif

static void *return_it(void *argument)
{
  return argument;
}

static void *wait_for_ever(void *argument)
{
  for (;;)
    pause();
  return argument;
}

static void run_thread(void *(*function)(void *), int is_cancelled)
{
  pthread_t thread;
  if (pthread_create(&thread, NULL, function, NULL) != 0)
    abort();
  if (is_cancelled)
    pthread_cancel(thread);
  pthread_join(thread, NULL);
}

static void do_nothing(void) {}

static void fill_keys(void)
{
  static pthread_key_t keys[200];
  for (int i = 0; i < 200; i++) {
    pthread_key_create(&keys[i], NULL);
    pthread_setspecific(keys[i], keys);
  }
}

static void register_many(void)
{
  for (int i = 0; i < 100; i++) {
    atexit(do_nothing);
    pthread_atfork(do_nothing, do_nothing, do_nothing);
  }
}

static void resolve(int is_leaked)
{
  struct addrinfo *info = NULL, hints = {.ai_flags = AI_NUMERICHOST};
  if (getaddrinfo("127.0.0.1", "http", &hints, &info) == 0 && !is_leaked)
    freeaddrinfo(info);
}

static void convert(int is_leaked)
{
  iconv_t conversion = iconv_open("UTF-16", "KOI8-R");
  if (!is_leaked)
    iconv_close(conversion);
}

static void translate(void)
{
  setlocale(LC_ALL, "C.UTF-8");
  bindtextdomain("shop", "/nowhere");
  textdomain("shop");
  last = gettext("hello");
}

static int compare(const void *a, const void *b)
{
  last = malloc(10);
  return memcmp(a, b, 1);
}

int main(int count, char **arguments)
{
  const char *what = count > 1 ? arguments[1] : "";
  void *frames[9];
  struct tm time = {.tm_mday = 1};
#define IS(name) (strcmp(what, name) == 0)
  if (IS("output"))
    puts("hello");
  if (IS("wide output"))
    wprintf(L"hello\n");
  if (IS("input"))
    last = (void *)(long)getchar();
  if (IS("locale"))
    setlocale(LC_ALL, "C.UTF-8");
  if (IS("time zone")) {
    setenv("TZ", "UTC", 1);
    tzset();
    mktime(&time);
  }
  if (IS("local time"))
    last = localtime(&(time_t){0});
  if (IS("thread"))
    run_thread(return_it, 0);
  if (IS("cancelled thread"))
    run_thread(wait_for_ever, 1);
  if (IS("keys"))
    fill_keys();
  if (IS("users") && getpwuid(0) != NULL)
    last = getgrgid(0);
  if (IS("hosts"))
    last = gethostbyname("localhost");
  if (IS("dlopen"))
    last = dlopen("libm.so.6", RTLD_NOW);
  if (IS("dlerror"))
    last = dlopen("/nowhere", RTLD_NOW) != NULL ? NULL : dlerror();
  if (IS("iconv"))
    convert(0);
  if (IS("messages"))
    translate();
  if (IS("backtrace"))
    backtrace(frames, 9);
  if (IS("handlers"))
    register_many();
  if (IS("environment"))
    setenv("SHOP", "open", 1);
  if (IS("error"))
    last = strerror(9999);
  if (IS("log"))
    openlog("shop", 0, LOG_USER);
  /* Theirs to give back. */
  if (IS("file"))
    fputs("hello", fopen("/dev/null", "w"));
  if (IS("strdup"))
    last = strdup("hello");
  if (IS("addresses"))
    resolve(1);
  if (IS("conversion"))
    convert(1);
  if (IS("callback"))
    qsort((char[2]){"ba"}, 2, 1, compare);
#ifdef OWN
  if (IS("own tzset"))
    tzset();
  if (IS("own putenv"))
    putenv((char[]){"SHOP=open"});
#endif
  return 0;
}
