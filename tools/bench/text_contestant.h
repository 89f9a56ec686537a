// A text index under measurement: ours or another library's.
#ifndef COOKIX_TOOLS_BENCH_TEXT_CONTESTANT_H_
#define COOKIX_TOOLS_BENCH_TEXT_CONTESTANT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/text_corpus.h"
#include "tools/bench/text_queries.h"

namespace cookix::bench {

struct RankedDocument {
  uint32_t document = 0;
  double score = 0;
};

class TextContestant {
 public:
  virtual ~TextContestant() = default;
  virtual std::string name() const = 0;
  // Adds documents [first, first + texts.size()) of the corpus it was made for: `texts` are
  // theirs.
  virtual absl::Status Add(size_t first, std::span<const std::string> texts) = 0;
  // After the last Add(): what the library does to be fast afterwards.
  virtual absl::Status Finish() = 0;
  // The best `k` by BM25, best first, and equal ones by document. By one thread.
  virtual absl::Status Search(const WordQuery& query, size_t k,
                              std::vector<RankedDocument>* hits) = 0;
  // What it keeps, in memory or on disk.
  virtual absl::StatusOr<int64_t> Bytes() const = 0;
};

// Makes one for a corpus, which is borrowed, with a directory of its own to write to.
using TextContestantFactory = std::function<absl::StatusOr<std::unique_ptr<TextContestant>>(
    const TextCorpus& corpus, const std::string& directory)>;

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_CONTESTANT_H_
