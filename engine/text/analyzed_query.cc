#include "engine/text/analyzed_query.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = AnalyzedQuery::Kind;

constexpr double kLeastBoost = 1e-12;
constexpr double kGreatestBoost = 1e12;

// All of a query but its boosts: what it asks for.
std::string KeyOf(const AnalyzedQuery& query) {
  std::string key;
  const auto add = [&](std::string_view part) { key.append(part).push_back('\0'); };
  add(std::to_string(static_cast<int>(query.kind)));
  add(std::to_string(query.field));
  add(query.term);
  for (const AnalyzedQuery::PhraseWord& word : query.phrase) {
    add(word.term);
    add(std::to_string(word.offset));
  }
  add(std::to_string(query.slop));
  add(std::to_string(query.max_edits));
  add(std::to_string(query.prefix_length));
  for (const AnalyzedQuery& child : query.children) key += "(" + KeyOf(child) + ")";
  for (const AnalyzedQuery& child : query.excluded) key += "[" + KeyOf(child) + "]";
  return key;
}

// REQUIRES: both ask for the same.
void AddBoosts(const AnalyzedQuery& from, AnalyzedQuery* to) {
  to->boost += from.boost;
  for (size_t i = 0; i < from.children.size(); ++i) {
    AddBoosts(from.children[i], &to->children[i]);
  }
}

// Joins queries that ask for the same.
void MergeEqual(std::vector<AnalyzedQuery>* queries) {
  std::map<std::string, size_t> places;
  std::vector<AnalyzedQuery> merged;
  for (AnalyzedQuery& query : *queries) {
    const auto [place, is_new] = places.emplace(KeyOf(query), merged.size());
    if (is_new) {
      merged.push_back(std::move(query));
    } else {
      AddBoosts(query, &merged[place->second]);
    }
  }
  *queries = std::move(merged);
}

// Any of the queries. Those that find nothing are left out.
AnalyzedQuery AnyOf(std::vector<AnalyzedQuery> queries) {
  AnalyzedQuery any{.kind = Kind::kOr};
  for (AnalyzedQuery& query : queries) {
    if (query.kind == Kind::kNothing) continue;
    if (query.kind == Kind::kOr) {
      std::move(query.children.begin(), query.children.end(), std::back_inserter(any.children));
    } else {
      any.children.push_back(std::move(query));
    }
  }
  MergeEqual(&any.children);
  if (any.children.empty()) return {};
  return any.children.size() == 1 ? std::move(any.children[0]) : std::move(any);
}

// All of `queries`, none of which is kNothing, and none of `excluded`.
AnalyzedQuery AllOf(std::vector<AnalyzedQuery> queries, std::vector<AnalyzedQuery> excluded) {
  if (queries.empty()) return {};
  AnalyzedQuery all{.kind = Kind::kAnd};
  for (AnalyzedQuery& query : queries) {
    if (query.kind == Kind::kAnd) {
      std::move(query.children.begin(), query.children.end(), std::back_inserter(all.children));
      std::move(query.excluded.begin(), query.excluded.end(), std::back_inserter(all.excluded));
    } else {
      all.children.push_back(std::move(query));
    }
  }
  for (AnalyzedQuery& query : excluded) {
    if (query.kind == Kind::kOr) {
      std::move(query.children.begin(), query.children.end(), std::back_inserter(all.excluded));
    } else if (query.kind != Kind::kNothing) {
      all.excluded.push_back(std::move(query));
    }
  }
  MergeEqual(&all.children);
  MergeEqual(&all.excluded);
  return all.children.size() == 1 && all.excluded.empty() ? std::move(all.children[0])
                                                          : std::move(all);
}

// A part of a query after analysis.
struct Part {
  AnalyzedQuery query;
  // It vanished in one of its fields.
  bool vanished = false;
};

class QueryAnalyzer {
 public:
  QueryAnalyzer(std::span<const TextQueryField> fields, const TextQueryLimits& limits,
                std::string_view request_field)
      : fields_(fields), limits_(limits), request_field_(request_field) {}

  absl::StatusOr<Part> Analyze(const TextQuery& query, double boost, size_t depth) {
    // Parentheses make at most three nodes of the tree.
    if (depth > 3 * (limits_.max_depth + 1)) {
      return LimitExceeded(request_field_, "the query is nested too deeply",
                           "Use at most " + std::to_string(limits_.max_depth) + " levels.");
    }
    boost *= query.boost;
    switch (query.kind) {
      case TextQuery::Kind::kNothing:
      case TextQuery::Kind::kNot:
        return Part{.vanished = true};
      case TextQuery::Kind::kAnd:
        return AnalyzeAnd(query, boost, depth);
      case TextQuery::Kind::kOr:
        return AnalyzeOr(query, boost, depth);
      case TextQuery::Kind::kAnyWords:
      case TextQuery::Kind::kAllWords:
        return AnalyzeWords(query, boost);
      case TextQuery::Kind::kTerm:
      case TextQuery::Kind::kPhrase:
      case TextQuery::Kind::kPrefix:
      case TextQuery::Kind::kFuzzy:
        break;
    }
    return AnalyzeLeaf(query, boost);
  }

 private:
  struct Word {
    std::string term;
    uint32_t position;
    uint32_t begin;
  };

  absl::StatusOr<Part> AnalyzeOr(const TextQuery& query, double boost, size_t depth) {
    std::vector<AnalyzedQuery> queries;
    bool vanished = true;
    for (const TextQuery& child : query.children) {
      COOKIX_ASSIGN_OR_RETURN(Part part, Analyze(child, boost, depth + 1));
      vanished &= part.vanished;
      queries.push_back(std::move(part.query));
    }
    return Part{AnyOf(std::move(queries)), vanished};
  }

  absl::StatusOr<Part> AnalyzeAnd(const TextQuery& query, double boost, size_t depth) {
    std::vector<Part> parts;
    std::vector<AnalyzedQuery> excluded;
    for (const TextQuery& child : query.children) {
      if (child.kind != TextQuery::Kind::kNot) {
        COOKIX_ASSIGN_OR_RETURN(parts.emplace_back(), Analyze(child, boost, depth + 1));
        continue;
      }
      for (const TextQuery& unwanted : child.children) {
        COOKIX_ASSIGN_OR_RETURN(Part part, Analyze(unwanted, 1, depth + 1));
        excluded.push_back(std::move(part.query));
      }
    }
    return AllParts(std::move(parts), std::move(excluded));
  }

  // Of parts that vanished in one of their fields, none is asked for unless all are such.
  Part AllParts(std::vector<Part> parts, std::vector<AnalyzedQuery> excluded) {
    std::erase_if(parts, [](const Part& part) { return part.query.kind == Kind::kNothing; });
    const bool all_vanished =
        std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.vanished; });
    std::vector<AnalyzedQuery> queries;
    for (Part& part : parts) {
      if (all_vanished || !part.vanished) queries.push_back(std::move(part.query));
    }
    return {AllOf(std::move(queries), std::move(excluded)), all_vanished};
  }

  // A user's text: its words one by one, each in any of the fields. Analyzers agree on
  // where words are, so the position tells which words of two fields are the same.
  absl::StatusOr<Part> AnalyzeWords(const TextQuery& query, double boost) {
    COOKIX_ASSIGN_OR_RETURN(const std::vector<uint32_t> fields, FieldsOf(query));
    std::map<uint32_t, std::vector<AnalyzedQuery>> by_position;
    for (const uint32_t field : fields) {
      for (Word& word : WordsOf(query.text, field, false)) {
        COOKIX_ASSIGN_OR_RETURN(AnalyzedQuery term, MakeLeaf(Kind::kTerm, field, boost));
        term.term = std::move(word.term);
        by_position[word.position].push_back(std::move(term));
      }
    }
    std::vector<Part> parts;
    std::set<std::string> different;
    for (auto& [position, terms] : by_position) {
      const bool vanished = terms.size() < fields.size();
      parts.push_back({AnyOf(std::move(terms)), vanished});
      different.insert(KeyOf(parts.back().query));
    }
    COOKIX_RETURN_IF_ERROR(CountTerms(different.size()));
    if (query.kind == TextQuery::Kind::kAllWords) return AllParts(std::move(parts), {});
    std::vector<AnalyzedQuery> queries;
    for (Part& part : parts) queries.push_back(std::move(part.query));
    const bool vanished = queries.empty();
    return Part{AnyOf(std::move(queries)), vanished};
  }

  absl::StatusOr<Part> AnalyzeLeaf(const TextQuery& query, double boost) {
    COOKIX_ASSIGN_OR_RETURN(const std::vector<uint32_t> fields, FieldsOf(query));
    std::vector<AnalyzedQuery> queries;
    bool vanished = false;
    size_t most_terms = 0;
    for (const uint32_t field : fields) {
      size_t terms = 0;
      const bool expands =
          query.kind == TextQuery::Kind::kPrefix || query.kind == TextQuery::Kind::kFuzzy;
      auto leaf = expands ? AnalyzeExpansion(query, field, boost, &terms)
                          : AnalyzePhrase(query, field, boost, &terms);
      COOKIX_RETURN_IF_ERROR(leaf.status());
      vanished |= leaf->kind == Kind::kNothing;
      most_terms = std::max(most_terms, terms);
      queries.push_back(*std::move(leaf));
    }
    COOKIX_RETURN_IF_ERROR(CountTerms(most_terms));
    return Part{AnyOf(std::move(queries)), vanished};
  }

  // A word, or words in their order.
  absl::StatusOr<AnalyzedQuery> AnalyzePhrase(const TextQuery& query, uint32_t field, double boost,
                                              size_t* terms) {
    std::vector<Word> words = WordsOf(query.text, field, false);
    *terms = words.size();
    if (words.empty()) return AnalyzedQuery();
    if (words.size() > limits_.max_phrase_tokens) {
      return LimitExceeded(request_field_,
                           "a phrase has " + std::to_string(words.size()) + " words",
                           "Use at most " + std::to_string(limits_.max_phrase_tokens) + ".");
    }
    if (words.size() == 1) {
      COOKIX_ASSIGN_OR_RETURN(AnalyzedQuery term, MakeLeaf(Kind::kTerm, field, boost));
      term.term = std::move(words[0].term);
      return term;
    }
    COOKIX_ASSIGN_OR_RETURN(AnalyzedQuery phrase, MakeLeaf(Kind::kPhrase, field, boost));
    phrase.slop = query.slop;
    for (Word& word : words) {
      phrase.phrase.push_back({std::move(word.term), word.position - words[0].position});
    }
    return phrase;
  }

  // A prefix or fuzzy word, of each word in its text; a prefix of the last one only.
  absl::StatusOr<AnalyzedQuery> AnalyzeExpansion(const TextQuery& query, uint32_t field,
                                                 double boost, size_t* terms) {
    std::vector<Word> words = WordsOf(query.text, field, true);
    *terms = words.size();
    std::vector<AnalyzedQuery> queries;
    const bool fuzzy = query.kind == TextQuery::Kind::kFuzzy;
    for (size_t i = 0; i < words.size(); ++i) {
      if (!fuzzy && i + 1 < words.size()) continue;
      COOKIX_ASSIGN_OR_RETURN(queries.emplace_back(),
                              MakeLeaf(fuzzy ? Kind::kFuzzy : Kind::kPrefix, field, boost));
      queries.back().term = std::move(words[i].term);
      queries.back().max_edits = query.max_edits;
      queries.back().prefix_length = query.prefix_length;
    }
    if (!fuzzy && words.size() > 1) {
      const std::string before = query.text.substr(0, words.back().begin);
      for (Word& word : WordsOf(before, field, false)) {
        COOKIX_ASSIGN_OR_RETURN(queries.emplace_back(), MakeLeaf(Kind::kTerm, field, boost));
        queries.back().term = std::move(word.term);
      }
    }
    return AllOf(std::move(queries), {});
  }

  std::vector<Word> WordsOf(std::string_view text, uint32_t field, bool unstemmed) const {
    std::vector<Word> words;
    const auto sink = [&](const Token& token) {
      words.push_back({std::string(token.term), token.position, token.begin});
    };
    const Analyzer& analyzer = *fields_[field].analyzer;
    if (unstemmed) {
      analyzer.AnalyzeUnstemmed(text, sink);
    } else {
      analyzer.Analyze(text, sink);
    }
    return words;
  }

  absl::StatusOr<std::vector<uint32_t>> FieldsOf(const TextQuery& query) const {
    if (query.text.size() > limits_.max_bytes) {
      return LimitExceeded(request_field_,
                           "the query has " + std::to_string(query.text.size()) + " bytes",
                           "Use at most " + std::to_string(limits_.max_bytes) + ".");
    }
    COOKIX_RETURN_IF_ERROR(ValidateText(query.text, request_field_));
    std::vector<uint32_t> found;
    for (uint32_t i = 0; i < fields_.size(); ++i) {
      const bool asked =
          query.field.empty() ? fields_[i].by_default : fields_[i].name == query.field;
      if (asked) found.push_back(i);
    }
    if (found.empty()) return NoSuchField(query);
    return found;
  }

  absl::Status NoSuchField(const TextQuery& query) const {
    if (query.field.empty()) {
      return InvalidField(request_field_, "no text field is searched by default",
                          "Name a field, such as title:word.");
    }
    std::string known;
    for (const TextQueryField& field : fields_) known += (known.empty() ? "" : ", ") + field.name;
    const std::optional<SourcePosition>& position = query.field_place.position;
    return InvalidField(
        request_field_,
        (position.has_value() ? ToString(*position) + ": " : "") + "there is no text field '" +
            query.field + "'",
        known.empty() ? "Give the collection a text field first." : "Use one of: " + known + ".");
  }

  absl::Status CountTerms(size_t terms) {
    terms_ += terms;
    if (terms_ <= limits_.max_terms) return absl::OkStatus();
    return LimitExceeded(request_field_,
                         "the query has more than " + std::to_string(limits_.max_terms) + " words",
                         "Ask for fewer words.");
  }

  absl::StatusOr<AnalyzedQuery> MakeLeaf(Kind kind, uint32_t field, double boost) const {
    boost *= fields_[field].boost;
    if (!(boost >= kLeastBoost && boost <= kGreatestBoost)) {
      return InvalidField(request_field_, "the boosts of a word multiply to beyond 1e-12 to 1e12",
                          "Use boosts nearer to 1.");
    }
    return AnalyzedQuery{.kind = kind, .field = field, .boost = boost};
  }

  const std::span<const TextQueryField> fields_;
  const TextQueryLimits& limits_;
  const std::string_view request_field_;
  size_t terms_ = 0;
};

void AppendLeaf(const AnalyzedQuery& query, std::span<const TextQueryField> fields,
                std::string* out) {
  *out += fields[query.field].name + ":";
  if (query.kind == Kind::kPhrase) {
    *out += '"';
    uint32_t next = 0;
    for (const AnalyzedQuery::PhraseWord& word : query.phrase) {
      for (; next < word.offset; ++next) *out += next == 0 ? "_" : " _";
      *out += (next++ == 0 ? "" : " ") + word.term;
    }
    *out += '"';
    if (query.slop > 0) *out += "~" + std::to_string(query.slop);
  } else {
    *out += query.term;
    if (query.kind == Kind::kPrefix) *out += "*";
    if (query.kind == Kind::kFuzzy) {
      *out += "~" + std::to_string(query.max_edits) + "/" + std::to_string(query.prefix_length);
    }
  }
  if (query.boost != 1) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "^%.6g", query.boost);
    *out += digits;
  }
}

void Append(const AnalyzedQuery& query, std::span<const TextQueryField> fields, std::string* out) {
  if (query.kind == Kind::kNothing) return;
  if (!query.inner()) {
    AppendLeaf(query, fields, out);
    return;
  }
  *out += '(';
  for (size_t i = 0; i < query.children.size(); ++i) {
    if (i > 0) *out += query.kind == Kind::kAnd ? " AND " : " OR ";
    Append(query.children[i], fields, out);
  }
  for (const AnalyzedQuery& unwanted : query.excluded) {
    *out += " NOT ";
    Append(unwanted, fields, out);
  }
  *out += ')';
}

}  // namespace

absl::StatusOr<AnalyzedQuery> AnalyzeQuery(const TextQuery& query,
                                           std::span<const TextQueryField> fields,
                                           const TextQueryLimits& limits,
                                           std::string_view request_field) {
  QueryAnalyzer analyzer(fields, limits, request_field);
  COOKIX_ASSIGN_OR_RETURN(Part part, analyzer.Analyze(query, 1, 0));
  return std::move(part.query);
}

std::string ToString(const AnalyzedQuery& query, std::span<const TextQueryField> fields) {
  std::string out;
  Append(query, fields, &out);
  return out;
}

}  // namespace cookix::engine
