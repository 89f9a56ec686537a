#include "engine/vector/waiting_commits.h"

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

TEST(WaitingCommitsTest, NothingWaitsAtFirst) {
  WaitingCommits commits;
  EXPECT_EQ(commits.Oldest(0), 0u);
  commits.Added(7, 3, 0);
  EXPECT_EQ(commits.Oldest(0), 0u);
}

TEST(WaitingCommitsTest, FollowsWhatIsLinked) {
  WaitingCommits commits;
  commits.Added(10, 5, 5);
  commits.Added(11, 1, 6);
  commits.Added(15, 4, 10);
  EXPECT_EQ(commits.Oldest(10), 10u);
  EXPECT_EQ(commits.Oldest(6), 10u);
  EXPECT_EQ(commits.Oldest(5), 11u);
  EXPECT_EQ(commits.Oldest(4), 15u);
  EXPECT_EQ(commits.Oldest(1), 15u);
  EXPECT_EQ(commits.Oldest(0), 0u);
  // Nothing of what was linked comes back.
  commits.Added(20, 2, 2);
  EXPECT_EQ(commits.Oldest(2), 20u);
}

TEST(WaitingCommitsTest, KnowsNothingOlderThanItWasTold) {
  WaitingCommits commits;
  // Those of an index that was loaded came before.
  commits.Added(30, 1, 100);
  EXPECT_EQ(commits.Oldest(100), 30u);
  commits.Added(31, 1, 50);
  EXPECT_EQ(commits.Oldest(50), 30u);
  EXPECT_EQ(commits.Oldest(1), 31u);
}

TEST(WaitingCommitsTest, VectorsThatDieBeforeTheyAreLinkedDoNotHoldItUp) {
  WaitingCommits commits;
  commits.Added(1, 8, 8);
  // All but one were taken out.
  EXPECT_EQ(commits.Oldest(1), 1u);
  commits.Added(2, 8, 9);
  EXPECT_EQ(commits.Oldest(8), 2u);
  EXPECT_EQ(commits.Oldest(0), 0u);
}

}  // namespace
}  // namespace cookix::engine
