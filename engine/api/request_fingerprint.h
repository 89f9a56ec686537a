// Telling requests apart: for request ids and page tokens.
#ifndef COOKIX_ENGINE_API_REQUEST_FINGERPRINT_H_
#define COOKIX_ENGINE_API_REQUEST_FINGERPRINT_H_

#include <cstdint>

#include "google/protobuf/message.h"

namespace cookix::engine {

// Equal for equal messages, on every machine and in every release (FNV-1a, 64 bits,
// over the deterministic serialization). Not for defence against forgery.
uint64_t FingerprintOf(const google::protobuf::Message& message);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_REQUEST_FINGERPRINT_H_
