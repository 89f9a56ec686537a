#include "server/rpc/query_service.h"

#include "engine/api/query_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

using engine::Database;
using engine::QueryApi;

void AddQueryService(Router& router) {
  Forward(router, "cookix.v1.QueryService/Compile", &Database::query, &QueryApi::Compile);
  Forward(router, "cookix.v1.QueryService/Execute", &Database::query, &QueryApi::Execute);
}

}  // namespace cookix::server
