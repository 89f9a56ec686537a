// The view of all text indexes: one for each collection that has text fields.
//
// Useful for: the objects that match words best, how many match, phrases, prefixes. Not
// useful for: the texts themselves, which are in the store.
//
// Apply() makes a text visible at once; threads of the view seal and merge segments. The
// index of a collection whose text fields change is built beside the others, from a
// snapshot and the log after it; until it is there, searches of that collection read the
// store.
//
// Saved: the indexes whole, with the versions of their analyzers. One whose analyzer has
// changed since is built again.
#ifndef COOKIX_ENGINE_TEXT_TEXT_VIEW_H_
#define COOKIX_ENGINE_TEXT_TEXT_VIEW_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"
#include "engine/text/text_search.h"
#include "engine/view/view.h"
#include "storage/store.h"

namespace cookix::engine {

struct TextViewOptions {
  // Bytes that all indexes together may take. Writes of texts beyond are refused.
  int64_t max_bytes = 1LL << 30;
  // Texts that may wait to be put into segments before writers wait, and the same during a
  // bulk load.
  int64_t tail_texts = 200'000;
  int64_t bulk_tail_texts = 2'000'000;
  // Threads that seal and merge segments; 0 = one for each processor.
  int threads = 0;
  // How long no buffer of an index has become full before its segments are made fewer.
  std::chrono::milliseconds quiet{5'000};
  // Receives what a person should know, such as why an index is built again. Called from
  // any thread. Null = dropped. `level` is "info", "warning" or "error".
  std::function<void(std::string_view level, std::string_view message)> log;
};

class TextView : public View {
 public:
  // `store` is borrowed: indexes that are built beside the others read it and its log.
  TextView(TextViewOptions options, storage::Store& store);
  // REQUIRES: no search is under way.
  ~TextView() override;
  TextView(const TextView&) = delete;
  TextView& operator=(const TextView&) = delete;

  std::string_view name() const override { return "text"; }
  absl::Status Bootstrap(const ReadView& view, BootstrapMonitor& monitor) override;
  absl::Status Apply(const AppliedCommit& commit) override;
  void Drop() override;
  int64_t MemoryBytes() const override;
  bool HasRoom(bool bulk) const override;
  uint64_t indexed(uint64_t applied) const override;
  // indexes, building, failed, documents, waiting, dead, segments.
  std::map<std::string, int64_t> Counters() const override;
  uint32_t checkpoint_version() const override { return 2; }
  std::unique_ptr<ViewSave> BeginSave() override;
  absl::Status Load(storage::CheckedFileReader& reader, uint64_t commit, const ReadView& newest,
                    BootstrapMonitor& monitor) override;

  // Answers as of view.commit(). False when the index cannot: then read the store
  // (record_text_search.h).
  // REQUIRES: the view is visible up to view.commit() (ViewHost::WaitVisible).
  absl::StatusOr<bool> Search(const CallContext& context, const NamespaceView& view,
                              const TextSearch& search, TextSearchResult* result);

  // Fills in `state`, `error`, sizes and the statistics of the fields of `definition`; of an
  // index that is being built, as far as it is.
  void Describe(NamespaceId ns, CollectionId collection, const v1::Collection& definition,
                v1::DescribeIndexResponse* response) const;

  // RESOURCE_EXHAUSTED (MEMORY_LIMIT) when texts of so many bytes together would not fit.
  absl::Status CheckRoom(int64_t bytes) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_VIEW_H_
