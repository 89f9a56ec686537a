// Okapi BM25 in the simplest form that is right: what rankings are judged by. Every document
// is scored for every query; nothing is shared with the engine.
#ifndef COOKIX_TESTS_SUPPORT_OKAPI_REFERENCE_H_
#define COOKIX_TESTS_SUPPORT_OKAPI_REFERENCE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace cookix::tests {

class OkapiReference {
 public:
  struct Hit {
    size_t document = 0;
    double score = 0;
  };

  // The terms of the next document, counted from 0.
  void Add(const std::vector<std::string>& terms) {
    Document& document = documents_.emplace_back();
    document.length = static_cast<double>(terms.size());
    for (const std::string& term : terms) ++document.counts[term];
    for (const auto& [term, count] : document.counts) ++frequencies_[term];
    total_length_ += document.length;
    if (!terms.empty()) ++with_terms_;
  }

  // The best `k` of the documents that have any of the terms, best first, and equal ones in
  // the order in which they were added. A term that is there twice counts twice.
  std::vector<Hit> Search(const std::vector<std::string>& terms, size_t k) const {
    std::vector<Hit> hits;
    for (size_t i = 0; i < documents_.size(); ++i) {
      double score = 0;
      for (const std::string& term : terms) score += Score(term, documents_[i]);
      if (score > 0) hits.push_back({i, score});
    }
    std::stable_sort(hits.begin(), hits.end(),
                     [](const Hit& a, const Hit& b) { return a.score > b.score; });
    if (hits.size() > k) hits.resize(k);
    return hits;
  }

 private:
  struct Document {
    double length = 0;
    std::map<std::string, int> counts;
  };

  double Score(const std::string& term, const Document& document) const {
    constexpr double kK1 = 1.2;
    constexpr double kB = 0.75;
    const auto found = document.counts.find(term);
    if (found == document.counts.end()) return 0;
    const double tf = found->second;
    const double df = frequencies_.at(term);
    const double idf = std::log(1 + (with_terms_ - df + 0.5) / (df + 0.5));
    const double mean_length = total_length_ / with_terms_;
    return idf * tf * (kK1 + 1) / (tf + kK1 * (1 - kB + kB * document.length / mean_length));
  }

  std::vector<Document> documents_;
  std::map<std::string, double> frequencies_;
  double total_length_ = 0;
  // Documents without terms count neither here nor for the mean length.
  double with_terms_ = 0;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_SUPPORT_OKAPI_REFERENCE_H_
