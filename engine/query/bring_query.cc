#include "engine/query/bring_query.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "engine/query/bring_parser.h"
#include "engine/query/bring_reader.h"
#include "engine/query/bring_words.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = BringValue::Kind;
using Members = BringReader::Members;
using Read = BringReader::Read;

// Turns a document into a query, a function for each kind of block.
class BringMapper {
 public:
  explicit BringMapper(const QuerySource& source) : reader_(source) {}

  absl::Status Map(const BringDocument& document, v1::BuilderQuery* query) const {
    query->set_collection(document.name);
    std::optional<size_t> time_at;
    const auto search = [query] { return query->mutable_search(); };
    COOKIX_RETURN_IF_ERROR(reader_.ReadMembers(
        document.block, "",
        {{"keys", Texts(query->mutable_keys())},
         {"search", [=, this](const BringValue& v) { return Words(v, search()->mutable_text()); }},
         {"near", [=, this](const BringValue& v) { return Near(v, search()->mutable_vector()); }},
         {"lanes", [=, this](const BringValue& v) { return Lanes(v, search()); }},
         {"fusion", [=, this](const BringValue& v) { return Fuse(v, search()->mutable_fusion()); }},
         {"top", Count([=](int32_t top) { search()->set_limit(top); })},
         {"min_score", Number([=](double score) { search()->set_min_score(score); })},
         {"snippets",
          [=, this](const BringValue& v) { return Snippets(v, search()->mutable_snippets()); }},
         {"where", [=, this](const BringValue& v) { return Where(v, query->mutable_where()); }},
         {"follow", [=, this](const BringValue& v) { return Follow(v, query->add_follow()); }},
         {"at",
          [=, this, &time_at](const BringValue& v) -> absl::Status {
            time_at = v.at;
            COOKIX_ASSIGN_OR_RETURN(const int64_t at,
                                    reader_.Integer(v, 0, std::numeric_limits<int64_t>::max()));
            query->set_valid_at_ms(at);
            return absl::OkStatus();
          }},
         {"select", Texts(query->mutable_select())},
         {"aggregates",
          Each([=, this](const BringValue& v) { return Aggregate(v, query->add_aggregates()); })},
         {"group", Texts(query->mutable_group_by())},
         {"order",
          Each([=, this](const BringValue& v) { return Order(v, query->add_order_by()); })},
         {"limit", Count([=](int32_t limit) { query->set_limit(limit); })},
         {"offset", Count([=](int32_t offset) { query->set_offset(offset); })}},
        "follow"));
    if (!time_at.has_value() || query->follow_size() > 0) return absl::OkStatus();
    return reader_.ErrorAt(*time_at, "at says which edges are valid, and there is no follow");
  }

 private:
  // Readers of members.

  template <typename Set>
  Read Count(Set set) const {
    return [this, set](const BringValue& value) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(const int32_t count, reader_.Count(value));
      set(count);
      return absl::OkStatus();
    };
  }
  template <typename Set>
  Read Number(Set set) const {
    return [this, set](const BringValue& value) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(const double number, reader_.Number(value));
      set(number);
      return absl::OkStatus();
    };
  }
  template <typename Set>
  Read Flag(Set set) const {
    return [this, set](const BringValue& value) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(const bool flag, reader_.Bool(value));
      set(flag);
      return absl::OkStatus();
    };
  }
  Read Text(std::string* text) const {
    return [this, text](const BringValue& value) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(*text, reader_.Text(value));
      return absl::OkStatus();
    };
  }
  Read Texts(google::protobuf::RepeatedPtrField<std::string>* texts) const {
    return [this, texts](const BringValue& value) { return reader_.Texts(value, texts); };
  }
  template <typename One>
  Read Each(One one) const {
    return [this, one](const BringValue& value) { return reader_.ReadList(value, one); };
  }
  // One of a few words.
  template <typename Words, typename Set>
  Read Word(const Words& words, Set set) const {
    return [this, &words, set](const BringValue& value) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(const std::string text, reader_.Text(value));
      std::string known;
      for (const auto& [word, meaning] : words) {
        if (text == word) {
          set(meaning);
          return absl::OkStatus();
        }
        known += (known.empty() ? "\"" : ", \"") + std::string(word) + "\"";
      }
      return reader_.ErrorAt(value.at, "expected one of " + known);
    };
  }

  // Blocks.

  absl::Status Words(const BringValue& value, v1::TextQuery* text) const {
    return reader_.ReadMembers(
        value, "text",
        {{"text", Text(text->mutable_text())},
         {"mode", Word(kTextModes, [=](v1::TextQueryMode mode) { text->set_mode(mode); })},
         {"fields", Texts(text->mutable_fields())},
         {"boosts", [=, this](const BringValue& v) { return Boosts(v, text); }}});
  }

  absl::Status Boosts(const BringValue& value, v1::TextQuery* text) const {
    if (value.kind != Kind::kBlock || !value.attributes.empty()) {
      return reader_.ErrorAt(value.at, "expected a block in { }, without attributes");
    }
    for (const BringMember& member : value.members) {
      COOKIX_ASSIGN_OR_RETURN(const double boost, reader_.Number(member.value));
      if (!text->mutable_boosts()->insert({member.name, boost}).second) {
        return reader_.ErrorAt(member.at, "there is a second " + member.name);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Near(const BringValue& value, v1::VectorQuery* near) const {
    const bool by_key = value.literal.has_string_value();
    const auto vector = [near] { return near->mutable_vector(); };
    return reader_.ReadMembers(
        value, by_key ? "key" : "vector",
        {{"key",
          [=, this](const BringValue& v) -> absl::Status {
            if (near->has_vector()) return BothTargets(v);
            COOKIX_ASSIGN_OR_RETURN(*near->mutable_key(), reader_.Text(v));
            return absl::OkStatus();
          }},
         {"vector",
          [=, this](const BringValue& v) {
            if (near->has_key()) return BothTargets(v);
            vector();
            return reader_.ReadList(v, [&](const BringValue& item) -> absl::Status {
              COOKIX_ASSIGN_OR_RETURN(const float component, reader_.Float(item));
              vector()->add_values(component);
              return absl::OkStatus();
            });
          }},
         {"indices",
          [=, this](const BringValue& v) {
            if (near->has_key()) return BothTargets(v);
            return reader_.ReadList(v, [&](const BringValue& item) -> absl::Status {
              COOKIX_ASSIGN_OR_RETURN(
                  const int64_t index,
                  reader_.Integer(item, 0, std::numeric_limits<uint32_t>::max()));
              vector()->add_indices(static_cast<uint32_t>(index));
              return absl::OkStatus();
            });
          }},
         {"bits",
          [=, this](const BringValue& v) -> absl::Status {
            if (near->has_key()) return BothTargets(v);
            COOKIX_ASSIGN_OR_RETURN(const std::string digits, reader_.Text(v));
            if (digits.size() % 2 != 0 ||
                digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
              return reader_.ErrorAt(v.at, "expected two hexadecimal digits for each byte");
            }
            vector()->set_bits(absl::HexStringToBytes(digits));
            return absl::OkStatus();
          }},
         {"field", Text(near->mutable_field())},
         {"ef", Count([=](int32_t ef) { near->set_ef(ef); })},
         {"cells", Count([=](int32_t cells) { near->set_cells_probed(cells); })},
         {"exact", Flag([=](bool exact) { near->set_exact(exact); })},
         {"metric", Word(kMetrics, [=](v1::VectorMetric metric) { near->set_metric(metric); })}});
  }

  absl::Status BothTargets(const BringValue& value) const {
    return reader_.ErrorAt(value.at, "near has either a key or a vector");
  }

  absl::Status Lanes(const BringValue& value, v1::SeedSearch* search) const {
    return reader_.ReadList(
        value, [&](const BringValue& item) { return Lane(item, search->add_lanes()); });
  }

  absl::Status Lane(const BringValue& value, v1::SearchLane* lane) const {
    const auto only = [=, this](const BringValue& v) {
      return lane->query_case() == v1::SearchLane::QUERY_NOT_SET
                 ? absl::OkStatus()
                 : reader_.ErrorAt(v.at, "a lane has one of search, near and around");
    };
    return reader_.ReadMembers(
        value, "",
        {{"name", Text(lane->mutable_name())},
         {"weight", Number([=](double weight) { lane->set_weight(weight); })},
         {"candidates", Count([=](int32_t count) { lane->set_candidates(count); })},
         {"search",
          [=, this](const BringValue& v) {
            COOKIX_RETURN_IF_ERROR(only(v));
            return Words(v, lane->mutable_text());
          }},
         {"near",
          [=, this](const BringValue& v) {
            COOKIX_RETURN_IF_ERROR(only(v));
            return Near(v, lane->mutable_vector());
          }},
         {"around", [=, this](const BringValue& v) {
            COOKIX_RETURN_IF_ERROR(only(v));
            return Around(v, lane->mutable_neighbourhood());
          }}});
  }

  absl::Status Around(const BringValue& value, v1::NeighbourhoodQuery* around) const {
    return reader_.ReadMembers(
        value, "anchors",
        {{"anchors", Each([=, this](const BringValue& v) {
            v1::ObjectRef* anchor = around->add_anchors();
            return reader_.ReadMembers(v, "key",
                                       {{"collection", Text(anchor->mutable_collection())},
                                        {"key", Text(anchor->mutable_key())}});
          })},
         {"relations", Texts(around->mutable_relations())},
         {"hops", Count([=](int32_t hops) { around->set_max_hops(hops); })}});
  }

  absl::Status Fuse(const BringValue& value, v1::Fusion* fusion) const {
    return reader_.ReadMembers(
        value, "method",
        {{"method", Word(kFusions, [=](v1::FusionMethod method) { fusion->set_method(method); })},
         {"rank_constant", Count([=](int32_t k) { fusion->set_rank_constant(k); })},
         {"alpha", Number([=](double alpha) { fusion->set_alpha(alpha); })}});
  }

  absl::Status Snippets(const BringValue& value, v1::SnippetOptions* snippets) const {
    return reader_.ReadMembers(
        value, "fields",
        {{"fields", Texts(snippets->mutable_fields())},
         {"max_words", Count([=](int32_t words) { snippets->set_max_words(words); })},
         {"max_snippets", Count([=](int32_t count) { snippets->set_max_snippets(count); })}});
  }

  absl::Status Follow(const BringValue& value, v1::FollowStep* step) const {
    return reader_.ReadMembers(
        value, "relations",
        {{"relations", Texts(step->mutable_relations())},
         {"hops", Count([=](int32_t hops) { step->set_max_hops(hops); })},
         {"direction", Word(kDirections, [=](v1::Direction way) { step->set_direction(way); })},
         {"inverses", Flag([=](bool inverses) { step->set_follow_inverses(inverses); })},
         {"where", [=, this](const BringValue& v) { return Where(v, step->mutable_where()); }}});
  }

  absl::Status Order(const BringValue& value, v1::OrderField* order) const {
    return reader_.ReadMembers(
        value, "field",
        {{"field", Text(order->mutable_field())},
         {"desc", Flag([=](bool descending) { order->set_descending(descending); })}});
  }

  absl::Status Aggregate(const BringValue& value, v1::Aggregate* aggregate) const {
    return reader_.ReadMembers(
        value, "function",
        {{"function",
          Word(kFunctions, [=](v1::AggregateFunction each) { aggregate->set_function(each); })},
         {"field", Text(aggregate->mutable_field())},
         {"name", Text(aggregate->mutable_name())}});
  }

  // Conditions.

  absl::Status Where(const BringValue& value, v1::Filter* filter) const {
    if (value.kind != Kind::kBlock) return reader_.ErrorAt(value.at, "expected a block in { }");
    if (!value.attributes.empty()) {
      return reader_.ErrorAt(value.attributes[0].at, "a condition has no attributes");
    }
    if (value.members.size() == 1) return Condition(value.members[0], filter);
    v1::FilterList* all = filter->mutable_all();
    for (const BringMember& member : value.members) {
      COOKIX_RETURN_IF_ERROR(Condition(member, all->add_operands()));
    }
    return absl::OkStatus();
  }

  absl::Status Condition(const BringMember& member, v1::Filter* filter) const {
    if (!member.quoted && (member.name == "all" || member.name == "any")) {
      v1::FilterList* list = member.name == "all" ? filter->mutable_all() : filter->mutable_any();
      return reader_.ReadList(
          member.value, [&](const BringValue& item) { return Where(item, list->add_operands()); });
    }
    if (!member.quoted && member.name == "not") {
      return Where(member.value, filter->mutable_negation());
    }
    const BringValue& value = member.value;
    if (value.kind == Kind::kBlock) return Tests(member, filter);
    if (value.kind == Kind::kList) return OneOf(member.name, value, filter);
    if (value.literal.has_null_value() && value.attributes.empty()) {
      filter->mutable_negation()->mutable_existence()->set_field(member.name);
      return absl::OkStatus();
    }
    return Compare(member.name, v1::COMPARISON_OPERATOR_EQUAL, value, filter);
  }

  absl::Status Tests(const BringMember& member, v1::Filter* filter) const {
    Members tests;
    v1::FilterList all;
    for (const auto& [word, op] : kOperators) {
      tests.emplace_back(word, [&, op = op](const BringValue& v) {
        return Compare(member.name, op, v, all.add_operands());
      });
    }
    tests.emplace_back(
        "in", [&](const BringValue& v) { return OneOf(member.name, v, all.add_operands()); });
    tests.emplace_back("exists", [&](const BringValue& v) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(const bool exists, reader_.Bool(v));
      v1::Filter* test = all.add_operands();
      (exists ? test : test->mutable_negation())->mutable_existence()->set_field(member.name);
      return absl::OkStatus();
    });
    COOKIX_RETURN_IF_ERROR(reader_.ReadMembers(member.value, "", tests));
    if (all.operands_size() == 0) {
      return reader_.ErrorAt(member.value.at, "expected a test, such as { gte = 3 }");
    }
    if (all.operands_size() == 1) {
      filter->Swap(all.mutable_operands(0));
    } else {
      *filter->mutable_all() = std::move(all);
    }
    return absl::OkStatus();
  }

  absl::Status Compare(const std::string& field, v1::ComparisonOperator op, const BringValue& value,
                       v1::Filter* filter) const {
    v1::Comparison* comparison = filter->mutable_comparison();
    comparison->set_field(field);
    comparison->set_op(op);
    COOKIX_ASSIGN_OR_RETURN(*comparison->mutable_value(), reader_.Scalar(value));
    return absl::OkStatus();
  }

  absl::Status OneOf(const std::string& field, const BringValue& value, v1::Filter* filter) const {
    v1::Membership* membership = filter->mutable_membership();
    membership->set_field(field);
    return reader_.ReadList(value, [&](const BringValue& item) -> absl::Status {
      COOKIX_ASSIGN_OR_RETURN(*membership->add_values(), reader_.Scalar(item));
      return absl::OkStatus();
    });
  }

  const BringReader reader_;
};

}  // namespace

absl::StatusOr<v1::BuilderQuery> ParseBringQuery(std::string_view text, const Limits& limits,
                                                 std::string_view field) {
  const QuerySource source(text, field);
  COOKIX_ASSIGN_OR_RETURN(const BringDocument document,
                          ParseBring(source, static_cast<size_t>(limits.max_query_text_bytes)));
  v1::BuilderQuery query;
  COOKIX_RETURN_IF_ERROR(BringMapper(source).Map(document, &query));
  return query;
}

}  // namespace cookix::engine
