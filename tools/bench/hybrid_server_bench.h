// Searches by vector and words at once, in a real cookixd over gRPC.
//
// Objects have a vector, a text of some 20 words and a property: "bucket" is the object's
// number modulo 100, so that filters on it let 1 % or 10 % through. A search has a vector lane
// and a text lane of the default number of candidates, fused by reciprocal rank.
#ifndef COOKIX_TOOLS_BENCH_HYBRID_SERVER_BENCH_H_
#define COOKIX_TOOLS_BENCH_HYBRID_SERVER_BENCH_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/search_service.pb.h"
#include "tests/support/test_server.h"
#include "tools/bench/report.h"
#include "tools/bench/text_corpus.h"
#include "tools/bench/text_queries.h"
#include "tools/bench/text_truth.h"
#include "tools/bench/vector_data.h"

namespace cookix::bench {

class HybridServerBench {
 public:
  // Starts a server on an empty directory, with every commit synced. Document N of the
  // texts and row N of the vectors are an object; both are borrowed.
  static absl::StatusOr<std::unique_ptr<HybridServerBench>> Start(const std::string& data_dir,
                                                                  const VectorData& vectors,
                                                                  const TextCorpus& texts);

  // Streams all objects in, as a bulk load, and waits until all are indexed. To be called
  // first.
  absl::Status Insert(Report* report);
  // Searches among 1 %, 10 % and all, one after the other. Every lane and the fused answer are
  // checked before.
  absl::Status Search(int rounds, Report* report);

 private:
  HybridServerBench(const VectorData& vectors, const TextCorpus& texts);
  absl::Status WaitUntilIndexed(client::Client& client);
  v1::SearchRequest RequestOf(size_t query, int percent) const;
  // INTERNAL says what is wrong with an answer to the query, with lanes.
  absl::Status Check(size_t query, int percent, const v1::SearchResponse& response) const;
  absl::Status CheckTextLane(size_t query, int percent, const v1::LaneResult& lane) const;
  absl::Status CheckAll(client::Client& client, int percent, double* recall);

  const VectorData& vectors_;
  const TextCorpus& texts_;
  const std::vector<WordQuery> queries_;
  const TextTruth truth_;
  std::unique_ptr<tests::TestServer> server_;
};

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_HYBRID_SERVER_BENCH_H_
