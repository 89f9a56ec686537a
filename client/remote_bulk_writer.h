// The bulk stream over gRPC: a window of unanswered writes.
#ifndef COOKIX_CLIENT_REMOTE_BULK_WRITER_H_
#define COOKIX_CLIENT_REMOTE_BULK_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "client/client.h"
#include "cookix/v1/object_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace cookix::client {

// Answers come in the order of the writes, so that one counter says which writes
// are durable. Reads answers only when the window is full or at the end: no
// thread of its own. Destroying an unfinished writer cancels the stream.
class RemoteBulkWriter : public BulkWriter {
 public:
  RemoteBulkWriter(v1::ObjectService::Stub& stub, std::unique_ptr<grpc::ClientContext> context,
                   int in_flight, std::string target);
  ~RemoteBulkWriter() override;

  absl::Status Write(v1::WriteRequest&& request) override;
  absl::Status Finish() override;
  int64_t acknowledged() const override { return acknowledged_; }

 private:
  // Reads one answer; the stream's status when there is none.
  absl::Status ReadAnswer();
  // Ends the stream and keeps its status.
  absl::Status Close();

  const std::unique_ptr<grpc::ClientContext> context_;
  const int64_t in_flight_;
  const std::string target_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::BulkWriteRequest, v1::BulkWriteResponse>> stream_;
  int64_t sent_ = 0;
  int64_t acknowledged_ = 0;
  bool closed_ = false;
  absl::Status status_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_REMOTE_BULK_WRITER_H_
