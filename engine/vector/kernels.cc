#include "engine/vector/kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/vector/kernel_tables.h"

#ifndef COOKIX_ENGINE_VECTOR_KERNELS_PLAIN_
#define COOKIX_ENGINE_VECTOR_KERNELS_PLAIN_
namespace cookix::engine {
namespace {

void PlainDotCodes(const uint8_t* const* codes, size_t count, const int8_t* query, size_t bytes,
                   int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    int32_t sum = 0;
    for (size_t d = 0; d < bytes; ++d) sum += int32_t{codes[i][d]} * int32_t{query[d]};
    out[i] = sum;
  }
}

void PlainLaneDistances(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                        size_t blocks, size_t bytes, float* out) {
  for (size_t b = 0; b < blocks; ++b, lanes += kLanes * bytes) {
    for (size_t i = 0; i < kLanes; ++i) {
      int32_t dot = 0;
      for (size_t d = 0; d < bytes; ++d) {
        const size_t four = d / kLaneBytes * kLanes + i;
        dot += int32_t{lanes[four * kLaneBytes + d % kLaneBytes]} * int32_t{query.code[d]};
      }
      out[b * kLanes + i] = query.Distance(dot, params[b].scales[i], params[b].norms[i]);
    }
  }
}

void PlainUpperDistances(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                         size_t blocks, size_t bytes, float* out) {
  for (size_t b = 0; b < blocks; ++b, lanes += kLanes * bytes / 2) {
    for (size_t i = 0; i < kLanes; ++i) {
      int32_t dot = 0;
      for (size_t d = 0; d < bytes; ++d) {
        const size_t four = d / (2 * kLaneBytes) * kLanes + i;
        const uint8_t both = lanes[four * kLaneBytes + d % kLaneBytes];
        const int upper = d % (2 * kLaneBytes) < kLaneBytes ? both & 15 : both >> kHalfBits;
        dot += 16 * upper * query.code[d];
      }
      out[b * kLanes + i] = query.Distance(dot, params[b].scales[i], params[b].norms[i]);
    }
  }
}

void PlainLowerDots(const uint8_t* lower, const uint32_t* numbers, size_t count,
                    const int8_t* query, size_t bytes, int32_t* out) {
  const size_t half = bytes / 2;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* const both = lower + numbers[i] * half;
    out[i] = 0;
    for (size_t d = 0; d < half; ++d) {
      out[i] += (both[d] & 15) * query[d] + (both[d] >> kHalfBits) * query[half + d];
    }
  }
}

float PlainDot(const float* a, const float* b, size_t n) {
  float sum = 0;
  for (size_t d = 0; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

float PlainSquaredL2(const float* a, const float* b, size_t n) {
  float sum = 0;
  for (size_t d = 0; d < n; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

double PlainSquares(const float* x, size_t n) {
  double sum = 0;
  for (size_t d = 0; d < n; ++d) sum += static_cast<double>(x[d]) * x[d];
  return sum;
}

void PlainSubtract(const float* a, const float* b, size_t n, float* out) {
  for (size_t d = 0; d < n; ++d) out[d] = a[d] - b[d];
}

void PlainMultiply(float factor, size_t n, float* x) {
  for (size_t d = 0; d < n; ++d) x[d] *= factor;
}

float PlainDotRefined(const uint8_t* code, const uint8_t* residual, const float* query, size_t n) {
  float sum = 0;
  for (size_t d = 0; d < n; ++d) {
    sum += query[d] * static_cast<float>(254 * (code[d] - 128) + (residual[d] - 128));
  }
  return sum;
}

float PlainQuantize(const float* x, size_t n, int8_t* steps, int32_t* sum) {
  float greatest = 0;
  for (size_t d = 0; d < n; ++d) greatest = std::max(greatest, std::fabs(x[d]));
  const float step = greatest / 127;
  // Beside the least of floats the inverse is infinite.
  const float inverse = step > 0 ? std::min(1 / step, std::numeric_limits<float>::max()) : 0;
  *sum = 0;
  for (size_t d = 0; d < n; ++d) {
    const float rounded = std::nearbyint(std::clamp(x[d] * inverse, -127.0f, 127.0f));
    steps[d] = static_cast<int8_t>(rounded);
    *sum += steps[d];
  }
  return step;
}

int32_t PlainSignedCode(const uint8_t* code, size_t n, int8_t* out) {
  int32_t sum = 0;
  for (size_t d = 0; d < n; ++d) {
    out[d] = static_cast<int8_t>(code[d] - 128);
    sum += out[d];
  }
  return sum;
}

uint32_t PlainHamming(const uint8_t* a, const uint8_t* b, size_t bytes) {
  uint32_t count = 0;
  for (size_t i = 0; i < bytes; ++i) {
    count += static_cast<uint32_t>(std::popcount(static_cast<unsigned>(a[i] ^ b[i])));
  }
  return count;
}

void PlainDotBits(const uint8_t* const* codes, size_t count, const uint8_t* planes, size_t bytes,
                  int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    int32_t sum = 0;
    for (int p = 0; p < kPlanes; ++p) {
      const uint8_t* plane = planes + static_cast<size_t>(p) * bytes;
      int32_t set = 0;
      for (size_t at = 0; at < bytes; ++at) {
        set += std::popcount(static_cast<unsigned>(codes[i][at] & plane[at]));
      }
      // The highest bit counts as less than zero.
      sum += p + 1 < kPlanes ? set * (1 << p) : -set * (1 << p);
    }
    out[i] = sum;
  }
}

void PlainAffine256(const float* base, const float* columns, const float* x, float* out) {
  for (size_t k = 0; k < 256; ++k) {
    out[k] = base[k] + x[0] * columns[k] + x[1] * columns[256 + k] + x[2] * columns[512 + k] +
             x[3] * columns[768 + k];
  }
}

uint32_t PlainLeast256(const float* values) {
  uint32_t least = 0;
  for (uint32_t k = 1; k < 256; ++k) least = values[k] < values[least] ? k : least;
  return least;
}

float PlainQuadsL2(const float* query, const float* centroids, const uint8_t* code, size_t quads) {
  float sum = 0;
  for (size_t m = 0; m < quads; ++m) {
    const float* c = centroids + 4 * (256 * m + code[m]);
    for (size_t j = 0; j < 4; ++j) sum += (query[4 * m + j] - c[j]) * (query[4 * m + j] - c[j]);
  }
  return sum;
}

float PlainQuadsDot(const float* query, const float* centroids, const uint8_t* code, size_t quads) {
  float sum = 0;
  for (size_t m = 0; m < quads; ++m) {
    const float* c = centroids + 4 * (256 * m + code[m]);
    for (size_t j = 0; j < 4; ++j) sum += query[4 * m + j] * c[j];
  }
  return sum;
}

constexpr Kernels kPlain = {
    "plain",         PlainDotCodes, PlainLaneDistances, PlainUpperDistances, PlainLowerDots,
    PlainDot,        PlainSquares,  PlainSubtract,      PlainMultiply,       PlainSquaredL2,
    PlainDotRefined, PlainQuantize, PlainSignedCode,    PlainHamming,        PlainDotBits,
    PlainAffine256,  PlainLeast256, PlainQuadsL2,       PlainQuadsDot};

}  // namespace
}  // namespace cookix::engine
#endif  // COOKIX_ENGINE_VECTOR_KERNELS_PLAIN_

// The rest is compiled once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/vector/kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

// ---- inner products of codes ------------------------------------------------

int32_t DotCode(const uint8_t* code, const int8_t* query, size_t bytes) {
  const hn::ScalableTag<int16_t> d16;
  const hn::Repartition<int32_t, decltype(d16)> d32;
  const hn::Rebind<uint8_t, decltype(d16)> du8;
  const hn::Rebind<int8_t, decltype(d16)> di8;
  const size_t step = hn::Lanes(d16);
  auto sum0 = hn::Zero(d32);
  auto sum1 = hn::Zero(d32);
  for (size_t d = 0; d < bytes; d += step) {
    const auto c = hn::PromoteTo(d16, hn::LoadU(du8, code + d));
    const auto q = hn::PromoteTo(d16, hn::LoadU(di8, query + d));
    sum0 = hn::ReorderWidenMulAccumulate(d32, c, q, sum0, sum1);
  }
  return hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
}

void DotCodes(const uint8_t* const* codes, size_t count, const int8_t* query, size_t bytes,
              int32_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = DotCode(codes[i], query, bytes);
}

// The inner products of one block.
void DotLanes(const uint8_t* lanes, const int8_t* query, size_t bytes, int32_t* out) {
  static_assert(kLaneBytes == 4);
  const hn::CappedTag<int16_t, kLaneBytes * kLanes> d16;
  const hn::Repartition<int32_t, decltype(d16)> d32;
  const hn::Rebind<uint8_t, decltype(d16)> du8;
  const hn::Rebind<int8_t, decltype(d16)> di8;
  const hn::Repartition<int32_t, decltype(di8)> four;
  constexpr size_t kStep = kLaneBytes * kLanes;
  const size_t step = hn::Lanes(d16);
  for (size_t first = 0; first < kStep; first += step) {
    auto sum0 = hn::Zero(d32);
    auto sum1 = hn::Zero(d32);
    for (size_t d = 0; d < bytes; d += kLaneBytes) {
      int32_t word;
      std::memcpy(&word, query + d, kLaneBytes);
      const auto q = hn::PromoteTo(d16, hn::BitCast(di8, hn::Set(four, word)));
      const auto c = hn::PromoteTo(d16, hn::LoadU(du8, lanes + d * kLanes + first));
      sum0 = hn::ReorderWidenMulAccumulate(d32, c, q, sum0, sum1);
    }
    // Two sums beside each other are of one code.
    int32_t sums[kStep / 2];
    hn::StoreU(hn::RearrangeToOddPlusEven(sum0, sum1), d32, sums);
    for (size_t i = 0; i < step / kLaneBytes; ++i) {
      out[first / kLaneBytes + i] = sums[2 * i] + sums[2 * i + 1];
    }
  }
}

// The inner products of one block of upper halves.
void DotUpper(const uint8_t* lanes, const int8_t* query, size_t bytes, int32_t* out) {
  const hn::CappedTag<int16_t, kLaneBytes * kLanes> d16;
  const hn::Repartition<int32_t, decltype(d16)> d32;
  const hn::Rebind<uint8_t, decltype(d16)> du8;
  const hn::Rebind<int8_t, decltype(d16)> di8;
  const hn::Repartition<int32_t, decltype(di8)> four;
  constexpr size_t kStep = kLaneBytes * kLanes;
  const auto low = hn::Set(d16, 15);
  const size_t step = hn::Lanes(d16);
  const auto query_at = [&](size_t d) HWY_ATTR {
    int32_t word;
    std::memcpy(&word, query + d, kLaneBytes);
    return hn::PromoteTo(d16, hn::BitCast(di8, hn::Set(four, word)));
  };
  for (size_t first = 0; first < kStep; first += step) {
    auto sum0 = hn::Zero(d32);
    auto sum1 = hn::Zero(d32);
    for (size_t d = 0; d < bytes; d += 2 * kLaneBytes) {
      const auto both = hn::PromoteTo(d16, hn::LoadU(du8, lanes + d / 2 * kLanes + first));
      sum0 = hn::ReorderWidenMulAccumulate(d32, hn::And(both, low), query_at(d), sum0, sum1);
      sum0 = hn::ReorderWidenMulAccumulate(d32, hn::ShiftRight<kHalfBits>(both),
                                           query_at(d + kLaneBytes), sum0, sum1);
    }
    // Two sums beside each other are of one code.
    int32_t sums[kStep / 2];
    hn::StoreU(hn::RearrangeToOddPlusEven(sum0, sum1), d32, sums);
    for (size_t i = 0; i < step / kLaneBytes; ++i) {
      out[first / kLaneBytes + i] = 16 * (sums[2 * i] + sums[2 * i + 1]);
    }
  }
}

// The distances of `blocks` blocks, by the inner products that dot_block(b, dots) gives.
template <class DotBlock>
void BlockDistances(const LaneQuery& query, const LaneParams* params, size_t blocks, float* out,
                    const DotBlock& dot_block) {
  const hn::CappedTag<float, kLanes> df;
  const hn::RebindToSigned<decltype(df)> d32;
  const auto sum = hn::Set(d32, query.sum);
  const auto base = hn::Set(df, query.base);
  const auto norm_factor = hn::Set(df, query.norm_factor);
  const auto dot_factor = hn::Set(df, query.dot_factor);
  for (size_t b = 0; b < blocks; ++b, out += kLanes) {
    int32_t dots[kLanes];
    dot_block(b, dots);
    for (size_t i = 0; i < kLanes; i += hn::Lanes(df)) {
      const auto dot = hn::ConvertTo(df, hn::Sub(hn::LoadU(d32, dots + i), sum));
      const auto scale = hn::Mul(dot_factor, hn::LoadU(df, params[b].scales + i));
      const auto part = hn::MulAdd(norm_factor, hn::LoadU(df, params[b].norms + i), base);
      hn::StoreU(hn::NegMulAdd(scale, dot, part), df, out + i);
    }
  }
}

void LaneDistances(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                   size_t blocks, size_t bytes, float* out) {
  BlockDistances(query, params, blocks, out, [&](size_t b, int32_t* dots) HWY_ATTR {
    DotLanes(lanes + b * kLanes * bytes, query.code, bytes, dots);
  });
}

void UpperDistances(const LaneQuery& query, const uint8_t* lanes, const LaneParams* params,
                    size_t blocks, size_t bytes, float* out) {
  BlockDistances(query, params, blocks, out, [&](size_t b, int32_t* dots) HWY_ATTR {
    DotUpper(lanes + b * kLanes * bytes / 2, query.code, bytes, dots);
  });
}

void LowerDots(const uint8_t* lower, const uint32_t* numbers, size_t count, const int8_t* query,
               size_t bytes, int32_t* out) {
  // Half of a code is a multiple of so many bytes.
  const hn::CappedTag<int16_t, kCodeAlignment / 2> d16;
  const hn::Repartition<int32_t, decltype(d16)> d32;
  const hn::Rebind<uint8_t, decltype(d16)> du8;
  const hn::Rebind<int8_t, decltype(d16)> di8;
  const auto low = hn::Set(d16, 15);
  const size_t half = bytes / 2;
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* const code = lower + numbers[i] * half;
    auto sum0 = hn::Zero(d32);
    auto sum1 = hn::Zero(d32);
    for (size_t d = 0; d < half; d += hn::Lanes(d16)) {
      const auto both = hn::PromoteTo(d16, hn::LoadU(du8, code + d));
      const auto q0 = hn::PromoteTo(d16, hn::LoadU(di8, query + d));
      const auto q1 = hn::PromoteTo(d16, hn::LoadU(di8, query + half + d));
      sum0 = hn::ReorderWidenMulAccumulate(d32, hn::And(both, low), q0, sum0, sum1);
      sum0 = hn::ReorderWidenMulAccumulate(d32, hn::ShiftRight<kHalfBits>(both), q1, sum0, sum1);
    }
    out[i] = hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
  }
}

// ---- floats -----------------------------------------------------------------

float Dot(const float* a, const float* b, size_t n) {
  const hn::ScalableTag<float> df;
  const size_t step = hn::Lanes(df);
  auto s0 = hn::Zero(df), s1 = s0, s2 = s0, s3 = s0;
  size_t d = 0;
  for (; d + 4 * step <= n; d += 4 * step) {
    s0 = hn::MulAdd(hn::LoadU(df, a + d), hn::LoadU(df, b + d), s0);
    s1 = hn::MulAdd(hn::LoadU(df, a + d + step), hn::LoadU(df, b + d + step), s1);
    s2 = hn::MulAdd(hn::LoadU(df, a + d + 2 * step), hn::LoadU(df, b + d + 2 * step), s2);
    s3 = hn::MulAdd(hn::LoadU(df, a + d + 3 * step), hn::LoadU(df, b + d + 3 * step), s3);
  }
  for (; d + step <= n; d += step) {
    s0 = hn::MulAdd(hn::LoadU(df, a + d), hn::LoadU(df, b + d), s0);
  }
#if HWY_TARGET <= HWY_AVX3
  // What is masked is not read.
  if (d < n) {
    const auto last = hn::FirstN(df, n - d);
    s1 = hn::MulAdd(hn::MaskedLoad(last, df, a + d), hn::MaskedLoad(last, df, b + d), s1);
    d = n;
  }
#endif
  float sum = hn::GetLane(hn::SumOfLanes(df, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  for (; d < n; ++d) sum += a[d] * b[d];
  return sum;
}

void Subtract(const float* a, const float* b, size_t n, float* out) {
  const hn::ScalableTag<float> df;
  size_t d = 0;
  for (; d + hn::Lanes(df) <= n; d += hn::Lanes(df)) {
    hn::StoreU(hn::Sub(hn::LoadU(df, a + d), hn::LoadU(df, b + d)), df, out + d);
  }
#if HWY_TARGET <= HWY_AVX3
  // What is masked is neither read nor written. What is written in parts could not be read as one
  // vector at once.
  if (d < n) {
    const auto last = hn::FirstN(df, n - d);
    const auto left = hn::Sub(hn::MaskedLoad(last, df, a + d), hn::MaskedLoad(last, df, b + d));
    return hn::BlendedStore(left, last, df, out + d);
  }
#endif
  for (; d < n; ++d) out[d] = a[d] - b[d];
}

double Squares(const float* x, size_t n) {
  const hn::ScalableTag<double> d64;
  const hn::Rebind<float, decltype(d64)> d32;
  const size_t step = hn::Lanes(d64);
  auto s0 = hn::Zero(d64), s1 = s0;
  size_t d = 0;
  for (; d + 2 * step <= n; d += 2 * step) {
    const auto a = hn::PromoteTo(d64, hn::LoadU(d32, x + d));
    const auto b = hn::PromoteTo(d64, hn::LoadU(d32, x + d + step));
    s0 = hn::MulAdd(a, a, s0);
    s1 = hn::MulAdd(b, b, s1);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d64, hn::Add(s0, s1)));
  for (; d < n; ++d) sum += static_cast<double>(x[d]) * x[d];
  return sum;
}

void Multiply(float factor, size_t n, float* x) {
  const hn::ScalableTag<float> df;
  const auto factors = hn::Set(df, factor);
  size_t d = 0;
  for (; d + hn::Lanes(df) <= n; d += hn::Lanes(df)) {
    hn::StoreU(hn::Mul(factors, hn::LoadU(df, x + d)), df, x + d);
  }
#if HWY_TARGET <= HWY_AVX3
  if (d < n) {
    const auto last = hn::FirstN(df, n - d);
    return hn::BlendedStore(hn::Mul(factors, hn::MaskedLoad(last, df, x + d)), last, df, x + d);
  }
#endif
  for (; d < n; ++d) x[d] *= factor;
}

float SquaredL2(const float* a, const float* b, size_t n) {
  const hn::ScalableTag<float> df;
  const size_t step = hn::Lanes(df);
  auto s0 = hn::Zero(df), s1 = s0;
  size_t d = 0;
  for (; d + 2 * step <= n; d += 2 * step) {
    const auto x = hn::Sub(hn::LoadU(df, a + d), hn::LoadU(df, b + d));
    const auto y = hn::Sub(hn::LoadU(df, a + d + step), hn::LoadU(df, b + d + step));
    s0 = hn::MulAdd(x, x, s0);
    s1 = hn::MulAdd(y, y, s1);
  }
  for (; d + step <= n; d += step) {
    const auto x = hn::Sub(hn::LoadU(df, a + d), hn::LoadU(df, b + d));
    s0 = hn::MulAdd(x, x, s0);
  }
  float sum = hn::GetLane(hn::SumOfLanes(df, hn::Add(s0, s1)));
  for (; d < n; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  return sum;
}

float DotRefined(const uint8_t* code, const uint8_t* residual, const float* query, size_t n) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> d32;
  const hn::Rebind<uint8_t, decltype(df)> du8;
  const size_t step = hn::Lanes(df);
  // 254 * (c - 128) + (r - 128) = 254 c + r - 32640
  const auto k254 = hn::Set(d32, 254);
  const auto offset = hn::Set(d32, 255 * 128);
  auto s0 = hn::Zero(df), s1 = s0;
  size_t d = 0;
  const auto refined = [&](auto c, auto r) {
    const auto both = hn::Add(hn::Mul(hn::PromoteTo(d32, c), k254), hn::PromoteTo(d32, r));
    return hn::ConvertTo(df, hn::Sub(both, offset));
  };
  const auto term = [&](size_t at) {
    return refined(hn::LoadU(du8, code + at), hn::LoadU(du8, residual + at));
  };
  for (; d + 2 * step <= n; d += 2 * step) {
    s0 = hn::MulAdd(term(d), hn::LoadU(df, query + d), s0);
    s1 = hn::MulAdd(term(d + step), hn::LoadU(df, query + d + step), s1);
  }
  for (; d + step <= n; d += step) s0 = hn::MulAdd(term(d), hn::LoadU(df, query + d), s0);
#if HWY_TARGET <= HWY_AVX3
  // What is masked is not read.
  if (d < n) {
    const auto bytes = hn::FirstN(du8, n - d);
    const auto last =
        refined(hn::MaskedLoad(bytes, du8, code + d), hn::MaskedLoad(bytes, du8, residual + d));
    s1 = hn::MulAdd(last, hn::MaskedLoad(hn::FirstN(df, n - d), df, query + d), s1);
    d = n;
  }
#endif
  float sum = hn::GetLane(hn::SumOfLanes(df, hn::Add(s0, s1)));
  for (; d < n; ++d) {
    sum += query[d] * static_cast<float>(254 * code[d] + residual[d] - 255 * 128);
  }
  return sum;
}

float Quantize(const float* x, size_t n, int8_t* steps, int32_t* sum) {
  const hn::ScalableTag<float> df;
  const hn::RebindToSigned<decltype(df)> d32;
  const hn::Rebind<int16_t, decltype(df)> d16;
  const hn::Rebind<int8_t, decltype(df)> d8;
  const size_t step = hn::Lanes(df);
  auto most = hn::Zero(df);
  size_t d = 0;
  for (; d + step <= n; d += step) most = hn::Max(most, hn::Abs(hn::LoadU(df, x + d)));
  float greatest = hn::GetLane(hn::MaxOfLanes(df, most));
  for (; d < n; ++d) greatest = std::max(greatest, std::fabs(x[d]));
  const float scale = greatest / 127;
  const float inverse = scale > 0 ? std::min(1 / scale, std::numeric_limits<float>::max()) : 0;
  const auto factor = hn::Set(df, inverse);
  const auto least = hn::Set(df, -127.0f), greatest_step = hn::Set(df, 127.0f);
  auto sums = hn::Zero(d32);
  for (d = 0; d + step <= n; d += step) {
    const auto steps_of = hn::Mul(hn::LoadU(df, x + d), factor);
    const auto rounded = hn::NearestInt(hn::Clamp(steps_of, least, greatest_step));
    sums = hn::Add(sums, rounded);
    hn::StoreU(hn::DemoteTo(d8, hn::DemoteTo(d16, rounded)), d8, steps + d);
  }
  *sum = hn::GetLane(hn::SumOfLanes(d32, sums));
  for (; d < n; ++d) {
    steps[d] = static_cast<int8_t>(std::nearbyint(std::clamp(x[d] * inverse, -127.0f, 127.0f)));
    *sum += steps[d];
  }
  return scale;
}

// With vectors of D, from `begin` on; returns where the last ends. Adds the codes to `sum`.
template <class D>
HWY_INLINE size_t SignCodes(D d8, const uint8_t* code, size_t begin, size_t n, int8_t* out,
                            uint64_t* sum) {
  const hn::Repartition<uint64_t, D> d64;
  const hn::RebindToSigned<D> di8;
  const auto middle = hn::Set(d8, uint8_t{128});
  auto sums = hn::Zero(d64);
  for (; begin + hn::Lanes(d8) <= n; begin += hn::Lanes(d8)) {
    const auto c = hn::LoadU(d8, code + begin);
    sums = hn::Add(sums, hn::SumsOf8(c));
    hn::StoreU(hn::BitCast(di8, hn::Xor(c, middle)), di8, out + begin);
  }
  *sum += hn::GetLane(hn::SumOfLanes(d64, sums));
  return begin;
}

int32_t SignedCode(const uint8_t* code, size_t n, int8_t* out) {
  uint64_t sum = 0;
  size_t d = SignCodes(hn::ScalableTag<uint8_t>(), code, 0, n, out, &sum);
  d = SignCodes(hn::CappedTag<uint8_t, 16>(), code, d, n, out, &sum);
  for (; d < n; ++d) {
    out[d] = static_cast<int8_t>(code[d] - 128);
    sum += code[d];
  }
  return static_cast<int32_t>(sum) - 128 * static_cast<int32_t>(n);
}

// ---- bits -------------------------------------------------------------------

// The processor counts the bits of a word in one instruction; several at a time keep it busy.
uint32_t Hamming(const uint8_t* a, const uint8_t* b, size_t bytes) {
  const auto word = [&](size_t at) {
    uint64_t x, y;
    std::memcpy(&x, a + at, 8);
    std::memcpy(&y, b + at, 8);
    return static_cast<uint64_t>(std::popcount(x ^ y));
  };
  uint64_t counts[4] = {0, 0, 0, 0};
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    counts[0] += word(i);
    counts[1] += word(i + 8);
    counts[2] += word(i + 16);
    counts[3] += word(i + 24);
  }
  uint64_t count = counts[0] + counts[1] + counts[2] + counts[3];
  for (; i + 8 <= bytes; i += 8) count += word(i);
  for (; i < bytes; ++i) {
    count += static_cast<uint64_t>(std::popcount(static_cast<unsigned>(a[i] ^ b[i])));
  }
  return static_cast<uint32_t>(count);
}

void DotBits(const uint8_t* const* codes, size_t count, const uint8_t* planes, size_t bytes,
             int32_t* out) {
  const hn::CappedTag<uint64_t, 4> d64;
  const hn::Repartition<uint8_t, decltype(d64)> d8;
  const size_t step = hn::Lanes(d8);
  for (size_t i = 0; i < count; ++i) {
    auto sum = hn::Zero(d64);
    auto high = hn::Zero(d64);
    for (size_t at = 0; at < bytes; at += step) {
      const auto code = hn::LoadU(d8, codes[i] + at);
      const auto set = [&](int p) {
        const auto plane = hn::LoadU(d8, planes + static_cast<size_t>(p) * bytes + at);
        return hn::PopulationCount(hn::BitCast(d64, hn::And(code, plane)));
      };
      static_assert(kPlanes == 4);
      sum = hn::Add(sum, set(0));
      sum = hn::Add(sum, hn::ShiftLeft<1>(set(1)));
      sum = hn::Add(sum, hn::ShiftLeft<2>(set(2)));
      high = hn::Add(high, set(3));
    }
    sum = hn::Sub(sum, hn::ShiftLeft<3>(high));
    out[i] = static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(d64, sum)));
  }
}

// ---- centroids of four components -------------------------------------------

void Affine256(const float* base, const float* columns, const float* x, float* out) {
  const hn::CappedTag<float, 16> df;
  const size_t step = hn::Lanes(df);
  const auto x0 = hn::Set(df, x[0]), x1 = hn::Set(df, x[1]);
  const auto x2 = hn::Set(df, x[2]), x3 = hn::Set(df, x[3]);
  for (size_t k = 0; k < 256; k += step) {
    const auto a = hn::MulAdd(x0, hn::LoadU(df, columns + k), hn::LoadU(df, base + k));
    const auto b = hn::MulAdd(x1, hn::LoadU(df, columns + 256 + k), a);
    const auto c = hn::MulAdd(x2, hn::LoadU(df, columns + 512 + k), b);
    hn::StoreU(hn::MulAdd(x3, hn::LoadU(df, columns + 768 + k), c), df, out + k);
  }
}

uint32_t Least256(const float* values) {
  const hn::CappedTag<float, 16> df;
  const size_t step = hn::Lanes(df);
  auto least = hn::LoadU(df, values);
  for (size_t k = step; k < 256; k += step) least = hn::Min(least, hn::LoadU(df, values + k));
  const auto bound = hn::MinOfLanes(df, least);
  for (size_t k = 0; k < 256; k += step) {
    const intptr_t at = hn::FindFirstTrue(df, hn::Eq(hn::LoadU(df, values + k), bound));
    if (at >= 0) return static_cast<uint32_t>(k + static_cast<size_t>(at));
  }
  return 0;
}

float QuadsL2(const float* query, const float* centroids, const uint8_t* code, size_t quads) {
  const hn::FixedTag<float, 4> df;
  auto s0 = hn::Zero(df), s1 = s0, s2 = s0, s3 = s0;
  const auto difference = [&](size_t m) {
    return hn::Sub(hn::LoadU(df, query + 4 * m),
                   hn::LoadU(df, centroids + 4 * (256 * m + code[m])));
  };
  size_t m = 0;
  for (; m + 4 <= quads; m += 4) {
    const auto x0 = difference(m), x1 = difference(m + 1);
    const auto x2 = difference(m + 2), x3 = difference(m + 3);
    s0 = hn::MulAdd(x0, x0, s0);
    s1 = hn::MulAdd(x1, x1, s1);
    s2 = hn::MulAdd(x2, x2, s2);
    s3 = hn::MulAdd(x3, x3, s3);
  }
  for (; m < quads; ++m) {
    const auto x = difference(m);
    s0 = hn::MulAdd(x, x, s0);
  }
  return hn::GetLane(hn::SumOfLanes(df, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

float QuadsDot(const float* query, const float* centroids, const uint8_t* code, size_t quads) {
  const hn::FixedTag<float, 4> df;
  auto s0 = hn::Zero(df), s1 = s0, s2 = s0, s3 = s0;
  const auto add = [&](size_t m, auto sum) {
    return hn::MulAdd(hn::LoadU(df, query + 4 * m),
                      hn::LoadU(df, centroids + 4 * (256 * m + code[m])), sum);
  };
  size_t m = 0;
  for (; m + 4 <= quads; m += 4) {
    s0 = add(m, s0);
    s1 = add(m + 1, s1);
    s2 = add(m + 2, s2);
    s3 = add(m + 3, s3);
  }
  for (; m < quads; ++m) s0 = add(m, s0);
  return hn::GetLane(hn::SumOfLanes(df, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

#endif  // HWY_TARGET != HWY_SCALAR

void Fill(Kernels* kernels) {
#if HWY_TARGET == HWY_SCALAR
  *kernels = kPlain;
#else
  kernels->name = hwy::TargetName(HWY_TARGET);
  kernels->dot_codes = DotCodes;
  kernels->lane_distances = LaneDistances;
  kernels->upper_distances = UpperDistances;
  kernels->lower_dots = LowerDots;
  kernels->dot = Dot;
  kernels->squares = Squares;
  kernels->subtract = Subtract;
  kernels->multiply = Multiply;
  kernels->squared_l2 = SquaredL2;
  kernels->dot_refined = DotRefined;
  kernels->quantize = Quantize;
  kernels->signed_code = SignedCode;
  kernels->hamming = Hamming;
  kernels->dot_bits = DotBits;
  kernels->affine_256 = Affine256;
  kernels->least_256 = Least256;
  kernels->quads_l2 = QuadsL2;
  kernels->quads_dot = QuadsDot;
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if HWY_ARCH_X86
#include <immintrin.h>
#endif
namespace cookix::engine {
namespace {

HWY_EXPORT(Fill);

#if HWY_ARCH_X86

#define COOKIX_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define COOKIX_VNNI_INLINE __attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline))

// Four sums of 16 numbers each.
COOKIX_VNNI_INLINE inline void StoreSums(__m512i s0, __m512i s1, __m512i s2, __m512i s3,
                                         int32_t* out) {
  const __m256i h0 = _mm256_add_epi32(_mm512_castsi512_si256(s0), _mm512_extracti64x4_epi64(s0, 1));
  const __m256i h1 = _mm256_add_epi32(_mm512_castsi512_si256(s1), _mm512_extracti64x4_epi64(s1, 1));
  const __m256i h2 = _mm256_add_epi32(_mm512_castsi512_si256(s2), _mm512_extracti64x4_epi64(s2, 1));
  const __m256i h3 = _mm256_add_epi32(_mm512_castsi512_si256(s3), _mm512_extracti64x4_epi64(s3, 1));
  const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(h0, h1), _mm256_hadd_epi32(h2, h3));
  const __m128i sums =
      _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), sums);
}

// vpdpbusd multiplies unsigned by signed bytes and adds groups of four. Highway has no
// operation for it here, and its target that implies it asks for more than that.
COOKIX_VNNI void VnniDotCodes(const uint8_t* const* codes, size_t count, const int8_t* query,
                              size_t bytes, int32_t* out) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t d = 0; d < bytes; d += 64) {
      const __m512i q = _mm512_loadu_si512(query + d);
      s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(codes[i] + d), q);
      s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(codes[i + 1] + d), q);
      s2 = _mm512_dpbusd_epi32(s2, _mm512_loadu_si512(codes[i + 2] + d), q);
      s3 = _mm512_dpbusd_epi32(s3, _mm512_loadu_si512(codes[i + 3] + d), q);
    }
    StoreSums(s0, s1, s2, s3, out + i);
  }
  for (; i < count; ++i) {
    __m512i s = _mm512_setzero_si512();
    for (size_t d = 0; d < bytes; d += 64) {
      s = _mm512_dpbusd_epi32(s, _mm512_loadu_si512(codes[i] + d), _mm512_loadu_si512(query + d));
    }
    out[i] = _mm512_reduce_add_epi32(s);
  }
}

// Four components, for each lane.
COOKIX_VNNI_INLINE inline __m512i Four(const int8_t* query) {
  int32_t word;
  std::memcpy(&word, query, sizeof(word));
  return _mm512_set1_epi32(word);
}

// What LaneQuery::Distance() does, for a block.
struct BlockEnd {
  COOKIX_VNNI_INLINE explicit BlockEnd(const LaneQuery& query)
      : sum(_mm512_set1_epi32(query.sum)),
        base(_mm512_set1_ps(query.base)),
        norm_factor(_mm512_set1_ps(query.norm_factor)),
        dot_factor(_mm512_set1_ps(query.dot_factor)) {}

  COOKIX_VNNI_INLINE void Store(__m512i dots, const LaneParams& params, float* out) const {
    const __m512 scale = _mm512_mul_ps(dot_factor, _mm512_loadu_ps(params.scales));
    const __m512 part = _mm512_fmadd_ps(norm_factor, _mm512_loadu_ps(params.norms), base);
    const __m512 difference = _mm512_cvtepi32_ps(_mm512_sub_epi32(dots, sum));
    _mm512_storeu_ps(out, _mm512_fnmadd_ps(scale, difference, part));
  }

  const __m512i sum;
  const __m512 base, norm_factor, dot_factor;
};

COOKIX_VNNI void VnniLaneDistances(const LaneQuery& query, const uint8_t* lanes,
                                   const LaneParams* params, size_t blocks, size_t bytes,
                                   float* out) {
  constexpr size_t kStep = kLaneBytes * kLanes;
  const BlockEnd end(query);
  for (size_t b = 0; b < blocks; ++b) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t d = 0; d < bytes; d += 4 * kLaneBytes, lanes += 4 * kStep) {
      const int8_t* const q = query.code + d;
      s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(lanes), Four(q));
      s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(lanes + kStep), Four(q + kLaneBytes));
      s2 = _mm512_dpbusd_epi32(s2, _mm512_loadu_si512(lanes + 2 * kStep), Four(q + 2 * kLaneBytes));
      s3 = _mm512_dpbusd_epi32(s3, _mm512_loadu_si512(lanes + 3 * kStep), Four(q + 3 * kLaneBytes));
    }
    const __m512i dots = _mm512_add_epi32(_mm512_add_epi32(s0, s1), _mm512_add_epi32(s2, s3));
    end.Store(dots, params[b], out + b * kLanes);
  }
}

COOKIX_VNNI void VnniUpperDistances(const LaneQuery& query, const uint8_t* lanes,
                                    const LaneParams* params, size_t blocks, size_t bytes,
                                    float* out) {
  constexpr size_t kStep = kLaneBytes * kLanes;
  const BlockEnd end(query);
  const __m512i low = _mm512_set1_epi8(0x0f), high = _mm512_set1_epi8(static_cast<char>(0xf0));
  for (size_t b = 0; b < blocks; ++b) {
    // What is in the upper bits counts sixteen times without being shifted.
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, t0 = s0, t1 = s0;
    for (size_t d = 0; d < bytes; d += 4 * kLaneBytes, lanes += 2 * kStep) {
      const int8_t* const q = query.code + d;
      const __m512i first = _mm512_loadu_si512(lanes), second = _mm512_loadu_si512(lanes + kStep);
      s0 = _mm512_dpbusd_epi32(s0, _mm512_and_si512(first, low), Four(q));
      t0 = _mm512_dpbusd_epi32(t0, _mm512_and_si512(first, high), Four(q + kLaneBytes));
      s1 = _mm512_dpbusd_epi32(s1, _mm512_and_si512(second, low), Four(q + 2 * kLaneBytes));
      t1 = _mm512_dpbusd_epi32(t1, _mm512_and_si512(second, high), Four(q + 3 * kLaneBytes));
    }
    const __m512i lower = _mm512_slli_epi32(_mm512_add_epi32(s0, s1), kHalfBits);
    end.Store(_mm512_add_epi32(lower, _mm512_add_epi32(t0, t1)), params[b], out + b * kLanes);
  }
}

COOKIX_VNNI void VnniLowerDots(const uint8_t* lower, const uint32_t* numbers, size_t count,
                               const int8_t* query, size_t bytes, int32_t* out) {
  const size_t half = bytes / 2;
  const __m512i low = _mm512_set1_epi8(0x0f);
  const auto add = [&](__m512i sum, const uint8_t* code, size_t d, __mmask64 there) COOKIX_VNNI {
    const __m512i both = _mm512_maskz_loadu_epi8(there, code + d);
    const __m512i q0 = _mm512_maskz_loadu_epi8(there, query + d);
    const __m512i q1 = _mm512_maskz_loadu_epi8(there, query + half + d);
    sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(both, low), q0);
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(both, kHalfBits), low), q1);
  };
  // There is a half of kCodeAlignment bytes at the end where there is an odd number of them.
  const auto there = [&](size_t d) {
    return half - d < kCodeAlignment ? __mmask64{0xffffffff} : ~__mmask64{0};
  };
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t d = 0; d < half; d += kCodeAlignment) {
      const __mmask64 mask = there(d);
      s0 = add(s0, lower + numbers[i] * half, d, mask);
      s1 = add(s1, lower + numbers[i + 1] * half, d, mask);
      s2 = add(s2, lower + numbers[i + 2] * half, d, mask);
      s3 = add(s3, lower + numbers[i + 3] * half, d, mask);
    }
    StoreSums(s0, s1, s2, s3, out + i);
  }
  for (; i < count; ++i) {
    __m512i s = _mm512_setzero_si512();
    for (size_t d = 0; d < half; d += kCodeAlignment)
      s = add(s, lower + numbers[i] * half, d, there(d));
    out[i] = _mm512_reduce_add_epi32(s);
  }
}

#undef COOKIX_VNNI
#undef COOKIX_VNNI_INLINE

bool HasVnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
}

#endif

Kernels Best() {
  Kernels kernels;
  HWY_DYNAMIC_DISPATCH(Fill)(&kernels);
  return kernels;
}

}  // namespace

const Kernels& BestKernels() {
  static const Kernels kernels = [] {
    Kernels best = Best();
#if HWY_ARCH_X86
    if (HasVnni()) {
      best.name = "AVX3+VNNI";
      best.dot_codes = VnniDotCodes;
      best.lane_distances = VnniLaneDistances;
      best.upper_distances = VnniUpperDistances;
      best.lower_dots = VnniLowerDots;
    }
#endif
    return best;
  }();
  return kernels;
}

std::vector<Kernels> AllKernels() {
  std::vector<Kernels> all = TablesOfAllTargets(kPlain, Best);
  all.push_back(BestKernels());
  return all;
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
