#include "engine/vector/cell_centroids.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

constexpr size_t kDimension = 16;

std::vector<float> Random(std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<float> v(kDimension);
  for (float& x : v) x = normal(random);
  return v;
}

double SquaredL2(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t d = 0; d < kDimension; ++d) {
    sum += (static_cast<double>(a[d]) - b[d]) * (static_cast<double>(a[d]) - b[d]);
  }
  return sum;
}

TEST(CellCentroidsTest, FindsTheNearestWithAndWithoutTheGraph) {
  for (const size_t cells : {1, 300, 3000}) {
    std::mt19937_64 random(cells);
    const auto centroids = CellCentroids::Make(Metric::kL2, kDimension, {}, cells);
    ASSERT_NE(centroids, nullptr);
    std::vector<std::vector<float>> all;
    for (size_t i = 0; i < cells; ++i) {
      all.push_back(Random(random));
      EXPECT_EQ(centroids->Add(static_cast<CellId>(1000 + i), all.back().data(), 1), i);
    }
    double found = 0, wanted = 0;
    for (int q = 0; q < 50; ++q) {
      const std::vector<float> query = Random(random);
      std::vector<std::pair<double, CellId>> order;
      for (size_t i = 0; i < cells; ++i) {
        order.emplace_back(SquaredL2(query, all[i]), static_cast<CellId>(1000 + i));
      }
      std::sort(order.begin(), order.end());
      std::vector<NearCell> near;
      centroids->Nearest(query.data(), 8, 1, &near);
      ASSERT_EQ(near.size(), std::min<size_t>(8, cells));
      EXPECT_TRUE(std::is_sorted(near.begin(), near.end()));
      wanted += static_cast<double>(near.size());
      for (size_t i = 0; i < near.size(); ++i) {
        for (const NearCell& cell : near) found += cell.cell == order[i].second ? 1 : 0;
      }
      centroids->All(query.data(), false, 1, &near);
      EXPECT_EQ(near.size(), cells);
    }
    EXPECT_GE(found / wanted, 0.95) << cells;
    std::vector<float> decoded(kDimension);
    centroids->Decode(0, decoded.data());
    EXPECT_LT(SquaredL2(decoded, all[0]), 1e-6);
    EXPECT_GT(centroids->Bytes(), static_cast<int64_t>(cells * kDimension));
  }
}

TEST(CellCentroidsTest, InnerProductsPreferTheLong) {
  const auto centroids = CellCentroids::Make(Metric::kDot, kDimension, {}, 2);
  const std::vector<float> near(kDimension, 1.0f), far(kDimension, 10.0f);
  centroids->Add(1, near.data(), 0);
  centroids->Add(2, far.data(), 0);
  std::vector<NearCell> all;
  centroids->All(near.data(), true, 0, &all);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_NEAR(all[0].distance, -16, 0.2);
  EXPECT_NEAR(all[1].distance, -160, 2);
  centroids->Nearest(near.data(), 1, 0, &all);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].cell, 1u);
}

TEST(CellCentroidsTest, EveryStepSeesItsOwnCells) {
  const auto centroids = CellCentroids::Make(Metric::kCosine, kDimension, {}, 4);
  const std::vector<float> v(kDimension, 0.25f);
  const Slot first = centroids->Add(1, v.data(), 1);
  centroids->Add(2, v.data(), 2);
  centroids->Remove(first, 3);
  centroids->Add(1, v.data(), 3);
  const auto at = [&](uint64_t step) {
    std::vector<NearCell> near;
    centroids->Nearest(v.data(), 10, step, &near);
    std::vector<std::pair<CellId, Slot>> cells;
    for (const NearCell& cell : near) cells.emplace_back(cell.cell, cell.slot);
    std::sort(cells.begin(), cells.end());
    return cells;
  };
  using Cells = std::vector<std::pair<CellId, Slot>>;
  EXPECT_EQ(at(0), Cells());
  EXPECT_EQ(at(1), (Cells{{1, 0}}));
  EXPECT_EQ(at(2), (Cells{{1, 0}, {2, 1}}));
  EXPECT_EQ(at(3), (Cells{{1, 2}, {2, 1}}));
}

// The writer moves every cell again and again; a reader of a step finds each cell once.
TEST(CellCentroidsTest, ReadersBesideTheWriter) {
  constexpr size_t kCells = 200;
  constexpr size_t kMoves = 3000;
  const auto centroids = CellCentroids::Make(Metric::kCosine, kDimension, {}, kCells + kMoves);
  std::mt19937_64 random(5);
  std::vector<Slot> slots;
  for (size_t i = 0; i < kCells; ++i) {
    slots.push_back(centroids->Add(static_cast<CellId>(i), Random(random).data(), 0));
  }
  std::atomic<uint64_t> step{0};
  std::atomic<bool> stop{false};
  std::vector<std::string> errors(2);
  std::vector<std::thread> readers;
  for (size_t r = 0; r < errors.size(); ++r) {
    readers.emplace_back([&, r] {
      std::mt19937_64 mine(r);
      std::vector<NearCell> near;
      do {
        const std::vector<float> query = Random(mine);
        const uint64_t now = step.load(std::memory_order_acquire);
        centroids->All(query.data(), false, now, &near);
        std::set<CellId> seen;
        for (const NearCell& cell : near) seen.insert(cell.cell);
        if (near.size() != kCells || seen.size() != kCells) errors[r] = "All() is wrong";
        centroids->Nearest(query.data(), 10, now, &near);
        seen.clear();
        for (const NearCell& cell : near) seen.insert(cell.cell);
        if (near.size() != 10 || seen.size() != 10) errors[r] = "Nearest() is wrong";
      } while (!stop.load());
    });
  }
  for (size_t i = 0; i < kMoves; ++i) {
    const size_t cell = i % kCells;
    const uint64_t next = step.load() + 1;
    const Slot old = slots[cell];
    slots[cell] = centroids->Add(static_cast<CellId>(cell), Random(random).data(), next);
    centroids->Remove(old, next);
    step.store(next, std::memory_order_release);
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace cookix::engine
