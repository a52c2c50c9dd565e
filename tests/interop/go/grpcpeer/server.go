package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func unary(call func(ctx context.Context, in []byte) ([]byte, error)) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in []byte
		if err := decode(&in); err != nil {
			return nil, err
		}
		out, err := call(ctx, in)
		return &out, err
	}
}

func fail(ctx context.Context, in []byte) ([]byte, error) {
	code, text, _ := strings.Cut(string(in), " ")
	number, _ := strconv.Atoi(code)
	md, _ := metadata.FromIncomingContext(ctx)
	trailer := metadata.MD{}
	for name, values := range md {
		if strings.HasPrefix(name, "x-") {
			trailer[name] = values
		}
	}
	_ = grpc.SetTrailer(ctx, trailer)
	return nil, status.Error(codes.Code(number), text)
}

func many(_ any, stream grpc.ServerStream) error {
	var in []byte
	if err := stream.RecvMsg(&in); err != nil {
		return err
	}
	for i := 0; i < int(in[0]); i++ {
		if err := stream.SendMsg(&in); err != nil {
			return err
		}
	}
	return nil
}

func collect(_ any, stream grpc.ServerStream) error {
	size := 0
	for {
		var in []byte
		if err := stream.RecvMsg(&in); err != nil {
			out := []byte(strconv.Itoa(size))
			return stream.SendMsg(&out)
		}
		size += len(in)
	}
}

func bidi(_ any, stream grpc.ServerStream) error {
	for {
		var in []byte
		if err := stream.RecvMsg(&in); err != nil {
			return nil
		}
		if err := stream.SendMsg(&in); err != nil {
			return err
		}
	}
}

func hang(_ any, stream grpc.ServerStream) error {
	<-stream.Context().Done()
	return stream.Context().Err()
}

var echo = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Unary", Handler: unary(func(_ context.Context, in []byte) ([]byte, error) { return in, nil })},
		{MethodName: "Fail", Handler: unary(fail)},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Many", Handler: many, ServerStreams: true},
		{StreamName: "Collect", Handler: collect, ClientStreams: true},
		{StreamName: "Bidi", Handler: bidi, ServerStreams: true, ClientStreams: true},
		{StreamName: "Hang", Handler: hang, ServerStreams: true, ClientStreams: true},
	},
}

// serve starts the server with etcd's limits and keepalive policy; the result stops it gracefully.
func serve(cert, key string) func() {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(2 << 20),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
	}
	if cert != "" {
		credential, err := credentials.NewServerTLSFromFile(cert, key)
		if err != nil {
			panic(err)
		}
		options = append(options, grpc.Creds(credential))
	}
	server := grpc.NewServer(options...)
	server.RegisterService(&echo, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	go func() { _ = server.Serve(listener) }()
	return server.GracefulStop
}
