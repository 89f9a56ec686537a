// A dense index beside what it should hold, for its tests.
#ifndef COOKIX_ENGINE_VECTOR_DENSE_INDEX_WORLD_H_
#define COOKIX_ENGINE_VECTOR_DENSE_INDEX_WORLD_H_

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/vector/dense_index.h"
#include "engine/vector/exact_distance.h"
#include "gtest/gtest.h"

namespace cookix::engine {

inline v1::VectorField Field(int dimension, v1::VectorMetric metric, v1::VectorIndexKind kind,
                             v1::VectorQuantization quantization) {
  v1::VectorField field;
  field.set_name("v");
  field.set_dimension(dimension);
  field.set_metric(metric);
  field.set_index(kind);
  field.set_quantization(quantization);
  field.set_aggregate(v1::VECTOR_AGGREGATE_MAX);
  field.mutable_hnsw()->set_m(16);
  field.mutable_hnsw()->set_ef_construction(100);
  field.mutable_hnsw()->set_ef_search(64);
  return field;
}

class Set : public OrdinalSet {
 public:
  explicit Set(std::set<Ordinal> ordinals) : ordinals_(std::move(ordinals)) {}
  bool Contains(Ordinal ordinal) const override { return ordinals_.count(ordinal) > 0; }
  uint64_t Count() const override { return ordinals_.size(); }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    for (const Ordinal ordinal : ordinals_) each(ordinal);
  }

 private:
  const std::set<Ordinal> ordinals_;
};

// An index and what it should hold. It has a graph from the first vector on that makes one
// worth its while, unless it may go without.
class World {
 public:
  World(v1::VectorField field, uint64_t seed, std::optional<size_t> most_sketched = 0)
      : index_(field, most_sketched), rng_(seed) {
    if (field.dimension() == 0) return;
    for (int c = 0; c < 50; ++c) {
      std::vector<float> centre(static_cast<size_t>(field.dimension()));
      for (float& x : centre) x = normal_(rng_);
      centres_.push_back(std::move(centre));
    }
  }

  v1::Vector RandomVector(int count = 1) {
    const v1::VectorField& field = index_.field();
    v1::Vector vector;
    for (int i = 0; i < count; ++i) {
      const std::vector<float>& centre = centres_[rng_() % centres_.size()];
      if (field.metric() == v1::VECTOR_METRIC_HAMMING) {
        std::string bits((static_cast<size_t>(field.dimension()) + 7) / 8, '\0');
        for (size_t d = 0; d < centre.size(); ++d) {
          if (centre[d] + 0.6f * normal_(rng_) > 0) {
            bits[d / 8] = static_cast<char>(bits[d / 8] | 1 << (d % 8));
          }
        }
        vector.mutable_bits()->append(bits);
        continue;
      }
      for (const float x : centre) vector.add_values(10 + 3 * (x + 0.6f * normal_(rng_)));
    }
    return vector;
  }

  void Put(Ordinal ordinal, v1::Vector vector) {
    held_[ordinal] = std::move(vector);
    puts_.push_back(ordinal);
  }
  void Remove(Ordinal ordinal) {
    held_.erase(ordinal);
    puts_.push_back(ordinal);
  }
  void Commit() {
    std::vector<DenseIndex::Put> puts;
    for (const Ordinal ordinal : puts_) {
      const auto it = held_.find(ordinal);
      puts.push_back({ordinal, it == held_.end() ? nullptr : &it->second});
    }
    ASSERT_TRUE(index_.Apply(puts, ++commit_).ok());
    puts_.clear();
  }
  void Fill(Ordinal from, Ordinal to, int vectors = 1) {
    for (Ordinal ordinal = from; ordinal < to; ++ordinal) Put(ordinal, RandomVector(vectors));
    Commit();
  }
  void RemoveEach(Ordinal from, Ordinal to, Ordinal step = 1) {
    for (Ordinal ordinal = from; ordinal < to; ordinal += step) Remove(ordinal);
    Commit();
  }
  // Puts about half of them anew, and does all that there is to do then.
  void ReplaceSome(Ordinal from, Ordinal to) {
    for (Ordinal ordinal = from; ordinal < to; ++ordinal) {
      if (rng_() % 2 == 0) Put(ordinal, RandomVector());
    }
    Commit();
    IndexAll();
    while (index_.Maintain()) {
    }
  }
  void IndexAll() {
    std::thread second([&] {
      while (index_.IndexSome()) {
      }
    });
    while (index_.IndexSome()) {
    }
    second.join();
  }

  std::vector<VectorHit> Truth(const v1::Vector& query, size_t limit, const OrdinalSet* accept) {
    std::vector<VectorHit> hits;
    for (const auto& [ordinal, vector] : held_) {
      if (accept != nullptr && !accept->Contains(ordinal)) continue;
      hits.push_back({ordinal, ObjectDistance(index_.field(), vector, query)});
    }
    std::sort(hits.begin(), hits.end());
    if (hits.size() > limit) hits.resize(limit);
    return hits;
  }

  VectorSearch Asking(const v1::Vector& query, int64_t limit) {
    VectorSearch search;
    search.field = &index_.field();
    search.vector = &query;
    search.limit = limit;
    return search;
  }
  // By codes alone.
  absl::StatusOr<bool> SearchAt(uint64_t commit, const VectorSearch& search,
                                VectorSearchResult* result) {
    CallContext context;
    return index_.Search(
        context, search, commit, [](Ordinal, v1::Vector*) { return false; }, result);
  }
  VectorSearchResult Search(const v1::Vector& query, int64_t limit,
                            std::shared_ptr<const OrdinalSet> accept = nullptr, bool exact = false,
                            int64_t ef = 0) {
    VectorSearch search = Asking(query, limit);
    search.exact = exact;
    search.ef = ef;
    search.accept = std::move(accept);
    CallContext context;
    VectorSearchResult result;
    const auto answered = index_.Search(
        context, search, commit_,
        [&](Ordinal ordinal, v1::Vector* vector) -> absl::StatusOr<bool> {
          ++stored_read_;
          const auto it = held_.find(ordinal);
          if (it == held_.end()) return false;
          *vector = it->second;
          return true;
        },
        &result);
    EXPECT_TRUE(answered.ok() && *answered);
    return result;
  }

  // The share of the true nearest that searches find.
  double Recall(int queries, int64_t limit, std::shared_ptr<const OrdinalSet> accept = nullptr,
                int64_t ef = 0, const std::function<v1::Vector()>& make = nullptr) {
    size_t found = 0, wanted = 0;
    for (int i = 0; i < queries; ++i) {
      const v1::Vector query = make ? make() : RandomVector();
      const auto truth = Truth(query, static_cast<size_t>(limit), accept.get());
      const auto result = Search(query, limit, accept, false, ef);
      std::set<Ordinal> near;
      for (const VectorHit& hit : truth) near.insert(hit.ordinal);
      for (const VectorHit& hit : result.hits) found += near.count(hit.ordinal);
      wanted += truth.size();
      EXPECT_EQ(result.hits.size(), truth.size());
    }
    return static_cast<double>(found) / static_cast<double>(wanted);
  }

  DenseIndex index_;
  std::mt19937_64 rng_;
  std::normal_distribution<float> normal_;
  std::vector<std::vector<float>> centres_;
  std::map<Ordinal, v1::Vector> held_;
  std::vector<Ordinal> puts_;
  uint64_t commit_ = 0;
  int stored_read_ = 0;
};

inline void ExpectSame(const std::vector<VectorHit>& hits, const std::vector<VectorHit>& truth,
                       double tolerance) {
  ASSERT_EQ(hits.size(), truth.size());
  for (size_t i = 0; i < hits.size(); ++i) {
    EXPECT_EQ(hits[i].ordinal, truth[i].ordinal) << i;
    EXPECT_NEAR(hits[i].distance, truth[i].distance,
                tolerance * (1 + std::fabs(truth[i].distance)));
  }
}

// Threads that search and do what else they are given, over and over, until they are stopped.
class Beside {
 public:
  // Two search, as of the last commit; `stored` is what they read of the store.
  Beside(World& world, DenseIndex::ReadStored stored)
      : world_(world), stored_(std::move(stored)), commit_(world.commit_) {
    for (int i = 0; i < 16; ++i) queries_.push_back(world.RandomVector());
    for (size_t first : {0, 1}) {
      Repeat([this, next = first]() mutable { Search(queries_[next++ % queries_.size()]); });
    }
  }
  ~Beside() { Stop(); }
  void Repeat(std::function<void()> work) {
    threads_.emplace_back([this, work = std::move(work)] {
      while (!stop_.load()) work();
    });
  }
  void Commit() {
    world_.Commit();
    commit_.store(world_.commit_);
  }
  void Stop() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int64_t answered() const { return answered_.load(); }

 private:
  void Search(const v1::Vector& query) {
    CallContext context;
    VectorSearchResult result;
    const auto answer =
        world_.index_.Search(context, world_.Asking(query, 10), commit_.load(), stored_, &result);
    ASSERT_TRUE(answer.ok());
    if (!*answer) return;
    answered_.fetch_add(1);
    EXPECT_EQ(result.hits.size(), 10u);
  }

  World& world_;
  const DenseIndex::ReadStored stored_;
  std::vector<v1::Vector> queries_;
  std::atomic<uint64_t> commit_;
  std::atomic<int64_t> answered_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_DENSE_INDEX_WORLD_H_
