// Operating the database: see proto/cookix/v1/admin_service.proto. The calls that
// concern a server (queries, read-only mode) are in server/.
#ifndef COOKIX_ENGINE_API_ADMIN_API_H_
#define COOKIX_ENGINE_API_ADMIN_API_H_

#include "absl/status/status.h"
#include "cookix/v1/admin_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Thread-safe.
class AdminApi {
 public:
  explicit AdminApi(Database& database) : database_(database) {}

  // Fills everything but `read_only` and `started_ms`, which the server knows.
  absl::Status GetInfo(CallContext& context, const v1::GetInfoRequest& request,
                       v1::GetInfoResponse* response);
  absl::Status GetStats(CallContext& context, const v1::GetStatsRequest& request,
                        v1::GetStatsResponse* response);
  absl::Status Compact(CallContext& context, const v1::CompactRequest& request,
                       v1::CompactResponse* response);
  absl::Status CreateCheckpoint(CallContext& context, const v1::CreateCheckpointRequest& request,
                                v1::CreateCheckpointResponse* response);
  absl::Status Sync(CallContext& context, const v1::SyncRequest& request,
                    v1::SyncResponse* response);
  absl::Status VerifyLog(CallContext& context, const v1::VerifyLogRequest& request,
                         v1::VerifyLogResponse* response);
  absl::Status RebuildView(CallContext& context, const v1::RebuildViewRequest& request,
                           v1::RebuildViewResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_ADMIN_API_H_
