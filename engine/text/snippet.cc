#include "engine/text/snippet.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

namespace cookix::engine {

SnippetMatcher::SnippetMatcher(const AnalyzedQuery& query, uint32_t field) { Add(query, field); }

void SnippetMatcher::Add(const AnalyzedQuery& query, uint32_t field) {
  for (const AnalyzedQuery& child : query.children) Add(child, field);
  if (query.field != field) return;
  switch (query.kind) {
    case AnalyzedQuery::Kind::kTerm:
      terms_.insert(query.term);
      break;
    case AnalyzedQuery::Kind::kPhrase:
      phrases_.push_back(query);
      break;
    case AnalyzedQuery::Kind::kPrefix:
      prefixes_.push_back(query.term);
      break;
    case AnalyzedQuery::Kind::kFuzzy:
      fuzzy_.push_back(query);
      break;
    case AnalyzedQuery::Kind::kNothing:
    case AnalyzedQuery::Kind::kAnd:
    case AnalyzedQuery::Kind::kOr:
      break;
  }
}

// The words of a text, and those of them that a matcher marks. Words are counted from
// 0, and so numbered by their position.
class MatchFinder {
 public:
  using Range = SnippetFragment::Range;

  // A word that is marked, and which term it is.
  struct Mark {
    size_t word;
    uint32_t term;
  };

  MatchFinder(std::string_view text, const Analyzer& analyzer, const SnippetMatcher& matcher)
      : matcher_(matcher) {
    for (const std::string& term : matcher.terms_) TermNumber(term, true);
    for (const AnalyzedQuery& phrase : matcher.phrases_) {
      for (const auto& word : phrase.phrase) TermNumber(word.term, false);
    }
    analyzer.AnalyzeAllWords(text, [&](const Token& token) { AddWord(token); });
    for (const AnalyzedQuery& phrase : matcher.phrases_) MarkPhrase(phrase);
    SortMarks();
  }

  const std::vector<Range>& words() const { return words_; }
  // Ascending by word, each once.
  const std::vector<Mark>& marks() const { return marks_; }
  // Ascending, apart from each other.
  const std::vector<Range>& highlights() const { return highlights_; }

 private:
  static constexpr uint32_t kNoTerm = UINT32_MAX;

  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  uint32_t TermNumber(std::string_view term, bool alone) {
    const auto number = static_cast<uint32_t>(marked_alone_.size());
    const auto [place, is_new] = terms_.try_emplace(std::string(term), number);
    if (is_new) {
      marked_alone_.push_back(alone);
    } else if (alone) {
      marked_alone_[place->second] = true;
    }
    return place->second;
  }

  bool HasPrefix(std::string_view term) const {
    return std::any_of(matcher_.prefixes_.begin(), matcher_.prefixes_.end(),
                       [&](const std::string& prefix) { return term.starts_with(prefix); });
  }

  void AddWord(const Token& token) {
    uint32_t number = kNoTerm;
    if (!token.term.empty()) {
      if (HasPrefix(token.term)) {
        number = TermNumber(token.term, true);
      } else if (const auto known = terms_.find(token.term); known != terms_.end()) {
        number = known->second;
      }
    }
    if (number != kNoTerm && marked_alone_[number]) {
      marks_.push_back({words_.size(), number});
      highlights_.push_back({token.begin, token.end});
    }
    words_.push_back({token.begin, token.end});
    numbers_.push_back(number);
  }

  void MarkPhrase(const AnalyzedQuery& phrase) {
    std::vector<uint32_t> wanted;
    for (const auto& word : phrase.phrase) wanted.push_back(terms_.find(word.term)->second);
    std::vector<size_t> found;
    for (size_t first = 0; first < words_.size(); ++first) {
      if (numbers_[first] != wanted[0] || !FindPhrase(phrase, wanted, first, &found)) continue;
      for (const size_t word : found) {
        marks_.push_back({word, numbers_[word]});
        highlights_.push_back(words_[word]);
      }
      // Words in their places are marked as one.
      if (phrase.slop == 0) {
        highlights_.push_back({words_[found.front()].begin, words_[found.back()].end});
      }
    }
  }

  // Finds each word of the phrase nearest to where it belongs; together they may be
  // out of place by the phrase's slop.
  bool FindPhrase(const AnalyzedQuery& phrase, const std::vector<uint32_t>& wanted, size_t first,
                  std::vector<size_t>* found) const {
    found->assign(1, first);
    size_t slop = phrase.slop;
    for (size_t i = 1; i < wanted.size(); ++i) {
      const size_t place = first + phrase.phrase[i].offset;
      const auto nearest = NearestWord(wanted[i], place, slop);
      if (!nearest.has_value()) return false;
      slop -= *nearest > place ? *nearest - place : place - *nearest;
      found->push_back(*nearest);
    }
    return true;
  }

  std::optional<size_t> NearestWord(uint32_t term, size_t place, size_t reach) const {
    for (size_t distance = 0; distance <= reach; ++distance) {
      if (place + distance < numbers_.size() && numbers_[place + distance] == term) {
        return place + distance;
      }
      if (distance <= place && place - distance < numbers_.size() &&
          numbers_[place - distance] == term) {
        return place - distance;
      }
    }
    return std::nullopt;
  }

  void SortMarks() {
    std::sort(marks_.begin(), marks_.end(),
              [](const Mark& a, const Mark& b) { return a.word < b.word; });
    marks_.erase(std::unique(marks_.begin(), marks_.end(),
                             [](const Mark& a, const Mark& b) { return a.word == b.word; }),
                 marks_.end());
    std::sort(highlights_.begin(), highlights_.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    std::vector<Range> apart;
    for (const Range& range : highlights_) {
      if (!apart.empty() && range.begin < apart.back().end) {
        apart.back().end = std::max(apart.back().end, range.end);
      } else {
        apart.push_back(range);
      }
    }
    highlights_ = std::move(apart);
  }

  const SnippetMatcher& matcher_;
  std::unordered_map<std::string, uint32_t, StringHash, std::equal_to<>> terms_;
  std::vector<bool> marked_alone_;  // by term
  std::vector<Range> words_;
  std::vector<uint32_t> numbers_;  // by word: its term, or kNoTerm
  std::vector<Mark> marks_;
  std::vector<Range> highlights_;
};

namespace {

using Range = SnippetFragment::Range;
using Mark = MatchFinder::Mark;

// The words [begin, end) with most different terms, then most marks, then the earliest.
// Only windows that begin with a mark need be compared: any other can be moved there.
Range BestMarks(const std::vector<Mark>& marks, size_t window) {
  std::unordered_map<uint32_t, size_t> counts;
  std::pair<size_t, size_t> best_score;
  Range best;
  size_t end = 0;
  for (size_t begin = 0; begin < marks.size(); ++begin) {
    while (end < marks.size() && marks[end].word < marks[begin].word + window) {
      ++counts[marks[end++].term];
    }
    const std::pair score(counts.size(), end - begin);
    if (score > best_score) {
      best_score = score;
      best = {marks[begin].word, marks[end - 1].word + 1};
    }
    const auto leaving = counts.find(marks[begin].term);
    if (--leaving->second == 0) counts.erase(leaving);
  }
  return best;
}

// A window of up to `window` of all `words` with the marks in its middle.
Range Widen(const Range& marks, size_t window, size_t words) {
  const size_t slack = window - (marks.end - marks.begin);
  size_t begin = marks.begin - std::min(marks.begin, slack / 2);
  const size_t end = std::min(words, begin + window);
  begin = std::min(begin, end - std::min(end, window));
  return {begin, end};
}

// Windows of words, ascending, apart from each other.
std::vector<Range> ChooseWindows(const MatchFinder& matches, const SnippetOptions& options) {
  const size_t window = std::max<size_t>(options.max_tokens, 1);
  const size_t words = matches.words().size();
  std::vector<Mark> left = matches.marks();
  if (left.empty()) return {{0, std::min(window, words)}};
  std::vector<Range> chosen;
  while (!left.empty() && chosen.size() < std::max<size_t>(options.max_fragments, 1)) {
    // No chosen window lies among these marks: one narrower than `window` touches another.
    const Range marks = BestMarks(left, window);
    Range widened = Widen(marks, window, words);
    for (const Range& other : chosen) {
      if (other.end <= marks.begin) widened.begin = std::max(widened.begin, other.end);
      if (other.begin >= marks.end) widened.end = std::min(widened.end, other.begin);
    }
    chosen.push_back(widened);
    std::set<uint32_t> shown;
    for (const Mark& mark : matches.marks()) {
      if (mark.word >= widened.begin && mark.word < widened.end) shown.insert(mark.term);
    }
    std::erase_if(left, [&](const Mark& mark) { return shown.contains(mark.term); });
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  return chosen;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\n\v\f\r") == std::string_view::npos;
}

// The bytes of a window, with what stands before the first and behind the last word of
// the text when that is short.
SnippetFragment MakeFragment(std::string_view text, const std::vector<Range>& words,
                             const Range& window) {
  constexpr size_t kShort = 16;
  SnippetFragment fragment;
  fragment.source = {words[window.begin].begin, words[window.end - 1].end};
  fragment.cut_before = window.begin > 0;
  fragment.cut_after = window.end < words.size();
  if (!fragment.cut_before) {
    const std::string_view before = text.substr(0, fragment.source.begin);
    const size_t begin = before.find_first_not_of(" \t\n\v\f\r");
    fragment.cut_before = !IsBlank(before) && before.size() - begin > kShort;
    if (!IsBlank(before) && !fragment.cut_before) fragment.source.begin = begin;
  }
  if (!fragment.cut_after) {
    const std::string_view after = text.substr(fragment.source.end);
    const size_t size = IsBlank(after) ? 0 : after.find_last_not_of(" \t\n\v\f\r") + 1;
    fragment.cut_after = size > kShort;
    if (!fragment.cut_after) fragment.source.end += size;
  }
  return fragment;
}

// Makes the fragment as short as it may be: from its beginning, or from the first
// highlight when that would not be seen; to the end of a word, or of a character.
void Shorten(std::string_view text, const std::vector<Range>& words, const Range& window,
             const std::vector<Range>& highlights, size_t max_bytes, SnippetFragment* fragment) {
  Range& source = fragment->source;
  if (source.end - source.begin <= max_bytes) return;
  const auto first =
      std::find_if(highlights.begin(), highlights.end(),
                   [&](const Range& highlight) { return highlight.begin >= source.begin; });
  if (first != highlights.end() && first->begin < source.end &&
      first->end > source.begin + max_bytes) {
    fragment->cut_before |= first->begin > source.begin;
    source.begin = first->begin;
    if (source.end - source.begin <= max_bytes) return;
  }
  fragment->cut_after = true;
  size_t end = source.begin + max_bytes;
  while (end > source.begin && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  source.end = end;
  for (size_t word = window.begin; word < window.end; ++word) {
    if (words[word].end > source.begin && words[word].end <= end) source.end = words[word].end;
  }
}

void AddHighlights(const std::vector<Range>& highlights, SnippetFragment* fragment) {
  for (const Range& highlight : highlights) {
    const Range inside = {std::max(highlight.begin, fragment->source.begin),
                          std::min(highlight.end, fragment->source.end)};
    if (inside.begin < inside.end) fragment->highlights.push_back(inside);
  }
}

}  // namespace

std::vector<SnippetFragment> MakeSnippet(std::string_view text, const Analyzer& analyzer,
                                         const SnippetMatcher& matcher,
                                         const SnippetOptions& options) {
  const MatchFinder matches(text, analyzer, matcher);
  std::vector<SnippetFragment> fragments;
  if (matches.words().empty()) return fragments;
  const size_t max_bytes = std::max<size_t>(options.max_bytes, 16);
  for (const Range& window : ChooseWindows(matches, options)) {
    SnippetFragment fragment = MakeFragment(text, matches.words(), window);
    Shorten(text, matches.words(), window, matches.highlights(), max_bytes, &fragment);
    AddHighlights(matches.highlights(), &fragment);
    fragments.push_back(std::move(fragment));
  }
  return fragments;
}

std::string RenderSnippet(std::string_view text, const std::vector<SnippetFragment>& fragments,
                          std::string_view open, std::string_view close,
                          std::string_view ellipsis) {
  std::string out;
  for (const SnippetFragment& fragment : fragments) {
    if (fragment.cut_before && out.empty()) out += ellipsis;
    size_t at = fragment.source.begin;
    for (const Range& highlight : fragment.highlights) {
      out.append(text, at, highlight.begin - at);
      out.append(open).append(text, highlight.begin, highlight.end - highlight.begin);
      out.append(close);
      at = highlight.end;
    }
    out.append(text, at, fragment.source.end - at);
    if (fragment.cut_after) out += ellipsis;
  }
  return out;
}

}  // namespace cookix::engine
