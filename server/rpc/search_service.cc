#include "server/rpc/search_service.h"

#include <memory>
#include <string>

#include "cookix/v1/search_service.pb.h"
#include "engine/api/object_api.h"
#include "engine/api/search_api.h"
#include "server/rpc/handlers.h"
#include "server/rpc/write_stream.h"

namespace cookix::server {
namespace {

using engine::Database;
using engine::SearchApi;

const std::string& NamespaceOfVectors(const v1::InsertVectorsRequest& request) {
  return request.namespace_();
}

absl::Status InsertVectors(CallScope& scope, const v1::InsertVectorsRequest& request,
                           v1::InsertVectorsResponse* response) {
  return scope.database().objects().InsertVectors(scope.context, request, response);
}

}  // namespace

void AddSearchService(Router& router) {
  Forward(router, "cookix.v1.SearchService/Search", &Database::search, &SearchApi::Search);
  Forward(router, "cookix.v1.SearchService/BatchSearch", &Database::search,
          &SearchApi::BatchSearch);
  Forward(router, "cookix.v1.SearchService/DescribeIndex", &Database::search,
          &SearchApi::DescribeIndex);
  router.Stream("cookix.v1.SearchService/InsertVectors", [](CallScope& scope, StreamPort& port) {
    return std::make_unique<WriteStream<v1::InsertVectorsRequest, v1::InsertVectorsResponse>>(
        scope, port, NamespaceOfVectors, InsertVectors);
  });
}

}  // namespace cookix::server
