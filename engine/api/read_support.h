// What the calls that return objects have in common.
#ifndef COOKIX_ENGINE_API_READ_SUPPORT_H_
#define COOKIX_ENGINE_API_READ_SUPPORT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/object_service.pb.h"
#include "engine/catalog/catalog.h"
#include "engine/filter/filter.h"
#include "engine/limits.h"
#include "engine/read_view.h"
#include "engine/records.h"

namespace cookix::engine {

// The collection of that name: COLLECTION_NOT_FOUND when there is none.
absl::StatusOr<const CollectionInfo*> KnownCollection(const NamespaceView& view,
                                                      const std::string& name,
                                                      std::string_view field);

// A filter that holds for the objects of a collection.
absl::StatusOr<std::shared_ptr<const CompiledFilter>> InCollection(const CollectionInfo& collection,
                                                                   const Limits& limits);

// Turns a record into an object with the parts that the mask asks for.
absl::Status FillObject(const NamespaceView& view, Ordinal ordinal, const v1::ObjectMask& mask,
                        internal::v1::ObjectRecord&& record, v1::Object* object);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_READ_SUPPORT_H_
