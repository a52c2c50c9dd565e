#!/bin/sh
# Puts the foreign peers of the transport's tests into tests/interop/bin/: grpcpeer (Go's gRPC) and h2spec.
set -eu

cd "$(dirname "$0")/.."
bin=$(pwd)/bin
mkdir -p "$bin"

(cd go && CGO_ENABLED=0 go build -mod=readonly -trimpath -o "$bin/grpcpeer" ./grpcpeer)
(cd go/h2spec && CGO_ENABLED=0 go build -mod=readonly -trimpath -o "$bin/h2spec" github.com/summerwind/h2spec/cmd/h2spec)
