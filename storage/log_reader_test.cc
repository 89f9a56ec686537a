// The ring and the index that readers of the log use.
#include "storage/log_reader.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::storage {
namespace {

LogCommitPtr Made(uint64_t number, size_t bytes) {
  auto commit = std::make_shared<LogCommit>();
  commit->commit = number;
  commit->batch.assign(bytes, 'x');
  return commit;
}

TEST(LogRingTest, KeepsTheNewestWithinItsBytes) {
  LogRing ring(10 * (1000 + static_cast<int64_t>(sizeof(LogCommit))), 5);
  const bool cancelled = false;
  std::vector<LogCommitPtr> out;
  EXPECT_EQ(ring.Take(6, 10, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTimeout);
  EXPECT_EQ(ring.Take(5, 10, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTooOld);
  for (uint64_t i = 6; i <= 30; ++i) ring.Push({Made(i, 1000)});
  EXPECT_EQ(ring.last_published(), 30u);
  EXPECT_EQ(ring.Take(20, 10, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTooOld);
  ASSERT_EQ(ring.Take(21, 100, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTaken);
  ASSERT_EQ(out.size(), 10u);
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i]->commit, 21 + i);
  out.clear();
  ASSERT_EQ(ring.Take(25, 2, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTaken);
  EXPECT_EQ(out.size(), 2u);
  // One that is larger than the ring empties it.
  ring.Push({Made(31, 1 << 20)});
  EXPECT_EQ(ring.Take(31, 2, absl::ZeroDuration(), cancelled, &out), LogRing::Outcome::kTooOld);
}

TEST(LogRingTest, WaitsWakesAndCancels) {
  LogRing ring(1 << 20, 0);
  bool cancelled = false;
  std::vector<LogCommitPtr> out;
  std::thread pusher([&] { ring.Push({Made(1, 1), Made(2, 1)}); });
  EXPECT_EQ(ring.Take(2, 9, absl::InfiniteDuration(), cancelled, &out), LogRing::Outcome::kTaken);
  pusher.join();
  EXPECT_EQ(out.size(), 1u);
  std::thread canceller([&] { ring.Cancel(&cancelled); });
  EXPECT_EQ(ring.Take(3, 9, absl::Hours(1'000'000), cancelled, &out), LogRing::Outcome::kCancelled);
  canceller.join();
}

TEST(LogIndexTest, FindsTheLastAtOrBefore) {
  LogIndex index;
  uint64_t sequence = 0;
  EXPECT_FALSE(index.Find(1, &sequence));
  index.AddAlways(10, 100);
  for (uint64_t i = 11; i <= 2000; ++i) index.Add(i, i * 10, 50);
  EXPECT_FALSE(index.Find(9, &sequence));
  for (uint64_t i = 10; i <= 2000; ++i) {
    ASSERT_TRUE(index.Find(i, &sequence));
    EXPECT_LE(sequence, i * 10);
    EXPECT_GT(sequence + 200 * 10, i * 10);
  }
}

TEST(LogIndexTest, LargeCommitsAreIndexedMoreOften) {
  LogIndex index;
  for (uint64_t i = 1; i <= 100; ++i) index.Add(i, i, 1 << 20);
  uint64_t sequence = 0;
  ASSERT_TRUE(index.Find(100, &sequence));
  EXPECT_GE(sequence, 98u);
}

}  // namespace
}  // namespace cookix::storage
