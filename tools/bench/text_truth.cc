#include "tools/bench/text_truth.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

bool Same(double a, double b) { return std::abs(a - b) <= 1e-9 * (std::abs(a) + std::abs(b)); }

}  // namespace

TextTruth::TextTruth(const TextCorpus& corpus, std::span<const WordQuery> queries)
    : corpus_(corpus),
      mean_length_(static_cast<double>(corpus.total_words()) / static_cast<double>(corpus.size())) {
  std::vector<std::vector<Posting>*> wanted(corpus.vocabulary().size());
  for (const WordQuery& query : queries) {
    for (const WordId word : query.words) wanted[word] = &postings_[word];
  }
  for (uint32_t document = 0; document < corpus.size(); ++document) {
    for (const WordId word : corpus.Words(document)) {
      std::vector<Posting>* const postings = wanted[word];
      if (postings == nullptr) continue;
      if (postings->empty() || postings->back().document != document) {
        postings->push_back({document, 0});
      }
      ++postings->back().count;
    }
  }
}

double TextTruth::Idf(WordId word) const {
  const auto documents = static_cast<double>(postings_.at(word).size());
  return std::log(1 + (static_cast<double>(corpus_.size()) - documents + 0.5) / (documents + 0.5));
}

double TextTruth::Score(double idf, uint32_t count, uint32_t document) const {
  const auto length = static_cast<double>(corpus_.Words(document).size());
  return idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / mean_length_));
}

std::vector<RankedDocument> TextTruth::Sum(const WordQuery& query) const {
  struct Found {
    size_t words = 0;
    double score = 0;
  };
  std::vector<Found> found(corpus_.size());
  for (const WordId word : query.words) {
    const double idf = Idf(word);
    for (const Posting& posting : postings_.at(word)) {
      ++found[posting.document].words;
      found[posting.document].score += Score(idf, posting.count, posting.document);
    }
  }
  const size_t needed = query.kind == TextQueryKind::kAllWords ? query.words.size() : 1;
  std::vector<RankedDocument> all;
  for (uint32_t document = 0; document < found.size(); ++document) {
    if (found[document].words >= needed) all.push_back({document, found[document].score});
  }
  return all;
}

std::vector<RankedDocument> TextTruth::Phrases(const WordQuery& query) const {
  double idf = 0;
  const std::vector<Posting>* rarest = &postings_.at(query.words[0]);
  for (const WordId word : query.words) {
    idf += Idf(word);
    const std::vector<Posting>& postings = postings_.at(word);
    if (postings.size() < rarest->size()) rarest = &postings;
  }
  std::vector<RankedDocument> all;
  for (const Posting& posting : *rarest) {
    const std::span<const WordId> words = corpus_.Words(posting.document);
    uint32_t count = 0;
    for (size_t begin = 0; begin + query.words.size() <= words.size(); ++begin) {
      count += std::equal(query.words.begin(), query.words.end(),
                          words.begin() + static_cast<std::ptrdiff_t>(begin));
    }
    if (count > 0) all.push_back({posting.document, Score(idf, count, posting.document)});
  }
  return all;
}

std::vector<RankedDocument> TextTruth::SearchAll(const WordQuery& query) const {
  std::vector<RankedDocument> all =
      query.kind == TextQueryKind::kPhrase ? Phrases(query) : Sum(query);
  std::sort(all.begin(), all.end(), [](const RankedDocument& a, const RankedDocument& b) {
    return a.score > b.score || (a.score == b.score && a.document < b.document);
  });
  return all;
}

absl::Status TextTruth::Check(const std::vector<RankedDocument>& all, size_t k,
                              const std::vector<RankedDocument>& hits) {
  if (hits.size() != std::min(k, all.size())) {
    return Wrong(absl::StrCat(hits.size(), " hits of ", all.size(), " that match"));
  }
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!Same(hits[i].score, all[i].score)) {
      return Wrong(absl::StrCat("hit ", i, " has score ", hits[i].score, ", not ", all[i].score));
    }
    const auto same = std::find_if(all.begin(), all.end(), [&](const RankedDocument& one) {
      return one.document == hits[i].document;
    });
    if (same == all.end() || !Same(same->score, hits[i].score)) {
      return Wrong(absl::StrCat("document ", hits[i].document, " does not score ", hits[i].score));
    }
    for (size_t before = 0; before < i; ++before) {
      if (hits[before].document == hits[i].document) return Wrong("a document is there twice");
    }
    if (i > 0 && hits[i - 1].score < hits[i].score) return Wrong("an answer is in no order");
    if (i > 0 && hits[i - 1].score == hits[i].score && hits[i - 1].document > hits[i].document) {
      return Wrong("equal hits are in no order");
    }
  }
  return absl::OkStatus();
}

}  // namespace cookix::bench
