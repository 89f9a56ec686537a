#include "engine/vector/rotation.h"

#include <cmath>

namespace cookix::engine {
namespace {

// The next of a fixed sequence of random numbers (splitmix64).
uint64_t NextRandom(uint64_t* state) {
  uint64_t x = *state += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Of a power of two of values, keeping their length.
void Hadamard(float* values, size_t n) {
  for (size_t half = 1; half < n; half *= 2) {
    for (size_t begin = 0; begin < n; begin += 2 * half) {
      for (size_t i = begin; i < begin + half; ++i) {
        const float a = values[i], b = values[i + half];
        values[i] = a + b;
        values[i + half] = a - b;
      }
    }
  }
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(n)));
  for (size_t i = 0; i < n; ++i) values[i] *= scale;
}

}  // namespace

Rotation::Rotation(size_t size) : size_(size) {
  while (part_ * 2 <= size_) part_ *= 2;
  rounds_ = part_ == size_ ? 2 : 4;
  uint64_t state = 0x636f6f6b69780000;
  signs_.resize(static_cast<size_t>(rounds_) * size_);
  for (float& sign : signs_) sign = (NextRandom(&state) >> 63) != 0 ? 1.0f : -1.0f;
}

void Rotation::Apply(float* values) const {
  for (int round = 0; round < rounds_; ++round) {
    const float* signs = signs_.data() + static_cast<size_t>(round) * size_;
    for (size_t i = 0; i < size_; ++i) values[i] *= signs[i];
    Hadamard(round % 2 == 0 ? values : values + (size_ - part_), part_);
  }
}

}  // namespace cookix::engine
