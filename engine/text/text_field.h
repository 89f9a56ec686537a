// Settings of text fields, and what of an object is their text: the rules of TextField and
// TextAnalyzer in proto/cookix/v1/catalog_service.proto.
#ifndef COOKIX_ENGINE_TEXT_TEXT_FIELD_H_
#define COOKIX_ENGINE_TEXT_TEXT_FIELD_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/catalog_service.pb.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/analyzer.h"

namespace cookix::engine {

inline constexpr int kMaxTextFields = 64;  // of a collection
// The source that is the objects' content.
inline constexpr std::string_view kContentSource = "$content";

// The field with every default filled in. Resolving again changes nothing. `path` is the
// field's path in the request: INVALID_ARGUMENT names it and the setting.
absl::StatusOr<v1::TextField> ResolveTextField(const v1::TextField& given, std::string_view path);

// `existing`, a resolved field, with the settings of `given` that can be changed; resolved.
// What is not set is unchanged. FAILED_PRECONDITION (FROZEN_SETTING) when `given` sets a
// frozen setting to something else.
absl::StatusOr<v1::TextField> ChangeTextField(const v1::TextField& existing,
                                              const v1::TextField& given, std::string_view path);

// The field "content", of any language: the text field of new namespaces.
v1::TextField DefaultTextField();

// True when both, resolved, have the same postings: all but `boost` and `only_by_name` is
// equal.
bool SamePostings(const v1::TextField& a, const v1::TextField& b);

// Of a resolved field. Errors as Analyzer::Create: `path` names the analyzer in them.
AnalyzerSettings SettingsOf(const v1::TextAnalyzer& analyzer);
absl::StatusOr<std::shared_ptr<const Analyzer>> AnalyzerFor(const v1::TextField& field,
                                                            std::string_view path = "");

// All text fields of a collection as AnalyzeQuery takes them, in the order of the catalog.
absl::StatusOr<std::vector<TextQueryField>> TextQueryFields(const v1::Collection& collection);

// Calls `each` with every text that the resolved field has in `record`, in order: one, or
// each element of a list of texts, which are separate texts for an index (TextElements).
// Texts without a byte are left out. Borrowed from `record`.
void ForEachText(const internal::v1::ObjectRecord& record, const v1::TextField& field,
                 absl::FunctionRef<void(std::string_view text)> each);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_FIELD_H_
