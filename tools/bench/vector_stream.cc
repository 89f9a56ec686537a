#include "tools/bench/vector_stream.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <semaphore>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cookix/v1/search_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

constexpr size_t kBatch = 1000;
constexpr int kInFlight = 8;

}  // namespace

std::string KeyOf(size_t row) {
  char key[24];
  std::snprintf(key, sizeof(key), "v%08zu", row);
  return key;
}

size_t RowOf(const v1::Hit& hit) {
  return static_cast<size_t>(std::atoll(hit.ref().key().c_str() + 1));
}

absl::Status InsertAll(
    const std::string& target, const std::string& collection, const VectorData& data,
    absl::FunctionRef<void(size_t row, v1::InsertVectorsRequest* request)> more) {
  auto stub =
      v1::SearchService::NewStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  auto stream = stub->InsertVectors(&context);
  std::counting_semaphore<> window(kInFlight);
  int64_t created = 0;
  std::thread reader([&] {
    v1::InsertVectorsResponse response;
    while (stream->Read(&response)) {
      created += response.created_count();
      window.release();
    }
    // The writer shall not wait for what does not come any more.
    window.release(1 << 20);
  });
  bool open = true;
  for (size_t first = 0; first < data.size() && open; first += kBatch) {
    const size_t last = std::min(data.size(), first + kBatch);
    v1::InsertVectorsRequest request;
    request.set_collection(collection);
    request.mutable_options()->set_bulk(true);
    for (size_t row = first; row < last; ++row) {
      request.add_keys(KeyOf(row));
      more(row, &request);
    }
    request.mutable_values()->Add(data.Base(first), data.Base(last));
    window.acquire();
    open = stream->Write(request);
  }
  stream->WritesDone();
  reader.join();
  const grpc::Status status = stream->Finish();
  if (!status.ok()) {
    return absl::InternalError(absl::StrCat("the stream failed: ", status.error_message()));
  }
  if (created != static_cast<int64_t>(data.size())) return Wrong("objects were not created");
  return absl::OkStatus();
}

}  // namespace cookix::bench
