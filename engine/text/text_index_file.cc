// The index in a file: all segments, with what of them is dead. Buffers are saved as
// segments.
//
//   fields      count, then for each whether it has positions
//   segments    count, then for each: the segment (text_segment_file.cc), a bit for each
//               document that is dead, the terms that dead documents have, and how many
//               dead documents each
#include <algorithm>
#include <bit>
#include <utility>

#include "engine/text/no_memory.h"
#include "engine/text/saved_array.h"
#include "engine/text/text_index_impl.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

struct SavedSegment {
  std::shared_ptr<const TextSegment> segment;
  std::shared_ptr<const DocBits> dead;
  absl::flat_hash_map<uint64_t, uint32_t> dead_df;
};

struct SavedBuffer {
  std::shared_ptr<const TextBuffer> buffer;
  DocId end = 0;
  const TextBuffer::Term* newest = nullptr;
  std::shared_ptr<const DocBits> dead;
};

absl::Status SaveSegment(const SavedSegment& saved, storage::CheckedFileWriter& writer) {
  COOKIX_RETURN_IF_ERROR(saved.segment->Save(writer));
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint8_t>(saved.dead != nullptr));
  if (saved.dead == nullptr) return absl::OkStatus();
  for (const uint64_t word : *saved.dead) COOKIX_RETURN_IF_ERROR(writer.AppendFixed(word));
  std::vector<std::pair<uint64_t, uint32_t>> terms(saved.dead_df.begin(), saved.dead_df.end());
  std::sort(terms.begin(), terms.end());
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint64_t>(terms.size()));
  for (const auto& [term, count] : terms) {
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(term));
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed(count));
  }
  return absl::OkStatus();
}

absl::Status LoadDead(TextSegmentSource* source, storage::CheckedFileReader& reader) {
  const TextSegment& segment = *source->segment;
  uint8_t any = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&any));
  if (any > 1) return MalformedTextIndex("whether documents are dead");
  if (any == 0) return absl::OkStatus();
  source->dead = std::make_shared<DocBits>((segment.documents() + 63) / 64);
  COOKIX_RETURN_IF_ERROR(reader.Read(source->dead->data(), source->dead->size() * 8));
  for (const uint64_t word : *source->dead) {
    source->dead_count += static_cast<size_t>(std::popcount(word));
  }
  if (segment.documents() % 64 != 0 && source->dead->back() >> (segment.documents() % 64) != 0) {
    return MalformedTextIndex("documents that are not there are dead");
  }
  uint64_t terms = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&terms));
  if (terms > reader.MaxLeft() / 12) return MalformedTextIndex("more dead terms than bytes");
  for (uint64_t i = 0; i < terms; ++i) {
    uint64_t key = 0;
    uint32_t count = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&key));
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&count));
    const size_t field = key >> 32;
    if (field >= segment.fields() || static_cast<uint32_t>(key) >= segment.field(field).terms() ||
        count > source->dead_count || !source->dead_df.emplace(key, count).second) {
      return MalformedTextIndex("a dead term");
    }
  }
  return absl::OkStatus();
}

// No live object may be in two segments.
bool LiveOnce(const std::vector<std::shared_ptr<TextSegmentSource>>& segments) {
  std::vector<Ordinal> live;
  for (const auto& source : segments) {
    for (DocId doc = 0; doc < source->segment->documents(); ++doc) {
      if (!TestBit(source->dead.get(), doc)) live.push_back(source->segment->ordinal(doc));
    }
  }
  if (!std::is_sorted(live.begin(), live.end())) std::sort(live.begin(), live.end());
  return std::adjacent_find(live.begin(), live.end()) == live.end();
}

}  // namespace

class TextIndex::Snapshot {
 public:
  std::vector<SavedSegment> segments;
  std::vector<SavedBuffer> buffers;
};

std::shared_ptr<const TextIndex::Snapshot> TextIndex::TakeSnapshot() const {
  auto snapshot = std::make_shared<Snapshot>();
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  for (const auto& source : impl_->segments) {
    snapshot->segments.push_back({source->segment, source->dead, source->dead_df});
  }
  for (const auto& source : impl_->buffers) {
    snapshot->buffers.push_back(
        {source->buffer, source->buffer->documents(), source->buffer->newest(), source->dead});
  }
  return snapshot;
}

absl::Status TextIndex::Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer) const {
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(impl_->fields.size())));
  for (const bool positions : impl_->with_positions) {
    COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint8_t>(positions));
  }
  std::vector<SavedSegment> segments = snapshot.segments;
  for (const SavedBuffer& saved : snapshot.buffers) {
    auto made = SegmentOfBuffer(*saved.buffer, saved.end, saved.newest, saved.dead.get(),
                                impl_->with_positions);
    if (made->documents() > 0) segments.push_back({std::move(made), nullptr, {}});
  }
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed(static_cast<uint32_t>(segments.size())));
  for (const SavedSegment& saved : segments) COOKIX_RETURN_IF_ERROR(SaveSegment(saved, writer));
  return absl::OkStatus();
}

absl::Status TextIndex::Load(storage::CheckedFileReader& reader) {
  return WithinMemory([&] { return impl_->Load(reader); });
}

absl::Status TextIndex::Impl::Load(storage::CheckedFileReader& reader) {
  uint32_t field_count = 0, segment_count = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&field_count));
  if (field_count != fields.size()) return MalformedTextIndex("the number of its fields");
  for (const bool positions : with_positions) {
    uint8_t saved = 0;
    COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&saved));
    if (saved != static_cast<uint8_t>(positions))
      return MalformedTextIndex("which fields have positions");
  }
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&segment_count));
  std::vector<std::shared_ptr<TextSegmentSource>> loaded;
  for (uint32_t i = 0; i < segment_count; ++i) {
    auto source = std::make_shared<TextSegmentSource>();
    COOKIX_ASSIGN_OR_RETURN(source->segment, TextSegment::Load(with_positions, reader));
    COOKIX_RETURN_IF_ERROR(LoadDead(source.get(), reader));
    loaded.push_back(std::move(source));
  }
  if (!LiveOnce(loaded)) return MalformedTextIndex("an object is there twice");
  std::lock_guard<std::shared_mutex> lock(mutex);
  for (const auto& source : loaded) CountLoadedLocked(*source);
  segments = std::move(loaded);
  return absl::OkStatus();
}

void TextIndex::Impl::CountLoadedLocked(const TextSegmentSource& source) {
  const TextSegment& segment = *source.segment;
  live.fetch_add(segment.documents() - static_cast<int64_t>(source.dead_count));
  for (size_t i = 0; i < fields.size(); ++i) {
    const SegmentField& field = segment.field(i);
    totals[i].documents += field.totals().documents;
    totals[i].words += field.totals().words;
    if (source.dead_count == 0 || field.totals().documents == 0) continue;
    for (DocId doc = 0; doc < segment.documents(); ++doc) {
      if (!TestBit(source.dead.get(), doc)) continue;
      totals[i].documents -= field.lengths()[doc] > 0;
      totals[i].words -= field.lengths()[doc];
    }
  }
}

}  // namespace cookix::engine
