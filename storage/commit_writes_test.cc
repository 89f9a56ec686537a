#include "storage/commit_writes.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Seen = std::vector<std::string>;

// What ForEachWrite passes, one line for each.
Seen Writes(std::string_view batch, Family family, absl::Status* status = nullptr) {
  Seen seen;
  const absl::Status result = ForEachWrite(
      batch, family,
      [&](std::string_view key, const std::string_view* value) {
        seen.push_back(value == nullptr ? "delete " + std::string(key)
                                        : "put " + std::string(key) + "=" + std::string(*value));
      },
      [&](std::string_view begin, std::string_view end) {
        seen.push_back("erase " + std::string(begin) + ".." + std::string(end));
      });
  if (status != nullptr) {
    *status = result;
  } else {
    EXPECT_TRUE(result.ok()) << result;
  }
  return seen;
}

class CommitWritesTest : public testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.in_memory = true;
    options.path = "/memory/commit_writes";
    options.memory_budget_bytes = 16 << 20;
    auto opened = Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = std::move(*opened);
  }

  // Commits and returns what readers of the log get.
  LogCommitPtr Commit(absl::FunctionRef<void(CommitBatch&)> build) {
    const auto result = store_->Commit({}, [&](CommitBatch& batch) {
      build(batch);
      batch.SetChange("changed");
      return absl::OkStatus();
    });
    EXPECT_TRUE(result.ok()) << result.status();
    auto reader = store_->ReadLog({store_->id(), store_->epoch(), store_->Latest()->commit() - 1});
    EXPECT_TRUE(reader.ok()) << reader.status();
    auto commits = (*reader)->Next(1, absl::ZeroDuration());
    EXPECT_TRUE(commits.ok() && commits->size() == 1);
    return commits->front();
  }

  std::unique_ptr<Store> store_;
};

TEST_F(CommitWritesTest, PassesTheWritesOfOneFamilyInOrder) {
  const std::string large(100'000, 'x');
  const LogCommitPtr commit = Commit([&](CommitBatch& batch) {
    batch.Put(Family::kVectors, "a", "1");
    batch.Put(Family::kObjects, "a", "other");
    batch.Delete(Family::kVectors, "b");
    batch.Put(Family::kVectors, "a", "2");
    batch.DeleteRange(Family::kVectors, "c", "d");
    batch.DeleteRange(Family::kObjects, "c", "e");
    batch.Put(Family::kVectors, "", large);
    batch.Put(Family::kSecurity, std::string("k\0y", 3), "");
  });
  EXPECT_EQ(Writes(commit->batch, Family::kVectors),
            (Seen{"put a=1", "delete b", "put a=2", "erase c..d", "put =" + large}));
  EXPECT_EQ(Writes(commit->batch, Family::kObjects), (Seen{"put a=other", "erase c..e"}));
  EXPECT_EQ(Writes(commit->batch, Family::kSecurity), (Seen{std::string("put k\0y=", 8)}));
  EXPECT_TRUE(Writes(commit->batch, Family::kEdges).empty());
  // The store's own record of its last commit.
  EXPECT_EQ(Writes(commit->batch, Family::kSystem).size(), 1u);
  Seen without_ranges;
  ASSERT_TRUE(ForEachWrite(commit->batch, Family::kObjects,
                           [&](std::string_view key, const std::string_view*) {
                             without_ranges.emplace_back(key);
                           })
                  .ok());
  EXPECT_EQ(without_ranges, Seen{"a"});
}

TEST_F(CommitWritesTest, EveryCutIsDataLoss) {
  const LogCommitPtr commit = Commit([](CommitBatch& batch) {
    batch.Put(Family::kVectors, "key", "value");
    batch.Delete(Family::kVectors, "key");
    batch.DeleteRange(Family::kObjects, "c", "e");
  });
  for (size_t size = 0; size < commit->batch.size(); ++size) {
    absl::Status status;
    Writes(std::string_view(commit->batch).substr(0, size), Family::kVectors, &status);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
  }
}

TEST_F(CommitWritesTest, UnknownEntriesAreDataLoss) {
  const std::string header(12, '\0');
  absl::Status status;
  // A merge, which the store never writes.
  Writes(header + std::string("\x02\x01k\x01v", 5), Family::kSystem, &status);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  // A family that does not exist.
  Writes(header + std::string("\x04\x09\x01k", 4), Family::kSystem, &status);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  // The count says none.
  Writes(header + std::string("\x00\x01k", 3), Family::kSystem, &status);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  Writes(header, Family::kSystem, &status);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace cookix::storage
