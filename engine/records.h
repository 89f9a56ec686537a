// Keys and hand-written values of the engine's families.
//
// Integers in keys are big-endian. `ns` and ids are 32 bits, ordinals 64.
//
//   family         key                                              value
//   catalog        "n" name                                         NamespaceRecord
//                  "c" ns name                                      CollectionRecord
//                  "r" ns relation-name                             RelationRecord
//                  "k" ns "n"                                       NamespaceCounters (below)
//                  "k" ns "o" collection                            fixed64 object count
//                  "k" ns "r" relation                              fixed64 edge count
//                  "t" commit sequence-in-commit(32)                TombstoneRecord
//                  "x" expires_ms(64) ns ordinal                    empty: expiry index
//                  "i"                                              fixed32 next namespace id
//   identity       ns collection key                                fixed64 ordinal
//   objects        ns ordinal                                       ObjectRecord
//   edges          ns source relation target discriminator          EdgeValue
//   reverse_edges  ns target relation source discriminator          EdgeValue, no properties
//   vectors        ns ordinal field-name                            cookix.v1.Vector
//   key_value      ns key                                           reserved
//   security       "k" key-id                                       KeyRecord
//                  "p"                                              32 bytes of pepper
#ifndef COOKIX_ENGINE_RECORDS_H_
#define COOKIX_ENGINE_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/base/coding.h"

namespace cookix::engine {

using NamespaceId = uint32_t;
using CollectionId = uint32_t;
using RelationId = uint32_t;
using Ordinal = uint64_t;

// The first ordinal handed out; 0 means "none".
inline constexpr Ordinal kFirstOrdinal = 1;
// Ordinals and relation ids fit these many bits together in one word.
inline constexpr int kOrdinalBits = 40;
inline constexpr int kRelationBits = 20;

inline constexpr NamespaceId kDefaultNamespaceId = 1;
inline constexpr CollectionId kDefaultCollectionId = 1;
inline constexpr std::string_view kDefaultName = "default";

// The value of an edge.
//
//   weight       double, little-endian
//   flags        1 byte: 1 = validity follows, 2 = properties follow
//   version      varint, commit that last changed the edge
//   id           varint, unique in the namespace
//   valid_from   varint of the zig-zag value, only with flag 1
//   valid_until  varint of the zig-zag value, only with flag 1
//   properties   the rest: serialized cookix.v1.MapValue, only with flag 2
struct EdgeValue {
  double weight = 1.0;
  uint64_t version = 0;
  uint64_t id = 0;
  int64_t valid_from_ms = 0;
  int64_t valid_until_ms = 0;
  // Borrowed from the decoded bytes.
  std::string_view properties;
};

void EncodeEdgeValue(const EdgeValue& value, std::string* out);
// False on malformed bytes.
bool DecodeEdgeValue(std::string_view bytes, EdgeValue* value);

// A decoded key of `edges` or `reverse_edges`. `near` is the object that the key
// is sorted by: the source in `edges`, the target in `reverse_edges`.
struct EdgeKey {
  NamespaceId ns = 0;
  Ordinal near = 0;
  RelationId relation = 0;
  Ordinal far = 0;
  std::string_view discriminator;
};

std::string EncodeEdgeKey(NamespaceId ns, Ordinal near, RelationId relation, Ordinal far,
                          std::string_view discriminator);
// False on malformed bytes.
bool DecodeEdgeKey(std::string_view bytes, EdgeKey* key);

inline std::string ObjectKey(NamespaceId ns, Ordinal ordinal) {
  std::string key;
  key.reserve(12);
  PutBigEndian32(&key, ns);
  PutBigEndian64(&key, ordinal);
  return key;
}
inline std::string IdentityKey(NamespaceId ns, CollectionId collection, std::string_view key) {
  std::string out;
  out.reserve(8 + key.size());
  PutBigEndian32(&out, ns);
  PutBigEndian32(&out, collection);
  out.append(key);
  return out;
}
inline std::string NamespacePrefix(NamespaceId ns) {
  std::string key;
  PutBigEndian32(&key, ns);
  return key;
}
inline std::string EdgesPrefix(NamespaceId ns, Ordinal near) { return ObjectKey(ns, near); }
inline std::string EdgesPrefix(NamespaceId ns, Ordinal near, RelationId relation) {
  std::string key = ObjectKey(ns, near);
  PutBigEndian32(&key, relation);
  return key;
}

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_RECORDS_H_
