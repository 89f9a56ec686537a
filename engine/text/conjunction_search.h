// Finds the documents of one segment that have all of some terms, without a tree of nodes.
//
// The rarest list leads, block by block. Its documents are looked up in the other lists, the
// rarer first; what is in all of those so far is scored by them, and goes on only if it can
// still be among the best. So lengths and tfs are read of few documents, and of the longer
// lists only blocks in which something is looked up.
#ifndef COOKIX_ENGINE_TEXT_CONJUNCTION_SEARCH_H_
#define COOKIX_ENGINE_TEXT_CONJUNCTION_SEARCH_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/call_context.h"
#include "engine/text/search_nodes.h"
#include "engine/text/text_segment.h"
#include "engine/text/top_documents.h"

namespace cookix::engine {

// With more, a tree is not slower and takes less memory.
inline constexpr size_t kMostConjunctionTerms = 16;

struct ConjunctionTerm {
  PackedPostings postings;
  LeafScoring scoring;
};

struct ConjunctionSearch {
  // In the order in which their scores are added up: two to kMostConjunctionTerms, none without
  // documents.
  std::span<const ConjunctionTerm> terms;
  uint32_t source = 0;
  // Asked of what would be found: whether it may be.
  absl::FunctionRef<bool(DocId)> accepts;
};

// Adds all that may be among the best to `top`, with exact scores.
absl::Status SearchConjunction(const CallContext& context, const ConjunctionSearch& search,
                               TopDocuments* top, SearchCounters* counters);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_CONJUNCTION_SEARCH_H_
