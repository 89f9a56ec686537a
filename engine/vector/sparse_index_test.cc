#include "engine/vector/sparse_index.h"

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <map>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace cookix::engine {
namespace {

struct Vector {
  std::vector<uint32_t> indices;
  std::vector<float> values;
};

Vector FromMap(const std::map<uint32_t, float>& weights) {
  Vector vector;
  for (const auto& [index, value] : weights) {
    vector.indices.push_back(index);
    vector.values.push_back(value);
  }
  return vector;
}

// Vectors whose indices are drawn with a probability falling with their rank, and
// scattered over all 32 bits.
class Generator {
 public:
  enum Weights {
    kPositive,  // lognormal
    kSigned,    // normal
    kSmallInts  // -1 to 3: many ties and zeros
  };

  Generator(uint64_t seed, size_t vocabulary, Weights weights)
      : random_(seed), weights_(weights), cumulative_(vocabulary) {
    double sum = 0;
    for (size_t i = 0; i < vocabulary; ++i)
      cumulative_[i] = sum += 1.0 / static_cast<double>(i + 1);
  }

  Vector Make(size_t size) {
    std::map<uint32_t, float> weights;
    for (size_t i = 0; i < size; ++i) {
      const double at = std::uniform_real_distribution<double>(0, cumulative_.back())(random_);
      const auto rank = std::lower_bound(cumulative_.begin(), cumulative_.end(), at);
      const auto index = static_cast<uint32_t>(rank - cumulative_.begin()) * 2654435761u;
      weights[index] = Weight();
    }
    return FromMap(weights);
  }

  uint64_t Below(uint64_t bound) { return random_() % bound; }

 private:
  float Weight() {
    switch (weights_) {
      case kPositive:
        return std::lognormal_distribution<float>(0, 1)(random_);
      case kSigned:
        return std::normal_distribution<float>(0, 1)(random_);
      case kSmallInts:
        break;
    }
    return static_cast<float>(Below(5)) - 1;
  }

  std::mt19937_64 random_;
  const Weights weights_;
  std::vector<double> cumulative_;
};

// What the index should do, done the plain way.
class Oracle {
 public:
  void Add(Slot slot, Vector vector) { vectors_[slot] = std::move(vector); }
  void Remove(Slot slot) { vectors_.erase(slot); }
  const std::map<Slot, Vector>& vectors() const { return vectors_; }

  // Sums in 113 bits: what these tests add up is exact there.
  static bool Score(const Vector& a, const Vector& b, float* score) {
    __float128 sum = 0;
    bool shared = false;
    size_t i = 0;
    size_t j = 0;
    while (i < a.indices.size() && j < b.indices.size()) {
      if (a.indices[i] < b.indices[j]) {
        ++i;
      } else if (a.indices[i] > b.indices[j]) {
        ++j;
      } else {
        sum += static_cast<__float128>(a.values[i++]) * static_cast<__float128>(b.values[j++]);
        shared = true;
      }
    }
    *score = static_cast<float>(sum) + 0.0f;
    return shared;
  }

  std::vector<SlotHit> Search(const Vector& query, size_t limit,
                              const std::vector<uint64_t>* accept) const {
    std::vector<SlotHit> hits;
    for (const auto& [slot, vector] : vectors_) {
      if (accept != nullptr &&
          (slot / 64 >= accept->size() || ((*accept)[slot / 64] >> (slot % 64) & 1) == 0)) {
        continue;
      }
      SlotHit hit{slot, 0};
      if (Score(query, vector, &hit.score)) hits.push_back(hit);
    }
    std::stable_sort(hits.begin(), hits.end(),
                     [](const SlotHit& a, const SlotHit& b) { return a.score > b.score; });
    if (hits.size() > limit) hits.resize(limit);
    return hits;
  }

 private:
  std::map<Slot, Vector> vectors_;
};

void ExpectEqual(const std::vector<SlotHit>& expected, const std::vector<SlotHit>& actual,
                 const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size()) << what;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(expected[i].slot, actual[i].slot) << what << ", hit " << i;
    ASSERT_EQ(expected[i].score, actual[i].score) << what << ", hit " << i;
    ASSERT_FALSE(std::signbit(actual[i].score) && actual[i].score == 0) << what;
  }
}

std::vector<SlotHit> Search(const SparseIndex& index, const Vector& query, size_t limit,
                            const std::vector<uint64_t>* accept = nullptr,
                            SparseSearchStats* stats = nullptr) {
  return index.Search(query.indices, query.values, limit,
                      accept == nullptr ? nullptr : accept->data(),
                      accept == nullptr ? 0 : accept->size(), stats);
}

void Add(SparseIndex* index, Slot slot, const Vector& vector) {
  index->Add(slot, vector.indices, vector.values);
}

std::vector<uint64_t> RandomBits(size_t slots, double selectivity, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::bernoulli_distribution accept(selectivity);
  std::vector<uint64_t> words((slots + 63) / 64);
  for (size_t i = 0; i < slots; ++i) {
    if (accept(random)) words[i / 64] |= uint64_t{1} << (i % 64);
  }
  return words;
}

TEST(SparseIndexTest, NothingFindsNothing) {
  SparseIndex index;
  const Vector query{{1, 2}, {1, 1}};
  EXPECT_TRUE(Search(index, query, 10).empty());
  EXPECT_EQ(index.Score(0, query.indices, query.values), std::nullopt);
  index.Remove(0);
  EXPECT_FALSE(index.Contains(0));
  Add(&index, 0, {});
  EXPECT_TRUE(index.Contains(0));
  EXPECT_EQ(index.size(), 1);
  EXPECT_TRUE(Search(index, query, 10).empty());
  Add(&index, 1, query);
  EXPECT_TRUE(Search(index, {}, 10).empty());
  EXPECT_TRUE(Search(index, query, 0).empty());
  EXPECT_EQ(Search(index, query, 10).size(), 1u);
}

TEST(SparseIndexTest, HitsShareAnIndexWhateverTheWeights) {
  SparseIndex index;
  Add(&index, 3, {{0, 7}, {-2, 1}});
  Add(&index, 5, {{7}, {0}});
  Add(&index, 6, {{8, UINT32_MAX}, {4, 1}});
  Add(&index, 200'000, {{7}, {-0.0f}});
  // Zero and negative scores are scores; slot 6 shares nothing.
  ExpectEqual({{5, 0}, {200'000, 0}, {3, -1}}, Search(index, {{7}, {-1}}, 10), "negative");
  ExpectEqual({{3, 0}, {5, 0}, {200'000, 0}}, Search(index, {{7}, {0}}, 10), "zero");
  ExpectEqual({{5, 0}}, Search(index, {{7}, {-1}}, 1), "one");
  ExpectEqual({{6, 2}}, Search(index, {{UINT32_MAX}, {2}}, 5), "last index");
  EXPECT_EQ(index.Score(5, std::vector<uint32_t>{7}, std::vector<float>{-1}), 0.0f);
  EXPECT_EQ(index.Score(6, std::vector<uint32_t>{7}, std::vector<float>{-1}), std::nullopt);
  EXPECT_EQ(index.Score(4, std::vector<uint32_t>{7}, std::vector<float>{-1}), std::nullopt);
}

// The last slots there can be, and lists whose postings are too far apart for a block.
TEST(SparseIndexTest, SlotsFarApart) {
  SparseIndex index;
  const std::vector<Slot> slots = {0,        65'535,   65'536,         131'072,
                                   1u << 24, 1u << 31, kNoSlot - 4096, kNoSlot - 1};
  std::vector<SlotHit> expected;
  for (Slot slot : slots) {
    Add(&index, slot, {{77}, {1}});
    expected.push_back({slot, 2});
  }
  EXPECT_EQ(index.end(), kNoSlot);
  ExpectEqual(expected, Search(index, {{77}, {2}}, 100), "all");
  for (Slot slot : slots) {
    EXPECT_EQ(index.Score(slot, std::vector<uint32_t>{77}, std::vector<float>{2}), 2.0f);
  }
  index.Remove(1u << 31);
  index.Remove(65'535);
  index.Remove(0);
  expected.erase(expected.begin() + 5);
  expected.erase(expected.begin(), expected.begin() + 2);
  ExpectEqual(expected, Search(index, {{77}, {2}}, 100), "without some");
  EXPECT_EQ(index.postings(), 5);
}

TEST(SparseIndexTest, ScoresAreRoundedOnce) {
  SparseIndex index;
  // In any order of additions in double the small weights get lost: the exact sums are
  // just above and just below the middle of two floats, and exactly 2^-60.
  const float tiny = 0x1p-60f;
  Add(&index, 0, {{1, 2, 3}, {1, 0x1p-24f, tiny}});
  Add(&index, 1, {{1, 2, 3}, {1, 0x1p-24f, -tiny}});
  Add(&index, 2, {{1, 2, 3}, {1, 0x1p-24f, 0}});
  Add(&index, 3, {{1, 3, 4}, {0x1p30f, tiny, -0x1p30f}});
  const Vector query{{1, 2, 3, 4}, {1, 1, 1, 1}};
  ExpectEqual({{0, 1 + 0x1p-23f}, {1, 1}, {2, 1}, {3, tiny}}, Search(index, query, 9), "all");
  ExpectEqual({{0, 1 + 0x1p-23f}, {1, 1}}, Search(index, query, 2), "two");
  EXPECT_EQ(index.Score(0, query.indices, query.values), 1 + 0x1p-23f);
  EXPECT_EQ(index.Score(3, query.indices, query.values), tiny);
  // Beyond the range of float.
  Add(&index, 4, {{9, 10}, {FLT_MAX, FLT_MAX}});
  Add(&index, 5, {{9}, {-FLT_MAX}});
  ExpectEqual({{4, FLT_MAX}, {5, -FLT_MAX}}, Search(index, {{9, 10}, {FLT_MAX, FLT_MAX}}, 9),
              "overflow");
}

struct RandomCase {
  uint64_t seed;
  Generator::Weights weights;
  size_t slots;
  size_t vocabulary;
  size_t size;
  // Slots are this far apart on average.
  size_t stride;
  // Queries after each step, at most four.
  size_t queries;
};

class SparseIndexRandomTest : public testing::TestWithParam<RandomCase> {};

// Every kind of search against plain scoring, before and after removals.
TEST_P(SparseIndexRandomTest, EqualsBruteForce) {
  const RandomCase& param = GetParam();
  Generator generator(param.seed, param.vocabulary, param.weights);
  SparseIndex index;
  Oracle oracle;
  Slot slot = 0;
  int64_t postings = 0;
  for (size_t i = 0; i < param.slots; ++i) {
    slot += static_cast<Slot>(1 + generator.Below(2 * param.stride - 1));
    Vector vector = generator.Make(generator.Below(2 * param.size));
    postings += static_cast<int64_t>(vector.indices.size());
    Add(&index, slot, vector);
    oracle.Add(slot, std::move(vector));
  }
  EXPECT_EQ(index.end(), slot + 1);
  EXPECT_EQ(index.postings(), postings);
  auto check = [&](const std::string& when) {
    EXPECT_EQ(index.size(), static_cast<int64_t>(oracle.vectors().size()));
    constexpr size_t kSizes[] = {12, 1, 60, 3};
    for (size_t size : std::span(kSizes).first(param.queries)) {
      const Vector query = generator.Make(size);
      for (size_t limit : {size_t{1}, size_t{10}, size_t{500}, param.slots * 2}) {
        ExpectEqual(oracle.Search(query, limit, nullptr), Search(index, query, limit),
                    when + ", query of " + std::to_string(size));
        if (testing::Test::HasFatalFailure()) return;
      }
      for (double selectivity : {0.0, 0.0005, 0.01, 0.2, 0.7, 1.0}) {
        // Some words fewer, or more, than there are slots.
        const size_t bits = generator.Below(2) == 0 ? slot * 7 / 8 : slot + 300;
        const std::vector<uint64_t> accept = RandomBits(bits, selectivity, size);
        for (size_t limit : {1, 25}) {
          ExpectEqual(oracle.Search(query, limit, &accept), Search(index, query, limit, &accept),
                      when + ", selectivity " + std::to_string(selectivity));
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    }
    const Vector query = generator.Make(20);
    size_t asked = 0;
    for (Slot one = 0; one <= slot && asked < 3000; one += 1 + slot / 3000, ++asked) {
      float expected;
      const auto it = oracle.vectors().find(one);
      ASSERT_EQ(index.Contains(one), it != oracle.vectors().end());
      const std::optional<float> score = index.Score(one, query.indices, query.values);
      if (it == oracle.vectors().end() || !Oracle::Score(query, it->second, &expected)) {
        ASSERT_EQ(score, std::nullopt);
      } else {
        ASSERT_EQ(score, expected);
      }
    }
  };
  check("all");
  // Removed at random, and then all of the first half.
  std::vector<Slot> slots;
  for (const auto& [one, vector] : oracle.vectors()) slots.push_back(one);
  for (Slot one : slots) {
    if (generator.Below(3) != 0) continue;
    index.Remove(one);
    index.Remove(one);
    oracle.Remove(one);
  }
  if (HasFatalFailure()) return;
  check("a third removed");
  for (size_t i = 0; i < slots.size() / 2; ++i) {
    index.Remove(slots[i]);
    oracle.Remove(slots[i]);
  }
  EXPECT_LT(index.postings(), postings * 7 / 10);
  for (size_t i = 0; i < 100; ++i) {
    slot += static_cast<Slot>(1 + generator.Below(param.stride));
    Vector vector = generator.Make(param.size);
    Add(&index, slot, vector);
    oracle.Add(slot, std::move(vector));
  }
  if (HasFatalFailure()) return;
  check("first half removed");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SparseIndexRandomTest,
    testing::Values(RandomCase{1, Generator::kPositive, 12'000, 800, 40, 1, 4},
                    RandomCase{2, Generator::kSigned, 12'000, 3000, 30, 1, 4},
                    RandomCase{3, Generator::kSmallInts, 12'000, 300, 15, 1, 4},
                    RandomCase{4, Generator::kSmallInts, 4000, 50'000, 30, 25, 4},
                    RandomCase{5, Generator::kSigned, 3000, 200, 10, 300, 4},
                    RandomCase{6, Generator::kPositive, 100'000, 20'000, 6, 1, 1}),
    [](const testing::TestParamInfo<RandomCase>& param) {
      return "Seed" + std::to_string(param.param.seed);
    });

// All vectors removed: nothing is left but the bits of pages in use.
TEST(SparseIndexTest, MemoryComesBack) {
  Generator generator(11, 5000, Generator::kPositive);
  SparseIndex index;
  for (Slot slot = 0; slot < 20'000; ++slot) Add(&index, slot, generator.Make(30));
  const int64_t full = index.MemoryBytes();
  EXPECT_LT(full, index.postings() * 12);
  for (Slot slot = 0; slot < 20'000; ++slot) index.Remove(slot);
  EXPECT_EQ(index.size(), 0);
  EXPECT_EQ(index.postings(), 0);
  EXPECT_EQ(index.lists(), 0);
  EXPECT_LT(index.MemoryBytes(), full / 5);
}

// Vectors replaced many times over, with indices that come and go.
TEST(SparseIndexTest, MemoryIsBoundedUnderChurn) {
  constexpr Slot kLive = 2000;
  Generator generator(12, 2000, Generator::kPositive);
  SparseIndex index;
  Oracle oracle;
  int64_t fresh = 0;
  for (Slot slot = 0; slot < 100'000; ++slot) {
    Vector vector = generator.Make(20);
    // Indices of a time: they must not stay behind when their vectors go.
    for (uint32_t& one : vector.indices) one = one / 2 + (slot / 5000) * 100'000'000;
    Add(&index, slot, vector);
    oracle.Add(slot, std::move(vector));
    if (slot < kLive) {
      fresh = index.MemoryBytes();
      continue;
    }
    index.Remove(slot - kLive);
    oracle.Remove(slot - kLive);
    ASSERT_LE(index.MemoryBytes(), fresh * 2 + 300'000) << slot;
    ASSERT_EQ(index.size(), kLive);
    if (slot % 9973 != 0) continue;
    const Vector& query = oracle.vectors().at(slot - 17);
    ExpectEqual(oracle.Search(query, 50, nullptr), Search(index, query, 50), "churn");
  }
}

TEST(SparseIndexTest, BoundsSkipWindows) {
  SparseIndex index;
  // The best vectors come first, in one window; the index is in all of them.
  for (Slot slot = 0; slot < 50'000; ++slot) {
    Add(&index, slot, {{3, 4}, {slot < 1000 ? 5.0f : 1.0f, slot % 2 == 0 ? 1.0f : -1.0f}});
  }
  SparseSearchStats stats;
  const std::vector<SlotHit> hits = Search(index, {{3, 4}, {1, 0.5f}}, 10, nullptr, &stats);
  EXPECT_EQ(hits.front().score, 5.5f);
  EXPECT_EQ(hits.back().slot, 18u);
  EXPECT_EQ(stats.lists, 2);
  EXPECT_EQ(stats.windows, 13);
  EXPECT_EQ(stats.windows_skipped, 12);
  EXPECT_EQ(stats.postings, 8192);
  // A filter that accepts few: looked up, not added up.
  std::vector<uint64_t> accept(800);
  accept[100] = 1;
  accept[700] = 3;
  ExpectEqual({{6400, 1.5}, {44'800, 1.5}, {44'801, 0.5}},
              Search(index, {{3, 4}, {1, 0.5f}}, 10, &accept, &stats), "filtered");
  EXPECT_EQ(stats.windows, 2);
  EXPECT_EQ(stats.postings, 0);
  EXPECT_EQ(stats.lookups, 6);
}

TEST(SparseIndexTest, LargestQuery) {
  std::mt19937_64 random(5);
  SparseIndex index;
  Oracle oracle;
  auto make = [&random](size_t size) {
    Vector vector;
    uint32_t at = 0;
    for (size_t i = 0; i < size; ++i) {
      vector.indices.push_back(at += static_cast<uint32_t>(1 + random() % 3));
      vector.values.push_back(std::normal_distribution<float>()(random));
    }
    return vector;
  };
  for (Slot slot = 0; slot < 60; ++slot) {
    Vector vector = make(slot % 7 == 0 ? 65'536 : 100);
    Add(&index, slot, vector);
    oracle.Add(slot, std::move(vector));
  }
  const Vector query = make(65'536);
  ExpectEqual(oracle.Search(query, 20, nullptr), Search(index, query, 20), "largest");
}

SlotBits Here(const SparseIndex& index) {
  SlotBits slots(index.end());
  for (Slot slot = 0; slot < index.end(); ++slot) {
    if (index.Contains(slot)) slots.Set(slot);
  }
  return slots;
}

std::vector<std::string> Save(const SparseIndex::Snapshot& snapshot) {
  std::vector<std::string> parts;
  const absl::Status status = snapshot.Save([&parts](std::string_view part) {
    parts.emplace_back(part);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return parts;
}
std::vector<std::string> Save(const SparseIndex& index) {
  return Save(*index.TakeSnapshot(Here(index)));
}

absl::Status Load(SparseIndex* index, Slot slots, const std::vector<std::string>& parts) {
  size_t at = 0;
  return index->Load(slots, [&]() -> absl::StatusOr<std::string_view> {
    return at < parts.size() ? std::string_view(parts[at++]) : std::string_view();
  });
}

TEST(SparseIndexTest, SavedLoadedAndCopied) {
  Generator generator(21, 500, Generator::kSigned);
  SparseIndex index;
  Oracle oracle;
  std::vector<Vector> vectors;
  for (Slot slot = 0; slot < 150'000; ++slot) {
    vectors.push_back(generator.Make(8));
    Add(&index, slot, vectors.back());
  }
  // What stays is numbered anew, in its order.
  Slot kept = 0;
  for (Slot slot = 0; slot < 150'000; ++slot) {
    if (slot < 70'000 && slot % 50 != 0) {
      index.Remove(slot);
    } else {
      oracle.Add(kept++, std::move(vectors[slot]));
    }
  }
  const auto snapshot = index.TakeSnapshot(Here(index));
  EXPECT_EQ(snapshot->count(), kept);
  EXPECT_EQ(snapshot->NumberOf(50), 1u);
  EXPECT_EQ(snapshot->NumberOf(149'999), kept - 1);
  const std::vector<std::string> parts = Save(*snapshot);
  EXPECT_GT(parts.size(), 5u);
  for (const std::string& part : parts) EXPECT_LT(part.size(), 2u << 20);
  SparseIndex loaded, copied;
  ASSERT_TRUE(Load(&loaded, kept, parts).ok());
  copied.Fill(*snapshot);
  for (SparseIndex* one : {&loaded, &copied}) {
    EXPECT_EQ(one->size(), index.size());
    EXPECT_EQ(one->end(), kept);
    EXPECT_EQ(Save(*one), parts);
    Add(one, kept, {{0}, {9}});
    one->Remove(100);
  }
  oracle.Add(kept, {{0}, {9}});
  oracle.Remove(100);
  for (int i = 0; i < 5; ++i) {
    const Vector query = generator.Make(10);
    ExpectEqual(oracle.Search(query, 100, nullptr), Search(loaded, query, 100), "loaded");
    ExpectEqual(oracle.Search(query, 100, nullptr), Search(copied, query, 100), "copied");
  }
  // An index without vectors, and one that had some.
  SparseIndex empty, from_empty;
  ASSERT_TRUE(Load(&from_empty, 0, Save(empty)).ok());
  EXPECT_EQ(from_empty.end(), 0u);
  Add(&empty, 9, {{1}, {1}});
  empty.Remove(9);
  SparseIndex from_emptied;
  ASSERT_TRUE(Load(&from_emptied, 0, Save(empty)).ok());
  EXPECT_EQ(from_emptied.end(), 0u);
  Add(&from_emptied, 0, {{1}, {1}});
  EXPECT_EQ(Search(from_emptied, {{1}, {1}}, 5).size(), 1u);
}

// The moment counts at which it is taken, whatever becomes of the index meanwhile.
TEST(SparseIndexTest, ASnapshotStaysAsItWas) {
  Generator generator(24, 200, Generator::kPositive);
  SparseIndex index;
  for (Slot slot = 0; slot < 20'000; ++slot) Add(&index, slot, generator.Make(6));
  for (Slot slot = 0; slot < 10'000; ++slot) index.Remove(slot);
  const auto snapshot = index.TakeSnapshot(Here(index));
  const std::vector<std::string> parts = Save(*snapshot);
  std::atomic<bool> done{false};
  std::thread saver([&] {
    // At least once while it changes, at least once afterwards.
    for (bool last = false; !last;) {
      last = done.load();
      EXPECT_EQ(Save(*snapshot), parts);
      SparseIndex copied;
      copied.Fill(*snapshot);
      EXPECT_EQ(copied.size(), 10'000);
    }
  });
  for (Slot slot = 20'000; slot < 60'000; ++slot) {
    Add(&index, slot, generator.Make(6));
    index.Remove(slot - 10'000);
  }
  done.store(true);
  saver.join();
}

TEST(SparseIndexTest, StopsWhenNobodyWaits) {
  Generator generator(25, 50, Generator::kPositive);
  SparseIndex index;
  for (Slot slot = 0; slot < 200'000; ++slot) Add(&index, slot, generator.Make(10));
  const Vector query = generator.Make(50);
  const auto postings = [&](const CallContext& context) {
    SparseSearchStats stats;
    index.Search(query.indices, query.values, 100'000, nullptr, 0, &stats, &context);
    return stats.postings;
  };
  CallContext context;
  const int64_t all = postings(context);
  EXPECT_GT(all, 1'000'000);
  context.Cancel();
  EXPECT_LT(postings(context), all / 10);
}

TEST(SparseIndexTest, ErrorsOfTheOwnerPassThrough) {
  SparseIndex index;
  Add(&index, 1, {{1}, {1}});
  const absl::Status full = absl::ResourceExhaustedError("full");
  EXPECT_EQ(index.TakeSnapshot(Here(index))->Save([&full](std::string_view) { return full; }),
            full);
  SparseIndex loaded;
  EXPECT_EQ(loaded.Load(1, [&full]() -> absl::StatusOr<std::string_view> { return full; }), full);
}

TEST(SparseIndexTest, DamageIsFoundOrHarmless) {
  Generator generator(22, 40, Generator::kPositive);
  SparseIndex index;
  for (Slot slot = 0; slot < 300; ++slot) Add(&index, slot * 2, generator.Make(4));
  const std::vector<std::string> parts = Save(index);
  ASSERT_EQ(parts.size(), 3u);
  const Vector query = generator.Make(40);
  auto load = [&](const std::vector<std::string>& damaged) {
    SparseIndex loaded;
    const absl::Status status = Load(&loaded, 300, damaged);
    const std::vector<SlotHit> hits = Search(loaded, query, 1000);
    if (!status.ok()) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      EXPECT_EQ(loaded.end(), 0u);
      EXPECT_EQ(loaded.size(), 0);
      EXPECT_EQ(loaded.postings(), 0);
      EXPECT_TRUE(hits.empty());
    } else {
      // What only changes weights, or names of lists, is for the owner's checksum.
      EXPECT_EQ(loaded.postings(), index.postings());
      EXPECT_EQ(loaded.size(), index.size());
    }
    return status.ok();
  };
  ASSERT_TRUE(load(parts));
  for (size_t i = 0; i < parts.size(); ++i) {
    std::vector<std::string> damaged = parts;
    damaged.erase(damaged.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_FALSE(load(damaged)) << "without part " << i;
    damaged = parts;
    damaged.insert(damaged.begin() + static_cast<ptrdiff_t>(i), parts[i]);
    EXPECT_FALSE(load(damaged)) << "part " << i << " twice";
    for (size_t size = 1; size < parts[i].size(); size += 1 + parts[i].size() / 500) {
      damaged = parts;
      damaged[i].resize(size);
      EXPECT_FALSE(load(damaged)) << "part " << i << " cut to " << size;
    }
  }
  std::mt19937_64 random(23);
  for (int i = 0; i < 3000; ++i) {
    std::vector<std::string> damaged = parts;
    std::string& part = damaged[random() % parts.size()];
    part[random() % part.size()] ^= static_cast<char>(1 << random() % 8);
    load(damaged);
  }
}

// One thread adds and removes while others search. Every vector has the same two
// indices, far apart in the index, whose weights add up to its score only together.
TEST(SparseIndexTest, SearchesSeeVectorsWhole) {
  constexpr Slot kSlots = 30'000;
  constexpr Slot kLive = 3000;
  SparseIndex index;
  std::atomic<Slot> added{0};
  std::atomic<bool> done{false};
  std::atomic<int> searches{0};
  auto read = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::vector<uint32_t> indices = {1, 1'000'000};
    const std::vector<float> values = {1, 1};
    // At least some, even where the writer is done at once.
    for (int i = 0; i < 20 || !done.load(std::memory_order_relaxed); ++i) {
      searches.fetch_add(1, std::memory_order_relaxed);
      const Slot before = added.load(std::memory_order_acquire);
      std::vector<uint64_t> accept;
      if (random() % 2 == 0) accept = RandomBits(before + 64, random() % 2 == 0 ? 0.01 : 0.6, i);
      const bool all = random() % 2 == 0;
      const std::vector<SlotHit> hits =
          index.Search(indices, values, all ? 2 * kLive : 10,
                       accept.empty() ? nullptr : accept.data(), accept.size(), nullptr);
      const Slot after = added.load(std::memory_order_acquire);
      std::vector<bool> found(kSlots + 1);
      for (const SlotHit& hit : hits) {
        ASSERT_EQ(hit.score, static_cast<float>(hit.slot % 1000 + 1000));
        found[hit.slot] = true;
      }
      for (size_t j = 1; j < hits.size(); ++j) {
        ASSERT_TRUE(hits[j - 1].score > hits[j].score ||
                    (hits[j - 1].score == hits[j].score && hits[j - 1].slot < hits[j].slot));
      }
      if (!all || !accept.empty()) continue;
      // What was there before the search and after it must be found.
      for (Slot slot = after > kLive ? after - kLive : 0; slot < before; ++slot) {
        ASSERT_TRUE(found[slot]) << slot;
        const std::optional<float> score = index.Score(slot, indices, values);
        ASSERT_EQ(score.value_or(slot % 1000 + 1000.0f), static_cast<float>(slot % 1000 + 1000));
      }
    }
  };
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 3; ++i) readers.emplace_back(read, i);
  for (Slot slot = 0; slot < kSlots; ++slot) {
    // Exact in float, and neither part has the sum's value.
    const float part = static_cast<float>(slot % 7) * 100;
    const uint32_t own = 2 + slot % 5000;
    index.Add(slot, std::vector<uint32_t>{1, own, 1'000'000},
              std::vector<float>{part - 3000, 1, static_cast<float>(slot % 1000) + 4000 - part});
    added.store(slot + 1, std::memory_order_release);
    if (slot >= kLive) index.Remove(slot - kLive);
  }
  done.store(true, std::memory_order_relaxed);
  for (std::thread& reader : readers) reader.join();
  EXPECT_GE(searches.load(), 60);
  EXPECT_EQ(index.size(), kLive);
}

}  // namespace
}  // namespace cookix::engine
