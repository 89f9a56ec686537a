// Turning stored edges into wire edges.
#ifndef COOKIX_ENGINE_FILL_EDGE_H_
#define COOKIX_ENGINE_FILL_EDGE_H_

#include <string_view>

#include "absl/status/status.h"
#include "cookix/v1/common.pb.h"
#include "engine/read_view.h"
#include "engine/records.h"

namespace cookix::engine {

// Fills everything but source and target.
absl::Status FillEdge(const NamespaceView& view, RelationId relation,
                      std::string_view discriminator, const EdgeValue& value, v1::Edge* edge);

// The same where the name of the relation is known.
absl::Status FillEdge(std::string_view relation, std::string_view discriminator,
                      const EdgeValue& value, v1::Edge* edge);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_FILL_EDGE_H_
