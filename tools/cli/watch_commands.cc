// watch: the change feed as lines of JSON.
#include <algorithm>
#include <string>
#include <vector>

#include "cookix/v1/watch_service.pb.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"
#include "tools/cli/where_parser.h"

namespace cookix::cli {
namespace {

absl::Status FillStart(const std::string& from, v1::WatchRequest* request) {
  if (from.empty() || from == "now") return absl::OkStatus();
  if (const auto commit = ParseInt(from); commit.has_value() && *commit >= 0) {
    request->set_after_commit(*commit);
    return absl::OkStatus();
  }
  auto position = FromHex(from);
  if (!position.ok() || position->empty()) {
    return UsageError("--from is neither a commit nor a position", "--from",
                      "give `now`, a commit's number, or a position as watch prints it");
  }
  request->set_after_position(*std::move(position));
  return absl::OkStatus();
}

template <typename Kinds>
absl::Status AddKinds(const std::vector<std::string>& words, Kinds* kinds) {
  for (const std::string& word : words) {
    std::string name = "CHANGE_KIND_" + word;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    v1::ChangeKind kind = v1::CHANGE_KIND_UNSPECIFIED;
    if (!v1::ChangeKind_Parse(name, &kind) || kind == v1::CHANGE_KIND_UNSPECIFIED) {
      return UsageError("there is no kind of change \"" + word + "\"", "--kind",
                        "use created, updated or deleted");
    }
    kinds->Add(kind);
  }
  return absl::OkStatus();
}

absl::Status FillSelections(const Arguments& args, v1::WatchRequest* request) {
  const bool objects = args.Has("objects") || args.Has("collection") || args.Has("where");
  const bool edges = args.Has("edges") || args.Has("relation") || args.Has("where-edge");
  if (objects || !edges) {
    v1::ObjectSelection& selection = *request->mutable_objects();
    for (const std::string& name : args.GetAll("collection")) selection.add_collections(name);
    COOKIX_RETURN_IF_ERROR(AddKinds(args.GetAll("kind"), selection.mutable_kinds()));
    selection.mutable_mask()->set_with_vectors(args.Has("vectors"));
    if (args.Has("where")) {
      COOKIX_ASSIGN_OR_RETURN(*selection.mutable_filter(), ParseWhere(args.Get("where")));
    }
  }
  if (edges || !objects) {
    v1::EdgeSelection& selection = *request->mutable_edges();
    for (const std::string& name : args.GetAll("relation")) selection.add_relations(name);
    COOKIX_RETURN_IF_ERROR(AddKinds(args.GetAll("kind"), selection.mutable_kinds()));
    if (args.Has("where-edge")) {
      COOKIX_ASSIGN_OR_RETURN(*selection.mutable_filter(), ParseWhere(args.Get("where-edge")));
    }
  }
  return absl::OkStatus();
}

// Prints messages and knows when to stop.
class Printer {
 public:
  Printer(std::ostream& out, bool signs, int64_t most) : out_(out), signs_(signs), left_(most) {}

  // False when enough was printed, or nothing can be printed any more.
  bool Print(const v1::WatchResponse& message) {
    for (const v1::CommitChanges& commit : message.commits()) {
      for (const v1::Change& change : commit.changes()) {
        Json line = Json::object();
        line["commit"] = commit.commit();
        line["time_ms"] = commit.time_ms();
        const Json told = ToJson(change);
        for (const auto& [name, value] : told.items()) line[name] = value;
        out_ << Dump(line) << '\n';
        if (left_ > 0 && --left_ == 0) return Flush(false);
      }
    }
    if (signs_ || message.commits_size() > 0) {
      Json line = Json::object();
      line["position"] = Hex(message.position());
      line["commit"] = message.commit();
      line["latest_commit"] = message.latest_commit();
      out_ << Dump(line) << '\n';
    }
    return Flush(true);
  }

 private:
  bool Flush(bool going) {
    out_.flush();
    return going && static_cast<bool>(out_);
  }

  std::ostream& out_;
  const bool signs_;
  int64_t left_;  // 0 = no end
};

absl::Status Watch(Context& context) {
  const Arguments& args = context.args();
  v1::WatchRequest request;
  request.set_namespace_(context.name_space());
  COOKIX_RETURN_IF_ERROR(FillSelections(args, &request));
  COOKIX_RETURN_IF_ERROR(FillStart(args.Get("from"), &request));
  request.set_with_before(args.Has("before"));
  request.set_without_after(args.Has("no-after"));
  request.set_with_definitions(args.Has("definitions"));
  COOKIX_ASSIGN_OR_RETURN(const int64_t heartbeat, args.GetDurationMs("heartbeat", 0));
  request.set_heartbeat_ms(static_cast<int32_t>(std::min<int64_t>(heartbeat, INT32_MAX)));
  COOKIX_ASSIGN_OR_RETURN(const int64_t count, args.GetInt("count", 0, 0, INT64_MAX));
  const bool until_now = args.Has("until-now");
  COOKIX_ASSIGN_OR_RETURN(client::Client * client, context.client());
  Printer printer(*context.environment().out, args.Has("signs"), count);
  int64_t present = -1;
  return client->Watch(request, [&](v1::WatchResponse&& message) {
    if (present < 0) present = message.latest_commit();
    const bool more = printer.Print(message);
    return more && !(until_now && message.commit() >= present);
  });
}

}  // namespace

std::vector<Command> WatchCommands() {
  return {
      {"watch",
       {},
       "print what changes, as lines of JSON, until stopped",
       {},
       {{"from", "START", "after a commit's number or a printed position; `now` by default"},
        {"objects", "", "only changes of objects, unless --edges too"},
        {"edges", "", "only changes of edges, unless --objects too"},
        {"collection", "NAME", "only objects of this collection; repeatable", 0, true},
        {"relation", "NAME", "only edges of this relation; repeatable", 0, true},
        {"kind", "KIND", "only created, updated or deleted; repeatable", 0, true},
        {"where", "EXPR", "only objects that match, before or after; see `cookix help where`"},
        {"where-edge", "EXPR", "only edges whose properties match"},
        {"before", "", "print objects and edges as they were, too"},
        {"no-after", "", "do not print objects and edges as they are"},
        {"vectors", "", "print the vectors that are set"},
        {"definitions", "", "print collections and relations that change"},
        {"heartbeat", "TIME", "longest silence of the server, 100ms to 60s; 5s by default"},
        {"signs", "", "print a position also when nothing changed"},
        {"count", "N", "stop after so many changes"},
        {"until-now", "", "stop when all that was committed at the start is printed"}},
       {"cookix watch --collection docs --where 'size > 1000' --before",
        "cookix watch --from 1204331 --until-now --kind deleted"},
       Watch},
  };
}

}  // namespace cookix::cli
