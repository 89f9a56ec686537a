#include "server/rate_limiter.h"

#include <gtest/gtest.h>

#include <chrono>

namespace cookix::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(RateLimiterTest, ZeroMeansNoLimit) {
  RateLimiter limiter;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limiter.Take("a", 0), 0);
  EXPECT_EQ(limiter.callers(), 0u);
}

TEST(RateLimiterTest, AllowsAMinuteAtOnceThenTheRate) {
  RateLimiter limiter;
  const auto start = RateLimiter::Clock::now();
  for (int i = 0; i < 60; ++i) ASSERT_EQ(limiter.Take("a", 60, start), 0);
  // One call a second from here on.
  EXPECT_EQ(limiter.Take("a", 60, start), 1000);
  EXPECT_EQ(limiter.Take("a", 60, start + milliseconds(400)), 600);
  EXPECT_EQ(limiter.Take("a", 60, start + seconds(1)), 0);
  EXPECT_GT(limiter.Take("a", 60, start + seconds(1)), 0);
  // The promise made with "after so many milliseconds" holds.
  EXPECT_EQ(limiter.Take("a", 60, start + seconds(2)), 0);
}

TEST(RateLimiterTest, CallersDoNotShare) {
  RateLimiter limiter;
  const auto start = RateLimiter::Clock::now();
  EXPECT_EQ(limiter.Take("a", 1, start), 0);
  EXPECT_GT(limiter.Take("a", 1, start), 0);
  EXPECT_EQ(limiter.Take("b", 1, start), 0);
}

TEST(RateLimiterTest, NeverHoldsMoreThanAMinute) {
  RateLimiter limiter;
  const auto start = RateLimiter::Clock::now();
  EXPECT_EQ(limiter.Take("a", 2, start), 0);
  const auto later = start + minutes(30);
  EXPECT_EQ(limiter.Take("a", 2, later), 0);
  EXPECT_EQ(limiter.Take("a", 2, later), 0);
  EXPECT_GT(limiter.Take("a", 2, later), 0);
}

TEST(RateLimiterTest, ForgetsCallersThatWereQuiet) {
  RateLimiter limiter;
  const auto start = RateLimiter::Clock::now();
  limiter.Take("a", 10, start);
  limiter.Take("b", 10, start + minutes(5));
  limiter.Take("c", 10, start + minutes(10));
  EXPECT_EQ(limiter.callers(), 1u);
}

}  // namespace
}  // namespace cookix::server
