#include "engine/api/search_api.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/read_support.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/filter/filter.h"
#include "engine/vector/vector_field.h"
#include "engine/vector/vector_search.h"
#include "engine/write/validate.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using storage::Family;

constexpr int64_t kDefaultLimit = 10;
constexpr int64_t kDefaultGroupLimit = 1;
// With groups, the first time: so many candidates for each hit wanted, and at least so many.
constexpr int64_t kCandidatesPerHit = 2;
constexpr int64_t kLeastCandidates = 64;
// And each time after that, so many times as many.
constexpr int64_t kGrowth = 4;

class Stopwatch {
 public:
  // Microseconds since the last call, or since it was made.
  int64_t Lap() {
    const auto now = std::chrono::steady_clock::now();
    const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(now - last_);
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

absl::Status WithoutRecord(Ordinal ordinal) {
  return Corruption(absl::StrCat("object ", ordinal, " has a vector but no record"),
                    "Restore the store from a checkpoint");
}

bool ComparesFloats(v1::VectorMetric metric) {
  return metric == v1::VECTOR_METRIC_COSINE || metric == v1::VECTOR_METRIC_L2 ||
         metric == v1::VECTOR_METRIC_DOT;
}

double ScoreOf(v1::VectorMetric metric, double distance) {
  return metric == v1::VECTOR_METRIC_COSINE ? 1.0 - distance : 0.0 - distance;
}

}  // namespace

// What the searches of one call share.
struct SearchApi::Shared {
  std::unordered_map<std::string, std::shared_ptr<const OrdinalSet>> matching;
  int64_t bytes = 0;
};

// One search under way.
class SearchApi::Run {
 public:
  Run(Database& database, const CallContext& context, const NamespaceView& view,
      const v1::SearchRequest& request, const std::string& prefix, Shared& shared)
      : database_(database),
        limits_(database.limits()),
        context_(context),
        view_(view),
        request_(request),
        prefix_(prefix),
        shared_(shared) {}

  absl::Status Answer(v1::SearchResponse* response) {
    Stopwatch whole;
    v1::SearchDiagnostics& diagnostics = *response->mutable_diagnostics();
    COOKIX_RETURN_IF_ERROR(Resolve());
    Stopwatch stage;
    COOKIX_RETURN_IF_ERROR(EvaluateFilter(&diagnostics));
    diagnostics.set_filter_us(stage.Lap());
    if (request_.group_by().empty()) {
      search_.limit = limit_ + (self_ != 0 ? 1 : 0);
      COOKIX_RETURN_IF_ERROR(Find(&diagnostics));
      stage.Lap();
      COOKIX_RETURN_IF_ERROR(FillHits(response));
      diagnostics.set_fetch_us(stage.Lap());
    } else {
      COOKIX_RETURN_IF_ERROR(FillGroups(response));
    }
    diagnostics.set_elapsed_us(whole.Lap());
    return absl::OkStatus();
  }

 private:
  struct Candidate {
    Ordinal ordinal;
    double distance;
    double score;
    int rank;
  };
  struct Group {
    v1::Value value;
    std::vector<Candidate> members;
  };
  // What an object is grouped by; none when it has no such property.
  struct GroupValue {
    std::optional<Scalar> scalar;
    v1::Value value;
  };

  absl::Status Resolve() {
    const v1::VectorQuery& query = request_.vector();
    COOKIX_ASSIGN_OR_RETURN(collection_,
                            KnownCollection(view_, request_.collection(), prefix_ + "collection"));
    COOKIX_ASSIGN_OR_RETURN(field_, RequireVectorField(collection_->record.collection(),
                                                       query.field(), prefix_ + "vector.field"));
    metric_ = field_->metric();
    if (query.metric() != v1::VECTOR_METRIC_UNSPECIFIED && query.metric() != metric_) {
      if (IsSparse(*field_) || !ComparesFloats(metric_) || !ComparesFloats(query.metric())) {
        return InvalidField(
            prefix_ + "vector.metric",
            absl::StrCat("the field \"", field_->name(), "\" cannot be compared by this metric"),
            "Leave the metric out: only cosine, l2 and dot replace each other");
      }
      metric_ = query.metric();
      search_.metric = metric_;
    }
    const bool by_key = query.target_case() == v1::VectorQuery::kKey;
    const std::string path = prefix_ + (by_key ? "vector.key" : "vector.vector");
    if (by_key) {
      COOKIX_RETURN_IF_ERROR(TakeVectorOf(query.key(), path));
    } else {
      search_.vector = &query.vector();
    }
    // One vector, for the metric that it is compared by.
    v1::VectorField one = *field_;
    one.clear_multi();
    one.set_metric(metric_);
    COOKIX_RETURN_IF_ERROR(CheckVector(one, *search_.vector, path));
    search_.collection = collection_->id;
    search_.field = field_;
    search_.ef = query.ef();
    search_.cells_probed = query.cells_probed();
    search_.exact = query.exact() || search_.metric != v1::VECTOR_METRIC_UNSPECIFIED;
    // Checked before.
    limit_ = request_.limit() == 0 ? kDefaultLimit : request_.limit();
    group_limit_ = request_.group_limit() == 0 ? kDefaultGroupLimit : request_.group_limit();
    return absl::OkStatus();
  }

  absl::Status TakeVectorOf(const std::string& key, const std::string& path) {
    v1::ObjectRef ref;
    ref.set_collection(request_.collection());
    ref.set_key(key);
    COOKIX_ASSIGN_OR_RETURN(self_, view_.FindOrdinal(ref, path));
    internal::v1::ObjectRecord record;
    bool found = false;
    if (self_ != 0) {
      COOKIX_ASSIGN_OR_RETURN(found, view_.ReadRecord(self_, &record));
    }
    if (!found || !record.exists()) {
      return NotFound("OBJECT_NOT_FOUND", path, absl::StrCat("object \"", key, "\" does not exist"),
                      "Check collection and key");
    }
    std::string value;
    COOKIX_ASSIGN_OR_RETURN(
        const bool has, view_.snapshot->Get(Family::kVectors,
                                            ObjectKey(view_.id(), self_) + field_->name(), &value));
    if (!has) {
      return InvalidField(
          path,
          absl::StrCat("object \"", key, "\" has no vector in the field \"", field_->name(), "\""),
          "Name an object that has one, or send a vector");
    }
    if (!taken_.ParseFromString(value)) {
      return Corruption("a vector is malformed", "Restore the store from a checkpoint");
    }
    // Of several vectors, the first.
    if (field_->multi() && taken_.values_size() > field_->dimension()) {
      taken_.mutable_values()->Truncate(field_->dimension());
    }
    search_.vector = &taken_;
    return absl::OkStatus();
  }

  absl::StatusOr<std::shared_ptr<const OrdinalSet>> Matching(const CompiledFilter& filter) {
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

  absl::Status EvaluateFilter(v1::SearchDiagnostics* diagnostics) {
    diagnostics->set_filter_matches(-1);
    COOKIX_ASSIGN_OR_RETURN(
        filter_, CompiledFilter::Compile(request_.filter(), prefix_ + "filter", limits_));
    if (!request_.labels().empty()) {
      filter_ = CompiledFilter::And(
          filter_, CompiledFilter::AnyLabel({request_.labels().begin(), request_.labels().end()}));
    }
    if (filter_->matches_everything()) return absl::OkStatus();
    COOKIX_RETURN_IF_ERROR(Narrow(filter_));
    diagnostics->set_filter_matches(static_cast<int64_t>(search_.accept->Count()));
    return absl::OkStatus();
  }

  // Only what matches and is in the collection.
  absl::Status Narrow(std::shared_ptr<const CompiledFilter> filter) {
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> narrowed,
                            InCollection(*collection_, limits_));
    narrowed = CompiledFilter::And(std::move(narrowed), std::move(filter));
    COOKIX_ASSIGN_OR_RETURN(search_.accept, Matching(*narrowed));
    return absl::OkStatus();
  }

  absl::Status Find(v1::SearchDiagnostics* diagnostics) {
    found_ = {};
    COOKIX_RETURN_IF_ERROR(database_.FindNearest(context_, view_, search_, &found_));
    diagnostics->set_strategy(found_.strategy);
    diagnostics->set_exact(found_.exact);
    diagnostics->set_candidates_considered(diagnostics->candidates_considered() +
                                           found_.candidates_considered);
    diagnostics->set_tail_scanned(diagnostics->tail_scanned() + found_.tail_scanned);
    diagnostics->set_cells_read(diagnostics->cells_read() + found_.cells_read);
    diagnostics->set_search_us(diagnostics->search_us() + found_.search_us);
    diagnostics->set_rerank_us(diagnostics->rerank_us() + found_.rerank_us);
    return absl::OkStatus();
  }

  // Calls `each` with the candidates in order, until it returns false or the scores are too
  // low. Returns how many scores were.
  template <typename Each>
  absl::StatusOr<int64_t> ForEachCandidate(Each&& each) {
    int rank = 0;
    for (size_t i = 0; i < found_.hits.size(); ++i) {
      const VectorHit& hit = found_.hits[i];
      if (hit.ordinal == self_) continue;
      const double score = ScoreOf(metric_, hit.distance);
      if (request_.has_min_score() && score < request_.min_score()) {
        int64_t low = 0;
        for (; i < found_.hits.size(); ++i) low += found_.hits[i].ordinal != self_;
        return low;
      }
      ++rank;
      COOKIX_ASSIGN_OR_RETURN(const bool more, each({hit.ordinal, hit.distance, score, rank}));
      if (!more) break;
    }
    return 0;
  }

  absl::Status FillHits(v1::SearchResponse* response) {
    COOKIX_ASSIGN_OR_RETURN(
        const int64_t low,
        ForEachCandidate([&](const Candidate& candidate) -> absl::StatusOr<bool> {
          // Candidates are one more than hits when the object searched for may be among them.
          if (response->hits_size() == limit_) return false;
          COOKIX_RETURN_IF_ERROR(FillHit(candidate, response->add_hits()));
          return true;
        }));
    response->mutable_diagnostics()->set_hits_left_out(low);
    return absl::OkStatus();
  }

  absl::StatusOr<const GroupValue*> GroupOf(Ordinal ordinal) {
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

  // Looks at more and more candidates, until the best groups are full.
  absl::Status FillGroups(v1::SearchResponse* response) {
    v1::SearchDiagnostics& diagnostics = *response->mutable_diagnostics();
    const int64_t wanted = limit_ * group_limit_;
    const int64_t most = std::max(limits_.max_group_candidates, wanted);
    int64_t candidates = std::min(std::max(wanted * kCandidatesPerHit, kLeastCandidates), most);
    std::vector<Group> groups;
    int64_t low = 0;
    int64_t crowded_out = 0;
    Stopwatch stage;
    int64_t fetch_us = 0;
    for (bool narrowed = false;; candidates = std::min(candidates * kGrowth, most)) {
      search_.limit = candidates + (self_ != 0 ? 1 : 0);
      COOKIX_RETURN_IF_ERROR(Find(&diagnostics));
      stage.Lap();
      groups.clear();
      std::map<Scalar, size_t> index;
      int64_t full = 0;
      crowded_out = 0;
      COOKIX_ASSIGN_OR_RETURN(
          low, ForEachCandidate([&](const Candidate& candidate) -> absl::StatusOr<bool> {
            COOKIX_ASSIGN_OR_RETURN(const GroupValue* value, GroupOf(candidate.ordinal));
            if (!value->scalar.has_value()) return true;
            auto at = index.find(*value->scalar);
            if (at == index.end()) {
              // Groups are in the order of their best, so later ones are not wanted.
              if (static_cast<int64_t>(groups.size()) == limit_) return true;
              at = index.emplace(*value->scalar, groups.size()).first;
              groups.push_back({value->value, {}});
            }
            std::vector<Candidate>& members = groups[at->second].members;
            if (static_cast<int64_t>(members.size()) == group_limit_) {
              ++crowded_out;
              return true;
            }
            members.push_back(candidate);
            if (static_cast<int64_t>(members.size()) == group_limit_) ++full;
            return full < limit_;
          }));
      fetch_us += stage.Lap();
      const bool all_seen = static_cast<int64_t>(found_.hits.size()) < search_.limit || low > 0;
      if (full == limit_ || all_seen) break;
      if (candidates == most) {
        diagnostics.set_truncated(true);
        break;
      }
      if (!std::exchange(narrowed, true)) {
        v1::Filter has_value;
        has_value.mutable_existence()->set_field(request_.group_by());
        COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledFilter> exists,
                                CompiledFilter::Compile(has_value, prefix_ + "group_by", limits_));
        COOKIX_RETURN_IF_ERROR(Narrow(CompiledFilter::And(filter_, std::move(exists))));
        diagnostics.set_filter_us(diagnostics.filter_us() + stage.Lap());
      }
    }
    for (Group& group : groups) {
      v1::SearchGroup* out = response->add_groups();
      *out->mutable_value() = std::move(group.value);
      for (const Candidate& candidate : group.members) {
        COOKIX_RETURN_IF_ERROR(FillHit(candidate, out->add_hits()));
      }
    }
    diagnostics.set_hits_left_out(low + crowded_out);
    diagnostics.set_fetch_us(fetch_us + stage.Lap());
    return absl::OkStatus();
  }

  absl::Status FillHit(const Candidate& candidate, v1::Hit* hit) {
    COOKIX_ASSIGN_OR_RETURN(const bool named, view_.FindRef(candidate.ordinal, hit->mutable_ref()));
    if (!named) return WithoutRecord(candidate.ordinal);
    hit->set_score(candidate.score);
    hit->set_distance(candidate.distance);
    (*hit->mutable_components())["vector"] = candidate.score;
    (*hit->mutable_lane_ranks())["vector"] = candidate.rank;
    if (!request_.with_objects()) return absl::OkStatus();
    if (candidate.rank % 256 == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
    internal::v1::ObjectRecord record;
    COOKIX_ASSIGN_OR_RETURN(const bool there, view_.ReadRecord(candidate.ordinal, &record));
    if (!there || !record.exists()) {
      return WithoutRecord(candidate.ordinal);
    }
    COOKIX_RETURN_IF_ERROR(FillObject(view_, candidate.ordinal, request_.mask(), std::move(record),
                                      hit->mutable_object()));
    shared_.bytes += static_cast<int64_t>(hit->object().ByteSizeLong());
    if (shared_.bytes > limits_.max_search_bytes) {
      return LimitExceeded(
          prefix_ + "with_objects",
          absl::StrCat("the objects found have more than ", limits_.max_search_bytes, " bytes"),
          "Ask for fewer hits, or leave parts out with the mask");
    }
    return absl::OkStatus();
  }

  Database& database_;
  const Limits& limits_;
  const CallContext& context_;
  const NamespaceView& view_;
  const v1::SearchRequest& request_;
  const std::string& prefix_;
  Shared& shared_;

  const CollectionInfo* collection_ = nullptr;
  // Of the catalog that view_ holds.
  const v1::VectorField* field_ = nullptr;
  v1::VectorMetric metric_ = v1::VECTOR_METRIC_UNSPECIFIED;
  // The object whose vector is searched for; 0 = none.
  Ordinal self_ = 0;
  v1::Vector taken_;
  int64_t limit_ = 0;
  int64_t group_limit_ = 0;
  std::shared_ptr<const CompiledFilter> filter_;
  VectorSearch search_;
  VectorSearchResult found_;
  std::unordered_map<Ordinal, GroupValue> group_values_;
};

absl::Status SearchApi::Check(const v1::SearchRequest& request, const std::string& prefix) const {
  const Limits& limits = database_.limits();
  const v1::VectorQuery& query = request.vector();
  if (!request.has_vector()) {
    return InvalidField(prefix + "vector", "there is nothing to search for",
                        "Send a vector, or the key of an object");
  }
  switch (query.target_case()) {
    case v1::VectorQuery::kVector:
      break;
    case v1::VectorQuery::kKey:
      COOKIX_RETURN_IF_ERROR(CheckKey(query.key(), prefix + "vector.key", limits));
      break;
    case v1::VectorQuery::TARGET_NOT_SET:
      return InvalidField(prefix + "vector", "neither vector nor key is set", "Set one of them");
  }
  COOKIX_RETURN_IF_ERROR(CheckedSize(query.ef(), 0, limits.max_ef, prefix + "vector.ef").status());
  COOKIX_RETURN_IF_ERROR(
      CheckedSize(query.cells_probed(), 0, limits.max_cells_probed, prefix + "vector.cells_probed")
          .status());
  if (query.metric() != v1::VECTOR_METRIC_UNSPECIFIED &&
      query.metric() != v1::VECTOR_METRIC_HAMMING && !ComparesFloats(query.metric())) {
    return InvalidField(prefix + "vector.metric", "the metric is unknown",
                        "Send cosine, l2 or dot, or leave it out");
  }
  COOKIX_ASSIGN_OR_RETURN(
      const int64_t limit,
      CheckedSize(request.limit(), kDefaultLimit, limits.max_search_limit, prefix + "limit"));
  COOKIX_ASSIGN_OR_RETURN(const int64_t group_limit,
                          CheckedSize(request.group_limit(), kDefaultGroupLimit,
                                      limits.max_group_limit, prefix + "group_limit"));
  if (request.has_min_score() && std::isnan(request.min_score())) {
    return InvalidField(prefix + "min_score", "the score is not a number", "Send a number");
  }
  if (request.group_by().empty()) {
    if (request.group_limit() != 0) {
      return InvalidField(prefix + "group_limit", "there are no groups without group_by",
                          "Name a property in group_by, or leave group_limit out");
    }
    return absl::OkStatus();
  }
  if (request.group_by().front() == '$') {
    return InvalidField(prefix + "group_by", "groups are made of properties only",
                        "Name a property");
  }
  v1::Filter has_value;
  has_value.mutable_existence()->set_field(request.group_by());
  const auto exists = CompiledFilter::Compile(has_value, "group_by", limits);
  if (!exists.ok()) return WithField(exists.status(), prefix + "group_by");
  if (limit * group_limit > limits.max_search_hits) {
    return LimitExceeded(prefix + "group_limit",
                         absl::StrCat(limit, " groups of ", group_limit, " hits are more than ",
                                      limits.max_search_hits, " hits"),
                         "Ask for fewer groups, or for fewer hits of each");
  }
  return absl::OkStatus();
}

absl::Status SearchApi::SearchAt(const CallContext& context, const NamespaceView& view,
                                 const v1::SearchRequest& request, const std::string& prefix,
                                 v1::SearchResponse* response) {
  Shared shared;
  return Run(database_, context, view, request, prefix, shared).Answer(response);
}

absl::Status SearchApi::Search(CallContext& context, const v1::SearchRequest& request,
                               v1::SearchResponse* response) {
  LimitTime(context, database_.limits());
  COOKIX_RETURN_IF_ERROR(Check(request, ""));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_RETURN_IF_ERROR(SearchAt(context, view, request, "", response));
  response->set_position(database_.PositionToken(read.commit()));
  return absl::OkStatus();
}

absl::Status SearchApi::BatchSearch(CallContext& context, const v1::BatchSearchRequest& request,
                                    v1::BatchSearchResponse* response) {
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  if (request.searches_size() == 0) {
    return InvalidField("searches", "the list is empty", "Send at least one search");
  }
  if (request.searches_size() > limits.max_batch_searches) {
    return LimitExceeded(
        "searches",
        absl::StrCat(request.searches_size(), " searches, more than ", limits.max_batch_searches),
        "Split the request");
  }
  const auto prefix = [](int i) { return absl::StrCat("searches[", i, "]."); };
  int64_t hits = 0;
  for (int i = 0; i < request.searches_size(); ++i) {
    const v1::SearchRequest& search = request.searches(i);
    COOKIX_RETURN_IF_ERROR(Check(search, prefix(i)));
    hits += (search.limit() == 0 ? kDefaultLimit : search.limit()) *
            (search.group_limit() == 0 ? kDefaultGroupLimit : search.group_limit());
  }
  if (hits > limits.max_search_hits) {
    return LimitExceeded(
        "searches",
        absl::StrCat("the searches ask for ", hits, " hits, more than ", limits.max_search_hits),
        "Split the request, or ask for fewer hits");
  }
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  const std::string position = database_.PositionToken(read.commit());
  Shared shared;
  for (int i = 0; i < request.searches_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    v1::SearchResponse* answer = response->add_results();
    COOKIX_RETURN_IF_ERROR(
        Run(database_, context, view, request.searches(i), prefix(i), shared).Answer(answer));
    answer->set_position(position);
  }
  response->set_position(position);
  return absl::OkStatus();
}

absl::Status SearchApi::DescribeIndex(CallContext& context, const v1::DescribeIndexRequest& request,
                                      v1::DescribeIndexResponse* response) {
  LimitTime(context, database_.limits());
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, {}));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_ASSIGN_OR_RETURN(const CollectionInfo* collection,
                          KnownCollection(view, request.collection(), "collection"));
  COOKIX_ASSIGN_OR_RETURN(
      const v1::VectorField* field,
      RequireVectorField(collection->record.collection(), request.field(), "field"));
  *response->mutable_field() = *field;
  return database_.DescribeVectors(context, view, collection->id, *field, response);
}

}  // namespace cookix::engine
