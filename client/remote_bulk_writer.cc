#include "client/remote_bulk_writer.h"

#include <utility>

#include "client/rpc_error.h"

namespace cookix::client {

RemoteBulkWriter::RemoteBulkWriter(v1::ObjectService::Stub& stub,
                                   std::unique_ptr<grpc::ClientContext> context, int in_flight,
                                   std::string target)
    : context_(std::move(context)),
      in_flight_(in_flight),
      target_(std::move(target)),
      stream_(stub.BulkWrite(context_.get())) {}

RemoteBulkWriter::~RemoteBulkWriter() {
  if (closed_) return;
  context_->TryCancel();
  static_cast<void>(Close());
}

absl::Status RemoteBulkWriter::Close() {
  if (closed_) return status_;
  closed_ = true;
  // Answers that are still under way count: the writes they acknowledge stand.
  v1::BulkWriteResponse answer;
  while (stream_->Read(&answer)) {
    if (answer.sequence() == acknowledged_ + 1) ++acknowledged_;
  }
  status_ = FromRpcStatus(stream_->Finish(), target_);
  return status_;
}

absl::Status RemoteBulkWriter::ReadAnswer() {
  v1::BulkWriteResponse answer;
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
  ++acknowledged_;
  return absl::OkStatus();
}

absl::Status RemoteBulkWriter::Write(v1::WriteRequest&& request) {
  if (closed_) {
    return status_.ok() ? absl::FailedPreconditionError("the bulk stream is finished") : status_;
  }
  while (sent_ - acknowledged_ >= in_flight_) COOKIX_RETURN_IF_ERROR(ReadAnswer());
  v1::BulkWriteRequest envelope;
  *envelope.mutable_write() = std::move(request);
  envelope.set_sequence(sent_ + 1);
  if (!stream_->Write(envelope)) {
    const absl::Status status = Close();
    if (!status.ok()) return status;
    return status_ = absl::UnavailableError("the bulk stream was closed by the server");
  }
  ++sent_;
  return absl::OkStatus();
}

absl::Status RemoteBulkWriter::Finish() {
  if (closed_) return status_;
  stream_->WritesDone();
  while (acknowledged_ < sent_) COOKIX_RETURN_IF_ERROR(ReadAnswer());
  return Close();
}

}  // namespace cookix::client
