// The change feed of a server, over gRPC.
#include <chrono>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "client/remote_client.h"
#include "client/retry.h"
#include "client/rpc_error.h"

namespace cookix::client {

absl::Status RemoteClient::Watch(const v1::WatchRequest& request,
                                 absl::FunctionRef<bool(v1::WatchResponse&&)> sink) {
  v1::WatchRequest next = request;
  std::random_device random;
  std::optional<RetryPolicy> retry;
  retry.emplace(options_.retry, true, random());
  while (true) {
    grpc::ClientContext context;
    AddKey(&context);
    const auto reader = watch_stub_->Watch(&context, next);
    bool stopped = false;
    v1::WatchResponse message;
    while (reader->Read(&message)) {
      if (stopped) continue;
      next.set_after_position(message.position());
      // What fails from now on is another failure.
      retry.emplace(options_.retry, true, random());
      if (!sink(std::move(message))) {
        stopped = true;
        context.TryCancel();
      }
      message.Clear();
    }
    const absl::Status status = FromRpcStatus(reader->Finish(), server_);
    if (stopped) return absl::OkStatus();
    const int64_t pause_ms = retry->NextPauseMs(status);
    if (pause_ms < 0) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
}

}  // namespace cookix::client
