// The version of the program.
#ifndef COOKIX_ENGINE_VERSION_H_
#define COOKIX_ENGINE_VERSION_H_

#include <string_view>

namespace cookix::engine {

// Semantic version. The format on disk and the wire have versions of their own.
inline constexpr std::string_view kProgramVersion = "0.1.0";

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VERSION_H_
