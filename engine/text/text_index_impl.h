// What the parts of TextIndex share.
#ifndef COOKIX_ENGINE_TEXT_TEXT_INDEX_IMPL_H_
#define COOKIX_ENGINE_TEXT_TEXT_INDEX_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/text/text_buffer.h"
#include "engine/text/text_index.h"
#include "engine/text/text_merge.h"
#include "engine/text/text_segment.h"

namespace cookix::engine {

// A document that died while a segment was made of where it was.
struct TextDeath {
  Ordinal ordinal;
  std::shared_ptr<const TextDocument> document;
};

// What the two kinds of sources share. Everything is guarded by the index's lock.
struct TextSource {
  // Readers share it; whoever changes it has it alone, or makes a copy (OwnBits).
  std::shared_ptr<DocBits> dead;
  size_t dead_count = 0;
  // A worker is making a segment of it.
  bool busy = false;
  // While busy.
  std::vector<TextDeath> deaths;
};

struct TextBufferSource : TextSource {
  std::shared_ptr<TextBuffer> buffer;
};

struct TextSegmentSource : TextSource {
  std::shared_ptr<const TextSegment> segment;
  // By field and term: how many of its documents are dead.
  absl::flat_hash_map<uint64_t, uint32_t> dead_df;

  static uint64_t TermKey(size_t field, uint32_t term) { return uint64_t{field} << 32 | term; }
  // Live documents that have the term.
  uint32_t LiveDf(size_t field, const PackedPostings& postings) const {
    const auto dead_here = dead_df.find(TermKey(field, postings.term));
    const uint32_t gone = dead_here == dead_df.end() ? 0 : dead_here->second;
    return postings.df - std::min(gone, postings.df);
  }
};

// What became of one object in one commit.
struct TextChange {
  uint64_t commit = 0;
  Ordinal ordinal = 0;
  // Null: it had, or has, no terms.
  std::shared_ptr<const TextDocument> before;
  std::shared_ptr<const TextDocument> after;
};

struct TextIndex::Impl {
  Impl(std::vector<TextIndexField> index_fields, const Options& index_options);

  // Constant after construction.
  const std::vector<TextIndexField> fields;
  const Options options;
  std::vector<bool> with_positions;

  // Taken alone for moments only, by the writer and to put a segment in its place.
  mutable std::shared_mutex mutex;
  // Guarded by mutex. The last buffer is the one that is written to.
  std::vector<std::shared_ptr<TextBufferSource>> buffers;
  std::vector<std::shared_ptr<TextSegmentSource>> segments;
  std::vector<TextFieldTotals> totals;
  std::deque<TextChange> changes;
  size_t change_bytes = 0;
  uint64_t forgotten = 0;  // changes up to this commit may be missing
  // Documents that may be merged without need, at most as many as there are.
  uint64_t spare = 0;

  std::atomic<int64_t> live{0};
  std::atomic<size_t> waiting{0};   // documents in full buffers
  std::atomic<uint64_t> filled{0};  // buffers that have become full
  std::atomic<int64_t> merged{0};   // documents that merges have written

  // Filters that were asked with, by segment.
  struct Accepted {
    std::weak_ptr<const OrdinalSet> set;
    std::weak_ptr<const TextSegment> segment;
    std::shared_ptr<const DocBits> bits;
  };
  mutable std::mutex accepted_mutex;
  mutable std::deque<Accepted> accepted;  // guarded by accepted_mutex

  // ---- writing (text_index.cc). "Locked": `mutex` is held alone.
  void ApplyChange(TextChange change);
  void AddLocked(const TextChange& change);
  // Hides the document of an object; false when there is none.
  bool KillLocked(const TextChange& change);
  void CountLocked(const TextDocument& document, int sign);
  void RememberLocked(TextChange change);
  void TrimLocked(size_t count, size_t bytes);
  TextBufferSource& BufferForLocked();
  void AddBufferLocked();

  // ---- working (text_index_work.cc)
  template <typename Source>
  class Busy;
  using SegmentSources = std::vector<std::shared_ptr<TextSegmentSource>>;
  // A buffer that is full, or has `enough` documents.
  bool SealSome(size_t enough);
  // What there is to merge: what must be, what may be in quiet times, everything.
  enum class MergeKind : uint8_t { kDue, kSpare, kAll };
  bool MergeSome(MergeKind kind);
  SegmentSources PickMergeLocked(MergeKind kind);
  SegmentSources PickDue(const SegmentSources& idle) const;
  SegmentSources PickSpareLocked(const SegmentSources& idle);
  // Puts `made` where `sources` were, with what died in the meantime.
  template <typename Source>
  void Replace(std::vector<std::shared_ptr<Source>>* from,
               std::span<const std::shared_ptr<Source>> sources,
               std::shared_ptr<const TextSegment> made);

  // ---- saving (text_index_file.cc)
  absl::Status Load(storage::CheckedFileReader& reader);
  void CountLoadedLocked(const TextSegmentSource& source);

  // ---- searching (text_index_search.cc)
  std::shared_ptr<const DocBits> AcceptedBits(
      const std::shared_ptr<const OrdinalSet>& set,
      const std::shared_ptr<const TextSegment>& segment) const;
};

// Makes the bits the caller's alone, with room for so many documents.
void OwnBits(size_t documents, std::shared_ptr<DocBits>* bits);

// Marks a document of a segment as dead, and its terms. False when it was.
bool KillInSegment(DocId doc, const TextDocument& document, TextSegmentSource* source);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_INDEX_IMPL_H_
