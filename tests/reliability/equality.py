"""Whether servers at the same position answer the same.

What is stored, counts, links from both ends, filters, exact searches by vector and searches by
words with their scores have to be equal. Searches that may miss something have to find most of
what the exact ones do.
"""
import random

from cluster import Trouble
from cookix.v1 import catalog_service_pb2 as catalog
from cookix.v1 import common_pb2 as common
from cookix.v1 import graph_service_pb2 as graph
from cookix.v1 import object_service_pb2 as objects
from cookix.v1 import reasoning_service_pb2 as reasoning
from cookix.v1 import search_service_pb2 as search
from sessions import DIMENSION, REGISTERS, WORDS, text_value

HITS = 10
# Of what an exact search finds.
RECALL_FLOOR = 0.9


class Answers:
    """What one server answers at a position. `truth` holds everything stored."""

    def __init__(self, server, position, seed):
        self._random = random.Random(seed)
        self._options = common.ReadOptions(min_position=position, wait_ms=10_000)
        self.by_class = {}
        self.found = self.wanted = 0
        with server.connect(30.0) as cookix:
            self.truth = self._stored(cookix)
            self.by_class["truth"] = [write.SerializeToString(deterministic=True)
                                      for write in self.truth]
            keys = [write.object.ref.key for write in self.truth]
            some = REGISTERS + self._random.sample(keys, min(3, len(keys)))
            self.by_class["counts"] = self._counts(cookix)
            self.by_class["links"] = [self._links(cookix, key) for key in some]
            self.by_class["paths"] = [self._paths(cookix, key) for key in some]
            self.by_class["filters"] = [self._filter(cookix) for _ in range(3)]
            self.by_class["words"] = [self._words(cookix) for _ in range(3)]
            self.by_class["exact vectors"] = [self._vectors(cookix) for _ in range(3)]

    def _stored(self, cookix):
        request = objects.StreamObjectsRequest(with_edges=True, options=self._options)
        request.mask.with_vectors = True
        return [write for chunk in cookix.object.StreamObjects(request) for write in chunk.objects]

    def _counts(self, cookix):
        count = cookix.object.CountObjects(objects.CountObjectsRequest(options=self._options))
        space = cookix.catalog.GetNamespace(catalog.GetNamespaceRequest()).namespace
        return count.count, space.object_count, space.edge_count

    def _links(self, cookix, key):
        answer = cookix.graph.ListNeighbors(graph.ListNeighborsRequest(
            ref=common.ObjectRef(key=key), direction=graph.DIRECTION_BOTH, page_size=10_000,
            options=self._options))
        return sorted((n.ref.key, n.direction, n.edge.SerializeToString(deterministic=True))
                      for n in answer.neighbors)

    def _paths(self, cookix, key):
        answer = cookix.reasoning.Query(reasoning.QueryRequest(
            anchor=common.ObjectRef(key=key), max_hops=3, limit=20, reverse=True,
            options=self._options))
        return [(hit.ref.key, hit.distance, hit.path.SerializeToString(deterministic=True))
                for hit in answer.hits]

    def _filter(self, cookix):
        request = objects.ScanObjectsRequest(key_prefix="e/", page_size=10_000,
                                             options=self._options)
        register = request.filter.all.operands.add().comparison
        register.field, register.op = "register", common.COMPARISON_OPERATOR_EQUAL
        register.value.CopyFrom(text_value(self._random.choice(REGISTERS)))
        counter = request.filter.all.operands.add().comparison
        counter.field, counter.op = "counter", common.COMPARISON_OPERATOR_GREATER
        counter.value.int_value = self._random.randint(0, 500)
        return [item.ref.key for item in cookix.object.ScanObjects(request).objects]

    def _words(self, cookix):
        words = " ".join(self._random.sample(WORDS, 2))
        answer = cookix.search.Search(search.SearchRequest(
            text=search.TextQuery(text=words), limit=HITS, options=self._options))
        return [(hit.ref.key, hit.score) for hit in answer.hits]

    def _vectors(self, cookix):
        query = common.Vector(values=[self._random.gauss(0, 1) for _ in range(DIMENSION)])

        def run(exact):
            answer = cookix.search.Search(search.SearchRequest(
                vector=search.VectorQuery(field="likeness", vector=query, exact=exact),
                limit=HITS, options=self._options))
            return [(hit.ref.key, hit.distance) for hit in answer.hits]

        exact = run(True)
        self.wanted += len(exact)
        self.found += len({key for key, _ in exact} & {key for key, _ in run(False)})
        return exact


def compare(servers, position, seed):
    """Asks all servers the same; raises Trouble for the first difference. Returns what the first
    of them stores."""
    first = None
    for server in servers:
        answers = Answers(server, position, seed)
        if answers.found < RECALL_FLOOR * answers.wanted:
            raise Trouble(f"{server.name} found {answers.found} of {answers.wanted} near vectors")
        if first is None:
            first = answers
            continue
        for name, expected in first.by_class.items():
            got = answers.by_class[name]
            if got != expected:
                raise Trouble(f"{name} differ between {servers[0].name} and {server.name}: "
                              + _difference(expected, got))
    return first.truth


def _difference(expected, got):
    if len(expected) != len(got):
        return f"{len(expected)} and {len(got)} items"
    for one, other in zip(expected, got):
        if one != other:
            return f"{one!r} and {other!r}"
    return "in kind"
