#include "engine/api/search_api.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/api/read_support.h"
#include "engine/api/search_plan.h"
#include "engine/api/search_run.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/vector/vector_field.h"
#include "storage/base/status.h"

namespace cookix::engine {

absl::Status SearchApi::Check(const v1::SearchRequest& request, const std::string& prefix) const {
  return PlanSearch(request, prefix, database_.limits()).status();
}

absl::Status SearchApi::SearchAt(const CallContext& context, const NamespaceView& view,
                                 const v1::SearchRequest& request, const std::string& prefix,
                                 v1::SearchResponse* response) {
  COOKIX_ASSIGN_OR_RETURN(const SearchPlan plan, PlanSearch(request, prefix, database_.limits()));
  SearchShared shared(database_.limits());
  return SearchRun(database_, context, view, request, plan, prefix, shared).Answer(response);
}

absl::Status SearchApi::Search(CallContext& context, const v1::SearchRequest& request,
                               v1::SearchResponse* response) {
  LimitTime(context, database_.limits());
  const std::string prefix;
  COOKIX_ASSIGN_OR_RETURN(const SearchPlan plan, PlanSearch(request, prefix, database_.limits()));
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  SearchShared shared(database_.limits());
  COOKIX_RETURN_IF_ERROR(
      SearchRun(database_, context, view, request, plan, prefix, shared).Answer(response));
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
  std::vector<SearchPlan> plans;
  plans.reserve(static_cast<size_t>(request.searches_size()));
  int64_t hits = 0;
  for (int i = 0; i < request.searches_size(); ++i) {
    COOKIX_ASSIGN_OR_RETURN(SearchPlan plan, PlanSearch(request.searches(i), prefix(i), limits));
    hits += plan.most_hits;
    plans.push_back(std::move(plan));
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
  SearchShared shared(database_.limits());
  for (int i = 0; i < request.searches_size(); ++i) {
    COOKIX_RETURN_IF_ERROR(context.Check());
    v1::SearchResponse* answer = response->add_results();
    const std::string path = prefix(i);
    COOKIX_RETURN_IF_ERROR(SearchRun(database_, context, view, request.searches(i),
                                     plans[static_cast<size_t>(i)], path, shared)
                               .Answer(answer));
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
  if (request.text()) return DescribeText(context, view, *collection, request, response);
  COOKIX_ASSIGN_OR_RETURN(
      const v1::VectorField* field,
      RequireVectorField(collection->record.collection(), request.field(), "field"));
  *response->mutable_field() = *field;
  return database_.DescribeVectors(context, view, collection->id, *field, response);
}

absl::Status SearchApi::DescribeText(const CallContext& context, const NamespaceView& view,
                                     const CollectionInfo& collection,
                                     const v1::DescribeIndexRequest& request,
                                     v1::DescribeIndexResponse* response) {
  if (!request.field().empty()) {
    return InvalidField("field", "all text fields are described together",
                        "Leave the field out, or text for a vector field");
  }
  if (collection.record.collection().text_fields().empty()) {
    return NotFound("FIELD_NOT_FOUND", "text", "the collection has no text fields",
                    "Add one with UpdateCollection");
  }
  return database_.DescribeText(context, view, collection, response);
}

}  // namespace cookix::engine
