// Limits of the engine. Exceeding one is an error (LIMIT_EXCEEDED) that names
// the field and the limit; nothing is clamped.
#ifndef COOKIX_ENGINE_LIMITS_H_
#define COOKIX_ENGINE_LIMITS_H_

#include <cstdint>

namespace cookix::engine {

struct Limits {
  int64_t max_key_bytes = 1024;
  int64_t max_content_bytes = 1 << 20;
  // Serialized properties of one object or edge.
  int64_t max_properties_bytes = 256 << 10;
  int64_t max_labels = 256;
  int64_t max_name_bytes = 256;  // relations, properties, labels
  int64_t max_batch_objects = 10'000;
  int64_t max_batch_edges = 100'000;
  int64_t max_page_size = 10'000;
  int64_t max_filter_nodes = 1024;
  int64_t max_filter_depth = 64;
  int64_t max_membership_values = 10'000;
  int64_t max_traversal_depth = 64;
  int64_t max_traversal_results = 100'000;
  int64_t max_query_hops = 32;
  int64_t max_chain_length = 16;
  int64_t max_query_results = 10'000;
  int64_t max_search_limit = 10'000;
  int64_t max_group_limit = 100;
  // Hits of one call: of all searches of a batch, and of all groups of a search.
  int64_t max_search_hits = 100'000;
  // Bytes of the objects, snippets, paths and edges that one search, query or walk returns.
  int64_t max_search_bytes = 256LL << 20;
  // Candidates that a search with groups fetches before it gives up on full groups.
  int64_t max_group_candidates = 100'000;
  int64_t max_batch_searches = 1000;
  int64_t max_ef = 10'000;
  int64_t max_cells_probed = 10'000;
  // Anchors of a query that a search finds.
  int64_t max_anchors = 100;
  // Of a search by words: bytes and words of the query, words of a phrase, terms that one
  // prefix or fuzzy word stands for.
  int64_t max_text_query_bytes = 64 << 10;
  int64_t max_text_query_terms = 64;
  int64_t max_phrase_words = 32;
  int64_t max_text_expansions = 1024;
  // Lanes of a search, and what each of them passes on.
  int64_t max_search_lanes = 16;
  int64_t max_lane_candidates = 10'000;
  int64_t max_neighbourhood_anchors = 1000;
  int64_t max_neighbourhood_hops = 16;
  int64_t max_snippet_words = 1000;
  int64_t max_snippets = 10;
  // Text of a query in one of the grammars.
  int64_t max_query_text_bytes = 1 << 20;
  // Parts of a query.
  int64_t max_follow_steps = 16;
  int64_t max_order_fields = 16;
  int64_t max_group_fields = 16;
  int64_t max_aggregates = 64;
  int64_t max_select_fields = 1000;
  int64_t max_query_offset = 1'000'000;
  // Rows that a query may hold while it works, and bytes of them and of their groups.
  int64_t max_query_rows = 1'000'000;
  int64_t max_query_bytes = 256LL << 20;
  // Edges that one query may look at before it fails with QUERY_TIMEOUT.
  int64_t max_edges_examined = 200'000'000;
  // Longest time of a query, when the caller sets no earlier deadline.
  int64_t max_query_ms = 60'000;
  int64_t max_relations = (1 << 20) - 1;  // per namespace
  int64_t max_collections = 10'000;       // per namespace
  int64_t max_namespaces = 100'000;
  // Edges of one object that a deletion removes in its own commit; above, a
  // tombstone hides them and the collector removes them.
  int64_t max_edges_deleted_inline = 1000;
  // How long the snapshot of a paged scan is held after its last page.
  int64_t cursor_keep_ms = 60'000;
  int64_t max_cursors = 256;
  // Default and greatest wait for positions and views.
  int64_t default_wait_ms = 2000;
  int64_t max_wait_ms = 60'000;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_LIMITS_H_
