#include "tests/crash/expected_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace cookix::tests {
namespace {

constexpr char kCounter[] = "counter";

std::string Show(const EdgeName& edge) {
  return absl::StrCat(std::get<0>(edge), " -[", std::get<1>(edge), "]-> ", std::get<2>(edge));
}

// Empty when `found` may be `expected`; versions of 0 in `expected` must be above
// `floor`.
std::string Difference(const GraphState& expected, const GraphState& found, int64_t floor) {
  for (const auto& [key, object] : expected.objects) {
    const auto it = found.objects.find(key);
    if (it == found.objects.end()) return absl::StrCat("object ", key, " is missing");
    if (it->second.counter != object.counter) {
      return absl::StrCat("object ", key, " has counter ", it->second.counter, " and not ",
                          object.counter);
    }
    if (it->second.vectors != object.vectors) {
      return absl::StrCat("object ", key, " with counter ", object.counter, " has other vectors");
    }
    if (it->second.content != object.content) {
      return absl::StrCat("object ", key, " with counter ", object.counter, " has another content");
    }
    const bool version_fits =
        object.version != 0 ? it->second.version == object.version : it->second.version > floor;
    if (!version_fits) {
      return absl::StrCat("object ", key, " has version ", it->second.version, " and not ",
                          object.version);
    }
  }
  for (const auto& [key, object] : found.objects) {
    if (expected.objects.count(key) == 0) return absl::StrCat("object ", key, " should be gone");
  }
  for (const auto& [name, edge] : expected.edges) {
    const auto it = found.edges.find(name);
    if (it == found.edges.end()) return absl::StrCat("edge ", Show(name), " is missing");
    if (it->second.weight != edge.weight) {
      return absl::StrCat("edge ", Show(name), " has weight ", it->second.weight, " and not ",
                          edge.weight);
    }
    const bool version_fits =
        edge.version != 0 ? it->second.version == edge.version : it->second.version > floor;
    if (!version_fits) {
      return absl::StrCat("edge ", Show(name), " has version ", it->second.version, " and not ",
                          edge.version);
    }
  }
  for (const auto& [name, edge] : found.edges) {
    if (expected.edges.count(name) == 0)
      return absl::StrCat("edge ", Show(name), " should be gone");
  }
  return "";
}

}  // namespace

void GraphState::Apply(const v1::Mutation& mutation, int64_t version) {
  const auto put_edge = [&](const std::string& source, const v1::Edge& edge) {
    edges[{source, edge.relation(), edge.target().key()}] = {
        edge.has_weight() ? edge.weight() : 1.0, version};
  };
  switch (mutation.action_case()) {
    case v1::Mutation::kPutObject: {
      const v1::ObjectWrite& write = mutation.put_object();
      const std::string& key = write.object().ref().key();
      ExpectedObject& object = objects[key];
      object = {write.object().properties().at(kCounter).int_value(),
                version,
                {},
                write.object().content()};
      for (const auto& [field, vector] : write.object().vectors()) {
        object.vectors[field] = vector.SerializeAsString();
      }
      if (write.replace_edges()) {
        std::erase_if(edges, [&](const auto& edge) { return std::get<0>(edge.first) == key; });
      }
      for (const v1::Edge& edge : write.edges()) put_edge(key, edge);
      break;
    }
    case v1::Mutation::kPatchObject: {
      const v1::ObjectPatch& patch = mutation.patch_object();
      ExpectedObject& object = objects[patch.ref().key()];
      object.counter = patch.set_properties().at(kCounter).int_value();
      object.version = version;
      for (const auto& [field, vector] : patch.set_vectors()) {
        object.vectors[field] = vector.SerializeAsString();
      }
      for (const std::string& field : patch.remove_vectors()) object.vectors.erase(field);
      if (patch.has_content()) object.content = patch.content();
      break;
    }
    case v1::Mutation::kDeleteObject: {
      const v1::ObjectDelete& deletion = mutation.delete_object();
      const std::string& key = deletion.ref().key();
      objects.erase(key);
      std::erase_if(edges, [&](const auto& edge) {
        return std::get<0>(edge.first) == key ||
               (std::get<2>(edge.first) == key && !deletion.leave_dangling());
      });
      break;
    }
    case v1::Mutation::kPutEdge:
      put_edge(mutation.put_edge().source().key(), mutation.put_edge());
      break;
    case v1::Mutation::kDeleteEdge: {
      const v1::EdgeDelete& deletion = mutation.delete_edge();
      edges.erase({deletion.source().key(), deletion.relation(), deletion.target().key()});
      break;
    }
    case v1::Mutation::kCheck:
    case v1::Mutation::ACTION_NOT_SET:
      break;
  }
}

void ExpectedState::Sent(v1::WriteRequest request) {
  for (const v1::Mutation& mutation : request.mutations()) latest_.Apply(mutation, 0);
  pending_.push_back({std::move(request)});
}

bool ExpectedState::Acknowledged(int64_t commit) {
  if (pending_.empty()) return false;
  for (const v1::Mutation& mutation : pending_.front().request.mutations()) {
    acknowledged_.Apply(mutation, commit);
  }
  pending_.pop_front();
  if (commit == 0) return true;
  // A write that changed nothing answers with a commit made before it.
  if (commit < last_commit_) return false;
  last_commit_ = commit;
  return true;
}

std::optional<size_t> ExpectedState::Match(const GraphState& found, std::string* why) const {
  GraphState candidate = acknowledged_;
  std::string differences;
  for (size_t applied = 0;; ++applied) {
    const std::string difference = Difference(candidate, found, last_commit_);
    if (difference.empty()) return applied;
    absl::StrAppend(&differences, differences.empty() ? "" : "; ", "with ", applied, " of ",
                    pending_.size(), " unacknowledged writes: ", difference);
    if (applied == pending_.size()) break;
    for (const v1::Mutation& mutation : pending_[applied].request.mutations()) {
      candidate.Apply(mutation, 0);
    }
  }
  *why = differences;
  return std::nullopt;
}

void ExpectedState::Resolve(size_t applied, const GraphState& found) {
  pending_.clear();
  acknowledged_ = found;
  latest_ = found;
  if (applied > 0) {
    for (const auto& [key, object] : found.objects) {
      last_commit_ = std::max(last_commit_, object.version);
    }
    for (const auto& [name, edge] : found.edges) {
      last_commit_ = std::max(last_commit_, edge.version);
    }
  }
}

}  // namespace cookix::tests
