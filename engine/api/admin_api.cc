#include "engine/api/admin_api.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/database.h"
#include "engine/version.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

std::string_view SyncModeName(storage::SyncMode mode) {
  switch (mode) {
    case storage::SyncMode::kFull:
      return "full";
    case storage::SyncMode::kNormal:
      return "normal";
    case storage::SyncMode::kOff:
      return "off";
  }
  return "full";
}

int64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  long long total = 0, resident = 0;
  const int fields = std::fscanf(file, "%lld %lld", &total, &resident);
  std::fclose(file);
  return fields == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

v1::ViewStats ToProto(const ViewStatus& status) {
  v1::ViewStats out;
  out.set_name(status.name);
  out.set_state(status.state == ViewState::kReady      ? v1::VIEW_STATE_READY
                : status.state == ViewState::kBuilding ? v1::VIEW_STATE_BUILDING
                                                       : v1::VIEW_STATE_FAILED);
  out.set_visible_commit(static_cast<int64_t>(status.visible));
  out.set_indexed_commit(static_cast<int64_t>(status.indexed));
  out.set_memory_bytes(status.memory_bytes);
  out.set_progress(status.progress);
  out.set_error(status.error);
  out.set_restored(status.restored);
  out.set_checkpoint_commit(static_cast<int64_t>(status.checkpoint_commit));
  out.set_checkpoint_error(status.checkpoint_error);
  for (const auto& [name, value] : status.counters) (*out.mutable_counters())[name] = value;
  return out;
}

int64_t SstBytes(const storage::StoreStats& stats) {
  uint64_t bytes = 0;
  for (const storage::FamilyStats& family : stats.families) bytes += family.sst_bytes;
  return static_cast<int64_t>(bytes);
}

}  // namespace

absl::Status AdminApi::GetInfo(CallContext& context, const v1::GetInfoRequest& request,
                               v1::GetInfoResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  const uint64_t commit = database_.Read().commit();
  response->set_version(std::string(kProgramVersion));
  response->set_store_id(storage::StoreIdToHex(database_.store().id()));
  response->set_epoch(static_cast<int64_t>(database_.store().epoch()));
  response->set_commit(static_cast<int64_t>(commit));
  response->set_position(database_.PositionToken(commit));
  response->set_sync_mode(std::string(SyncModeName(database_.options().storage.sync_mode)));
  response->set_in_memory(database_.options().storage.in_memory);
  response->set_format_version(static_cast<int32_t>(storage::kFormatVersion));
  for (const char* capability : {"objects", "graph", "reasoning.graph", "filters", "namespaces",
                                 "relations", "expiry", "checkpoint", "keys", "views",
                                 "search.vectors", "search.text", "search.hybrid", "queries"}) {
    response->add_capabilities(capability);
  }
  const Limits& limits = database_.limits();
  auto& shown = *response->mutable_limits();
  shown["max_key_bytes"] = limits.max_key_bytes;
  shown["max_content_bytes"] = limits.max_content_bytes;
  shown["max_properties_bytes"] = limits.max_properties_bytes;
  shown["max_batch_objects"] = limits.max_batch_objects;
  shown["max_batch_edges"] = limits.max_batch_edges;
  shown["max_page_size"] = limits.max_page_size;
  shown["max_traversal_depth"] = limits.max_traversal_depth;
  shown["max_traversal_results"] = limits.max_traversal_results;
  shown["max_query_hops"] = limits.max_query_hops;
  shown["max_query_results"] = limits.max_query_results;
  shown["max_chain_length"] = limits.max_chain_length;
  shown["max_edges_examined"] = limits.max_edges_examined;
  shown["max_query_ms"] = limits.max_query_ms;
  return absl::OkStatus();
}

absl::Status AdminApi::GetStats(CallContext& context, const v1::GetStatsRequest& request,
                                v1::GetStatsResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  const storage::StoreStats stats = database_.store().Stats();
  for (const storage::FamilyStats& family : stats.families) {
    v1::ColumnFamilyStats* out = response->add_families();
    out->set_name(family.name);
    out->set_keys(static_cast<int64_t>(family.keys));
    out->set_sst_bytes(static_cast<int64_t>(family.sst_bytes));
    out->set_sst_files(static_cast<int64_t>(family.sst_files));
    out->set_memtable_bytes(static_cast<int64_t>(family.memtable_bytes));
    for (const uint64_t files : family.files_per_level) {
      out->add_files_per_level(static_cast<int64_t>(files));
    }
    out->set_compression_ratio(family.compression_ratio);
  }
  for (const ViewStatus& view : database_.views().Status()) {
    *response->add_views() = ToProto(view);
  }
  response->set_wal_bytes(static_cast<int64_t>(stats.wal_bytes));
  response->set_wal_files(static_cast<int64_t>(stats.wal_files));
  response->set_block_cache_bytes(static_cast<int64_t>(stats.block_cache_bytes));
  response->set_disk_free_bytes(static_cast<int64_t>(stats.disk_free_bytes));
  response->set_commits(static_cast<int64_t>(stats.commits));
  response->set_commit_groups(static_cast<int64_t>(stats.commit_groups));
  response->set_resident_bytes(ResidentBytes());
  response->set_pending_tombstones(database_.pending_tombstones());
  response->set_collected_records(database_.collected_records());
  response->set_memory_budget_bytes(database_.options().storage.memory_budget_bytes);
  return absl::OkStatus();
}

absl::Status AdminApi::Compact(CallContext& context, const v1::CompactRequest& request,
                               v1::CompactResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  std::optional<storage::Family> family;
  if (!request.family().empty()) {
    for (int i = 0; i < storage::kFamilyCount; ++i) {
      if (storage::kFamilyNames[static_cast<size_t>(i)] == request.family()) {
        family = static_cast<storage::Family>(i);
      }
    }
    if (!family.has_value()) {
      return InvalidField("family", absl::StrCat("\"", request.family(), "\" is no family"),
                          "GetStats lists the families");
    }
  }
  response->set_bytes_before(SstBytes(database_.store().Stats()));
  COOKIX_RETURN_IF_ERROR(database_.store().Compact(family));
  response->set_bytes_after(SstBytes(database_.store().Stats()));
  return absl::OkStatus();
}

absl::Status AdminApi::CreateCheckpoint(CallContext& context,
                                        const v1::CreateCheckpointRequest& request,
                                        v1::CreateCheckpointResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_RETURN_IF_ERROR(CheckCollectionName(request.name(), "name"));
  if (database_.options().storage.in_memory) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "a store in memory has no checkpoints",
                     {"INVALID_FIELD", "", "Run the server with a data directory", false});
  }
  std::filesystem::path directory = database_.options().checkpoint_dir;
  if (directory.empty()) {
    directory = std::filesystem::absolute(database_.options().storage.path)
                    .lexically_normal()
                    .parent_path() /
                "checkpoints";
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the checkpoint directory cannot be made",
                     {"IO_ERROR", "", "Check checkpoint_dir and its permissions", false});
  }
  const std::filesystem::path path = directory / request.name();
  if (std::filesystem::exists(path, error)) {
    return MakeError(absl::StatusCode::kAlreadyExists,
                     absl::StrCat("checkpoint \"", request.name(), "\" exists already"),
                     {"ALREADY_EXISTS", "name", "Use another name", false});
  }
  COOKIX_ASSIGN_OR_RETURN(const storage::Position position,
                          database_.store().Checkpoint(path.string()));
  response->set_path(path.string());
  response->set_commit(static_cast<int64_t>(position.commit));
  response->set_position(storage::EncodePosition(position));
  return absl::OkStatus();
}

absl::Status AdminApi::Sync(CallContext& context, const v1::SyncRequest& request,
                            v1::SyncResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  const uint64_t commit = database_.Read().commit();
  COOKIX_RETURN_IF_ERROR(database_.store().Sync());
  response->set_commit(static_cast<int64_t>(commit));
  return absl::OkStatus();
}

absl::Status AdminApi::VerifyLog(CallContext& context, const v1::VerifyLogRequest& request,
                                 v1::VerifyLogResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(const storage::LogScanReport report, database_.store().VerifyLog());
  response->set_records(report.records);
  response->set_bytes(report.bytes);
  response->set_first_commit(static_cast<int64_t>(report.first_commit));
  response->set_last_commit(static_cast<int64_t>(report.last_commit));
  for (const std::string& damage : report.damage) response->add_damage(damage);
  return absl::OkStatus();
}

absl::Status AdminApi::RebuildView(CallContext& context, const v1::RebuildViewRequest& request,
                                   v1::RebuildViewResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_RETURN_IF_ERROR(database_.views().Rebuild(request.name()));
  if (request.wait()) {
    COOKIX_RETURN_IF_ERROR(database_.views().WaitBuilt(request.name(), context));
  }
  for (const ViewStatus& status : database_.views().Status()) {
    if (status.name == request.name()) *response->mutable_view() = ToProto(status);
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
