#!/usr/bin/python3
"""The quickstart's calls from Python against a real server.

    quickstart_test.py TARGET

The generated stubs must be on PYTHONPATH. Each case prints "ok NAME" or
"not ok NAME".
"""
import sys
import traceback

import grpc

from cookix.v1 import catalog_service_pb2 as catalog
from cookix.v1 import common_pb2 as common
from cookix.v1 import graph_service_pb2 as graph
from cookix.v1 import object_service_pb2 as objects
from cookix.v1 import query_service_pb2 as query
from cookix.v1 import reasoning_service_pb2 as reasoning
from cookix.v1 import search_service_pb2 as search
from cookix.v1 import watch_service_pb2 as watch
from cookix_client import Cookix, error_info

NS = "python-quickstart"


def ref(key):
    return common.ObjectRef(key=key)


def edge(source, relation, target, weight):
    return common.Edge(source=ref(source), relation=relation, target=ref(target), weight=weight)


def put(cookix, key, content="", **properties):
    item = common.Object(ref=ref(key), content=content, properties=properties)
    return cookix.object.PutObject(
        objects.PutObjectRequest(namespace=NS, write=objects.ObjectWrite(object=item)))


def link(cookix, *args):
    return cookix.graph.PutEdge(graph.PutEdgeRequest(namespace=NS, edge=edge(*args)))


def fails_with(call, code, reason, field=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        info = error_info(error)
        assert info is not None, "no google.rpc.ErrorInfo"
        assert info.domain == "cookix" and info.reason == reason, info
        assert field is None or info.metadata["field"] == field, info
        assert info.metadata["remedy"], "no remedy"
        return info
    raise AssertionError("the call should have failed")


def test_create_a_namespace(cookix):
    answer = cookix.catalog.CreateNamespace(
        catalog.CreateNamespaceRequest(namespace=catalog.Namespace(name=NS)))
    assert answer.created


def test_put_and_get(cookix):
    answer = put(cookix, "rain", "Water that falls", wet=common.Value(bool_value=True),
                 drops=common.Value(int_value=2**60))
    assert answer.created
    for key in ("wet street", "slippery street", "umbrella", "drought"):
        put(cookix, key)
    got = cookix.object.GetObject(objects.GetObjectRequest(
        namespace=NS, ref=ref("rain"),
        options=common.ReadOptions(min_position=answer.result.position))).object
    assert got.content == "Water that falls"
    assert got.properties["wet"].bool_value
    assert got.properties["drops"].int_value == 2**60
    assert got.version == answer.result.commit


def test_link(cookix):
    assert link(cookix, "rain", "causes", "wet street", 0.5).created
    assert link(cookix, "wet street", "causes", "slippery street", 0.25).created
    assert link(cookix, "umbrella", "protects_from", "rain", 1.0).created
    assert link(cookix, "drought", "contradicts", "rain", 0.1).created
    # Putting an edge again replaces it.
    assert not link(cookix, "drought", "contradicts", "rain", 0.2).created


def test_a_query_answers_with_its_path(cookix):
    answer = cookix.reasoning.Query(reasoning.QueryRequest(
        namespace=NS, anchor=ref("rain"), target=ref("slippery street"), with_explanations=True))
    assert len(answer.hits) == 1, answer
    hit = answer.hits[0]
    assert [(s.source.key, s.relation, s.target.key) for s in hit.path.steps] == [
        ("rain", "causes", "wet street"), ("wet street", "causes", "slippery street")]
    assert abs(hit.path.weight - 0.75) < 1e-9
    assert "rain --[causes]--> wet street --[causes]--> slippery street" in hit.explanation


def test_a_statement_and_its_plan(cookix):
    asked = query.Query(search_text="SEARCH default KEYS ('rain') FOLLOW causes HOPS 2")
    compiled = cookix.query.Compile(query.CompileRequest(namespace=NS, query=asked))
    assert [step.WhichOneof("action") for step in compiled.plan.steps] == [
        "seed", "expand", "project"], compiled
    for work in ({"query": asked}, {"plan": compiled.plan},
                 {"query": query.Query(bring_text=compiled.bring_text)}):
        answer = cookix.query.Execute(query.ExecuteRequest(namespace=NS, explain=True, **work))
        assert [(hit.ref.key, hit.hops) for hit in answer.hits] == [
            ("wet street", 1), ("slippery street", 2)], answer
        assert [stage.output for stage in answer.stages] == [1, 2, 2], answer


def test_contradictions(cookix):
    answer = cookix.reasoning.FindContradictions(
        reasoning.FindContradictionsRequest(namespace=NS, ref=ref("rain")))
    assert [hit.ref.key for hit in answer.hits] == ["drought"]


def test_neighbours_in_both_directions(cookix):
    answer = cookix.graph.ListNeighbors(graph.ListNeighborsRequest(
        namespace=NS, ref=ref("rain"), direction=graph.DIRECTION_BOTH))
    assert sorted((n.ref.key, n.direction) for n in answer.neighbors) == [
        ("drought", graph.DIRECTION_IN), ("umbrella", graph.DIRECTION_IN),
        ("wet street", graph.DIRECTION_OUT)]


def test_a_scan_in_pages(cookix):
    keys, token, pages = [], "", 0
    while True:
        page = cookix.object.ScanObjects(
            objects.ScanObjectsRequest(namespace=NS, page_size=2, page_token=token))
        keys += [item.ref.key for item in page.objects]
        pages += 1
        token = page.next_page_token
        if not token:
            break
    assert keys == ["drought", "rain", "slippery street", "umbrella", "wet street"], keys
    assert pages == 3


def test_a_stream_of_objects(cookix):
    keys = [write.object.ref.key
            for chunk in cookix.object.StreamObjects(objects.StreamObjectsRequest(namespace=NS))
            for write in chunk.objects]
    assert len(keys) == 5


def test_a_bulk_stream_is_answered_in_order(cookix):
    def writes():
        for i in range(1, 11):
            mutation = objects.Mutation(put_object=objects.ObjectWrite(
                object=common.Object(ref=ref(f"bulk/{i}"))))
            yield objects.BulkWriteRequest(
                sequence=i, write=objects.WriteRequest(namespace=NS, mutations=[mutation]))
    answers = [answer.sequence for answer in cookix.object.BulkWrite(writes())]
    assert answers == list(range(1, 11)), answers
    assert cookix.object.CountObjects(objects.CountObjectsRequest(namespace=NS)).count == 15


def test_a_collection_with_vectors(cookix):
    answer = cookix.catalog.CreateCollection(catalog.CreateCollectionRequest(
        namespace=NS, collection=catalog.Collection(name="shapes", vector_fields=[
            catalog.VectorField(name="shape", dimension=3, metric=catalog.VECTOR_METRIC_L2)])))
    assert answer.created

    def batches():
        for i in range(1, 5):
            yield search.InsertVectorsRequest(
                namespace=NS, collection="shapes", field="shape", sequence=i,
                keys=[f"{i}/a", f"{i}/b"], values=[i, 0, 0, i, 1, 0],
                properties=[common.MapValue(fields={"size": common.Value(int_value=i)})] * 2)
    answers = list(cookix.search.InsertVectors(batches()))
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4], answers
    assert [answer.created_count for answer in answers] == [2, 2, 2, 2], answers


def look(cookix, vector, **options):
    query = search.VectorQuery(field="shape", vector=common.Vector(values=vector))
    return cookix.search.Search(search.SearchRequest(
        namespace=NS, collection="shapes", vector=query, **options))


def test_a_search_finds_what_was_written(cookix):
    answer = look(cookix, [2, 0, 0], limit=3)
    assert [hit.ref.key for hit in answer.hits] == ["2/a", "1/a", "2/b"], answer
    assert answer.hits[0].distance == 0 and answer.hits[1].distance == 1
    assert answer.diagnostics.candidates_considered >= 3
    put_one = objects.PutObjectRequest(namespace=NS, write=objects.ObjectWrite(
        object=common.Object(ref=common.ObjectRef(collection="shapes", key="new"),
                             vectors={"shape": common.Vector(values=[2, 0, 0.5])})))
    cookix.object.PutObject(put_one)
    assert [hit.ref.key for hit in look(cookix, [2, 0, 0], limit=2).hits] == ["2/a", "new"]


def test_a_search_with_a_filter(cookix):
    large = common.Filter(comparison=common.Comparison(
        field="size", op=common.COMPARISON_OPERATOR_GREATER_EQUAL,
        value=common.Value(int_value=3)))
    answer = look(cookix, [0, 0, 0], limit=2, filter=large, with_objects=True)
    assert [hit.ref.key for hit in answer.hits] == ["3/a", "3/b"], answer
    assert answer.hits[0].object.properties["size"].int_value == 3
    assert answer.diagnostics.filter_matches == 4


def test_words_and_vectors_together(cookix):
    cookix.catalog.CreateCollection(catalog.CreateCollectionRequest(
        namespace=NS, collection=catalog.Collection(
            name="notes",
            text_fields=[catalog.TextField(name="content",
                                           analyzer=catalog.TextAnalyzer(language="en"))],
            vector_fields=[catalog.VectorField(name="topic", dimension=2)])))

    def writes():
        texts = {"a": "Heavy rains flooded the valley", "b": "A coat for the rain", "c": "Sunny"}
        for i, (key, content) in enumerate(texts.items()):
            item = common.Object(ref=common.ObjectRef(collection="notes", key=key),
                                 content=content,
                                 vectors={"topic": common.Vector(values=[i + 1, 1])})
            yield objects.BulkWriteRequest(sequence=i + 1, write=objects.WriteRequest(
                namespace=NS, mutations=[objects.Mutation(
                    put_object=objects.ObjectWrite(object=item))]))
    assert len(list(cookix.object.BulkWrite(writes()))) == 3
    words = search.TextQuery(text="flooding rain")
    answer = cookix.search.Search(search.SearchRequest(
        namespace=NS, collection="notes", text=words, count_matches=True,
        snippets=search.SnippetOptions(max_words=3)))
    assert [hit.ref.key for hit in answer.hits] == ["a", "b"], answer
    assert answer.total_matches == 2
    snippet = answer.hits[0].snippets[0]
    marked = [snippet.text.encode()[h.begin:h.end].decode() for h in snippet.highlights]
    assert marked == ["rains", "flooded"], snippet
    answer = cookix.search.Search(search.SearchRequest(
        namespace=NS, collection="notes", with_lanes=True, explain=True,
        fusion=search.Fusion(method=search.FUSION_METHOD_RECIPROCAL_RANK, rank_constant=1),
        lanes=[search.SearchLane(text=words, weight=2),
               search.SearchLane(vector=search.VectorQuery(
                   vector=common.Vector(values=[3, 1]), exact=True))]))
    assert [lane.name for lane in answer.lanes] == ["text", "vector"]
    assert answer.hits[0].ref.key == "a", answer
    assert abs(answer.hits[0].score - (2 / 2 + 1 / 4)) < 1e-12, answer.hits[0]
    assert "fuse" in [stage.name for stage in answer.stages]
    raw = search.TextQuery(text="(rain", mode=search.TEXT_QUERY_MODE_RAW)
    fails_with(lambda: cookix.search.Search(search.SearchRequest(
        namespace=NS, collection="notes", text=raw)), grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD", "text.text")


def test_errors_of_vectors(cookix):
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    info = fails_with(lambda: look(cookix, [1, 2]), invalid, "INVALID_FIELD")
    assert info.metadata["field"].startswith("vector"), info
    try:
        look(cookix, [1, 2])
    except grpc.RpcError as error:
        assert "3" in error.details() and "2" in error.details(), error.details()
    fails_with(lambda: look(cookix, [1, 2, float("nan")]), invalid, "INVALID_FIELD")
    fails_with(lambda: list(cookix.search.InsertVectors(iter([search.InsertVectorsRequest(
        namespace=NS, collection="shapes", field="shape", keys=["x"], values=[1, 2])]))), invalid,
        "INVALID_FIELD")
    fails_with(lambda: cookix.search.DescribeIndex(search.DescribeIndexRequest(
        namespace=NS, collection="shapes", field="colour")), missing, "FIELD_NOT_FOUND", "field")


def changes_until(messages, commit):
    """The changes that a watch tells up to a commit, and the position then."""
    changes = []
    for message in messages:
        changes += [change for told in message.commits for change in told.changes]
        if message.commit >= commit:
            return changes, message.position
    raise AssertionError("the watch has ended")


def test_a_watch_goes_on_where_another_one_ended(cookix):
    request = watch.WatchRequest(namespace=NS, with_before=True)
    request.objects.filter.existence.field = "level"
    messages = cookix.watch.Watch(request)
    request.after_position = next(messages).position
    put(cookix, "unseen")
    first = put(cookix, "river", level=common.Value(int_value=3)).result.commit
    told, position = changes_until(messages, first)
    messages.cancel()
    assert [change.object.ref.key for change in told] == ["river"]
    assert told[0].object.kind == watch.CHANGE_KIND_CREATED
    second = put(cookix, "river").result.commit
    request.after_position = position
    told, _ = changes_until(cookix.watch.Watch(request), second)
    assert len(told) == 1 and told[0].object.transition == watch.FILTER_TRANSITION_LEFT
    assert told[0].object.before.properties["level"].int_value == 3
    assert told[0].object.after.version == second
    fails_with(lambda: next(cookix.watch.Watch(watch.WatchRequest(namespace="nowhere"))),
               grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND", "namespace")


def test_errors_say_what_to_do(cookix):
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    fails_with(lambda: put(cookix, ""), invalid, "INVALID_FIELD", "write.object.ref.key")
    fails_with(lambda: link(cookix, "rain", "causes", "flood", float("nan")), invalid,
               "INVALID_FIELD", "edge.weight")
    info = fails_with(lambda: cookix.object.GetObject(
        objects.GetObjectRequest(namespace=NS, ref=ref("nothing"))), missing, "OBJECT_NOT_FOUND")
    assert info.metadata["retryable"] == "false"
    fails_with(lambda: cookix.object.GetObject(
        objects.GetObjectRequest(namespace="nowhere", ref=ref("rain"))), missing,
        "NAMESPACE_NOT_FOUND", "namespace")


def test_a_request_id_applies_once(cookix):
    request = objects.PutObjectRequest(
        namespace=NS, write=objects.ObjectWrite(object=common.Object(ref=ref("once"))),
        options=common.WriteOptions(request_id="python-1"))
    first = cookix.object.PutObject(request)
    second = cookix.object.PutObject(request)
    assert not first.result.replayed and second.result.replayed
    assert first.result.commit == second.result.commit


def test_deadlines(cookix):
    try:
        cookix.object.GetObject(objects.GetObjectRequest(namespace=NS, ref=ref("rain")), timeout=-1)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    else:
        raise AssertionError("the call should have failed")


def test_delete(cookix):
    request = objects.DeleteObjectRequest(namespace=NS)
    request.delete.ref.key = "once"
    assert cookix.object.DeleteObject(request).existed
    assert not cookix.object.DeleteObject(request).existed


def main():
    failed = 0
    with Cookix(sys.argv[1]) as cookix:
        for name, case in list(globals().items()):
            if not name.startswith("test_"):
                continue
            name = name[5:].replace("_", " ")
            try:
                case(cookix)
                print("ok", name)
            except Exception:  # a failing case must not hide the others
                failed += 1
                print("not ok", name)
                traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
