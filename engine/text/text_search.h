// What a search by words asks of the text indexes, and what it gets.
#ifndef COOKIX_ENGINE_TEXT_TEXT_SEARCH_H_
#define COOKIX_ENGINE_TEXT_TEXT_SEARCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cookix/v1/catalog_service.pb.h"
#include "engine/filter/ordinal_set.h"
#include "engine/records.h"
#include "engine/text/analyzed_query.h"

namespace cookix::engine {

// An object that matches.
struct TextHit {
  Ordinal ordinal = 0;
  // BM25, the same to the last bit however it was found (text_scoring.h).
  double score = 0;
  // Best first: the higher score, then the smaller ordinal.
  bool operator<(const TextHit& other) const {
    return score > other.score || (score == other.score && ordinal < other.ordinal);
  }
};

struct TextSearch {
  CollectionId collection = 0;
  // The collection's text fields as the catalog has them; AnalyzedQuery::field counts them.
  // Borrowed.
  const v1::Collection* definition = nullptr;
  // Borrowed.
  const AnalyzedQuery* query = nullptr;
  // Hits wanted, the best; 0 = only count.
  int64_t limit = 0;
  // Only these. Null = all.
  std::shared_ptr<const OrdinalSet> accept;
  // Counts everything that matches, which rules out leaving out what cannot be among the
  // best.
  bool count = false;
  // Scores everything that matches: what pruned search is compared with.
  bool exhaustive = false;
  // Terms that one prefix or fuzzy word may stand for; LIMIT_EXCEEDED beyond.
  size_t max_expansions = 1024;
};

struct TextSearchResult {
  // Best first.
  std::vector<TextHit> hits;
  // Of everything that matches; -1 when it was not counted.
  int64_t total = -1;
  // As SearchDiagnostics.strategy.
  std::string strategy;
  // Documents scored, and blocks of postings decoded and passed over.
  int64_t scored = 0;
  int64_t blocks_read = 0;
  int64_t blocks_skipped = 0;
  int64_t search_us = 0;
  // The terms that prefix and fuzzy words stand for, by leaf, for snippets: sorted, without
  // duplicates.
  std::vector<std::string> expansions;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SEARCH_H_
