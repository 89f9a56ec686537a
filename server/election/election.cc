#include "server/election/election.h"

#include <algorithm>
#include <ctime>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using std::chrono::milliseconds;

// Looks at least so far apart, however many writers are in a hurry.
constexpr milliseconds kBreath{5};

std::string Names(const std::vector<ClusterMember>& members) {
  return absl::StrJoin(members, ", ", [](std::string* out, const ClusterMember& member) {
    out->append(member.name);
  });
}

bool SameMembers(const std::vector<ClusterMember>& a, const std::vector<ClusterMember>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const ClusterMember& member) {
           return std::find(b.begin(), b.end(), member) != b.end();
         });
}

const Follower* Find(const std::vector<Follower>& followers, const std::string& id) {
  const auto it = std::find_if(followers.begin(), followers.end(),
                               [&](const Follower& f) { return f.member.id == id; });
  return it == followers.end() ? nullptr : &*it;
}

}  // namespace

bool ClusterRecord::Has(const std::string& member) const {
  return std::any_of(in_sync.begin(), in_sync.end(),
                     [&](const ClusterMember& m) { return m.id == member; });
}

milliseconds BootClock() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<milliseconds>(std::chrono::seconds(now.tv_sec) +
                                                  std::chrono::nanoseconds(now.tv_nsec));
}

Election::Election(ElectionOptions options, Coordinator& coordinator, ElectionHost& host)
    : options_(std::move(options)), coordinator_(coordinator), host_(host) {}

Election::~Election() { Stop(); }

void Election::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Election::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Election::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_) {
    hurried_ = std::exchange(hurry_, false);
    lock.unlock();
    const milliseconds pause = Step();
    lock.lock();
    const milliseconds breath = std::min(pause, kBreath);
    wake_.wait_for(lock, breath, [this] { return stopping_; });
    wake_.wait_for(lock, pause - breath, [this] { return stopping_ || hurry_; });
  }
  const bool leads = leading_;
  lock.unlock();
  if (leads) {
    HandOver();
    EndLeading("it stops");
  } else if (lease_ != 0) {
    coordinator_.Revoke(lease_);
  }
}

milliseconds Election::Step() {
  bool leads;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    leads = leading_;
  }
  return leads ? StepAsLeader() : StepAsFollower();
}

void Election::Note(const absl::Status& failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string before =
      std::exchange(error_, failure.ok() ? std::string() : std::string(failure.message()));
  if (before.empty() == error_.empty()) return;
  host_.Say(failure.ok() ? "info" : "warning",
            failure.ok() ? "etcd answers again"
                         : absl::StrCat("etcd cannot be used: ", failure.message()));
}

// --- Without the lead ---

milliseconds Election::StepAsFollower() {
  const absl::StatusOr<ClusterState> state = coordinator_.Read();
  Note(state.status());
  if (!state.ok()) return options_.follow_tick;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    shown_ = *state;
  }
  if (!state->leader.has_value()) {
    if (leaderless_since_ < milliseconds(0)) leaderless_since_ = options_.clock();
    Seek(*state);
    return options_.follow_tick;
  }
  leaderless_since_ = milliseconds(-1);
  if (lease_ != 0 && state->leader_lease == lease_) {
    // It was elected, and did not hear of it.
    if (state->record.has_value() && options_.clock() < lease_ends_) {
      BeginLeading(*state->record, state->revision, state->leader->member);
    } else {
      coordinator_.Revoke(std::exchange(lease_, 0));
    }
    return milliseconds(0);
  }
  const ElectionHost::Self self = host_.GetSelf();
  const bool same_address = state->leader->address == self.address;
  if (state->leader->member.id == self.member && same_address) {
    // Of this server before it was started anew: nobody needs to wait until it ends.
    coordinator_.Revoke(state->leader_lease);
    return milliseconds(0);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    why_not_ = absl::StrCat(state->leader->member.name, " leads",
                            same_address ? ", at the advertise_address of this server" : "");
  }
  host_.FollowLeader(state->leader->address);
  return options_.follow_tick;
}

void Election::Seek(const ClusterState& state) {
  bool force;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    force = wanted_ && force_;
  }
  ClusterState wanted = state;
  if (!state.record.has_value()) {
    absl::Status found = absl::OkStatus();
    if (options_.founder) found = host_.Found();
    const ElectionHost::Self self = host_.GetSelf();
    if (!options_.founder || !found.ok()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      why_not_ = found.ok() ? "nobody has founded the cluster yet" : std::string(found.message());
      return;
    }
    wanted.record = ClusterRecord{self.store_id, self.epoch, {{self.member, options_.name}}, ""};
  }
  const ElectionHost::Self self = host_.GetSelf();
  const std::string why_not = WhyNot(wanted, self, force);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    why_not_ = why_not;
  }
  if (why_not != said_ && !why_not.empty()) {
    host_.Say("info", absl::StrCat("nobody leads, and this server waits: ", why_not));
  }
  said_ = why_not;
  if (why_not.empty()) TryToLead(wanted, self, force);
}

std::string Election::WhyNot(const ClusterState& state, const ElectionHost::Self& self,
                             bool force) {
  const ClusterRecord& record = *state.record;
  if (self.store_id.empty()) return "it has no store";
  if (self.store_id != record.store_id) {
    return absl::StrCat("its store is ", self.store_id, ", the cluster's is ", record.store_id);
  }
  if (self.address.empty()) return "it has no advertise_address";
  if (!record.Has(self.member) && !force) {
    return absl::StrCat("it may lack what was acknowledged; in sync are: ", Names(record.in_sync));
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (wanted_) return "";
  }
  if (options_.clock() < stands_back_until_) {
    return absl::StrCat("it was elected and could not begin to lead: ", could_not_);
  }
  if (options_.clock() - leaderless_since_ >= options_.courtesy) return "";
  if (!record.successor.empty() && record.successor != self.member) {
    return "the last leader made way for another";
  }
  return self.commit < self.known_commit ? "another may have more commits" : "";
}

void Election::TryToLead(const ClusterState& state, const ElectionHost::Self& self, bool force) {
  const milliseconds before = options_.clock();
  if (lease_ == 0 || before + options_.lease / 2 >= lease_ends_) {
    if (lease_ != 0) coordinator_.Revoke(std::exchange(lease_, 0));
    const auto lease = coordinator_.Grant(options_.lease);
    Note(lease.status());
    if (!lease.ok()) return;
    lease_ = lease->id;
    lease_ends_ = before + lease->duration;
  }
  ClusterRecord record = *state.record;
  const ClusterMember member{self.member, options_.name};
  record.epoch = std::max(record.epoch, self.epoch) + 1;
  record.successor.clear();
  if (force && !record.Has(member.id)) {
    host_.Say("warning", "leads by force: what only others have is lost");
    record.in_sync = {member};
  }
  const auto revision = coordinator_.Lead(state.revision, record, {member, self.address}, lease_);
  // Without an answer the next look tells.
  Note(revision.status());
  if (revision.ok() && *revision > 0) BeginLeading(record, *revision, member);
}

absl::Status Election::Campaign(bool force, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  wanted_ = true;
  force_ = force;
  hurry_ = true;
  wake_.notify_all();
  wake_.wait_until(lock, deadline, [this] { return leading_ || stopping_; });
  wanted_ = false;
  force_ = false;
  if (leading_) return absl::OkStatus();
  if (!error_.empty()) {
    return MakeError(absl::StatusCode::kUnavailable, error_,
                     {"IO_ERROR", "", "Look at etcd; nobody is elected without it.", true});
  }
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("The server was not elected: ", why_not_),
                   {"REPLICA_BEHIND", "force",
                    "Promote a member in sync, or force the promotion: what only others have is "
                    "lost.",
                    false});
}

// --- With the lead ---

void Election::BeginLeading(const ClusterRecord& record, int64_t revision,
                            const ClusterMember& elected) {
  record_ = record;
  revision_ = revision;
  perhaps_.clear();
  joining_.clear();
  seen_.clear();
  received_.clear();
  const ElectionHost::Self self = host_.GetSelf();
  const milliseconds now = options_.clock();
  for (const ClusterMember& member : record_.in_sync) seen_[member.id] = now;
  // The lease may have been granted for an attempt before.
  renew_at_ = lease_ends_ - options_.lease * 2 / 3;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    member_ = elected.id;
  }
  Require();
  if (self.commit < self.known_commit) {
    host_.Say("warning", absl::StrCat("the last leader had ", self.known_commit - self.commit,
                                      " commits more, from commit ", self.commit + 1,
                                      " on: they are "
                                      "given up"));
  }
  if (const absl::Status begun = host_.Lead(record_.epoch); !begun.ok()) {
    StandBack(begun);
    EndLeading(absl::StrCat("it cannot: ", begun.message()));
    return;
  }
  stands_back_for_ = milliseconds(0);
  // It no longer changes by itself.
  if (host_.GetSelf().member != elected.id) {
    EndLeading("it was elected for the store that it had before");
    return;
  }
  said_.clear();
  const std::lock_guard<std::mutex> lock(mutex_);
  acknowledge_until_ = lease_ends_ - options_.margin;
  leading_ = true;
  ++elections_;
  why_not_.clear();
  shown_.record = record_;
  shown_.leader = ClusterLeader{elected, self.address};
  wake_.notify_all();
}

void Election::StandBack(const absl::Status& why) {
  stands_back_for_ =
      std::clamp(stands_back_for_ * 2, options_.stand_back, options_.longest_stand_back);
  stands_back_until_ = options_.clock() + stands_back_for_;
  could_not_ = std::string(why.message());
}

void Election::EndLeading(std::string_view why) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    leading_ = false;
    acknowledge_until_ = milliseconds(0);
  }
  host_.Say("warning", absl::StrCat("this server no longer leads: ", ToAbsl(why)));
  // In this order: who leads next begins when the lease has ended.
  host_.StandDown();
  if (lease_ != 0) coordinator_.Revoke(std::exchange(lease_, 0));
  leaderless_since_ = milliseconds(-1);
}

void Election::HandOver() {
  host_.StandDown();
  const uint64_t latest = host_.Latest();
  const milliseconds until =
      std::min(options_.clock() + options_.patience, lease_ends_ - options_.margin);
  bool waits = true;
  while (std::exchange(waits, false) && options_.clock() < until) {
    const std::vector<Follower> followers = host_.Followers();
    for (const ClusterMember& member : record_.in_sync) {
      const Follower* const follower = Find(followers, member.id);
      if (follower == nullptr || !follower->connected) continue;
      if (follower->received >= latest) {
        ClusterRecord record = record_;
        record.successor = member.id;
        coordinator_.Update(revision_, record, lease_).status().IgnoreError();
        return;
      }
      waits = true;
    }
    if (waits) std::this_thread::sleep_for(kBreath);
  }
}

milliseconds Election::StepAsLeader() {
  const ElectionHost::Self self = host_.GetSelf();
  if (!self.primary) {
    ClusterRecord record = record_;
    record.successor = self.successor;
    coordinator_.Update(revision_, record, lease_).status().IgnoreError();
    EndLeading("it made way for another");
    return options_.follow_tick;
  }
  if (options_.clock() >= lease_ends_) {
    EndLeading("its lease has ended");
    return milliseconds(0);
  }
  if (options_.clock() >= renew_at_ && !Renew()) return milliseconds(0);
  Maintain();
  return options_.lead_tick;
}

bool Election::Renew() {
  const milliseconds before = options_.clock();
  const auto lease = coordinator_.Renew(lease_);
  if (lease.status().code() == absl::StatusCode::kNotFound) {
    lease_ = 0;
    EndLeading("etcd has ended its lease");
    return false;
  }
  Note(lease.status());
  if (!lease.ok()) return true;
  lease_ends_ = before + lease->duration;
  renew_at_ = before + options_.lease / 3;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    acknowledge_until_ = lease_ends_ - options_.margin;
  }
  // Somebody may have removed the key by hand, or restored an older etcd.
  const auto state = coordinator_.Read();
  if (!state.ok() || state->leader_lease == lease_) return true;
  EndLeading("etcd does not know it as the leader");
  return false;
}

bool Election::MayAcknowledge() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return leading_ && options_.clock() < acknowledge_until_;
}

// --- Who is in sync ---

void Election::Require() {
  std::set<std::string> required;
  for (const ClusterMember& member : record_.in_sync) required.insert(member.id);
  const std::lock_guard<std::mutex> lock(mutex_);
  required.erase(member_);
  listed_ = static_cast<int>(required.size());
  for (const ClusterMember& member : perhaps_) required.insert(member.id);
  for (const auto& [id, commit] : joining_) required.insert(id);
  required.erase(member_);
  required_.assign(required.begin(), required.end());
}

bool Election::Replicated(uint64_t commit, const std::vector<Follower>& followers) const {
  const uint64_t lack = options_.sync_replicas > 0 ? 0 : options_.max_lag;
  const std::lock_guard<std::mutex> lock(mutex_);
  // A replica that is not on the list could not lead with what it has.
  if (listed_ < options_.sync_replicas) return false;
  return std::all_of(required_.begin(), required_.end(), [&](const std::string& id) {
    const Follower* const follower = Find(followers, id);
    return follower != nullptr && follower->received + lack >= commit;
  });
}

void Election::Hurry() {
  const std::lock_guard<std::mutex> lock(mutex_);
  hurry_ = true;
  wake_.notify_all();
}

void Election::Maintain() {
  if (!perhaps_.empty()) {
    // Whether the last change happened.
    const auto state = coordinator_.Read();
    Note(state.status());
    if (!state.ok()) return;
    if (state->leader_lease != lease_ || !state->record.has_value()) {
      EndLeading("etcd does not know it as the leader");
      return;
    }
    if (state->revision != revision_) {
      record_ = *state->record;
      revision_ = state->revision;
      perhaps_.clear();
      Require();
      const std::lock_guard<std::mutex> lock(mutex_);
      shown_.record = record_;
    }
  }
  std::vector<ClusterMember> next = NextInSync(host_.Followers());
  // As long as a change may still happen, another one has to settle it.
  if (perhaps_.empty() && SameMembers(next, record_.in_sync)) {
    Require();
    return;
  }
  ChangeInSync(std::move(next));
}

std::vector<ClusterMember> Election::NextInSync(const std::vector<Follower>& followers) {
  const auto wanted = static_cast<size_t>(options_.sync_replicas);
  const uint64_t lack = wanted > 0 ? 0 : options_.max_lag;
  const uint64_t latest = host_.Latest();
  std::vector<ClusterMember> stay;
  std::vector<ClusterMember> away;
  for (const ClusterMember& member : record_.in_sync) {
    if (member.id == member_) continue;
    const Follower* const follower = Find(followers, member.id);
    const bool moves = Moves(member.id, follower, latest);
    const bool near = follower != nullptr && follower->received + lack >= latest;
    // While nobody waits for it, it has time to come back or to find a new leader.
    const bool stays = wanted > 0 ? moves : near || (moves && !hurried_);
    (stays ? stay : away).push_back(member);
  }
  for (const ClusterMember& member : Join(followers, latest, stay.size())) stay.push_back(member);
  if (wanted > 0) {
    // Nobody goes before another has come: then nothing is acknowledged.
    while (stay.size() < wanted && !away.empty()) {
      stay.push_back(away.back());
      away.pop_back();
    }
    const auto received = [&](const ClusterMember& member) {
      const Follower* const follower = Find(followers, member.id);
      return follower == nullptr ? 0 : follower->received;
    };
    std::stable_sort(stay.begin(), stay.end(),
                     [&](const auto& a, const auto& b) { return received(a) > received(b); });
    if (stay.size() > wanted) stay.resize(wanted);
  }
  stay.push_back({member_, options_.name});
  return stay;
}

bool Election::Moves(const std::string& id, const Follower* follower, uint64_t latest) {
  const milliseconds now = options_.clock();
  // One that is connected and takes nothing is as good as away.
  if (follower != nullptr && follower->connected) {
    uint64_t& before = received_[id];
    if (follower->received >= latest || follower->received > before) seen_[id] = now;
    before = follower->received;
  }
  return now - seen_[id] < options_.patience;
}

std::vector<ClusterMember> Election::Join(const std::vector<Follower>& followers, uint64_t latest,
                                          size_t there) {
  const auto wanted = static_cast<size_t>(options_.sync_replicas);
  // Writes wait for whoever joins: for nobody who is not needed any more, or gets nowhere.
  std::erase_if(joining_, [&](const auto& entry) {
    const Follower* const follower = Find(followers, entry.first);
    return follower == nullptr || !follower->connected || record_.Has(entry.first) ||
           there >= wanted || !Moves(entry.first, follower, latest);
  });
  std::vector<const Follower*> candidates;
  for (const Follower& follower : followers) {
    // Who has no identity takes no part in elections.
    const std::string& id = follower.member.id;
    const bool known = id.empty() || record_.Has(id) || joining_.count(id) > 0;
    const bool near = follower.received + options_.max_lag / 2 >= latest;
    if (follower.connected && !known && near) candidates.push_back(&follower);
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Follower* a, const Follower* b) { return a->received > b->received; });
  bool more = false;
  for (const Follower* const candidate : candidates) {
    if (wanted > 0 && there + joining_.size() >= wanted) break;
    joining_[candidate->member.id] = 0;
    seen_[candidate->member.id] = options_.clock();
    more = true;
  }
  if (more) {
    // From now on they have to have what is acknowledged, and they are in when they also have
    // what was before.
    Require();
    const uint64_t needed = host_.Latest();
    for (auto& [id, commit] : joining_) commit = commit == 0 ? needed : commit;
  }
  std::vector<ClusterMember> joined;
  const uint64_t lack = wanted > 0 ? 0 : options_.max_lag;
  for (const auto& [id, commit] : joining_) {
    const Follower* const follower = Find(followers, id);
    if (follower->received + lack >= commit) joined.push_back(follower->member);
  }
  // Who fell behind meanwhile is tried again; writes do not wait for it until then.
  if (wanted == 0) joining_.clear();
  return joined;
}

void Election::ChangeInSync(std::vector<ClusterMember> members) {
  ClusterRecord record = record_;
  record.in_sync = members;
  perhaps_.insert(perhaps_.end(), members.begin(), members.end());
  Require();
  const auto revision = coordinator_.Update(revision_, record, lease_);
  Note(revision.status());
  if (!revision.ok() || *revision == 0) return;
  if (!SameMembers(record_.in_sync, members)) {
    host_.Say("info", absl::StrCat("in sync are now: ", Names(members)));
  }
  record_ = std::move(record);
  revision_ = *revision;
  perhaps_.clear();
  for (const ClusterMember& member : members) {
    joining_.erase(member.id);
    seen_[member.id] = options_.clock();
  }
  Require();
  const std::lock_guard<std::mutex> lock(mutex_);
  shown_.record = record_;
}

bool Election::MayLeadNext(const std::string& member) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return leading_ && shown_.record.has_value() && shown_.record->Has(member);
}

void Election::Describe(const std::string& self, v1::ClusterStatus* status) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (shown_.leader.has_value() && (leading_ || shown_.leader->member.id != member_)) {
    status->set_leader(shown_.leader->member.name);
  }
  if (shown_.record.has_value()) {
    status->set_epoch(static_cast<int64_t>(shown_.record->epoch));
    for (const ClusterMember& member : shown_.record->in_sync) status->add_in_sync(member.name);
    status->set_self_in_sync(shown_.record->Has(self));
  }
  if (leading_) {
    status->set_lease_ms(std::max<int64_t>(0, (acknowledge_until_ - options_.clock()).count()));
  }
  status->set_elections_won(elections_);
  if (!leading_) status->set_waiting_for(why_not_);
  status->set_last_error(error_);
}

}  // namespace cookix::server
