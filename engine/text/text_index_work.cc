// Makes segments of buffers, and of segments larger ones.
#include <algorithm>
#include <new>
#include <utility>

#include "engine/text/text_index_impl.h"

namespace cookix::engine {
namespace {

// Deaths that are left for the hold of the lock in which a segment takes its place.
constexpr size_t kFewDeaths = 64;
constexpr size_t kOnlyFull = ~size_t{0};

void ApplyDeaths(const std::vector<TextDeath>& deaths, TextSegmentSource* to) {
  for (const TextDeath& death : deaths) {
    const DocId doc = to->segment->Find(death.ordinal);
    if (doc != kNoDoc) KillInSegment(doc, *death.document, to);
  }
}

size_t LiveDocuments(const TextSegmentSource& source) {
  return source.segment->documents() - source.dead_count;
}

uint64_t Words(const TextSegmentSource& source) {
  uint64_t words = 0;
  for (size_t i = 0; i < source.segment->fields(); ++i) {
    words += static_cast<uint64_t>(source.segment->field(i).totals().words);
  }
  return words;
}

// The first of them, as many as one segment has room for.
std::vector<std::shared_ptr<TextSegmentSource>> WhatFits(
    std::span<const std::shared_ptr<TextSegmentSource>> sources) {
  std::vector<std::shared_ptr<TextSegmentSource>> fit;
  uint64_t documents = 0, words = 0;
  for (const auto& source : sources) {
    documents += source->segment->documents();
    words += Words(*source);
    if (documents > TextSegment::kMaxDocuments || words > TextSegment::kMaxWords) break;
    fit.push_back(source);
  }
  return fit;
}

}  // namespace

// Gives sources back that a worker took, when it has not replaced them: they stay as they
// are, dead documents and all.
template <typename Source>
class TextIndex::Impl::Busy {
 public:
  explicit Busy(Impl* index) : index_(index) {}
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() {
    if (sources_.empty()) return;
    std::lock_guard<std::shared_mutex> lock(index_->mutex);
    for (const auto& source : sources_) {
      source->busy = false;
      source->deaths.clear();
    }
  }

  // Locked: nothing else works on them.
  void TakeLocked(std::vector<std::shared_ptr<Source>> sources) {
    sources_ = std::move(sources);
    for (const auto& source : sources_) source->busy = true;
  }
  std::span<const std::shared_ptr<Source>> sources() const { return sources_; }

 private:
  Impl* const index_;
  std::vector<std::shared_ptr<Source>> sources_;
};

template <typename Source>
void TextIndex::Impl::Replace(std::vector<std::shared_ptr<Source>>* from,
                              std::span<const std::shared_ptr<Source>> sources,
                              std::shared_ptr<const TextSegment> made) {
  auto placed = std::make_shared<TextSegmentSource>();
  placed->segment = std::move(made);
  std::vector<TextDeath> deaths;
  const auto take_deaths = [&] {
    deaths.clear();
    for (const auto& source : sources) {
      std::move(source->deaths.begin(), source->deaths.end(), std::back_inserter(deaths));
      source->deaths.clear();
    }
  };
  while (true) {
    {
      std::lock_guard<std::shared_mutex> lock(mutex);
      take_deaths();
      if (deaths.size() <= kFewDeaths) {
        ApplyDeaths(deaths, placed.get());
        // From here on nothing needs memory.
        segments.reserve(segments.size() + 1);
        for (const auto& source : sources) {
          from->erase(std::find(from->begin(), from->end(), source));
        }
        if (placed->segment->documents() > placed->dead_count) {
          segments.push_back(std::move(placed));
        }
        return;
      }
    }
    ApplyDeaths(deaths, placed.get());
  }
}

bool TextIndex::Impl::SealSome(size_t enough) {
  Busy<TextBufferSource> busy(this);
  std::shared_ptr<const DocBits> dead;
  const TextBuffer::Term* newest = nullptr;
  DocId end = 0;
  {
    std::lock_guard<std::shared_mutex> lock(mutex);
    std::shared_ptr<TextBufferSource> source;
    bool was_waiting = false;
    for (size_t i = 0; i < buffers.size() && source == nullptr; ++i) {
      if (buffers[i]->busy) continue;
      const TextBuffer& buffer = *buffers[i]->buffer;
      was_waiting = i + 1 < buffers.size();
      const bool full = was_waiting || buffer.documents() == buffer.capacity() ||
                        buffer.MemoryBytes() >= options.buffer_bytes;
      if (full || buffer.documents() >= enough) source = buffers[i];
    }
    if (source == nullptr) return false;
    newest = source->buffer->newest();
    end = source->buffer->documents();
    dead = source->dead;
    if (!was_waiting) {
      // What is written from now on goes to another.
      AddBufferLocked();
      waiting.fetch_add(end, std::memory_order_relaxed);
    }
    busy.TakeLocked({std::move(source)});
  }
  auto made = SegmentOfBuffer(*busy.sources()[0]->buffer, end, newest, dead.get(), with_positions);
  dead.reset();
  Replace(&buffers, busy.sources(), std::move(made));
  waiting.fetch_sub(end, std::memory_order_relaxed);
  std::lock_guard<std::shared_mutex> lock(mutex);
  const auto documents = static_cast<uint64_t>(std::max<int64_t>(live.load(), 0));
  spare = std::min(spare + end * options.tidy_share, documents);
  return true;
}

TextIndex::Impl::SegmentSources TextIndex::Impl::PickMergeLocked(MergeKind kind) {
  SegmentSources idle;
  for (const auto& source : segments) {
    if (!source->busy) idle.push_back(source);
  }
  std::stable_sort(idle.begin(), idle.end(), [](const auto& a, const auto& b) {
    return LiveDocuments(*a) < LiveDocuments(*b);
  });
  if (kind == MergeKind::kDue) return PickDue(idle);
  if (kind == MergeKind::kSpare) return PickSpareLocked(idle);
  SegmentSources taken = WhatFits(std::span(idle));
  const bool done = taken.empty() || (taken.size() == 1 && taken[0]->dead_count == 0);
  return done ? SegmentSources() : taken;
}

// Segments of about one size when there are `merge_width` of them, the smallest first; or
// one of which more than a third is dead.
TextIndex::Impl::SegmentSources TextIndex::Impl::PickDue(const SegmentSources& idle) const {
  const size_t width = std::max<size_t>(options.merge_width, 2);
  // The smallest of a tier and what is less than `width` times its size.
  for (size_t begin = 0; begin + width <= idle.size(); ++begin) {
    const size_t limit =
        std::max(LiveDocuments(*idle[begin]), options.buffer_documents / 4) * width;
    if (LiveDocuments(*idle[begin + width - 1]) >= limit) continue;
    SegmentSources taken = WhatFits(std::span(idle).subspan(begin, width));
    if (taken.size() > 1) return taken;
  }
  for (const auto& source : idle) {
    if (source->dead_count * 3 > source->segment->documents()) return {source};
  }
  return {};
}

// As many of the smallest as `spare` pays for, which it does.
TextIndex::Impl::SegmentSources TextIndex::Impl::PickSpareLocked(const SegmentSources& idle) {
  uint64_t documents = 0;
  size_t count = 0;
  while (count < idle.size() && documents + LiveDocuments(*idle[count]) <= spare) {
    documents += LiveDocuments(*idle[count++]);
  }
  SegmentSources taken = WhatFits(std::span(idle).first(count));
  if (taken.size() < 2) return {};
  spare -= documents;
  return taken;
}

bool TextIndex::Impl::MergeSome(MergeKind kind) {
  Busy<TextSegmentSource> busy(this);
  std::vector<MergeSource> parts;
  std::vector<std::shared_ptr<const DocBits>> dead;
  {
    std::lock_guard<std::shared_mutex> lock(mutex);
    auto picked = PickMergeLocked(kind);
    if (picked.empty()) return false;
    for (const auto& source : picked) {
      dead.push_back(source->dead);
      parts.push_back({source->segment.get(), dead.back().get()});
    }
    busy.TakeLocked(std::move(picked));
  }
  auto made = MergeSegments(parts, with_positions);
  dead.clear();
  merged.fetch_add(made->documents(), std::memory_order_relaxed);
  Replace(&segments, busy.sources(), std::move(made));
  return true;
}

bool TextIndex::WorkSome() {
  try {
    return impl_->SealSome(kOnlyFull) || impl_->MergeSome(Impl::MergeKind::kDue);
  } catch (const std::bad_alloc&) {
    // Everything is where it was, and found; the next time there may be memory.
    return false;
  }
}

bool TextIndex::TidySome() {
  try {
    return impl_->SealSome(impl_->options.buffer_documents / 4 + 1) ||
           impl_->MergeSome(Impl::MergeKind::kSpare);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void TextIndex::CompactForTest() {
  while (impl_->SealSome(1) || impl_->MergeSome(Impl::MergeKind::kAll)) {
  }
}

}  // namespace cookix::engine
