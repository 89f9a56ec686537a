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
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_SLOT_SKETCHES_H_
