// What the writer and the readers of segments agree on.
#ifndef COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_
#define COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_

#include <cstdint>

namespace cookix::engine {

// Terms of a block of the dictionary.
inline constexpr uint32_t kDictionaryBlock = 16;

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_SEGMENT_FORMAT_H_
