#include "tests/crash/text_check.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/crash/wait_for_index.h"
#include "tests/crash/word_texts.h"

namespace cookix::tests {
namespace {

constexpr int kLimit = 10;
constexpr int kQueries = 3;
// Of sums in another order, relative.
constexpr double kRounding = 1e-9;

bool IsFound(const std::vector<std::string>& words, v1::TextQueryMode mode,
             const std::vector<std::string>& text) {
  const auto has = [&](const std::string& word) {
    return std::find(text.begin(), text.end(), word) != text.end();
  };
  switch (mode) {
    case v1::TEXT_QUERY_MODE_ALL_WORDS:
      return std::all_of(words.begin(), words.end(), has);
    case v1::TEXT_QUERY_MODE_PHRASE:
      return std::search(text.begin(), text.end(), words.begin(), words.end()) != text.end();
    default:
      return std::any_of(words.begin(), words.end(), has);
  }
}

}  // namespace

TextCheck::TextCheck(client::Client& client, const std::vector<GraphState>& states, uint64_t seed)
    : client_(client), random_(seed) {
  for (const GraphState& state : states) {
    for (const auto& [key, object] : state.objects) {
      keys_.push_back(key);
      texts_.push_back(WordsOf(object.content));
      okapi_.Add(texts_.back());
    }
  }
}

absl::Status TextCheck::Search(const std::vector<std::string>& words, v1::TextQueryMode mode,
                               v1::SearchResponse* response) {
  v1::SearchRequest request;
  request.mutable_text()->set_text(absl::StrJoin(words, " "));
  request.mutable_text()->set_mode(mode);
  request.set_limit(kLimit);
  request.set_count_matches(true);
  const absl::Status status = client_.Search(request, response);
  if (!status.ok()) return status;
  ++searches_["text_" + response->diagnostics().strategy()];
  return absl::OkStatus();
}

TextCheck::Found TextCheck::Truth(const std::vector<std::string>& words,
                                  v1::TextQueryMode mode) const {
  Found truth;
  for (const OkapiReference::Hit& hit : okapi_.Search(words, keys_.size())) {
    if (!IsFound(words, mode, texts_[hit.document])) continue;
    std::optional<double>& score = truth[keys_[hit.document]];
    if (mode != v1::TEXT_QUERY_MODE_PHRASE) score = hit.score;
  }
  return truth;
}

absl::Status TextCheck::Check(const Found& truth, const v1::SearchResponse& response) const {
  const auto same = [](double a, double b) { return std::fabs(a - b) <= kRounding * b; };
  if (response.total_matches() != static_cast<int64_t>(truth.size())) {
    return absl::InternalError(
        absl::StrCat(response.total_matches(), " matches and not ", truth.size()));
  }
  std::vector<double> best;
  for (const auto& [key, score] : truth) best.push_back(score.value_or(0));
  std::sort(best.begin(), best.end(), std::greater<>());
  best.resize(std::min<size_t>(best.size(), kLimit));
  if (response.hits_size() != static_cast<int>(best.size())) {
    return absl::InternalError(absl::StrCat(response.hits_size(), " hits and not ", best.size()));
  }
  std::set<std::string> seen;
  for (int i = 0; i < response.hits_size(); ++i) {
    const v1::Hit& hit = response.hits(i);
    const auto there = truth.find(hit.ref().key());
    if (there == truth.end()) return absl::InternalError(hit.ref().key() + " does not match");
    if (!seen.insert(there->first).second) {
      return absl::InternalError(there->first + " comes twice");
    }
    if (i > 0 && hit.score() > response.hits(i - 1).score()) {
      return absl::InternalError("hits are out of order");
    }
    if (!there->second.has_value()) continue;
    if (!same(hit.score(), *there->second) || !same(hit.score(), best[static_cast<size_t>(i)])) {
      return absl::InternalError(absl::StrCat(
          "hit ", i, ", ", there->first, ", scores ", hit.score(), ": its score is ",
          *there->second, ", and that of the hit there ", best[static_cast<size_t>(i)]));
    }
  }
  return absl::OkStatus();
}

absl::Status TextCheck::Run(bool by_indexes) {
  if (by_indexes) {
    const absl::Status status = WaitForIndex("texts", [&](v1::SearchResponse* response) {
      return Search({RandomWord(random_)}, v1::TEXT_QUERY_MODE_ANY_WORDS, response);
    });
    if (!status.ok()) return status;
  }
  for (const v1::TextQueryMode mode :
       {v1::TEXT_QUERY_MODE_ANY_WORDS, v1::TEXT_QUERY_MODE_ALL_WORDS, v1::TEXT_QUERY_MODE_PHRASE}) {
    for (int i = 0; i < kQueries; ++i) {
      const std::vector<std::string> words = {RandomWord(random_), RandomWord(random_)};
      v1::SearchResponse response;
      absl::Status status = Search(words, mode, &response);
      if (status.ok()) status = Check(Truth(words, mode), response);
      if (!status.ok()) {
        return absl::InternalError(absl::StrCat(
            "a search for \"", absl::StrJoin(words, " "), "\" (", v1::TextQueryMode_Name(mode),
            ") by ", response.diagnostics().strategy(), ": ", status.ToString()));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace cookix::tests
