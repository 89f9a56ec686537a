// A sparse field beside its writer: readers of a commit see that commit.
#include "engine/vector/sparse_field.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

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
    ASSERT_TRUE(field_.Apply({&put, 1}, commit).ok());
  }
  void Remove(Ordinal ordinal, uint64_t commit) {
    const SparseField::Put put{ordinal, nullptr};
    ASSERT_TRUE(field_.Apply({&put, 1}, commit).ok());
  }

  std::vector<Ordinal> Search(uint64_t commit, int64_t limit,
                              std::shared_ptr<const OrdinalSet> accept = nullptr) {
    const v1::Vector query = Vector({{7, 1}});
    VectorSearch search;
    search.vector = &query;
    search.limit = limit;
    search.accept = std::move(accept);
    CallContext context;
    VectorSearchResult result;
    const auto answered = field_.Search(context, search, commit, &result);
    EXPECT_TRUE(answered.ok() && *answered);
    std::vector<Ordinal> found;
    for (const VectorHit& hit : result.hits) found.push_back(hit.ordinal);
    return found;
  }

  SparseField field_;
};

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
