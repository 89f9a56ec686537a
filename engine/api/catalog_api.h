// Namespaces, collections, relations: see proto/cookix/v1/catalog_service.proto.
#ifndef COOKIX_ENGINE_API_CATALOG_API_H_
#define COOKIX_ENGINE_API_CATALOG_API_H_

#include "absl/status/status.h"
#include "cookix/v1/catalog_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class CatalogApi {
 public:
  explicit CatalogApi(Database& database) : database_(database) {}

  absl::Status CreateNamespace(CallContext& context, const v1::CreateNamespaceRequest& request,
                               v1::CreateNamespaceResponse* response);
  absl::Status GetNamespace(CallContext& context, const v1::GetNamespaceRequest& request,
                            v1::GetNamespaceResponse* response);
  absl::Status ListNamespaces(CallContext& context, const v1::ListNamespacesRequest& request,
                              v1::ListNamespacesResponse* response);
  absl::Status UpdateNamespace(CallContext& context, const v1::UpdateNamespaceRequest& request,
                               v1::UpdateNamespaceResponse* response);
  absl::Status DeleteNamespace(CallContext& context, const v1::DeleteNamespaceRequest& request,
                               v1::DeleteNamespaceResponse* response);
  absl::Status CopyObjects(CallContext& context, const v1::CopyObjectsRequest& request,
                           v1::CopyObjectsResponse* response);
  absl::Status CreateCollection(CallContext& context, const v1::CreateCollectionRequest& request,
                                v1::CreateCollectionResponse* response);
  absl::Status GetCollection(CallContext& context, const v1::GetCollectionRequest& request,
                             v1::GetCollectionResponse* response);
  absl::Status UpdateCollection(CallContext& context, const v1::UpdateCollectionRequest& request,
                                v1::UpdateCollectionResponse* response);
  absl::Status ListCollections(CallContext& context, const v1::ListCollectionsRequest& request,
                               v1::ListCollectionsResponse* response);
  absl::Status DeleteCollection(CallContext& context, const v1::DeleteCollectionRequest& request,
                                v1::DeleteCollectionResponse* response);
  absl::Status PutRelation(CallContext& context, const v1::PutRelationRequest& request,
                           v1::PutRelationResponse* response);
  absl::Status GetRelation(CallContext& context, const v1::GetRelationRequest& request,
                           v1::GetRelationResponse* response);
  absl::Status ListRelations(CallContext& context, const v1::ListRelationsRequest& request,
                             v1::ListRelationsResponse* response);
  absl::Status DeleteRelation(CallContext& context, const v1::DeleteRelationRequest& request,
                              v1::DeleteRelationResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_CATALOG_API_H_
