// Goes through the documents of one segment step by step.
#ifndef COOKIX_ENGINE_TEXT_RANGE_SEARCH_H_
#define COOKIX_ENGINE_TEXT_RANGE_SEARCH_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/call_context.h"
#include "engine/text/search_nodes.h"
#include "engine/text/text_merge.h"
#include "engine/text/top_documents.h"

namespace cookix::engine {

struct RangeSearch {
  SearchNode* root = nullptr;
  DocId documents = 0;
  uint32_t source = 0;
  // Documents that may be found; null: all.
  const DocBits* accept = nullptr;
  // Asked besides, of what would be found; null: nothing.
  const absl::FunctionRef<bool(DocId)>* accepts = nullptr;
  // Passes over nothing.
  bool all = false;
};

// Adds what it finds to `top`, and the number of documents found to `found` (all that match
// only where nothing is passed over).
absl::Status SearchRanges(const CallContext& context, const RangeSearch& search, TopDocuments* top,
                          int64_t* found);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_RANGE_SEARCH_H_
