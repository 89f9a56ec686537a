// The bulk streams over gRPC.
#ifndef COOKIX_CLIENT_REMOTE_WRITERS_H_
#define COOKIX_CLIENT_REMOTE_WRITERS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "client/client.h"
#include "client/remote_write_stream.h"
#include "client/tls_diagnosis.h"
#include "cookix/v1/object_service.grpc.pb.h"
#include "cookix/v1/search_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace cookix::client {

class RemoteBulkWriter : public BulkWriter {
 public:
  RemoteBulkWriter(v1::ObjectService::Stub& stub, std::unique_ptr<grpc::ClientContext> context,
                   int in_flight, TlsDiagnosis& server,
                   std::function<void(const std::string&)> seen)
      : stream_(
            std::move(context), in_flight, server,
            [&stub](grpc::ClientContext* call) { return stub.BulkWrite(call); },
            [seen = std::move(seen)](const v1::BulkWriteResponse& answer) {
              if (seen != nullptr) seen(answer.result().position());
            }) {}

  absl::Status Write(v1::WriteRequest&& request) override {
    v1::BulkWriteRequest envelope;
    *envelope.mutable_write() = std::move(request);
    return stream_.Write(std::move(envelope));
  }
  absl::Status Finish() override { return stream_.Finish(); }
  int64_t acknowledged() const override { return stream_.acknowledged(); }

 private:
  RemoteWriteStream<v1::BulkWriteRequest, v1::BulkWriteResponse> stream_;
};

class RemoteVectorWriter : public VectorWriter {
 public:
  RemoteVectorWriter(v1::SearchService::Stub& stub, std::unique_ptr<grpc::ClientContext> context,
                     int in_flight, TlsDiagnosis& server,
                     std::function<void(const std::string&)> seen)
      : stream_(
            std::move(context), in_flight, server,
            [&stub](grpc::ClientContext* call) { return stub.InsertVectors(call); },
            [this, seen = std::move(seen)](const v1::InsertVectorsResponse& answer) {
              created_ += answer.created_count();
              if (seen != nullptr) seen(answer.result().position());
            }) {}

  absl::Status Write(v1::InsertVectorsRequest&& request) override {
    return stream_.Write(std::move(request));
  }
  absl::Status Finish() override { return stream_.Finish(); }
  int64_t acknowledged() const override { return stream_.acknowledged(); }
  int64_t created() const override { return created_; }

 private:
  int64_t created_ = 0;
  RemoteWriteStream<v1::InsertVectorsRequest, v1::InsertVectorsResponse> stream_;
};

}  // namespace cookix::client

#endif  // COOKIX_CLIENT_REMOTE_WRITERS_H_
