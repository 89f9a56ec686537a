// What the server counts, for Prometheus.
#ifndef COOKIX_SERVER_METRICS_H_
#define COOKIX_SERVER_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cookix/v1/admin_service.pb.h"
#include "cookix/v1/replication_service.pb.h"

namespace cookix::server {

// Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A call has begun and will be ended once.
  void BeginCall();
  // `method` is an index into MethodTable(), or its size for unknown methods;
  // `code` a gRPC status code.
  void EndCall(size_t method, int code, double seconds);
  // A call that was refused before it began.
  void RejectCall(size_t method, int code);
  void AuthFailure();
  void RateLimited();
  // A lane of a search is done; see engine::DatabaseOptions::on_lane_searched.
  void LaneSearched(std::string_view lane, std::string_view strategy, double seconds);

  // A watch of the change feed begins, sends a message with so many changes, and ends: because
  // its client was too slow, or not.
  void WatchBegan();
  void WatchSent(int64_t changes);
  void WatchEnded(bool too_slow);

  // The server has archived the log by itself, up to commit `last` (0 = there was nothing new),
  // or failed to.
  void LogArchived(bool ok, int64_t last);

  int64_t calls_in_flight() const;

  // What is read from the database at each scrape, at most once a second. Set
  // before the first Text() or Serve().
  struct Sample {
    v1::GetStatsResponse stats;
    v1::GetInfoResponse info;
    v1::GetReplicationStatusResponse replication;
  };
  using Source = std::function<void(Sample*)>;
  void SetSource(Source source);

  // Everything, in Prometheus' text format.
  std::string Text();

  // Serves /metrics on `address` (host:port, port 0 = a free one) until
  // destruction; returns the port. A password, when not empty, is asked for user
  // "metrics". Errors: FAILED_PRECONDITION when the address cannot be used.
  absl::StatusOr<int> Serve(const std::string& address, const std::string& password);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_METRICS_H_
