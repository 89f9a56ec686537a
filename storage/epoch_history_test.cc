#include "storage/epoch_history.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace cookix::storage {
namespace {

const EpochHistory kFirst = {{1, 1, 10}};
const EpochHistory kSecond = {{1, 1, 10}, {2, 101, 20}};
// Another way from commit 50 on.
const EpochHistory kOther = {{1, 1, 10}, {2, 51, 30}};
const EpochHistory kThird = {{1, 1, 10}, {2, 101, 20}, {3, 101, 25}, {5, 120, 40}};

TEST(EpochHistoryTest, HoldsWhatWasCommittedBeforeTheWaysPart) {
  EXPECT_TRUE(Holds(kFirst, kFirst, 1, 500));
  EXPECT_TRUE(Holds(kSecond, kFirst, 1, 100));
  EXPECT_FALSE(Holds(kSecond, kFirst, 1, 101));
  EXPECT_TRUE(Holds(kSecond, kSecond, 2, 101));
  EXPECT_FALSE(Holds(kFirst, kSecond, 2, 101));
  EXPECT_TRUE(Holds(kOther, kSecond, 1, 50));
  EXPECT_FALSE(Holds(kOther, kSecond, 1, 51));
  EXPECT_FALSE(Holds(kOther, kSecond, 2, 101));
  EXPECT_FALSE(Holds(kSecond, kSecond, 4, 101));
  EXPECT_FALSE(Holds({}, kSecond, 1, 1));
  EXPECT_FALSE(Holds(kSecond, {}, 1, 1));
}

TEST(EpochHistoryTest, AnEpochWithoutCommitsHoldsTheOnesBefore) {
  EXPECT_TRUE(Holds(kSecond, kSecond, 2, 100));
  EXPECT_TRUE(Holds(kThird, kThird, 2, 100));
  EXPECT_FALSE(Holds(kThird, kThird, 2, 101));
  EXPECT_TRUE(Holds(kThird, kThird, 3, 119));
}

TEST(EpochHistoryTest, KnowsTheEpochOfEachCommit) {
  EXPECT_EQ(EpochOf(kThird, 0), 1u);
  EXPECT_EQ(EpochOf(kThird, 100), 1u);
  EXPECT_EQ(EpochOf(kThird, 101), 3u);
  EXPECT_EQ(EpochOf(kThird, 119), 3u);
  EXPECT_EQ(EpochOf(kThird, 120), 5u);
  EXPECT_EQ(EpochOf({}, 1), 0u);
}

TEST(EpochHistoryTest, WhatAStoreHoldsIsPartOfAHistoryOrNot) {
  EXPECT_EQ(CommonEpochs(kThird, kSecond), 2u);
  EXPECT_EQ(CommonEpochs(kOther, kSecond), 1u);
  EXPECT_EQ(CommonEpochs({}, kSecond), 0u);
  EXPECT_EQ(WhyDiverged(kFirst, 100, kThird), "");
  EXPECT_EQ(WhyDiverged(kThird, 130, kThird), "");
  // Commit 101 of epoch 1 is another than that of epoch 2.
  EXPECT_NE(WhyDiverged(kFirst, 101, kSecond), "");
  EXPECT_NE(WhyDiverged(kOther, 60, kThird), "");
  // An epoch that is unknown there, with commits and without.
  const EpochHistory own = {{1, 1, 10}, {2, 101, 20}, {3, 101, 25}, {4, 110, 50}};
  EXPECT_EQ(WhyDiverged(own, 109, kThird), "");
  EXPECT_NE(WhyDiverged(own, 110, kThird), "");
  // Without commits, but the other began before.
  const EpochHistory early = {{1, 1, 10}, {2, 101, 20}, {3, 101, 25}, {5, 105, 60}};
  EXPECT_NE(WhyDiverged(own, 109, early), "");
  // Without commits, but the other has no later one: whoever it is has been replaced.
  EXPECT_NE(WhyDiverged(own, 109, kSecond), "");
  const EpochHistory same = {{1, 1, 10}, {2, 101, 20}, {3, 101, 25}, {4, 110, 70}};
  EXPECT_NE(WhyDiverged(own, 109, same), "");
  // Nothing in common at all.
  EXPECT_NE(WhyDiverged({{1, 1, 11}}, 0, kThird), "");
  EXPECT_NE(WhyDiverged(kFirst, 0, {}), "");
}

TEST(EpochHistoryTest, TheNewerOneWasBegunLast) {
  EXPECT_TRUE(IsNewer(kSecond, kFirst));
  EXPECT_FALSE(IsNewer(kFirst, kSecond));
  EXPECT_TRUE(IsNewer(kOther, kSecond));
  EXPECT_FALSE(IsNewer(kSecond, kSecond));
  EXPECT_TRUE(IsNewer(kFirst, {}));
  EXPECT_FALSE(IsNewer({}, {}));
}

TEST(EpochHistoryTest, IsReadAsItWasWritten) {
  for (const EpochHistory& history : {kFirst, kSecond, kThird}) {
    const std::string text = EncodeHistory(history) + "rest";
    std::string_view in = text;
    EpochHistory read;
    ASSERT_TRUE(DecodeHistory(&in, &read));
    EXPECT_EQ(read, history);
    EXPECT_EQ(in, "rest");
    for (size_t n = 0; n < text.size() - 4; ++n) {
      in = std::string_view(text).substr(0, n);
      EXPECT_FALSE(DecodeHistory(&in, &read)) << n;
    }
  }
  std::string_view none("\0\0\0\0", 4);
  EpochHistory read;
  EXPECT_FALSE(DecodeHistory(&none, &read));
  const std::string falling = EncodeHistory({{2, 1, 1}, {1, 5, 1}});
  std::string_view in = falling;
  EXPECT_FALSE(DecodeHistory(&in, &read));
}

}  // namespace
}  // namespace cookix::storage
