// Task, WhenAll and WhenAny by themselves, in a queue of the test's.
#include "client/worker/task.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "client/worker/task_state.h"
#include "client/worker/when.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold::worker {
namespace {

using internal::RunQueue;
using internal::TaskAccess;
using internal::TaskState;
using ::testing::ElementsAre;

// A task that the test ends.
template <typename T>
class Promised {
 public:
  Task<T> task() { return TaskAccess::Make<T>(state_); }
  void Set(internal::ValueOf<T> value) { state_->SetValue(std::move(value)); }
  void Throw() {
    state_->SetError(std::make_exception_ptr(std::runtime_error("no")));
  }
  // Tasks that have it, and the test.
  long owners() const { return state_.use_count(); }

 private:
  std::shared_ptr<TaskState<T>> state_ = std::make_shared<TaskState<T>>();
};

class TaskTest : public ::testing::Test {
 protected:
  template <typename T>
  void Begin(const Task<T>& task) {
    TaskAccess::State(task)->Start(queue_);
    Run();
  }
  void Run() {
    while (!queue_.empty()) queue_.RunOne();
  }
  template <typename T>
  static T Value(const Task<T>& task) {
    return TaskAccess::State(task)->CopyValue();
  }

  RunQueue queue_;
};

Task<int> Twice(Task<int> task) {
  const int value = co_await task;
  co_return 2 * value;
}

TEST_F(TaskTest, CoroutineBeginsWhenItIsAwaitedAndNotBefore) {
  int begun = 0;
  const auto count = [&begun]() -> Task<int> {
    ++begun;
    co_return 21;
  };
  Task<int> inner = count();
  EXPECT_EQ(begun, 0);
  const Task<int> outer = Twice(std::move(inner));
  EXPECT_EQ(begun, 0);
  Begin(outer);
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(Value(outer), 42);
}

TEST_F(TaskTest, CoroutineWaitsUntilWhatItAwaitsHasEnded) {
  Promised<int> number;
  const Task<int> task = Twice(number.task());
  Begin(task);
  EXPECT_FALSE(task.done());
  number.Set(4);
  EXPECT_FALSE(task.done()) << "it runs in the queue, not in Set";
  Run();
  EXPECT_TRUE(task.done());
  EXPECT_EQ(Value(task), 8);
}

TEST_F(TaskTest, ExceptionGoesToWhoAwaits) {
  Promised<int> number;
  const auto catches = [](Task<int> task) -> Task<std::string> {
    try {
      co_await task;
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
    co_return "";
  };
  const Task<std::string> task = catches(Twice(number.task()));
  Begin(task);
  number.Throw();
  Run();
  EXPECT_EQ(Value(task), "no");
}

TEST_F(TaskTest, TaskMayBeAwaitedTwice) {
  const auto both = [](Task<std::string> task) -> Task<std::string> {
    const std::string first = co_await task;
    const std::string second = co_await std::move(task);
    co_return first + second;
  };
  Promised<std::string> text;
  const Task<std::string> task = both(text.task());
  Begin(task);
  text.Set("ab");
  Run();
  EXPECT_EQ(Value(task), "abab");
}

TEST_F(TaskTest, ValueThatCannotBeCopiedIsMoved) {
  const auto make = []() -> Task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(5);
  };
  const auto take = [](Task<std::unique_ptr<int>> task) -> Task<int> {
    const std::unique_ptr<int> value = co_await std::move(task);
    co_return *value;
  };
  const Task<int> task = take(make());
  Begin(task);
  EXPECT_EQ(Value(task), 5);
}

TEST_F(TaskTest, SeveralMayAwaitOne) {
  Promised<int> number;
  const Task<int> a = Twice(number.task());
  const Task<int> b = Twice(number.task());
  Begin(a);
  Begin(b);
  number.Set(3);
  Run();
  EXPECT_EQ(Value(a), 6);
  EXPECT_EQ(Value(b), 6);
}

// Notes when it goes.
class Note {
 public:
  explicit Note(std::vector<std::string>& notes, std::string text)
      : notes_(notes), text_(std::move(text)) {}
  ~Note() { notes_.push_back(text_); }
  Note(const Note&) = delete;
  Note& operator=(const Note&) = delete;

 private:
  std::vector<std::string>& notes_;
  const std::string text_;
};

TEST_F(TaskTest, TaskThatIsDestroyedEndsItsCoroutineWhereItWaits) {
  std::vector<std::string> notes;
  Promised<int> number;
  {
    const auto waits = [&notes](Task<int> task) -> Task<int> {
      const Note note(notes, "gone");
      const int value = co_await task;
      notes.push_back("went on");
      co_return value;
    };
    const Task<int> task = waits(number.task());
    Begin(task);
    EXPECT_EQ(number.owners(), 2);
  }
  EXPECT_THAT(notes, ElementsAre("gone"));
  EXPECT_EQ(number.owners(), 1);
  number.Set(1);
  Run();
}

TEST_F(TaskTest, TaskMayBeDestroyedWhenItIsAboutToGoOn) {
  Promised<int> number;
  std::optional<Task<int>> task = Twice(number.task());
  Begin(*task);
  number.Set(1);
  task.reset();
  EXPECT_TRUE(queue_.empty());
}

TEST_F(TaskTest, LongLoopsOfTasksThatEndAtOnceNeedNoStack) {
  struct Steps {
    static Task<int> One() { co_return 1; }
    static Task<int> Many() {
      int sum = 0;
      for (int i = 0; i < 300'000; ++i) sum += co_await One();
      co_return sum;
    }
  };
  const Task<int> task = Steps::Many();
  Begin(task);
  EXPECT_EQ(Value(task), 300'000);
}

TEST_F(TaskTest, LongChainsOfTasksEndWithoutStack) {
  Promised<int> number;
  Task<int> task = number.task();
  struct Steps {
    static Task<int> Plus(Task<int> inner) {
      // Let go of before the end, so that no chain of destructors is left.
      Task<int> awaited = std::move(inner);
      co_return co_await awaited + 1;
    }
  };
  for (int i = 0; i < 1000; ++i) task = Steps::Plus(std::move(task));
  Begin(task);
  number.Set(0);
  Run();
  EXPECT_EQ(Value(task), 1000);
}

TEST_F(TaskTest, WhenAllGivesAllValuesInTheirOrder) {
  Promised<int> number;
  Promised<std::string> text;
  Promised<void> nothing;
  const auto all = WhenAll(number.task(), text.task(), nothing.task());
  Begin(all);
  text.Set("b");
  Run();
  nothing.Set({});
  Run();
  EXPECT_FALSE(all.done());
  number.Set(1);
  Run();
  EXPECT_EQ(Value(all), std::make_tuple(1, std::string("b"), std::monostate()));
}

TEST_F(TaskTest, WhenAllOfManyGivesAVector) {
  std::vector<Promised<int>> numbers(3);
  std::vector<Task<int>> tasks;
  tasks.reserve(numbers.size());
  for (auto& number : numbers) tasks.push_back(number.task());
  const Task<std::vector<int>> all = WhenAll(tasks);
  Begin(all);
  for (int i = 2; i >= 0; --i) {
    EXPECT_FALSE(all.done());
    numbers[i].Set(i);
    Run();
  }
  EXPECT_THAT(Value(all), ElementsAre(0, 1, 2));
  EXPECT_EQ(Value(tasks[2]), 2) << "values of lvalues are copied";
}

TEST_F(TaskTest, WhenAllOfManyWithoutValuesHasNone) {
  std::vector<Promised<void>> steps(2);
  std::vector<Task<>> tasks;
  tasks.reserve(steps.size());
  for (auto& step : steps) tasks.push_back(step.task());
  const Task<> all = WhenAll(std::move(tasks));
  Begin(all);
  steps[0].Set({});
  steps[1].Set({});
  Run();
  EXPECT_TRUE(all.done());
}

TEST_F(TaskTest, WhenAllOfNoneEndsAtOnce) {
  const Task<std::vector<int>> all = WhenAll(std::vector<Task<int>>());
  Begin(all);
  EXPECT_TRUE(all.done());
  EXPECT_TRUE(Value(all).empty());
}

TEST_F(TaskTest, WhenAllFailsWithTheFirstThatFails) {
  Promised<int> slow;
  Promised<int> broken;
  const auto all = WhenAll(slow.task(), broken.task());
  Begin(all);
  broken.Throw();
  Run();
  EXPECT_TRUE(all.done());
  EXPECT_THROW(Value(all), std::runtime_error);
  slow.Set(1);
  Run();
}

TEST_F(TaskTest, WhenAllOfWhatHasEndedEndsAtOnce) {
  Promised<int> a;
  Promised<int> b;
  a.Set(1);
  b.Set(2);
  const auto all = WhenAll(a.task(), b.task());
  Begin(all);
  EXPECT_EQ(Value(all), std::make_tuple(1, 2));
}

TEST_F(TaskTest, WhenAnyGivesTheIndexOfTheFirst) {
  Promised<int> a;
  Promised<std::string> b;
  Task<int> task_a = a.task();
  Task<std::string> task_b = b.task();
  const Task<size_t> any = WhenAny(task_a, task_b);
  Begin(any);
  EXPECT_FALSE(any.done());
  b.Set("first");
  a.Set(1);
  Run();
  EXPECT_EQ(Value(any), 1U);
  EXPECT_EQ(Value(task_b), "first");
}

TEST_F(TaskTest, WhenAnyOfWhatHasEndedGivesTheLowest) {
  std::vector<Promised<int>> numbers(3);
  std::vector<Task<int>> tasks;
  tasks.reserve(numbers.size());
  for (auto& number : numbers) tasks.push_back(number.task());
  numbers[2].Set(2);
  numbers[1].Set(1);
  const Task<size_t> any = WhenAny(tasks);
  Begin(any);
  EXPECT_EQ(Value(any), 1U);
}

TEST_F(TaskTest, WhenAnyEndsWellWithOneThatFailed) {
  Promised<int> broken;
  Promised<int> slow;
  const Task<size_t> any = WhenAny(broken.task(), slow.task());
  Begin(any);
  broken.Throw();
  Run();
  EXPECT_EQ(Value(any), 0U);
}

TEST_F(TaskTest, WhenAnyBeginsCoroutinesAndLetsTheOthersGoOn) {
  Promised<int> a;
  Promised<int> b;
  Task<int> first = Twice(a.task());
  Task<int> second = Twice(b.task());
  const Task<size_t> any = WhenAny(first, second);
  Begin(any);
  a.Set(1);
  Run();
  EXPECT_EQ(Value(any), 0U);
  b.Set(2);
  Run();
  EXPECT_EQ(Value(second), 4);
}

TEST_F(TaskTest, WhenAnyOfNoneThrows) {
  const std::vector<Task<int>> none;
  EXPECT_THROW((void)WhenAny(none), std::invalid_argument);
}

TEST_F(TaskTest, CombinationsMayBeCombined) {
  Promised<int> a;
  Promised<int> b;
  Promised<int> c;
  const auto all = WhenAll(WhenAny(a.task(), b.task()), c.task());
  Begin(all);
  c.Set(7);
  b.Set(1);
  Run();
  EXPECT_EQ(Value(all), std::make_tuple(size_t{1}, 7));
}

}  // namespace
}  // namespace leasehold::worker
