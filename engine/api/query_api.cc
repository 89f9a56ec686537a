#include "engine/api/query_api.h"

#include <optional>
#include <string>
#include <utility>

#include "engine/api/plan_executor.h"
#include "engine/api/walk_support.h"
#include "engine/database.h"
#include "engine/query/bring_query.h"
#include "engine/query/plan.h"
#include "engine/query/search_writer.h"
#include "engine/stopwatch.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// The plan of a query in any form. `builder` is what the form says.
absl::StatusOr<v1::Plan> CompileForm(const v1::Query& query, const Limits& limits,
                                     v1::BuilderQuery* builder) {
  COOKIX_ASSIGN_OR_RETURN(*builder, ParseQuery(query, limits, "query"));
  switch (query.form_case()) {
    case v1::Query::kSearchText:
      return CompileQuery(*builder, limits, "query.search_text", true);
    case v1::Query::kBringText:
      return CompileQuery(*builder, limits, "query.bring_text", true);
    default:
      return CompileQuery(*builder, limits, "query.builder", false);
  }
}

}  // namespace

absl::Status QueryApi::Compile(CallContext& context, const v1::CompileRequest& request,
                               v1::CompileResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  v1::BuilderQuery builder;
  COOKIX_ASSIGN_OR_RETURN(*response->mutable_plan(),
                          CompileForm(request.query(), database_.limits(), &builder));
  COOKIX_RETURN_IF_ERROR(
      PlanExecutor(database_, context, response->plan(), /*explain=*/false).Prepare());
  response->set_text(PlanText(response->plan()));
  response->set_search_text(WriteSearch(builder).value_or(""));
  response->set_bring_text(WriteBring(builder).value_or(""));
  return absl::OkStatus();
}

absl::Status QueryApi::Execute(CallContext& context, const v1::ExecuteRequest& request,
                               v1::ExecuteResponse* response) {
  const Stopwatch watch;
  const Limits& limits = database_.limits();
  LimitTime(context, limits);
  v1::Plan plan;
  switch (request.work_case()) {
    case v1::ExecuteRequest::kQuery: {
      v1::BuilderQuery builder;
      COOKIX_ASSIGN_OR_RETURN(plan, CompileForm(request.query(), limits, &builder));
      break;
    }
    case v1::ExecuteRequest::kPlan:
      COOKIX_RETURN_IF_ERROR(CheckPlan(request.plan(), limits, "plan"));
      plan = request.plan();
      break;
    case v1::ExecuteRequest::WORK_NOT_SET:
      return InvalidField("query", "there is neither a query nor a plan", "Send one of them");
  }
  PlanExecutor executor(database_, context, plan, request.explain());
  COOKIX_RETURN_IF_ERROR(executor.Prepare());
  COOKIX_ASSIGN_OR_RETURN(const ReadView read, database_.Read(context, request.options()));
  COOKIX_ASSIGN_OR_RETURN(const NamespaceView view, InNamespace(read, request.namespace_()));
  COOKIX_RETURN_IF_ERROR(executor.Execute(view, response));
  response->set_position(database_.PositionToken(read.commit()));
  if (request.explain()) *response->mutable_plan() = std::move(plan);
  response->set_elapsed_us(watch.Elapsed());
  return absl::OkStatus();
}

}  // namespace cookix::engine
