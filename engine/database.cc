#include "engine/database.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/cursor_table.h"
#include "engine/filter_fallback.h"
#include "engine/graph/adjacency_view.h"
#include "engine/graph/store_arc_reader.h"
#include "engine/security/key_store.h"
#include "engine/text/record_text_search.h"
#include "engine/text/text_view.h"
#include "engine/vector/record_search.h"
#include "engine/vector/vector_view.h"
#include "engine/view/field_index_view.h"
#include "engine/view/name_view.h"
#include "engine/write/writer.h"
#include "storage/base/status.h"
#include "storage/epoch_history.h"

namespace cookix::engine {
namespace {

// A read waits this long for a view to catch up before it reads the store.
constexpr std::chrono::milliseconds kViewWait{50};
// And for the vector indexes, without which every vector is read.
constexpr std::chrono::milliseconds kVectorWait{2000};
// And for the text indexes, without which every text is read.
constexpr std::chrono::milliseconds kTextWait{2000};
constexpr int64_t kSweepBatch = 200;

}  // namespace

// Sweeps what has expired and collects what is deleted, a little at a time.
class Database::Background {
 public:
  explicit Background(Database& database) : database_(database), thread_([this] { Run(); }) {}
  ~Background() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void Run() {
    int64_t next_forget_ms = database_.NowMs();
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stopping_) {
      lock.unlock();
      bool busy = false;
      if (auto removed = database_.RunMaintenance(5000); removed.ok()) busy = *removed > 0;
      if (const int64_t now = database_.NowMs(); now >= next_forget_ms) {
        next_forget_ms = now + 60'000;
        if (auto forgotten = database_.store().ForgetRequestIds(10'000); forgotten.ok()) {
          busy = busy || *forgotten > 0;
        }
      }
      lock.lock();
      if (!busy) wake_.wait_for(lock, std::chrono::milliseconds(100));
    }
  }

  Database& database_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

Database::Database(DatabaseOptions options)
    : options_(std::move(options)),
      object_api_(*this),
      graph_api_(*this),
      reasoning_api_(*this),
      search_api_(*this),
      query_api_(*this),
      catalog_api_(*this),
      security_api_(*this),
      admin_api_(*this),
      backup_api_(*this),
      watch_api_(*this) {}

Database::~Database() {
  background_.reset();
  if (view_host_ != nullptr) view_host_->Stop();
  keys_.reset();
  cursors_.reset();
  view_host_.reset();
  writer_.reset();
  store_.reset();
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(DatabaseOptions options) {
  std::unique_ptr<Database> database(new Database(std::move(options)));
  Database& self = *database;
  COOKIX_ASSIGN_OR_RETURN(self.store_, storage::Store::Open(self.options_.storage));
  COOKIX_ASSIGN_OR_RETURN(
      self.writer_, Writer::Open(*self.store_, self.options_.limits, self.options_.storage.log));
  COOKIX_ASSIGN_OR_RETURN(self.keys_, KeyStore::Open(*self.store_));
  self.writer_->SetFollowed([&self](const std::vector<storage::LogCommitPtr>& commits) {
    self.keys_->OnFollowed(commits);
  });
  if (self.options_.replicated) self.writer_->SetReplicated(self.options_.replicated);
  self.cursors_ = std::make_unique<CursorTable>(self.options_.limits.cursor_keep_ms,
                                                self.options_.limits.max_cursors);
  ViewHostOptions views = self.options_.views;
  if (views.log == nullptr) views.log = self.options_.storage.log;
  // Where nothing outlives the process there is nothing to save.
  if (self.options_.storage.in_memory && self.options_.storage.file_system == nullptr) {
    views.checkpoints = false;
  }
  self.view_host_ = std::make_unique<ViewHost>(
      *self.store_, [&self] { return self.Read(); }, std::move(views));
  if (self.options_.adjacency_bytes > 0) {
    self.adjacency_ = self.view_host_->Add(
        std::make_unique<AdjacencyView>(AdjacencyOptions{self.options_.adjacency_bytes}));
  }
  if (self.options_.names_bytes > 0) {
    self.names_ = self.view_host_->Add(std::make_unique<NameView>(self.options_.names_bytes));
  }
  if (self.options_.field_index) {
    self.field_index_ = self.view_host_->Add(std::make_unique<FieldIndexView>(FieldIndexOptions()));
  }
  if (self.options_.vectors.max_bytes > 0) {
    self.vectors_ =
        self.view_host_->Add(std::make_unique<VectorView>(self.options_.vectors, *self.store_));
    self.writer_->SetVectorRoom([&self](const v1::VectorField& field, int64_t bytes) {
      return self.vectors_->CheckRoom(field, bytes);
    });
  }
  if (self.options_.text.max_bytes > 0) {
    TextViewOptions text = self.options_.text;
    if (text.log == nullptr) text.log = self.options_.storage.log;
    self.text_ = self.view_host_->Add(std::make_unique<TextView>(std::move(text), *self.store_));
    self.writer_->SetTextRoom([&self](int64_t bytes) { return self.text_->CheckRoom(bytes); });
  }
  self.writer_->SetViews(self.view_host_.get());
  COOKIX_RETURN_IF_ERROR(self.view_host_->Start());
  if (self.options_.background_work) self.background_ = std::make_unique<Background>(self);
  return database;
}

ReadView Database::Read() const {
  ReadView view = writer_->Read();
  if (names_ != nullptr) view.names = &names_->table();
  return view;
}

absl::StatusOr<ReadView> Database::Read(const CallContext& context,
                                        const v1::ReadOptions& options) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  const Limits& limits = options_.limits;
  if (options.wait_ms() < 0) {
    return InvalidField("options.wait_ms", "the wait is negative", "Send milliseconds, or 0");
  }
  if (options.wait_ms() > limits.max_wait_ms) {
    return LimitExceeded("options.wait_ms",
                         absl::StrCat("the wait is longer than ", limits.max_wait_ms, " ms"),
                         "Ask for less");
  }
  // What is due is deleted by a commit before anybody reads past its time; on a follower, by
  // the primary's commit.
  for (int64_t next = writer_->next_expiry_ms();
       next != 0 && next <= NowMs() && !store_->follower(); next = writer_->next_expiry_ms()) {
    auto swept = writer_->SweepExpired(NowMs(), kSweepBatch);
    if (!swept.ok() || *swept == 0) break;
    COOKIX_RETURN_IF_ERROR(context.Check());
  }
  if (options.min_position().empty()) return Read();
  auto position = storage::DecodePosition(options.min_position());
  if (!position.ok()) {
    return InvalidField("options.min_position", "the position is malformed",
                        "Send a position that this server gave");
  }
  // A follower learns of an epoch when it gets there.
  const auto ahead = [&] {
    return store_->follower() && position->store == store_->id() &&
           position->epoch > store_->epoch();
  };
  if (const absl::Status known = store_->CheckPosition(*position); !known.ok() && !ahead()) {
    return WithField(known, "options.min_position");
  }
  const int64_t wait = options.wait_ms() > 0 ? options.wait_ms() : limits.default_wait_ms;
  const auto deadline =
      std::min(context.deadline(), CallContext::Clock::now() + std::chrono::milliseconds(wait));
  while (true) {
    ReadView view = Read();
    if (view.commit() >= position->commit && !ahead()) {
      // The epoch that it belongs to may have become known meanwhile, and end before it.
      if (const absl::Status known = store_->CheckPosition(*position); !known.ok()) {
        return WithField(known, "options.min_position");
      }
      return view;
    }
    COOKIX_RETURN_IF_ERROR(context.Check());
    if (CallContext::Clock::now() >= deadline) {
      return MakeError(
          absl::StatusCode::kUnavailable, "the position was not reached in time",
          {"POSITION_NOT_REACHED", "options.min_position", "Call again, or wait longer", true});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::unique_ptr<ArcReader> Database::Arcs(const CallContext& context, const NamespaceView& view) {
  if (adjacency_ != nullptr) {
    const auto deadline = std::min(context.deadline(), CallContext::Clock::now() + kViewWait);
    if (view_host_->WaitVisible(adjacency_, view.commit(), deadline)) {
      return adjacency_->NewReader(view, NewStoreArcReader);
    }
  }
  return NewStoreArcReader(view);
}

absl::StatusOr<std::shared_ptr<const OrdinalSet>> Database::Evaluate(const CallContext& context,
                                                                     const NamespaceView& view,
                                                                     const CompiledFilter& filter) {
  if (field_index_ != nullptr) {
    const auto deadline = std::min(context.deadline(), CallContext::Clock::now() + kViewWait);
    if (view_host_->WaitVisible(field_index_, view.commit(), deadline)) {
      COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const OrdinalSet> set,
                              field_index_->Evaluate(context, view, filter));
      if (set != nullptr) return set;
    }
  }
  return EvaluateByRecords(context, view, filter);
}

absl::Status Database::FindNearest(const CallContext& context, const NamespaceView& view,
                                   const VectorSearch& search, VectorSearchResult* result) {
  // Indexes compare by the metric of their field.
  if (vectors_ != nullptr && search.metric == v1::VECTOR_METRIC_UNSPECIFIED) {
    const auto deadline = std::min(context.deadline(), CallContext::Clock::now() + kVectorWait);
    if (view_host_->WaitVisible(vectors_, view.commit(), deadline)) {
      COOKIX_ASSIGN_OR_RETURN(const bool answered, vectors_->Search(context, view, search, result));
      if (answered) return absl::OkStatus();
      result->Clear();
    }
  }
  return SearchRecords(context, view, search, result);
}

absl::Status Database::DescribeVectors(const CallContext& context, const NamespaceView& view,
                                       CollectionId collection, const v1::VectorField& field,
                                       v1::DescribeIndexResponse* response) {
  response->set_visible_commit(static_cast<int64_t>(view.commit()));
  if (vectors_ != nullptr) {
    // As a search would; what is visible by then is told.
    view_host_->WaitVisible(vectors_, view.commit(),
                            std::min(context.deadline(), CallContext::Clock::now() + kVectorWait));
    for (const ViewStatus& status : view_host_->Status()) {
      if (status.name != vectors_->name()) continue;
      response->set_visible_commit(static_cast<int64_t>(status.visible));
      response->set_error(status.error);
      if (status.state == ViewState::kReady) {
        response->set_state("ready");
        vectors_->Describe(view.id(), collection, field.name(), response);
        return absl::OkStatus();
      }
      response->set_state(status.state == ViewState::kFailed ? "failed" : "building");
    }
  }
  // Without an index every vector is compared one by one.
  COOKIX_ASSIGN_OR_RETURN(const int64_t vectors,
                          CountVectorRecords(context, view, collection, field));
  if (response->state().empty()) response->set_state("building");
  response->set_vectors(vectors);
  return absl::OkStatus();
}

absl::Status Database::FindByText(const CallContext& context, const NamespaceView& view,
                                  const TextSearch& search, TextSearchResult* result) {
  if (text_ != nullptr) {
    const auto deadline = std::min(context.deadline(), CallContext::Clock::now() + kTextWait);
    if (view_host_->WaitVisible(text_, view.commit(), deadline)) {
      COOKIX_ASSIGN_OR_RETURN(const bool answered, text_->Search(context, view, search, result));
      if (answered) return absl::OkStatus();
      *result = TextSearchResult();
    }
  }
  return SearchTextRecords(context, view, search, result);
}

absl::Status Database::DescribeText(const CallContext& context, const NamespaceView& view,
                                    const CollectionInfo& collection,
                                    v1::DescribeIndexResponse* response) {
  const v1::Collection& definition = collection.record.collection();
  response->set_visible_commit(static_cast<int64_t>(view.commit()));
  for (const v1::TextField& field : definition.text_fields()) {
    *response->add_text_fields()->mutable_field() = field;
  }
  if (text_ == nullptr) {
    response->set_state("failed");
    response->set_error("the server has no text indexes, for text_mb is 0");
    return absl::OkStatus();
  }
  // As a search would; what is visible by then is told.
  view_host_->WaitVisible(text_, view.commit(),
                          std::min(context.deadline(), CallContext::Clock::now() + kTextWait));
  for (const ViewStatus& status : view_host_->Status()) {
    if (status.name != text_->name()) continue;
    response->set_visible_commit(static_cast<int64_t>(status.visible));
    if (status.state == ViewState::kReady) {
      text_->Describe(view.id(), collection.id, definition, response);
    } else {
      response->set_state(status.state == ViewState::kFailed ? "failed" : "building");
      response->set_error(status.error);
    }
  }
  return absl::OkStatus();
}

std::string Database::PositionToken(uint64_t commit) const {
  const uint64_t epoch = storage::EpochOf(store_->Epochs(), commit);
  return storage::EncodePosition({store_->id(), epoch, commit});
}

absl::StatusOr<int64_t> Database::RunMaintenance(int64_t max_records) {
  // A follower repeats what the primary removes.
  if (store_->follower()) return 0;
  int64_t removed = 0;
  for (int64_t next = writer_->next_expiry_ms();
       next != 0 && next <= NowMs() && removed < max_records; next = writer_->next_expiry_ms()) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t swept, writer_->SweepExpired(NowMs(), kSweepBatch));
    if (swept == 0) break;
    removed += swept;
  }
  if (writer_->pending_tombstones() > 0 && removed < max_records) {
    COOKIX_ASSIGN_OR_RETURN(const int64_t collected, writer_->Collect(max_records - removed));
    removed += collected;
    collected_ += collected;
  }
  return removed;
}

int64_t Database::pending_tombstones() const { return writer_->pending_tombstones(); }
int64_t Database::collected_records() const { return collected_; }

int64_t Database::NowMs() const {
  if (options_.storage.clock_ms) return options_.storage.clock_ms();
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace cookix::engine
