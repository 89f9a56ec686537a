// Searches of a graph alone; what they find is tested with DenseIndex.
#include "engine/vector/hnsw_graph.h"

#include <memory>
#include <random>
#include <vector>

#include "engine/vector/kernels.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kVectors = 20'000;
constexpr size_t kDimension = 8;

class HnswGraphTest : public testing::Test {
 protected:
  HnswGraphTest()
      : storage_(VectorCodec::Make(Metric::kL2, Quantization::kNone, kDimension, {})),
        graph_(storage_, {.m = 8, .m0 = 16, .ef_construction = 32}) {
    EXPECT_TRUE(storage_.Grow(kVectors) && graph_.Grow(kVectors));
    for (Slot slot = 0; slot < kVectors; ++slot) {
      storage_.Write(slot, RandomVector().data());
      graph_.Insert(slot);
    }
    storage_.codec().PrepareQuery(RandomVector().data(), &query_);
  }
  std::vector<float> RandomVector() {
    std::vector<float> vector(kDimension);
    for (float& x : vector) x = normal_(random_);
    return vector;
  }

  std::mt19937 random_{5};
  std::normal_distribution<float> normal_;
  VectorStorage storage_;
  HnswGraph graph_;
  PreparedQuery query_;
  std::vector<Candidate> found_;
};

TEST_F(HnswGraphTest, WideSearchesStopWhenNobodyWaits) {
  CallContext context;
  HnswSearchStats all, stopped;
  graph_.Search(query_, 10'000, &found_, &all, &context);
  EXPECT_EQ(found_.size(), 10'000u);
  context.Cancel();
  graph_.Search(query_, 10'000, &found_, &stopped, &context);
  EXPECT_LT(stopped.distances, all.distances / 4);
  // And leave nothing behind for the next.
  CallContext another;
  HnswSearchStats again;
  graph_.Search(query_, 10'000, &found_, &again, &another);
  EXPECT_EQ(again.distances, all.distances);
  EXPECT_EQ(found_.size(), 10'000u);
}

TEST_F(HnswGraphTest, WideSearchesOfWhatIsAcceptedStopToo) {
  SlotBits accept(kVectors);
  for (Slot slot = 0; slot < kVectors; ++slot) {
    if (slot % 10 != 0) accept.Set(slot);
  }
  const std::vector<Slot> seeds = {1, 2};
  const auto search = [&](const CallContext& context, HnswSearchStats* stats) {
    return graph_.SearchAccepted(query_, 15'000, accept, seeds, 1'000'000, &found_, stats,
                                 &context);
  };
  CallContext context;
  HnswSearchStats all, stopped;
  EXPECT_TRUE(search(context, &all));
  EXPECT_GT(found_.size(), 14'000u);
  context.Cancel();
  EXPECT_FALSE(search(context, &stopped));
  EXPECT_LT(stopped.distances, all.distances);
}

}  // namespace
}  // namespace cookix::engine
