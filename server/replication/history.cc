#include "server/replication/history.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using internal::v1::ServerState;

absl::Status Refuse(std::string_view reason, std::string_view message, std::string_view remedy) {
  return MakeError(absl::StatusCode::kFailedPrecondition, message,
                   {std::string(reason), "", std::string(remedy), false});
}

std::string Hex(const std::string& id) {
  storage::StoreId store{};
  std::copy_n(id.begin(), std::min(id.size(), store.size()), store.begin());
  return storage::StoreIdToHex(store);
}

}  // namespace

void DescribeStore(const storage::Store& store, ServerState* state) {
  state->set_format_version(storage::kFormatVersion);
  state->set_store_id(store.id().data(), store.id().size());
  // In this order: the epochs then cover the commit.
  state->set_commit(store.Latest()->commit());
  state->clear_epochs();
  for (const storage::EpochStart& start : store.Epochs()) {
    internal::v1::Epoch& epoch = *state->add_epochs();
    epoch.set_epoch(start.epoch);
    epoch.set_first_commit(start.first_commit);
    epoch.set_time_ms(start.time_ms);
  }
}

storage::EpochHistory EpochsOf(const ServerState& state) {
  storage::EpochHistory epochs;
  for (const internal::v1::Epoch& epoch : state.epochs()) {
    epochs.push_back({epoch.epoch(), epoch.first_commit(), epoch.time_ms()});
  }
  return epochs;
}

uint64_t LastEpoch(const ServerState& state) {
  return state.epochs().empty() ? 0 : state.epochs().rbegin()->epoch();
}

uint64_t PromotedEpoch(uint64_t last) {
  constexpr uint64_t kStep = 1000;
  return (last / kStep + 1) * kStep;
}

bool SameStore(const ServerState& a, const ServerState& b) {
  return !a.store_id().empty() && a.store_id() == b.store_id();
}

absl::Status CheckSource(const ServerState& follower, const ServerState& source) {
  if (std::find(source.path().begin(), source.path().end(), follower.instance()) !=
          source.path().end() ||
      source.instance() == follower.instance()) {
    return Refuse("OWN_REPLICA", "the server that is to be followed is this one, or follows it",
                  "Name the primary, or a replica that does not follow this server.");
  }
  if (source.format_version() > follower.format_version()) {
    return Refuse(
        "FORMAT_MISMATCH",
        absl::StrCat("the format of the server that is to be followed is ", source.format_version(),
                     ", this program knows ", follower.format_version()),
        "Update the replicas before the primary.");
  }
  if (source.store_id().empty()) {
    return MakeError(absl::StatusCode::kUnavailable,
                     "the server that is to be followed has no store yet",
                     {"SEEDING", "", "It receives a copy; this passes.", true});
  }
  if (source.store_id().size() != storage::StoreId().size()) {
    return Refuse("STORE_MISMATCH", "the identity of the other store is malformed",
                  "Name a CookiX server.");
  }
  if (follower.store_id().empty()) return absl::OkStatus();
  if (!SameStore(follower, source)) {
    return Refuse("STORE_MISMATCH",
                  absl::StrCat("the store here is ", Hex(follower.store_id()),
                               ", the one that is to be followed is ", Hex(source.store_id())),
                  "Name a server of the same store, or start with an empty data directory.");
  }
  if (LastEpoch(source) < LastEpoch(follower)) {
    return Refuse("EPOCH_TOO_OLD",
                  absl::StrCat("the server that is to be followed is in epoch ", LastEpoch(source),
                               ", this one has seen epoch ", LastEpoch(follower)),
                  "Name the primary of the present epoch.");
  }
  return absl::OkStatus();
}

absl::Status CheckContinues(const ServerState& follower, const ServerState& source) {
  const std::string why =
      storage::WhyDiverged(EpochsOf(follower), follower.commit(), EpochsOf(source));
  if (!why.empty()) {
    return Refuse("HISTORY_DIVERGED", why, "Begin again with a copy of the other store.");
  }
  if (follower.commit() > source.commit()) {
    return MakeError(absl::StatusCode::kUnavailable,
                     absl::StrCat("the server that is to be followed is behind: it has commit ",
                                  source.commit(), ", this one ", follower.commit()),
                     {"POSITION_NOT_REACHED", "", "It catches up; this passes.", true});
  }
  return absl::OkStatus();
}

bool NeedsCopy(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() &&
         (detail->reason == "HISTORY_DIVERGED" || detail->reason == "POSITION_EXPIRED");
}

}  // namespace cookix::server
