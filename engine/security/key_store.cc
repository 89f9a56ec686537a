#include "engine/security/key_store.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cookix/internal/v1/records.pb.h"
#include "engine/records.h"
#include "storage/base/status.h"
#include "storage/commit_writes.h"

namespace cookix::engine {
namespace {

using internal::v1::KeyRecord;
using storage::Family;

constexpr std::string_view kPepperKey = "p";
constexpr std::string_view kKeyPrefix = "k";
constexpr std::string_view kSecretPrefix = "ckx_";
constexpr size_t kHashBytes = 32;
constexpr size_t kPepperBytes = 32;
// No secret is longer; longer ones are refused without hashing them.
constexpr size_t kMaxSecretBytes = 128;
constexpr size_t kMaxNameBytes = 128;
constexpr size_t kMaxGrants = 256;
constexpr size_t kMaxNamespaceBytes = 64;
constexpr int64_t kMaxGraceMs = 7LL * 24 * 3600 * 1000;

using Hash = std::array<unsigned char, kHashBytes>;

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string RandomBase64(size_t bytes) {
  std::string random(bytes, '\0');
  randombytes_buf(random.data(), random.size());
  std::string text(sodium_base64_ENCODED_LEN(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
                   '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(random.data()),
                    random.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text.resize(text.find('\0'));
  sodium_memzero(random.data(), random.size());
  return text;
}

std::string RandomId() {
  std::array<unsigned char, 8> random;
  randombytes_buf(random.data(), random.size());
  std::array<char, 17> text;
  sodium_bin2hex(text.data(), text.size(), random.data(), random.size());
  return std::string(text.data(), 16);
}

bool KeyIsActive(const v1::Key& key, int64_t now_ms) {
  return key.revoked_ms() == 0 && (key.expires_ms() == 0 || key.expires_ms() > now_ms);
}

bool ValidGrantNamespace(std::string_view name) {
  if (name == "*") return true;
  if (name.empty() || name.size() > kMaxNamespaceBytes) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '_' && c != '-'))) return false;
  }
  return true;
}

absl::Status KeyNotFound(std::string_view id) {
  // The id comes from the caller: it is shown only when it looks like one.
  const bool plausible = id.size() == 16 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
                           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                         });
  return NotFound("KEY_NOT_FOUND", "id",
                  plausible ? absl::StrCat("There is no key with id ", ToAbsl(id))
                            : std::string("There is no key with that id"),
                  "List the keys to see their ids: 16 hexadecimal digits.");
}

// False for bytes that are no record of a key.
bool ReadKeyRecord(std::string_view key, std::string_view value, KeyRecord* record) {
  return key.starts_with(kKeyPrefix) &&
         record->ParseFromArray(value.data(), static_cast<int>(value.size())) &&
         record->hash().size() == kHashBytes && key.substr(kKeyPrefix.size()) == record->key().id();
}

}  // namespace

struct KeyStore::Impl {
  explicit Impl(storage::Store& store_in) : store(store_in) {}

  storage::Store& store;
  std::array<unsigned char, kPepperBytes> pepper{};

  // Held for the whole of a change, so that changes do not cross. Taken before
  // `mutex`.
  std::mutex change_mutex;

  // Guards `records`.
  mutable std::shared_mutex mutex;
  // By id.
  std::map<std::string, KeyRecord, std::less<>> records;

  Hash HashOf(std::string_view secret) const {
    Hash hash;
    crypto_generichash(hash.data(), hash.size(),
                       reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
                       pepper.data(), pepper.size());
    return hash;
  }

  // Fills the record's hash with that of a new secret, and returns that.
  std::string NewSecret(KeyRecord* record) const {
    std::string secret =
        absl::StrCat(ToAbsl(kSecretPrefix), record->key().id(), "_", RandomBase64(32));
    const Hash hash = HashOf(secret);
    record->set_hash(hash.data(), hash.size());
    return secret;
  }

  // REQUIRES: change_mutex is held, `mutex` is not.
  absl::Status Save(const KeyRecord& record) {
    const std::string key = absl::StrCat(ToAbsl(kKeyPrefix), record.key().id());
    const std::string value = record.SerializeAsString();
    COOKIX_RETURN_IF_ERROR(Commit(key, value));
    std::unique_lock<std::shared_mutex> lock(mutex);
    records[record.key().id()] = record;
    return absl::OkStatus();
  }

  absl::Status Commit(std::string_view key, std::string_view value) {
    internal::v1::ChangeRecord change;
    change.add_events()->mutable_catalog()->set_namespace_id(0);
    const std::string change_bytes = change.SerializeAsString();
    return store
        .Commit(storage::CommitOptions(),
                [&](storage::CommitBatch& batch) {
                  batch.Put(Family::kSecurity, key, value);
                  batch.SetChange(change_bytes);
                  return absl::OkStatus();
                })
        .status();
  }

  std::optional<KeyRecord> Get(std::string_view id) const {
    std::shared_lock<std::shared_mutex> lock(mutex);
    const auto it = records.find(id);
    if (it == records.end()) return std::nullopt;
    return it->second;
  }

  bool HasOtherAdministrator(std::string_view id) const {
    const int64_t now_ms = NowMs();
    std::shared_lock<std::shared_mutex> lock(mutex);
    return std::any_of(records.begin(), records.end(), [&](const auto& entry) {
      return entry.first != id && KeyIsActive(entry.second.key(), now_ms) &&
             HasEverywhere(entry.second.key(), v1::ROLE_ADMIN);
    });
  }
};

KeyStore::KeyStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KeyStore::~KeyStore() { sodium_memzero(impl_->pepper.data(), impl_->pepper.size()); }

absl::StatusOr<std::unique_ptr<KeyStore>> KeyStore::Open(storage::Store& store) {
  if (sodium_init() < 0) {
    return MakeError(absl::StatusCode::kInternal, "The cryptography library did not start",
                     {"INTERNAL", "", "Check that the system has a source of randomness.", false});
  }
  auto impl = std::make_unique<Impl>(store);
  const auto snapshot = store.Latest();
  std::string pepper;
  COOKIX_ASSIGN_OR_RETURN(const bool found, snapshot->Get(Family::kSecurity, kPepperKey, &pepper));
  if (!found) {
    randombytes_buf(impl->pepper.data(), impl->pepper.size());
    COOKIX_RETURN_IF_ERROR(impl->Commit(
        kPepperKey,
        std::string_view(reinterpret_cast<char*>(impl->pepper.data()), impl->pepper.size())));
    return std::unique_ptr<KeyStore>(new KeyStore(std::move(impl)));
  }
  if (pepper.size() != kPepperBytes) {
    return Corruption("The stored pepper of the API keys has a wrong length",
                      "Restore the store from a checkpoint.");
  }
  std::copy(pepper.begin(), pepper.end(), impl->pepper.begin());
  sodium_memzero(pepper.data(), pepper.size());
  auto keys = snapshot->Scan(Family::kSecurity, storage::PrefixBounds(kKeyPrefix));
  for (keys->SeekToFirst(); keys->Valid(); keys->Next()) {
    KeyRecord record;
    if (!ReadKeyRecord(keys->key(), keys->value(), &record)) {
      return Corruption("A stored API key cannot be read", "Restore the store from a checkpoint.");
    }
    std::string id = record.key().id();
    impl->records.emplace(std::move(id), std::move(record));
  }
  COOKIX_RETURN_IF_ERROR(keys->status());
  return std::unique_ptr<KeyStore>(new KeyStore(std::move(impl)));
}

void KeyStore::OnFollowed(const std::vector<storage::LogCommitPtr>& commits) {
  for (const storage::LogCommitPtr& commit : commits) {
    // A follower has checked its records; what is no key is none of ours.
    storage::ForEachWrite(commit->batch, Family::kSecurity,
                          [&](std::string_view key, const std::string_view* value) {
                            KeyRecord record;
                            if (value == nullptr || !ReadKeyRecord(key, *value, &record)) return;
                            std::unique_lock<std::shared_mutex> lock(impl_->mutex);
                            std::string id = record.key().id();
                            impl_->records[std::move(id)] = std::move(record);
                          })
        .IgnoreError();
  }
}

absl::StatusOr<KeyStore::NewKey> KeyStore::Create(std::string_view name,
                                                  const std::vector<v1::Grant>& grants,
                                                  int64_t expires_ms, int32_t requests_per_minute) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return InvalidField("name", "The name of a key has 1 to 128 bytes",
                        "Say in a few words what the key is for.");
  }
  if (std::any_of(name.begin(), name.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return InvalidField("name", "The name of a key has a control character",
                        "Use printable characters only.");
  }
  if (grants.empty() || grants.size() > kMaxGrants) {
    return InvalidField("grants", "A key has 1 to 256 grants",
                        "Give a role on a namespace, or on \"*\" for all.");
  }
  for (size_t i = 0; i < grants.size(); ++i) {
    if (!ValidGrantNamespace(grants[i].namespace_())) {
      return InvalidField(absl::StrCat("grants[", i, "].namespace"),
                          "A grant is for the name of a namespace or for \"*\"",
                          "Write the namespace's name, such as \"default\", or \"*\" for all.");
    }
    if (grants[i].role() < v1::ROLE_READ || grants[i].role() > v1::ROLE_REPLICA) {
      return InvalidField(absl::StrCat("grants[", i, "].role"), "Unknown role",
                          "Give ROLE_READ, ROLE_WRITE, ROLE_ADMIN or ROLE_REPLICA.");
    }
    if (grants[i].role() == v1::ROLE_REPLICA && grants[i].namespace_() != "*") {
      return InvalidField(absl::StrCat("grants[", i, "].namespace"), "A replica has all namespaces",
                          "Give the role replica on \"*\".");
    }
  }
  const int64_t now_ms = NowMs();
  if (expires_ms < 0 || (expires_ms > 0 && expires_ms <= now_ms)) {
    return InvalidField("expires_ms", "A key expires in the future",
                        "Give Unix milliseconds after now, or 0 for never.");
  }
  if (requests_per_minute < 0) {
    return InvalidField("requests_per_minute", "A rate is not negative",
                        "Give calls a minute, or 0 for the server's default.");
  }

  NewKey result;
  KeyRecord record;
  auto& key = *record.mutable_key();
  key.set_name(std::string(name));
  for (const auto& grant : grants) *key.add_grants() = grant;
  key.set_created_ms(now_ms);
  key.set_expires_ms(expires_ms);
  key.set_requests_per_minute(requests_per_minute);

  std::lock_guard<std::mutex> change(impl_->change_mutex);
  do {
    key.set_id(RandomId());
  } while (impl_->Get(key.id()).has_value());
  result.secret = impl_->NewSecret(&record);
  COOKIX_RETURN_IF_ERROR(impl_->Save(record));
  result.key = record.key();
  return result;
}

std::vector<v1::Key> KeyStore::List(bool include_inactive) const {
  const int64_t now_ms = NowMs();
  std::vector<v1::Key> keys;
  {
    std::shared_lock<std::shared_mutex> lock(impl_->mutex);
    for (const auto& [id, record] : impl_->records) {
      if (include_inactive || KeyIsActive(record.key(), now_ms)) keys.push_back(record.key());
    }
  }
  std::stable_sort(keys.begin(), keys.end(), [](const v1::Key& a, const v1::Key& b) {
    return a.created_ms() < b.created_ms();
  });
  return keys;
}

absl::StatusOr<v1::Key> KeyStore::Revoke(std::string_view id) {
  std::lock_guard<std::mutex> change(impl_->change_mutex);
  std::optional<KeyRecord> record = impl_->Get(id);
  if (!record.has_value()) return KeyNotFound(id);
  if (record->key().revoked_ms() != 0) return record->key();
  const int64_t now_ms = NowMs();
  if (KeyIsActive(record->key(), now_ms) && HasEverywhere(record->key(), v1::ROLE_ADMIN) &&
      !impl_->HasOtherAdministrator(id)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "The last administrator key cannot be revoked",
                     {"LAST_ADMINISTRATOR", "id",
                      "Create another key with the role admin on \"*\" first.", false});
  }
  record->mutable_key()->set_revoked_ms(now_ms);
  record->clear_previous_hash();
  record->clear_previous_until_ms();
  COOKIX_RETURN_IF_ERROR(impl_->Save(*record));
  return record->key();
}

absl::StatusOr<KeyStore::NewKey> KeyStore::Rotate(std::string_view id, int64_t grace_ms) {
  if (grace_ms < 0 || grace_ms > kMaxGraceMs) {
    return InvalidField("grace_ms", "The period of grace is 0 to 7 days",
                        "Give milliseconds, at most 604800000.");
  }
  std::lock_guard<std::mutex> change(impl_->change_mutex);
  std::optional<KeyRecord> record = impl_->Get(id);
  if (!record.has_value()) return KeyNotFound(id);
  const int64_t now_ms = NowMs();
  if (!KeyIsActive(record->key(), now_ms)) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "A revoked or expired key cannot be rotated",
                     {"KEY_INACTIVE", "id", "Create a new key.", false});
  }
  if (grace_ms > 0) {
    record->set_previous_hash(record->hash());
    record->set_previous_until_ms(now_ms + grace_ms);
  } else {
    record->clear_previous_hash();
    record->clear_previous_until_ms();
  }
  record->mutable_key()->set_rotated_ms(now_ms);
  NewKey result;
  result.secret = impl_->NewSecret(&*record);
  COOKIX_RETURN_IF_ERROR(impl_->Save(*record));
  result.key = record->key();
  return result;
}

std::optional<v1::Key> KeyStore::Find(std::string_view id) const {
  std::optional<KeyRecord> record = impl_->Get(id);
  if (!record.has_value()) return std::nullopt;
  return std::move(*record->mutable_key());
}

bool KeyStore::IsActive(std::string_view id) const {
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  const auto it = impl_->records.find(id);
  return it != impl_->records.end() && KeyIsActive(it->second.key(), NowMs());
}

std::optional<v1::Key> KeyStore::Authenticate(std::string_view secret) const {
  if (secret.empty() || secret.size() > kMaxSecretBytes) return std::nullopt;
  const Hash hash = impl_->HashOf(secret);
  const int64_t now_ms = NowMs();
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  // Every record is compared, with the present hash and with a previous one or,
  // where there is none, with zeros: the time tells nothing about which matched.
  static constexpr Hash kNoHash{};
  const KeyRecord* match = nullptr;
  for (const auto& [id, record] : impl_->records) {
    const bool present = sodium_memcmp(record.hash().data(), hash.data(), kHashBytes) == 0;
    const bool has_previous =
        record.previous_hash().size() == kHashBytes && record.previous_until_ms() > now_ms;
    const void* previous_bytes =
        has_previous ? static_cast<const void*>(record.previous_hash().data()) : kNoHash.data();
    const bool previous =
        (sodium_memcmp(previous_bytes, hash.data(), kHashBytes) == 0) & has_previous;
    match = (present | previous) ? &record : match;
  }
  if (match == nullptr || !KeyIsActive(match->key(), now_ms)) return std::nullopt;
  return match->key();
}

bool KeyStore::HasAdministrator() const { return impl_->HasOtherAdministrator(""); }

bool KeyStore::HasKeys() const {
  std::shared_lock<std::shared_mutex> lock(impl_->mutex);
  return !impl_->records.empty();
}

v1::Role RoleOn(const v1::Key& key, std::string_view namespace_name) {
  const std::string_view name = namespace_name.empty() ? kDefaultName : namespace_name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  for (const auto& grant : key.grants()) {
    if (grant.role() != v1::ROLE_REPLICA &&
        (grant.namespace_() == "*" || grant.namespace_() == name)) {
      role = std::max(role, grant.role());
    }
  }
  return role;
}

bool HasEverywhere(const v1::Key& key, v1::Role role) {
  return std::any_of(key.grants().begin(), key.grants().end(), [role](const v1::Grant& grant) {
    if (grant.namespace_() != "*") return false;
    // The role replica is beside the others, not above them.
    if (role == v1::ROLE_REPLICA || grant.role() == v1::ROLE_REPLICA) {
      return grant.role() == role || grant.role() == v1::ROLE_ADMIN;
    }
    return grant.role() >= role;
  });
}

}  // namespace cookix::engine
