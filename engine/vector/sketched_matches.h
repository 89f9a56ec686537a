// Sketches of what a filter lets through, where they find as much as comparing all codes does.
#ifndef COOKIX_ENGINE_VECTOR_SKETCHED_MATCHES_H_
#define COOKIX_ENGINE_VECTOR_SKETCHED_MATCHES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/vector/code_copies.h"
#include "engine/vector/sketches.h"
#include "engine/vector/slot.h"
#include "engine/vector/vector_storage.h"

namespace cookix::engine {

// Sketches take much longer to make than copies of codes, so each search with the filter makes
// a part of them. Then some searches compare all codes as before, and what is nearest by these
// is looked for among what sketches find. Only where next to nothing is missed are sketches
// used from then on. Thread-safe.
class SketchedMatches {
 public:
  // Whether there may be any, for so many matches of such a codec.
  static bool Fit(const VectorCodec& codec, size_t matches);

  // REQUIRES: Fit().
  SketchedMatches(const VectorStorage& storage, std::shared_ptr<const CodeCopies> copies);

  const CodeCopies& copies() const { return *copies_; }
  int64_t Bytes() const { return bytes_.load(); }

  // Before a search that compares all codes: makes another part. Whether the search is a trial.
  bool Prepare();
  // After it: a query of so many candidates found these to be the nearest.
  void Try(const float* query, size_t ef, std::span<const Slot> nearest);

  // Whether to search by sketches.
  bool good() const { return good_.load(); }
  // Puts what is near into scratch.near, by slot; returns how many. REQUIRES: good().
  size_t FindNear(const float* query, size_t ef, SketchQuery* sketch,
                  Sketches::Scratch* scratch) const;

 private:
  // For good. REQUIRES: mutex_.
  void GiveUp();
  // About the `count` nearest, by slot.
  size_t Find(const float* query, size_t count, SketchQuery* sketch,
              Sketches::Scratch* scratch) const;

  const VectorStorage& storage_;
  const std::shared_ptr<const CodeCopies> copies_;
  const SketchCodec codec_;
  // Whoever has it makes a part, or tries.
  std::mutex mutex_;
  // Written under mutex_, until all are made.
  std::optional<Sketches> sketches_;
  size_t made_ = 0;        // guarded by mutex_
  size_t tried_ = 0;       // guarded by mutex_
  size_t missed_ = 0;      // guarded by mutex_
  size_t looked_for_ = 0;  // guarded by mutex_
  std::atomic<bool> given_up_{false};
  std::atomic<bool> good_{false};
  std::atomic<int64_t> bytes_{0};
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SKETCHED_MATCHES_H_
