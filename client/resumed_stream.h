// A stream of writes that outlives changes of primary.
#ifndef COOKIX_CLIENT_RESUMED_STREAM_H_
#define COOKIX_CLIENT_RESUMED_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cluster_attempts.h"
#include "client/cluster_servers.h"
#include "client/request_id.h"
#include "storage/base/status.h"

namespace cookix::client {

// Writer is BulkWriter or VectorWriter, Request what it takes. Keeps the requests that were not
// acknowledged, each with its request id, and sends them again, in order, where writes are taken
// then. One thread at a time.
template <class Writer, class Request>
class ResumedStream {
 public:
  // Opens a stream at a server.
  using Open = std::function<absl::StatusOr<std::unique_ptr<Writer>>(ClusterServer&)>;

  // Both borrowed: `options` and `servers`.
  ResumedStream(const ClusterOptions& options, ClusterServers& servers, Open open)
      : options_(options), servers_(servers), open_(std::move(open)) {}

  absl::Status Write(Request&& request) {
    COOKIX_RETURN_IF_ERROR(status_);
    if (finished_) return absl::FailedPreconditionError("the bulk stream is finished");
    if (request.options().request_id().empty()) {
      request.mutable_options()->set_request_id(NewRequestId());
    }
    pending_.push_back(std::move(request));
    if (writer_ == nullptr) return status_ = Resume(absl::OkStatus());
    absl::Status written = writer_->Write(Request(pending_.back()));
    Settle();
    if (!written.ok()) status_ = Resume(std::move(written));
    return status_;
  }

  absl::Status Finish() {
    finished_ = true;
    while (status_.ok() && writer_ != nullptr) {
      absl::Status ended = writer_->Finish();
      Settle();
      if (ended.ok()) break;
      status_ = Resume(std::move(ended));
    }
    return status_;
  }

  int64_t acknowledged() const { return acknowledged_; }
  // The stream at the present server; null before the first write and after an error.
  const Writer* writer() const { return writer_.get(); }
  // Is called with a stream before it is given up.
  void OnEnd(std::function<void(const Writer&)> ended) { ended_ = std::move(ended); }

 private:
  // Lets go of what was acknowledged.
  void Settle() {
    for (; settled_ < writer_->acknowledged(); ++settled_, ++acknowledged_) pending_.pop_front();
  }

  void GiveUpWriter() {
    if (writer_ == nullptr) return;
    if (ended_ != nullptr) ended_(*writer_);
    writer_.reset();
    settled_ = 0;
  }

  // Goes on after `error` at the primary of that time; with OK, begins. The error that ends the
  // stream.
  absl::Status Resume(absl::Status error) {
    ClusterAttempts attempts(options_, /*timeout_ms=*/0);
    while (true) {
      if (!error.ok()) {
        GiveUpWriter();
        if (!MayHelpToRepeat(error)) return error;
        if (ReasonOf(error) != "NOT_REPLICATED") servers_.Doubt(*server_);
        if (!attempts.Pause()) return error;
      }
      COOKIX_ASSIGN_OR_RETURN(server_, servers_.WaitForPrimary(attempts.Until()));
      COOKIX_ASSIGN_OR_RETURN(writer_, open_(*server_));
      error = absl::OkStatus();
      for (size_t i = 0; i < pending_.size() && error.ok(); ++i) {
        error = writer_->Write(Request(pending_[i]));
      }
      Settle();
      if (error.ok()) return error;
    }
  }

  const ClusterOptions& options_;
  ClusterServers& servers_;
  const Open open_;
  std::function<void(const Writer&)> ended_;
  ClusterServers::Server server_;
  std::unique_ptr<Writer> writer_;
  std::deque<Request> pending_;
  int64_t settled_ = 0;  // of `writer_`
  int64_t acknowledged_ = 0;
  bool finished_ = false;
  absl::Status status_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_RESUMED_STREAM_H_
