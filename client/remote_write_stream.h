// A stream of writes over gRPC: a window of unanswered requests.
#ifndef COOKIX_CLIENT_REMOTE_WRITE_STREAM_H_
#define COOKIX_CLIENT_REMOTE_WRITE_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "client/rpc_error.h"
#include "client/tls_diagnosis.h"
#include "grpcpp/grpcpp.h"
#include "storage/base/status.h"

namespace cookix::client {

// Request and Answer have a `sequence`. Answers come in the order of the requests,
// so that one counter says which are durable. Reads answers only when the window
// is full or at the end: no thread of its own. Destroying an unfinished stream
// cancels it.
template <class Request, class Answer>
class RemoteWriteStream {
 public:
  using Stream = grpc::ClientReaderWriter<Request, Answer>;

  // `open` makes the call. `seen` is called with each answer that acknowledges a
  // request.
  template <class Open>
  RemoteWriteStream(std::unique_ptr<grpc::ClientContext> context, int in_flight,
                    TlsDiagnosis& server, Open&& open, std::function<void(const Answer&)> seen)
      : context_(std::move(context)),
        in_flight_(in_flight),
        server_(server),
        seen_(std::move(seen)),
        stream_(open(context_.get())) {}

  ~RemoteWriteStream() {
    if (closed_) return;
    context_->TryCancel();
    static_cast<void>(Close());
  }

  absl::Status Write(Request&& request) {
    if (closed_) {
      return status_.ok() ? absl::FailedPreconditionError("the bulk stream is finished") : status_;
    }
    while (sent_ - acknowledged_ >= in_flight_) COOKIX_RETURN_IF_ERROR(ReadAnswer());
    request.set_sequence(sent_ + 1);
    if (!stream_->Write(request)) {
      const absl::Status status = Close();
      if (!status.ok()) return status;
      return status_ = absl::UnavailableError("the bulk stream was closed by the server");
    }
    ++sent_;
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (closed_) return status_;
    stream_->WritesDone();
    while (acknowledged_ < sent_) COOKIX_RETURN_IF_ERROR(ReadAnswer());
    return Close();
  }

  int64_t acknowledged() const { return acknowledged_; }

 private:
  void Acknowledge(const Answer& answer) {
    ++acknowledged_;
    seen_(answer);
  }

  // Ends the stream and keeps its status.
  absl::Status Close() {
    if (closed_) return status_;
    closed_ = true;
    // Answers that are still under way count: the writes they acknowledge stand.
    Answer answer;
    while (stream_->Read(&answer)) {
      if (answer.sequence() == acknowledged_ + 1) Acknowledge(answer);
    }
    status_ = FromRpcStatus(stream_->Finish(), server_);
    return status_;
  }

  // Reads one answer; the stream's status when there is none.
  absl::Status ReadAnswer() {
    Answer answer;
    if (!stream_->Read(&answer)) {
      const absl::Status status = Close();
      if (!status.ok()) return status;
      return status_ = MakeError(absl::StatusCode::kInternal,
                                 "the server ended the stream before answering every write",
                                 {.reason = "INTERNAL", .remedy = "send the rest again"});
    }
    if (answer.sequence() != acknowledged_ + 1) {
      context_->TryCancel();
      static_cast<void>(Close());
      return status_ = MakeError(absl::StatusCode::kInternal,
                                 "the server answered the writes of the stream out of order",
                                 {.reason = "INTERNAL", .remedy = "report this defect"});
    }
    Acknowledge(answer);
    return absl::OkStatus();
  }

  const std::unique_ptr<grpc::ClientContext> context_;
  const int64_t in_flight_;
  TlsDiagnosis& server_;
  const std::function<void(const Answer&)> seen_;
  const std::unique_ptr<Stream> stream_;
  int64_t sent_ = 0;
  int64_t acknowledged_ = 0;
  bool closed_ = false;
  absl::Status status_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_REMOTE_WRITE_STREAM_H_
