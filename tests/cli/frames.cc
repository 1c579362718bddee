/* SPDX-License-Identifier: MIT */
/* Much code of many kinds: inlined, templates, lambdas, local classes, virtual bases, operators, exceptions. What each
 * address of it is called and where it comes from is compared between symbolizers. */
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace app {
namespace {
struct Node {
  std::string name;
  std::vector<std::unique_ptr<Node>> children;

  explicit Node(std::string given) : name(std::move(given)) {}
  bool operator<(const Node &other) const
  {
    return name < other.name;
  }
  friend std::string &operator<<(std::string &text, const Node &node)
  {
    return text += node.name;
  }
  std::size_t count() const
  {
    return std::accumulate(children.begin(), children.end(), std::size_t{1},
                           [](std::size_t sum, const auto &child) { return sum + child->count(); });
  }
};

static int with_local_class(int number)
{
  struct Local {
    static int sum(int count)
    {
      std::vector<int> numbers(count);
      std::iota(numbers.begin(), numbers.end(), 0);
      return std::accumulate(numbers.begin(), numbers.end(), 0);
    }
  };
  return Local::sum(number);
}

template <class T> struct Table {
  std::map<T, std::vector<T>> rows;

  template <class Function> void each(Function function)
  {
    for (auto &[key, values] : rows) {
      std::sort(values.begin(), values.end(), [](const T &a, const T &b) { return b < a; });
      for (auto &value : values)
        function(key, value);
    }
  }
  operator std::vector<T>() const
  {
    std::vector<T> keys;
    for (auto &row : rows)
      keys.push_back(row.first);
    return keys;
  }
};
} // namespace

struct Base {
  virtual ~Base() = default;
  virtual std::string describe(int number) = 0;
};
struct Left : virtual Base {
  std::string describe(int number) override
  {
    std::string text;
    for (int i = 0; i < number; i++)
      text += std::to_string(i) + ",";
    return text;
  }
};
struct Right : virtual Base {
  std::string describe(int number) override
  {
    std::deque<int> numbers;
    for (int i = 0; i < number; i++)
      numbers.push_front(i * with_local_class(i));
    return std::to_string(numbers.size());
  }
};
struct Both : Left, Right {
  std::string describe(int number) override
  {
    return Left::describe(number) + Right::describe(number);
  }
};

using Any = std::variant<int, std::string, std::vector<double>>;
Any make(int number)
{
  if (number % 3 == 0)
    return number;
  if (number % 3 == 1)
    return std::to_string(number);
  return std::vector<double>(number, 1.5);
}
} // namespace app

static std::unordered_map<std::string, std::function<int(int)>> handlers;

static int total(int count)
{
  app::Table<std::string> texts;
  app::Table<int> numbers;
  for (int i = 0; i < count; i++) {
    texts.rows[std::to_string(i % 10)].push_back(std::to_string(i));
    numbers.rows[i % 10].push_back(i);
  }
  int sum = 0;
  texts.each([&](auto &key, auto &value) { sum += static_cast<int>(key.size() + value.size()); });
  numbers.each([&sum](int key, int value) { sum += key ^ value; });
  std::vector<int> keys = numbers;
  std::vector<std::string> names = texts;
  std::stable_sort(names.begin(), names.end());
  std::reverse(keys.begin(), keys.end());
  handlers["add"] = [sum](int more) { return sum + more; };
  handlers["local"] = &app::with_local_class;
  for (auto &[name, handler] : handlers)
    sum += handler(3) + static_cast<int>(name.size());
  return sum;
}

int main(int argc, char **)
{
  int sum = total(argc * 20);
  std::shared_ptr<app::Base> both = std::make_shared<app::Both>();
  sum += static_cast<int>(both->describe(argc + 4).size());
  app::Node root("root");
  root.children.push_back(std::make_unique<app::Node>("child"));
  std::string text;
  text << root;
  sum += static_cast<int>(root.count() + text.size()) + (root < *root.children[0]);
  for (int i = 0; i < 9; i++)
    std::visit(
        [&](auto &&value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, int>)
            sum += value;
          else
            sum += static_cast<int>(value.size());
        },
        app::make(i));
  try {
    sum += std::stoi(argc > 100 ? "1" : "none");
  } catch (const std::exception &) {
    sum++;
  }
  return sum & 1;
}
