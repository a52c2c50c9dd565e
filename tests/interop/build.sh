#!/bin/sh
# Puts the foreign programs of the interop tests into tests/interop/bin/. Running it again costs nothing.
#
#   build.sh            Go etcd of go/go.mod: etcd (also as "server"), etcdctl, etcdutl
#   build.sh debian     besides, Debian's etcd 3.4: debian/etcd, debian/etcdctl
set -eu

cd "$(dirname "$0")"
here=$(pwd)
bin=$here/bin
mkdir -p "$bin"

# Nothing is rebuilt while the pins and the compiler are those of the last build.
build_go() {
  stamp=$(cat go/go.mod go/go.sum && go version)
  if [ -f "$bin/.go-stamp" ] && [ "$stamp" = "$(cat "$bin/.go-stamp")" ] &&
    [ -x "$bin/etcd" ] && [ -x "$bin/etcdctl" ] && [ -x "$bin/etcdutl" ]; then
    return
  fi
  for program in server etcdctl etcdutl; do
    (cd go && CGO_ENABLED=0 go build -mod=readonly -trimpath -o "$bin/$program.new" "go.etcd.io/etcd/$program/v3")
    # Renamed, because a program that is running cannot be overwritten.
    mv -f "$bin/$program.new" "$bin/$program"
  done
  ln -sf server "$bin/etcd"
  printf '%s' "$stamp" >"$bin/.go-stamp"
}

# Unpacked beside the others instead of installed: needs no root and starts no service.
unpack_debian() {
  if [ -x "$bin/debian/etcd" ] && [ -x "$bin/debian/etcdctl" ]; then
    return
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  (
    cd "$work"
    apt-get download etcd-server etcd-client >/dev/null 2>&1 || {
      apt-get update >/dev/null
      apt-get download etcd-server etcd-client >/dev/null
    }
    for package in ./*.deb; do
      dpkg-deb --extract "$package" root
    done
  )
  mkdir -p "$bin/debian"
  cp "$work/root/usr/bin/etcd" "$work/root/usr/bin/etcdctl" "$bin/debian/"
}

build_go
if [ "${1:-}" = debian ]; then
  unpack_debian
fi
