# syntax=docker/dockerfile:1
# Build where the toolchain is, ship only the program, the libraries it is linked to and the root certificates.

FROM rust:1.95.0-slim-trixie AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates g++ make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo wants every target of the manifest to be there, also those that are not built.
COPY benches benches
COPY tests/it/main.rs tests/it/main.rs
# Its comments are the descriptions of the JSON Schema.
COPY config.example.yaml config.example.yaml
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --locked --release --bin tollgate \
 && install -D target/release/tollgate /rootfs/tollgate
# The program's own libraries (glibc; name resolution is part of it since 2.34), the root certificates, a place for state.
RUN ldd /rootfs/tollgate | grep -o '/[^ ]*' | xargs -I{} cp --parents -L {} /rootfs \
 && install -D /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ca-certificates.crt \
 && install -d -o 65532 -g 65532 /rootfs/var/lib/tollgate \
 && printf 'tollgate:x:65532:65532::/:/tollgate\n' > /rootfs/etc/passwd

FROM scratch
COPY --from=build /rootfs /
USER 65532:65532
# OTLP over gRPC and HTTP. The admin port (8888) stays on loopback unless it is given an address and a token.
EXPOSE 4317 4318
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/tollgate", "health"]
ENTRYPOINT ["/tollgate"]
# In a container loopback reaches nobody: listen on all addresses. Mount a config and give `run --config FILE` for more.
CMD ["run", "--set", "receivers.otlp.protocols.grpc.endpoint=0.0.0.0:4317", "--set", "receivers.otlp.protocols.http.endpoint=0.0.0.0:4318"]
