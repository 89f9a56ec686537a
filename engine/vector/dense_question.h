// What DenseIndex knows of a search while it answers it.
#ifndef COOKIX_ENGINE_VECTOR_DENSE_QUESTION_H_
#define COOKIX_ENGINE_VECTOR_DENSE_QUESTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/vector/dense_index.h"
#include "engine/vector/near_kernels.h"
#include "engine/vector/scan_pool.h"
#include "engine/vector/sketches.h"

namespace cookix::engine {

// The least and the most that the distance of an object may be, as on the wire.
struct DenseIndex::ObjectBounds {
  double least = 0;
  double most = 0;
  size_t vectors = 0;
};

// One search under way. A thread keeps it for its next search, for the memory that it has.
struct DenseIndex::Question {
  const VectorSearch* search = nullptr;
  const CallContext* context = nullptr;
  const ReadStored* stored = nullptr;
  VectorSearchResult* result = nullptr;
  uint64_t commit = 0;
  size_t limit = 0;
  size_t ef = 0;
  bool graph_wanted = false;
  // Of several vectors of an object, the mean of their distances counts.
  bool mean = false;

  // Which the query is prepared for.
  const VectorStorage* storage = nullptr;
  PreparedQuery query;
  std::vector<float> values;

  // Of one round: so many are wanted by their codes, and with those that their codes do not
  // tell from them at most `want`; of what sketches found, all of those.
  size_t near = 0;
  size_t want = 0;
  ScanPool pool;
  // Whether what a filter lets through may be searched by sketches; then something was left out.
  bool may_sketch = false;
  bool left_out = false;
  // To be told what was found.
  std::shared_ptr<SketchedMatches> trial;
  SketchQuery sketch;
  Sketches::Scratch sketched;
  std::vector<float> distances;
  // The same of some that tell how near the nearest are.
  std::vector<float> nearest;
  // Of groups of these (BoundOfMany).
  std::vector<float> least;
  std::vector<Range> tail;
  // What is not among the candidates yet: so many of sketched.near, which also takes what was
  // found without sketches, and their distances by code.
  size_t unordered = 0;
  // What may be a hit: ascending by the best distance there is without reading what is stored.
  std::vector<Candidate> candidates;
  // There was more.
  bool truncated = false;
  // Of what there was at the reader's commit and lives, fewer were found than wanted.
  bool lacks = false;
  // Since `commit`, and the slots that it was about.
  std::vector<SlotTable::Change> changes;
  std::unordered_set<Slot> born;
  std::unordered_set<Slot> died;
  // Where the vectors of an object begin; with `mean`.
  std::unordered_map<Ordinal, Slot> firsts;
  std::unordered_set<Ordinal> seen;
  // Of an exact search where objects have several vectors: how near each may be.
  std::unordered_map<Ordinal, ObjectBounds> bounds;

  // `distances`, with room for so many and for kernels to go on behind them.
  float* DistancesFor(size_t count) {
    if (distances.size() < count + kNearLanes) distances.resize(count + kNearLanes);
    return distances.data();
  }
  // sketched.near, the same.
  uint32_t* NumbersFor(size_t count) {
    std::vector<uint32_t>& numbers = sketched.near;
    if (numbers.size() < count + kNearLanes) numbers.resize(count + kNearLanes);
    return numbers.data();
  }

  const VectorCodec& codec() const { return storage->codec(); }
  // Whether all that may be found was looked at, and not what a graph leads to.
  bool scanned() const { return result->strategy == "scan" || result->strategy == "sketch"; }
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_DENSE_QUESTION_H_
