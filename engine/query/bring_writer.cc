#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "engine/query/bring_query.h"
#include "engine/query/bring_words.h"
#include "engine/query/query_source.h"
#include "engine/query/search_lexer.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

// Writes value by value; `good_` is false as soon as one cannot be written. Blocks inside
// the document are written on one line, as blocks and never with attributes.
class BringWriter {
 public:
  std::optional<std::string> Write(const v1::BuilderQuery& query) {
    const std::string collection = query.collection().empty() ? "default" : query.collection();
    Line("keys", query.keys_size() > 0, List(query.keys()));
    if (query.has_search()) Search(query.search());
    Line("where", query.has_where(), Where(query.where()));
    for (const v1::FollowStep& step : query.follow()) Line("follow", true, Follow(step));
    Line("at", query.valid_at_ms() != 0, std::to_string(query.valid_at_ms()));
    Line("select", query.select_size() > 0, List(query.select()));
    Line("aggregates", query.aggregates_size() > 0,
         ListOf(query.aggregates(), [this](const auto& each) { return Aggregate(each); }));
    Line("group", query.group_by_size() > 0, List(query.group_by()));
    Line("order", query.order_by_size() > 0,
         ListOf(query.order_by(), [this](const auto& each) { return Order(each); }));
    Line("limit", query.limit() != 0, std::to_string(query.limit()));
    Line("offset", query.offset() != 0, std::to_string(query.offset()));
    std::string out = "bring " + Name(collection) + " {\n" + lines_ + "}\n";
    if (out.find('\0') != std::string::npos) good_ = false;
    return good_ ? std::optional(std::move(out)) : std::nullopt;
  }

 private:
  // The members of one block.
  class Block {
   public:
    Block& Add(std::string_view name, bool there, const std::string& value) {
      if (there) text_ += " " + std::string(name) + " = " + value;
      return *this;
    }
    std::string Text() const { return "{" + text_ + " }"; }

   private:
    std::string text_;
  };

  void Line(std::string_view name, bool there, const std::string& value) {
    if (there) lines_ += "  " + std::string(name) + " = " + value + "\n";
  }

  static std::string Text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (c == '\n') {
        out += "\\n";
      } else if (c == '\r') {
        out += "\\r";
      } else {
        out += c;
      }
    }
    return out + '"';
  }

  static std::string Name(std::string_view name) {
    return IsBareName(name) ? std::string(name) : Text(name);
  }
  // In a condition, some bare names have a meaning.
  static std::string FieldName(const std::string& name) {
    return name == "all" || name == "any" || name == "not" ? Text(name) : Name(name);
  }

  std::string Number(double value) {
    if (!std::isfinite(value)) good_ = false;
    return WriteDouble(value);
  }
  static std::string Flag(bool flag) { return flag ? "true" : "false"; }

  template <typename List, typename WriteOne>
  static std::string ListOf(const List& list, WriteOne&& write) {
    std::string out;
    for (const auto& each : list) {
      if (!out.empty()) out += ", ";
      out += write(each);
    }
    return "[" + out + "]";
  }
  static std::string List(const Texts& texts) { return ListOf(texts, Text); }

  template <typename Words, typename Meaning>
  std::string Word(const Words& words, Meaning meaning) {
    const std::string_view word = WordFor(words, meaning);
    if (word.empty() && meaning != Meaning{}) good_ = false;
    return Text(word);
  }

  void Search(const v1::SeedSearch& search) {
    Line("search", search.has_text(), Words(search.text()));
    Line("near", search.has_vector(), search.has_vector() ? Near(search.vector()) : "");
    Line("lanes", search.lanes_size() > 0,
         ListOf(search.lanes(), [this](const auto& each) { return Lane(each); }));
    Line("fusion", search.has_fusion(), Fusion(search.fusion()));
    Line("top", search.limit() != 0, std::to_string(search.limit()));
    Line("min_score", search.has_min_score(),
         search.has_min_score() ? Number(search.min_score()) : "");
    Line("snippets", search.has_snippets(), Snippets(search.snippets()));
  }

  std::string Words(const v1::TextQuery& text) {
    std::vector<std::pair<std::string, double>> boosts(text.boosts().begin(), text.boosts().end());
    std::sort(boosts.begin(), boosts.end());
    Block boost_block;
    for (const auto& [field, boost] : boosts) boost_block.Add(Name(field), true, Number(boost));
    return Block()
        .Add("text", true, Text(text.text()))
        .Add("mode", text.mode() != 0, Word(kTextModes, text.mode()))
        .Add("fields", text.fields_size() > 0, List(text.fields()))
        .Add("boosts", !boosts.empty(), boost_block.Text())
        .Text();
  }

  std::string Near(const v1::VectorQuery& near) {
    const v1::Vector& vector = near.vector();
    const auto component = [this](float value) {
      if (!std::isfinite(value)) good_ = false;
      return WriteFloat(value);
    };
    const auto index = [](uint32_t value) { return std::to_string(value); };
    return Block()
        .Add("key", near.has_key(), Text(near.key()))
        .Add("vector", near.has_vector(), ListOf(vector.values(), component))
        .Add("indices", vector.indices_size() > 0, ListOf(vector.indices(), index))
        .Add("bits", !vector.bits().empty(), Text(absl::BytesToHexString(vector.bits())))
        .Add("field", !near.field().empty(), Text(near.field()))
        .Add("ef", near.ef() != 0, std::to_string(near.ef()))
        .Add("cells", near.cells_probed() != 0, std::to_string(near.cells_probed()))
        .Add("exact", near.exact(), Flag(true))
        .Add("metric", near.metric() != 0, Word(kMetrics, near.metric()))
        .Text();
  }

  std::string Lane(const v1::SearchLane& lane) {
    return Block()
        .Add("name", !lane.name().empty(), Text(lane.name()))
        .Add("weight", lane.weight() != 0, lane.weight() != 0 ? Number(lane.weight()) : "")
        .Add("candidates", lane.candidates() != 0, std::to_string(lane.candidates()))
        .Add("search", lane.has_text(), Words(lane.text()))
        .Add("near", lane.has_vector(), lane.has_vector() ? Near(lane.vector()) : "")
        .Add("around", lane.has_neighbourhood(), Around(lane.neighbourhood()))
        .Text();
  }

  static std::string Around(const v1::NeighbourhoodQuery& around) {
    const auto anchor = [](const v1::ObjectRef& ref) {
      return Block()
          .Add("collection", !ref.collection().empty(), Text(ref.collection()))
          .Add("key", true, Text(ref.key()))
          .Text();
    };
    return Block()
        .Add("anchors", true, ListOf(around.anchors(), anchor))
        .Add("relations", around.relations_size() > 0, List(around.relations()))
        .Add("hops", around.max_hops() != 0, std::to_string(around.max_hops()))
        .Text();
  }

  std::string Fusion(const v1::Fusion& fusion) {
    return Block()
        .Add("method", fusion.method() != 0, Word(kFusions, fusion.method()))
        .Add("rank_constant", fusion.rank_constant() != 0, std::to_string(fusion.rank_constant()))
        .Add("alpha", fusion.has_alpha(), fusion.has_alpha() ? Number(fusion.alpha()) : "")
        .Text();
  }

  static std::string Snippets(const v1::SnippetOptions& snippets) {
    return Block()
        .Add("fields", snippets.fields_size() > 0, List(snippets.fields()))
        .Add("max_words", snippets.max_words() != 0, std::to_string(snippets.max_words()))
        .Add("max_snippets", snippets.max_snippets() != 0, std::to_string(snippets.max_snippets()))
        .Text();
  }

  std::string Follow(const v1::FollowStep& step) {
    return Block()
        .Add("relations", true, List(step.relations()))
        .Add("hops", step.max_hops() != 0, std::to_string(step.max_hops()))
        .Add("direction", step.direction() != 0, Word(kDirections, step.direction()))
        .Add("inverses", step.follow_inverses(), Flag(true))
        .Add("where", step.has_where(), Where(step.where()))
        .Text();
  }

  static std::string Order(const v1::OrderField& order) {
    return Block()
        .Add("field", true, Text(order.field()))
        .Add("desc", order.descending(), Flag(true))
        .Text();
  }

  std::string Aggregate(const v1::Aggregate& aggregate) {
    return Block()
        .Add("function", true, Word(kFunctions, aggregate.function()))
        .Add("field", !aggregate.field().empty(), Text(aggregate.field()))
        .Add("name", !aggregate.name().empty(), Text(aggregate.name()))
        .Text();
  }

  std::string Where(const v1::Filter& filter) {
    const auto nested = [this](const v1::Filter& each) { return Where(each); };
    const auto literal = [this](const v1::Value& each) { return Literal(each); };
    switch (filter.expression_case()) {
      case v1::Filter::kAll:
        return Block().Add("all", true, ListOf(filter.all().operands(), nested)).Text();
      case v1::Filter::kAny:
        return Block().Add("any", true, ListOf(filter.any().operands(), nested)).Text();
      case v1::Filter::kNegation:
        return Block().Add("not", true, Where(filter.negation())).Text();
      case v1::Filter::kComparison:
        return Comparison(filter.comparison());
      case v1::Filter::kMembership:
        return Block()
            .Add(FieldName(filter.membership().field()), true,
                 ListOf(filter.membership().values(), literal))
            .Text();
      case v1::Filter::kExistence:
        return Block()
            .Add(FieldName(filter.existence().field()), true,
                 Block().Add("exists", true, Flag(true)).Text())
            .Text();
      case v1::Filter::EXPRESSION_NOT_SET:
        break;
    }
    return "{ }";
  }

  std::string Comparison(const v1::Comparison& comparison) {
    const std::string field = FieldName(comparison.field());
    const std::string value = Literal(comparison.value());
    if (comparison.op() == v1::COMPARISON_OPERATOR_EQUAL) {
      return Block().Add(field, true, value).Text();
    }
    const std::string_view word = WordFor(kOperators, comparison.op());
    if (word.empty()) good_ = false;
    return Block().Add(field, true, Block().Add(word, true, value).Text()).Text();
  }

  std::string Literal(const v1::Value& value) {
    switch (value.kind_case()) {
      case v1::Value::kBoolValue:
        return Flag(value.bool_value());
      case v1::Value::kIntValue:
        return std::to_string(value.int_value());
      case v1::Value::kDoubleValue:
        return Number(value.double_value());
      case v1::Value::kStringValue:
        return Text(value.string_value());
      default:
        good_ = false;
        return "null";
    }
  }

  std::string lines_;
  bool good_ = true;
};

}  // namespace

std::optional<std::string> WriteBring(const v1::BuilderQuery& query) {
  return BringWriter().Write(query);
}

}  // namespace cookix::engine
