#include "tests/support/requests.h"

#include "absl/strings/str_cat.h"

namespace cookix::tests {

v1::ObjectRef Ref(std::string_view key, std::string_view collection) {
  v1::ObjectRef ref;
  ref.set_key(std::string(key));
  ref.set_collection(std::string(collection));
  return ref;
}

v1::Edge MakeEdge(std::string_view source, std::string_view relation, std::string_view target,
                  double weight) {
  v1::Edge edge;
  *edge.mutable_source() = Ref(source);
  edge.set_relation(std::string(relation));
  *edge.mutable_target() = Ref(target);
  edge.set_weight(weight);
  return edge;
}

v1::ObjectWrite MakeObject(std::string_view key, std::string_view content) {
  v1::ObjectWrite write;
  *write.mutable_object()->mutable_ref() = Ref(key);
  write.mutable_object()->set_content(std::string(content));
  return write;
}

v1::PutObjectRequest PutRequest(std::string_view key, std::string_view content) {
  v1::PutObjectRequest request;
  *request.mutable_write() = MakeObject(key, content);
  return request;
}

v1::GetObjectRequest GetRequest(std::string_view key) {
  v1::GetObjectRequest request;
  *request.mutable_ref() = Ref(key);
  return request;
}

v1::PutEdgeRequest LinkRequest(std::string_view source, std::string_view relation,
                               std::string_view target, double weight) {
  v1::PutEdgeRequest request;
  *request.mutable_edge() = MakeEdge(source, relation, target, weight);
  return request;
}

v1::Filter Equals(std::string_view field, std::string_view value) {
  v1::Filter filter;
  v1::Comparison* comparison = filter.mutable_comparison();
  comparison->set_field(std::string(field));
  comparison->set_op(v1::COMPARISON_OPERATOR_EQUAL);
  comparison->mutable_value()->set_string_value(std::string(value));
  return filter;
}

std::string PathText(const v1::Path& path) {
  std::string text;
  std::string here;
  for (const v1::PathStep& step : path.steps()) {
    // A virtual step is shown as stored, so it may run against the walk.
    const bool backwards = step.virtual_() && (here.empty() ? true : step.target().key() == here);
    const std::string& from = backwards ? step.target().key() : step.source().key();
    const std::string& to = backwards ? step.source().key() : step.target().key();
    if (text.empty()) text = from;
    absl::StrAppend(&text, " -[", step.virtual_() ? "~" + step.virtual_relation() : step.relation(),
                    "]-> ", to);
    here = to;
  }
  return text;
}

}  // namespace cookix::tests
