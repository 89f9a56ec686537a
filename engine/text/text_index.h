// The index of the text fields of one collection: an inverted file in segments.
//
// A document is found from the moment Apply() returns: it is in the buffer, inverted lists
// in memory that readers go through beside the writer. A buffer that is full is made a
// segment by WorkSome(): immutable, packed, in ascending order of ordinals. Segments of
// about the same size are merged, which leaves out what was deleted; where nothing is
// written, TidySome() merges more. Deletion hides a document at once, by a bit of its segment.
//
// Statistics (documents, lengths, how many documents have a term) are always those of the
// documents that live at the reader's commit, whatever segments hold: the terms of a
// deleted document are counted off when it is deleted. Changes of the last commits are
// kept, so that readers of somewhat older commits are answered as of theirs.
//
// Blocks of 128 postings know the best that any of their documents can score, so that a
// search passes over what cannot be among the best; what remains is scored in single
// precision with a margin, and the best of that exactly. The answer is that of scoring
// everything, to the last bit.
//
// Threads: one writer (Apply, TakeSnapshot, Load); Search, WorkSome, Save and the counters
// from any thread.
#ifndef COOKIX_ENGINE_TEXT_TEXT_INDEX_H_
#define COOKIX_ENGINE_TEXT_TEXT_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/call_context.h"
#include "engine/records.h"
#include "engine/text/text_document.h"
#include "engine/text/text_scoring.h"
#include "engine/text/text_search.h"
#include "storage/checked_file.h"

namespace cookix::engine {

// What became of the texts of an object. All is borrowed.
struct TextPut {
  Ordinal ordinal = 0;
  // By field, in the order of the index's fields: the texts before and after. Empty: the
  // object had, or has, no texts.
  std::span<const TextElements> before;
  std::span<const TextElements> after;
};

class TextIndex {
 public:
  struct Options {
    // Documents of a buffer, and its bytes, before it is made a segment.
    size_t buffer_documents = 32'768;
    size_t buffer_bytes = 48 << 20;
    // Bytes of recent changes that are kept for readers of older commits, and how many.
    size_t change_bytes = 32 << 20;
    size_t changes = 65'536;
    // Segments of about one size that are merged.
    size_t merge_width = 8;
    // Documents that TidySome() may merge for each that was put into a segment.
    size_t tidy_share = 2;
  };

  // At most 64 fields.
  explicit TextIndex(std::vector<TextIndexField> fields);
  TextIndex(std::vector<TextIndexField> fields, const Options& options);
  ~TextIndex();
  TextIndex(const TextIndex&) = delete;
  TextIndex& operator=(const TextIndex&) = delete;

  const std::vector<TextIndexField>& fields() const;

  // Writer. Of an ordinal that is there twice, the puts follow each other.
  // RESOURCE_EXHAUSTED when the system has no memory.
  absl::Status Apply(std::span<const TextPut> puts, uint64_t commit);

  // Keeps no more than so many bytes of recent changes. Writer.
  void TrimChanges(size_t bytes);

  // Answers as of `commit`. False when it cannot: too much has changed since.
  // LIMIT_EXCEEDED (a prefix or fuzzy word), FAILED_PRECONDITION (a phrase in a field
  // without positions), and what context.Check() says.
  absl::StatusOr<bool> Search(const CallContext& context, const TextSearch& search, uint64_t commit,
                              TextSearchResult* result) const;

  // Makes a segment of a full buffer, or merges some segments; false when there is nothing
  // to do, or no memory to do it with. Several threads may work at the same time.
  bool WorkSome();
  // For times in which nothing is written: makes a segment of a buffer that is fuller than a
  // quarter, and of many segments few, which searches go through faster. False when there is
  // nothing to do, or Options::tidy_share is used up: so what is written all the time is not
  // merged all the time.
  bool TidySome();
  // WorkSome() also for a buffer that is not full, and merges all into one segment.
  void CompactForTest();
  // Documents in full buffers that wait to become segments.
  size_t backlog() const;
  // Buffers that have become full since the index was made: when it changes, there is work.
  uint64_t filled_buffers() const;

  struct FieldStats {
    TextFieldTotals totals;
    // Different terms, counted in each segment.
    int64_t terms = 0;
  };
  struct Stats {
    // Documents that are found.
    int64_t documents = 0;
    // Of these, in segments.
    int64_t indexed = 0;
    // Documents deleted and not yet merged away.
    int64_t dead = 0;
    int64_t segments = 0;
    // Documents that merges have written since the index was made or loaded.
    int64_t merged = 0;
    int64_t memory_bytes = 0;
    std::vector<FieldStats> fields;
  };
  Stats stats() const;
  int64_t MemoryBytes() const;
  // Of segments alone: without buffers and recent changes.
  int64_t SegmentBytes() const;

  // The index as it is now, for a save. By the writer.
  class Snapshot;
  std::shared_ptr<const Snapshot> TakeSnapshot() const;
  // Writes it. Any thread.
  absl::Status Save(const Snapshot& snapshot, storage::CheckedFileWriter& writer) const;
  // Into an index that was just made, with the fields of the one saved. kDataLoss when what
  // is read makes no sense; the index is then of no use.
  absl::Status Load(storage::CheckedFileReader& reader);

 private:
  friend class TextSearcher;
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_INDEX_H_
