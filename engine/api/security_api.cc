#include "engine/api/security_api.h"

#include <optional>
#include <utility>
#include <vector>

#include "engine/database.h"
#include "engine/security/key_store.h"
#include "engine/write/writer.h"
#include "storage/base/status.h"

namespace cookix::engine {

absl::Status SecurityApi::CreateKey(CallContext& context, const v1::CreateKeyRequest& request,
                                    v1::CreateKeyResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  KeyStore& keys = database_.keys();
  const std::vector<v1::Grant> grants(request.grants().begin(), request.grants().end());
  v1::Key wanted;
  *wanted.mutable_grants() = request.grants();
  // As soon as there is a key, keys are required: without an administrator nobody
  // could create a second one.
  if (!keys.HasAdministrator() && !grants.empty() &&
      (!HasEverywhere(wanted, v1::ROLE_ADMIN) || request.expires_ms() != 0)) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "There is no administrator key yet",
        {"NO_ADMINISTRATOR", "grants",
         "Create a key with the role admin on \"*\" that does not expire first.", false});
  }
  COOKIX_ASSIGN_OR_RETURN(
      KeyStore::NewKey created,
      keys.Create(request.name(), grants, request.expires_ms(), request.requests_per_minute()));
  COOKIX_RETURN_IF_ERROR(database_.writer().ConfirmLatest(context));
  *response->mutable_key() = std::move(created.key);
  response->set_secret(std::move(created.secret));
  return absl::OkStatus();
}

absl::Status SecurityApi::ListKeys(CallContext& context, const v1::ListKeysRequest& request,
                                   v1::ListKeysResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  for (v1::Key& key : database_.keys().List(request.include_inactive())) {
    *response->add_keys() = std::move(key);
  }
  return absl::OkStatus();
}

absl::Status SecurityApi::RevokeKey(CallContext& context, const v1::RevokeKeyRequest& request,
                                    v1::RevokeKeyResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(*response->mutable_key(), database_.keys().Revoke(request.id()));
  return database_.writer().ConfirmLatest(context);
}

absl::Status SecurityApi::RotateKey(CallContext& context, const v1::RotateKeyRequest& request,
                                    v1::RotateKeyResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  COOKIX_ASSIGN_OR_RETURN(KeyStore::NewKey rotated,
                          database_.keys().Rotate(request.id(), request.grace_ms()));
  COOKIX_RETURN_IF_ERROR(database_.writer().ConfirmLatest(context));
  *response->mutable_key() = std::move(rotated.key);
  response->set_secret(std::move(rotated.secret));
  return absl::OkStatus();
}

absl::Status SecurityApi::WhoAmI(CallContext& context, const v1::WhoAmIRequest& request,
                                 v1::WhoAmIResponse* response) {
  COOKIX_RETURN_IF_ERROR(context.Check());
  if (context.key_id.empty()) {
    response->set_open(true);
    return absl::OkStatus();
  }
  std::optional<v1::Key> key = database_.keys().Find(context.key_id);
  if (!key.has_value()) {
    return NotFound("KEY_NOT_FOUND", "", "The caller's key is not in the store",
                    "Ask an administrator for a new key.");
  }
  *response->mutable_key() = *std::move(key);
  return absl::OkStatus();
}

}  // namespace cookix::engine
