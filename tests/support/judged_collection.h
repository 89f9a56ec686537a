// Texts, queries, and which texts people found relevant to which query.
#ifndef COOKIX_TESTS_SUPPORT_JUDGED_COLLECTION_H_
#define COOKIX_TESTS_SUPPORT_JUDGED_COLLECTION_H_

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cookix::tests {

struct JudgedCollection {
  struct Query {
    std::string text;
    // Numbers of documents; what is not here is not relevant.
    std::set<size_t> relevant;
  };

  std::string name;
  // Title and text.
  std::vector<std::string> documents;
  // Those that have relevant documents.
  std::vector<Query> queries;

  // Reads corpus.jsonl, queries.jsonl and qrels.tsv of a directory. Every grade above 0 is
  // relevant. NOT_FOUND: a file is missing. DATA_LOSS: one makes no sense.
  static absl::StatusOr<JudgedCollection> Read(const std::string& name,
                                               const std::string& directory);
};

// Normalised discounted cumulative gain of the first ten, 0 to 1, of documents that are
// relevant or not.
double NdcgAt10(const std::vector<size_t>& ranking, const std::set<size_t>& relevant);

// The mean NdcgAt10 over the queries, of the engine and of OkapiReference, on the same terms:
// analysis for English.
struct RankingQuality {
  double engine = 0;
  double reference = 0;
};
absl::StatusOr<RankingQuality> MeasureRankings(const JudgedCollection& collection);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_SUPPORT_JUDGED_COLLECTION_H_
