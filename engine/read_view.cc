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

absl::StatusOr<bool> NamespaceView::FindName(Ordinal ordinal, CollectionId* collection,
                                             std::string* key) const {
  if (NameTable::Name name; names.Find(ordinal, &name)) {
    *collection = name.collection;
    key->assign(name.key);
    return true;
  }
  std::string value;
  COOKIX_ASSIGN_OR_RETURN(const bool found, snapshot->Get(storage::Family::kObjects,
                                                          ObjectKey(ns->id, ordinal), &value));
  if (!found) return false;
  if (!DecodeObjectName(value, collection, key)) {
    return Corruption("an object record is malformed", "Restore the store from a checkpoint");
  }
  return true;
}

absl::StatusOr<bool> NamespaceView::FindRef(Ordinal ordinal, v1::ObjectRef* ref) const {
  CollectionId id = 0;
  COOKIX_ASSIGN_OR_RETURN(const bool found, FindName(ordinal, &id, ref->mutable_key()));
  if (!found) return false;
  if (!ns->dropped_collections.empty() && ns->dropped_collections.count(id) > 0) return false;
  if (id != kDefaultCollectionId) {
    if (const CollectionInfo* collection = ns->FindCollection(id)) {
      ref->set_collection(collection->record.collection().name());
    }
  }
  return true;
}

absl::Status NamespaceView::FillRef(Ordinal ordinal, v1::ObjectRef* ref) const {
  COOKIX_ASSIGN_OR_RETURN(const bool found, FindRef(ordinal, ref));
  if (found) return absl::OkStatus();
  return Corruption(absl::StrCat("object ", ordinal, " has edges but no record"),
                    "Restore the store from a checkpoint");
}

v1::Object NamespaceView::ToObject(internal::v1::ObjectRecord&& record) const {
  const CollectionInfo* collection = ns->FindCollection(record.collection_id());
  return engine::ToObject(std::move(record), collection == nullptr
                                                 ? std::string_view(kDefaultName)
                                                 : collection->record.collection().name());
}

v1::Object ToObject(internal::v1::ObjectRecord&& record, std::string_view collection) {
  v1::Object object;
  if (collection != kDefaultName) object.mutable_ref()->set_collection(std::string(collection));
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

bool DecodeObjectName(std::string_view record, CollectionId* collection, std::string* key) {
  // Fields are written in the order of their numbers: collection_id, then key.
  constexpr char kCollectionTag = 1 << 3, kKeyTag = 2 << 3 | 2;
  std::string_view rest = record;
  uint64_t id = 0;
  uint64_t size = 0;
  if (!rest.empty() && rest[0] == kCollectionTag) {
    rest.remove_prefix(1);
    if (GetVarint64(&rest, &id) && id <= UINT32_MAX && !rest.empty() && rest[0] == kKeyTag) {
      rest.remove_prefix(1);
      if (GetVarint64(&rest, &size) && size <= rest.size()) {
        *collection = static_cast<CollectionId>(id);
        key->assign(rest.substr(0, size));
        return true;
      }
    }
  }
  internal::v1::ObjectRecord parsed;
  if (!parsed.ParseFromArray(record.data(), static_cast<int>(record.size()))) return false;
  *collection = parsed.collection_id();
  *key = std::move(*parsed.mutable_key());
  return true;
}

absl::StatusOr<NamespaceView> InNamespace(const ReadView& view, std::string_view name) {
  std::shared_ptr<const NamespaceInfo> ns = view.catalog->Find(name);
  if (ns == nullptr) {
    return NotFound("NAMESPACE_NOT_FOUND", "namespace",
                    absl::StrCat("namespace \"", std::string(name), "\" does not exist"),
                    "Create the namespace, or name one that ListNamespaces shows");
  }
  NamespaceView result{view.snapshot, std::move(ns), {}};
  if (view.names != nullptr) result.names = view.names->Read(result.id());
  return result;
}

}  // namespace cookix::engine
