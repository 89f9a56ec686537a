#include "server/replication/replication.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/database.h"
#include "nlohmann/json.hpp"
#include "server/replication/history.h"
#include "storage/base/status.h"
#include "storage/copy_receiver.h"
#include "storage/file_systems.h"
#include "storage/note_file.h"

namespace cookix::server {
namespace {

using internal::v1::ServerState;
using Clock = std::chrono::steady_clock;

// How often the thread looks whether there is something to do.
constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::milliseconds kStep{2};
// An epoch beyond this one nobody reaches by promotions.
constexpr uint64_t kLastEpoch = 1ULL << 62;
// On the way to a former primary.
constexpr int kMaxHops = 4;

std::string NewInstance() {
  std::random_device device;
  std::string instance;
  while (instance.size() < 16) {
    const uint32_t bits = device();
    instance.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
  }
  return instance;
}

absl::Status Behind(std::string_view message) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, message,
      {"REPLICA_BEHIND", "force",
       "Bring the primary back, or force the promotion: what only it has is lost.", false});
}

// In memory a store is opened more than once, and has to be there the second time.
ReplicationOptions WithFiles(ReplicationOptions options) {
  if (options.in_memory && options.replica.file_system == nullptr) {
    options.replica.file_system = storage::NewMemoryFileSystem();
  }
  return options;
}

constexpr std::string_view kRoleNames[] = {"primary", "replica", "fenced"};

}  // namespace

Replication::Replication(ReplicationOptions options, DatabaseSlot& databases)
    : options_(WithFiles(std::move(options))),
      databases_(databases),
      instance_(NewInstance()),
      source_(
          databases, options_.source, [this] { return Describe(); },
          [this](const ServerState& state) { Meet(state); }) {
  if (options_.coordinator != nullptr) {
    ElectionHost& host = *this;
    election_ = std::make_unique<Election>(options_.election, *options_.coordinator, host);
  }
}

Replication::~Replication() { Stop(); }

absl::Status Replication::Start() {
  const std::lock_guard<std::mutex> change(change_mutex_);
  COOKIX_RETURN_IF_ERROR(storage::CopyReceiver::CompleteInstall(options_.replica.file_system,
                                                                options_.replica.data_dir));
  COOKIX_ASSIGN_OR_RETURN(note_, ReadNote());
  if (election_ != nullptr) note_ = {Role::kReplica, "", ""};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    role_ = note_.role;
    tell_ = note_.tell;
  }
  if (note_.role == Role::kPrimary) {
    COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<engine::Database> database,
                            options_.open({false, options_.replica.file_system}));
    databases_.Set(std::move(database));
  } else {
    // A replica may have none yet.
    const absl::Status opened = OpenStore();
    if (!opened.ok() && opened.code() != absl::StatusCode::kNotFound &&
        opened.code() != absl::StatusCode::kDataLoss) {
      return opened;
    }
    if (!opened.ok()) Say("info", absl::StrCat("no store to begin with: ", opened.message()));
    if (election_ != nullptr) COOKIX_RETURN_IF_ERROR(LoadMember(/*renew=*/!opened.ok()));
  }
  return absl::OkStatus();
}

absl::Status Replication::Begin(const std::string& address) {
  const std::lock_guard<std::mutex> change(change_mutex_);
  bool following;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    address_ = address;
    following = replica_ != nullptr;
  }
  // Others may have told it whom to follow already.
  if (election_ != nullptr) {
    if (address.empty()) {
      return InvalidField("advertise_address",
                          "The server listens on all addresses, so others do not know where it is",
                          "Set advertise_address to a host and port that the others reach.");
    }
    election_->Start();
  } else if (note_.role == Role::kReplica && !following) {
    COOKIX_RETURN_IF_ERROR(BeginFollowing(note_.follows));
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Replication::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (election_ != nullptr) election_->Stop();
  StopReplica();
  source_.Pause();
}

void Replication::StopReplica() {
  std::shared_ptr<Replica> replica;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    replica = std::exchange(replica_, nullptr);
  }
  if (replica != nullptr) replica->Stop();
}

// --- What is kept ---

absl::StatusOr<Replication::Note> Replication::ReadNote() const {
  Note note;
  note.role = options_.replica_of.empty() ? Role::kPrimary : Role::kReplica;
  note.follows = options_.replica_of;
  const absl::StatusOr<std::string> text = storage::ReadNote(
      options_.replica.file_system, options_.replica.data_dir, storage::kReplicationNote);
  if (text.status().code() == absl::StatusCode::kNotFound) return note;
  COOKIX_RETURN_IF_ERROR(text.status());
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto field = [&](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string()
               ? json[name].get<std::string>()
               : std::string();
  };
  // A setting that was changed since is the newer word.
  if (field("configured") != options_.replica_of) return note;
  const auto* const role = std::find(std::begin(kRoleNames), std::end(kRoleNames), field("role"));
  if (role == std::end(kRoleNames)) return note;
  note.role = static_cast<Role>(role - std::begin(kRoleNames));
  note.follows = field("follows");
  note.tell = field("tell");
  return note;
}

absl::Status Replication::WriteNote(const Note& note) {
  const nlohmann::json json = {{"configured", options_.replica_of},
                               {"role", kRoleNames[static_cast<size_t>(note.role)]},
                               {"follows", note.follows},
                               {"tell", note.tell}};
  COOKIX_RETURN_IF_ERROR(storage::WriteNote(options_.replica.file_system, options_.replica.data_dir,
                                            storage::kReplicationNote, json.dump() + "\n"));
  note_ = note;
  owed_.reset();
  ActBy(note);
  return absl::OkStatus();
}

void Replication::ActBy(const Note& note) {
  const std::lock_guard<std::mutex> lock(mutex_);
  role_ = note.role;
  follows_ = note.follows;
  tell_ = note.tell;
}

void Replication::WriteOwedNote() {
  const std::unique_lock<std::mutex> change(change_mutex_, std::try_to_lock);
  if (!change.owns_lock() || !owed_.has_value()) return;
  const Note owed = *owed_;
  if (WriteNote(owed).ok()) Say("info", "the part that this server has is noted again");
}

// --- What it is ---

std::string Replication::KnownPrimary() const {
  if (role_ == Role::kPrimary) return address_;
  // Of a fenced server nobody has said yet that its successor took over.
  std::string known;
  if (role_ == Role::kReplica && learned_.primary()) {
    known = learned_.address().empty() ? follows_ : learned_.address();
  } else if (role_ == Role::kReplica) {
    known = learned_.primary_address().empty() ? last_known_ : learned_.primary_address();
  }
  // Others may not have heard yet that it no longer is.
  return known == address_ ? "" : known;
}

std::string Replication::PrimaryAddress() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::string address = KnownPrimary();
  if (address.empty() && role_ == Role::kReplica && learned_.instance().empty()) {
    address = follows_;
  }
  return address.empty() && role_ == Role::kFenced ? successor_ : address;
}

ServerState Replication::Describe() {
  ServerState state;
  state.set_instance(instance_);
  state.set_version(options_.version);
  state.set_format_version(storage::kFormatVersion);
  state.add_path(instance_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    state.set_primary_address(KnownPrimary());
    state.set_address(address_);
    state.set_primary(role_ == Role::kPrimary);
    state.set_member(member_);
    if (role_ == Role::kReplica) {
      for (const std::string& instance : learned_.path()) state.add_path(instance);
    }
  }
  if (const DatabaseHandle database = databases_.Get(); database != nullptr) {
    DescribeStore(database->store(), &state);
  }
  return state;
}

absl::Status Replication::CheckPrimary() const {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (role_ == Role::kPrimary && (election_ == nullptr || election_->MayAcknowledge())) {
      return absl::OkStatus();
    }
    if (role_ == Role::kPrimary) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "The server led, and cannot renew its lease: another may lead by now",
                       {"NOT_PRIMARY", "", "Try again soon, and ask another server.", false});
    }
  }
  const std::string primary = PrimaryAddress();
  return MakeError(
      absl::StatusCode::kFailedPrecondition,
      primary.empty() ? "The server is a replica and takes no writes"
                      : absl::StrCat("The server is a replica; the primary is ", primary),
      {"NOT_PRIMARY", "",
       primary.empty() ? "Write to the primary." : absl::StrCat("Write to ", primary, "."), false});
}

void Replication::GetStatus(v1::GetReplicationStatusResponse* response) const {
  std::shared_ptr<Replica> replica;
  std::string member;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    member = member_;
    response->set_role(role_ == Role::kPrimary   ? v1::REPLICATION_ROLE_PRIMARY
                       : role_ == Role::kReplica ? v1::REPLICATION_ROLE_REPLICA
                                                 : v1::REPLICATION_ROLE_FENCED);
    response->set_address(address_);
    replica = replica_;
  }
  if (const DatabaseHandle database = databases_.Get(); database != nullptr) {
    const storage::Store& store = database->store();
    const uint64_t commit = store.Latest()->commit();
    response->set_store_id(storage::StoreIdToHex(store.id()));
    response->set_epoch(static_cast<int64_t>(store.epoch()));
    response->set_commit(static_cast<int64_t>(commit));
    response->set_position(database->PositionToken(commit));
  }
  response->set_primary_address(PrimaryAddress());
  if (replica != nullptr) replica->Describe(response);
  if (election_ != nullptr) {
    election_->Describe(member, response->mutable_cluster());
  }
  for (v1::ReplicaStatus& status : source_.Replicas()) {
    *response->add_replicas() = std::move(status);
  }
}

// --- What a replica needs ---

void Replication::Learn(const ServerState& source) {
  const std::lock_guard<std::mutex> lock(mutex_);
  learned_ = source;
  last_known_ = KnownPrimary();
}

absl::Status Replication::CloseStore() {
  // What comes in its place need not have what this server was known to have.
  if (election_ != nullptr) COOKIX_RETURN_IF_ERROR(LoadMember(/*renew=*/true));
  options_.serving(false);
  source_.Pause();
  databases_.Close(options_.cancel_calls);
  return absl::OkStatus();
}

absl::Status Replication::OpenStore() {
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<engine::Database> database,
                          options_.open({true, options_.replica.file_system}));
  databases_.Set(std::move(database));
  source_.Resume();
  options_.serving(true);
  return absl::OkStatus();
}

void Replication::Say(std::string_view level, std::string_view message) {
  if (options_.log != nullptr) options_.log(level, message);
}

// --- How it changes ---

absl::Status Replication::StepDown() {
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
  Note note = note_;
  note.role = Role::kFenced;
  note.follows.clear();
  note.tell.clear();
  // The note first: whatever happens then, no write is taken again.
  COOKIX_RETURN_IF_ERROR(WriteNote(note));
  return database->store().BecomeFollower();
}

absl::Status Replication::BeginFollowing(const std::string& address) {
  Note note = note_;
  note.role = Role::kReplica;
  note.follows = address;
  note.tell.clear();
  COOKIX_RETURN_IF_ERROR(WriteNote(note));
  StartReplica(address);
  return absl::OkStatus();
}

void Replication::StartReplica(const std::string& address) {
  StopReplica();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return;
  learned_.Clear();
  ReplicaHost& host = *this;
  replica_ =
      std::make_shared<Replica>(address, options_.replica, databases_, host, options_.connect);
}

void Replication::Meet(const ServerState& other) {
  // Members of a cluster hear from its coordinator whom to follow.
  if (election_ != nullptr) return;
  const auto later = [&] {
    const ServerState self = Describe();
    return SameStore(self, other) && LastEpoch(other) > LastEpoch(self) &&
           LastEpoch(other) <= kLastEpoch;
  };
  if (!later()) return;
  const std::string leader = other.primary() ? other.address() : other.primary_address();
  const std::lock_guard<std::mutex> change(change_mutex_);
  // It may have become another meanwhile.
  if (!later()) return;
  Role role;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Who has a later epoch and knows of no other primary is a stray copy of the store: it is
    // not given way to.
    if (stopping_ || role_ == Role::kReplica || leader.empty() || leader == address_) return;
    role = role_;
    successor_ = leader;
  }
  if (role == Role::kPrimary) {
    Say("warning", absl::StrCat("another server is in epoch ", LastEpoch(other),
                                ": this one takes no more writes"));
    if (const absl::Status status = StepDown(); !status.ok()) {
      Say("error", absl::StrCat("stepping down failed: ", status.message()));
      return;
    }
  }
  Say("info", absl::StrCat("following the new primary, ", leader));
  if (const absl::Status status = BeginFollowing(leader); !status.ok()) {
    Say("error", absl::StrCat("the new primary cannot be followed: ", status.message()));
  }
}

absl::Status Replication::Introduce(const internal::v1::IntroduceRequest& request,
                                    internal::v1::IntroduceResponse* response) {
  Meet(request.state());
  if (request.take_over()) {
    const std::string& successor = request.state().address();
    const std::lock_guard<std::mutex> change(change_mutex_);
    COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
    const ServerState self = Describe();
    COOKIX_RETURN_IF_ERROR(CheckSource(request.state(), self));
    COOKIX_RETURN_IF_ERROR(CheckContinues(request.state(), self));
    if (!database->store().follower()) {
      if (election_ != nullptr && !election_->MayLeadNext(request.state().member())) {
        return Behind("It is not in sync, and could not be elected");
      }
      Say("info", absl::StrCat("stepping down for ", successor));
      COOKIX_RETURN_IF_ERROR(StepDown());
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        successor_ = successor;
        successor_member_ = request.state().member();
      }
      if (election_ != nullptr) election_->Hurry();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    // Also when it is asked again, for the first answer may have been lost.
    response->set_stood_down(role_ == Role::kFenced && !successor.empty() &&
                             successor_ == successor);
  }
  *response->mutable_state() = Describe();
  return absl::OkStatus();
}

absl::Status Replication::TakeOver(std::string* former) {
  std::shared_ptr<Replica> replica;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    replica = replica_;
    if (role_ == Role::kFenced) return Behind("Another server may have taken over");
    *former = KnownPrimary();
    // One that stepped down for this server, and whose answer was lost, says nothing of a
    // primary.
    if (former->empty() && !learned_.primary() && learned_.primary_address().empty()) {
      *former = follows_;
    }
  }
  if (replica == nullptr || !replica->connected() || former->empty()) {
    return Behind("The primary does not answer, so nobody knows what it has");
  }
  auto link = options_.connect(*former);
  COOKIX_RETURN_IF_ERROR(link.status());
  internal::v1::IntroduceRequest request;
  *request.mutable_state() = Describe();
  request.set_take_over(true);
  internal::v1::IntroduceResponse response;
  if (const absl::Status told = (*link)->Introduce(request, &response); !told.ok()) {
    return Behind(absl::StrCat("The primary cannot be asked to stop: ", told.message()));
  }
  if (!response.stood_down()) {
    return Behind(absl::StrCat(*former, " is not the primary, or gave way to another server"));
  }
  const auto deadline = Clock::now() + options_.switch_timeout;
  while (Describe().commit() < response.state().commit()) {
    if (Clock::now() >= deadline) {
      return Behind(absl::StrCat("The primary has stopped at commit ", response.state().commit(),
                                 ", which did not arrive in time"));
    }
    std::this_thread::sleep_for(kStep);
  }
  return absl::OkStatus();
}

absl::Status Replication::Promote(const v1::PromoteRequest& request,
                                  v1::PromoteResponse* response) {
  if (promoting_.exchange(true)) {
    return MakeError(absl::StatusCode::kAborted, "A promotion is under way already",
                     {"CONDITION_FAILED", "", "Wait for it.", true});
  }
  const absl::Status status = PromoteAlone(request, response);
  promoting_ = false;
  return status;
}

absl::Status Replication::PromoteAlone(const v1::PromoteRequest& request,
                                       v1::PromoteResponse* response) {
  if (CheckPrimary().ok()) {
    response->set_former_primary_told(true);
  } else {
    // Others are spoken with while nothing is held: they may be speaking with this one.
    std::string former = PrimaryAddress();
    if (!request.force()) COOKIX_RETURN_IF_ERROR(TakeOver(&former));
    if (election_ != nullptr) {
      COOKIX_RETURN_IF_ERROR(
          election_->Campaign(request.force(), Clock::now() + options_.switch_timeout));
      // Who else there is hears of it from the election.
      response->set_former_primary_told(!request.force());
      former.clear();
    } else {
      COOKIX_RETURN_IF_ERROR(BecomePrimary(former, 0));
    }
    if (!former.empty() && Tell(former)) {
      response->set_former_primary_told(true);
      ForgetToTell(former);
    }
  }
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
  response->set_epoch(static_cast<int64_t>(database->store().epoch()));
  response->set_position(database->PositionToken(database->store().Latest()->commit()));
  return absl::OkStatus();
}

absl::Status Replication::BecomePrimary(const std::string& former, uint64_t first_epoch) {
  const std::lock_guard<std::mutex> change(change_mutex_);
  const Note before = owed_.value_or(note_);
  // Nothing of the store is held while it stops: it may be replacing it.
  StopReplica();
  const absl::Status begun = [&] {
    COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
    storage::Store& store = database->store();
    uint64_t epoch = store.epoch();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const uint64_t last = std::max(epoch, LastEpoch(learned_));
      epoch = first_epoch == 0 ? PromotedEpoch(last) : std::max(last + 1, first_epoch);
    }
    Note note = before;
    note.role = Role::kPrimary;
    note.follows.clear();
    note.tell = former;
    // The note first: should the server end here it comes back as the primary, with an epoch
    // that it begins at its start. The other way round nobody would be.
    COOKIX_RETURN_IF_ERROR(WriteNote(note));
    COOKIX_RETURN_IF_ERROR(store.BeginEpoch(epoch));
    Say("info", absl::StrCat("this server is the primary from commit ",
                             store.Latest()->commit() + 1, " on, in epoch ", epoch));
    return absl::OkStatus();
  }();
  if (begun.ok()) return begun;
  // A note that could not be written may be there even so.
  if (const absl::Status back = WriteNote(before); !back.ok()) {
    Say("error", absl::StrCat("the part before cannot be noted yet: ", back.message()));
    owed_ = before;
    ActBy(before);
  }
  if (before.role == Role::kReplica && !before.follows.empty()) StartReplica(before.follows);
  return begun;
}

void Replication::ForgetToTell(const std::string& former) {
  const std::lock_guard<std::mutex> change(change_mutex_);
  if (note_.tell != former) return;
  Note note = note_;
  note.tell.clear();
  if (WriteNote(note).ok()) {
    Say("info", absl::StrCat("the former primary, ", former, ", knows of the new one"));
  }
}

absl::Status Replication::Follow(const v1::FollowRequest& request) {
  if (election_ != nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "The servers elect their primary, and the others follow it",
                     {"CONDITION_FAILED", "", "Promote a server to have it lead.", false});
  }
  if (request.address().empty()) {
    return InvalidField("address", "There is no address", "Write host:port of the primary.");
  }
  COOKIX_ASSIGN_OR_RETURN(const auto link, options_.connect(request.address()));
  if (CheckPrimary().ok()) {
    // Before it gives up writes: whether there is somebody to follow.
    internal::v1::IntroduceRequest introduction;
    *introduction.mutable_state() = Describe();
    internal::v1::IntroduceResponse answer;
    COOKIX_RETURN_IF_ERROR(link->Introduce(introduction, &answer));
    COOKIX_RETURN_IF_ERROR(CheckSource(introduction.state(), answer.state()));
  }
  const std::lock_guard<std::mutex> change(change_mutex_);
  if (note_.role == Role::kPrimary) COOKIX_RETURN_IF_ERROR(StepDown());
  return BeginFollowing(request.address());
}

// --- What an election needs ---

absl::Status Replication::LoadMember(bool renew) {
  const auto& fs = options_.replica.file_system;
  const std::string& directory = options_.replica.data_dir;
  std::string member;
  if (!renew) {
    const absl::StatusOr<std::string> text = storage::ReadNote(fs, directory, storage::kMemberNote);
    // One that is damaged is replaced: the leader takes this server in again.
    if (text.ok()) member = *text;
  }
  if (member.empty()) {
    member = absl::BytesToHexString(NewInstance());
    COOKIX_RETURN_IF_ERROR(storage::WriteNote(fs, directory, storage::kMemberNote, member));
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  member_ = member;
  return absl::OkStatus();
}

ElectionHost::Self Replication::GetSelf() {
  const ServerState state = Describe();
  Self self;
  self.member = state.member();
  if (!state.store_id().empty()) self.store_id = absl::BytesToHexString(state.store_id());
  self.epoch = LastEpoch(state);
  self.commit = state.commit();
  self.known_commit = state.commit();
  self.address = state.address();
  self.primary = state.primary();
  std::shared_ptr<Replica> replica;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    self.successor = successor_member_;
    self.epoch = std::max(self.epoch, LastEpoch(learned_));
    replica = replica_;
  }
  if (replica != nullptr) {
    v1::GetReplicationStatusResponse status;
    replica->Describe(&status);
    self.known_commit += static_cast<uint64_t>(std::max<int64_t>(0, status.lag_commits()));
  }
  return self;
}

absl::Status Replication::Found() {
  const std::lock_guard<std::mutex> change(change_mutex_);
  if (const DatabaseHandle database = databases_.Get(); database != nullptr) {
    return PrepareExisting(*database);
  }
  COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<engine::Database> database,
                          options_.open({false, options_.replica.file_system}));
  if (options_.prepare != nullptr) COOKIX_RETURN_IF_ERROR(options_.prepare(*database));
  COOKIX_RETURN_IF_ERROR(database->store().BecomeFollower());
  databases_.Set(std::move(database));
  options_.serving(true);
  return absl::OkStatus();
}

absl::Status Replication::PrepareExisting(engine::Database& database) {
  if (options_.prepare == nullptr) return absl::OkStatus();
  const absl::Status complete = options_.prepare(database);
  if (GetErrorDetail(complete).value_or(ErrorDetail{}).reason != "NOT_PRIMARY") return complete;
  // It was created by a start that did not get so far, and has to be written to.
  storage::Store& store = database.store();
  COOKIX_RETURN_IF_ERROR(store.BeginEpoch(store.epoch() + 1));
  const absl::Status prepared = options_.prepare(database);
  COOKIX_RETURN_IF_ERROR(store.BecomeFollower());
  return prepared;
}

absl::Status Replication::Lead(uint64_t epoch) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    successor_.clear();
    successor_member_.clear();
  }
  return BecomePrimary("", epoch);
}

absl::Status Replication::StepDownForElected() {
  const DatabaseHandle database = databases_.Get();
  const bool takes = database != nullptr && !database->store().follower();
  if (note_.role != Role::kPrimary && !takes) return absl::OkStatus();
  const absl::Status status = StepDown();
  if (!status.ok()) Say("error", absl::StrCat("stepping down failed: ", status.message()));
  return status;
}

void Replication::StandDown() {
  const std::lock_guard<std::mutex> change(change_mutex_);
  StepDownForElected().IgnoreError();  // it leads no more, and tries again before it follows
}

void Replication::FollowLeader(const std::string& address) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (address == address_ || (replica_ != nullptr && follows_ == address)) return;
  }
  const std::lock_guard<std::mutex> change(change_mutex_);
  if (!StepDownForElected().ok()) return;
  Say("info", absl::StrCat("following the leader, ", address));
  if (const absl::Status status = BeginFollowing(address); !status.ok()) {
    Say("error", absl::StrCat("the leader cannot be followed: ", status.message()));
  }
}

std::vector<Follower> Replication::Followers() { return source_.Followers(); }

uint64_t Replication::Latest() {
  const DatabaseHandle database = databases_.Get();
  return database == nullptr ? 0 : database->store().Latest()->commit();
}

absl::Status Replication::Confirm(const engine::CallContext& context,
                                  const storage::Position& position) {
  const auto deadline = std::min(context.deadline(), Clock::now() + options_.sync_timeout);
  const auto enough = [&](const std::vector<Follower>& followers) {
    if (election_ == nullptr) {
      return std::count_if(followers.begin(), followers.end(), [&](const Follower& follower) {
               return follower.connected && follower.received >= position.commit;
             }) >= options_.sync_replicas;
    }
    // Without the lead there is nothing to wait for.
    if (!election_->MayAcknowledge()) return true;
    if (election_->Replicated(position.commit, followers)) return true;
    election_->Hurry();
    return false;
  };
  if (!source_.WaitReplicated(context, enough, deadline)) {
    return MakeError(
        absl::StatusCode::kUnavailable,
        absl::StrCat("The write is durable on this server, and not yet on ",
                     std::max(1, options_.sync_replicas), " replicas"),
        {"NOT_REPLICATED", "", "Repeat it with the same request id, which applies it once.", true});
  }
  if (election_ == nullptr) return absl::OkStatus();
  // After the waiting: it may have led, lost that, and lead again by now.
  const DatabaseHandle database = databases_.Get();
  const bool here = database != nullptr && database->store().CheckPosition(position).ok();
  if (here && election_->MayAcknowledge()) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kUnavailable,
      "The server's lease ended before the write could be acknowledged: whether it "
      "stays is not known",
      {"NOT_REPLICATED", "",
       "Repeat it with the same request id at the primary, which applies it once.", true});
}

bool Replication::Tell(const std::string& former) {
  // Who was taken for the primary may only know where it is.
  std::string next = former;
  for (int hop = 0; hop < kMaxHops && !next.empty(); ++hop) {
    auto link = options_.connect(next);
    if (!link.ok()) return false;
    internal::v1::IntroduceRequest request;
    *request.mutable_state() = Describe();
    internal::v1::IntroduceResponse response;
    if (!(*link)->Introduce(request, &response).ok()) return false;
    if (!SameStore(request.state(), response.state())) return true;
    if (response.state().primary()) return false;
    const std::string& primary = response.state().primary_address();
    next = primary == next || primary == request.state().address() ? "" : primary;
  }
  return true;
}

void Replication::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, kTick, [this] { return stopping_; });
    if (stopping_) return;
    const std::string former = tell_;
    lock.unlock();
    source_.RemoveIdleCopies();
    WriteOwedNote();
    if (!former.empty() && Tell(former)) ForgetToTell(former);
    lock.lock();
  }
}

}  // namespace cookix::server
