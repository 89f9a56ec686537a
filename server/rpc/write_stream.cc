#include "server/rpc/write_stream.h"

#include <utility>

namespace cookix::server {
namespace {

absl::Status ShuttingDown() {
  return MakeError(absl::StatusCode::kUnavailable, "The server is shutting down",
                   {"SHUTTING_DOWN", "",
                    "Everything that was answered is stored; send the rest again later.", true});
}

}  // namespace

void WriteStreamSession::OnMessage(grpc::ByteBuffer bytes) {
  bool start = false;
  bool read = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    inbox_bytes_ += bytes.Length();
    inbox_.push_back(std::move(bytes));
    start = !std::exchange(draining_, true);
    read = HasRoom();
    paused_ = !read;
  }
  if (start && !SubmitDrain()) {
    port_.Close(MakeError(absl::StatusCode::kResourceExhausted,
                          "The server has too many streams waiting",
                          {"OVERLOADED", "", "Try again after a pause.", true}));
    return;
  }
  if (read) port_.Read();
}

void WriteStreamSession::OnHalfClose() {
  bool idle;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    half_closed_ = true;
    idle = !draining_;
  }
  if (idle) port_.Close(absl::OkStatus());
}

void WriteStreamSession::OnShutdown() {
  bool idle;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    shutting_down_ = true;
    idle = !draining_;
  }
  if (idle) port_.Close(ShuttingDown());
}

bool WriteStreamSession::SubmitDrain() {
  return scope_.env.streams.Submit([this, hold = port_.Hold()] { Drain(); });
}

void WriteStreamSession::Drain() {
  for (int done = 0;; ++done) {
    grpc::ByteBuffer bytes;
    bool resume = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (inbox_.empty() || shutting_down_) {
        if (shutting_down_) {
          port_.Close(ShuttingDown());
        } else if (half_closed_) {
          port_.Close(absl::OkStatus());
        }
        draining_ = false;
        return;
      }
      // When nobody waits for the thread, or the queue is full, go on.
      if (done >= kMessagesPerTurn && scope_.env.streams.queued() > 0 && SubmitDrain()) return;
      bytes = std::move(inbox_.front());
      inbox_.pop_front();
      inbox_bytes_ -= bytes.Length();
      resume = paused_ && HasRoom();
      if (resume) paused_ = false;
    }
    if (resume) port_.Read();
    if (absl::Status status = WriteOne(std::move(bytes)); !status.ok()) {
      // The rest of the inbox is dropped, and `draining_` stays set: nothing after
      // the first failure is applied.
      port_.Close(std::move(status));
      return;
    }
  }
}

absl::Status WriteStreamSession::Admit(const std::string& namespace_name) {
  COOKIX_RETURN_IF_ERROR(scope_.RequireRole(namespace_name, scope_.method.role));
  return scope_.RequireWritable();
}

absl::Status WriteStreamSession::WriteOne(grpc::ByteBuffer bytes) {
  COOKIX_RETURN_IF_ERROR(scope_.context.Check());
  COOKIX_RETURN_IF_ERROR(scope_.RequireActiveKey());
  // Opening the stream paid for the first write.
  if (!std::exchange(first_, false)) COOKIX_RETURN_IF_ERROR(scope_.TakeFromRate());
  grpc::ByteBuffer answer;
  COOKIX_RETURN_IF_ERROR(scope_.TakeDatabase());
  // Not kept while the client is waited for.
  COOKIX_RETURN_IF_ERROR(scope_.ReleaseDatabase(Apply(scope_, &bytes, &answer)));
  if (!port_.SendAndWait(std::move(answer))) {
    return MakeError(absl::StatusCode::kCancelled, "The client takes no answers",
                     {"QUERY_CANCELLED", "", "Read the answers while sending.", false});
  }
  return absl::OkStatus();
}

}  // namespace cookix::server
