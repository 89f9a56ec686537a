// Reading edges: one interface over the adjacency view and the store, so that
// algorithms neither know nor care which of them answers.
#ifndef COOKIX_ENGINE_GRAPH_ADJACENCY_H_
#define COOKIX_ENGINE_GRAPH_ADJACENCY_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/read_view.h"
#include "engine/records.h"

namespace cookix::engine {

// One stored edge seen from one of its ends: 16 bytes.
struct Arc {
  // Bits 0..39: ordinal of the other end; 40..59: relation id; 60: the edge has
  // validity; 61: it has a discriminator (both are read from the store when
  // needed).
  uint64_t packed = 0;
  double weight = 1.0;

  Ordinal other() const { return packed & ((uint64_t{1} << kOrdinalBits) - 1); }
  RelationId relation() const {
    return static_cast<RelationId>(packed >> kOrdinalBits) & ((1u << kRelationBits) - 1);
  }
  bool has_validity() const { return (packed >> 60) & 1; }
  bool has_discriminator() const { return (packed >> 61) & 1; }
};
static_assert(sizeof(Arc) == 16);

inline Arc MakeArc(Ordinal other, RelationId relation, const EdgeValue& value,
                   bool has_discriminator) {
  const bool validity = value.valid_from_ms != 0 || value.valid_until_ms != 0;
  return {other | static_cast<uint64_t>(relation) << kOrdinalBits |
              static_cast<uint64_t>(validity) << 60 |
              static_cast<uint64_t>(has_discriminator) << 61,
          value.weight};
}

// How many nodes before its use a node is best asked for with Prefetch(): the first half
// of the time brings the node, the second its arcs.
inline constexpr size_t kPrefetchAhead = 16;

// Reads the arcs of one namespace at one commit. Not thread-safe: one per query.
// Arcs are sorted by (relation, other end, discriminator), without those hidden
// by tombstones. A returned span holds until the next call on the same reader.
class ArcReader {
 public:
  virtual ~ArcReader() = default;
  virtual absl::StatusOr<std::span<const Arc>> Out(Ordinal ordinal) = 0;
  virtual absl::StatusOr<std::span<const Arc>> In(Ordinal ordinal) = 0;
  // Hints that Out/In of these will be asked soon.
  virtual void Prefetch(Ordinal ordinal, bool out) {}
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_GRAPH_ADJACENCY_H_
