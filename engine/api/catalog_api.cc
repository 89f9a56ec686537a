#include "engine/api/catalog_api.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/request_fingerprint.h"
#include "engine/database.h"
#include "engine/fill_edge.h"
#include "engine/text/text_field.h"
#include "engine/vector/vector_field.h"
#include "engine/write/validate.h"
#include "engine/write/writer.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

constexpr int kCopyBatch = 500;
constexpr size_t kMaxLabels = 64;

template <typename Request>
uint64_t CatalogFingerprint(const Request& request) {
  if (request.options().request_id().empty()) return 0;
  Request copy = request;
  copy.clear_options();
  return FingerprintOf(copy);
}

absl::Status CheckLabels(const google::protobuf::Map<std::string, std::string>& labels,
                         std::string_view field) {
  if (labels.size() > kMaxLabels) {
    return LimitExceeded(field, absl::StrCat(labels.size(), " labels, more than ", kMaxLabels),
                         "Use fewer");
  }
  for (const auto& [name, value] : labels) {
    if (name.empty() || name.size() > 256 || value.size() > 256) {
      return InvalidField(field, "a label's name or value has a length that is not allowed",
                          "Use 1 to 256 bytes for names and at most 256 for values");
    }
  }
  return absl::OkStatus();
}

// Lists are paged by name: the token is the last name of the page before.
absl::StatusOr<size_t> PageSize(int32_t asked, size_t by_default, size_t most) {
  if (asked < 0) return InvalidField("page_size", "the page size is negative", "Send 1 or more");
  if (static_cast<size_t>(asked) > most) {
    return LimitExceeded("page_size", absl::StrCat("the page size is more than ", most),
                         "Ask for smaller pages");
  }
  return asked == 0 ? by_default : static_cast<size_t>(asked);
}

v1::Namespace ToProto(const NamespaceInfo& ns, const Writer::Counts& counts) {
  v1::Namespace out;
  out.set_name(ns.record.name());
  out.set_description(ns.record.description());
  *out.mutable_labels() = ns.record.labels();
  out.set_created_ms(ns.record.created_ms());
  out.set_object_count(counts.objects);
  out.set_edge_count(counts.edges);
  return out;
}

v1::Collection ToProto(const NamespaceInfo& ns, const CollectionInfo& collection,
                       const Writer& writer) {
  v1::Collection out = collection.record.collection();
  out.set_object_count(writer.ObjectsIn(ns.id, collection.id));
  return out;
}

v1::Relation ToProto(const RelationInfo& relation, const Writer::Counts& counts) {
  v1::Relation out = relation.record.relation();
  out.set_registered(relation.record.registered());
  auto it = counts.by_relation.find(relation.id);
  out.set_edge_count(it == counts.by_relation.end() ? 0 : it->second);
  return out;
}

absl::Status CollectionMissing(const std::string& name) {
  return NotFound("COLLECTION_NOT_FOUND", "collection",
                  absl::StrCat("collection \"", name, "\" does not exist"),
                  "ListCollections shows those that do");
}

absl::Status CheckFieldCount(std::string_view field, int count, std::string_view kind, int most) {
  if (count <= most) return absl::OkStatus();
  return LimitExceeded(field, absl::StrCat(count, " ", ToAbsl(kind), " fields, more than ", most),
                       "Use fewer, or another collection");
}

// That no field before number `i` has its name.
template <typename Field>
absl::Status CheckNamedOnce(const google::protobuf::RepeatedPtrField<Field>& fields, int i,
                            const std::string& path) {
  for (int j = 0; j < i; ++j) {
    if (fields[j].name() == fields[i].name()) {
      return InvalidField(path + ".name", "the name is used twice", "Use another name");
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveVectorFields(const v1::UpdateCollectionRequest& request, WriteSession& session,
                                CollectionInfo* info) {
  auto* fields = info->record.mutable_collection()->mutable_vector_fields();
  for (int i = 0; i < request.remove_vector_fields_size(); ++i) {
    const std::string& name = request.remove_vector_fields(i);
    const std::string path = absl::StrCat("remove_vector_fields[", i, "]");
    for (const v1::VectorField& put : request.put_vector_fields()) {
      if (put.name() != name) continue;
      return InvalidField(path, "the field is put in the same request",
                          "Remove it first, and add it when its vectors are deleted");
    }
    auto it = std::find_if(fields->begin(), fields->end(),
                           [&](const v1::VectorField& field) { return field.name() == name; });
    if (it == fields->end()) {
      return NotFound("FIELD_NOT_FOUND", path,
                      absl::StrCat("the collection has no vector field \"", name, "\""),
                      "GetCollection shows those it has");
    }
    fields->erase(it);
    session.DropVectorField(info->id, name);
  }
  return absl::OkStatus();
}

absl::Status PutVectorFields(const v1::UpdateCollectionRequest& request, const NamespaceInfo& ns,
                             CollectionInfo* info) {
  auto* fields = info->record.mutable_collection()->mutable_vector_fields();
  for (int i = 0; i < request.put_vector_fields_size(); ++i) {
    const v1::VectorField& given = request.put_vector_fields(i);
    const std::string path = absl::StrCat("put_vector_fields[", i, "]");
    COOKIX_RETURN_IF_ERROR(CheckNamedOnce(request.put_vector_fields(), i, path));
    auto it = std::find_if(fields->begin(), fields->end(), [&](const v1::VectorField& field) {
      return field.name() == given.name();
    });
    if (it != fields->end()) {
      COOKIX_ASSIGN_OR_RETURN(*it, ChangeVectorField(*it, given, path));
      continue;
    }
    COOKIX_ASSIGN_OR_RETURN(v1::VectorField resolved, ResolveVectorField(given, path));
    if (ns.dropped_vector_fields.count({info->id, given.name()}) > 0) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       absl::StrCat("vector field \"", given.name(),
                                    "\" was removed and its vectors are still being deleted"),
                       {"FIELD_BEING_REMOVED", path + ".name",
                        "Try again after a pause, or use another name", true});
    }
    *fields->Add() = std::move(resolved);
  }
  return CheckFieldCount("put_vector_fields", fields->size(), "vector", kMaxVectorFields);
}

absl::Status RemoveTextFields(const v1::UpdateCollectionRequest& request,
                              v1::Collection* collection) {
  auto* fields = collection->mutable_text_fields();
  for (int i = 0; i < request.remove_text_fields_size(); ++i) {
    const std::string& name = request.remove_text_fields(i);
    const std::string path = absl::StrCat("remove_text_fields[", i, "]");
    for (const v1::TextField& put : request.put_text_fields()) {
      if (put.name() != name) continue;
      return InvalidField(path, "the field is put in the same request",
                          "Remove it first, and add it in a request of its own");
    }
    auto it = std::find_if(fields->begin(), fields->end(),
                           [&](const v1::TextField& field) { return field.name() == name; });
    if (it == fields->end()) {
      return NotFound("FIELD_NOT_FOUND", path,
                      absl::StrCat("the collection has no text field \"", name, "\""),
                      "GetCollection shows those it has");
    }
    fields->erase(it);
  }
  return absl::OkStatus();
}

absl::Status PutTextFields(const v1::UpdateCollectionRequest& request, v1::Collection* collection) {
  auto* fields = collection->mutable_text_fields();
  for (int i = 0; i < request.put_text_fields_size(); ++i) {
    const v1::TextField& given = request.put_text_fields(i);
    const std::string path = absl::StrCat("put_text_fields[", i, "]");
    COOKIX_RETURN_IF_ERROR(CheckNamedOnce(request.put_text_fields(), i, path));
    auto it = std::find_if(fields->begin(), fields->end(), [&](const v1::TextField& field) {
      return field.name() == given.name();
    });
    if (it != fields->end()) {
      COOKIX_ASSIGN_OR_RETURN(*it, ChangeTextField(*it, given, path));
    } else {
      COOKIX_ASSIGN_OR_RETURN(v1::TextField resolved, ResolveTextField(given, path));
      *fields->Add() = std::move(resolved);
    }
  }
  return CheckFieldCount("put_text_fields", fields->size(), "text", kMaxTextFields);
}

absl::Status RelationMissing(const std::string& name) {
  return NotFound("RELATION_NOT_FOUND", "name",
                  absl::StrCat("relation \"", name, "\" is not in the vocabulary"),
                  "ListRelations shows the vocabulary");
}

// The relation of a name, made if it is new.
absl::StatusOr<std::shared_ptr<RelationInfo>> Editable(WriteSession& session,
                                                       const std::string& name) {
  COOKIX_RETURN_IF_ERROR(session.RelationFor(name, "relation.name").status());
  return std::make_shared<RelationInfo>(*session.ns().FindRelation(name));
}

void Replace(WriteSession& session, std::shared_ptr<RelationInfo> relation) {
  session.PutRelationRecord(*relation);
  const std::string name = relation->record.relation().name();
  session.MutableNamespace()->relations[name] = std::move(relation);
}

}  // namespace

absl::Status CatalogApi::CreateNamespace(CallContext& context,
                                         const v1::CreateNamespaceRequest& request,
                                         v1::CreateNamespaceResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckNamespaceName(request.namespace_().name(), "namespace.name"));
  COOKIX_RETURN_IF_ERROR(CheckLabels(request.namespace_().labels(), "namespace.labels"));
  bool created = false;
  Writer& writer = database_.writer();
  COOKIX_RETURN_IF_ERROR(writer.CreateNamespace(context, request.namespace_(),
                                                request.if_not_exists(), request.options(),
                                                response->mutable_result(), &created));
  response->set_created(created);
  const std::shared_ptr<const NamespaceInfo> ns =
      writer.Read().catalog->Find(request.namespace_().name());
  if (ns != nullptr) *response->mutable_namespace_() = ToProto(*ns, writer.CountsOf(ns->id));
  return absl::OkStatus();
}

absl::Status CatalogApi::GetNamespace(CallContext& context, const v1::GetNamespaceRequest& request,
                                      v1::GetNamespaceResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view,
                          InNamespace(database_.Read(), request.namespace_()));
  *response->mutable_namespace_() = ToProto(*view.ns, database_.writer().CountsOf(view.ns->id));
  return absl::OkStatus();
}

absl::Status CatalogApi::ListNamespaces(CallContext& context,
                                        const v1::ListNamespacesRequest& request,
                                        v1::ListNamespacesResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const size_t size, PageSize(request.page_size(), 100, 1000));
  const ReadView read = database_.Read();
  const auto& all = read.catalog->namespaces;
  for (auto it = all.upper_bound(request.page_token()); it != all.end(); ++it) {
    if (static_cast<size_t>(response->namespaces_size()) == size) {
      response->set_next_page_token(response->namespaces().rbegin()->name());
      break;
    }
    *response->add_namespaces() = ToProto(*it->second, database_.writer().CountsOf(it->second->id));
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::UpdateNamespace(CallContext& context,
                                         const v1::UpdateNamespaceRequest& request,
                                         v1::UpdateNamespaceResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckLabels(request.set_labels(), "set_labels"));
  Writer& writer = database_.writer();
  COOKIX_RETURN_IF_ERROR(writer.ChangeNamespace(
      context, request.namespace_(), false, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        NamespaceInfo* ns = session.MutableNamespace();
        if (request.has_description()) ns->record.set_description(request.description());
        for (const auto& [name, value] : request.set_labels()) {
          (*ns->record.mutable_labels())[name] = value;
        }
        for (const std::string& name : request.remove_labels()) {
          ns->record.mutable_labels()->erase(name);
        }
        COOKIX_RETURN_IF_ERROR(CheckLabels(ns->record.labels(), "set_labels"));
        session.PutNamespaceRecord();
        return absl::OkStatus();
      },
      response->mutable_result()));
  const std::shared_ptr<const NamespaceInfo> ns = writer.Read().catalog->Find(request.namespace_());
  if (ns != nullptr) *response->mutable_namespace_() = ToProto(*ns, writer.CountsOf(ns->id));
  return absl::OkStatus();
}

absl::Status CatalogApi::DeleteNamespace(CallContext& context,
                                         const v1::DeleteNamespaceRequest& request,
                                         v1::DeleteNamespaceResponse* response) {
  if (request.namespace_().empty()) {
    return InvalidField("namespace", "the namespace to delete is missing", "Name it");
  }
  return database_.writer().DropNamespace(context, request.namespace_(), request.force(),
                                          request.options(), response->mutable_result());
}

absl::Status CatalogApi::CopyObjects(CallContext& context, const v1::CopyObjectsRequest& request,
                                     v1::CopyObjectsResponse* response) {
  const Limits& limits = database_.limits();
  Writer& writer = database_.writer();
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, v1::ReadOptions()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView source, InNamespace(read, request.namespace_()));
  const std::shared_ptr<const NamespaceInfo> target_ns =
      read.catalog->Find(request.target_namespace());
  if (target_ns == nullptr) {
    return NotFound("NAMESPACE_NOT_FOUND", "target_namespace",
                    absl::StrCat("namespace \"", request.target_namespace(), "\" does not exist"),
                    "Create it first");
  }
  const NamespaceView target{read.snapshot, target_ns};
  const CollectionInfo* collection = source.ns->FindCollection(request.collection());
  if (collection == nullptr) {
    return NotFound("COLLECTION_NOT_FOUND", "collection",
                    absl::StrCat("collection \"", request.collection(), "\" does not exist"),
                    "Name a collection of the source namespace");
  }
  if (target.id() == source.id() &&
      (!request.has_target_key_prefix() || request.target_key_prefix() == request.key_prefix())) {
    return InvalidField("target_namespace", "the copy would overwrite its own source",
                        "Name another namespace or another key prefix");
  }
  const std::string& collection_name = collection->record.collection().name();
  // A collection that is made for the copy gets all of the source's fields.
  std::vector<std::string> copied_fields;
  const CollectionInfo* target_collection = target.ns->FindCollection(collection_name);
  for (const v1::VectorField& field : collection->record.collection().vector_fields()) {
    const v1::VectorField* there =
        target_collection == nullptr
            ? &field
            : FindVectorField(target_collection->record.collection(), field.name());
    if (there != nullptr && TakesVectorsOf(*there, field)) copied_fields.push_back(field.name());
  }
  const std::string base = IdentityKey(source.id(), collection->id, "");
  auto new_key = [&](std::string_view key) {
    if (!request.has_target_key_prefix()) return std::string(key);
    return request.target_key_prefix() + std::string(key.substr(request.key_prefix().size()));
  };
  // Every object of the copy, read twice rather than held in memory.
  auto each = [&](auto&& visit) -> absl::Status {
    auto it = source.snapshot->Scan(Family::kIdentity,
                                    storage::PrefixBounds(base + request.key_prefix()));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      COOKIX_RETURN_IF_ERROR(context.Check());
      std::string_view bytes = it->value();
      Ordinal ordinal;
      if (!GetFixed64(&bytes, &ordinal)) {
        return Corruption("an identity record is malformed", "Restore from a checkpoint");
      }
      internal::v1::ObjectRecord record;
      COOKIX_ASSIGN_OR_RETURN(const bool found, source.ReadRecord(ordinal, &record));
      if (!found || !record.exists()) continue;
      COOKIX_RETURN_IF_ERROR(visit(ordinal, std::move(record)));
    }
    return it->status();
  };
  COOKIX_RETURN_IF_ERROR(each([&](Ordinal, internal::v1::ObjectRecord&& record) -> absl::Status {
    const std::string key = new_key(record.key());
    COOKIX_RETURN_IF_ERROR(CheckKey(key, "target_key_prefix", limits));
    if (request.overwrite() || target.ns->FindCollection(collection_name) == nullptr) {
      return absl::OkStatus();
    }
    v1::ObjectRef ref;
    ref.set_collection(collection_name);
    ref.set_key(key);
    COOKIX_ASSIGN_OR_RETURN(const Ordinal there, target.FindOrdinal(ref, "collection"));
    if (there == 0) return absl::OkStatus();
    internal::v1::ObjectRecord existing;
    COOKIX_ASSIGN_OR_RETURN(const bool found, target.ReadRecord(there, &existing));
    if (!found || !existing.exists()) return absl::OkStatus();
    return MakeError(
        absl::StatusCode::kAlreadyExists, absl::StrCat("object \"", key, "\" exists in the target"),
        {"ALREADY_EXISTS", "overwrite", "Set overwrite, or choose another prefix", false});
  }));
  if (target.ns->FindCollection(collection_name) == nullptr) {
    v1::CreateCollectionRequest create;
    create.set_namespace_(request.target_namespace());
    *create.mutable_collection() = collection->record.collection();
    create.set_if_not_exists(true);
    v1::CreateCollectionResponse created;
    COOKIX_RETURN_IF_ERROR(CreateCollection(context, create, &created));
  }
  // Objects first, so that no copied edge has a target that is missing.
  int64_t batch_number = 0;
  v1::WriteRequest batch;
  auto flush = [&]() -> absl::Status {
    if (batch.mutations_size() == 0) return absl::OkStatus();
    v1::WriteOptions options = request.options();
    if (!options.request_id().empty()) {
      options.set_request_id(absl::StrCat(options.request_id(), "#", batch_number));
    }
    ++batch_number;
    std::vector<PreparedMutation> mutations;
    for (const v1::Mutation& mutation : batch.mutations()) {
      COOKIX_ASSIGN_OR_RETURN(PreparedMutation prepared, Prepare(mutation, "", limits));
      mutations.push_back(std::move(prepared));
    }
    std::vector<bool> results;
    COOKIX_RETURN_IF_ERROR(writer.Apply(context, request.target_namespace(), mutations, options,
                                        FingerprintOf(batch), response->mutable_result(),
                                        &results));
    batch.clear_mutations();
    return absl::OkStatus();
  };
  COOKIX_RETURN_IF_ERROR(each([&](Ordinal ordinal,
                                  internal::v1::ObjectRecord&& record) -> absl::Status {
    v1::ObjectWrite* write = batch.add_mutations()->mutable_put_object();
    write->mutable_object()->mutable_ref()->set_collection(collection_name);
    write->mutable_object()->mutable_ref()->set_key(new_key(record.key()));
    write->mutable_object()->set_content(record.content());
    write->mutable_object()->mutable_properties()->swap(*record.mutable_properties());
    write->mutable_object()->mutable_labels()->Swap(record.mutable_labels());
    write->mutable_object()->set_expires_ms(record.expires_ms());
    for (const std::string& name : record.vector_fields()) {
      if (std::find(copied_fields.begin(), copied_fields.end(), name) == copied_fields.end()) {
        continue;
      }
      std::string value;
      COOKIX_ASSIGN_OR_RETURN(
          const bool found,
          source.snapshot->Get(Family::kVectors, ObjectKey(source.id(), ordinal) + name, &value));
      if (!found || !(*write->mutable_object()->mutable_vectors())[name].ParseFromString(value)) {
        return Corruption("a vector is missing or malformed", "Restore from a checkpoint");
      }
    }
    response->set_objects(response->objects() + 1);
    return batch.mutations_size() >= kCopyBatch ? flush() : absl::OkStatus();
  }));
  COOKIX_RETURN_IF_ERROR(flush());
  COOKIX_RETURN_IF_ERROR(
      each([&](Ordinal ordinal, internal::v1::ObjectRecord&& record) -> absl::Status {
        auto it = source.snapshot->Scan(Family::kEdges,
                                        storage::PrefixBounds(EdgesPrefix(source.id(), ordinal)));
        for (it->SeekToFirst(); it->Valid(); it->Next()) {
          EdgeKey key;
          EdgeValue value;
          if (!DecodeEdgeKey(it->key(), &key) || !DecodeEdgeValue(it->value(), &value)) {
            return Corruption("an edge record is malformed", "Restore from a checkpoint");
          }
          if (source.ns->EdgeHidden(ordinal, key.far, value.version)) continue;
          internal::v1::ObjectRecord other;
          COOKIX_ASSIGN_OR_RETURN(const bool found, source.ReadRecord(key.far, &other));
          const bool inside =
              found && other.exists() && other.collection_id() == collection->id &&
              other.key().compare(0, request.key_prefix().size(), request.key_prefix()) == 0;
          if (!inside) {
            response->set_edges_outside(response->edges_outside() + 1);
            continue;
          }
          v1::Edge* edge = batch.add_mutations()->mutable_put_edge();
          COOKIX_RETURN_IF_ERROR(FillEdge(source, key.relation, key.discriminator, value, edge));
          edge->mutable_source()->set_collection(collection_name);
          edge->mutable_source()->set_key(new_key(record.key()));
          edge->mutable_target()->set_collection(collection_name);
          edge->mutable_target()->set_key(new_key(other.key()));
          response->set_edges(response->edges() + 1);
          if (batch.mutations_size() >= kCopyBatch) COOKIX_RETURN_IF_ERROR(flush());
        }
        return it->status();
      }));
  COOKIX_RETURN_IF_ERROR(flush());
  if (response->result().position().empty()) {
    response->mutable_result()->set_position(database_.PositionToken(read.commit()));
    response->mutable_result()->set_commit(static_cast<int64_t>(read.commit()));
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::CreateCollection(CallContext& context,
                                          const v1::CreateCollectionRequest& request,
                                          v1::CreateCollectionResponse* response) {
  const v1::Collection& given = request.collection();
  COOKIX_RETURN_IF_ERROR(CheckCollectionName(given.name(), "collection.name"));
  COOKIX_RETURN_IF_ERROR(CheckFieldCount("collection.vector_fields", given.vector_fields_size(),
                                         "vector", kMaxVectorFields));
  COOKIX_RETURN_IF_ERROR(
      CheckFieldCount("collection.text_fields", given.text_fields_size(), "text", kMaxTextFields));
  v1::Collection resolved = given;
  for (int i = 0; i < given.vector_fields_size(); ++i) {
    const std::string path = absl::StrCat("collection.vector_fields[", i, "]");
    COOKIX_ASSIGN_OR_RETURN(*resolved.mutable_vector_fields(i),
                            ResolveVectorField(given.vector_fields(i), path));
    COOKIX_RETURN_IF_ERROR(CheckNamedOnce(given.vector_fields(), i, path));
  }
  for (int i = 0; i < given.text_fields_size(); ++i) {
    const std::string path = absl::StrCat("collection.text_fields[", i, "]");
    COOKIX_ASSIGN_OR_RETURN(*resolved.mutable_text_fields(i),
                            ResolveTextField(given.text_fields(i), path));
    COOKIX_RETURN_IF_ERROR(CheckNamedOnce(given.text_fields(), i, path));
  }
  bool created = false;
  Writer& writer = database_.writer();
  COOKIX_RETURN_IF_ERROR(writer.ChangeNamespace(
      context, request.namespace_(), false, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        if (session.ns().FindCollection(given.name()) != nullptr) {
          if (request.if_not_exists()) return absl::OkStatus();
          return MakeError(absl::StatusCode::kAlreadyExists,
                           absl::StrCat("collection \"", given.name(), "\" exists already"),
                           {"ALREADY_EXISTS", "collection.name",
                            "Use another name, or set if_not_exists", false});
        }
        if (static_cast<int64_t>(session.ns().collections.size()) >=
            database_.limits().max_collections) {
          return LimitExceeded("collection.name", "the namespace has too many collections",
                               "Delete one first");
        }
        NamespaceInfo* ns = session.MutableNamespace();
        auto collection = std::make_shared<CollectionInfo>();
        collection->id = ns->record.next_collection_id();
        ns->record.set_next_collection_id(collection->id + 1);
        collection->record.set_id(collection->id);
        *collection->record.mutable_collection() = resolved;
        collection->record.mutable_collection()->set_created_ms(database_.NowMs());
        collection->record.mutable_collection()->clear_object_count();
        session.PutCollectionRecord(*collection);
        session.PutNamespaceRecord();
        ns->collections_by_id[collection->id] = collection;
        ns->collections[given.name()] = std::move(collection);
        created = true;
        return absl::OkStatus();
      },
      response->mutable_result()));
  response->set_created(created);
  const std::shared_ptr<const NamespaceInfo> ns = writer.Read().catalog->Find(request.namespace_());
  if (ns != nullptr) {
    if (const CollectionInfo* collection = ns->FindCollection(given.name())) {
      *response->mutable_collection() = ToProto(*ns, *collection, writer);
    }
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::GetCollection(CallContext& context,
                                       const v1::GetCollectionRequest& request,
                                       v1::GetCollectionResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view,
                          InNamespace(database_.Read(), request.namespace_()));
  const CollectionInfo* collection = view.ns->FindCollection(request.collection());
  if (collection == nullptr) {
    return CollectionMissing(request.collection());
  }
  *response->mutable_collection() = ToProto(*view.ns, *collection, database_.writer());
  return absl::OkStatus();
}

absl::Status CatalogApi::UpdateCollection(CallContext& context,
                                          const v1::UpdateCollectionRequest& request,
                                          v1::UpdateCollectionResponse* response) {
  Writer& writer = database_.writer();
  const bool only_removes =
      !request.has_description() && request.put_vector_fields().empty() &&
      request.put_text_fields().empty() &&
      request.remove_vector_fields_size() + request.remove_text_fields_size() > 0;
  COOKIX_RETURN_IF_ERROR(writer.ChangeNamespace(
      context, request.namespace_(), only_removes, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        const CollectionInfo* found = session.ns().FindCollection(request.collection());
        if (found == nullptr) return CollectionMissing(request.collection());
        const std::string before = found->record.SerializeAsString();
        auto changed = std::make_shared<CollectionInfo>(*found);
        v1::Collection* collection = changed->record.mutable_collection();
        if (request.has_description()) collection->set_description(request.description());
        COOKIX_RETURN_IF_ERROR(RemoveVectorFields(request, session, changed.get()));
        COOKIX_RETURN_IF_ERROR(PutVectorFields(request, session.ns(), changed.get()));
        COOKIX_RETURN_IF_ERROR(RemoveTextFields(request, collection));
        COOKIX_RETURN_IF_ERROR(PutTextFields(request, collection));
        if (changed->record.SerializeAsString() == before) return absl::OkStatus();
        session.PutCollectionRecord(*changed);
        NamespaceInfo* ns = session.MutableNamespace();
        ns->collections_by_id[changed->id] = changed;
        ns->collections[collection->name()] = std::move(changed);
        return absl::OkStatus();
      },
      response->mutable_result()));
  const std::shared_ptr<const NamespaceInfo> ns = writer.Read().catalog->Find(request.namespace_());
  if (ns != nullptr) {
    if (const CollectionInfo* collection = ns->FindCollection(request.collection())) {
      *response->mutable_collection() = ToProto(*ns, *collection, writer);
    }
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::ListCollections(CallContext& context,
                                         const v1::ListCollectionsRequest& request,
                                         v1::ListCollectionsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const size_t size, PageSize(request.page_size(), 100, 1000));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view,
                          InNamespace(database_.Read(), request.namespace_()));
  const auto& all = view.ns->collections;
  for (auto it = all.upper_bound(request.page_token()); it != all.end(); ++it) {
    if (static_cast<size_t>(response->collections_size()) == size) {
      response->set_next_page_token(response->collections().rbegin()->name());
      break;
    }
    *response->add_collections() = ToProto(*view.ns, *it->second, database_.writer());
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::DeleteCollection(CallContext& context,
                                          const v1::DeleteCollectionRequest& request,
                                          v1::DeleteCollectionResponse* response) {
  if (request.collection().empty()) {
    return InvalidField("collection", "the collection to delete is missing", "Name it");
  }
  Writer& writer = database_.writer();
  return writer.ChangeNamespace(
      context, request.namespace_(), true, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        const CollectionInfo* collection = session.ns().FindCollection(request.collection());
        if (collection == nullptr) {
          return CollectionMissing(request.collection());
        }
        if (collection->id == kDefaultCollectionId) {
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           "the collection \"default\" cannot be deleted",
                           {"BUILT_IN", "collection", "Delete its objects instead", false});
        }
        if (!request.force() && writer.ObjectsIn(session.ns().id, collection->id) > 0) {
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           absl::StrCat("collection \"", request.collection(), "\" has objects"),
                           {"NOT_EMPTY", "force", "Set force to delete them too", false});
        }
        const CollectionInfo copy = *collection;
        session.DropCollection(copy);
        return absl::OkStatus();
      },
      response->mutable_result());
}

absl::Status CatalogApi::PutRelation(CallContext& context, const v1::PutRelationRequest& request,
                                     v1::PutRelationResponse* response) {
  const Limits& limits = database_.limits();
  const v1::Relation& given = request.relation();
  COOKIX_RETURN_IF_ERROR(CheckRelationName(given.name(), "relation.name", limits));
  if (!given.inverse().empty()) {
    COOKIX_RETURN_IF_ERROR(CheckRelationName(given.inverse(), "relation.inverse", limits));
    if (given.symmetric()) {
      return InvalidField("relation.inverse", "a symmetric relation is its own inverse",
                          "Leave the inverse out, or symmetric");
    }
    if (given.inverse() == given.name()) {
      return InvalidField("relation.inverse", "the relation is named as its own inverse",
                          "Set symmetric instead");
    }
  }
  Writer& writer = database_.writer();
  COOKIX_RETURN_IF_ERROR(writer.ChangeNamespace(
      context, request.namespace_(), false, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<RelationInfo> relation,
                                Editable(session, given.name()));
        v1::Relation* shown = relation->record.mutable_relation();
        const bool built_in = shown->built_in();
        if (built_in &&
            (shown->symmetric() != given.symmetric() || shown->transitive() != given.transitive() ||
             shown->inverse() != given.inverse())) {
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           absl::StrCat("the algebra of \"", given.name(),
                                        "\" is built in and cannot be changed"),
                           {"BUILT_IN", "relation",
                            "Change only description and asked_by, or "
                            "use another name",
                            false});
        }
        const std::string old_inverse = shown->inverse();
        *shown = given;
        shown->set_built_in(built_in);
        shown->clear_registered();
        shown->clear_edge_count();
        relation->record.set_registered(true);
        Replace(session, relation);
        if (old_inverse != given.inverse() && !old_inverse.empty() &&
            session.ns().FindRelation(old_inverse) != nullptr) {
          COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<RelationInfo> old,
                                  Editable(session, old_inverse));
          if (old->record.relation().inverse() == given.name()) {
            old->record.mutable_relation()->clear_inverse();
            Replace(session, std::move(old));
          }
        }
        if (!given.inverse().empty()) {
          COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<RelationInfo> mirror,
                                  Editable(session, given.inverse()));
          v1::Relation* other = mirror->record.mutable_relation();
          if (other->symmetric() ||
              (!other->inverse().empty() && other->inverse() != given.name())) {
            return InvalidField(
                "relation.inverse",
                absl::StrCat("\"", given.inverse(), "\" is symmetric or has another inverse"),
                "Use another name for the inverse");
          }
          if (other->inverse().empty()) {
            if (other->built_in()) {
              return MakeError(absl::StatusCode::kFailedPrecondition,
                               absl::StrCat("the algebra of \"", given.inverse(),
                                            "\" is built in and cannot be changed"),
                               {"BUILT_IN", "relation.inverse", "Use another name", false});
            }
            other->set_inverse(given.name());
            other->set_transitive(given.transitive());
            mirror->record.set_registered(true);
            Replace(session, std::move(mirror));
          }
        }
        ResolveRelations(session.MutableNamespace());
        return absl::OkStatus();
      },
      response->mutable_result()));
  const std::shared_ptr<const NamespaceInfo> ns = writer.Read().catalog->Find(request.namespace_());
  if (ns != nullptr) {
    if (const RelationInfo* relation = ns->FindRelation(given.name())) {
      *response->mutable_relation() = ToProto(*relation, writer.CountsOf(ns->id));
    }
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::GetRelation(CallContext& context, const v1::GetRelationRequest& request,
                                     v1::GetRelationResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_RETURN_IF_ERROR(CheckRelationName(request.name(), "name", database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view,
                          InNamespace(database_.Read(), request.namespace_()));
  const RelationInfo* relation = view.ns->FindRelation(request.name());
  if (relation == nullptr) return RelationMissing(request.name());
  *response->mutable_relation() = ToProto(*relation, database_.writer().CountsOf(view.ns->id));
  return absl::OkStatus();
}

absl::Status CatalogApi::ListRelations(CallContext& context,
                                       const v1::ListRelationsRequest& request,
                                       v1::ListRelationsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const size_t size, PageSize(request.page_size(), 1000, 10'000));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view,
                          InNamespace(database_.Read(), request.namespace_()));
  const Writer::Counts counts = database_.writer().CountsOf(view.ns->id);
  const auto& all = view.ns->relations;
  for (auto it = all.upper_bound(request.page_token()); it != all.end(); ++it) {
    if (static_cast<size_t>(response->relations_size()) == size) {
      response->set_next_page_token(response->relations().rbegin()->name());
      break;
    }
    *response->add_relations() = ToProto(*it->second, counts);
  }
  return absl::OkStatus();
}

absl::Status CatalogApi::DeleteRelation(CallContext& context,
                                        const v1::DeleteRelationRequest& request,
                                        v1::DeleteRelationResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckRelationName(request.name(), "name", database_.limits()));
  return database_.writer().ChangeNamespace(
      context, request.namespace_(), true, request.options(), CatalogFingerprint(request),
      [&](WriteSession& session) -> absl::Status {
        const RelationInfo* found = session.ns().FindRelation(request.name());
        if (found == nullptr) return RelationMissing(request.name());
        if (found->record.relation().built_in()) {
          return MakeError(absl::StatusCode::kFailedPrecondition,
                           absl::StrCat("\"", request.name(), "\" is built in"),
                           {"BUILT_IN", "name", "Built-in relations stay", false});
        }
        // The name stays known, for edges may use it; its algebra goes.
        const std::string inverse = found->record.relation().inverse();
        COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<RelationInfo> bare,
                                Editable(session, request.name()));
        bare->record.mutable_relation()->Clear();
        bare->record.mutable_relation()->set_name(request.name());
        bare->record.set_registered(false);
        Replace(session, std::move(bare));
        if (!inverse.empty() && session.ns().FindRelation(inverse) != nullptr) {
          COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<RelationInfo> other, Editable(session, inverse));
          if (other->record.relation().inverse() == request.name()) {
            other->record.mutable_relation()->clear_inverse();
            Replace(session, std::move(other));
          }
        }
        ResolveRelations(session.MutableNamespace());
        return absl::OkStatus();
      },
      response->mutable_result());
}

}  // namespace cookix::engine
