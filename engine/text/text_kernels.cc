#include "engine/text/text_kernels.h"

#include <algorithm>
#include <cstring>
#include <limits>

// Compiled once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/text/text_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cookix::engine {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;
using Unsigned = hn::RebindToUnsigned<Floats>;

void Score(const FloatLeaf& leaf, uint32_t* docs, const uint32_t* tfs, size_t count,
           float* scores) {
  const Floats df;
  const Ints di;
  const size_t lanes = hn::Lanes(df);
  // What is gathered behind the end must be a document too.
  for (size_t i = count; i % lanes != 0; ++i) docs[i] = docs[count - 1];
  const auto weight = hn::Set(df, leaf.weight);
  const auto base = hn::Set(df, leaf.base);
  const auto slope = hn::Set(df, leaf.slope);
  const auto low = hn::Set(di, 0xFFFF);
  for (size_t i = 0; i < count; i += lanes) {
    const auto doc = hn::BitCast(di, hn::LoadU(Unsigned(), docs + i));
    auto length = doc;
    if (leaf.shorts != nullptr) {
      const auto* from = reinterpret_cast<const int32_t*>(leaf.shorts);
      length = hn::And(hn::GatherOffset(di, from, hn::Add(doc, doc)), low);
    } else {
      length = hn::GatherIndex(di, reinterpret_cast<const int32_t*>(leaf.longs), doc);
    }
    const auto tf = hn::ConvertTo(df, hn::BitCast(di, hn::LoadU(Unsigned(), tfs + i)));
    const auto norm = hn::MulAdd(slope, hn::ConvertTo(df, length), hn::Add(tf, base));
    hn::StoreU(hn::Div(hn::Mul(weight, tf), norm), df, scores + i);
  }
}

size_t Select(const uint32_t* docs, const float* scores, size_t count, float cut,
              uint32_t* out_docs, float* out_scores) {
  const Floats df;
  const Unsigned du;
  const size_t lanes = hn::Lanes(df);
  const auto least = hn::Set(df, cut);
  size_t out = 0;
  for (size_t i = 0; i < count; i += lanes) {
    const auto score = hn::LoadU(df, scores + i);
    auto mask = hn::Ge(score, least);
    if (count - i < lanes) mask = hn::And(mask, hn::FirstN(df, count - i));
    if (hn::AllFalse(df, mask)) continue;
    const auto doc = hn::LoadU(du, docs + i);
    hn::CompressStore(doc, hn::RebindMask(du, mask), du, out_docs + out);
    out += hn::CompressStore(score, mask, df, out_scores + out);
  }
  return out;
}

size_t SelectWith(size_t count, float cut, uint32_t* docs, uint32_t* places, float* scores) {
  const Floats df;
  const Unsigned du;
  const size_t lanes = hn::Lanes(df);
  const auto least = hn::Set(df, cut);
  size_t out = 0;
  for (size_t i = 0; i < count; i += lanes) {
    const auto score = hn::LoadU(df, scores + i);
    auto mask = hn::Ge(score, least);
    if (count - i < lanes) mask = hn::And(mask, hn::FirstN(df, count - i));
    if (hn::AllFalse(df, mask)) continue;
    const auto doc = hn::LoadU(du, docs + i);
    const auto place = hn::LoadU(du, places + i);
    hn::CompressStore(doc, hn::RebindMask(du, mask), du, docs + out);
    hn::CompressStore(place, hn::RebindMask(du, mask), du, places + out);
    out += hn::CompressStore(score, mask, df, scores + out);
  }
  return out;
}

// In the last documents of vectors, then in one vector; without branches, which could not be
// foretold.
size_t Find(const uint32_t* block, size_t size, const uint32_t* docs, size_t count, uint8_t* which,
            uint8_t* places) {
  const Unsigned du;
  const Ints di;
  const size_t lanes = hn::Lanes(du);
  const size_t vectors = (size + lanes - 1) / lanes;
  // Whatever is not in those before can only be in the last vector.
  const size_t searched = (vectors - 1 + lanes - 1) / lanes * lanes;
  uint32_t lasts[kPostingBlock];
  const auto limit = hn::Set(di, static_cast<int32_t>(vectors - 1));
  const auto end = hn::Set(di, static_cast<int32_t>(size - 1));
  for (size_t i = 0; i < searched; i += lanes) {
    const auto vector = hn::Iota(di, static_cast<int32_t>(i));
    const auto place = hn::Add(hn::Mul(vector, hn::Set(di, static_cast<int32_t>(lanes))),
                               hn::Set(di, static_cast<int32_t>(lanes - 1)));
    const auto last =
        hn::GatherIndex(di, reinterpret_cast<const int32_t*>(block), hn::Min(place, end));
    const auto inner = hn::Lt(vector, limit);
    hn::StoreU(hn::BitCast(du, hn::IfThenElse(inner, last, hn::Set(di, -1))), du, lasts + i);
  }
  size_t found = 0;
  const auto look_up = [&](size_t i, size_t vector_of_doc, const auto& doc) {
    const size_t begin = vector_of_doc * lanes;
    const auto vector = hn::LoadU(du, block + begin);
    which[found] = static_cast<uint8_t>(i);
    places[found] = static_cast<uint8_t>(begin + hn::CountTrue(du, hn::Lt(vector, doc)));
    // The padding may repeat it.
    found += hn::AllFalse(du, hn::Eq(vector, doc)) ? 0 : 1;
  };
  if (searched == lanes) {
    const auto all_lasts = hn::LoadU(du, lasts);
    for (size_t i = 0; i < count; ++i) {
      const auto doc = hn::Set(du, docs[i]);
      look_up(i, hn::CountTrue(du, hn::Lt(all_lasts, doc)), doc);
    }
    return found;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto doc = hn::Set(du, docs[i]);
    size_t vector = 0;
    for (size_t at = 0; at < searched; at += lanes) {
      vector += hn::CountTrue(du, hn::Lt(hn::LoadU(du, lasts + at), doc));
    }
    look_up(i, vector, doc);
  }
  return found;
}

size_t Harvest(float* sums, size_t count, float cut, uint32_t first, uint32_t* docs,
               float* scores) {
  const Floats df;
  const Unsigned du;
  const size_t lanes = hn::Lanes(df);
  const auto least = hn::Set(df, std::max(cut, std::numeric_limits<float>::min()));
  size_t out = 0;
  for (size_t i = 0; i < count; i += lanes) {
    const auto score = hn::LoadU(df, sums + i);
    hn::StoreU(hn::Zero(df), df, sums + i);
    const auto mask = hn::Ge(score, least);
    if (hn::AllFalse(df, mask)) continue;
    const auto doc = hn::Iota(du, static_cast<uint32_t>(first + i));
    hn::CompressStore(doc, hn::RebindMask(du, mask), du, docs + out);
    out += hn::CompressStore(score, mask, df, scores + out);
  }
  return out;
}

void Bound(const FloatLeaf& leaf, const Impacts* impacts, size_t blocks, float* bounds) {
  const Floats df;
  const Ints di;
  constexpr size_t kPairs = std::tuple_size_v<decltype(Impacts::pairs)>;
  constexpr size_t kGroup = 16;
  float each[kGroup * kPairs];
  const size_t lanes = std::min(hn::Lanes(df), kGroup * kPairs);
  const auto weight = hn::Set(df, leaf.weight);
  const auto base = hn::Set(df, leaf.base);
  const auto slope = hn::Set(df, leaf.slope);
  const auto low = hn::Set(di, 0xFFFF);
  const auto any_tf = hn::Set(df, 1e9f);
  for (size_t begin = 0; begin < blocks; begin += kGroup) {
    const size_t size = std::min(kGroup, blocks - begin);
    int32_t pairs[kGroup * kPairs] = {};
    std::memcpy(pairs, impacts + begin, size * sizeof(Impacts));
    for (size_t i = 0; i < size * kPairs; i += lanes) {
      const auto pair = hn::LoadU(di, pairs + i);
      const auto whole = hn::And(pair, low);
      auto tf = hn::ConvertTo(df, whole);
      tf = hn::IfThenElse(hn::RebindMask(df, hn::Eq(whole, low)), any_tf, tf);
      const auto length = hn::ConvertTo(df, hn::And(hn::ShiftRight<16>(pair), low));
      const auto norm = hn::MulAdd(slope, length, hn::Add(tf, base));
      hn::StoreU(hn::Div(hn::Mul(weight, tf), norm), df, each + i);
    }
    for (size_t i = 0; i < size; ++i) {
      const float* of = each + i * kPairs;
      bounds[begin + i] = std::max(std::max(of[0], of[1]), std::max(of[2], of[3]));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace cookix::engine
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace cookix::engine {

HWY_EXPORT(Score);
HWY_EXPORT(Select);
HWY_EXPORT(SelectWith);
HWY_EXPORT(Find);
HWY_EXPORT(Harvest);
HWY_EXPORT(Bound);

void ScorePostings(const FloatLeaf& leaf, uint32_t* docs, const uint32_t* tfs, size_t count,
                   float* scores) {
  HWY_DYNAMIC_DISPATCH(Score)(leaf, docs, tfs, count, scores);
}

size_t SelectAbove(const uint32_t* docs, const float* scores, size_t count, float cut,
                   uint32_t* out_docs, float* out_scores) {
  return HWY_DYNAMIC_DISPATCH(Select)(docs, scores, count, cut, out_docs, out_scores);
}

size_t SelectAboveWith(size_t count, float cut, uint32_t* docs, uint32_t* places, float* scores) {
  return HWY_DYNAMIC_DISPATCH(SelectWith)(count, cut, docs, places, scores);
}

size_t FindDocuments(const uint32_t* block, size_t size, const uint32_t* docs, size_t count,
                     uint8_t* which, uint8_t* places) {
  return HWY_DYNAMIC_DISPATCH(Find)(block, size, docs, count, which, places);
}

size_t HarvestSums(float* sums, size_t count, float cut, uint32_t first, uint32_t* docs,
                   float* scores) {
  return HWY_DYNAMIC_DISPATCH(Harvest)(sums, count, cut, first, docs, scores);
}

void BoundBlocks(const FloatLeaf& leaf, const Impacts* impacts, size_t blocks, float* bounds) {
  HWY_DYNAMIC_DISPATCH(Bound)(leaf, impacts, blocks, bounds);
}

}  // namespace cookix::engine
#endif  // HWY_ONCE
