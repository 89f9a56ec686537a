// Searches by words that read every text from the store: what answers while there is no
// index, and what indexes are compared with.
#ifndef COOKIX_ENGINE_TEXT_RECORD_TEXT_SEARCH_H_
#define COOKIX_ENGINE_TEXT_RECORD_TEXT_SEARCH_H_

#include "absl/status/status.h"
#include "engine/call_context.h"
#include "engine/read_view.h"
#include "engine/text/text_search.h"

namespace cookix::engine {

// The same answer as an index gives, to the last bit of every score, as of `view`:
// strategy "records". Reads the texts of the collection twice, for the statistics that
// scores need and for the scores. Fails as CallContext::Check() does, and with
// LIMIT_EXCEEDED when a prefix or fuzzy word stands for too many terms.
absl::Status SearchTextRecords(const CallContext& context, const NamespaceView& view,
                               const TextSearch& search, TextSearchResult* result);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_RECORD_TEXT_SEARCH_H_
