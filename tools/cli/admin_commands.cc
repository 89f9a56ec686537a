// info, stats, checkpoint, compact, sync, verify-log, views, queries, read-only.
#include <limits>
#include <map>

#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

absl::Status Info(Context& context) {
  v1::GetInfoResponse response;
  COOKIX_CALL(context, GetInfo, v1::GetInfoRequest(), &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    out.Line(out.Paint("CookiX " + OneLine(response.version()), Tone::kBold));
    auto line = [&out](std::string name, const std::string& value) {
      name.resize(14, ' ');
      out.Line("  " + out.Paint(name, Tone::kDim) + OneLine(value));
    };
    line("store", response.store_id());
    line("format", std::to_string(response.format_version()));
    line("epoch", std::to_string(response.epoch()));
    line("commit", WithCommas(response.commit()));
    line("durability", response.in_memory() ? "in memory only" : "sync " + response.sync_mode());
    line("writes", response.read_only() ? "refused (read-only)" : "accepted");
    if (response.started_ms() != 0) line("started", TimeText(response.started_ms()) + " UTC");
    std::string capabilities;
    for (const std::string& word : response.capabilities()) {
      capabilities += (capabilities.empty() ? "" : ", ") + word;
    }
    line("capabilities", capabilities);
    if (!context.args().Has("limits")) return;
    out.Line();
    Table limits({{"LIMIT"}, {"VALUE", true}});
    for (const auto& [name, value] :
         std::map<std::string, int64_t>(response.limits().begin(), response.limits().end())) {
      limits.Add({name, WithCommas(value)});
    }
    limits.Print(out, 2);
  });
  return absl::OkStatus();
}

std::string StateWord(v1::ViewState state) {
  switch (state) {
    case v1::VIEW_STATE_BUILDING:
      return "building";
    case v1::VIEW_STATE_READY:
      return "ready";
    case v1::VIEW_STATE_FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

void PrintViews(const google::protobuf::RepeatedPtrField<v1::ViewStats>& views, Terminal& out) {
  Table table({{"VIEW", false, Tone::kBold},
               {"STATE"},
               {"VISIBLE", true},
               {"INDEXED", true},
               {"MEMORY", true},
               {"SAVED", true},
               {"NOTE", false, Tone::kDim}});
  for (const v1::ViewStats& view : views) {
    std::string note = view.error();
    if (view.state() == v1::VIEW_STATE_BUILDING) {
      note = std::to_string(static_cast<int>(view.progress() * 100)) + " % built";
    } else if (!view.checkpoint_error().empty()) {
      note = "not saved: " + view.checkpoint_error();
    } else if (note.empty() && view.restored()) {
      note = "restored";
    }
    const std::string saved =
        view.checkpoint_commit() == 0 ? "-" : WithCommas(view.checkpoint_commit());
    table.Add({view.name(), StateWord(view.state()), WithCommas(view.visible_commit()),
               WithCommas(view.indexed_commit()), HumanBytes(view.memory_bytes()), saved, note});
  }
  table.Print(out);
}

absl::Status Stats(Context& context) {
  v1::GetStatsResponse response;
  COOKIX_CALL(context, GetStats, v1::GetStatsRequest(), &response);
  context.Answer(response, [&] {
    Terminal& out = context.out();
    Table families({{"FAMILY", false, Tone::kBold},
                    {"KEYS", true},
                    {"FILES", true},
                    {"ON DISK", true},
                    {"IN MEMORY", true},
                    {"RATIO", true}});
    for (const v1::ColumnFamilyStats& family : response.families()) {
      families.Add({family.name(), WithCommas(family.keys()), WithCommas(family.sst_files()),
                    HumanBytes(family.sst_bytes()), HumanBytes(family.memtable_bytes()),
                    family.compression_ratio() > 0 ? NumberText(family.compression_ratio()) : "-"});
    }
    families.Print(out);
    out.Line();
    PrintViews(response.views(), out);
    out.Line();
    auto line = [&out](std::string name, const std::string& value) {
      name.resize(16, ' ');
      out.Line(out.Paint(name, Tone::kDim) + value);
    };
    line("log",
         HumanBytes(response.wal_bytes()) + " in " + WithCommas(response.wal_files()) + " files");
    line("commits", WithCommas(response.commits()) + " in " + WithCommas(response.commit_groups()) +
                        " groups since the start");
    line("block cache", HumanBytes(response.block_cache_bytes()) + " of a budget of " +
                            HumanBytes(response.memory_budget_bytes()));
    line("process", HumanBytes(response.resident_bytes()) + " resident");
    line("disk free", HumanBytes(response.disk_free_bytes()));
    line("collector", WithCommas(response.pending_tombstones()) + " deletions pending, " +
                          WithCommas(response.collected_records()) + " records collected");
  });
  return absl::OkStatus();
}

absl::Status Checkpoint(Context& context) {
  v1::CreateCheckpointRequest request;
  request.set_name(context.args().Positional(0));
  v1::CreateCheckpointResponse response;
  COOKIX_CALL(context, CreateCheckpoint, request, &response);
  context.Answer(response, [&] {
    context.out().Line(OneLine(response.path()));
    if (!context.quiet()) {
      context.err().Line("checkpoint at commit " + WithCommas(response.commit()) +
                         ", on the server");
    }
  });
  return absl::OkStatus();
}

absl::Status Compact(Context& context) {
  v1::CompactRequest request;
  request.set_family(context.args().Positional(0));
  v1::CompactResponse response;
  COOKIX_CALL(context, Compact, request, &response);
  context.Answer(response, [&] {
    context.out().Line(HumanBytes(response.bytes_before()) + " before, " +
                       HumanBytes(response.bytes_after()) + " after");
  });
  return absl::OkStatus();
}

absl::Status Sync(Context& context) {
  v1::SyncResponse response;
  COOKIX_CALL(context, Sync, v1::SyncRequest(), &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line("durable up to commit " + WithCommas(response.commit()));
    }
  });
  return absl::OkStatus();
}

absl::Status VerifyLog(Context& context) {
  v1::VerifyLogResponse response;
  COOKIX_CALL(context, VerifyLog, v1::VerifyLogRequest(), &response);
  context.Answer(response, [&] {
    context.out().Line(WithCommas(response.records()) + " valid records, " +
                       HumanBytes(response.bytes()) + ", commits " +
                       WithCommas(response.first_commit()) + " to " +
                       WithCommas(response.last_commit()));
    for (const std::string& damage : response.damage()) {
      context.out().Line(context.out().Paint("damaged: ", Tone::kBad) + OneLine(damage));
    }
  });
  return response.damage().empty() ? absl::OkStatus() : SilentFailure();
}

absl::Status ListViews(Context& context) {
  v1::GetStatsResponse response;
  COOKIX_CALL(context, GetStats, v1::GetStatsRequest(), &response);
  if (context.json()) {
    context.out().JsonLine(ToJson(response)["views"]);
  } else {
    PrintViews(response.views(), context.out());
  }
  return absl::OkStatus();
}

absl::Status RebuildView(Context& context) {
  v1::RebuildViewRequest request;
  request.set_name(context.args().Positional(0));
  request.set_wait(context.args().Has("wait"));
  v1::RebuildViewResponse response;
  COOKIX_CALL(context, RebuildView, request, &response);
  context.Answer(response, [&] {
    context.out().Line(OneLine(response.view().name()) + " is " +
                       StateWord(response.view().state()));
  });
  return absl::OkStatus();
}

absl::Status ListQueries(Context& context) {
  v1::ListQueriesResponse response;
  COOKIX_CALL(context, ListQueries, v1::ListQueriesRequest(), &response);
  if (context.json()) {
    context.out().JsonLine(ToJson(response)["queries"]);
    return absl::OkStatus();
  }
  if (response.queries().empty()) {
    context.out().Line("nothing runs");
    return absl::OkStatus();
  }
  Table table(
      {{"ID", true}, {"METHOD", false, Tone::kBold}, {"NAMESPACE"}, {"KEY"}, {"RUNS FOR", true}});
  for (const v1::RunningQuery& query : response.queries()) {
    table.Add({std::to_string(query.id()), query.method(), query.namespace_(), query.key_id(),
               HumanMicros(query.elapsed_ms() * 1000)});
  }
  table.Print(context.out());
  return absl::OkStatus();
}

absl::Status StopQuery(Context& context) {
  const auto id = ParseInt(context.args().Positional(0));
  if (!id) return UsageError("ID is not a number", "ID", "see `cookix queries list`");
  v1::CancelQueryRequest request;
  request.set_id(*id);
  v1::CancelQueryResponse response;
  COOKIX_CALL(context, CancelQuery, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) context.out().Line("stopped " + std::to_string(*id));
  });
  return absl::OkStatus();
}

absl::Status ReadOnly(Context& context) {
  const std::string word = context.args().Positional(0);
  if (word != "on" && word != "off") {
    return UsageError("read-only is \"" + word + "\"", "on|off", "use on or off");
  }
  v1::SetReadOnlyRequest request;
  request.set_read_only(word == "on");
  v1::SetReadOnlyResponse response;
  COOKIX_CALL(context, SetReadOnly, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line(response.read_only() ? "writes are refused" : "writes are accepted");
    }
  });
  return absl::OkStatus();
}

}  // namespace

std::vector<Command> AdminCommands() {
  return {
      {"info",
       {},
       "what the server is and can do",
       {},
       {{"limits", "", "with the limits in force"}},
       {"cookix info", "cookix info --limits"},
       Info},
      {"stats",
       {},
       "sizes and counters of the store and its views",
       {},
       {},
       {"cookix stats", "cookix stats --json"},
       Stats},
      {"checkpoint",
       {},
       "write a consistent copy of the store on the server",
       {{"NAME", "name of the new directory"}},
       {},
       {"cookix checkpoint before_upgrade"},
       Checkpoint},
      {"compact",
       {},
       "compact the store",
       {{"FAMILY", "a column family (default all)", true}},
       {},
       {"cookix compact edges"},
       Compact},
      {"sync",
       {"cool_down"},
       "make everything acknowledged so far durable",
       {},
       {},
       {"cookix sync"},
       Sync},
      {"verify-log",
       {},
       "read the whole log and check every record; exit code 1 on damage",
       {},
       {},
       {"cookix verify-log"},
       VerifyLog},
      {"views list", {"views"}, "list the views", {}, {}, {"cookix views list"}, ListViews},
      {"views rebuild",
       {},
       "drop a view and build it again, online",
       {{"NAME", "the view's name"}},
       {{"wait", "", "answer when it is built"}},
       {"cookix views rebuild adjacency --wait"},
       RebuildView},
      {"queries list",
       {"queries"},
       "list the queries that run now",
       {},
       {},
       {"cookix queries list"},
       ListQueries},
      {"queries stop",
       {},
       "stop a running query",
       {{"ID", "the query's id"}},
       {},
       {"cookix queries stop 17"},
       StopQuery},
      {"read-only",
       {},
       "refuse or accept writes until the server stops",
       {{"on|off", "on or off"}},
       {},
       {"cookix read-only on"},
       ReadOnly},
  };
}

}  // namespace cookix::cli
