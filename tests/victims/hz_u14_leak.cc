/* SPDX-License-Identifier: MIT */
/* U14: strings by operator new, from a function below main. */
#include <string>

__attribute__((noinline)) std::string *victim_leak(int size)
{
  return new std::string(size, 'x');
}

int main()
{
  for (int i = 0; i < 10; i++)
    victim_leak(5000);
  return 0;
}
