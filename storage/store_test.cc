// The behaviour of a store, on disk and in memory.
#include "storage/store.h"

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

[[maybe_unused]] std::string Reason(const absl::Status& status) {
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

}  // namespace
}  // namespace cookix::storage
