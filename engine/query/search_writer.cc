#include "engine/query/search_writer.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "engine/query/query_source.h"
#include "engine/query/search_lexer.h"
#include "engine/query/search_words.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::string_view kNothing = "<nothing>";

std::string Quoted(std::string_view text, char quote) {
  std::string out(1, quote);
  for (const char c : text) out.append(c == quote ? 2 : 1, c);
  return out + quote;
}

std::string WriteLiteral(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kBoolValue:
      return value.bool_value() ? "TRUE" : "FALSE";
    case v1::Value::kIntValue:
      return std::to_string(value.int_value());
    case v1::Value::kDoubleValue:
      return WriteDouble(value.double_value());
    case v1::Value::kStringValue:
      return WriteText(value.string_value());
    case v1::Value::kBytesValue:
      return "x'" + absl::BytesToHexString(value.bytes_value()) + "'";
    default:
      return std::string(kNothing);
  }
}

std::string WritePrefix(std::string_view prefix) {
  std::string pattern;
  for (const char c : prefix) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return WriteText(pattern + '%');
}

std::string WriteComparison(const v1::Comparison& comparison) {
  const std::string field = WriteName(comparison.field());
  const v1::Value& value = comparison.value();
  if (comparison.op() == v1::COMPARISON_OPERATOR_PREFIX) {
    return field + " LIKE " + WritePrefix(value.string_value());
  }
  const std::string word(WordFor(kSearchOperators, comparison.op()));
  return word.empty() ? std::string(kNothing) : field + " " + word + " " + WriteLiteral(value);
}

std::string WriteMembership(const v1::Membership& membership) {
  std::string out = WriteName(membership.field()) + " IN (";
  for (int i = 0; i < membership.values_size(); ++i) {
    if (i > 0) out += ", ";
    out += WriteLiteral(membership.values(i));
  }
  return out + ")";
}

bool IsList(const v1::Filter& filter) { return filter.has_all() || filter.has_any(); }

std::string WriteOperand(const v1::Filter& filter) {
  return IsList(filter) ? "(" + WriteCondition(filter) + ")" : WriteCondition(filter);
}

std::string WriteOperands(const v1::FilterList& list, std::string_view word) {
  if (list.operands_size() == 0) return std::string(word == "AND" ? "<everything>" : kNothing);
  std::string out;
  for (const v1::Filter& operand : list.operands()) {
    if (!out.empty()) out += " " + std::string(word) + " ";
    out += WriteOperand(operand);
  }
  return out;
}

// Neither empty lists nor unset filters have a syntax.
bool CanWrite(const v1::Filter& filter) {
  switch (filter.expression_case()) {
    case v1::Filter::EXPRESSION_NOT_SET:
      return false;
    case v1::Filter::kNegation:
      return CanWrite(filter.negation());
    case v1::Filter::kAll:
    case v1::Filter::kAny: {
      const v1::FilterList& list = filter.has_all() ? filter.all() : filter.any();
      for (const v1::Filter& operand : list.operands()) {
        if (!CanWrite(operand)) return false;
      }
      return list.operands_size() > 0;
    }
    default:
      return true;
  }
}

std::string WriteNames(const Names& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ", ";
    out += WriteName(name);
  }
  return out;
}

// Writes clause by clause; `good_` is false as soon as one cannot be written.
class SearchWriter {
 public:
  std::optional<std::string> Write(const v1::BuilderQuery& query) {
    out_ = "SEARCH " + WriteName(query.collection().empty() ? "default" : query.collection());
    if (query.has_search()) WriteSeed(query.search());
    WriteKeys(query.keys());
    if (query.has_where()) WriteWhere(query.where());
    for (const v1::FollowStep& step : query.follow()) WriteFollow(step);
    WriteResult(query);
    // The grammar has no way to write it.
    if (out_.find('\0') != std::string::npos) good_ = false;
    return good_ ? std::optional(std::move(out_)) : std::nullopt;
  }

 private:
  void WriteSeed(const v1::SeedSearch& search) {
    if (search.lanes_size() > 0 || search.has_snippets()) good_ = false;
    if (search.has_text()) WriteWords(search.text());
    if (search.has_vector()) WriteNear(search.vector());
    if (search.has_fusion()) {
      v1::Fusion rest = search.fusion();
      rest.clear_alpha();
      if (rest.ByteSizeLong() > 0) good_ = false;
      if (search.fusion().has_alpha()) out_ += " ALPHA " + Number(search.fusion().alpha());
    }
    if (search.limit() > 0) out_ += " TOP " + std::to_string(search.limit());
    if (search.has_min_score()) out_ += " MIN SCORE " + Number(search.min_score());
  }

  void WriteWords(const v1::TextQuery& text) {
    if (!text.boosts().empty()) good_ = false;
    WriteWord(kSearchModes, text.mode());
    out_ += " " + WriteText(text.text());
    if (text.fields_size() > 0) out_ += " IN " + WriteNames(text.fields());
  }

  void WriteNear(const v1::VectorQuery& vector) {
    v1::VectorQuery rest = vector;
    rest.clear_target();
    rest.clear_field();
    rest.clear_exact();
    if (rest.ByteSizeLong() > 0) good_ = false;
    if (vector.has_key()) {
      out_ += " NEAR KEY " + WriteText(vector.key());
    } else {
      if (vector.vector().indices_size() > 0 || vector.vector().values_size() == 0 ||
          !vector.vector().bits().empty()) {
        good_ = false;
      }
      out_ += " NEAR VECTOR [";
      for (int i = 0; i < vector.vector().values_size(); ++i) {
        const float value = vector.vector().values(i);
        if (!std::isfinite(value)) good_ = false;
        if (i > 0) out_ += ", ";
        out_ += WriteFloat(value);
      }
      out_ += "]";
    }
    if (!vector.field().empty()) out_ += " IN " + WriteName(vector.field());
    if (vector.exact()) out_ += " EXACT";
  }

  void WriteKeys(const Names& keys) {
    for (int i = 0; i < keys.size(); ++i) out_ += (i == 0 ? " KEYS (" : ", ") + WriteText(keys[i]);
    if (!keys.empty()) out_ += ")";
  }

  void WriteWhere(const v1::Filter& filter) {
    if (!CanWrite(filter)) good_ = false;
    out_ += " WHERE " + WriteCondition(filter);
  }

  void WriteFollow(const v1::FollowStep& step) {
    out_ += " FOLLOW " + (step.relations_size() == 0 ? "*" : WriteNames(step.relations()));
    WriteWord(kSearchDirections, step.direction());
    if (step.max_hops() > 0) out_ += " HOPS " + std::to_string(step.max_hops());
    if (step.follow_inverses()) out_ += " INVERSES";
    if (step.has_where()) WriteWhere(step.where());
  }

  void WriteResult(const v1::BuilderQuery& query) {
    if (query.valid_at_ms() > 0) out_ += " AT " + std::to_string(query.valid_at_ms());
    std::string items;
    const auto add = [&items](const std::string& item) {
      items += (items.empty() ? " RETURN " : ", ") + item;
    };
    for (const std::string& name : query.select()) add(name == "*" ? name : WriteName(name));
    for (const v1::Aggregate& aggregate : query.aggregates()) add(WriteAggregate(aggregate));
    out_ += items;
    if (query.group_by_size() > 0) out_ += " GROUP BY " + WriteNames(query.group_by());
    for (int i = 0; i < query.order_by_size(); ++i) {
      out_ += (i == 0 ? " ORDER BY " : ", ") + WriteOrder(query.order_by(i));
    }
    if (query.limit() > 0) out_ += " LIMIT " + std::to_string(query.limit());
    if (query.offset() > 0) out_ += " OFFSET " + std::to_string(query.offset());
  }

  // Nothing for what is left unspecified.
  template <typename Words, typename Meaning>
  void WriteWord(const Words& words, Meaning meaning) {
    if (meaning == Meaning{}) return;
    const std::string_view word = WordFor(words, meaning);
    if (word.empty()) good_ = false;
    out_ += " " + std::string(word);
  }

  std::string Number(double value) {
    if (!std::isfinite(value)) good_ = false;
    return WriteDouble(value);
  }

  std::string out_;
  bool good_ = true;
};

}  // namespace

std::optional<std::string> WriteSearch(const v1::BuilderQuery& query) {
  return SearchWriter().Write(query);
}

std::string WriteCondition(const v1::Filter& filter) {
  switch (filter.expression_case()) {
    case v1::Filter::kAll:
      return WriteOperands(filter.all(), "AND");
    case v1::Filter::kAny:
      return WriteOperands(filter.any(), "OR");
    case v1::Filter::kNegation:
      if (filter.negation().has_existence()) {
        return WriteName(filter.negation().existence().field()) + " IS NULL";
      }
      return "NOT " + WriteOperand(filter.negation());
    case v1::Filter::kComparison:
      return WriteComparison(filter.comparison());
    case v1::Filter::kMembership:
      return WriteMembership(filter.membership());
    case v1::Filter::kExistence:
      return WriteName(filter.existence().field()) + " IS NOT NULL";
    case v1::Filter::EXPRESSION_NOT_SET:
      break;
  }
  return "<everything>";
}

std::string WriteName(std::string_view name) {
  // NOT would begin a condition.
  const bool bare = IsBareName(name) && !absl::EqualsIgnoreCase(ToAbsl(name), "NOT");
  return bare ? std::string(name) : Quoted(name, '"');
}

std::string WriteText(std::string_view text) { return Quoted(text, '\''); }

std::string WriteAggregate(const v1::Aggregate& aggregate) {
  std::string out(WordFor(kSearchFunctions, aggregate.function()));
  out += "(" + (aggregate.field().empty() ? "*" : WriteName(aggregate.field())) + ")";
  if (!aggregate.name().empty()) out += " AS " + WriteName(aggregate.name());
  return out;
}

std::string WriteOrder(const v1::OrderField& order) {
  return WriteName(order.field()) + (order.descending() ? " DESC" : "");
}

}  // namespace cookix::engine
