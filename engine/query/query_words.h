// Words of a grammar and what they mean.
#ifndef COOKIX_ENGINE_QUERY_QUERY_WORDS_H_
#define COOKIX_ENGINE_QUERY_QUERY_WORDS_H_

#include <string_view>
#include <utility>

namespace cookix::engine {

template <typename Meaning>
using QueryWord = std::pair<std::string_view, Meaning>;

// The first word for a meaning; empty when there is none.
template <typename Words, typename Meaning>
constexpr std::string_view WordFor(const Words& words, Meaning meaning) {
  for (const auto& [word, each] : words) {
    if (each == meaning) return word;
  }
  return "";
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_QUERY_WORDS_H_
