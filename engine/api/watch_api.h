// The change feed: see proto/cookix/v1/watch_service.proto.
#ifndef COOKIX_ENGINE_API_WATCH_API_H_
#define COOKIX_ENGINE_API_WATCH_API_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/watch_service.pb.h"
#include "engine/call_context.h"
#include "storage/position.h"

namespace cookix::engine {

class Database;

// Thread-safe. Each watch reads the log by itself, on its caller's thread: it holds up nobody
// else, and what it holds in memory is one message and the commits that it is reading.
class WatchApi {
 public:
  explicit WatchApi(Database& database) : database_(database) {}

  // Calls `sink` with each message, in order, until it returns false (CANCELLED) or `context` ends
  // the call. Never returns OK. While nothing happens it looks twenty times a second whether it
  // is to end.
  absl::Status Watch(CallContext& context, const v1::WatchRequest& request,
                     absl::FunctionRef<bool(v1::WatchResponse&&)> sink);

 private:
  absl::StatusOr<storage::Position> FindStart(CallContext& context,
                                              const v1::WatchRequest& request);

  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_WATCH_API_H_
