"""A small CookiX client for Python, on grpcio and the generated stubs.

    from cookix_client import Cookix
    with Cookix("127.0.0.1:7625") as cookix:
        cookix.object.PutObject(...)

The stubs come from the .proto files:

    protoc -Iproto --python_out=OUT --plugin=protoc-gen-grpc_python=$(command -v \\
        grpc_python_plugin) --grpc_python_out=OUT proto/cookix/v1/*.proto
"""
import collections

import grpc

from cookix.v1 import admin_service_pb2_grpc
from cookix.v1 import catalog_service_pb2_grpc
from cookix.v1 import graph_service_pb2_grpc
from cookix.v1 import object_service_pb2_grpc
from cookix.v1 import query_service_pb2_grpc
from cookix.v1 import reasoning_service_pb2_grpc
from cookix.v1 import replication_service_pb2_grpc
from cookix.v1 import search_service_pb2_grpc
from cookix.v1 import security_service_pb2_grpc
from cookix.v1 import watch_service_pb2_grpc
from google.rpc import error_details_pb2
from google.rpc import status_pb2


class _Key(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
           grpc.StreamStreamClientInterceptor):
    """Sends the API key and a deadline with every call."""

    def __init__(self, api_key, timeout):
        self._metadata = [("authorization", "Bearer " + api_key)] if api_key else []
        self._timeout = timeout

    def _details(self, details):
        new = collections.namedtuple("Details", ("method", "timeout", "metadata", "credentials",
                                                 "wait_for_ready", "compression"))
        timeout = details.timeout if details.timeout is not None else self._timeout
        return new(details.method, timeout, list(details.metadata or []) + self._metadata,
                   details.credentials, getattr(details, "wait_for_ready", None),
                   getattr(details, "compression", None))

    def intercept_unary_unary(self, proceed, details, request):
        return proceed(self._details(details), request)

    def intercept_unary_stream(self, proceed, details, request):
        return proceed(self._details(details), request)

    def intercept_stream_stream(self, proceed, details, requests):
        return proceed(self._details(details), requests)


class Cookix:
    """Stubs of all services over one channel. `channel_options` are gRPC's, as pairs."""

    def __init__(self, target, api_key="", timeout=30.0, channel_options=()):
        self._channel = grpc.insecure_channel(target, channel_options)
        channel = grpc.intercept_channel(self._channel, _Key(api_key, timeout))
        self.object = object_service_pb2_grpc.ObjectServiceStub(channel)
        self.graph = graph_service_pb2_grpc.GraphServiceStub(channel)
        self.reasoning = reasoning_service_pb2_grpc.ReasoningServiceStub(channel)
        self.query = query_service_pb2_grpc.QueryServiceStub(channel)
        self.search = search_service_pb2_grpc.SearchServiceStub(channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        self.security = security_service_pb2_grpc.SecurityServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self.replication = replication_service_pb2_grpc.ReplicationServiceStub(channel)
        self.watch = watch_service_pb2_grpc.WatchServiceStub(channel)

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def error_info(error):
    """The google.rpc.ErrorInfo of a grpc.RpcError, or None."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None
