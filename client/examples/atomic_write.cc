// Moves stock between two shelves in one atomic write that fails when somebody
// else changed a shelf in between.
#include <cstdio>

#include "client/examples/example_database.h"

using cookix::client::Check;
using cookix::client::Expect;
namespace v1 = cookix::v1;

namespace {

v1::Object Get(cookix::client::Client& db, const char* key) {
  v1::GetObjectRequest request;
  request.mutable_ref()->set_key(key);
  v1::GetObjectResponse response;
  Check(db.GetObject(request, &response));
  return response.object();
}

void SetStock(v1::Mutation* mutation, const v1::Object& shelf, int64_t stock) {
  v1::ObjectPatch* patch = mutation->mutable_patch_object();
  *patch->mutable_ref() = shelf.ref();
  (*patch->mutable_set_properties())["stock"].set_int_value(stock);
  patch->mutable_condition()->set_version(shelf.version());
}

}  // namespace

int main() {
  auto example = cookix::client::OpenExample();
  cookix::client::Client& db = *example.client;
  for (const char* key : {"shelf_a", "shelf_b"}) {
    v1::PutObjectRequest request;
    v1::Object* object = request.mutable_write()->mutable_object();
    object->mutable_ref()->set_key(key);
    (*object->mutable_properties())["stock"].set_int_value(10);
    v1::PutObjectResponse response;
    Check(db.PutObject(request, &response));
  }

  const v1::Object a = Get(db, "shelf_a");
  const v1::Object b = Get(db, "shelf_b");
  v1::WriteRequest move;
  SetStock(move.add_mutations(), a, a.properties().at("stock").int_value() - 3);
  SetStock(move.add_mutations(), b, b.properties().at("stock").int_value() + 3);
  v1::WriteResponse moved;
  Check(db.Write(move, &moved));
  Expect(Get(db, "shelf_b").properties().at("stock").int_value() == 13, "three more");

  // The same move again was planned on versions that are gone.
  const absl::Status again = db.Write(move, &moved);
  Expect(again.code() == absl::StatusCode::kAborted, "the condition fails");
  Expect(Get(db, "shelf_a").properties().at("stock").int_value() == 7, "nothing changed");
  std::printf("%s\n", again.ToString().c_str());
  return 0;
}
