// The engine's text index as the benchmark sees it.
#ifndef COOKIX_TOOLS_BENCH_COOKIX_TEXT_H_
#define COOKIX_TOOLS_BENCH_COOKIX_TEXT_H_

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/text/text_index.h"
#include "tools/bench/text_contestant.h"

namespace cookix::bench {

// One field without a language, written by 1,000 documents a commit, while another thread
// makes segments and merges them, as in the engine. Finish() lets both come to an end and
// makes segments fewer, as the engine does when nothing is written for a while.
class CookixText : public TextContestant {
 public:
  // The corpus is borrowed.
  static absl::StatusOr<std::unique_ptr<CookixText>> Create(
      const TextCorpus& corpus, bool positions, const engine::TextIndex::Options& options = {});
  ~CookixText() override;

  std::string name() const override { return "cookix"; }
  absl::Status Add(size_t first, std::span<const std::string> texts) override;
  absl::Status Finish() override;
  // Also compares the answer with that of scoring everything that matches, to the last bit:
  // INTERNAL when it differs.
  absl::Status SearchBothWays(const WordQuery& query, size_t k, std::vector<RankedDocument>* hits);
  absl::Status Search(const WordQuery& query, size_t k, std::vector<RankedDocument>* hits) override;
  absl::StatusOr<int64_t> Bytes() const override { return index_.MemoryBytes(); }

  // Makes one segment of everything.
  void Compact() { index_.CompactForTest(); }
  int64_t segments() const { return index_.stats().segments; }
  // INTERNAL when analysis makes other terms of a text than the corpus says it has.
  absl::Status CheckAnalysis(size_t document) const;

 private:
  CookixText(const TextCorpus& corpus, engine::TextIndexField field,
             const engine::TextIndex::Options& options);
  absl::Status Search(const WordQuery& query, size_t k, bool exhaustive,
                      std::vector<RankedDocument>* hits);
  void Work();
  void StopWorker();

  const TextCorpus& corpus_;
  const engine::TextIndexField field_;
  engine::TextIndex index_;
  uint64_t commit_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool pending_ = false;  // guarded by mutex_
  bool stop_ = false;     // guarded by mutex_
  std::thread worker_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_COOKIX_TEXT_H_
