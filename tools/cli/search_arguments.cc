#include "tools/cli/search_arguments.h"

#include <limits>
#include <utility>

#include "storage/base/status.h"
#include "tools/cli/arguments.h"
#include "tools/cli/render.h"
#include "tools/cli/text_width.h"
#include "tools/cli/vector_arguments.h"

namespace cookix::cli {
namespace {

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool IsLanguage(std::string_view part) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return part.size() == 2 && is_letter(part[0]) && is_letter(part[1]);
}

// False when `part` is no switch.
bool SetSwitch(std::string_view part, v1::TextField* field) {
  v1::TextAnalyzer* analyzer = field->mutable_analyzer();
  if (part == "no-stemming") {
    analyzer->set_no_stemming(true);
  } else if (part == "no-stop-words") {
    analyzer->set_no_stop_words(true);
  } else if (part == "no-case-folding") {
    analyzer->set_no_case_folding(true);
  } else if (part == "no-accent-folding") {
    analyzer->set_no_accent_folding(true);
  } else if (part == "no-positions") {
    field->set_no_positions(true);
  } else if (part == "by-name" || part == "by-default") {
    field->set_only_by_name(part == "by-name");
  } else {
    return false;
  }
  return true;
}

absl::Status BadLane(const std::string& lane, const std::string& why) {
  return UsageError("--lane is \"" + OneLine(lane) + "\": " + why, "--lane",
                    "write KIND[,SETTING=VALUE]:QUERY, such as 'text,weight=2:heavy rain'; see "
                    "`cookix help lanes`");
}

// A whole number that fits the wire; the server knows the ranges.
bool ParseSize(std::string_view text, int32_t* size) {
  const auto number = ParseInt(text);
  if (!number || *number < 0 || *number > std::numeric_limits<int32_t>::max()) return false;
  *size = static_cast<int32_t>(*number);
  return true;
}

bool SetVectorSetting(std::string_view name, std::string_view value, v1::VectorQuery* query) {
  int32_t size = 0;
  if (name == "field") {
    query->set_field(std::string(value));
  } else if (name == "exact") {
    query->set_exact(value == "true");
    return value == "true" || value == "false";
  } else if (name == "ef" && ParseSize(value, &size)) {
    query->set_ef(size);
  } else if (name == "cells" && ParseSize(value, &size)) {
    query->set_cells_probed(size);
  } else {
    return false;
  }
  return true;
}

bool SetTextSetting(std::string_view name, std::string_view value, v1::TextQuery* query) {
  if (name == "fields") {
    for (const std::string_view field : Split(value, '+')) query->add_fields(std::string(field));
    return true;
  }
  const auto mode = ParseTextMode(value, "--lane");
  if (name != "mode" || !mode.ok()) return false;
  query->set_mode(*mode);
  return true;
}

bool SetNeighbourhoodSetting(std::string_view name, std::string_view value,
                             v1::NeighbourhoodQuery* query) {
  int32_t size = 0;
  if (name == "relations") {
    for (const std::string_view relation : Split(value, '+')) {
      query->add_relations(std::string(relation));
    }
  } else if (name == "hops" && ParseSize(value, &size)) {
    query->set_max_hops(size);
  } else {
    return false;
  }
  return true;
}

// "name=value" of a lane whose kind is set.
bool SetLaneSetting(std::string_view setting, v1::SearchLane* lane) {
  const size_t equals = setting.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = setting.substr(0, equals);
  const std::string_view value = setting.substr(equals + 1);
  if (name == "name") {
    lane->set_name(std::string(value));
    return true;
  }
  if (name == "weight") {
    const auto weight = ParseDouble(value);
    if (weight) lane->set_weight(*weight);
    return weight.has_value();
  }
  if (name == "candidates") {
    int32_t size = 0;
    if (!ParseSize(value, &size)) return false;
    lane->set_candidates(size);
    return true;
  }
  if (lane->has_vector()) return SetVectorSetting(name, value, lane->mutable_vector());
  if (lane->has_text()) return SetTextSetting(name, value, lane->mutable_text());
  return SetNeighbourhoodSetting(name, value, lane->mutable_neighbourhood());
}

}  // namespace

std::vector<std::string> SplitNames(std::string_view text) {
  std::vector<std::string> names;
  for (const std::string_view part : Split(text, ',')) {
    if (!part.empty()) names.emplace_back(part);
  }
  return names;
}

absl::StatusOr<v1::TextField> ParseTextField(std::string_view text) {
  const std::string said(text);
  const std::vector<std::string_view> parts = Split(text, ':');
  v1::TextField field;
  field.set_name(std::string(parts[0]));
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    if (IsLanguage(part)) {
      field.mutable_analyzer()->set_language(std::string(part));
    } else if (const auto boost = ParseDouble(part)) {
      field.set_boost(*boost);
    } else if (part.rfind("source=", 0) == 0) {
      field.set_source(std::string(part.substr(7)));
    } else if (part.rfind("stop=", 0) == 0) {
      field.mutable_analyzer()->add_extra_stop_words(std::string(part.substr(5)));
    } else if (!SetSwitch(part, &field)) {
      return UsageError(
          "--text-field is \"" + OneLine(said) + "\": \"" + OneLine(part) + "\" is no setting",
          "--text-field",
          "write NAME[:LANGUAGE][:BOOST][:SETTING], such as title:en:2; see "
          "`cookix help text-fields`");
    }
  }
  if (parts[0].empty()) {
    return UsageError("--text-field is \"" + OneLine(said) + "\": the name is missing",
                      "--text-field", "write NAME[:LANGUAGE][:BOOST], such as title:en:2");
  }
  return field;
}

std::string TextFieldSettings(const v1::TextField& field) {
  const v1::TextAnalyzer& analyzer = field.analyzer();
  std::string text = analyzer.language().empty() ? "any language" : analyzer.language();
  if (field.boost() != 0 && field.boost() != 1) text += " boost=" + NumberText(field.boost());
  for (const auto& [set, word] : {std::pair{analyzer.no_stemming(), "no-stemming"},
                                  {analyzer.no_stop_words(), "no-stop-words"},
                                  {analyzer.no_case_folding(), "no-case-folding"},
                                  {analyzer.no_accent_folding(), "no-accent-folding"},
                                  {field.no_positions(), "no-positions"},
                                  {field.only_by_name(), "by-name"}}) {
    if (set) text += std::string(" ") + word;
  }
  for (const std::string& word : analyzer.extra_stop_words()) text += " stop=" + word;
  return OneLine(text);
}

absl::StatusOr<v1::TextQueryMode> ParseTextMode(std::string_view word, std::string_view flag) {
  if (word.empty()) return v1::TEXT_QUERY_MODE_UNSPECIFIED;
  if (word == "any") return v1::TEXT_QUERY_MODE_ANY_WORDS;
  if (word == "all") return v1::TEXT_QUERY_MODE_ALL_WORDS;
  if (word == "phrase") return v1::TEXT_QUERY_MODE_PHRASE;
  if (word == "raw") return v1::TEXT_QUERY_MODE_RAW;
  return UsageError(std::string(flag) + " is \"" + OneLine(word) + "\"", flag,
                    "use one of any, all, phrase, raw");
}

absl::StatusOr<v1::FusionMethod> ParseFusion(std::string_view word, std::string_view flag) {
  if (word.empty()) return v1::FUSION_METHOD_UNSPECIFIED;
  if (word == "rrf") return v1::FUSION_METHOD_RECIPROCAL_RANK;
  if (word == "normalized") return v1::FUSION_METHOD_NORMALIZED_SCORE;
  return UsageError(std::string(flag) + " is \"" + OneLine(word) + "\"", flag,
                    "use rrf or normalized");
}

absl::StatusOr<v1::SearchLane> ParseLane(Context& context, const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return BadLane(text, "the colon before the query is missing");
  const std::vector<std::string_view> parts = Split(std::string_view(text).substr(0, colon), ',');
  const std::string query = text.substr(colon + 1);
  v1::SearchLane lane;
  if (parts[0] == "text") {
    lane.mutable_text()->set_text(query);
  } else if (parts[0] == "vector") {
    COOKIX_ASSIGN_OR_RETURN(*lane.mutable_vector()->mutable_vector(),
                            ParseVector(context, query, "--lane"));
  } else if (parts[0] == "like") {
    lane.mutable_vector()->set_key(query);
  } else if (parts[0] == "linked") {
    lane.mutable_neighbourhood();
    for (const std::string& key : SplitNames(query)) {
      *lane.mutable_neighbourhood()->add_anchors() = context.Ref(key);
    }
  } else {
    return BadLane(text, "\"" + OneLine(parts[0]) + "\" is none of text, vector, like, linked");
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!SetLaneSetting(parts[i], &lane)) {
      return BadLane(text, "\"" + OneLine(parts[i]) + "\" is no setting of such a lane");
    }
  }
  return lane;
}

}  // namespace cookix::cli
