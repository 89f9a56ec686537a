#include "engine/records.h"

#include <string>
#include <string_view>

namespace cookix::engine {
namespace {

constexpr uint8_t kHasValidity = 1;
constexpr uint8_t kHasProperties = 2;

uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

}  // namespace

void EncodeEdgeValue(const EdgeValue& value, std::string* out) {
  const bool validity = value.valid_from_ms != 0 || value.valid_until_ms != 0;
  PutDouble(out, value.weight);
  out->push_back(static_cast<char>((validity ? kHasValidity : 0) |
                                   (value.properties.empty() ? 0 : kHasProperties)));
  PutVarint64(out, value.version);
  PutVarint64(out, value.id);
  if (validity) {
    PutVarint64(out, ZigZag(value.valid_from_ms));
    PutVarint64(out, ZigZag(value.valid_until_ms));
  }
  out->append(value.properties);
}

bool DecodeEdgeValue(std::string_view bytes, EdgeValue* value) {
  *value = EdgeValue();
  if (!GetDouble(&bytes, &value->weight) || bytes.empty()) return false;
  const uint8_t flags = static_cast<uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  if ((flags & ~(kHasValidity | kHasProperties)) != 0) return false;
  if (!GetVarint64(&bytes, &value->version) || !GetVarint64(&bytes, &value->id)) return false;
  if ((flags & kHasValidity) != 0) {
    uint64_t from, until;
    if (!GetVarint64(&bytes, &from) || !GetVarint64(&bytes, &until)) return false;
    value->valid_from_ms = UnZigZag(from);
    value->valid_until_ms = UnZigZag(until);
  }
  if ((flags & kHasProperties) != 0) {
    if (bytes.empty()) return false;
    value->properties = bytes;
    return true;
  }
  return bytes.empty();
}

std::string EncodeEdgeKey(NamespaceId ns, Ordinal near, RelationId relation, Ordinal far,
                          std::string_view discriminator) {
  std::string key;
  key.reserve(24 + discriminator.size());
  PutBigEndian32(&key, ns);
  PutBigEndian64(&key, near);
  PutBigEndian32(&key, relation);
  PutBigEndian64(&key, far);
  key.append(discriminator);
  return key;
}

bool DecodeEdgeKey(std::string_view bytes, EdgeKey* key) {
  if (!GetBigEndian32(&bytes, &key->ns) || !GetBigEndian64(&bytes, &key->near) ||
      !GetBigEndian32(&bytes, &key->relation) || !GetBigEndian64(&bytes, &key->far)) {
    return false;
  }
  key->discriminator = bytes;
  return true;
}

}  // namespace cookix::engine
