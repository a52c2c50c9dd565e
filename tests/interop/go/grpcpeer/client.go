package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type checker struct{ conn *grpc.ClientConn }

func (c checker) unary(ctx context.Context, method string, in []byte, options ...grpc.CallOption) ([]byte, error) {
	var out []byte
	err := c.conn.Invoke(ctx, "/test.Echo/"+method, &in, &out, options...)
	return out, err
}

func (c checker) stream(ctx context.Context, method string) (grpc.ClientStream, error) {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	return c.conn.NewStream(ctx, description, "/test.Echo/"+method)
}

func expectStatus(err error, code codes.Code, text string) error {
	got := status.Convert(err)
	if got.Code() != code || got.Message() != text {
		return fmt.Errorf("got %v %q", got.Code(), got.Message())
	}
	return nil
}

func (c checker) sizes() error {
	for _, size := range []int{0, 1, 16379, 16380, 65536, 1 << 20, 2<<20 - 16} {
		in := bytes.Repeat([]byte{7}, size)
		out, err := c.unary(context.Background(), "Unary", in)
		if err != nil || !bytes.Equal(in, out) {
			return fmt.Errorf("size %d: %v", size, err)
		}
	}
	return nil
}

func (c checker) compressed() error {
	in := bytes.Repeat([]byte("abc"), 100000)
	out, err := c.unary(context.Background(), "Unary", in, grpc.UseCompressor("gzip"))
	if err != nil || !bytes.Equal(in, out) {
		return fmt.Errorf("%v", err)
	}
	_, err = c.unary(context.Background(), "Unary", make([]byte, 50<<20), grpc.UseCompressor("gzip"))
	return expectStatus(err, codes.ResourceExhausted, "grpc: received message after decompression larger than max 2097152")
}

func (c checker) tooLarge() error {
	_, err := c.unary(context.Background(), "Unary", make([]byte, 3<<20))
	return expectStatus(err, codes.ResourceExhausted, "grpc: received message larger than max (3145728 vs. 2097152)")
}

func (c checker) statuses() error {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		text := "etcdserver: größer als 100%\n"
		_, err := c.unary(context.Background(), "Fail", []byte(fmt.Sprintf("%d %s", code, text)))
		if err := expectStatus(err, code, text); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) unknown() error {
	_, err := c.unary(context.Background(), "Nothing", nil)
	if err := expectStatus(err, codes.Unimplemented, "unknown method Nothing for service test.Echo"); err != nil {
		return err
	}
	var out []byte
	err = c.conn.Invoke(context.Background(), "/no.Such/M", &out, &out)
	return expectStatus(err, codes.Unimplemented, "unknown service no.Such")
}

func (c checker) metadata() error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-text", "a b", "x-raw-bin", "\x00\xff\x07", "x-text", "c")
	var trailer metadata.MD
	_, err := c.unary(ctx, "Fail", []byte("5 gone"), grpc.Trailer(&trailer))
	if err := expectStatus(err, codes.NotFound, "gone"); err != nil {
		return err
	}
	if fmt.Sprint(trailer["x-text"]) != "[a b c]" || trailer["x-raw-bin"][0] != "\x00\xff\x07" {
		return fmt.Errorf("trailer %v", trailer)
	}
	return nil
}

func (c checker) serverStream() error {
	stream, err := c.stream(context.Background(), "Many")
	if err != nil {
		return err
	}
	in := bytes.Repeat([]byte{200}, 100000)
	if err := errors.Join(stream.SendMsg(&in), stream.CloseSend()); err != nil {
		return err
	}
	for i := 0; ; i++ {
		var out []byte
		err := stream.RecvMsg(&out)
		if err == io.EOF && i == 200 {
			return nil
		}
		if err != nil || !bytes.Equal(in, out) {
			return fmt.Errorf("message %d: %v", i, err)
		}
		if i == 10 {
			// Long enough for the windows to close.
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (c checker) clientStream() error {
	stream, err := c.stream(context.Background(), "Collect")
	if err != nil {
		return err
	}
	in := make([]byte, 50000)
	for i := 0; i < 300; i++ {
		if err := stream.SendMsg(&in); err != nil {
			return err
		}
	}
	var out []byte
	if err := errors.Join(stream.CloseSend(), stream.RecvMsg(&out)); err != nil {
		return err
	}
	if string(out) != "15000000" {
		return fmt.Errorf("got %s", out)
	}
	return nil
}

func (c checker) bidi() error {
	stream, err := c.stream(context.Background(), "Bidi")
	if err != nil {
		return err
	}
	for i := 0; i < 500; i++ {
		in := []byte(fmt.Sprint(i))
		var out []byte
		if err := errors.Join(stream.SendMsg(&in), stream.RecvMsg(&out)); err != nil {
			return err
		}
		if !bytes.Equal(in, out) {
			return fmt.Errorf("got %s", out)
		}
	}
	var out []byte
	_ = stream.CloseSend()
	if err := stream.RecvMsg(&out); err != io.EOF {
		return fmt.Errorf("end: %v", err)
	}
	return nil
}

func (c checker) deadline() error {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	stream, err := c.stream(ctx, "Hang")
	if err != nil {
		return err
	}
	var out []byte
	return expectStatus(stream.RecvMsg(&out), codes.DeadlineExceeded, "context deadline exceeded")
}

func (c checker) cancel() error {
	for i := 0; i < 50; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		stream, err := c.stream(ctx, "Hang")
		if err != nil {
			cancel()
			return err
		}
		cancel()
		var out []byte
		if err := expectStatus(stream.RecvMsg(&out), codes.Canceled, "context canceled"); err != nil {
			return err
		}
	}
	_, err := c.unary(context.Background(), "Unary", nil)
	return err
}

func (c checker) parallel() error {
	var wait sync.WaitGroup
	failures := make(chan error, 200)
	for worker := 0; worker < 200; worker++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := 0; i < 50; i++ {
				in := []byte(fmt.Sprintf("%d-%d %s", worker, i, strings.Repeat("x", worker*i%5000)))
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				out, err := c.unary(ctx, "Unary", in)
				cancel()
				if err != nil || !bytes.Equal(in, out) {
					failures <- fmt.Errorf("worker %d call %d: %v", worker, i, err)
					return
				}
			}
		}()
	}
	wait.Wait()
	close(failures)
	return <-failures
}

// check runs every check against the server at the address and says whether all have passed.
func check(address, ca string) bool {
	credential := insecure.NewCredentials()
	if ca != "" {
		fromFile, err := credentials.NewClientTLSFromFile(ca, "localhost")
		if err != nil {
			panic(err)
		}
		credential = fromFile
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credential))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	c := checker{conn}
	checks := []struct {
		name string
		run  func() error
	}{
		{"sizes", c.sizes}, {"compressed", c.compressed}, {"too large", c.tooLarge}, {"statuses", c.statuses},
		{"unknown", c.unknown}, {"metadata", c.metadata}, {"server stream", c.serverStream},
		{"client stream", c.clientStream}, {"bidi", c.bidi}, {"deadline", c.deadline}, {"cancel", c.cancel},
		{"parallel", c.parallel},
	}
	good := true
	for _, one := range checks {
		if err := one.run(); err != nil {
			good = false
			fmt.Printf("fail %s: %v\n", one.name, err)
		} else {
			fmt.Println("ok", one.name)
		}
	}
	return good
}
