#include "engine/read_view.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::engine {

absl::StatusOr<Ordinal> NamespaceView::FindOrdinal(const v1::ObjectRef& ref,
                                                   std::string_view field) const {
  const CollectionInfo* collection = ns->FindCollection(ref.collection());
  if (collection == nullptr) {
    return NotFound("COLLECTION_NOT_FOUND", std::string(field) + ".collection",
                    absl::StrCat("collection \"", ref.collection(), "\" does not exist"),
                    "Create the collection, or name one that ListCollections shows");
  }
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(const bool found,
                          snapshot->Get(storage::Family::kIdentity,
                                        IdentityKey(ns->id, collection->id, ref.key()), &value));
  if (!found) return Ordinal{0};
  std::string_view bytes = value;
  uint64_t ordinal;
  if (!GetFixed64(&bytes, &ordinal) || !bytes.empty()) {
    return Corruption("an identity record is malformed", "Restore the store from a checkpoint");
  }
  return ordinal;
}

absl::StatusOr<bool> NamespaceView::ReadRecord(Ordinal ordinal,
                                               internal::v1::ObjectRecord* record) const {
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(const bool found, snapshot->Get(storage::Family::kObjects,
                                                          ObjectKey(ns->id, ordinal), &value));
  if (!found) return false;
  if (!record->ParseFromString(value)) {
    return Corruption("an object record is malformed", "Restore the store from a checkpoint");
  }
  return ns->dropped_collections.empty() ||
         ns->dropped_collections.count(record->collection_id()) == 0;
}

absl::StatusOr<v1::ObjectRef> NamespaceView::RefOf(Ordinal ordinal) const {
  internal::v1::ObjectRecord record;
  COOKIX_ASSIGN_OR_RETURN(const bool found, ReadRecord(ordinal, &record));
  if (!found) {
    return Corruption(absl::StrCat("object ", ordinal, " has edges but no record"),
                      "Restore the store from a checkpoint");
  }
  v1::ObjectRef ref;
  const CollectionInfo* collection = ns->FindCollection(record.collection_id());
  if (collection != nullptr && collection->id != kDefaultCollectionId) {
    ref.set_collection(collection->record.collection().name());
  }
  ref.set_key(std::move(*record.mutable_key()));
  return ref;
}

v1::Object NamespaceView::ToObject(internal::v1::ObjectRecord&& record) const {
  v1::Object object;
  const CollectionInfo* collection = ns->FindCollection(record.collection_id());
  if (collection != nullptr && collection->id != kDefaultCollectionId) {
    object.mutable_ref()->set_collection(collection->record.collection().name());
  }
  object.mutable_ref()->set_key(std::move(*record.mutable_key()));
  if (!record.exists()) {
    object.set_dangling(true);
    return object;
  }
  object.set_content(std::move(*record.mutable_content()));
  object.mutable_properties()->swap(*record.mutable_properties());
  object.mutable_labels()->Swap(record.mutable_labels());
  object.set_created_ms(record.created_ms());
  object.set_updated_ms(record.updated_ms());
  object.set_version(static_cast<int64_t>(record.version()));
  object.set_expires_ms(record.expires_ms());
  return object;
}

absl::StatusOr<NamespaceView> InNamespace(const ReadView& view, std::string_view name) {
  std::shared_ptr<const NamespaceInfo> ns = view.catalog->Find(name);
  if (ns == nullptr) {
    return NotFound("NAMESPACE_NOT_FOUND", "namespace",
                    absl::StrCat("namespace \"", std::string(name), "\" does not exist"),
                    "Create the namespace, or name one that ListNamespaces shows");
  }
  return NamespaceView{view.snapshot, std::move(ns)};
}

}  // namespace cookix::engine
