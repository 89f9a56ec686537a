// The column families of the store, with fixed ids and names.
//
// Ids and names are persistent: they never change and are never reused. The key
// layouts are specified in storage/doc/key_layout.md and built in
// engine/records.h; storage itself only owns kSystem.
#ifndef COOKIX_STORAGE_COLUMN_FAMILIES_H_
#define COOKIX_STORAGE_COLUMN_FAMILIES_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace cookix::storage {

enum class Family : uint8_t {
  kSystem = 0,        // format, identity, epochs, last commit, request ids
  kCatalog = 1,       // namespaces, collections, relations, counters, tombstones
  kIdentity = 2,      // (namespace, collection, key) -> ordinal
  kObjects = 3,       // (namespace, ordinal) -> object record
  kEdges = 4,         // (namespace, source, relation, target, discriminator)
  kReverseEdges = 5,  // (namespace, target, relation, source, discriminator)
  kVectors = 6,       // (namespace, ordinal, field) -> vector
  kKeyValue = 7,      // (namespace, key) -> value
  kSecurity = 8,      // API keys
};

inline constexpr int kFamilyCount = 9;

// Names on disk, by id. RocksDB insists on "default" for the first.
inline constexpr std::array<std::string_view, kFamilyCount> kFamilyNames = {
    "default",       "catalog", "identity",  "objects", "edges",
    "reverse_edges", "vectors", "key_value", "security"};

constexpr std::string_view FamilyName(Family family) {
  return kFamilyNames[static_cast<size_t>(family)];
}

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_COLUMN_FAMILIES_H_
