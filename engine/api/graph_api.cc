#include "engine/api/graph_api.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/request_fingerprint.h"
#include "engine/database.h"
#include "engine/fill_edge.h"
#include "engine/write/validate.h"
#include "engine/write/writer.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

template <typename Request>
uint64_t EdgeFingerprint(const Request& request) {
  if (request.options().request_id().empty()) return 0;
  Request copy = request;
  copy.clear_options();
  return FingerprintOf(copy);
}

}  // namespace

absl::Status GraphApi::PutEdge(CallContext& context, const v1::PutEdgeRequest& request,
                               v1::PutEdgeResponse* response) {
  COOKIX_RETURN_IF_ERROR(CheckEdge(request.edge(), true, "edge", database_.limits()));
  std::vector<PreparedMutation> mutations(1);
  mutations[0].action = &request.edge();
  mutations[0].field = "edge";
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), EdgeFingerprint(request),
                                                  response->mutable_result(), &results));
  response->set_created(results[0]);
  return absl::OkStatus();
}

absl::Status GraphApi::GetEdge(CallContext& context, const v1::GetEdgeRequest& request,
                               v1::GetEdgeResponse* response) {
  const Limits& limits = database_.limits();
  COOKIX_RETURN_IF_ERROR(CheckRef(request.source(), "source", limits));
  COOKIX_RETURN_IF_ERROR(CheckRef(request.target(), "target", limits));
  COOKIX_RETURN_IF_ERROR(CheckRelationName(request.relation(), "relation", limits));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal source, view.FindOrdinal(request.source(), "source"));
  COOKIX_ASSIGN_OR_RETURN(const Ordinal target, view.FindOrdinal(request.target(), "target"));
  const RelationInfo* relation = view.ns->FindRelation(request.relation());
  if (source != 0 && target != 0 && relation != nullptr) {
    std::string bytes;
    COOKIX_ASSIGN_OR_RETURN(
        const bool found, view.snapshot->Get(storage::Family::kEdges,
                                             EncodeEdgeKey(view.id(), source, relation->id, target,
                                                           request.discriminator()),
                                             &bytes));
    if (found) {
      EdgeValue value;
      if (!DecodeEdgeValue(bytes, &value)) {
        return Corruption("an edge record is malformed", "Restore the store from a checkpoint");
      }
      if (!view.ns->EdgeHidden(source, target, value.version)) {
        v1::Edge* edge = response->mutable_edge();
        COOKIX_RETURN_IF_ERROR(FillEdge(view, relation->id, request.discriminator(), value, edge));
        COOKIX_RETURN_IF_ERROR(view.FillRef(source, edge->mutable_source()));
        COOKIX_RETURN_IF_ERROR(view.FillRef(target, edge->mutable_target()));
        response->set_position(database_.PositionToken(read.commit()));
        return absl::OkStatus();
      }
    }
  }
  return NotFound("EDGE_NOT_FOUND", "",
                  absl::StrCat("there is no edge ", request.source().key(), " --[",
                               request.relation(), "]--> ", request.target().key()),
                  "ListNeighbors shows the edges of an object");
}

absl::Status GraphApi::DeleteEdge(CallContext& context, const v1::DeleteEdgeRequest& request,
                                  v1::DeleteEdgeResponse* response) {
  const Limits& limits = database_.limits();
  COOKIX_RETURN_IF_ERROR(CheckRef(request.delete_().source(), "delete.source", limits));
  COOKIX_RETURN_IF_ERROR(CheckRef(request.delete_().target(), "delete.target", limits));
  COOKIX_RETURN_IF_ERROR(
      CheckRelationName(request.delete_().relation(), "delete.relation", limits));
  std::vector<PreparedMutation> mutations(1);
  mutations[0].action = &request.delete_();
  mutations[0].field = "delete";
  std::vector<bool> results;
  COOKIX_RETURN_IF_ERROR(database_.writer().Apply(context, request.namespace_(), mutations,
                                                  request.options(), EdgeFingerprint(request),
                                                  response->mutable_result(), &results));
  response->set_existed(results[0]);
  return absl::OkStatus();
}

}  // namespace cookix::engine
