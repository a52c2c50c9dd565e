//go:build tools

// Package tools pins the foreign programs that the interop tests build, and the client that its own programs use.
package tools

import (
	_ "go.etcd.io/etcd/client/v3"
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
