// A sparse field beside its writer: readers of a commit see that commit.
#include "engine/vector/sparse_field.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/memory_checked_file.h"

namespace cookix::engine {
namespace {

v1::Vector Vector(std::vector<std::pair<uint32_t, float>> entries) {
  v1::Vector vector;
  for (const auto& [index, weight] : entries) {
    vector.add_indices(index);
    vector.add_values(weight);
  }
  return vector;
}

// Calls `meanwhile` before it is read for the first time.
class Interrupting : public OrdinalSet {
 public:
  Interrupting(std::set<Ordinal> ordinals, std::function<void()> meanwhile)
      : ordinals_(std::move(ordinals)), meanwhile_(std::move(meanwhile)) {}
  bool Contains(Ordinal ordinal) const override { return ordinals_.count(ordinal) > 0; }
  uint64_t Count() const override { return ordinals_.size(); }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    if (meanwhile_) std::exchange(meanwhile_, nullptr)();
    for (const Ordinal ordinal : ordinals_) each(ordinal);
  }

 private:
  const std::set<Ordinal> ordinals_;
  mutable std::function<void()> meanwhile_;
};

class SparseFieldTest : public testing::Test {
 protected:
  // Object n has the weight n.
  void Put(Ordinal ordinal, uint64_t commit) {
    const v1::Vector vector = Vector({{7, static_cast<float>(ordinal)}});
    const SparseField::Put put{ordinal, &vector};
    ASSERT_TRUE(used_->Apply({&put, 1}, commit).ok());
  }
  void Remove(Ordinal ordinal, uint64_t commit) {
    const SparseField::Put put{ordinal, nullptr};
    ASSERT_TRUE(used_->Apply({&put, 1}, commit).ok());
  }

  std::vector<Ordinal> SearchOrNot(uint64_t commit, int64_t limit,
                                   std::shared_ptr<const OrdinalSet> accept, bool* answers) {
    const v1::Vector query = Vector({{7, 1}});
    VectorSearch search;
    search.vector = &query;
    search.limit = limit;
    search.accept = std::move(accept);
    CallContext context;
    VectorSearchResult result;
    const auto answered = used_->Search(context, search, commit, &result);
    EXPECT_TRUE(answered.ok());
    *answers = *answered;
    std::vector<Ordinal> found;
    for (const VectorHit& hit : result.hits) found.push_back(hit.ordinal);
    return found;
  }
  std::vector<Ordinal> Search(uint64_t commit, int64_t limit,
                              std::shared_ptr<const OrdinalSet> accept = nullptr,
                              bool answers = true) {
    bool answered = false;
    std::vector<Ordinal> found = SearchOrNot(commit, limit, std::move(accept), &answered);
    EXPECT_EQ(answered, answers);
    return found;
  }

  SparseField field_;
  SparseField* used_ = &field_;
};

TEST_F(SparseFieldTest, StaysSmallHoweverOftenObjectsChange) {
  constexpr Ordinal kObjects = 1000;
  uint64_t commit = 0;
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) Put(ordinal, ++commit);
  const int64_t at_first = field_.MemoryBytes();
  int renumbered = 0;
  for (int i = 0; i < 120'000; ++i) {
    Put(1 + static_cast<Ordinal>(i) % kObjects, ++commit);
    if (field_.NeedsMaintenance()) renumbered += field_.Maintain() ? 1 : 0;
  }
  EXPECT_GT(renumbered, 10);
  const SparseField::Stats stats = field_.stats();
  EXPECT_EQ(stats.vectors, static_cast<int64_t>(kObjects));
  EXPECT_GT(stats.dead, 0);
  EXPECT_LT(stats.dead, 10'000);
  EXPECT_LT(stats.memory_bytes, 3 * at_first);
  EXPECT_EQ(Search(commit, 3), (std::vector<Ordinal>{1000, 999, 998}));
}

TEST_F(SparseFieldTest, ReadersFromBeforeItIsNumberedAnewAreToldSo) {
  uint64_t commit = 0;
  for (int i = 0; i < 6000; ++i) Put(1 + static_cast<Ordinal>(i) % 5, ++commit);
  Remove(5, ++commit);
  EXPECT_EQ(Search(commit - 1, 2), (std::vector<Ordinal>{5, 4}));
  ASSERT_TRUE(field_.Maintain());
  EXPECT_FALSE(field_.Maintain());
  EXPECT_EQ(field_.stats().dead, 0);
  EXPECT_TRUE(Search(commit - 1, 2, nullptr, /*answers=*/false).empty());
  EXPECT_EQ(Search(commit, 2), (std::vector<Ordinal>{4, 3}));
  // And from there on.
  Put(9, ++commit);
  Remove(4, ++commit);
  EXPECT_EQ(Search(commit - 2, 2), (std::vector<Ordinal>{4, 3}));
  EXPECT_EQ(Search(commit - 1, 2), (std::vector<Ordinal>{9, 4}));
  EXPECT_EQ(Search(commit, 2), (std::vector<Ordinal>{9, 3}));
}

// Objects 1 to 50 change all the time, 51 to 99 never do.
TEST_F(SparseFieldTest, ThreadsSearchWhileItIsNumberedAnew) {
  for (Ordinal ordinal = 1; ordinal < 100; ++ordinal) Put(ordinal, 1);
  std::atomic<uint64_t> visible{1};
  std::atomic<bool> done{false};
  std::atomic<int> answered{0};
  const auto search = [&] {
    while (!done.load() || answered.load() < 100) {
      const uint64_t commit = visible.load();
      bool answers = true;
      const std::vector<Ordinal> found = SearchOrNot(commit, 99, nullptr, &answers);
      if (!answers) continue;
      answered.fetch_add(1);
      // The writer takes one away and puts it back in the next commit.
      ASSERT_EQ(found.size(), commit % 2 == 1 ? 99u : 98u) << commit;
      for (size_t i = 0; i + 1 < found.size(); ++i) ASSERT_GT(found[i], found[i + 1]);
      if (commit % 2 == 0) {
        ASSERT_EQ(std::count(found.begin(), found.end(), 1 + commit / 2 % 50), 0) << commit;
      }
    }
  };
  std::thread first(search), second(search);
  std::thread maintainer([&] {
    while (!done.load()) field_.Maintain();
  });
  for (uint64_t commit = 2; commit <= 60'001; commit += 2) {
    const Ordinal ordinal = 1 + commit / 2 % 50;
    Remove(ordinal, commit);
    visible.store(commit);
    Put(ordinal, commit + 1);
    visible.store(commit + 1);
  }
  done.store(true);
  for (std::thread* thread : {&first, &second, &maintainer}) thread->join();
  EXPECT_LT(field_.stats().dead, 30'000);
}

TEST_F(SparseFieldTest, IsSavedAsItWasAndLoaded) {
  uint64_t commit = 0;
  for (Ordinal ordinal = 1; ordinal <= 3000; ++ordinal) Put(ordinal, ++commit);
  for (Ordinal ordinal = 1; ordinal <= 3000; ordinal += 3) Remove(ordinal, ++commit);
  const auto snapshot = field_.TakeSnapshot();
  for (Ordinal ordinal = 2000; ordinal <= 4000; ++ordinal) Put(ordinal, ++commit);
  storage::MemoryFileWriter writer;
  ASSERT_TRUE(SparseField::Save(*snapshot, writer).ok());
  storage::MemoryFileReader reader(writer.contents);
  SparseField loaded;
  const absl::Status status = loaded.Load(reader);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(loaded.stats().vectors, 2000);
  EXPECT_EQ(loaded.stats().dead, 0);
  used_ = &loaded;
  EXPECT_EQ(Search(commit, 3), (std::vector<Ordinal>{3000, 2999, 2997}));
  Remove(2999, ++commit);
  EXPECT_EQ(Search(commit, 3), (std::vector<Ordinal>{3000, 2997, 2996}));
}

// Without the checksums of the file: what is cut is found, and what is changed is found or is
// an index that works.
TEST_F(SparseFieldTest, DamageIsFoundOrHarmless) {
  for (Ordinal ordinal = 1; ordinal <= 40; ++ordinal) Put(ordinal, 1);
  storage::MemoryFileWriter writer;
  ASSERT_TRUE(SparseField::Save(*field_.TakeSnapshot(), writer).ok());
  const auto load = [&](const std::string& contents, SparseField* loaded) {
    storage::MemoryFileReader reader(contents);
    absl::Status status = loaded->Load(reader);
    const absl::StatusOr<bool> end = reader.AtEnd();
    if (status.ok() && !*end) status = absl::DataLossError("too long");
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
    return status.ok();
  };
  for (size_t size = 0; size < writer.contents.size(); ++size) {
    SparseField loaded;
    EXPECT_FALSE(load(writer.contents.substr(0, size), &loaded)) << size;
  }
  for (size_t bit = 0; bit < 8 * writer.contents.size(); bit += 29) {
    std::string damaged = writer.contents;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    SparseField loaded;
    if (!load(damaged, &loaded)) continue;
    used_ = &loaded;
    EXPECT_LE(Search(1, 300).size(), 40u);
    Put(9999, 2);
    EXPECT_EQ(Search(2, 1).size(), 1u);
  }
}

TEST_F(SparseFieldTest, StopsWhenTheDeadlineHasPassed) {
  Put(1, 1);
  const v1::Vector query = Vector({{7, 1}});
  VectorSearch search;
  search.vector = &query;
  search.limit = 1;
  CallContext context;
  context.Cancel();
  VectorSearchResult result;
  EXPECT_TRUE(absl::IsCancelled(field_.Search(context, search, 1, &result).status()));
}

TEST_F(SparseFieldTest, ReadersSeeTheirCommit) {
  for (Ordinal ordinal = 1; ordinal <= 5; ++ordinal) Put(ordinal, 1);
  Remove(4, 2);
  Put(9, 3);
  EXPECT_EQ(Search(1, 3), (std::vector<Ordinal>{5, 4, 3}));
  EXPECT_EQ(Search(2, 3), (std::vector<Ordinal>{5, 3, 2}));
  EXPECT_EQ(Search(3, 3), (std::vector<Ordinal>{9, 5, 3}));
}

TEST_F(SparseFieldTest, CommitsWhileTheFilterIsReadAreNotSeen) {
  for (Ordinal ordinal = 1; ordinal <= 5; ++ordinal) Put(ordinal, 1);
  const auto accept = std::make_shared<Interrupting>(std::set<Ordinal>{2, 3, 4, 9}, [&] {
    Remove(4, 2);
    Put(3, 3);
    Put(9, 3);
  });
  EXPECT_EQ(Search(1, 3, accept), (std::vector<Ordinal>{4, 3, 2}));
  EXPECT_EQ(Search(3, 3, accept), (std::vector<Ordinal>{9, 3, 2}));
}

}  // namespace
}  // namespace cookix::engine
