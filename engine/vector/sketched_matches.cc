#include "engine/vector/sketched_matches.h"

#include <algorithm>
#include <utility>

namespace cookix::engine {
namespace {

// What is compared after them lies far apart in memory: two bits leave much less of it than one.
constexpr int kBits = 2;
// Fewer are compared as fast by codes.
constexpr size_t kFewest = 2048;
// Parts that sketches are made in.
constexpr size_t kParts = 8;
// Searches that are tried, and of a thousand that they find nearest, how many may be missed.
constexpr size_t kTrials = 8;
constexpr size_t kMissed = 20;
// So many are compared by codes. Where that misses some, four times as many would cost more
// than comparing all codes side by side.
constexpr size_t kWidth = 256;
// The width is that for so many candidates; searches that ask for more get more.
constexpr size_t kCandidates = 64;

size_t WidthFor(size_t ef) { return kWidth * std::max(ef, kCandidates) / kCandidates; }

}  // namespace

bool SketchedMatches::Fit(const VectorCodec& codec, size_t matches) {
  return matches >= kFewest && codec.quantization() == Quantization::kInt8 &&
         codec.dimension() <= SketchCodec::kMostDimension;
}

SketchedMatches::SketchedMatches(const VectorStorage& storage,
                                 std::shared_ptr<const CodeCopies> copies)
    : storage_(storage),
      copies_(std::move(copies)),
      codec_(storage.codec().metric(), storage.codec().dimension(), kBits,
             storage.codec().centre()),
      sketches_(std::in_place, codec_, std::make_shared<const SketchCentres>(codec_)) {}

bool SketchedMatches::Prepare() {
  if (given_up_.load()) return false;
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || given_up_.load()) return false;
  const std::vector<Slot>& slots = copies_->slots();
  if (made_ == slots.size()) return true;
  const size_t end = std::min(slots.size(), made_ + slots.size() / kParts + 1);
  std::vector<float> vector(storage_.codec().dimension());
  Sketches::WriteScratch scratch;
  for (; made_ < end; ++made_) {
    const Slot slot = slots[made_];
    storage_.codec().Decode(storage_.Code(slot), storage_.Residue(slot), storage_.Params(slot),
                            vector.data());
    if (sketches_->Write(static_cast<uint32_t>(made_), vector.data(), &scratch)) continue;
    GiveUp();
    return false;
  }
  bytes_.store(sketches_->Bytes());
  return false;
}

void SketchedMatches::GiveUp() {
  given_up_.store(true);
  sketches_.reset();
  bytes_.store(0);
}

void SketchedMatches::Try(const float* query, size_t ef, std::span<const Slot> nearest) {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || given_up_.load() || good()) return;
  SketchQuery sketch;
  Sketches::Scratch scratch;
  const size_t found = Find(query, WidthFor(ef), &sketch, &scratch);
  const auto end = scratch.near.begin() + static_cast<ptrdiff_t>(found);
  for (const Slot slot : nearest) missed_ += std::find(scratch.near.begin(), end, slot) == end;
  looked_for_ += nearest.size();
  if (++tried_ < kTrials) return;
  if (1000 * missed_ > kMissed * looked_for_) return GiveUp();
  good_.store(true);
}

size_t SketchedMatches::Find(const float* query, size_t count, SketchQuery* sketch,
                             Sketches::Scratch* scratch) const {
  codec_.Prepare(query, sketch);
  const size_t found = sketches_->FindNear(*sketch, count, 1, scratch);
  for (size_t i = 0; i < found; ++i) scratch->near[i] = copies_->slots()[scratch->near[i]];
  return found;
}

size_t SketchedMatches::FindNear(const float* query, size_t ef, SketchQuery* sketch,
                                 Sketches::Scratch* scratch) const {
  return Find(query, WidthFor(ef), sketch, scratch);
}

}  // namespace cookix::engine
