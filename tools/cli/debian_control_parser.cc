#include "tools/cli/debian_control_parser.h"

#include <cctype>
#include <utility>

#include "storage/base/status.h"

namespace cookix::cli {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

// The part of `text` before the first `separator`; removes both.
std::string_view TakeUntil(std::string_view* text, char separator) {
  const size_t at = text->find(separator);
  const std::string_view head = text->substr(0, at);
  *text = at == std::string_view::npos ? std::string_view() : text->substr(at + 1);
  return head;
}

bool IsPackageName(std::string_view name) {
  if (name.empty() || !std::isalnum(static_cast<unsigned char>(name[0]))) return false;
  for (char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '+' && c != '-' && c != '.' &&
        c != '_') {
      return false;
    }
  }
  return true;
}

bool ParsePackage(std::string_view text, PackageRelation* package) {
  text = Trim(text);
  const size_t end = text.find_first_of(" \t\n([<");
  std::string_view name = text.substr(0, end);
  if (const size_t colon = name.find(':'); colon != std::string_view::npos) {
    package->arch = name.substr(colon + 1);
    name = name.substr(0, colon);
  }
  if (!IsPackageName(name)) return false;
  package->name = name;
  const size_t open = text.find('(');
  const size_t close = text.find(')', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return true;
  const std::string_view constraint = Trim(text.substr(open + 1, close - open - 1));
  const size_t version = constraint.find_first_not_of("<>=");
  if (version == std::string_view::npos || version == 0) return true;
  package->relation = constraint.substr(0, version);
  package->version = Trim(constraint.substr(version));
  return true;
}

}  // namespace

absl::Status ParseControl(std::string_view text,
                          absl::FunctionRef<bool(ControlParagraph&&)> paragraph) {
  ControlParagraph fields;
  std::string* value = nullptr;
  int64_t number = 0;
  while (!text.empty()) {
    std::string_view line = TakeUntil(&text, '\n');
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (Trim(line).empty()) {
      value = nullptr;
      if (fields.empty()) continue;
      if (!paragraph(std::move(fields))) return absl::OkStatus();
      fields = ControlParagraph();
      continue;
    }
    if (line[0] == '#') continue;
    if (line[0] == ' ' || line[0] == '\t') {
      if (value == nullptr) {
        return InvalidField(
            "line " + std::to_string(number),
            "line " + std::to_string(number) + " continues a field, but there is none before it",
            "check that the file is a package index");
      }
      const std::string_view more = Trim(line);
      *value += '\n';
      if (more != ".") value->append(more);
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      return InvalidField("line " + std::to_string(number),
                          "line " + std::to_string(number) + " is not a field",
                          "check that the file is a package index");
    }
    value = &fields[Lower(line.substr(0, colon))];
    *value = Trim(line.substr(colon + 1));
  }
  if (!fields.empty()) paragraph(std::move(fields));
  return absl::OkStatus();
}

std::vector<Alternatives> ParseRelationField(std::string_view field) {
  std::vector<Alternatives> groups;
  while (!field.empty()) {
    std::string_view group_text = TakeUntil(&field, ',');
    Alternatives group;
    while (!group_text.empty()) {
      PackageRelation package;
      if (ParsePackage(TakeUntil(&group_text, '|'), &package)) group.push_back(std::move(package));
    }
    if (!group.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace cookix::cli
