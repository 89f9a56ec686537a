#include "tests/crash/search_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/crash/vector_fields.h"
#include "tests/crash/wait_for_index.h"

namespace cookix::tests {
namespace {

constexpr size_t kLimit = 10;
constexpr int kQueries = 3;
// Relative to one more than the distance: of float arithmetic, and of codes of a byte.
constexpr double kExactly = 1e-4;
constexpr double kNearly = 2e-2;
// Of the true nearest, searches that may miss some must find this share.
constexpr double kRecall = 0.9;

bool Close(double a, double b, double tolerance) {
  return std::fabs(a - b) <= tolerance * (1 + std::fabs(b));
}

absl::Status Wrong(const std::string& field, const v1::SearchResponse& response,
                   const std::string& what) {
  return absl::InternalError(
      absl::StrCat("a search of ", field, " by ", response.diagnostics().strategy(), ": ", what));
}

}  // namespace

SearchCheck::SearchCheck(client::Client& client, const std::vector<GraphState>& states,
                         uint64_t seed)
    : client_(client), random_(seed) {
  for (const GraphState& state : states) {
    for (const auto& [key, object] : state.objects) {
      for (const auto& [field, bytes] : object.vectors) {
        vectors_[field][key].ParseFromString(bytes);
      }
    }
  }
}

absl::Status SearchCheck::Search(const std::string& field, const v1::Vector& query, bool exact,
                                 v1::SearchResponse* response) {
  v1::SearchRequest request;
  request.mutable_vector()->set_field(field);
  *request.mutable_vector()->mutable_vector() = query;
  request.mutable_vector()->set_exact(exact);
  request.set_limit(static_cast<int32_t>(kLimit));
  const absl::Status status = client_.Search(request, response);
  if (!status.ok()) return status;
  ++searches_[response->diagnostics().strategy()];
  return absl::OkStatus();
}

std::vector<SearchCheck::Near> SearchCheck::Truth(const std::string& field,
                                                  const v1::Vector& query) const {
  std::vector<Near> near;
  const auto vectors = vectors_.find(field);
  if (vectors == vectors_.end()) return near;
  for (const auto& [key, vector] : vectors->second) {
    Near one{0, key};
    if (Distance(field, vector, query, &one.distance)) near.push_back(std::move(one));
  }
  std::sort(near.begin(), near.end());
  return near;
}

absl::Status SearchCheck::CheckHits(const std::string& field, const v1::Vector& query,
                                    const v1::SearchResponse& response, double tolerance) const {
  const auto vectors = vectors_.find(field);
  std::set<std::string> seen;
  double last = -std::numeric_limits<double>::infinity();
  for (const v1::Hit& hit : response.hits()) {
    const std::string& key = hit.ref().key();
    if (!seen.insert(key).second) return Wrong(field, response, absl::StrCat(key, " comes twice"));
    if (vectors == vectors_.end() || vectors->second.count(key) == 0) {
      return Wrong(field, response, absl::StrCat(key, " has no vector there"));
    }
    double distance = 0;
    if (!Distance(field, vectors->second.at(key), query, &distance) ||
        !Close(hit.distance(), distance, tolerance)) {
      return Wrong(field, response,
                   absl::StrCat(key, " is at ", distance, " and not at ", hit.distance()));
    }
    if (hit.distance() < last) return Wrong(field, response, "hits are out of order");
    last = hit.distance();
  }
  return absl::OkStatus();
}

absl::Status SearchCheck::Run(bool by_indexes) {
  for (const std::string field : kVectorFields) {
    if (by_indexes) {
      const v1::Vector query = RandomVector(field, random_);
      const absl::Status status = WaitForIndex(field, [&](v1::SearchResponse* response) {
        return Search(field, query, /*exact=*/false, response);
      });
      if (!status.ok()) return status;
    }
    size_t wanted = 0, found = 0;
    for (int i = 0; i < 2 * kQueries; ++i) {
      const bool exact = i % 2 == 0;
      const v1::Vector query = RandomVector(field, random_);
      const std::vector<Near> truth = Truth(field, query);
      const size_t most = std::min(kLimit, truth.size());
      v1::SearchResponse response;
      absl::Status status = Search(field, query, exact, &response);
      if (!status.ok()) return status;
      const bool sure = response.diagnostics().exact();
      if (exact && !sure) return Wrong(field, response, "an exact search is not exact");
      const double tolerance = exact || field == "sparse" ? kExactly : kNearly;
      status = CheckHits(field, query, response, tolerance);
      if (!status.ok()) return status;
      if (static_cast<size_t>(response.hits_size()) != most) {
        return Wrong(field, response, absl::StrCat(response.hits_size(), " hits and not ", most));
      }
      for (size_t k = 0; k < most; ++k) {
        const double distance = response.hits(static_cast<int>(k)).distance();
        if (sure && !Close(distance, truth[k].distance, tolerance)) {
          return Wrong(field, response,
                       absl::StrCat("hit ", k, " is at ", distance, ", and ", truth[k].key, " at ",
                                    truth[k].distance, " was missed"));
        }
        const double worst = truth[most - 1].distance;
        found += distance <= worst + tolerance * (1 + std::fabs(worst)) ? 1 : 0;
      }
      wanted += most;
    }
    if (static_cast<double>(found) < kRecall * static_cast<double>(wanted)) {
      return absl::InternalError(
          absl::StrCat("searches of ", field, " found ", found, " of ", wanted));
    }
  }
  return absl::OkStatus();
}

}  // namespace cookix::tests
