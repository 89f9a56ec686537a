// The snippets of a search's hits.
#ifndef COOKIX_ENGINE_API_SEARCH_SNIPPETS_H_
#define COOKIX_ENGINE_API_SEARCH_SNIPPETS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cookix/internal/v1/records.pb.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/api/text_lane.h"
#include "engine/text/snippet.h"

namespace cookix::engine {

// Made for one search after its lanes have found what they find; for one thread.
class SnippetMaker {
 public:
  // NOT_FOUND (FIELD_NOT_FOUND) when the options name a field that the collection does not
  // have; before the lanes have looked. `prefix` stands before the request's fields in errors.
  static absl::Status Check(const std::vector<const TextLane*>& lanes,
                            const v1::SnippetOptions& options, const std::string& prefix);

  // The words are those of all `lanes` together, of which there is at least one. Errors as
  // Check().
  static absl::StatusOr<SnippetMaker> Make(const LaneScope& scope,
                                           const std::vector<const TextLane*>& lanes,
                                           const v1::SnippetOptions& options,
                                           const std::string& prefix);

  void Fill(const internal::v1::ObjectRecord& record, v1::Hit* hit) const;

  int64_t made() const { return made_; }

 private:
  struct Field {
    // Of the catalog.
    const v1::TextField* definition = nullptr;
    std::shared_ptr<const Analyzer> analyzer;
    SnippetMatcher matcher;
  };

  SnippetMaker() = default;
  void Add(const Field& field, std::string_view text, const std::vector<SnippetFragment>& fragments,
           v1::Hit* hit) const;

  std::vector<Field> fields_;
  SnippetOptions options_;
  mutable int64_t made_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_SNIPPETS_H_
