// A fixed random rotation: spreads what a vector holds evenly over its components.
#ifndef COOKIX_ENGINE_VECTOR_ROTATION_H_
#define COOKIX_ENGINE_VECTOR_ROTATION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cookix::engine {

// Random signs and Hadamard transforms in turn, in n log n steps. Where `size` is no power
// of two, transforms of the first and of the last components overlap. The signs are the
// same for ever: what was saved depends on them. Immutable, thread-safe.
class Rotation {
 public:
  // At least 1 component.
  explicit Rotation(size_t size);

  size_t size() const { return size_; }
  // Keeps lengths and inner products.
  void Apply(float* values) const;

 private:
  const size_t size_;
  // The greatest power of two that is not above size_.
  size_t part_ = 1;
  int rounds_ = 0;
  // Signs, for every round; and for what it transforms the scale that keeps lengths.
  std::vector<float> factors_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_ROTATION_H_
