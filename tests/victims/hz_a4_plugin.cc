// SPDX-License-Identifier: MIT
// A4: a plug-in whose C++ code is in a library that it was linked with.
extern "C" int dependency_try(void);

extern "C" int plugin_try(void);
extern "C" int plugin_try(void)
{
  return dependency_try();
}
