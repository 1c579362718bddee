/* SPDX-License-Identifier: MIT */
#include "tools/http/server_user.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

static void fail(GError **error, const char *name, const char *why)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM, "cannot become user '%s': %s", name, why);
}

const struct passwd *server_user_find(const char *name, GError **error)
{
  errno = 0;
  const struct passwd *user = getpwnam(name);
  if (geteuid() != 0)
    fail(error, name, "only root can");
  else if (user == NULL)
    fail(error, name, errno != 0 ? g_strerror(errno) : "there is none of that name");
  return geteuid() == 0 ? user : NULL;
}

static void set_environment(const struct passwd *user)
{
  g_autofree char *runtime = g_strdup_printf("/run/user/%u", (unsigned)user->pw_uid);
  g_setenv("HOME", user->pw_dir, TRUE);
  g_setenv("USER", user->pw_name, TRUE);
  g_setenv("LOGNAME", user->pw_name, TRUE);
  g_unsetenv("XDG_CACHE_HOME");
  if (g_file_test(runtime, G_FILE_TEST_IS_DIR))
    g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
  else
    g_unsetenv("XDG_RUNTIME_DIR");
}

bool server_user_become(const struct passwd *user, GError **error)
{
  bool is_done =
      initgroups(user->pw_name, user->pw_gid) == 0 && setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0 &&
      setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (!is_done) {
    fail(error, user->pw_name, g_strerror(errno));
  } else if (user->pw_uid != 0 && setuid(0) == 0) {
    fail(error, user->pw_name, "root's rights stay");
    is_done = false;
  }
  if (is_done)
    set_environment(user);
  return is_done;
}
