// What the writer and the readers of segments agree on.
#ifndef COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_
#define COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cookix::engine {

// Terms of a block of the dictionary.
inline constexpr uint32_t kDictionaryBlock = 16;

// How many bytes two terms begin with alike.
inline size_t SharedBytes(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t shared = 0;
  while (shared < most && a[shared] == b[shared]) ++shared;
  return shared;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_
