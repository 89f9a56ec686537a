#include "server/rpc/admin_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/admin_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {
namespace {

using engine::AdminApi;
using engine::Database;

absl::Status GetInfo(CallScope& scope, const v1::GetInfoRequest& request,
                     v1::GetInfoResponse* response) {
  COOKIX_RETURN_IF_ERROR(scope.database().admin().GetInfo(scope.context, request, response));
  response->set_read_only(scope.env.read_only.load());
  response->set_started_ms(scope.env.started_ms);
  auto& limits = *response->mutable_limits();
  limits["max_message_bytes"] = scope.env.config.max_message_mb << 20;
  limits["max_concurrent_calls"] = scope.env.config.max_concurrent_calls;
  limits["max_streams"] = scope.env.config.max_streams;
  limits["requests_per_minute"] = scope.env.config.requests_per_minute;
  return absl::OkStatus();
}

absl::Status ListQueries(CallScope& scope, const v1::ListQueriesRequest& request,
                         v1::ListQueriesResponse* response) {
  for (v1::RunningQuery& query : scope.env.queries.List()) {
    *response->add_queries() = std::move(query);
  }
  return absl::OkStatus();
}

absl::Status CancelQuery(CallScope& scope, const v1::CancelQueryRequest& request,
                         v1::CancelQueryResponse* response) {
  if (scope.env.queries.Cancel(request.id())) {
    scope.env.log.Write(LogLevel::kInfo, "admin", "query cancelled",
                        {{"id", int64_t{request.id()}},
                         {"key_id", std::string_view(scope.context.key_id)},
                         {"request_id", std::string_view(scope.context.request_id)}});
    return absl::OkStatus();
  }
  return NotFound("QUERY_NOT_FOUND", "id",
                  absl::StrCat("There is no running query with id ", request.id()),
                  "It may have ended; list the running queries.");
}

absl::Status SetReadOnly(CallScope& scope, const v1::SetReadOnlyRequest& request,
                         v1::SetReadOnlyResponse* response) {
  scope.env.read_only.store(request.read_only());
  scope.env.log.Write(LogLevel::kInfo, "admin", "read-only mode",
                      {{"read_only", request.read_only()},
                       {"key_id", std::string_view(scope.context.key_id)},
                       {"request_id", std::string_view(scope.context.request_id)}});
  response->set_read_only(request.read_only());
  return absl::OkStatus();
}

}  // namespace

void AddAdminService(Router& router) {
  router.Unary<v1::GetInfoRequest, v1::GetInfoResponse>("cookix.v1.AdminService/GetInfo", GetInfo);
  router.Unary<v1::ListQueriesRequest, v1::ListQueriesResponse>(
      "cookix.v1.AdminService/ListQueries", ListQueries);
  router.Unary<v1::CancelQueryRequest, v1::CancelQueryResponse>(
      "cookix.v1.AdminService/CancelQuery", CancelQuery);
  router.Unary<v1::SetReadOnlyRequest, v1::SetReadOnlyResponse>(
      "cookix.v1.AdminService/SetReadOnly", SetReadOnly);
  Forward(router, "cookix.v1.AdminService/GetStats", &Database::admin, &AdminApi::GetStats);
  Forward(router, "cookix.v1.AdminService/Compact", &Database::admin, &AdminApi::Compact);
  Forward(router, "cookix.v1.AdminService/CreateCheckpoint", &Database::admin,
          &AdminApi::CreateCheckpoint);
  Forward(router, "cookix.v1.AdminService/Sync", &Database::admin, &AdminApi::Sync);
  Forward(router, "cookix.v1.AdminService/VerifyLog", &Database::admin, &AdminApi::VerifyLog);
  Forward(router, "cookix.v1.AdminService/RebuildView", &Database::admin, &AdminApi::RebuildView);
}

}  // namespace cookix::server
