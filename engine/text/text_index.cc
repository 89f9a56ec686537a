#include "engine/text/text_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/text/no_memory.h"
#include "engine/text/text_index_impl.h"

namespace cookix::engine {
namespace {

// Changes made under one hold of the lock, so that readers do not wait for long.
constexpr size_t kChangesAtOnce = 16;
// Documents of the smallest buffer.
constexpr size_t kLeastBuffer = 1024;

bool SameTexts(const TextPut& put) {
  return put.before.size() == put.after.size() &&
         std::equal(put.before.begin(), put.before.end(), put.after.begin(),
                    [](const TextElements& a, const TextElements& b) {
                      return std::equal(a.begin(), a.end(), b.begin(), b.end());
                    });
}

std::shared_ptr<const TextDocument> MakeDocument(std::span<const TextIndexField> fields,
                                                 std::span<const TextElements> texts) {
  if (texts.empty()) return nullptr;
  auto document = std::make_shared<const TextDocument>(fields, texts);
  return document->empty() ? nullptr : document;
}

size_t BytesOf(const TextChange& change) {
  return sizeof(change) + (change.before == nullptr ? 0 : change.before->MemoryBytes()) +
         (change.after == nullptr ? 0 : change.after->MemoryBytes());
}

}  // namespace

void OwnBits(size_t documents, std::shared_ptr<DocBits>* bits) {
  if (*bits == nullptr) {
    *bits = std::make_shared<DocBits>((documents + 63) / 64);
    return;
  }
  if (bits->use_count() == 1) {
    // Taking a reference and giving it back orders what comes after the last reader's.
    std::shared_ptr<DocBits> last = *bits;
    return;
  }
  *bits = std::make_shared<DocBits>(**bits);
}

bool KillInSegment(DocId doc, const TextDocument& document, TextSegmentSource* source) {
  if (TestBit(source->dead.get(), doc)) return false;
  OwnBits(source->segment->documents(), &source->dead);
  (*source->dead)[doc / 64] |= uint64_t{1} << (doc % 64);
  ++source->dead_count;
  for (size_t i = 0; i < document.size(); ++i) {
    const TextDocument::Term term = document.term(i);
    PackedPostings postings;
    if (source->segment->field(term.field).Find(term.text, &postings)) {
      ++source->dead_df[TextSegmentSource::TermKey(term.field, postings.term)];
    }
  }
  return true;
}

TextIndex::Impl::Impl(std::vector<TextIndexField> index_fields, const Options& index_options)
    : fields(std::move(index_fields)), options(index_options), totals(fields.size()) {
  for (const TextIndexField& field : fields) with_positions.push_back(field.positions);
}

TextIndex::TextIndex(std::vector<TextIndexField> fields)
    : TextIndex(std::move(fields), Options()) {}
TextIndex::TextIndex(std::vector<TextIndexField> fields, const Options& options)
    : impl_(new Impl(std::move(fields), options)) {}
TextIndex::~TextIndex() = default;

const std::vector<TextIndexField>& TextIndex::fields() const { return impl_->fields; }

// ---- writing ------------------------------------------------------------------

absl::Status TextIndex::Apply(std::span<const TextPut> puts, uint64_t commit) {
  return WithinMemory([&] {
    std::vector<TextChange> changes;
    const auto flush = [&] {
      std::lock_guard<std::shared_mutex> lock(impl_->mutex);
      for (TextChange& change : changes) impl_->ApplyChange(std::move(change));
      changes.clear();
    };
    for (const TextPut& put : puts) {
      if (SameTexts(put)) continue;
      TextChange change{commit, put.ordinal, MakeDocument(impl_->fields, put.before),
                        MakeDocument(impl_->fields, put.after)};
      if (change.before == nullptr && change.after == nullptr) continue;
      changes.push_back(std::move(change));
      if (changes.size() == kChangesAtOnce) flush();
    }
    flush();
    return absl::OkStatus();
  });
}

void TextIndex::Impl::ApplyChange(TextChange change) {
  if (change.before != nullptr && KillLocked(change)) {
    CountLocked(*change.before, -1);
    live.fetch_sub(1, std::memory_order_relaxed);
  }
  if (change.after != nullptr) {
    AddLocked(change);
    CountLocked(*change.after, 1);
    live.fetch_add(1, std::memory_order_relaxed);
  }
  RememberLocked(std::move(change));
}

void TextIndex::Impl::AddLocked(const TextChange& change) {
  BufferForLocked().buffer->Add(change.ordinal, *change.after);
}

TextBufferSource& TextIndex::Impl::BufferForLocked() {
  if (!buffers.empty()) {
    const TextBuffer& last = *buffers.back()->buffer;
    if (last.documents() < last.capacity() && last.MemoryBytes() < options.buffer_bytes &&
        !buffers.back()->busy) {
      return *buffers.back();
    }
    waiting.fetch_add(last.documents(), std::memory_order_relaxed);
    filled.fetch_add(1, std::memory_order_relaxed);
  }
  AddBufferLocked();
  return *buffers.back();
}

void TextIndex::Impl::AddBufferLocked() {
  // As large as the index, so that a small one takes little memory.
  const auto documents = static_cast<size_t>(std::max<int64_t>(live.load(), 0));
  const size_t capacity =
      std::min(options.buffer_documents, std::max(kLeastBuffer, std::bit_ceil(documents)));
  auto added = std::make_shared<TextBufferSource>();
  added->buffer = std::make_shared<TextBuffer>(fields.size(), capacity);
  buffers.push_back(std::move(added));
}

bool TextIndex::Impl::KillLocked(const TextChange& change) {
  for (auto source = buffers.rbegin(); source != buffers.rend(); ++source) {
    TextBufferSource& in = **source;
    const DocId doc = in.buffer->Find(change.ordinal);
    if (doc == kNoDoc) continue;
    OwnBits(in.buffer->capacity(), &in.dead);
    (*in.dead)[doc / 64] |= uint64_t{1} << (doc % 64);
    ++in.dead_count;
    in.buffer->CountOff(*change.before);
    in.buffer->Forget(change.ordinal);
    if (in.busy) in.deaths.push_back({change.ordinal, change.before});
    return true;
  }
  for (const auto& source : segments) {
    const DocId doc = source->segment->Find(change.ordinal);
    if (doc == kNoDoc || !KillInSegment(doc, *change.before, source.get())) continue;
    if (source->busy) source->deaths.push_back({change.ordinal, change.before});
    return true;
  }
  return false;
}

void TextIndex::Impl::CountLocked(const TextDocument& document, int sign) {
  for (uint32_t i = 0; i < totals.size(); ++i) {
    if (document.length(i) == 0) continue;
    totals[i].documents += sign;
    totals[i].words += sign * int64_t{document.length(i)};
  }
}

void TextIndex::Impl::RememberLocked(TextChange change) {
  change_bytes += BytesOf(change);
  changes.push_back(std::move(change));
  TrimLocked(options.changes, options.change_bytes);
}

void TextIndex::TrimChanges(size_t bytes) {
  std::lock_guard<std::shared_mutex> lock(impl_->mutex);
  impl_->TrimLocked(impl_->options.changes, bytes);
}

void TextIndex::Impl::TrimLocked(size_t count, size_t bytes) {
  while (changes.size() > count || change_bytes > bytes) {
    forgotten = changes.front().commit;
    change_bytes -= BytesOf(changes.front());
    changes.pop_front();
  }
}

// ---- counters -----------------------------------------------------------------

uint64_t TextIndex::filled_buffers() const { return impl_->filled.load(std::memory_order_relaxed); }

size_t TextIndex::backlog() const { return impl_->waiting.load(std::memory_order_relaxed); }

TextIndex::Stats TextIndex::stats() const {
  Stats stats;
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  stats.fields.resize(impl_->fields.size());
  stats.documents = impl_->live.load(std::memory_order_relaxed);
  stats.memory_bytes = static_cast<int64_t>(sizeof(*impl_) + impl_->change_bytes);
  for (const auto& source : impl_->segments) {
    const TextSegment& segment = *source->segment;
    stats.indexed += segment.documents() - static_cast<int64_t>(source->dead_count);
    stats.dead += static_cast<int64_t>(source->dead_count);
    stats.memory_bytes += static_cast<int64_t>(
        segment.MemoryBytes() + (source->dead == nullptr ? 0 : source->dead->size() * 8) +
        source->dead_df.capacity() * 17);
    for (size_t i = 0; i < segment.fields(); ++i) stats.fields[i].terms += segment.field(i).terms();
  }
  for (const auto& source : impl_->buffers) {
    stats.dead += static_cast<int64_t>(source->dead_count);
    stats.memory_bytes += static_cast<int64_t>(source->buffer->MemoryBytes());
    const TextBuffer::Term* term = source->buffer->newest();
    for (; term != nullptr; term = term->previous) ++stats.fields[term->field].terms;
  }
  stats.segments = static_cast<int64_t>(impl_->segments.size());
  stats.merged = impl_->merged.load(std::memory_order_relaxed);
  for (size_t i = 0; i < impl_->fields.size(); ++i) stats.fields[i].totals = impl_->totals[i];
  return stats;
}

int64_t TextIndex::MemoryBytes() const {
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  size_t bytes = sizeof(*impl_) + impl_->change_bytes;
  for (const auto& source : impl_->segments) bytes += source->segment->MemoryBytes();
  for (const auto& source : impl_->buffers) bytes += source->buffer->MemoryBytes();
  return static_cast<int64_t>(bytes);
}

int64_t TextIndex::SegmentBytes() const {
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  size_t bytes = 0;
  for (const auto& source : impl_->segments) bytes += source->segment->MemoryBytes();
  return static_cast<int64_t>(bytes);
}

}  // namespace cookix::engine
