#include "engine/api/search_run.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/api/read_support.h"
#include "engine/database.h"
#include "engine/stopwatch.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// With groups, the first time: so many candidates for each hit wanted, and at least so many.
constexpr int64_t kCandidatesPerHit = 2;
constexpr int64_t kLeastCandidates = 64;
// And each time after that, so many times as many.
constexpr int64_t kGrowth = 4;

absl::Status WithoutRecord(Ordinal ordinal) {
  return Corruption(absl::StrCat("object ", ordinal, " was found but has no record"),
                    "Restore the store from a checkpoint");
}

std::string FusionText(const SearchPlan& plan) {
  std::string text = plan.fusion.method == v1::FUSION_METHOD_NORMALIZED_SCORE
                         ? std::string("normalized scores")
                         : absl::StrCat("reciprocal rank, k ", plan.fusion.rank_constant);
  for (const LanePlan& lane : plan.lanes) {
    absl::StrAppend(&text, ", ", lane.name, " x ", lane.weight);
  }
  return text;
}

}  // namespace

SearchRun::SearchRun(Database& database, const CallContext& context, const NamespaceView& view,
                     const v1::SearchRequest& request, const SearchPlan& plan,
                     const std::string& prefix, SearchShared& shared)
    : database_(database),
      limits_(database.limits()),
      context_(context),
      view_(view),
      request_(request),
      plan_(plan),
      prefix_(prefix),
      shared_(shared) {}

absl::Status SearchRun::Answer(v1::SearchResponse* response) {
  Stopwatch whole;
  response_ = response;
  diagnostics_ = response->mutable_diagnostics();
  COOKIX_ASSIGN_OR_RETURN(collection_,
                          KnownCollection(view_, request_.collection(), prefix_ + "collection"));
  COOKIX_RETURN_IF_ERROR(MakeLanes());
  COOKIX_RETURN_IF_ERROR(EvaluateFilter());
  if (request_.group_by().empty()) {
    COOKIX_RETURN_IF_ERROR(Find(plan_.limit));
    COOKIX_RETURN_IF_ERROR(FillHits());
  } else {
    COOKIX_RETURN_IF_ERROR(FillGroups());
  }
  if (request_.count_matches()) COOKIX_RETURN_IF_ERROR(CountAll());
  if (request_.with_lanes()) COOKIX_RETURN_IF_ERROR(FillLaneLists());
  diagnostics_->set_elapsed_us(whole.Lap());
  return absl::OkStatus();
}

absl::Status SearchRun::MakeLanes() {
  scope_.emplace(LaneScope{database_, context_, view_, *collection_});
  for (const LanePlan& plan : plan_.lanes) {
    Stopwatch watch;
    std::unique_ptr<Lane> lane;
    if (plan.vector != nullptr) {
      COOKIX_ASSIGN_OR_RETURN(lane, MakeVectorLane(*scope_, plan));
    } else if (plan.neighbourhood != nullptr) {
      COOKIX_ASSIGN_OR_RETURN(lane, MakeNeighbourhoodLane(*scope_, plan));
    } else {
      COOKIX_ASSIGN_OR_RETURN(std::unique_ptr<TextLane> text, TextLane::Make(*scope_, plan));
      text_lanes_.push_back(text.get());
      lane = std::move(text);
    }
    lanes_.push_back(std::move(lane));
    resolve_us_.push_back(watch.Lap());
  }
  if (request_.has_snippets()) {
    COOKIX_RETURN_IF_ERROR(SnippetMaker::Check({text_lanes_.begin(), text_lanes_.end()},
                                               request_.snippets(), prefix_));
  }
  // One lane counts while it searches.
  if (request_.count_matches() && text_lanes_.size() == 1) text_lanes_.front()->Count();
  return absl::OkStatus();
}

// --- The filter ---

absl::Status SearchRun::EvaluateFilter() {
  Stopwatch watch;
  diagnostics_->set_filter_matches(-1);
  COOKIX_ASSIGN_OR_RETURN(filter_,
                          CompiledFilter::Compile(request_.filter(), prefix_ + "filter", limits_));
  if (!request_.labels().empty()) {
    filter_ = CompiledFilter::And(
        filter_, CompiledFilter::AnyLabel({request_.labels().begin(), request_.labels().end()}));
  }
  if (!filter_->matches_everything()) {
    COOKIX_RETURN_IF_ERROR(Narrow(filter_));
    diagnostics_->set_filter_matches(static_cast<int64_t>(accept_->Count()));
  }
  diagnostics_->set_filter_us(watch.Lap());
  if (accept_ != nullptr) {
    AddStage("filter", "objects of the collection that may be found", -1,
             diagnostics_->filter_matches(), diagnostics_->filter_us());
  }
  return absl::OkStatus();
}

absl::Status SearchRun::Narrow(std::shared_ptr<const CompiledFilter> filter) {
  COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> narrowed,
                          InCollection(*collection_, limits_));
  narrowed = CompiledFilter::And(std::move(narrowed), std::move(filter));
  COOKIX_ASSIGN_OR_RETURN(accept_, Matching(*narrowed));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const OrdinalSet>> SearchRun::Matching(
    const CompiledFilter& filter) {
  auto [at, inserted] = shared_.matching.try_emplace(filter.fingerprint());
  if (inserted) {
    absl::StatusOr<std::shared_ptr<const OrdinalSet>> set =
        database_.Evaluate(context_, view_, filter);
    if (!set.ok()) {
      shared_.matching.erase(at);
      return set.status();
    }
    at->second = *std::move(set);
  }
  return at->second;
}

// --- Lanes and fusion ---

absl::Status SearchRun::Find(int64_t candidates) {
  diagnostics_->clear_strategy();
  diagnostics_->set_exact(true);
  const bool one_of_its_own = !plan_.fused() && !plan_.by_lanes;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    COOKIX_RETURN_IF_ERROR(FindIn(i, one_of_its_own ? candidates : plan_.lanes[i].candidates));
  }
  if (plan_.fused()) {
    FuseLanes();
  } else {
    ranking_ = AsRanking(lanes_.front()->found().hits);
  }
  return absl::OkStatus();
}

absl::Status SearchRun::FindIn(size_t at, int64_t candidates) {
  Lane& lane = *lanes_[at];
  Stopwatch watch;
  COOKIX_RETURN_IF_ERROR(context_.Check());
  COOKIX_RETURN_IF_ERROR(lane.Find(candidates, accept_));
  const LaneFound& found = lane.found();
  v1::SearchDiagnostics& sums = *diagnostics_;
  if (!sums.strategy().empty()) sums.mutable_strategy()->append(" + ");
  sums.mutable_strategy()->append(found.strategy);
  sums.set_exact(sums.exact() && found.exact);
  sums.set_candidates_considered(sums.candidates_considered() + found.candidates_considered);
  sums.set_tail_scanned(sums.tail_scanned() + found.tail_scanned);
  sums.set_cells_read(sums.cells_read() + found.cells_read);
  sums.set_search_us(sums.search_us() + found.search_us);
  sums.set_rerank_us(sums.rerank_us() + found.rerank_us);
  const int64_t elapsed_us = std::exchange(resolve_us_[at], 0) + watch.Lap();
  if (const auto& told = database_.options().on_lane_searched) {
    told(plan_.lanes[at].kind(), found.strategy, static_cast<double>(elapsed_us) * 1e-6);
  }
  v1::PlanStage* stage =
      AddStage(plan_.lanes[at].name, "", -1, static_cast<int64_t>(found.hits.size()), elapsed_us);
  if (stage != nullptr) lane.Explain(stage);
  return absl::OkStatus();
}

void SearchRun::FuseLanes() {
  Stopwatch watch;
  std::vector<LaneRanking> rankings;
  int64_t candidates = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const std::vector<LaneHit>& hits = lanes_[i]->found().hits;
    rankings.push_back({hits, plan_.lanes[i].weight});
    candidates += static_cast<int64_t>(hits.size());
  }
  ranking_ = Fuse(rankings, plan_.fusion);
  AddStage("fuse", FusionText(plan_), candidates, static_cast<int64_t>(ranking_.hits().size()),
           watch.Lap());
}

absl::Status SearchRun::CountAll() {
  if (text_lanes_.size() == 1) {
    response_->set_total_matches(text_lanes_.front()->total());
    return absl::OkStatus();
  }
  Stopwatch watch;
  COOKIX_ASSIGN_OR_RETURN(const int64_t total,
                          CountMatches(*scope_, {text_lanes_.begin(), text_lanes_.end()}, accept_));
  response_->set_total_matches(total);
  AddStage("count", "objects that any of the text lanes matches", -1, total, watch.Lap());
  return absl::OkStatus();
}

absl::StatusOr<int64_t> SearchRun::ForEachCandidate(
    absl::FunctionRef<absl::StatusOr<bool>(const Candidate&)> each) {
  const std::vector<FusedRanking::Hit>& hits = ranking_.hits();
  for (size_t i = 0; i < hits.size(); ++i) {
    if (request_.has_min_score() && hits[i].score < request_.min_score()) {
      return static_cast<int64_t>(hits.size() - i);
    }
    const double distance =
        plan_.fused() ? 0.0 - hits[i].score : lanes_.front()->found().hits[i].distance;
    COOKIX_ASSIGN_OR_RETURN(const bool more, each({hits[i], distance}));
    if (!more) break;
  }
  return 0;
}

// --- Groups ---

absl::StatusOr<const SearchRun::GroupValue*> SearchRun::GroupOf(Ordinal ordinal) {
  auto [at, inserted] = group_values_.try_emplace(ordinal);
  if (inserted) {
    internal::v1::ObjectRecord record;
    COOKIX_ASSIGN_OR_RETURN(const bool there, view_.ReadRecord(ordinal, &record));
    if (there && record.exists()) {
      VisitProperty(record, request_.group_by(), [&](const v1::Value& value) {
        Scalar scalar;
        if (!ToScalar(value, &scalar)) return false;
        at->second.scalar = std::move(scalar);
        at->second.value = value;
        return true;
      });
    }
    if (group_values_.size() % 256 == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
  }
  return &at->second;
}

absl::StatusOr<int64_t> SearchRun::MakeGroups(std::vector<Group>* groups, int64_t* left_out) {
  groups->clear();
  std::map<Scalar, size_t> index;
  int64_t full = 0;
  int64_t crowded_out = 0;
  COOKIX_ASSIGN_OR_RETURN(
      const int64_t low, ForEachCandidate([&](const Candidate& candidate) -> absl::StatusOr<bool> {
        COOKIX_ASSIGN_OR_RETURN(const GroupValue* value, GroupOf(candidate.hit.ordinal));
        if (!value->scalar.has_value()) return true;
        auto at = index.find(*value->scalar);
        if (at == index.end()) {
          // Groups are in the order of their best, so later ones are not wanted.
          if (static_cast<int64_t>(groups->size()) == plan_.limit) return true;
          at = index.emplace(*value->scalar, groups->size()).first;
          groups->push_back({value->value, {}});
        }
        std::vector<Candidate>& members = (*groups)[at->second].members;
        if (static_cast<int64_t>(members.size()) == plan_.group_limit) {
          ++crowded_out;
          return true;
        }
        members.push_back(candidate);
        if (static_cast<int64_t>(members.size()) == plan_.group_limit) ++full;
        return full < plan_.limit;
      }));
  *left_out = low + crowded_out;
  // Scores only fall, so that what comes later is too low as well.
  seen_all_ = low > 0 || std::all_of(lanes_.begin(), lanes_.end(),
                                     [](const auto& lane) { return lane->found().all; });
  return full;
}

absl::Status SearchRun::FillGroups() {
  const int64_t wanted = plan_.limit * plan_.group_limit;
  const int64_t most = std::max(limits_.max_group_candidates, wanted);
  const bool once = plan_.fused() || plan_.by_lanes;
  int64_t candidates = std::min(std::max(wanted * kCandidatesPerHit, kLeastCandidates), most);
  std::vector<Group> groups;
  int64_t left_out = 0;
  int64_t fetch_us = 0;
  Stopwatch watch;
  for (bool narrowed = false;; candidates = std::min(candidates * kGrowth, most)) {
    COOKIX_RETURN_IF_ERROR(Find(candidates));
    watch.Lap();
    COOKIX_ASSIGN_OR_RETURN(const int64_t full, MakeGroups(&groups, &left_out));
    const int64_t group_us = watch.Lap();
    fetch_us += group_us;
    AddStage("group", absl::StrCat("by ", request_.group_by(), ", ", full, " groups full"),
             static_cast<int64_t>(ranking_.hits().size()), static_cast<int64_t>(groups.size()),
             group_us);
    if (full == plan_.limit || seen_all_) break;
    if (once || candidates == most) {
      diagnostics_->set_truncated(true);
      break;
    }
    if (!std::exchange(narrowed, true)) {
      v1::Filter has_value;
      has_value.mutable_existence()->set_field(request_.group_by());
      COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> exists,
                              CompiledFilter::Compile(has_value, prefix_ + "group_by", limits_));
      COOKIX_RETURN_IF_ERROR(Narrow(CompiledFilter::And(filter_, std::move(exists))));
      const int64_t filter_us = watch.Lap();
      diagnostics_->set_filter_us(diagnostics_->filter_us() + filter_us);
      AddStage("filter", absl::StrCat("and that have ", request_.group_by()), -1,
               static_cast<int64_t>(accept_->Count()), filter_us);
    }
  }
  int64_t members = 0;
  for (Group& group : groups) {
    v1::SearchGroup* out = response_->add_groups();
    *out->mutable_value() = std::move(group.value);
    members += static_cast<int64_t>(group.members.size());
    for (const Candidate& candidate : group.members) {
      COOKIX_RETURN_IF_ERROR(FillHit(candidate, out->add_hits()));
    }
  }
  const int64_t fill_us = watch.Lap();
  diagnostics_->set_hits_left_out(left_out);
  diagnostics_->set_fetch_us(fetch_us + fill_us);
  AddFetchStage(members, fill_us);
  return absl::OkStatus();
}

// --- The answer ---

absl::Status SearchRun::FillHits() {
  Stopwatch watch;
  COOKIX_ASSIGN_OR_RETURN(const int64_t low,
                          ForEachCandidate([&](const Candidate& candidate) -> absl::StatusOr<bool> {
                            if (response_->hits_size() == plan_.limit) return false;
                            COOKIX_RETURN_IF_ERROR(FillHit(candidate, response_->add_hits()));
                            return true;
                          }));
  diagnostics_->set_hits_left_out(low);
  diagnostics_->set_fetch_us(watch.Lap());
  AddFetchStage(static_cast<int64_t>(ranking_.hits().size()), diagnostics_->fetch_us());
  return absl::OkStatus();
}

absl::Status SearchRun::FillHit(const Candidate& candidate, v1::Hit* hit) {
  const Ordinal ordinal = candidate.hit.ordinal;
  COOKIX_ASSIGN_OR_RETURN(const bool named, view_.FindRef(ordinal, hit->mutable_ref()));
  if (!named) return WithoutRecord(ordinal);
  hit->set_score(candidate.hit.score);
  hit->set_distance(candidate.distance);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const uint32_t rank = ranking_.RankIn(candidate.hit, i);
    if (rank == 0) continue;
    const std::string& name = plan_.lanes[i].name;
    (*hit->mutable_components())[name] = lanes_[i]->found().hits[rank - 1].score;
    (*hit->mutable_lane_ranks())[name] = static_cast<int32_t>(rank);
    // Of several paths, that of the first lane.
    if (!hit->has_path()) COOKIX_RETURN_IF_ERROR(lanes_[i]->FillHit(rank - 1, hit));
  }
  if (hit->has_path()) COOKIX_RETURN_IF_ERROR(TakeBytes(hit->path().ByteSizeLong(), "limit"));
  // A long text takes longer to analyze than hundreds of keys to look up.
  const int64_t hits_per_check = request_.has_snippets() ? 1 : 256;
  if (++filled_ % hits_per_check == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
  if (!request_.with_objects() && !request_.has_snippets()) return absl::OkStatus();
  return FillRecord(ordinal, hit);
}

absl::Status SearchRun::FillRecord(Ordinal ordinal, v1::Hit* hit) {
  internal::v1::ObjectRecord record;
  COOKIX_ASSIGN_OR_RETURN(const bool there, view_.ReadRecord(ordinal, &record));
  if (!there || !record.exists()) return WithoutRecord(ordinal);
  if (request_.has_snippets()) {
    Stopwatch watch;
    if (!snippets_.has_value()) {
      COOKIX_ASSIGN_OR_RETURN(snippets_,
                              SnippetMaker::Make(*scope_, {text_lanes_.begin(), text_lanes_.end()},
                                                 request_.snippets(), prefix_));
    }
    snippets_->Fill(record, hit);
    snippet_us_ += watch.Lap();
  }
  if (request_.with_objects()) {
    COOKIX_RETURN_IF_ERROR(
        FillObject(view_, ordinal, request_.mask(), std::move(record), hit->mutable_object()));
    COOKIX_RETURN_IF_ERROR(TakeBytes(hit->object().ByteSizeLong(), "with_objects"));
  }
  size_t snippet_bytes = 0;
  for (const v1::Snippet& snippet : hit->snippets()) snippet_bytes += snippet.ByteSizeLong();
  return TakeBytes(snippet_bytes, "snippets");
}

absl::Status SearchRun::TakeBytes(size_t bytes, const char* field) {
  if (shared_.bytes.Take(bytes)) return absl::OkStatus();
  return shared_.bytes.Exceeded(prefix_ + field,
                                "Ask for fewer hits, or leave parts out with the mask");
}

absl::Status SearchRun::FillLaneLists() {
  Stopwatch watch;
  int64_t hits = 0;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    v1::LaneResult* list = response_->add_lanes();
    list->set_name(plan_.lanes[i].name);
    const std::vector<LaneHit>& found = lanes_[i]->found().hits;
    // Groups may have needed more than the list is to show.
    const size_t shown = std::min(found.size(), static_cast<size_t>(plan_.lanes[i].candidates));
    for (size_t rank = 0; rank < shown; ++rank) {
      if (rank % 256 == 255) COOKIX_RETURN_IF_ERROR(context_.Check());
      v1::Hit* hit = list->add_hits();
      COOKIX_ASSIGN_OR_RETURN(const bool named,
                              view_.FindRef(found[rank].ordinal, hit->mutable_ref()));
      if (!named) return WithoutRecord(found[rank].ordinal);
      hit->set_score(found[rank].score);
      hit->set_distance(found[rank].distance);
      COOKIX_RETURN_IF_ERROR(lanes_[i]->FillHit(rank, hit));
      if (hit->has_path()) {
        COOKIX_RETURN_IF_ERROR(TakeBytes(hit->path().ByteSizeLong(), "with_lanes"));
      }
    }
    hits += static_cast<int64_t>(shown);
  }
  AddStage("lanes", "the lanes' own lists", hits, hits, watch.Lap());
  return absl::OkStatus();
}

// --- Stages ---

v1::PlanStage* SearchRun::AddStage(const std::string& name, std::string detail, int64_t input,
                                   int64_t output, int64_t elapsed_us) {
  if (!request_.explain()) return nullptr;
  v1::PlanStage* stage = response_->add_stages();
  stage->set_name(name);
  stage->set_detail(std::move(detail));
  stage->set_input(input);
  stage->set_output(output);
  stage->set_elapsed_us(elapsed_us);
  return stage;
}

void SearchRun::AddFetchStage(int64_t candidates, int64_t elapsed_us) {
  std::string detail = "keys";
  if (request_.with_objects()) detail += ", objects";
  v1::PlanStage* stage = AddStage("fetch", std::move(detail), candidates, filled_, elapsed_us);
  if (stage == nullptr || !snippets_.has_value()) return;
  v1::PlanStage* snippets = stage->add_stages();
  snippets->set_name("snippets");
  snippets->set_detail("snippets of the texts of the hits");
  snippets->set_input(filled_);
  snippets->set_output(snippets_->made());
  snippets->set_elapsed_us(snippet_us_);
}

}  // namespace cookix::engine
