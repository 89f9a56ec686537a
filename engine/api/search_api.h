// Searches by likeness, by words, by links and by all of these: see
// proto/cookix/v1/search_service.proto.
#ifndef COOKIX_ENGINE_API_SEARCH_API_H_
#define COOKIX_ENGINE_API_SEARCH_API_H_

#include <string>

#include "absl/status/status.h"
#include "cookix/v1/search_service.pb.h"
#include "engine/call_context.h"

namespace cookix::engine {

class Database;
struct CollectionInfo;
struct NamespaceView;

// Takes and fills wire messages, so that the daemon and the embedded client
// serve the same calls. Checks every field; does not check who calls.
// Thread-safe.
class SearchApi {
 public:
  explicit SearchApi(Database& database) : database_(database) {}

  absl::Status Search(CallContext& context, const v1::SearchRequest& request,
                      v1::SearchResponse* response);
  absl::Status BatchSearch(CallContext& context, const v1::BatchSearchRequest& request,
                           v1::BatchSearchResponse* response);
  absl::Status DescribeIndex(CallContext& context, const v1::DescribeIndexRequest& request,
                             v1::DescribeIndexResponse* response);

  // For calls of which a search is a part. `prefix` stands before the fields in errors, such
  // as "searches[2].".

  // What can be said of a search without looking at the data.
  absl::Status Check(const v1::SearchRequest& request, const std::string& prefix) const;

  // Answers a search that was checked, at `view`, but for its position.
  absl::Status SearchAt(const CallContext& context, const NamespaceView& view,
                        const v1::SearchRequest& request, const std::string& prefix,
                        v1::SearchResponse* response);

 private:
  absl::Status DescribeText(const CallContext& context, const NamespaceView& view,
                            const CollectionInfo& collection,
                            const v1::DescribeIndexRequest& request,
                            v1::DescribeIndexResponse* response);

  Database& database_;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_API_SEARCH_API_H_
