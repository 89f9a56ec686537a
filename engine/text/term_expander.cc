#include "engine/text/term_expander.h"

#include <algorithm>

#include "engine/text/text_query_syntax.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

std::u32string Characters(std::string_view text) {
  std::u32string characters;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = CharacterBytes(text, at);
    // The bytes of a character tell it from all others, which is all that matters here.
    char32_t c = 0;
    for (size_t i = 0; i < bytes && i < 4; ++i) {
      c = c << 8 | static_cast<uint8_t>(text[at + i]);
    }
    characters.push_back(c);
    at += bytes;
  }
  return characters;
}

}  // namespace

TermExpander::TermExpander(const AnalyzedQuery& leaf)
    : fuzzy_(leaf.kind == AnalyzedQuery::Kind::kFuzzy), max_edits_(leaf.max_edits) {
  if (!fuzzy_) {
    common_prefix_ = leaf.term;
    return;
  }
  size_t end = 0;
  for (uint32_t i = 0; i < leaf.prefix_length && end < leaf.term.size(); ++i) {
    end += CharacterBytes(leaf.term, end);
  }
  common_prefix_ = leaf.term.substr(0, end);
  rest_ = Characters(std::string_view(leaf.term).substr(end));
}

bool TermExpander::Matches(std::string_view text) const {
  if (!text.starts_with(common_prefix_)) return false;
  return !fuzzy_ || MatchesFuzzy(text.substr(common_prefix_.size()));
}

// One row of distances after the other, only within `max_edits_` of the diagonal, until all
// of a row are too far.
bool TermExpander::MatchesFuzzy(std::string_view text) const {
  const size_t n = rest_.size();
  // A character has one to four bytes.
  if (text.size() + max_edits_ < n || text.size() > 4 * (n + max_edits_)) return false;
  const std::u32string other = Characters(text);
  const size_t m = other.size();
  if (m > n + max_edits_ || n > m + max_edits_) return false;
  const size_t far = max_edits_ + 1;
  std::vector<size_t> row(n + 1), next(n + 1);
  for (size_t j = 0; j <= n; ++j) row[j] = std::min(j, far);
  for (size_t i = 1; i <= m; ++i) {
    std::fill(next.begin(), next.end(), far);
    const size_t begin = i > max_edits_ ? i - max_edits_ : 0;
    const size_t end = std::min(n, i + max_edits_);
    size_t least = far;
    for (size_t j = begin; j <= end; ++j) {
      size_t distance = std::min(row[j] + 1, far);
      if (j == 0) distance = std::min(i, far);
      if (j > 0) {
        distance = std::min({distance, next[j - 1] + 1, row[j - 1] + (other[i - 1] != rest_[j - 1])});
      }
      next[j] = distance;
      least = std::min(least, distance);
    }
    if (least == far) return false;
    std::swap(row, next);
  }
  return row[n] <= max_edits_;
}

absl::Status TooManyExpansions(const AnalyzedQuery& leaf, size_t limit) {
  const bool fuzzy = leaf.kind == AnalyzedQuery::Kind::kFuzzy;
  return LimitExceeded(
      "text", "'" + leaf.term + (fuzzy ? "~'" : "*'") + " stands for more than " +
                  std::to_string(limit) + " words",
      fuzzy ? "Ask for fewer edits, or for more letters to be right." : "Give more letters.");
}

}  // namespace cookix::engine
