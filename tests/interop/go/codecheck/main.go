// Command codecheck says what Go's protobuf makes of InternalRaftRequest bytes.
//
// It reads frames from stdin, a 4-byte little-endian length and as many bytes, and answers each on stdout in order: a
// status byte, a length and bytes. Status 1: the bytes are the message marshalled again; status 0: they are the text of
// the error with which it was refused. It ends at the end of stdin.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "codecheck:", err)
		os.Exit(1)
	}
}

func run(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReaderSize(stdin, 1<<20)
	out := bufio.NewWriterSize(stdout, 1<<20)
	for {
		var length uint32
		err := binary.Read(in, binary.LittleEndian, &length)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(in, frame); err != nil {
			return err
		}
		status, answer := check(frame)
		head := binary.LittleEndian.AppendUint32([]byte{status}, uint32(len(answer)))
		if _, err := out.Write(append(head, answer...)); err != nil {
			return err
		}
	}
}

func check(frame []byte) (byte, []byte) {
	var request etcdserverpb.InternalRaftRequest
	if err := proto.Unmarshal(frame, &request); err != nil {
		return 0, []byte(err.Error())
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(&request)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return 1, bytes
}
