// SPDX-License-Identifier: MIT
// g++ -g cart_test.cc -lgtest -lgtest_main -pthread && heapprof run -s 1 --fail-if 'leaked>0' -- ./a.out
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

TEST(Cart, Counts)
{
  std::vector<std::string> items{"apple", "pear"};
  EXPECT_EQ(items.size(), 2u);
}

// Its forked child is killed, and has not leaked.
TEST(CartDeathTest, Empty)
{
  std::vector<std::string> items(100, "apple");
  EXPECT_DEATH(std::abort(), "");
}

class Sizes : public testing::TestWithParam<int> {};

TEST_P(Sizes, AreKept)
{
  EXPECT_EQ(std::vector<int>(static_cast<size_t>(GetParam())).size(), static_cast<size_t>(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(All, Sizes, testing::Range(0, 20));

// Passes, but nobody frees the text.
TEST(Cart, Forgets)
{
  static std::string *kept;
  kept = new std::string(100, 'x');
  EXPECT_EQ(kept->size(), 100u);
}
