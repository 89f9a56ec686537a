#include "server/rpc/catalog_service.h"

#include <utility>

#include "engine/api/catalog_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {
namespace {

// Of the contract, for page_size 0.
constexpr int kDefaultPageSize = 100;

using engine::CatalogApi;
using engine::Database;

// Shows only what the caller may read; the token too names nothing else.
absl::Status ListNamespaces(CallScope& scope, const v1::ListNamespacesRequest& request,
                            v1::ListNamespacesResponse* response) {
  v1::ListNamespacesRequest next = request;
  for (;;) {
    v1::ListNamespacesResponse page;
    COOKIX_RETURN_IF_ERROR(scope.database().catalog().ListNamespaces(scope.context, next, &page));
    // The engine has checked it.
    const int size = request.page_size() == 0 ? kDefaultPageSize : request.page_size();
    for (v1::Namespace& entry : *page.mutable_namespaces()) {
      if (scope.identity.RoleOn(entry.name()) < v1::ROLE_READ) continue;
      if (response->namespaces_size() == size) {
        response->set_next_page_token(response->namespaces().rbegin()->name());
        return absl::OkStatus();
      }
      *response->add_namespaces() = std::move(entry);
    }
    if (page.next_page_token().empty()) return absl::OkStatus();
    next.set_page_token(page.next_page_token());
  }
}

absl::Status CopyObjects(CallScope& scope, const v1::CopyObjectsRequest& request,
                         v1::CopyObjectsResponse* response) {
  COOKIX_RETURN_IF_ERROR(scope.RequireRole(request.namespace_(), v1::ROLE_READ));
  COOKIX_RETURN_IF_ERROR(scope.RequireRole(request.target_namespace(), v1::ROLE_ADMIN));
  return scope.database().catalog().CopyObjects(scope.context, request, response);
}

}  // namespace

void AddCatalogService(Router& router) {
  router.Unary<v1::ListNamespacesRequest, v1::ListNamespacesResponse>(
      "cookix.v1.CatalogService/ListNamespaces", ListNamespaces);
  router.Unary<v1::CopyObjectsRequest, v1::CopyObjectsResponse>(
      "cookix.v1.CatalogService/CopyObjects", CopyObjects);
  Forward(router, "cookix.v1.CatalogService/CreateNamespace", &Database::catalog,
          &CatalogApi::CreateNamespace);
  Forward(router, "cookix.v1.CatalogService/GetNamespace", &Database::catalog,
          &CatalogApi::GetNamespace);
  Forward(router, "cookix.v1.CatalogService/UpdateNamespace", &Database::catalog,
          &CatalogApi::UpdateNamespace);
  Forward(router, "cookix.v1.CatalogService/DeleteNamespace", &Database::catalog,
          &CatalogApi::DeleteNamespace);
  Forward(router, "cookix.v1.CatalogService/CreateCollection", &Database::catalog,
          &CatalogApi::CreateCollection);
  Forward(router, "cookix.v1.CatalogService/GetCollection", &Database::catalog,
          &CatalogApi::GetCollection);
  Forward(router, "cookix.v1.CatalogService/UpdateCollection", &Database::catalog,
          &CatalogApi::UpdateCollection);
  Forward(router, "cookix.v1.CatalogService/ListCollections", &Database::catalog,
          &CatalogApi::ListCollections);
  Forward(router, "cookix.v1.CatalogService/DeleteCollection", &Database::catalog,
          &CatalogApi::DeleteCollection);
  Forward(router, "cookix.v1.CatalogService/PutRelation", &Database::catalog,
          &CatalogApi::PutRelation);
  Forward(router, "cookix.v1.CatalogService/GetRelation", &Database::catalog,
          &CatalogApi::GetRelation);
  Forward(router, "cookix.v1.CatalogService/ListRelations", &Database::catalog,
          &CatalogApi::ListRelations);
  Forward(router, "cookix.v1.CatalogService/DeleteRelation", &Database::catalog,
          &CatalogApi::DeleteRelation);
}

}  // namespace cookix::server
