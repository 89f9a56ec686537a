#include "engine/text/text_field.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/filter/filter_node.h"
#include "storage/base/status.h"
#include "storage/base/utf8.h"

namespace cookix::engine {
namespace {

constexpr size_t kMaxNameBytes = 256;
constexpr size_t kMaxSourceBytes = 1024;
constexpr double kMinBoost = 1e-6;
constexpr double kMaxBoost = 1e6;
constexpr std::string_view kContentName = "content";

std::string Sub(std::string_view path, std::string_view member) {
  std::string out(path);
  if (!out.empty()) out += '.';
  out += member;
  return out;
}

absl::Status CheckName(const std::string& name, std::string_view path) {
  const std::string field = Sub(path, "name");
  if (name.empty()) return InvalidField(field, "the name is empty", "Name the text field");
  if (name.size() > kMaxNameBytes) {
    return LimitExceeded(
        field, absl::StrCat("the name has ", name.size(), " bytes, more than ", kMaxNameBytes),
        "Use a shorter one");
  }
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') continue;
    if (i > 0 && ((c >= '0' && c <= '9') || c == '.')) continue;
    return InvalidField(field, absl::StrCat("the name has a character that is not allowed at ", i),
                        "Use A-Z, a-z and _, and after the first also 0-9 and dots");
  }
  return absl::OkStatus();
}

absl::Status CheckSource(const std::string& source, std::string_view path) {
  if (source == kContentSource) return absl::OkStatus();
  const std::string field = Sub(path, "source");
  if (source.size() > kMaxSourceBytes) {
    return LimitExceeded(
        field,
        absl::StrCat("the source has ", source.size(), " bytes, more than ", kMaxSourceBytes),
        "Name a property that is nested less deep");
  }
  if (!IsUtf8(source) || HasControlCharacter(source)) {
    return InvalidField(field, "the source is not UTF-8 or has a control character",
                        "Name a property, or \"$content\"");
  }
  if (source.front() == '$') {
    return InvalidField(field, "of the system fields only \"$content\" is text",
                        "Name a property, or \"$content\"");
  }
  return absl::OkStatus();
}

using Words = google::protobuf::RepeatedPtrField<std::string>;

bool SameWords(const Words& a, const Words& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void SortOnce(Words* words) {
  std::sort(words->begin(), words->end());
  words->erase(std::unique(words->begin(), words->end()), words->end());
}

// Names the setting that is at fault, which Analyzer::Create cannot.
absl::Status CheckAnalyzer(const v1::TextAnalyzer& analyzer, std::string_view path) {
  AnalyzerSettings settings = SettingsOf(analyzer);
  const std::vector<std::string> words = std::exchange(settings.extra_stop_words, {});
  COOKIX_RETURN_IF_ERROR(Analyzer::Create(settings, Sub(path, "language")).status());
  const std::string member = Sub(path, "extra_stop_words");
  settings.extra_stop_words = words;
  const absl::Status all = Analyzer::Create(settings, member).status();
  if (all.ok() || words.size() > AnalyzerSettings::kMaxStopWords) return all;
  for (size_t i = 0; i < words.size(); ++i) {
    settings.extra_stop_words = {words[i]};
    COOKIX_RETURN_IF_ERROR(Analyzer::Create(settings, absl::StrCat(member, "[", i, "]")).status());
  }
  return all;
}

absl::Status Frozen(std::string_view path, std::string_view member, std::string_view existing,
                    std::string_view given) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(ToAbsl(member), " of the text field is ", ToAbsl(existing),
                                " and cannot be changed to ", ToAbsl(given)),
                   {"FROZEN_SETTING", Sub(path, member),
                    "Leave it as it is, or remove the field and add it anew", false});
}

absl::Status CheckAnalyzerUnchanged(const v1::TextAnalyzer& existing, v1::TextAnalyzer given,
                                    std::string_view path) {
  if (!given.language().empty() && given.language() != existing.language()) {
    const auto shown = [](const std::string& language) { return "\"" + language + "\""; };
    return Frozen(path, "analyzer.language", shown(existing.language()), shown(given.language()));
  }
  const auto flag = [&](std::string_view member, bool is, bool wanted) {
    return wanted && !is ? Frozen(path, member, "false", "true") : absl::OkStatus();
  };
  COOKIX_RETURN_IF_ERROR(flag("analyzer.no_stemming", existing.no_stemming(), given.no_stemming()));
  COOKIX_RETURN_IF_ERROR(
      flag("analyzer.no_stop_words", existing.no_stop_words(), given.no_stop_words()));
  COOKIX_RETURN_IF_ERROR(
      flag("analyzer.no_case_folding", existing.no_case_folding(), given.no_case_folding()));
  COOKIX_RETURN_IF_ERROR(
      flag("analyzer.no_accent_folding", existing.no_accent_folding(), given.no_accent_folding()));
  SortOnce(given.mutable_extra_stop_words());
  if (!given.extra_stop_words().empty() &&
      !SameWords(given.extra_stop_words(), existing.extra_stop_words())) {
    return Frozen(path, "analyzer.extra_stop_words",
                  absl::StrCat("(", absl::StrJoin(existing.extra_stop_words(), " "), ")"),
                  absl::StrCat("(", absl::StrJoin(given.extra_stop_words(), " "), ")"));
  }
  return absl::OkStatus();
}

absl::Status CheckUnchanged(const v1::TextField& existing, const v1::TextField& given,
                            std::string_view path) {
  if (!given.source().empty() && given.source() != existing.source()) {
    return Frozen(path, "source", existing.source(), given.source());
  }
  if (given.no_positions() && !existing.no_positions()) {
    return Frozen(path, "no_positions", "false", "true");
  }
  return CheckAnalyzerUnchanged(existing.analyzer(), given.analyzer(), path);
}

}  // namespace

absl::StatusOr<v1::TextField> ResolveTextField(const v1::TextField& given, std::string_view path) {
  v1::TextField field = given;
  COOKIX_RETURN_IF_ERROR(CheckName(field.name(), path));
  if (field.source().empty()) {
    field.set_source(field.name() == kContentName ? std::string(kContentSource) : field.name());
  }
  COOKIX_RETURN_IF_ERROR(CheckSource(field.source(), path));
  if (field.boost() == 0) field.set_boost(1);
  if (!(field.boost() >= kMinBoost && field.boost() <= kMaxBoost)) {
    return InvalidField(Sub(path, "boost"),
                        absl::StrCat("the boost is ", field.boost(), ", not between ", kMinBoost,
                                     " and ", kMaxBoost),
                        "Send a number between them, or 0 for 1");
  }
  field.set_only_by_name(field.only_by_name());
  COOKIX_RETURN_IF_ERROR(CheckAnalyzer(field.analyzer(), Sub(path, "analyzer")));
  SortOnce(field.mutable_analyzer()->mutable_extra_stop_words());
  return field;
}

absl::StatusOr<v1::TextField> ChangeTextField(const v1::TextField& existing,
                                              const v1::TextField& given, std::string_view path) {
  COOKIX_RETURN_IF_ERROR(CheckUnchanged(existing, given, path));
  v1::TextField changed = existing;
  if (given.boost() != 0) changed.set_boost(given.boost());
  if (given.has_only_by_name()) changed.set_only_by_name(given.only_by_name());
  return ResolveTextField(changed, path);
}

v1::TextField DefaultTextField() {
  v1::TextField field;
  field.set_name(std::string(kContentName));
  field.set_source(std::string(kContentSource));
  field.set_boost(1);
  field.set_only_by_name(false);
  field.mutable_analyzer();
  return field;
}

bool SamePostings(const v1::TextField& a, const v1::TextField& b) {
  const v1::TextAnalyzer& x = a.analyzer();
  const v1::TextAnalyzer& y = b.analyzer();
  return a.name() == b.name() && a.source() == b.source() && a.no_positions() == b.no_positions() &&
         x.language() == y.language() && x.no_stemming() == y.no_stemming() &&
         x.no_stop_words() == y.no_stop_words() && x.no_case_folding() == y.no_case_folding() &&
         x.no_accent_folding() == y.no_accent_folding() &&
         SameWords(x.extra_stop_words(), y.extra_stop_words());
}

AnalyzerSettings SettingsOf(const v1::TextAnalyzer& analyzer) {
  AnalyzerSettings settings;
  settings.language = analyzer.language();
  settings.stemming = !analyzer.no_stemming();
  settings.stop_words = !analyzer.no_stop_words();
  settings.extra_stop_words.assign(analyzer.extra_stop_words().begin(),
                                   analyzer.extra_stop_words().end());
  settings.case_folding = !analyzer.no_case_folding();
  settings.accent_folding = !analyzer.no_accent_folding();
  return settings;
}

absl::StatusOr<std::shared_ptr<const Analyzer>> AnalyzerFor(const v1::TextField& field,
                                                            std::string_view path) {
  return Analyzer::Create(SettingsOf(field.analyzer()), path);
}

absl::StatusOr<std::vector<TextQueryField>> TextQueryFields(const v1::Collection& collection) {
  std::vector<TextQueryField> fields;
  for (const v1::TextField& field : collection.text_fields()) {
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const Analyzer> analyzer, AnalyzerFor(field));
    fields.push_back({field.name(), std::move(analyzer), field.boost(), !field.only_by_name()});
  }
  return fields;
}

void ForEachText(const internal::v1::ObjectRecord& record, const v1::TextField& field,
                 absl::FunctionRef<void(std::string_view)> each) {
  if (field.source() == kContentSource) {
    if (!record.content().empty()) each(record.content());
    return;
  }
  VisitProperty(record, field.source(), [&](const v1::Value& value) {
    if (value.kind_case() == v1::Value::kStringValue && !value.string_value().empty()) {
      each(value.string_value());
    }
    return false;
  });
}

}  // namespace cookix::engine
