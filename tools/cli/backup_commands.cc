// backup create, archive, list, verify, prune, restore.
//
// What needs no server works on a directory of backups alone, with --from.
#include <limits>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "engine/api/backup_messages.h"
#include "storage/backup/backup_directory.h"
#include "storage/backup/restore.h"
#include "storage/base/status.h"
#include "tools/cli/command.h"
#include "tools/cli/json.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"

namespace cookix::cli {
namespace {

constexpr int64_t kMaxNumber = std::numeric_limits<int64_t>::max();

absl::Status NeverStop() { return absl::OkStatus(); }

std::string RangeText(const v1::CommitRange& range) {
  return WithCommas(range.first()) + " to " + WithCommas(range.last());
}

void PrintArchived(Context& context, bool archived, const v1::CommitRange& range, bool has_gap,
                   const v1::CommitRange& gap) {
  if (archived && !context.quiet()) {
    context.out().Line("archived the commits " + RangeText(range));
  }
  if (has_gap) {
    context.err().Line(context.err().Paint("gap: ", Tone::kBad) + "the commits " + RangeText(gap) +
                       " left the log before they were archived; archive it more often, or keep " +
                       "more of it (wal_keep_seconds, wal_keep_mb)");
  }
}

absl::Status Create(Context& context) {
  context.LiftTimeout();
  v1::CreateBackupRequest request;
  request.set_full(context.args().Has("full"));
  v1::CreateBackupResponse response;
  COOKIX_CALL(context, CreateBackup, request, &response);
  context.Answer(response, [&] {
    const v1::Backup& backup = response.backup();
    context.out().Line("backup " + std::to_string(backup.number()) + " at commit " +
                       WithCommas(backup.commit()) + ": " + HumanBytes(backup.bytes()) + " in " +
                       WithCommas(backup.files()) + " files, " + HumanBytes(backup.new_bytes()) +
                       " of them copied");
    PrintArchived(context, response.has_archived(), response.archived(), response.has_gap(),
                  response.gap());
    if (response.archive_error().empty()) return;
    context.err().Line(context.err().Paint("the log was not archived: ", Tone::kBad) +
                       OneLine(response.archive_error()));
  });
  return response.archive_error().empty() ? absl::OkStatus() : SilentFailure();
}

absl::Status Archive(Context& context) {
  context.LiftTimeout();
  v1::ArchiveLogResponse response;
  COOKIX_CALL(context, ArchiveLog, v1::ArchiveLogRequest(), &response);
  context.Answer(response, [&] {
    PrintArchived(context, response.has_archived(), response.archived(), response.has_gap(),
                  response.gap());
    if (!response.has_archived() && !context.quiet()) context.out().Line("nothing new");
  });
  return absl::OkStatus();
}

absl::StatusOr<v1::ListBackupsResponse> FetchList(Context& context) {
  v1::ListBackupsResponse response;
  if (!context.args().Has("from")) {
    COOKIX_CALL(context, ListBackups, v1::ListBackupsRequest(), &response);
    return response;
  }
  const storage::BackupDirectory backups({.path = context.args().Get("from")});
  COOKIX_ASSIGN_OR_RETURN(const storage::BackupList list, backups.List());
  return engine::ToProto(list);
}

absl::Status List(Context& context) {
  COOKIX_ASSIGN_OR_RETURN(const v1::ListBackupsResponse response, FetchList(context));
  context.Answer(response, [&] {
    Terminal& out = context.out();
    if (response.backups().empty()) {
      out.Line("no backups");
      return;
    }
    Table table({{"BACKUP", true, Tone::kBold},
                 {"MADE (UTC)"},
                 {"COMMIT", true},
                 {"EPOCH", true},
                 {"COMMITTED (UTC)"},
                 {"FILES", true},
                 {"SIZE", true},
                 {"COPIED", true},
                 {"NOTE", false, Tone::kBad}});
    for (const v1::Backup& backup : response.backups()) {
      table.Add({std::to_string(backup.number()), TimeText(backup.created_ms()),
                 WithCommas(backup.commit()), std::to_string(backup.epoch()),
                 TimeText(backup.commit_time_ms()), WithCommas(backup.files()),
                 HumanBytes(backup.bytes()), HumanBytes(backup.new_bytes()),
                 OneLine(backup.damage())});
    }
    table.Print(out);
    for (const v1::CommitRange& range : response.log()) {
      out.Line(out.Paint("archived log: ", Tone::kDim) + "commits " + RangeText(range));
    }
  });
  return absl::OkStatus();
}

absl::StatusOr<v1::VerifyBackupsResponse> FetchVerify(Context& context) {
  v1::VerifyBackupsRequest request;
  if (!context.args().positionals().empty()) {
    const auto number = ParseInt(context.args().Positional(0));
    if (!number || *number < 1) {
      return UsageError("BACKUP is not a number", "BACKUP", "see `cookix backup list`");
    }
    request.set_number(*number);
  }
  v1::VerifyBackupsResponse response;
  if (!context.args().Has("from")) {
    context.LiftTimeout();
    COOKIX_CALL(context, VerifyBackups, request, &response);
    return response;
  }
  const storage::BackupDirectory backups({.path = context.args().Get("from")});
  std::optional<uint64_t> number;
  if (request.number() > 0) number = static_cast<uint64_t>(request.number());
  COOKIX_ASSIGN_OR_RETURN(const storage::VerifyReport report, backups.Verify(number, NeverStop));
  return engine::ToProto(report);
}

absl::Status Verify(Context& context) {
  COOKIX_ASSIGN_OR_RETURN(const v1::VerifyBackupsResponse response, FetchVerify(context));
  context.Answer(response, [&] {
    Terminal& out = context.out();
    out.Line(WithCommas(response.backups()) + " backups, " + WithCommas(response.files()) +
             " files, " + HumanBytes(response.bytes()) + " read");
    for (const v1::BackupDamage& damage : response.damage()) {
      std::string of;
      for (const int64_t number : damage.backups()) {
        of += (of.empty() ? " (backup " : ", ") + std::to_string(number);
      }
      out.Line(out.Paint("damaged: ", Tone::kBad) + OneLine(damage.file()) + " at offset " +
               std::to_string(damage.offset()) + ": " + OneLine(damage.what()) +
               (of.empty() ? "" : of + ")"));
    }
  });
  return response.damage().empty() ? absl::OkStatus() : SilentFailure();
}

absl::Status Prune(Context& context) {
  context.LiftTimeout();
  v1::PruneBackupsRequest request;
  COOKIX_ASSIGN_OR_RETURN(const int64_t keep, context.args().GetInt("keep", 1, 1, kMaxNumber));
  request.set_keep(keep);
  v1::PruneBackupsResponse response;
  COOKIX_CALL(context, PruneBackups, request, &response);
  context.Answer(response, [&] {
    if (!context.quiet()) {
      context.out().Line("removed " + WithCommas(response.removed_size()) + " backups, " +
                         HumanBytes(response.removed_bytes()));
    }
    if (response.kept_for_damaged()) {
      context.err().Line(
          "files were kept that a damaged backup may have; see `cookix backup verify`");
    }
  });
  return absl::OkStatus();
}

// "2026-01-31T12:00:00Z", with any offset; "2026-01-31 12:00:00" in UTC; milliseconds since
// 1970.
absl::StatusOr<int64_t> ParseMoment(const std::string& text) {
  if (const auto number = ParseInt(text)) return *number;
  absl::Time time;
  std::string ignored;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored) ||
      absl::ParseTime("%Y-%m-%d %H:%M:%E*S", text, absl::UTCTimeZone(), &time, &ignored)) {
    return absl::ToUnixMillis(time);
  }
  return UsageError("--time \"" + text + "\" is no time", "--time",
                    "write 2026-01-31T12:00:00Z, or milliseconds since 1970");
}

absl::StatusOr<std::optional<uint64_t>> NumberFlag(const Context& context, std::string_view flag,
                                                   int64_t low) {
  if (!context.args().Has(flag)) return std::nullopt;
  COOKIX_ASSIGN_OR_RETURN(const int64_t number, context.args().GetInt(flag, 0, low, kMaxNumber));
  return static_cast<uint64_t>(number);
}

absl::Status RestoreBackup(Context& context) {
  storage::RestoreOptions options;
  options.from = context.args().Get("from");
  options.to = context.args().Get("to");
  COOKIX_ASSIGN_OR_RETURN(options.target.backup, NumberFlag(context, "backup", 1));
  COOKIX_ASSIGN_OR_RETURN(options.target.commit, NumberFlag(context, "commit", 0));
  COOKIX_ASSIGN_OR_RETURN(options.target.epoch, NumberFlag(context, "epoch", 1));
  if (context.args().Has("time")) {
    COOKIX_ASSIGN_OR_RETURN(options.target.time_ms, ParseMoment(context.args().Get("time")));
  }
  COOKIX_ASSIGN_OR_RETURN(const storage::RestoreReport report,
                          storage::Restore(options, NeverStop));
  if (context.json()) {
    context.out().JsonLine(Json{{"backup", report.backup},
                                {"commit", report.position.commit},
                                {"epoch", report.position.epoch},
                                {"commit_time_ms", report.commit_time_ms},
                                {"replayed", report.replayed},
                                {"at_end", report.at_end}});
    return absl::OkStatus();
  }
  if (context.quiet()) return absl::OkStatus();
  context.out().Line("restored commit " + WithCommas(static_cast<int64_t>(report.position.commit)) +
                     " of " + TimeText(report.commit_time_ms) + " UTC into " + OneLine(options.to) +
                     ": backup " + std::to_string(report.backup) + " and " +
                     WithCommas(static_cast<int64_t>(report.replayed)) +
                     " commits of the archived log");
  if (options.target.time_ms.has_value() && report.at_end) {
    context.err().Line("nothing later is archived: there may have been more until that time");
  }
  return absl::OkStatus();
}

FlagSpec FromFlag() { return {"from", "DIR", "read this directory of backups, without a server"}; }

}  // namespace

std::vector<Command> BackupCommands() {
  return {
      {"backup create",
       {},
       "back the store up, in the server's backup_dir",
       {},
       {{"full", "", "copy every file, also those that earlier backups have"}},
       {"cookix backup create"},
       Create},
      {"backup archive",
       {},
       "archive the log, so that any later moment can be restored",
       {},
       {},
       {"cookix backup archive"},
       Archive},
      {"backup list",
       {"backup"},
       "list the backups",
       {},
       {FromFlag()},
       {"cookix backup list", "cookix backup list --from /backups/cookix"},
       List},
      {"backup verify",
       {},
       "read backups from end to end; exit code 1 on damage",
       {{"BACKUP", "its number (default all, and the archived log)", true}},
       {FromFlag()},
       {"cookix backup verify", "cookix backup verify 3 --from /backups/cookix"},
       Verify},
      {"backup prune",
       {},
       "remove all but the newest backups",
       {},
       {{"keep", "N", "how many stay", 0, false, true}},
       {"cookix backup prune --keep 14"},
       Prune},
      {"backup restore",
       {},
       "put a store together in a new directory, without a server",
       {},
       {{"from", "DIR", "the directory of backups", 0, false, true},
        {"to", "DIR", "where the store is to be: a directory that is new or empty", 0, false, true},
        {"backup", "N", "this backup (alone: exactly it)"},
        {"commit", "N", "as the store was after this commit"},
        {"time", "TIME", "as it was at this time, such as 2026-01-31T12:00:00Z"},
        {"epoch", "N", "of the history that has this epoch (default the newest)"}},
       {"cookix backup restore --from /backups/cookix --to /var/lib/cookix/data",
        "cookix backup restore --from /backups/cookix --to ./before --time 2026-01-31T12:00:00Z"},
       RestoreBackup},
  };
}

}  // namespace cookix::cli
