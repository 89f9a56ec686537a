// What DenseIndex keeps of its vectors while they are few.
#ifndef COOKIX_ENGINE_VECTOR_SLOT_SKETCHES_H_
#define COOKIX_ENGINE_VECTOR_SLOT_SKETCHES_H_

#include <cstddef>

#include "engine/vector/dense_index.h"
#include "engine/vector/sketches.h"

namespace cookix::engine {

struct DenseIndex::SlotSketches {
  // By slot.
  Sketches sketches;
  // For each candidate that a search asks for, so many are compared by codes.
  size_t width = 0;
  // Of the greatest scale among them.
  CodeParams widest;
  // Of what came since the centres were learned (Sketches::WriteScratch).
  double strain = 0;

  // What part of the sketches is looked at for so many of the nearest.
  static double PartFor(size_t nearest, size_t sketches) {
    return static_cast<double>(kLookedAt * nearest) / static_cast<double>(sketches + 1);
  }
  // About so many times as many sketches as candidates are wanted: then what is passed over holds
  // about as much of what is nearest as what the candidates miss.
  static constexpr size_t kLookedAt = 34;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_SKETCHES_H_
