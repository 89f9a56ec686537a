#include "engine/fill_edge.h"

#include <string>

#include "storage/base/status.h"

namespace cookix::engine {

absl::Status FillEdge(const NamespaceView& view, RelationId relation,
                      std::string_view discriminator, const EdgeValue& value, v1::Edge* edge) {
  const RelationInfo* info = view.ns->FindRelation(relation);
  if (info == nullptr) {
    return Corruption("an edge has an unknown relation", "Restore the store from a checkpoint");
  }
  return FillEdge(info->record.relation().name(), discriminator, value, edge);
}

absl::Status FillEdge(std::string_view relation, std::string_view discriminator,
                      const EdgeValue& value, v1::Edge* edge) {
  edge->set_relation(std::string(relation));
  if (!discriminator.empty()) edge->set_discriminator(std::string(discriminator));
  edge->set_weight(value.weight);
  edge->set_valid_from_ms(value.valid_from_ms);
  edge->set_valid_until_ms(value.valid_until_ms);
  edge->set_id(static_cast<int64_t>(value.id));
  edge->set_version(static_cast<int64_t>(value.version));
  if (!value.properties.empty()) {
    v1::MapValue map;
    if (!map.ParseFromArray(value.properties.data(), static_cast<int>(value.properties.size()))) {
      return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
    }
    edge->mutable_properties()->swap(*map.mutable_fields());
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
