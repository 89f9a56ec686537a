#include "server/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace cookix::server {
namespace {

TEST(ExecutorTest, RunsEverythingThatItTook) {
  std::atomic<int> runs{0};
  {
    Executor executor(4, 1000);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(executor.Submit([&] { ++runs; }));
  }
  EXPECT_EQ(runs, 500);
}

TEST(ExecutorTest, RefusesWhenTheQueueIsFull) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> started;
  std::atomic<int> runs{0};
  {
    Executor executor(1, 2);
    ASSERT_TRUE(executor.Submit([&] {
      started.set_value();
      released.wait();
    }));
    started.get_future().wait();
    EXPECT_TRUE(executor.Submit([&] { ++runs; }));
    EXPECT_TRUE(executor.Submit([&] { ++runs; }));
    EXPECT_EQ(executor.queued(), 2u);
    EXPECT_FALSE(executor.Submit([&] { runs += 100; }));
    release.set_value();
  }
  EXPECT_EQ(runs, 2);
}

}  // namespace
}  // namespace cookix::server
