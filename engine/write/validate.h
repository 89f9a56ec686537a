// Checks of request fields that need no state. Every error names the field.
#ifndef COOKIX_ENGINE_WRITE_VALIDATE_H_
#define COOKIX_ENGINE_WRITE_VALIDATE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cookix/v1/catalog_service.pb.h"
#include "cookix/v1/common.pb.h"
#include "cookix/v1/graph_service.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "engine/limits.h"

namespace cookix::engine {

absl::Status CheckKey(std::string_view key, std::string_view field, const Limits& limits);
absl::Status CheckRef(const v1::ObjectRef& ref, std::string_view field, const Limits& limits);
absl::Status CheckProperties(const google::protobuf::Map<std::string, v1::Value>& properties,
                             std::string_view field, const Limits& limits);
absl::Status CheckObject(const v1::Object& object, std::string_view field, const Limits& limits);
// `with_source`: the source must be set; else it may be empty.
absl::Status CheckEdge(const v1::Edge& edge, bool with_source, std::string_view field,
                       const Limits& limits);
absl::Status CheckObjectWrite(const v1::ObjectWrite& write, std::string_view field,
                              const Limits& limits);
absl::Status CheckObjectPatch(const v1::ObjectPatch& patch, std::string_view field,
                              const Limits& limits);
absl::Status CheckRelationName(std::string_view name, std::string_view field, const Limits& limits);
// Of a step or a call: at most a thousand.
absl::Status CheckRelationNames(const google::protobuf::RepeatedPtrField<std::string>& names,
                                std::string_view field, const Limits& limits);
absl::Status CheckDirection(v1::Direction direction, std::string_view field);
absl::Status CheckNamespaceName(std::string_view name, std::string_view field);
absl::Status CheckCollectionName(std::string_view name, std::string_view field);
absl::Status CheckWriteOptions(const v1::WriteOptions& options, const Limits& limits);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_WRITE_VALIDATE_H_
