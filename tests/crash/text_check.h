// Compares what searches of a server by words find with what it holds.
#ifndef COOKIX_TESTS_CRASH_TEXT_CHECK_H_
#define COOKIX_TESTS_CRASH_TEXT_CHECK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "cookix/v1/search_service.pb.h"
#include "tests/crash/expected_state.h"
#include "tests/support/okapi_reference.h"

namespace cookix::tests {

// Nobody writes meanwhile. Not thread-safe.
class TextCheck {
 public:
  // `states` together are all objects that there are.
  TextCheck(client::Client& client, const std::vector<GraphState>& states, uint64_t seed);

  // Searches for any, for all and for phrases of some words. `by_indexes` first waits until
  // the index is there and answers; else the store may. The first contradiction is an error.
  absl::Status Run(bool by_indexes);

  // Searches done, by strategy.
  const std::map<std::string, int64_t>& searches() const { return searches_; }

 private:
  // By key. The score is not known of phrases.
  using Found = std::map<std::string, std::optional<double>>;

  absl::Status Search(const std::vector<std::string>& words, v1::TextQueryMode mode,
                      v1::SearchResponse* response);
  // All that is to be found.
  Found Truth(const std::vector<std::string>& words, v1::TextQueryMode mode) const;
  absl::Status Check(const Found& truth, const v1::SearchResponse& response) const;

  client::Client& client_;
  std::mt19937_64 random_;
  OkapiReference okapi_;
  // As they were added to okapi_.
  std::vector<std::string> keys_;
  std::vector<std::vector<std::string>> texts_;
  std::map<std::string, int64_t> searches_;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_TEXT_CHECK_H_
