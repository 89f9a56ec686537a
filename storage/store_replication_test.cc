// Stores that repeat the commits of another one.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

// Everything that a snapshot shows, but for what each store keeps for itself: epochs, which a
// snapshot need not show yet, and how it was opened.
std::map<std::string, std::string> Content(const Snapshot& snapshot) {
  std::map<std::string, std::string> content;
  for (int i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    auto iterator = snapshot.Scan(family, {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      if (family == Family::kSystem &&
          std::string_view("eco").find(iterator->key().front()) != std::string_view::npos) {
        continue;
      }
      content[std::string(FamilyName(family)) + "/" + std::string(iterator->key())] =
          iterator->value();
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status();
  }
  return content;
}

// A store whose files outlive it.
class Node {
 public:
  explicit Node(std::shared_ptr<Fs> fs, std::string path = "/data/store")
      : fs_(std::move(fs)), path_(std::move(path)) {}

  absl::Status Open(bool follower) {
    store_.reset();
    Options options;
    options.path = path_;
    options.file_system = fs_;
    options.follower = follower;
    options.memory_budget_bytes = 16 << 20;
    options.low_disk_bytes = 0;
    options.clock_ms = [this] { return now_ms_ += 3; };
    COOKIX_ASSIGN_OR_RETURN(store_, Store::Open(std::move(options)));
    return absl::OkStatus();
  }
  void Close() { store_.reset(); }

  // A copy of the store as a follower of its own, files and all.
  std::unique_ptr<Node> Seed(int number) {
    const std::string path = "/data/copy" + std::to_string(number);
    EXPECT_TRUE(store_->Checkpoint(path).ok());
    auto node = std::make_unique<Node>(fs_->Clone("/data"), path);
    EXPECT_TRUE(node->Open(true).ok());
    return node;
  }

  absl::StatusOr<CommitResult> Put(const std::string& key, const std::string& value,
                                   const CommitOptions& options = {}) {
    return store_->Commit(options, [&](CommitBatch& batch) {
      batch.Put(Family::kObjects, key, value);
      batch.SetChange("put " + key);
      batch.SetResponse("did " + value);
      return absl::OkStatus();
    });
  }

  // A commit of anything.
  void Change(std::mt19937_64& random) {
    CommitOptions options;
    if (random() % 4 == 0) options.request_id = "request" + std::to_string(random());
    const auto result = store_->Commit(options, [&](CommitBatch& batch) {
      const auto key = [&] { return "name" + std::to_string(random() % 40); };
      for (uint64_t i = random() % 4 + 1; i > 0; --i) {
        const auto family = static_cast<Family>(1 + random() % (kFamilyCount - 1));
        switch (random() % 8) {
          case 0:
            batch.Delete(family, key());
            break;
          case 1:
            batch.DeleteRange(Family::kKeyValue, key(), key());
            break;
          default:
            batch.Put(family, key(), std::string(random() % 300, 'v') + std::to_string(random()));
        }
      }
      batch.SetChange("change" + std::to_string(random()));
      return absl::OkStatus();
    });
    ASSERT_TRUE(result.ok()) << result.status();
  }

  uint64_t last() const { return store_->Latest()->commit(); }

  void Wait(int64_t ms) { now_ms_ += ms; }

  // The records after what `follower` has, at most `most`.
  std::vector<LogCommitPtr> After(const Node& follower, size_t most) {
    auto reader = store_->ReadLog(follower->Latest()->position());
    if (!reader.ok()) {
      ADD_FAILURE() << reader.status();
      return {};
    }
    auto commits = (*reader)->Next(most, absl::ZeroDuration());
    EXPECT_TRUE(commits.ok()) << commits.status();
    return commits.ok() ? *commits : std::vector<LogCommitPtr>();
  }

  absl::Status Take(const std::vector<EpochStart>& history,
                    const std::vector<LogCommitPtr>& commits) {
    std::vector<std::string_view> records;
    for (const LogCommitPtr& commit : commits) records.push_back(commit->batch);
    return store_->Replicate(history, records);
  }

  // Follows until nothing is left, some commits at a time.
  absl::Status CatchUp(Node& primary, size_t step = 3) {
    do {
      COOKIX_RETURN_IF_ERROR(Take(primary->Epochs(), primary.After(*this, step)));
    } while (last() < primary.last());
    return absl::OkStatus();
  }

  Store* operator->() const { return store_.get(); }
  Fs& fs() { return *fs_; }

 private:
  const std::shared_ptr<Fs> fs_;
  const std::string path_;
  int64_t now_ms_ = 1'000'000;
  std::unique_ptr<Store> store_;
};

class StoreReplicationTest : public testing::Test {
 protected:
  StoreReplicationTest() : primary_(Fs::InMemory()) {}
  void SetUp() override { ASSERT_TRUE(primary_.Open(false).ok()); }

  void ExpectSame(Node& follower, Node& primary) {
    EXPECT_EQ(follower.last(), primary.last());
    EXPECT_EQ(follower->Epochs(), primary->Epochs());
    // Too much to print.
    EXPECT_TRUE(Content(*follower->Latest()) == Content(*primary->Latest()));
  }

  Node primary_;
};

TEST_F(StoreReplicationTest, RepeatsEveryCommitAsItWas) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 30; ++i) primary_.Change(random);
  auto follower = primary_.Seed(1);
  EXPECT_TRUE((*follower)->follower());
  EXPECT_EQ((*follower)->epoch(), 1u);
  for (int round = 0; round < 30; ++round) {
    for (uint64_t i = random() % 9; i > 0; --i) primary_.Change(random);
    if (round % 7 == 3) {
      ASSERT_TRUE(follower->Open(true).ok());
    }
    ASSERT_TRUE(follower->CatchUp(primary_, 1 + random() % 5).ok());
    ExpectSame(*follower, primary_);
  }
  // Its log says the same as the primary's, from memory and, opened again, from files.
  for (int i = 0; i < 2; ++i) {
    const Position begin{primary_->id(), 1, 30};
    auto there = primary_->ReadLog(begin);
    auto here = (*follower)->ReadLog(begin);
    ASSERT_TRUE(there.ok() && here.ok());
    const auto theirs = (*there)->Next(1000, absl::ZeroDuration());
    const auto ours = (*here)->Next(1000, absl::ZeroDuration());
    ASSERT_TRUE(theirs.ok() && ours.ok()) << ours.status();
    ASSERT_EQ(ours->size(), theirs->size());
    for (size_t k = 0; k < ours->size(); ++k) {
      EXPECT_EQ((*ours)[k]->commit, (*theirs)[k]->commit);
      EXPECT_EQ((*ours)[k]->time_ms, (*theirs)[k]->time_ms);
      EXPECT_EQ((*ours)[k]->request_id, (*theirs)[k]->request_id);
      EXPECT_EQ((*ours)[k]->change, (*theirs)[k]->change);
    }
    here->reset();
    ASSERT_TRUE(follower->Open(true).ok());
  }
  EXPECT_TRUE((*follower)->VerifyLog()->damage.empty());
}

TEST_F(StoreReplicationTest, OnlyFollowersRepeatAndTheyTakeNoWrites) {
  ASSERT_TRUE(primary_.Put("name1", "a").ok());
  auto follower = primary_.Seed(1);
  EXPECT_EQ(Reason(follower->Put("name2", "b").status()), "NOT_PRIMARY");
  EXPECT_EQ(Reason(primary_->Replicate(primary_->Epochs(), {})), "NOT_FOLLOWER");
  // What nobody copied cannot follow.
  Node empty(Fs::InMemory());
  EXPECT_EQ(Reason(empty.Open(true)), "NOT_FOLLOWER");
}

TEST_F(StoreReplicationTest, TakesNothingButTheNextCommit) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 5; ++i) primary_.Change(random);
  auto follower = primary_.Seed(1);
  for (int i = 0; i < 5; ++i) primary_.Change(random);
  const auto commits = primary_.After(*follower, 10);
  ASSERT_EQ(commits.size(), 5u);
  const auto refused = [&](const std::vector<LogCommitPtr>& some, std::string_view reason,
                           uint64_t last) {
    EXPECT_EQ(Reason(follower->Take(primary_->Epochs(), some)), reason);
    EXPECT_EQ(follower->last(), last);
  };
  refused({commits[1]}, "HISTORY_DIVERGED", 5);
  // What comes before the gap stays.
  refused({commits[0], commits[2]}, "HISTORY_DIVERGED", 6);
  refused({commits[0]}, "HISTORY_DIVERGED", 6);
  // Of another store.
  Node other(Fs::InMemory());
  ASSERT_TRUE(other.Open(false).ok());
  for (int i = 0; i < 7; ++i) other.Change(random);
  auto reader = other->ReadLog({other->id(), 1, 6});
  ASSERT_TRUE(reader.ok());
  refused(*(*reader)->Next(1, absl::ZeroDuration()), "HISTORY_DIVERGED", 6);
  ASSERT_TRUE(follower->CatchUp(primary_).ok());
  ExpectSame(*follower, primary_);
}

TEST_F(StoreReplicationTest, NoBitOfARecordMayBeAnother) {
  auto follower = primary_.Seed(1);
  ASSERT_TRUE(primary_.Put("name1", "value", {.request_id = "r"}).ok());
  const auto commits = primary_.After(*follower, 1);
  ASSERT_EQ(commits.size(), 1u);
  // The first 8 bytes are where the record stands in the primary's log.
  for (size_t bit = 64; bit < 8 * commits[0]->batch.size(); ++bit) {
    LogCommit damaged = *commits[0];
    damaged.batch[bit / 8] = static_cast<char>(damaged.batch[bit / 8] ^ (1 << bit % 8));
    const absl::Status status =
        follower->Take(primary_->Epochs(), {std::make_shared<LogCommit>(damaged)});
    ASSERT_FALSE(status.ok()) << bit;
    ASSERT_EQ(follower->last(), 0u) << bit;
  }
  for (size_t size = 0; size < commits[0]->batch.size(); ++size) {
    LogCommit cut = *commits[0];
    cut.batch.resize(size);
    ASSERT_FALSE(follower->Take(primary_->Epochs(), {std::make_shared<LogCommit>(cut)}).ok());
  }
  ASSERT_TRUE(follower->CatchUp(primary_).ok());
  ExpectSame(*follower, primary_);
}

TEST_F(StoreReplicationTest, EpochsAreTakenOverWhereTheyBegin) {
  auto follower = primary_.Seed(1);
  ASSERT_TRUE(primary_.Put("name1", "a").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(primary_->BeginEpoch(1)));
  ASSERT_TRUE(primary_->BeginEpoch(4).ok());
  // Behind: not before its first commit is next.
  ASSERT_TRUE(follower->Take(primary_->Epochs(), {}).ok());
  EXPECT_EQ((*follower)->epoch(), 1u);
  ASSERT_TRUE(primary_->BeginEpoch(6).ok());
  ASSERT_TRUE(primary_.Put("name2", "b").ok());
  ASSERT_TRUE(follower->CatchUp(primary_, 1).ok());
  ExpectSame(*follower, primary_);
  EXPECT_EQ((*follower)->epoch(), 6u);
  // Without a commit, too.
  ASSERT_TRUE(primary_->BeginEpoch(7).ok());
  ASSERT_TRUE(follower->Take(primary_->Epochs(), {}).ok());
  EXPECT_EQ((*follower)->epoch(), 7u);
  ASSERT_TRUE(follower->Open(true).ok());
  EXPECT_EQ((*follower)->Epochs(), primary_->Epochs());
  EXPECT_TRUE((*follower)->CheckPosition({primary_->id(), 7, 9}).ok());
  EXPECT_FALSE((*follower)->CheckPosition({primary_->id(), 5, 2}).ok());
  // Nobody begins an epoch in the past.
  std::vector<EpochStart> wrong = primary_->Epochs();
  wrong.push_back({9, 1, 0});
  EXPECT_EQ(Reason(follower->Take(wrong, {})), "HISTORY_DIVERGED");
  wrong.back() = {3, 9, 0};
  EXPECT_EQ(Reason(follower->Take(wrong, {})), "HISTORY_DIVERGED");
}

TEST_F(StoreReplicationTest, APromotedFollowerGoesOnAndTheOldPrimaryFollowsIt) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10; ++i) primary_.Change(random);
  auto follower = primary_.Seed(1);
  auto third = primary_.Seed(2);
  const CommitOptions once{.request_id = "once", .request_fingerprint = 7};
  ASSERT_TRUE(primary_.Put("name1", "first", once).ok());
  ASSERT_TRUE(follower->CatchUp(primary_).ok());

  ASSERT_TRUE((*follower)->BeginEpoch(2).ok());
  EXPECT_FALSE((*follower)->follower());
  // The request was applied, and is not applied again by whom it was repeated to.
  const auto again = follower->Put("name1", "second", once);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->replayed);
  EXPECT_EQ(again->response, "did first");
  EXPECT_EQ(again->position.commit, 11u);
  for (int i = 0; i < 10; ++i) follower->Change(random);

  ASSERT_TRUE(primary_->BecomeFollower().ok());
  EXPECT_EQ(Reason(primary_.Put("name1", "late").status()), "NOT_PRIMARY");
  ASSERT_TRUE(primary_.CatchUp(*follower).ok());
  ExpectSame(primary_, *follower);
  ASSERT_TRUE(third->CatchUp(*follower).ok());
  ExpectSame(*third, *follower);
  // Roles outlive a restart.
  ASSERT_TRUE(follower->Open(false).ok());
  EXPECT_EQ((*follower)->epoch(), 2u);
  ASSERT_TRUE(primary_.Open(true).ok());
  follower->Change(random);
  ASSERT_TRUE(primary_.CatchUp(*follower).ok());
  ExpectSame(primary_, *follower);
}

TEST_F(StoreReplicationTest, CommitsThatTheNewHistoryLacksAreNeverMixedIn) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 5; ++i) primary_.Change(random);
  auto follower = primary_.Seed(1);
  // Nobody but the primary has this one.
  primary_.Change(random);
  ASSERT_TRUE((*follower)->BeginEpoch(2).ok());
  for (int i = 0; i < 5; ++i) follower->Change(random);
  ASSERT_TRUE(primary_->BecomeFollower().ok());
  EXPECT_EQ(Reason(primary_.Take((*follower)->Epochs(), {})), "HISTORY_DIVERGED");
  auto reader = (*follower)->ReadLog({primary_->id(), 2, 6});
  ASSERT_TRUE(reader.ok());
  const auto commits = (*reader)->Next(10, absl::ZeroDuration());
  ASSERT_TRUE(commits.ok());
  EXPECT_EQ(Reason(primary_.Take((*follower)->Epochs(), *commits)), "HISTORY_DIVERGED");
  EXPECT_EQ(Reason(primary_.Take(primary_->Epochs(), *commits)), "HISTORY_DIVERGED");
  EXPECT_EQ(primary_.last(), 6u);
  // Two that began the same epoch, each for itself.
  ASSERT_TRUE(primary_->BeginEpoch(2).ok());
  ASSERT_TRUE((*follower)->BecomeFollower().ok());
  EXPECT_EQ(Reason(follower->Take(primary_->Epochs(), {})), "HISTORY_DIVERGED");
}

TEST_F(StoreReplicationTest, AnEpochWithoutCommitsGivesWayToALaterHistory) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 5; ++i) primary_.Change(random);
  auto promoted = primary_.Seed(1);
  ASSERT_TRUE((*promoted)->BeginEpoch(1000).ok());
  auto second = promoted->Seed(2);
  EXPECT_EQ((*second)->epoch(), 1000u);
  // Positions that it hands out are known to those who know nothing of its epoch.
  ASSERT_TRUE(promoted->Open(false).ok());
  EXPECT_TRUE(primary_->CheckPosition((*promoted)->Latest()->position()).ok());
  ASSERT_TRUE((*promoted)->BecomeFollower().ok());
  // What went on meanwhile is no later history yet.
  primary_.Change(random);
  EXPECT_EQ(Reason(promoted->Take(primary_->Epochs(), primary_.After(*promoted, 1))),
            "HISTORY_DIVERGED");
  ASSERT_TRUE(primary_->BeginEpoch(2000).ok());
  primary_.Change(random);
  for (Node* node : {promoted.get(), second.get()}) {
    ASSERT_TRUE(node->CatchUp(primary_, 1).ok());
    ExpectSame(*node, primary_);
    ASSERT_TRUE(node->Open(true).ok());
    ExpectSame(*node, primary_);
    EXPECT_TRUE((*node)->VerifyLog()->damage.empty());
  }
  // With a commit in it, it does not.
  ASSERT_TRUE((*second)->BeginEpoch(2001).ok());
  second->Change(random);
  ASSERT_TRUE((*second)->BecomeFollower().ok());
  ASSERT_TRUE(primary_->BeginEpoch(3000).ok());
  EXPECT_EQ(Reason(second->Take(primary_->Epochs(), {})), "HISTORY_DIVERGED");
}

TEST_F(StoreReplicationTest, AnEpochThatTheDiskDidNotTakeIsForgotten) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 5; ++i) primary_.Change(random);
  int number = 0;
  for (const uint32_t operation : {Fs::kAppend, Fs::kSync}) {
    for (const bool another_led : {false, true}) {
      auto follower = primary_.Seed(++number);
      const uint64_t epoch = primary_->epoch();
      follower->fs().FailAt(operation, 0, Fs::Fault::kNoSpace, /*sticky=*/true, ".log");
      EXPECT_EQ(Reason((*follower)->BeginEpoch(epoch + 1)), "DISK_LOW");
      EXPECT_TRUE((*follower)->follower());
      EXPECT_EQ((*follower)->epoch(), epoch);
      if (another_led) {
        ASSERT_TRUE(primary_->BeginEpoch(epoch + 2).ok());
      }
      primary_.Change(random);
      follower->fs().Heal();
      follower->Wait(2000);
      ASSERT_TRUE(follower->CatchUp(primary_, 1).ok());
      ExpectSame(*follower, primary_);
      const absl::Status opened = follower->Open(true);
      ASSERT_TRUE(opened.ok()) << opened;
      ExpectSame(*follower, primary_);
      EXPECT_TRUE((*follower)->VerifyLog()->damage.empty());
    }
  }
}

TEST_F(StoreReplicationTest, AnEpochBeginsOnceTheDiskHasRoomAgain) {
  ASSERT_TRUE(primary_.Put("name1", "a").ok());
  for (const uint32_t operation : {Fs::kAppend, Fs::kSync}) {
    auto follower = primary_.Seed(static_cast<int>(operation));
    follower->fs().FailAt(operation, 0, Fs::Fault::kNoSpace, /*sticky=*/true, ".log");
    EXPECT_EQ(Reason((*follower)->BeginEpoch(1000)), "DISK_LOW");
    follower->Wait(2000);
    EXPECT_EQ(Reason((*follower)->BeginEpoch(1001)), "DISK_LOW");
    follower->fs().Heal();
    follower->Wait(2000);
    // There is nobody to follow, and nobody writes.
    const absl::Status begun = (*follower)->BeginEpoch(1002);
    ASSERT_TRUE(begun.ok()) << begun;
    ASSERT_TRUE(follower->Put("name1", "b").ok());
    const std::vector<EpochStart> epochs = (*follower)->Epochs();
    const absl::Status opened = follower->Open(false);
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ((*follower)->Epochs(), epochs);
  }
}

TEST_F(StoreReplicationTest, AFollowerThatIsOpenedAsAnythingElseBeginsAnEpoch) {
  ASSERT_TRUE(primary_.Put("name1", "a").ok());
  auto follower = primary_.Seed(1);
  ASSERT_TRUE(follower->Open(false).ok());
  EXPECT_EQ((*follower)->epoch(), 2u);
  ASSERT_TRUE(follower->Put("name2", "own").ok());
  // It cannot go back behind that.
  ASSERT_TRUE(follower->Open(true).ok());
  ASSERT_TRUE(primary_.Put("name2", "other").ok());
  EXPECT_EQ(Reason(follower->Take(primary_->Epochs(), {})), "HISTORY_DIVERGED");
}

TEST_F(StoreReplicationTest, WhatWasRepeatedSurvivesPowerFailures) {
  std::mt19937_64 random(5);
  primary_.Change(random);
  auto follower = primary_.Seed(1);
  for (uint64_t round = 1; round <= 25; ++round) {
    for (uint64_t i = random() % 5 + 1; i > 0; --i) primary_.Change(random);
    if (random() % 5 == 0) {
      ASSERT_TRUE(primary_->BeginEpoch(primary_->epoch() + 1).ok());
    }
    if (random() % 5 == 0) {
      // It led for a while and took no writes.
      ASSERT_TRUE((*follower)->BeginEpoch(primary_->epoch() + 1).ok());
      ASSERT_TRUE((*follower)->BecomeFollower().ok());
      ASSERT_TRUE(primary_->BeginEpoch(primary_->epoch() + 2).ok());
    }
    // Some way, and then the power goes, perhaps while it writes.
    for (uint64_t i = random() % 3; i > 0; --i) {
      ASSERT_TRUE(follower->Take(primary_->Epochs(), primary_.After(*follower, 2)).ok());
    }
    const uint64_t repeated = follower->last();
    follower->fs().FailAt(Fs::kAnyWrite, static_cast<int64_t>(random() % 4), Fs::Fault::kIoError,
                          /*sticky=*/true);
    // May fail or not.
    follower->Take(primary_->Epochs(), primary_.After(*follower, 2)).IgnoreError();
    follower->fs().Stop();
    follower->Close();
    follower->fs().Heal();
    follower->fs().PowerFailure(round);
    const absl::Status opened = follower->Open(true);
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_GE(follower->last(), repeated);
    const absl::Status status = follower->CatchUp(primary_);
    ASSERT_TRUE(status.ok()) << status;
    ExpectSame(*follower, primary_);
  }
}

}  // namespace
}  // namespace cookix::storage
