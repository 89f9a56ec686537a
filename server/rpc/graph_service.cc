#include "server/rpc/graph_service.h"

#include "engine/api/graph_api.h"
#include "server/rpc/handlers.h"

namespace cookix::server {

using engine::Database;
using engine::GraphApi;

void AddGraphService(Router& router) {
  Forward(router, "cookix.v1.GraphService/PutEdge", &Database::graph, &GraphApi::PutEdge);
  Forward(router, "cookix.v1.GraphService/GetEdge", &Database::graph, &GraphApi::GetEdge);
  Forward(router, "cookix.v1.GraphService/DeleteEdge", &Database::graph, &GraphApi::DeleteEdge);
  Forward(router, "cookix.v1.GraphService/ListNeighbors", &Database::graph,
          &GraphApi::ListNeighbors);
  Forward(router, "cookix.v1.GraphService/Traverse", &Database::graph, &GraphApi::Traverse);
  Forward(router, "cookix.v1.GraphService/FindPath", &Database::graph, &GraphApi::FindPath);
}

}  // namespace cookix::server
