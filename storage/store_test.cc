// The behaviour of a store, on disk and in memory.
#include "storage/store.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::storage {
namespace {

std::string FreshPath(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(path);
  return path;
}

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

class StoreTest : public testing::TestWithParam<bool> {
 protected:
  bool in_memory() const { return GetParam(); }

  void SetUp() override {
    options_.in_memory = in_memory();
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : name) {
      if (c == '/') c = '_';
    }
    options_.path = in_memory() ? "/memory/" + name : FreshPath("store_" + name);
    options_.memory_budget_bytes = 16 << 20;
    options_.clock_ms = [this] { return now_ms_.load(); };
    options_.log = [](std::string_view level, std::string_view message) {
      if (level == "error") ADD_FAILURE() << message;
    };
    Open();
  }

  void Open() {
    auto opened = Store::Open(options_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
  }

  void Reopen() {
    store_.reset();
    Open();
  }

  absl::StatusOr<CommitResult> Put(const std::string& key, const std::string& value,
                                   CommitOptions options = {}) {
    return store_->Commit(options, [&](CommitBatch& batch) {
      batch.Put(Family::kObjects, key, value);
      batch.SetChange("put " + key);
      batch.SetResponse("did " + key);
      return absl::OkStatus();
    });
  }

  std::optional<std::string> Get(const std::string& key, Family family = Family::kObjects) {
    std::string value;
    const auto found = store_->Latest()->Get(family, key, &value);
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok() || !*found) return std::nullopt;
    return value;
  }

  // Reads everything after `after`, `step` commits at a time.
  std::vector<LogCommitPtr> ReadAll(const Position& after, size_t step = 7) {
    std::vector<LogCommitPtr> all;
    auto reader = store_->ReadLog(after);
    EXPECT_TRUE(reader.ok()) << reader.status();
    if (!reader.ok()) return all;
    while (true) {
      const auto some = (*reader)->Next(step, absl::ZeroDuration());
      EXPECT_TRUE(some.ok()) << some.status();
      if (!some.ok() || some->empty()) return all;
      EXPECT_LE(some->size(), step);
      all.insert(all.end(), some->begin(), some->end());
    }
  }

  absl::Status SaveViewFile(const std::string& view, const std::string& content) {
    COOKIX_ASSIGN_OR_RETURN(auto writer, store_->CreateViewFile(view, 1));
    COOKIX_RETURN_IF_ERROR(writer->Append(content));
    return writer->Finish();
  }
  // The first `size` bytes.
  absl::StatusOr<std::string> LoadViewFile(const std::string& view, size_t size) {
    COOKIX_ASSIGN_OR_RETURN(auto reader, store_->OpenViewFile(view, 1));
    std::string content(size, '\0');
    COOKIX_RETURN_IF_ERROR(reader->Read(content.data(), size));
    return content;
  }

  Position At(uint64_t commit) { return {store_->id(), store_->epoch(), commit}; }

  Options options_;
  std::atomic<int64_t> now_ms_{1'000'000};
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Modes, StoreTest, testing::Bool(), [](const auto& mode) {
  return mode.param ? std::string("InMemory") : std::string("OnDisk");
});

TEST_P(StoreTest, ANewStoreIsEmpty) {
  EXPECT_EQ(store_->epoch(), 1u);
  EXPECT_EQ(store_->Latest()->commit(), 0u);
  EXPECT_NE(store_->id(), StoreId{});
  EXPECT_TRUE(ReadAll(At(0)).empty());
}

TEST_P(StoreTest, CommitsAreNumberedVisibleAndInTheLog) {
  for (uint64_t i = 1; i <= 20; ++i) {
    const auto result = Put("k" + std::to_string(i), "v" + std::to_string(i));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->committed);
    EXPECT_FALSE(result->replayed);
    EXPECT_EQ(result->position, At(i));
    EXPECT_EQ(result->response, "did k" + std::to_string(i));
    EXPECT_EQ(store_->Latest()->commit(), i);
    EXPECT_EQ(Get("k" + std::to_string(i)), "v" + std::to_string(i));
  }
  for (uint64_t from = 0; from <= 20; ++from) {
    const auto commits = ReadAll(At(from), 3);
    ASSERT_EQ(commits.size(), 20 - from);
    for (size_t i = 0; i < commits.size(); ++i) {
      EXPECT_EQ(commits[i]->commit, from + i + 1);
      EXPECT_EQ(commits[i]->epoch, 1u);
      EXPECT_EQ(commits[i]->store, store_->id());
      EXPECT_EQ(commits[i]->change, "put k" + std::to_string(from + i + 1));
    }
  }
}

TEST_P(StoreTest, ACommitIsAtomicOverFamilies) {
  const auto result = store_->Commit({}, [](CommitBatch& batch) {
    EXPECT_EQ(batch.commit(), 1u);
    batch.Put(Family::kObjects, "a", "1");
    batch.Put(Family::kEdges, "a", "2");
    batch.Put(Family::kSecurity, "", "empty key");
    batch.SetChange("three");
    EXPECT_GT(batch.ByteSize(), 10u);
    return absl::OkStatus();
  });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(Get("a", Family::kEdges), "2");
  EXPECT_EQ(Get("", Family::kSecurity), "empty key");
  EXPECT_EQ(Get("a", Family::kVectors), std::nullopt);
}

TEST_P(StoreTest, ABuilderSeesEarlierCommitsButNotItself) {
  ASSERT_TRUE(Put("a", "1").ok());
  const auto result = store_->Commit({}, [](CommitBatch& batch) {
    batch.Put(Family::kObjects, "a", "2");
    batch.Put(Family::kObjects, "b", "2");
    std::string value;
    EXPECT_EQ(batch.Get(Family::kObjects, "a", &value).value(), true);
    EXPECT_EQ(value, "1");
    EXPECT_EQ(batch.Get(Family::kObjects, "b", &value).value(), false);
    auto iterator = batch.Scan(Family::kObjects, {});
    int count = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) ++count;
    EXPECT_EQ(count, 1);
    EXPECT_TRUE(iterator->status().ok());
    batch.SetChange("x");
    return absl::OkStatus();
  });
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(Get("a"), "2");
}

TEST_P(StoreTest, DeletesAndRangesOfThem) {
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_TRUE(Put(key, key).ok());
  ASSERT_TRUE(store_
                  ->Commit({},
                           [](CommitBatch& batch) {
                             batch.Delete(Family::kObjects, "a");
                             batch.DeleteRange(Family::kObjects, "b", "d");
                             batch.SetChange("x");
                             return absl::OkStatus();
                           })
                  .ok());
  EXPECT_EQ(Get("a"), std::nullopt);
  EXPECT_EQ(Get("b"), std::nullopt);
  EXPECT_EQ(Get("c"), std::nullopt);
  EXPECT_EQ(Get("d"), "d");
}

// Its records and the range that deletes them lie in memory side by side.
TEST_P(StoreTest, ANamespaceIsDeletedThatWasJustWritten) {
  const auto key = [](char ns, int i) {
    return std::string(3, '\0') + ns + std::to_string(i * 7919 % 1000);
  };
  const auto put = [&](char ns) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(Put(key(ns, i), "before").ok());
    }
  };
  put(1);
  put(2);
  const auto erase = [&](const std::string& begin, const std::string& end) {
    return store_
        ->Commit({},
                 [&](CommitBatch& batch) {
                   batch.DeleteRange(Family::kObjects, begin, end);
                   batch.SetChange("delete");
                   return absl::OkStatus();
                 })
        .status();
  };
  const std::string begin = key(2, 0).substr(0, 4);
  const std::string end = key(3, 0).substr(0, 4);
  ASSERT_TRUE(erase(begin, end).ok());
  ASSERT_TRUE(Put(key(2, 5), "after").ok());
  ASSERT_TRUE(Put(key(1, 5), "after").ok());
  // The log is read again into memory.
  if (!in_memory()) Reopen();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(Get(key(1, i)), i == 5 ? "after" : "before");
    EXPECT_EQ(Get(key(2, i)), i == 5 ? std::optional<std::string>("after") : std::nullopt);
  }
  EXPECT_FALSE(erase(key(1, 1), end).ok());
}

TEST_P(StoreTest, ABuildersErrorIsReturnedUnchangedAndWritesNothing) {
  ASSERT_TRUE(Put("a", "1").ok());
  const absl::Status mine = NotFound("OBJECT_NOT_FOUND", "ref", "no such object", "Look again.");
  const auto result = store_->Commit({.request_id = "id"}, [&](CommitBatch& batch) {
    batch.Put(Family::kObjects, "a", "2");
    batch.SetChange("x");
    return mine;
  });
  EXPECT_EQ(result.status(), mine);
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(store_->Latest()->commit(), 1u);
  // The request id was not used up.
  const auto again = Put("a", "3", {.request_id = "id"});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->committed);
  EXPECT_EQ(again->position.commit, 2u);
}

TEST_P(StoreTest, ABuilderThatWritesNothingMakesNoCommit) {
  ASSERT_TRUE(Put("a", "1").ok());
  const auto result = store_->Commit({}, [](CommitBatch& batch) {
    batch.DeleteRange(Family::kObjects, "z", "a");  // empty
    batch.SetResponse("nothing");
    return absl::OkStatus();
  });
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->committed);
  EXPECT_EQ(result->position, At(1));
  EXPECT_EQ(result->response, "nothing");
  EXPECT_EQ(store_->Latest()->commit(), 1u);
}

// Counts what a listener is told, and checks it.
class RecordingListener : public CommitListener {
 public:
  void OnPublish(const std::vector<LogCommitPtr>& commits,
                 const std::shared_ptr<const Snapshot>& snapshot) override {
    for (const LogCommitPtr& commit : commits) {
      EXPECT_EQ(commit->commit, last_ + 1);
      last_ = commit->commit;
    }
    EXPECT_EQ(snapshot->commit(), last_);
    if (store != nullptr) {
      EXPECT_LT(store->Latest()->commit(), last_);
    }
    ++groups;
  }
  void OnAbort() override { ++aborts; }

  Store* store = nullptr;
  std::atomic<int> groups{0};
  std::atomic<int> aborts{0};
  uint64_t last() const { return last_; }

 private:
  uint64_t last_ = 0;
};

TEST_P(StoreTest, WhatTheStoreRefusesAfterTheBuilderIsAborted) {
  store_.reset();
  options_.max_commit_bytes = 1000;
  Open();
  RecordingListener listener;
  store_->SetListener(&listener);
  const auto large = Put("a", std::string(2000, 'x'));
  EXPECT_EQ(large.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Reason(large.status()), "LIMIT_EXCEEDED");
  EXPECT_EQ(listener.aborts, 1);
  const auto silent = store_->Commit({}, [](CommitBatch& batch) {
    batch.Put(Family::kObjects, "a", "1");
    return absl::OkStatus();
  });
  EXPECT_EQ(silent.status().code(), absl::StatusCode::kInternal);
  const auto foreign = store_->Commit({}, [](CommitBatch& batch) {
    batch.Put(Family::kSystem, "c", "1");
    batch.SetChange("x");
    return absl::OkStatus();
  });
  EXPECT_EQ(foreign.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(listener.aborts, 3);
  EXPECT_EQ(listener.groups, 0);
  EXPECT_EQ(store_->Latest()->commit(), 0u);
  EXPECT_EQ(Put("a", "small")->position.commit, 1u);
}

TEST_P(StoreTest, ConcurrentCommitsAreOrderedAndShareSyncs) {
  RecordingListener listener;
  listener.store = store_.get();
  store_->SetListener(&listener);
  constexpr int kThreads = 8;
  constexpr int kEach = 100;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        // Everybody adds one to the same counter: lost updates would show.
        const auto result = store_->Commit({}, [&](CommitBatch& batch) -> absl::Status {
          std::string value = "0";
          COOKIX_RETURN_IF_ERROR(batch.Get(Family::kCatalog, "counter", &value).status());
          batch.Put(Family::kCatalog, "counter", std::to_string(std::stoi(value) + 1));
          batch.Put(Family::kObjects, std::to_string(t) + "/" + std::to_string(i), value);
          batch.SetChange(std::to_string(batch.commit()));
          return absl::OkStatus();
        });
        ASSERT_TRUE(result.ok()) << result.status();
        // What is acknowledged is visible, and so is all before it.
        ASSERT_GE(store_->Latest()->commit(), result->position.commit);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get("counter", Family::kCatalog), std::to_string(kThreads * kEach));
  EXPECT_EQ(store_->Latest()->commit(), uint64_t{kThreads * kEach});
  EXPECT_EQ(listener.last(), uint64_t{kThreads * kEach});
  const StoreStats stats = store_->Stats();
  EXPECT_EQ(stats.commits, uint64_t{kThreads * kEach});
  EXPECT_EQ(stats.commit_groups, static_cast<uint64_t>(listener.groups));
  EXPECT_LE(stats.commit_groups, stats.commits);
  const auto commits = ReadAll(At(0), 50);
  ASSERT_EQ(commits.size(), size_t{kThreads * kEach});
  for (const LogCommitPtr& commit : commits) {
    EXPECT_EQ(commit->change, std::to_string(commit->commit));
  }
}

TEST_P(StoreTest, WhoWaitsTogetherSharesAGroup) {
  // The first commit's builder holds the lead until the others have begun. That
  // they are in the queue takes a moment longer, so it is tried until it is seen.
  uint64_t commits = 0;
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> leading{false};
    std::atomic<bool> release{false};
    std::thread leader([&] {
      ASSERT_TRUE(store_
                      ->Commit({},
                               [&](CommitBatch& batch) {
                                 leading = true;
                                 while (!release) std::this_thread::yield();
                                 batch.Put(Family::kObjects, "first", "");
                                 batch.SetChange("first");
                                 return absl::OkStatus();
                               })
                      .ok());
    });
    while (!leading) std::this_thread::yield();
    constexpr int kFollowers = 6;
    std::atomic<int> started{0};
    std::vector<std::thread> followers;
    for (int i = 0; i < kFollowers; ++i) {
      followers.emplace_back([&, i] {
        ++started;
        // One of them has an error of its own, which is nobody else's.
        const auto result = store_->Commit({}, [&](CommitBatch& batch) -> absl::Status {
          batch.Put(Family::kObjects, std::to_string(i), "");
          batch.SetChange("x");
          return i == 3 ? absl::AbortedError("mine") : absl::OkStatus();
        });
        EXPECT_EQ(result.ok(), i != 3);
      });
    }
    while (started < kFollowers) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    release = true;
    leader.join();
    for (std::thread& follower : followers) follower.join();
    commits += kFollowers;
    EXPECT_EQ(store_->Latest()->commit(), commits);
    const StoreStats stats = store_->Stats();
    EXPECT_EQ(stats.commits, commits);
    if (stats.commit_groups < commits) return;
  }
  FAIL() << "no two commits ever shared a group";
}

TEST_P(StoreTest, SnapshotsDoNotChange) {
  ASSERT_TRUE(Put("a", "1").ok());
  const auto before = store_->Latest();
  ASSERT_TRUE(Put("a", "2").ok());
  ASSERT_TRUE(Put("b", "2").ok());
  ASSERT_TRUE(store_->Flush().ok());
  ASSERT_TRUE(store_->Compact(std::nullopt).ok());
  std::string value;
  EXPECT_TRUE(before->Get(Family::kObjects, "a", &value).value());
  EXPECT_EQ(value, "1");
  EXPECT_FALSE(before->Get(Family::kObjects, "b", &value).value());
  EXPECT_EQ(before->commit(), 1u);
  EXPECT_EQ(before->position(), At(1));
  EXPECT_EQ(Get("a"), "2");
}

TEST_P(StoreTest, RequestIdsApplyOnce) {
  CommitOptions options{.request_id = "req", .request_fingerprint = 7};
  const auto first = Put("a", "1", options);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(Put("a", "2").ok());
  for (int round = 0; round < 2; ++round) {
    const auto replay = Put("a", "never", options);
    ASSERT_TRUE(replay.ok());
    EXPECT_TRUE(replay->replayed);
    EXPECT_FALSE(replay->committed);
    EXPECT_EQ(replay->response, "did a");
    EXPECT_EQ(replay->position, first->position);
    EXPECT_EQ(Get("a"), "2");
    options.request_fingerprint = 8;
    const auto reused = Put("a", "never", options);
    EXPECT_EQ(reused.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_EQ(Reason(reused.status()), "REQUEST_ID_REUSED");
    options.request_fingerprint = 7;
    if (!in_memory()) Reopen();
  }
  EXPECT_EQ(ReadAll(At(0)).front()->request_id, "req");
}

TEST_P(StoreTest, RequestIdsWithinOneGroup) {
  // Many threads race with the same id; exactly one applies.
  std::atomic<int> applied{0};
  std::atomic<int> replayed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      const auto result = Put("a", "1", {.request_id = "same"});
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->position.commit, 1u);
      applied += result->committed ? 1 : 0;
      replayed += result->replayed ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(applied, 1);
  EXPECT_EQ(replayed, 15);
  EXPECT_EQ(store_->Latest()->commit(), 1u);
}

TEST_P(StoreTest, OldRequestIdsAreForgotten) {
  for (int i = 0; i < 10; ++i) {
    now_ms_ = 1'000'000 + i;
    ASSERT_TRUE(Put("a", "1", {.request_id = "id" + std::to_string(i)}).ok());
  }
  now_ms_ = 1'000'000 + options_.request_id_keep_ms + 5;
  EXPECT_EQ(store_->ForgetRequestIds(3).value(), 3);
  EXPECT_EQ(store_->ForgetRequestIds(100).value(), 2);
  EXPECT_EQ(store_->ForgetRequestIds(100).value(), 0);
  EXPECT_TRUE(Put("a", "1", {.request_id = "id5"})->replayed);
  const auto again = Put("a", "1", {.request_id = "id4"});
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->committed);
  // Forgetting is no commit, and readers do not stumble over it.
  EXPECT_EQ(again->position.commit, 11u);
  EXPECT_EQ(ReadAll(At(0)).size(), 11u);
}

TEST_P(StoreTest, TimeNeverGoesBack) {
  const auto commit_time = [&] {
    int64_t time = 0;
    EXPECT_TRUE(store_
                    ->Commit({},
                             [&](CommitBatch& batch) {
                               time = batch.time_ms();
                               batch.Put(Family::kObjects, "a", "1");
                               batch.SetChange("x");
                               return absl::OkStatus();
                             })
                    .ok());
    return time;
  };
  EXPECT_EQ(commit_time(), 1'000'000);
  now_ms_ = 500'000;
  EXPECT_EQ(commit_time(), 1'000'000);
  if (!in_memory()) {
    Reopen();
    EXPECT_EQ(commit_time(), 1'000'000);
  }
  now_ms_ = 2'000'000;
  EXPECT_EQ(commit_time(), 2'000'000);
}

TEST_P(StoreTest, IteratorsAgreeWithAModel) {
  std::map<std::string, std::string> model;
  for (int i = 0; i < 300; ++i) {
    std::string key(1 + i % 5, static_cast<char>(i * 31 % 256));
    key.push_back(static_cast<char>(i * 7 % 256));
    model[key] = std::to_string(i);
    ASSERT_TRUE(Put(key, std::to_string(i)).ok());
    if (i == 150) {
      ASSERT_TRUE(store_->Flush().ok());
    }
  }
  const auto snapshot = store_->Latest();
  std::vector<ScanBounds> all_bounds = {
      {}, {"\x40", ""}, {"", "\x90"}, {"\x40", "\x90", true}, {"\x90", "\x40"}};
  for (const char* prefix : {"\x1f", "\xff", "\xff\xff", ""}) {
    all_bounds.push_back(PrefixBounds(prefix));
  }
  for (const ScanBounds& bounds : all_bounds) {
    std::vector<std::pair<std::string, std::string>> expected;
    for (const auto& [key, value] : model) {
      if (key >= bounds.lower && (bounds.upper.empty() || key < bounds.upper)) {
        expected.emplace_back(key, value);
      }
    }
    auto iterator = snapshot->Scan(Family::kObjects, bounds);
    std::vector<std::pair<std::string, std::string>> found;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      found.emplace_back(iterator->key(), iterator->value());
    }
    ASSERT_TRUE(iterator->status().ok());
    EXPECT_EQ(found, expected);
    found.clear();
    for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
      found.emplace(found.begin(), iterator->key(), iterator->value());
    }
    EXPECT_EQ(found, expected);
    for (const char* probe : {"", "\x20", "\x41", "\x8f", "\xfe"}) {
      iterator->Seek(probe);
      auto after = std::find_if(expected.begin(), expected.end(),
                                [&](const auto& entry) { return entry.first >= probe; });
      ASSERT_EQ(iterator->Valid(), after != expected.end());
      if (iterator->Valid()) {
        EXPECT_EQ(iterator->key(), after->first);
      }
      iterator->SeekForPrev(probe);
      auto before = std::find_if(expected.rbegin(), expected.rend(),
                                 [&](const auto& entry) { return entry.first <= probe; });
      ASSERT_EQ(iterator->Valid(), before != expected.rend());
      if (iterator->Valid()) {
        EXPECT_EQ(iterator->key(), before->first);
      }
    }
  }
}

TEST_P(StoreTest, MultiGetIsAlignedWithItsKeys) {
  for (int i = 0; i < 100; i += 2) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
  std::vector<std::string> keys;
  for (int i = 99; i >= 0; --i) keys.push_back(std::to_string(i));
  keys.push_back("4");  // twice
  const auto values = store_->Latest()->MultiGet(Family::kObjects, keys);
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values->size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ((*values)[i].has_value(), std::stoi(keys[i]) % 2 == 0) << keys[i];
  }
  EXPECT_TRUE(store_->Latest()->MultiGet(Family::kObjects, {})->empty());
}

TEST_P(StoreTest, ApproximateBytesGrowWithTheRange) {
  for (int i = 0; i < 100; ++i) {
    std::string value;
    for (int k = 0; k < 1000; ++k) value.push_back(static_cast<char>(i * k * 2654435761u >> 13));
    ASSERT_TRUE(Put("k" + std::to_string(100 + i), value).ok());
  }
  ASSERT_TRUE(store_->Flush().ok());
  const auto snapshot = store_->Latest();
  const uint64_t all = snapshot->ApproximateBytes(Family::kObjects, {});
  EXPECT_GT(all, 10'000u);
  EXPECT_LT(snapshot->ApproximateBytes(Family::kObjects, {"k100", "k120"}), all);
  EXPECT_EQ(snapshot->ApproximateBytes(Family::kObjects, {"x", ""}), 0u);
}

TEST_P(StoreTest, TheLogIsWholeFromEveryPositionInRingAndFiles) {
  store_.reset();
  options_.ring_bytes = 2000;  // a few commits
  options_.path += "_small_ring";
  std::filesystem::remove_all(options_.path);
  Open();
  constexpr uint64_t kCommits = 400;
  for (uint64_t i = 1; i <= kCommits; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i), std::string(i % 50 * 40, 'v')).ok());
    if (i % 97 == 0) {
      ASSERT_TRUE(store_->Flush().ok());
    }
    if (i % 150 == 0 && !in_memory()) Reopen();
  }
  for (uint64_t from = 0; from <= kCommits; ++from) {
    const auto commits = ReadAll(At(from), 1 + from % 64);
    ASSERT_EQ(commits.size(), kCommits - from) << from;
    for (size_t i = 0; i < commits.size(); ++i) {
      ASSERT_EQ(commits[i]->commit, from + i + 1);
      ASSERT_EQ(commits[i]->change, "put k" + std::to_string(from + i + 1));
    }
  }
  const auto report = store_->VerifyLog();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->damage.empty()) << report->damage.front();
  EXPECT_FALSE(report->torn_tail) << report->torn_tail_detail;
  EXPECT_EQ(report->first_commit, 1u);
  EXPECT_EQ(report->last_commit, kCommits);
  EXPECT_GT(report->files, 1);
}

TEST_P(StoreTest, AReaderWithoutARingFollowsTheTail) {
  store_.reset();
  options_.ring_bytes = 0;
  options_.path += "_no_ring";
  std::filesystem::remove_all(options_.path);
  Open();
  auto reader = store_->ReadLog(At(0));
  ASSERT_TRUE(reader.ok());
  for (uint64_t i = 1; i <= 50; ++i) {
    ASSERT_TRUE(Put("k", std::to_string(i)).ok());
    if (i % 10 == 0) {
      ASSERT_TRUE(store_->Flush().ok());
    }
    const auto commits = (*reader)->Next(10, absl::Seconds(10));
    ASSERT_TRUE(commits.ok()) << commits.status();
    ASSERT_EQ(commits->size(), 1u);
    EXPECT_EQ(commits->front()->commit, i);
  }
}

TEST_P(StoreTest, AReaderWaitsAndCanBeCancelled) {
  auto reader = store_->ReadLog(At(0));
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE((*reader)->Next(10, absl::Milliseconds(1))->empty());
  std::thread writer([&] { ASSERT_TRUE(Put("a", "1").ok()); });
  const auto commits = (*reader)->Next(10, absl::InfiniteDuration());
  writer.join();
  ASSERT_TRUE(commits.ok());
  EXPECT_EQ(commits->size(), 1u);
  std::thread canceller([&] { (*reader)->Cancel(); });
  EXPECT_EQ((*reader)->Next(10, absl::InfiniteDuration()).status().code(),
            absl::StatusCode::kCancelled);
  canceller.join();
  EXPECT_EQ((*reader)->Next(10, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kCancelled);
}

TEST_P(StoreTest, ReadersRunWhileWritersWrite) {
  store_.reset();
  options_.ring_bytes = 3000;
  options_.path += "_race";
  std::filesystem::remove_all(options_.path);
  Open();
  constexpr uint64_t kCommits = 1000;
  std::vector<std::thread> threads;
  for (int r = 0; r < 3; ++r) {
    threads.emplace_back([&, r] {
      auto reader = store_->ReadLog(At(0));
      ASSERT_TRUE(reader.ok());
      uint64_t next = 1;
      while (next <= kCommits) {
        const auto commits = (*reader)->Next(1 + r * 20, absl::Seconds(30));
        ASSERT_TRUE(commits.ok()) << commits.status();
        ASSERT_FALSE(commits->empty());
        for (const LogCommitPtr& commit : *commits) {
          ASSERT_EQ(commit->commit, next++);
          // Nobody sees what is not published.
          ASSERT_LE(commit->commit, store_->Latest()->commit());
        }
      }
    });
  }
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      for (uint64_t i = 0; i < kCommits / 2; ++i) {
        ASSERT_TRUE(Put(std::to_string(w) + std::to_string(i), std::string(200, 'v')).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(StoreTest, PositionsOfOtherHistoriesAreRefused) {
  ASSERT_TRUE(Put("a", "1").ok());
  EXPECT_TRUE(store_->CheckPosition(At(0)).ok());
  EXPECT_TRUE(store_->CheckPosition(At(1)).ok());
  EXPECT_TRUE(store_->CheckPosition(At(1000)).ok());  // may still come
  Position other = At(1);
  other.store[3] ^= 1;
  Position later = At(1);
  later.epoch = 2;
  Position none;
  for (const Position& position : {other, later, none}) {
    EXPECT_EQ(store_->CheckPosition(position).code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(Reason(store_->CheckPosition(position)), "POSITION_UNKNOWN");
    EXPECT_FALSE(store_->ReadLog(position).ok());
  }
}

TEST_P(StoreTest, StatsCountWhatIsThere) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Put("key" + std::to_string(i), std::string(500, 'z')).ok());
  }
  StoreStats stats = store_->Stats();
  ASSERT_EQ(stats.families.size(), size_t{kFamilyCount});
  const auto& objects = [&]() -> const FamilyStats& {
    return stats.families[static_cast<size_t>(Family::kObjects)];
  };
  EXPECT_EQ(objects().name, "objects");
  EXPECT_EQ(objects().keys, 50u);
  EXPECT_GT(objects().memtable_bytes, 20'000u);
  EXPECT_EQ(objects().sst_files, 0u);
  ASSERT_TRUE(store_->Flush().ok());
  ASSERT_TRUE(store_->Compact(Family::kObjects).ok());
  stats = store_->Stats();
  EXPECT_EQ(objects().keys, 50u);
  EXPECT_GT(objects().sst_bytes, 0u);
  EXPECT_EQ(objects().sst_files, 1u);
  EXPECT_GT(objects().compression_ratio, 5.0);
  EXPECT_GT(stats.wal_bytes, 25'000u);
  EXPECT_GT(stats.wal_files, 0u);
  EXPECT_EQ(stats.commits, 50u);
  EXPECT_FALSE(stats.read_only);
}

TEST_P(StoreTest, EveryCompressionStoresAndReads) {
  for (const Compression compression : {Compression::kNone, Compression::kZstd}) {
    store_.reset();
    options_.compression = compression;
    options_.path += "x";
    std::filesystem::remove_all(options_.path);
    Open();
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(Put("key" + std::to_string(i), std::string(5000, 'z')).ok());
    }
    ASSERT_TRUE(store_->Flush().ok());
    ASSERT_TRUE(store_->Compact(std::nullopt).ok());
    EXPECT_EQ(Get("key7"), std::string(5000, 'z'));
    const double ratio =
        store_->Stats().families[static_cast<size_t>(Family::kObjects)].compression_ratio;
    if (compression == Compression::kNone) {
      EXPECT_LT(ratio, 1.1);
    } else {
      EXPECT_GT(ratio, 10.0);
    }
  }
}

TEST_P(StoreTest, EverySyncModeCommits) {
  for (const SyncMode mode : {SyncMode::kNormal, SyncMode::kOff}) {
    store_.reset();
    options_.sync_mode = mode;
    options_.normal_sync_interval_ms = 1;
    options_.path += "x";
    std::filesystem::remove_all(options_.path);
    Open();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
    ASSERT_TRUE(store_->Sync().ok());
    EXPECT_EQ(store_->Latest()->commit(), 200u);
    EXPECT_EQ(ReadAll(At(0)).size(), 200u);
    if (in_memory()) continue;
    Reopen();
    EXPECT_EQ(store_->Latest()->commit(), 200u);
    EXPECT_EQ(store_->epoch(), 1u);  // closed in order
  }
}

TEST(StoreOnDiskTest, ReopensWithEverything) {
  Options options;
  options.path = FreshPath("reopen/deep/path/");
  StoreId id;
  {
    auto store = Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    id = (*store)->id();
    // Held by this process already.
    const auto second = Store::Open(options);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  }
  options.must_exist = true;
  for (uint64_t round = 1; round <= 5; ++round) {
    auto store = Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->id(), id);
    EXPECT_EQ((*store)->epoch(), 1u);
    EXPECT_EQ((*store)->Latest()->commit(), (round - 1) * 10);
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE((*store)
                      ->Commit({},
                               [&](CommitBatch& batch) {
                                 batch.Put(Family::kObjects, std::to_string(batch.commit()), "v");
                                 batch.SetChange("x");
                                 return absl::OkStatus();
                               })
                      .ok());
    }
    std::string value;
    for (uint64_t i = 1; i <= round * 10; ++i) {
      EXPECT_TRUE((*store)->Latest()->Get(Family::kObjects, std::to_string(i), &value).value());
    }
  }
}

TEST_P(StoreTest, ACheckpointIsAStoreOfItsOwn) {
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
  const std::string target = options_.path + "_checkpoint";
  if (!in_memory()) std::filesystem::remove_all(target);
  const auto position = store_->Checkpoint(target);
  ASSERT_TRUE(position.ok()) << position.status();
  EXPECT_EQ(*position, At(30));
  ASSERT_TRUE(Put("later", "v").ok());
  EXPECT_EQ(store_->Checkpoint(target).status().code(), absl::StatusCode::kAlreadyExists);
  if (in_memory()) return;

  const StoreId id = store_->id();
  options_.path = target;
  Reopen();
  EXPECT_EQ(store_->id(), id);
  EXPECT_EQ(store_->Latest()->commit(), 30u);
  EXPECT_EQ(Get("29"), "v");
  EXPECT_EQ(Get("later"), std::nullopt);
  // Its history may differ from here on, so it has an epoch of its own.
  EXPECT_EQ(store_->epoch(), 2u);
  EXPECT_TRUE(store_->CheckPosition(*position).ok());
  EXPECT_FALSE(store_->CheckPosition({id, 1, 31}).ok());
  ASSERT_TRUE(Put("other", "v").ok());
  EXPECT_TRUE(store_->CheckPosition(At(31)).ok());
  Reopen();
  EXPECT_EQ(store_->epoch(), 2u);
  EXPECT_EQ(Get("other"), "v");
}

TEST_P(StoreTest, CheckpointsWhileWriting) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
  });
  const std::string target = options_.path + "_hot_checkpoint";
  if (!in_memory()) std::filesystem::remove_all(target);
  const auto position = store_->Checkpoint(target);
  stop = true;
  writer.join();
  ASSERT_TRUE(position.ok()) << position.status();
  EXPECT_LE(position->commit, store_->Latest()->commit());
  if (in_memory()) return;
  options_.path = target;
  Reopen();
  ASSERT_EQ(store_->Latest()->commit(), position->commit);
  // Every commit up to the position is in it, whole.
  for (uint64_t i = 0; i < position->commit; ++i) EXPECT_EQ(Get(std::to_string(i)), "v");
}

TEST_P(StoreTest, AFailedCheckpointLeavesNothing) {
  ASSERT_TRUE(Put("a", "1").ok());
  const std::string target = options_.path + "_no/such/parent";
  // In memory there is no need for parents.
  EXPECT_EQ(store_->Checkpoint(target).ok(), in_memory());
  EXPECT_FALSE(std::filesystem::exists(options_.path + "_no"));
  EXPECT_FALSE(store_->Checkpoint("").ok());
  EXPECT_TRUE(Put("a", "2").ok());
}

TEST_P(StoreTest, ViewsSaveFilesBesideTheStore) {
  ASSERT_TRUE(Put("a", "1").ok());
  EXPECT_EQ(store_->OpenViewFile("sums", 1).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->DeleteViewFile("sums").ok());
  ASSERT_TRUE(SaveViewFile("sums", "first").ok());
  ASSERT_TRUE(SaveViewFile("sums", "again").ok());
  ASSERT_TRUE(SaveViewFile("other_2", "other").ok());
  EXPECT_EQ(LoadViewFile("sums", 5).value(), "again");
  EXPECT_EQ(LoadViewFile("other_2", 5).value(), "other");
  for (const std::string& name : {std::string(), std::string("../sums"), std::string("a/b"),
                                  std::string("A"), std::string(65, 'a'), std::string("a.view")}) {
    EXPECT_EQ(store_->CreateViewFile(name, 1).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
    EXPECT_EQ(store_->OpenViewFile(name, 1).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(store_->DeleteViewFile(name).code(), absl::StatusCode::kInvalidArgument);
  }
  ASSERT_TRUE(store_->DeleteViewFile("other_2").ok());
  EXPECT_EQ(store_->OpenViewFile("other_2", 1).status().code(), absl::StatusCode::kNotFound);
  if (in_memory()) return;

  // A crash leaves what was not finished.
  const std::string left = options_.path + "/views/other.view.tmp";
  {
    auto writer = store_->CreateViewFile("other", 1);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(std::filesystem::exists(left));
    std::filesystem::copy_file(left, left + "2");
  }
  std::filesystem::rename(left + "2", left);
  Reopen();
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(LoadViewFile("sums", 5).value(), "again");

  // A checkpoint holds none.
  const std::string target = options_.path + "_checkpoint";
  std::filesystem::remove_all(target);
  ASSERT_TRUE(store_->Checkpoint(target).ok());
  EXPECT_FALSE(std::filesystem::exists(target + "/views"));
  options_.path = target;
  Reopen();
  EXPECT_EQ(store_->OpenViewFile("sums", 1).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SaveViewFile("sums", "mine!").ok());
  EXPECT_EQ(LoadViewFile("sums", 5).value(), "mine!");
}

TEST_P(StoreTest, ViewsHaveDatabasesBesideTheStore) {
  const auto put = [&](std::string_view view, std::string_view value) {
    const auto local = store_->OpenLocalStore(view, 4 << 20);
    ASSERT_TRUE(local.ok()) << local.status();
    LocalBatch batch;
    batch.Put("key", value);
    ASSERT_TRUE((*local)->Write(batch).ok());
  };
  const auto get = [&](std::string_view view) -> std::string {
    const auto local = store_->OpenLocalStore(view, 4 << 20);
    if (!local.ok()) return "none: " + std::string(local.status().message());
    LocalValue value;
    const auto found = (*local)->Latest()->Get("key", &value);
    return found.ok() && *found ? std::string(value.view()) : "nothing";
  };
  put("cells", "mine");
  put("others", "theirs");
  EXPECT_EQ(get("cells"), "mine");
  EXPECT_EQ(store_->OpenLocalStore("../cells", 4 << 20).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->DeleteLocalStore("").code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(store_->DeleteLocalStore("others").ok());
  ASSERT_TRUE(store_->DeleteLocalStore("others").ok());
  EXPECT_EQ(get("others"), "nothing");
  EXPECT_EQ(get("cells"), "mine");
  if (in_memory()) return;
  Reopen();
  EXPECT_EQ(get("cells"), "mine");
  const std::string target = options_.path + "_checkpoint";
  std::filesystem::remove_all(target);
  ASSERT_TRUE(store_->Checkpoint(target).ok());
  EXPECT_FALSE(std::filesystem::exists(target + "/views"));
}

}  // namespace
}  // namespace cookix::storage
