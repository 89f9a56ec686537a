#include "engine/api/read_support.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/vector/vector_field.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

absl::Status AddVectors(const NamespaceView& view, Ordinal ordinal,
                        const std::vector<std::string>& names, v1::Object* object) {
  for (const std::string& name : names) {
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(
        const bool found,
        view.snapshot->Get(Family::kVectors, ObjectKey(view.id(), ordinal) + name, &value));
    if (!found || !(*object->mutable_vectors())[name].ParseFromString(value)) {
      return Corruption("a vector is missing or malformed", "Restore the store from a checkpoint");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<const CollectionInfo*> KnownCollection(const NamespaceView& view,
                                                      const std::string& name,
                                                      std::string_view field) {
  const CollectionInfo* collection = view.ns->FindCollection(name);
  if (collection != nullptr) return collection;
  return NotFound("COLLECTION_NOT_FOUND", field,
                  absl::StrCat("collection \"", name, "\" does not exist"),
                  "Create the collection, or name one that ListCollections shows");
}

absl::StatusOr<std::shared_ptr<const CompiledFilter>> InCollection(const CollectionInfo& collection,
                                                                   const Limits& limits) {
  v1::Filter filter;
  v1::Comparison* comparison = filter.mutable_comparison();
  comparison->set_field("$collection");
  comparison->set_op(v1::COMPARISON_OPERATOR_EQUAL);
  comparison->mutable_value()->set_string_value(collection.record.collection().name());
  return CompiledFilter::Compile(filter, "collection", limits);
}

absl::Status FillObject(const NamespaceView& view, Ordinal ordinal, const v1::ObjectMask& mask,
                        internal::v1::ObjectRecord&& record, v1::Object* object) {
  std::vector<std::string> vectors;
  const CollectionInfo* collection =
      mask.with_vectors() ? view.ns->FindCollection(record.collection_id()) : nullptr;
  if (collection != nullptr) {
    for (const std::string& name : record.vector_fields()) {
      // Else the field was removed and the collector has not been here yet.
      if (FindVectorField(collection->record.collection(), name) != nullptr) {
        vectors.push_back(name);
      }
    }
  }
  if (mask.without_content()) record.clear_content();
  if (mask.without_properties()) record.clear_properties();
  *object = view.ToObject(std::move(record));
  return AddVectors(view, ordinal, vectors, object);
}

}  // namespace cookix::engine
