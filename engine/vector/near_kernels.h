// Inner loops that find which of many distances are the least, in the best instructions that the
// processor has. Without a branch that depends on where these are: that cannot be foreseen.
#ifndef COOKIX_ENGINE_VECTOR_NEAR_KERNELS_H_
#define COOKIX_ENGINE_VECTOR_NEAR_KERNELS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cookix::engine {

// Kernels take so many values at a time.
inline constexpr size_t kNearLanes = 16;
// Values of which kernels tell the least of every kNearLanes-th.
inline constexpr size_t kNearGroup = kNearLanes * kNearLanes;

// No value is NaN.
struct NearKernels {
  // As Kernels::name.
  const char* name = nullptr;

  // least[kNearLanes * g + i] is the least of the values of the g-th kNearGroup whose number is i
  // modulo kNearLanes.
  void (*least)(const float* values, size_t groups, float* least) = nullptr;
  // So that at least `count` of `n` values are at most as much, and not many more unless these are
  // equal or lie closely next to how far others are: at most the greatest that is not infinite, or
  // infinity less than that where there is none. REQUIRES: n is a multiple of kNearLanes.
  float (*bound)(const float* values, size_t n, size_t count) = nullptr;
  // The places of those of `n` values that are at most `bound`; returns how many. REQUIRES: n is
  // a multiple of kNearLanes; `at` has room for n.
  size_t (*find_near)(const float* values, size_t n, float bound, uint32_t* at) = nullptr;
  // Leaves of `n` values and their numbers, in their order, those with values of at most `bound`;
  // returns how many. REQUIRES: n is a multiple of kNearLanes.
  size_t (*keep_near)(float* values, uint32_t* numbers, size_t n, float bound) = nullptr;
};

// Puts infinite values behind `n` of them, up to a multiple of kNearLanes; returns that. There is
// room for them.
size_t FillLanes(float* values, size_t n);

// NearKernels::bound() in less time where `count` are few of them. `room` is kept for the next
// one.
float BoundOfMany(const NearKernels& kernels, const float* values, size_t n, size_t count,
                  std::vector<float>* room);

// The best table for this processor. Thread-safe.
const NearKernels& BestNearKernels();

// All tables that this processor can run, the plain one (no vector instructions) first.
// For tests.
std::vector<NearKernels> AllNearKernels();

// Leaves of `count` distances, and the numbers of what they are of, at least the `near` least of
// them and what may be as near if each is wrong by `of_scale` times its scale, which is at most
// `widest`; returns how many. There is room for FillLanes() in both; `room` is as BoundOfMany() has
// it.
template <typename ScaleOf>
size_t KeepNear(size_t near, float of_scale, float widest, const ScaleOf& scale_of, size_t count,
                float* distances, uint32_t* numbers, std::vector<float>* room) {
  if (count <= near) return count;
  const NearKernels& kernels = BestNearKernels();
  const size_t end = FillLanes(distances, count);
  // That the bound is wrong, too, is made up for by what it lets through beyond `near`.
  float bound = BoundOfMany(kernels, distances, end, near, room);
  // Beyond what floats hold none is nearer than another.
  if (!std::isfinite(bound + of_scale * widest)) return count;
  size_t within = kernels.keep_near(distances, numbers, end, bound + of_scale * widest);
  if (within > 2 * near) {
    // That of groups is wide where what is near lies side by side.
    const size_t nearer = FillLanes(distances, within);
    bound = std::min(bound, kernels.bound(distances, nearer, near));
    within = kernels.keep_near(distances, numbers, nearer, bound + of_scale * widest);
  }
  if (of_scale == 0) return within;
  size_t kept = 0;
  for (size_t i = 0; i < within; ++i) {
    const bool near_enough = distances[i] <= bound + of_scale * scale_of(numbers[i]);
    numbers[kept] = numbers[i];
    distances[kept] = distances[i];
    kept += near_enough ? 1 : 0;
  }
  return kept;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VECTOR_NEAR_KERNELS_H_
