#include "storage/commit_queue.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::storage {
namespace {

struct Job final : CommitQueue::Waiter {
  int served = 0;
};

TEST(CommitQueueTest, EveryoneIsServedOnceAndNeverTwoAtATime) {
  CommitQueue queue;
  std::atomic<int> leading{0};
  std::atomic<int> groups{0};
  std::atomic<int> exclusive{0};
  constexpr int kThreads = 6;
  constexpr int kEach = 500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        if (t == 0 && i % 10 == 0) {
          queue.RunExclusive([&] {
            EXPECT_EQ(++leading, 1);
            ++exclusive;
            --leading;
          });
        }
        Job job;
        queue.Submit(&job, [&](const std::vector<CommitQueue::Waiter*>& waiting) {
          EXPECT_EQ(++leading, 1);
          EXPECT_FALSE(waiting.empty());
          EXPECT_EQ(waiting.front(), &job);
          ++groups;
          // Some are left for the next leader.
          const size_t served = 1 + (waiting.size() - 1) / 2;
          for (size_t k = 0; k < served; ++k) ++static_cast<Job*>(waiting[k])->served;
          --leading;
          return served;
        });
        EXPECT_EQ(job.served, 1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(groups, kThreads * kEach);
  EXPECT_EQ(exclusive, kEach / 10);
}

TEST(CommitQueueTest, WhoComesWhileOneLeadsWaitsForTheNext) {
  CommitQueue queue;
  std::atomic<bool> leading{false};
  std::atomic<bool> release{false};
  Job first;
  std::thread leader([&] {
    queue.Submit(&first, [&](const std::vector<CommitQueue::Waiter*>& waiting) {
      leading = true;
      while (!release) std::this_thread::yield();
      EXPECT_EQ(waiting.size(), 1u);
      return waiting.size();
    });
  });
  while (!leading) std::this_thread::yield();
  std::atomic<size_t> largest{0};
  std::vector<std::thread> followers;
  for (int i = 0; i < 4; ++i) {
    followers.emplace_back([&] {
      Job job;
      queue.Submit(&job, [&](const std::vector<CommitQueue::Waiter*>& waiting) {
        EXPECT_TRUE(release);
        size_t before = largest;
        while (before < waiting.size() && !largest.compare_exchange_weak(before, waiting.size())) {
        }
        for (CommitQueue::Waiter* waiter : waiting) ++static_cast<Job*>(waiter)->served;
        return waiting.size();
      });
      EXPECT_EQ(job.served, 1);
    });
  }
  release = true;
  leader.join();
  for (std::thread& follower : followers) follower.join();
  EXPECT_GE(largest, 1u);
}

}  // namespace
}  // namespace cookix::storage
