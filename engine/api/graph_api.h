// Edges and walks: see proto/cookix/v1/graph_service.proto.
#ifndef COOKIX_ENGINE_API_GRAPH_API_H_
#define COOKIX_ENGINE_API_GRAPH_API_H_

#include "absl/status/status.h"
#include "cookix/v1/graph_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class GraphApi {
 public:
  explicit GraphApi(Database& database) : database_(database) {}

  absl::Status PutEdge(CallContext& context, const v1::PutEdgeRequest& request,
                       v1::PutEdgeResponse* response);
  absl::Status GetEdge(CallContext& context, const v1::GetEdgeRequest& request,
                       v1::GetEdgeResponse* response);
  absl::Status DeleteEdge(CallContext& context, const v1::DeleteEdgeRequest& request,
                          v1::DeleteEdgeResponse* response);
  absl::Status ListNeighbors(CallContext& context, const v1::ListNeighborsRequest& request,
                             v1::ListNeighborsResponse* response);
  absl::Status Traverse(CallContext& context, const v1::TraverseRequest& request,
                        v1::TraverseResponse* response);
  absl::Status FindPath(CallContext& context, const v1::FindPathRequest& request,
                        v1::FindPathResponse* response);

 private:
  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_GRAPH_API_H_
