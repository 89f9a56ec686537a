// Queries as `bring` documents.
#include "tests/fuzz/query_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  cookix::tests::CheckQuery(
      cookix::engine::ParseBringQuery(text, cookix::tests::FuzzLimits(), "query"));
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      R"(bring papers { search = "wet coat" @mode="all" limit = 5 })",
      R"(bring "c" { # comment
  search { text = "a\n\u{1F36A}" fields = ["title"] boosts { title = 2.0 } }
  near = [1, -2.5e-3] @field="v" @exact=true @ef=10 top = 3 })",
      R"(bring c { lanes = [{ search = "a" weight = 2 }, { near { bits = "00ff" } },
  { around = ["k"] @hops=2 }] fusion = "normalized_score" @alpha=0.5 })",
      R"(bring c { where { a = { gte = 1 lt = 2 } b = [1, "x"] c = null not { d = true }
  any = [{ e { exists = false } }, { "any" = 1 f { prefix = "p" } }] } })",
      R"(bring c { follow = ["x"] @direction="in" follow { relations = [] where { a = 1 } } at = 9 })",
      R"(bring c { aggregates = ["count", "sum" @field="p" @name="t"] group = ["y"]
  order = ["t" @desc=true, "y"] offset = 3 })",
      R"(bring c { keys = ["a", "b"] select = ["*", "$vectors"] snippets { max_words = 5 } })",
  };
}
