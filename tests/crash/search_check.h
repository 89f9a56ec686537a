// Compares what searches of a server find with what it holds.
#ifndef COOKIX_TESTS_CRASH_SEARCH_CHECK_H_
#define COOKIX_TESTS_CRASH_SEARCH_CHECK_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "client/client.h"
#include "cookix/v1/search_service.pb.h"
#include "tests/crash/expected_state.h"

namespace cookix::tests {

// Nobody writes meanwhile. Not thread-safe.
class SearchCheck {
 public:
  // `states` together are all objects that there are.
  SearchCheck(client::Client& client, const std::vector<GraphState>& states, uint64_t seed);

  // Searches each field some times, exactly and not. `by_indexes` first waits until the
  // indexes are there and answer; else the store may. The first contradiction is an error.
  absl::Status Run(bool by_indexes);

  // Searches done, by strategy.
  const std::map<std::string, int64_t>& searches() const { return searches_; }

 private:
  struct Near {
    double distance = 0;
    std::string key;
    bool operator<(const Near& other) const { return distance < other.distance; }
  };

  absl::Status Search(const std::string& field, const v1::Vector& query, bool exact,
                      v1::SearchResponse* response);
  // All that can be found, nearest first.
  std::vector<Near> Truth(const std::string& field, const v1::Vector& query) const;
  // Whether each hit is what it says, and hits come in order.
  absl::Status CheckHits(const std::string& field, const v1::Vector& query,
                         const v1::SearchResponse& response, double tolerance) const;

  client::Client& client_;
  std::mt19937_64 random_;
  // By field and key.
  std::map<std::string, std::map<std::string, v1::Vector>> vectors_;
  std::map<std::string, int64_t> searches_;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_SEARCH_CHECK_H_
