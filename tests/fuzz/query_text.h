// What holds for the text of any query: it is refused with a reason, or it means the same
// however it is written.
#ifndef COOKIX_TESTS_FUZZ_QUERY_TEXT_H_
#define COOKIX_TESTS_FUZZ_QUERY_TEXT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/query/bring_query.h"
#include "engine/query/plan.h"
#include "engine/query/search_parser.h"
#include "engine/query/search_writer.h"
#include "tests/fuzz/fuzz_target.h"

namespace cookix::tests {

// Few, so that mutated inputs reach them.
inline engine::Limits FuzzLimits() {
  engine::Limits limits;
  limits.max_filter_depth = 20;
  return limits;
}

inline void CheckRefusal(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  FUZZ_CHECK(!status.message().empty());
}

inline std::string TextOfPlan(const absl::StatusOr<v1::BuilderQuery>& query) {
  FUZZ_CHECK(query.ok());
  const auto plan = engine::CompileQuery(*query, FuzzLimits(), "query", true);
  FUZZ_CHECK(plan.ok());
  return engine::PlanText(*plan) + plan->DebugString();
}

inline void CheckQuery(const absl::StatusOr<v1::BuilderQuery>& query) {
  if (!query.ok()) return CheckRefusal(query.status());
  const auto plan = engine::CompileQuery(*query, FuzzLimits(), "query", true);
  if (!plan.ok()) return CheckRefusal(plan.status());
  FUZZ_CHECK(engine::CheckPlan(*plan, FuzzLimits(), "plan").ok());
  const std::string text = engine::PlanText(*plan) + plan->DebugString();
  if (const std::optional<std::string> search = engine::WriteSearch(*query)) {
    FUZZ_CHECK(TextOfPlan(engine::ParseSearch(*search, engine::Limits(), "search")) == text);
  }
  if (const std::optional<std::string> bring = engine::WriteBring(*query)) {
    FUZZ_CHECK(TextOfPlan(engine::ParseBringQuery(*bring, engine::Limits(), "bring")) == text);
  }
}

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_FUZZ_QUERY_TEXT_H_
