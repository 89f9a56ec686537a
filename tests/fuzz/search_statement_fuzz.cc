// SEARCH statements.
#include "tests/fuzz/query_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = cookix::tests::FuzzInput(data, size);
  cookix::tests::CheckQuery(
      cookix::engine::ParseSearch(text, cookix::tests::FuzzLimits(), "query"));
  return 0;
}

std::vector<std::string> cookix::tests::FuzzSeeds() {
  return {
      "SEARCH papers 'wet coat' LIMIT 5",
      "search p all 'it''s' in title, \"odd name\" near key 'k' in v exact alpha 0.5 top 3",
      "SEARCH c NEAR VECTOR [1, -2.5e-3] MIN SCORE 0.25 FOLLOW causes, b OUT HOPS 2 INVERSES",
      "SEARCH c KEYS ('a', 'b') WHERE a >= 1 AND NOT (b IN (1, x'00ff') OR c IS NOT NULL)",
      "SEARCH c RETURN count(*) AS n, sum(price) GROUP BY year ORDER BY n DESC, year OFFSET 3",
      "SEARCH c RAW 'a AND b' FOLLOW * WHERE $key LIKE '50\\%%' AT 17 RETURN *, $vectors",
      "SEARCH größe WHERE ((((a = TRUE)))) OR d != 9223372036854775807",
  };
}
