#include "tests/crash/worker.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace cookix::tests {
namespace {

void RunCalls(client::Client& client, const std::atomic<bool>& stop, Explains explains,
              Worker* worker) {
  while (!stop.load()) {
    v1::WriteRequest request = worker->workload.Next(worker->expected.latest());
    worker->expected.Sent(request);
    const WriteAnswer answer = Send(client, request, /*variety=*/true);
    if (!answer.status.ok()) {
      if (!explains(answer.status)) {
        worker->problem = absl::StrCat("a write was refused: ", answer.status.ToString(), "\n",
                                       request.ShortDebugString());
      }
      return;
    }
    if (!worker->expected.Acknowledged(answer.commit)) {
      worker->problem =
          absl::StrCat("commit ", answer.commit, " came after ", worker->expected.last_commit());
      return;
    }
    ++worker->acknowledged;
  }
}

void RunStream(client::Client& client, const std::atomic<bool>& stop, Explains explains,
               Worker* worker) {
  auto writer = client.OpenBulkWriter(8);
  absl::Status status = writer.status();
  int64_t taken = 0;
  const auto take_answers = [&] {
    for (; taken < (*writer)->acknowledged(); ++taken) {
      if (!worker->expected.Acknowledged(0)) worker->problem = "more answers than writes";
      ++worker->acknowledged;
    }
  };
  while (status.ok() && !stop.load()) {
    v1::WriteRequest request = worker->workload.Next(worker->expected.latest());
    worker->expected.Sent(request);
    status = (*writer)->Write(std::move(request));
    take_answers();
  }
  if (writer.ok()) {
    const absl::Status finished = (*writer)->Finish();
    if (status.ok()) status = finished;
    take_answers();
  }
  if (!status.ok() && !explains(status)) {
    worker->problem = absl::StrCat("a stream failed: ", status.ToString());
  }
}

}  // namespace

void RunWorker(client::Client& client, const std::atomic<bool>& stop, Explains explains,
               Worker* worker) {
  if (worker->streams) {
    RunStream(client, stop, explains, worker);
  } else {
    RunCalls(client, stop, explains, worker);
  }
}

}  // namespace cookix::tests
