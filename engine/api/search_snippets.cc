#include "engine/api/search_snippets.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/text/term_expander.h"
#include "engine/text/text_field.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

constexpr size_t kDefaultWords = 10;
constexpr size_t kDefaultSnippets = 1;
// More than words usually have, so that only a text of long ones is cut before.
constexpr size_t kBytesPerWord = 64;

// The fields that a query looks into; not those that only exclude.
void CollectFields(const AnalyzedQuery& query, std::set<uint32_t>* fields) {
  using Kind = AnalyzedQuery::Kind;
  if (query.kind == Kind::kNothing) return;
  if (query.kind != Kind::kAnd && query.kind != Kind::kOr) fields->insert(query.field);
  for (const AnalyzedQuery& part : query.children) CollectFields(part, fields);
}

// The terms that the matcher's own fuzzy words stand for: not those of other fields, nor
// those of what is excluded.
void AddFuzzyTerms(const std::vector<const TextLane*>& lanes, SnippetMatcher* matcher) {
  for (const AnalyzedQuery& word : matcher->fuzzy()) {
    const TermExpander expander(word);
    for (const TextLane* lane : lanes) {
      for (const std::string& term : lane->expansions()) {
        if (expander.Matches(term)) matcher->AddTerm(term);
      }
    }
  }
}

// Of the fields of a collection, by number, those that snippets are made of.
absl::StatusOr<std::set<uint32_t>> ChosenFields(const std::vector<const TextLane*>& lanes,
                                                const v1::SnippetOptions& options,
                                                const std::string& prefix) {
  const std::vector<TextQueryField>& known = lanes.front()->fields();
  std::set<uint32_t> chosen;
  for (int i = 0; i < options.fields_size(); ++i) {
    const auto field = std::find_if(known.begin(), known.end(), [&](const TextQueryField& each) {
      return each.name == options.fields(i);
    });
    if (field == known.end()) {
      return NotFound("FIELD_NOT_FOUND", absl::StrCat(prefix, "snippets.fields[", i, "]"),
                      absl::StrCat("the collection has no text field \"", options.fields(i), "\""),
                      "Name a text field that GetCollection shows");
    }
    chosen.insert(static_cast<uint32_t>(field - known.begin()));
  }
  if (!chosen.empty()) return chosen;
  for (const TextLane* lane : lanes) CollectFields(lane->query(), &chosen);
  if (!chosen.empty()) return chosen;
  // No words are left of the query: what another lane finds still shows its texts.
  for (const TextLane* lane : lanes) {
    for (uint32_t i = 0; i < known.size(); ++i) {
      if (lane->fields()[i].by_default) chosen.insert(i);
    }
  }
  return chosen;
}

}  // namespace

absl::Status SnippetMaker::Check(const std::vector<const TextLane*>& lanes,
                                 const v1::SnippetOptions& options, const std::string& prefix) {
  return ChosenFields(lanes, options, prefix).status();
}

absl::StatusOr<SnippetMaker> SnippetMaker::Make(const LaneScope& scope,
                                                const std::vector<const TextLane*>& lanes,
                                                const v1::SnippetOptions& options,
                                                const std::string& prefix) {
  const v1::Collection& collection = scope.collection.record.collection();
  const std::vector<TextQueryField>& known = lanes.front()->fields();
  const AnalyzedQuery query = AnyOf(lanes);
  COOKIX_ASSIGN_OR_RETURN(const std::set<uint32_t> chosen, ChosenFields(lanes, options, prefix));
  SnippetMaker maker;
  for (const uint32_t number : chosen) {
    Field& field = maker.fields_.emplace_back();
    field.definition = &collection.text_fields(static_cast<int>(number));
    field.analyzer = known[number].analyzer;
    field.matcher = SnippetMatcher(query, number);
    AddFuzzyTerms(lanes, &field.matcher);
  }
  maker.options_.max_tokens =
      options.max_words() == 0 ? kDefaultWords : static_cast<size_t>(options.max_words());
  maker.options_.max_bytes =
      std::max(maker.options_.max_bytes, kBytesPerWord * maker.options_.max_tokens);
  maker.options_.max_fragments =
      options.max_snippets() == 0 ? kDefaultSnippets : static_cast<size_t>(options.max_snippets());
  return maker;
}

void SnippetMaker::Fill(const internal::v1::ObjectRecord& record, v1::Hit* hit) const {
  for (const Field& field : fields_) {
    // Of a list of texts those elements are shown that have words searched for, or else the
    // first.
    size_t left = options_.max_fragments;
    std::string_view first;
    std::vector<SnippetFragment> of_first;
    bool shown = false;
    ForEachText(record, *field.definition, [&](std::string_view text) {
      if (left == 0) return;
      SnippetOptions options = options_;
      options.max_fragments = left;
      std::vector<SnippetFragment> fragments =
          MakeSnippet(text, *field.analyzer, field.matcher, options);
      if (fragments.empty()) return;
      if (fragments.front().highlights.empty()) {
        if (of_first.empty()) {
          first = text;
          of_first = std::move(fragments);
        }
        return;
      }
      Add(field, text, fragments, hit);
      left -= fragments.size();
      shown = true;
    });
    if (!shown) Add(field, first, of_first, hit);
  }
}

void SnippetMaker::Add(const Field& field, std::string_view text,
                       const std::vector<SnippetFragment>& fragments, v1::Hit* hit) const {
  for (const SnippetFragment& fragment : fragments) {
    v1::Snippet* snippet = hit->add_snippets();
    ++made_;
    const auto [begin, end] = fragment.source;
    snippet->set_field(field.definition->name());
    snippet->set_text(std::string(text.substr(begin, end - begin)));
    for (const SnippetFragment::Range& range : fragment.highlights) {
      v1::ByteRange* highlight = snippet->add_highlights();
      highlight->set_begin(static_cast<int32_t>(range.begin - begin));
      highlight->set_end(static_cast<int32_t>(range.end - begin));
    }
    snippet->set_offset(static_cast<int64_t>(begin));
    snippet->set_cut_before(fragment.cut_before);
    snippet->set_cut_after(fragment.cut_after);
  }
}

}  // namespace cookix::engine
