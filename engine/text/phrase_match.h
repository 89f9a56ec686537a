// How often a phrase occurs in a text.
#ifndef COOKIX_ENGINE_TEXT_PHRASE_MATCH_H_
#define COOKIX_ENGINE_TEXT_PHRASE_MATCH_H_

#include <cstdint>
#include <span>

#include "engine/text/analyzed_query.h"

namespace cookix::engine {

// `positions` has, for each word of `phrase`, where it stands, ascending. An occurrence is a
// place of the first word around which each other word has a place so near to where it
// belongs that the distances together are at most `slop`.
uint32_t CountPhrase(std::span<const AnalyzedQuery::PhraseWord> phrase, uint32_t slop,
                     std::span<const std::span<const uint32_t>> positions);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_PHRASE_MATCH_H_
