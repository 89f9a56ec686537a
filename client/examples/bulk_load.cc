// Loads many objects through the bulk stream, then walks and streams them.
#include <cstdio>
#include <string>

#include "client/examples/example_database.h"

using cookix::client::Check;
using cookix::client::Expect;
namespace v1 = cookix::v1;

int main() {
  auto example = cookix::client::OpenExample();
  cookix::client::Client& db = *example.client;
  constexpr int kObjects = 1000;
  constexpr int kBatch = 100;

  auto writer = db.OpenBulkWriter();
  Check(writer.status());
  v1::WriteRequest batch;
  for (int i = 0; i < kObjects; ++i) {
    v1::ObjectWrite* write = batch.add_mutations()->mutable_put_object();
    write->mutable_object()->mutable_ref()->set_key("n" + std::to_string(i));
    if (i + 1 < kObjects) {
      v1::Edge* edge = write->add_edges();
      edge->set_relation("next");
      edge->mutable_target()->set_key("n" + std::to_string(i + 1));
    }
    if (batch.mutations_size() == kBatch) {
      Check((*writer)->Write(std::move(batch)));
      batch = v1::WriteRequest();
    }
  }
  Check((*writer)->Finish());
  Expect((*writer)->acknowledged() == kObjects / kBatch, "all writes acknowledged");

  v1::TraverseRequest walk;
  walk.mutable_start()->set_key("n0");
  walk.set_max_depth(5);
  v1::TraverseResponse reached;
  Check(db.Traverse(walk, &reached));
  Expect(reached.visits_size() == 6, "the start and five more");

  int streamed = 0;
  int edges = 0;
  v1::StreamObjectsRequest all;
  all.set_with_edges(true);
  Check(db.StreamObjects(all, [&](v1::StreamObjectsResponse&& chunk) {
    streamed += chunk.objects_size();
    for (const v1::ObjectWrite& write : chunk.objects()) edges += write.edges_size();
    return true;
  }));
  Expect(streamed == kObjects && edges == kObjects - 1, "everything streamed");
  std::printf("%d objects, %d edges\n", streamed, edges);
  return 0;
}
