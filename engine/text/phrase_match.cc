#include "engine/text/phrase_match.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace cookix::engine {
namespace {

constexpr uint64_t kFar = std::numeric_limits<uint32_t>::max();

// Distance from `place` to the nearest of `positions`. `*at` is where an earlier, smaller
// place has led.
uint64_t NearestDistance(std::span<const uint32_t> positions, uint64_t place, size_t* at) {
  while (*at < positions.size() && positions[*at] < place) ++*at;
  uint64_t distance = kFar;
  if (*at < positions.size()) distance = positions[*at] - place;
  if (*at > 0) distance = std::min<uint64_t>(distance, place - positions[*at - 1]);
  return distance;
}

}  // namespace

uint32_t CountPhrase(std::span<const AnalyzedQuery::PhraseWord> phrase, uint32_t slop,
                     std::span<const std::span<const uint32_t>> positions) {
  // Few phrases are longer; the rest goes to the heap.
  size_t few[8] = {};
  std::vector<size_t> many(phrase.size() > 8 ? phrase.size() : 0);
  size_t* at = phrase.size() > 8 ? many.data() : few;
  uint32_t count = 0;
  for (const uint32_t first : positions[0]) {
    uint64_t left = slop;
    bool found = true;
    for (size_t i = 1; found && i < phrase.size(); ++i) {
      const uint64_t place = uint64_t{first} + phrase[i].offset;
      const uint64_t distance = NearestDistance(positions[i], place, &at[i]);
      found = distance <= left;
      left -= found ? distance : 0;
    }
    count += found;
  }
  return count;
}

}  // namespace cookix::engine
