// The text index of one collection, with the definitions of the fields that it is built
// for: between the catalog, which has v1::TextField, and TextIndex, which knows numbers.
#ifndef COOKIX_ENGINE_TEXT_TEXT_COLLECTION_H_
#define COOKIX_ENGINE_TEXT_TEXT_COLLECTION_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"
#include "engine/records.h"
#include "engine/text/object_texts.h"
#include "engine/text/text_index.h"
#include "engine/text/text_search.h"
#include "storage/checked_file.h"

namespace cookix::engine {

// Threads: one writer (Add, Flush, TakeSnapshot, Load); the rest from any thread.
class TextCollection {
 public:
  // `fields` are resolved. Errors of AnalyzerFor.
  static absl::StatusOr<std::shared_ptr<TextCollection>> Create(std::vector<v1::TextField> fields);
  TextCollection(const TextCollection&) = delete;
  TextCollection& operator=(const TextCollection&) = delete;

  const std::vector<v1::TextField>& fields() const { return fields_; }
  // True when it has the postings of exactly the text fields of `definition`.
  bool Serves(const v1::Collection& definition) const;
  // Names the versions of all analyzers.
  std::string version() const;

  // Notes what became of an object: serialized ObjectRecords, empty = there was, or is,
  // none. An object whose texts are the same is passed over. kDataLoss: a record is
  // malformed.
  absl::Status Add(Ordinal ordinal, std::string_view before, std::string_view after);
  // Bytes of the texts noted since the last Flush().
  size_t noted_bytes() const { return noted_bytes_; }
  // Applies what was noted: from now on searches find it. `commit` ascends.
  absl::Status Flush(uint64_t commit);
  // As TextIndex.
  void TrimChanges(size_t bytes);
  // Forgets what was noted.
  void Forget();

  // Readers of earlier commits must go to the store.
  void set_oldest_commit(uint64_t commit) { oldest_commit_.store(commit); }

  // As of `commit`. False when it cannot. RESOURCE_EXHAUSTED when the system has no memory.
  absl::StatusOr<bool> Search(const CallContext& context, const TextSearch& search, uint64_t commit,
                              TextSearchResult* result) const;

  // As TextIndex; of a collection without a single text, nothing is there.
  bool WorkSome();
  bool TidySome();
  size_t backlog() const;
  uint64_t filled_buffers() const;
  int64_t MemoryBytes() const;
  TextIndex::Stats stats() const;

  class Snapshot {
   public:
    absl::Status Write(storage::CheckedFileWriter& writer) const;

   private:
    friend class TextCollection;
    std::shared_ptr<const TextCollection> owner_;
    std::shared_ptr<const TextIndex::Snapshot> index_;  // null: not a single text
  };
  // REQUIRES: nothing is noted.
  static Snapshot TakeSnapshot(std::shared_ptr<const TextCollection> collection);
  // Into one that was just made with the fields and analyzers of the one saved.
  absl::Status Load(storage::CheckedFileReader& reader);

 private:
  struct Noted {
    Ordinal ordinal = 0;
    ObjectTexts before;
    ObjectTexts after;
  };

  TextCollection(std::vector<v1::TextField> fields, std::vector<TextIndexField> index_fields)
      : fields_(std::move(fields)), index_fields_(std::move(index_fields)) {}
  TextIndex& MakeIndex();
  absl::StatusOr<bool> SearchIndex(const CallContext& context, const TextSearch& search,
                                   uint64_t commit, TextSearchResult* result) const;
  const TextIndex* index() const { return index_.load(std::memory_order_acquire); }

  const std::vector<v1::TextField> fields_;
  const std::vector<TextIndexField> index_fields_;
  std::atomic<uint64_t> oldest_commit_{0};
  // Made with the first text, for many namespaces have a collection that is never used.
  std::unique_ptr<TextIndex> owned_;
  std::atomic<TextIndex*> index_{nullptr};

  // The writer's. The first `noted_` of `objects_` are in use.
  std::deque<Noted> objects_;
  size_t noted_ = 0;
  size_t noted_bytes_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_COLLECTION_H_
