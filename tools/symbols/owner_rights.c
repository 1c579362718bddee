/* SPDX-License-Identifier: MIT */
#include "tools/symbols/owner_rights.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <unistd.h>

enum { NOBODYS_GROUP = 65534 };

static bool take_group(gid_t group)
{
  (void)setfsgid(group);
  return (gid_t)setfsgid((gid_t)-1) == group;
}

/* Takes the capabilities that pass over modes of files along. */
static bool take_user(uid_t user)
{
  (void)setfsuid(user);
  return (uid_t)setfsuid((uid_t)-1) == user;
}

/* libdebuginfod keeps there what it downloads. */
static void take_home(const struct passwd *user)
{
  (void)setenv("HOME", user->pw_dir, 1);
  (void)unsetenv("XDG_CACHE_HOME");
  (void)unsetenv("DEBUGINFOD_CACHE_PATH");
}

bool owner_rights_take(uid_t owner)
{
  if (owner == 0 || geteuid() != 0)
    return true;
  const struct passwd *user = getpwuid(owner);
  gid_t group = user != NULL ? user->pw_gid : NOBODYS_GROUP;
  if (user != NULL)
    take_home(user);
  bool has_groups = user != NULL ? initgroups(user->pw_name, group) == 0 : setgroups(0, NULL) == 0;
  return has_groups && take_group(group) && take_user(owner);
}
