# CookiX in a container.
#
#   docker build -t cookix .
#   docker run -d --name cookix -p 127.0.0.1:7625:7625 -v cookix-data:/var/lib/cookix \
#     -v "$PWD/tls:/etc/cookix/tls:ro" cookix
#
# The server listens on every interface of the container, so it insists on API
# keys and on TLS: deploy/README.md says how to make the certificates in tls/ and
# where the first key is.

FROM debian:12-slim AS build
ENV DEBIAN_FRONTEND=noninteractive
WORKDIR /src
COPY tools/packages.txt tools/packages.txt
RUN apt-get update \
    && awk '!/^#/ && $2 == "build" { print $1 }' tools/packages.txt \
       | xargs apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN bazel build --config=release --strip=always //server:cookixd //tools/cli:cookix \
    && mkdir /out \
    && cp bazel-bin/server/cookixd bazel-bin/tools/cli/cookix /out/
# The packages that hold the shared libraries of both programs.
RUN ldd /out/cookixd /out/cookix | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u \
      | xargs -n1 realpath | sort -u \
      | while read -r library; do dpkg-query -S "$library" "${library#/usr}" 2>/dev/null | head -n1; done \
      | cut -d: -f1 | sort -u > /out/packages.txt \
    && test -s /out/packages.txt

FROM debian:12-slim
LABEL org.opencontainers.image.title="CookiX" \
      org.opencontainers.image.description="A database server for typed knowledge" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/packages.txt /tmp/packages.txt
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive xargs -a /tmp/packages.txt \
       apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /tmp/packages.txt \
    && groupadd --system --gid 7625 cookix \
    && useradd --system --uid 7625 --gid cookix --home-dir /var/lib/cookix --shell /usr/sbin/nologin cookix \
    && install -d -o cookix -g cookix -m 0750 /var/lib/cookix /var/lib/cookix/data /var/lib/cookix/checkpoints \
    && install -d -m 0755 /etc/cookix /etc/cookix/tls
COPY --from=build /out/cookixd /out/cookix /usr/local/bin/
COPY deploy/docker/healthcheck /usr/local/bin/cookix-healthcheck
# Settings of cookixd; any can be given with -e instead. Without certificates in
# /etc/cookix/tls, or -e COOKIX_ALLOW_PLAINTEXT=true, the server refuses to start.
ENV COOKIX_LISTEN=0.0.0.0:7625 \
    COOKIX_METRICS_LISTEN=127.0.0.1:7626 \
    COOKIX_DATA_DIR=/var/lib/cookix/data \
    COOKIX_CHECKPOINT_DIR=/var/lib/cookix/checkpoints \
    COOKIX_AUTH=on \
    COOKIX_BOOTSTRAP_ADMIN_KEY_FILE=/var/lib/cookix/admin-key \
    COOKIX_TLS_CERT=/etc/cookix/tls/server.crt \
    COOKIX_TLS_KEY=/etc/cookix/tls/server.key
USER cookix
VOLUME ["/var/lib/cookix"]
EXPOSE 7625 7626
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/cookix-healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/cookixd"]
