//go:build tools

// Package tools pins h2spec in a module of its own: its dependencies are old and concern nobody else.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
