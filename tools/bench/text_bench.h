// Text indexes in this process, ours beside other libraries'. Before anything is timed, our
// answers are compared with scoring everything that matches; of the others, whose formulas
// differ a little, it is said how much of the best they find.
#ifndef COOKIX_TOOLS_BENCH_TEXT_BENCH_H_
#define COOKIX_TOOLS_BENCH_TEXT_BENCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/bench/cookix_text.h"
#include "tools/bench/report.h"
#include "tools/bench/text_contestant.h"
#include "tools/bench/text_corpus.h"
#include "tools/bench/text_queries.h"

namespace cookix::bench {

struct TextBenchOptions {
  TextCorpusOptions corpus;
  // Of each kind.
  size_t queries = 200;
  // How often every query is timed; the median counts.
  int rounds = 3;
};

class TextBench {
 public:
  // Makes the corpus. Peers write to `directory`.
  TextBench(const TextBenchOptions& options, std::string directory);

  // Indexes everything: ours first, by two threads, then the others side by side, each by
  // one. To be called first.
  absl::Status Index(const std::vector<TextContestantFactory>& peers, Report* report);
  // One of or, and, phrase (the best ten), top100 (the best hundred of `or`).
  absl::Status Search(const std::string& scenario, Report* report);
  // Bytes of indexes for a byte of text. Compacts ours: to be called last.
  absl::Status Size(Report* report);

  const TextCorpus& corpus() const { return corpus_; }

 private:
  struct Contestant {
    std::unique_ptr<TextContestant> index;
    // Of each query, how long every round took.
    std::vector<std::vector<double>> micros;
    // The share of the best that it finds.
    double found = 0;
  };

  // Returns documents a second.
  absl::StatusOr<double> IndexAll(TextContestant& index) const;
  absl::Status Verify(const std::vector<WordQuery>& queries, size_t k);
  absl::Status Time(const std::vector<WordQuery>& queries, size_t k, Contestant* contestant);

  const TextBenchOptions options_;
  const std::string directory_;
  const TextCorpus corpus_;
  // Ours is the first of all; this is the same one.
  CookixText* ours_ = nullptr;
  std::vector<Contestant> contestants_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_BENCH_H_
