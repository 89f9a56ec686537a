#include "server/rpc/watch_service.h"

#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cookix/v1/watch_service.pb.h"

namespace cookix::server {
namespace {

absl::Status TooSlow(int64_t stall_ms) {
  return MakeError(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("The client took no message for ", stall_ms, " ms, and the watch was ended"),
      {"WATCH_TOO_SLOW", "",
       "Watch again after the last position; ask for less if this happens often.", true});
}

int64_t CountChanges(const v1::WatchResponse& response) {
  int64_t count = 0;
  for (const v1::CommitChanges& commit : response.commits()) count += commit.changes_size();
  return count;
}

// One watch. Holds a thread of its own for as long as it lasts, reads the next message from the
// log while the one before is sent, and no further.
class WatchSession final : public Session {
 public:
  // `open` counts the watches of the server.
  WatchSession(CallScope& scope, StreamPort& port, std::atomic<int64_t>& open)
      : scope_(scope), port_(port), open_(open), number_(open_.fetch_add(1) + 1) {}
  ~WatchSession() override { open_.fetch_sub(1); }

  void OnStart() override { port_.Read(); }

  void OnMessage(grpc::ByteBuffer bytes) override {
    const int64_t most = scope_.env.config.max_watches;
    auto task = [this, hold = port_.Hold(), message = std::move(bytes)]() mutable {
      // A slow client gets its status once it has taken what was sent.
      const absl::Status status = Run(std::move(message));
      if (stalled_) {
        port_.CloseAndWait(status);
      } else {
        port_.Close(status);
      }
    };
    if (number_ <= most && scope_.env.watches.Submit(std::move(task))) return;
    port_.Close(MakeError(absl::StatusCode::kResourceExhausted,
                          absl::StrCat("There are ", most, " watches already"),
                          {"OVERLOADED", "", "Watch a replica, or raise max_watches.", true}));
  }

  void OnHalfClose() override {
    port_.Close(InvalidField("", "The call has no message", "Send exactly one message."));
  }

  void OnShutdown() override {
    stopping_.store(true);
    scope_.context.Cancel();
  }

 private:
  absl::Status Run(grpc::ByteBuffer bytes) {
    v1::WatchRequest request;
    COOKIX_RETURN_IF_ERROR(ParseMessage(&bytes, &request));
    scope_.namespace_name = request.namespace_();
    COOKIX_RETURN_IF_ERROR(scope_.RequireRole(request.namespace_(), scope_.method.role));
    const QueryRegistry::Entry entry(scope_.env.queries, scope_.method.name, request.namespace_(),
                                     scope_.context);
    COOKIX_RETURN_IF_ERROR(scope_.TakeDatabase());
    scope_.env.metrics.WatchBegan();
    absl::Status sent;
    absl::Status status = scope_.database().watch().Watch(scope_.context, request,
                                                          [&](const v1::WatchResponse& response) {
                                                            sent = Send(response);
                                                            return sent.ok();
                                                          });
    scope_.env.metrics.WatchEnded(stalled_);
    status = scope_.ReleaseDatabase(sent.ok() ? std::move(status) : std::move(sent));
    if (stopping_.load()) {
      return MakeError(absl::StatusCode::kUnavailable, "The server is shutting down",
                       {"SHUTTING_DOWN", "",
                        "Watch another server, or this one later, after the last position.", true});
    }
    return status;
  }

  absl::Status Send(const v1::WatchResponse& response) {
    COOKIX_RETURN_IF_ERROR(scope_.RequireActiveKey());
    grpc::ByteBuffer bytes;
    COOKIX_RETURN_IF_ERROR(SerializeMessage(response, &bytes));
    switch (port_.SendOrStall(std::move(bytes))) {
      case StreamPort::Sent::kSent:
        scope_.env.metrics.WatchSent(CountChanges(response));
        return absl::OkStatus();
      case StreamPort::Sent::kStalled:
        stalled_ = true;
        return TooSlow(scope_.env.config.stream_stall_ms);
      default:
        return MakeError(absl::StatusCode::kCancelled, "The watch was stopped",
                         {"QUERY_CANCELLED", "", "Watch again after the last position.", false});
    }
  }

  CallScope& scope_;
  StreamPort& port_;
  std::atomic<int64_t>& open_;
  // How many watches there were with this one.
  const int64_t number_;
  bool stalled_ = false;  // only used by the thread that runs
  std::atomic<bool> stopping_{false};
};

}  // namespace

void AddWatchService(Router& router) {
  auto open = std::make_shared<std::atomic<int64_t>>(0);
  router.Stream("cookix.v1.WatchService/Watch", [open](CallScope& scope, StreamPort& port) {
    return std::make_unique<WatchSession>(scope, port, *open);
  });
}

}  // namespace cookix::server
