// Command grpcpeer is Go's gRPC as the other end of our transport: a server of the test service, or a client that
// checks a server of it. Messages are plain bytes.
//
//	grpcpeer server [-cert FILE -key FILE]      prints its address, serves until its input ends
//	grpcpeer client [-ca FILE] ADDRESS          prints "ok NAME" or "fail NAME: WHY" for each check
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
)

// rawCodec passes bytes through.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return *(v.(*[]byte)), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*(v.(*[]byte)) = append([]byte(nil), data...)
	return nil
}

func (rawCodec) Name() string { return "proto" }

func main() {
	encoding.RegisterCodec(rawCodec{})
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: grpcpeer server|client")
		os.Exit(2)
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	cert := flags.String("cert", "", "certificate of the server")
	key := flags.String("key", "", "its key")
	ca := flags.String("ca", "", "certificate that the client trusts")
	_ = flags.Parse(os.Args[2:])
	switch os.Args[1] {
	case "server":
		stop := serve(*cert, *key)
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	case "client":
		if !check(flags.Arg(0), *ca) {
			os.Exit(1)
		}
	default:
		os.Exit(2)
	}
}
