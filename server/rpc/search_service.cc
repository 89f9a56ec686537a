#include "server/rpc/search_service.h"

#include "engine/api/search_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

using engine::Database;
using engine::SearchApi;

void AddSearchService(Router& router) {
  Forward(router, "cookix.v1.SearchService/Search", &Database::search, &SearchApi::Search);
  Forward(router, "cookix.v1.SearchService/BatchSearch", &Database::search,
          &SearchApi::BatchSearch);
  Forward(router, "cookix.v1.SearchService/DescribeIndex", &Database::search,
          &SearchApi::DescribeIndex);
}

}  // namespace cookix::server
