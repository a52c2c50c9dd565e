// Command peerwire prints what Go's rafthttp writes on a peer stream, as vectors for the codecs' tests:
//
//	cd tests/interop/go && go run ./peerwire >../../../packages/server/src/peers/testdata/go-streams.json
//
// A transport is started, both streams are dialled as member 2 would, a fixed list of messages is sent through it, and the
// bytes of the answers' bodies are printed beside the messages.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/etcdserver/api/rafthttp"
	stats "go.etcd.io/etcd/server/v3/etcdserver/api/v2stats"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

const (
	local   = 0x8e9e05c52164694d
	remote  = 0x2
	cluster = 0xcdf818194e3a8c32
	// A link heartbeat comes after a third of the read timeout of 5 s.
	readFor = 2500 * time.Millisecond
)

type vector struct {
	Name string `json:"name"`
	// Part of the stream's path.
	Stream string `json:"stream"`
	// Each message in protobuf, hexadecimal.
	Messages []string `json:"messages"`
	// All that the stream carried, with the link heartbeat that follows the messages.
	Bytes string `json:"bytes"`
}

// blackHole is a raft that wants nothing.
type blackHole struct{}

func (blackHole) Process(context.Context, *raftpb.Message) error { return nil }
func (blackHole) IsIDRemoved(uint64) bool                        { return false }
func (blackHole) ReportUnreachable(uint64)                       {}
func (blackHole) ReportSnapshot(uint64, raft.SnapshotStatus)     {}

func main() {
	inputs := []struct {
		name, stream string
		messages     []*raftpb.Message
	}{
		{"appends", "msgapp", appends()},
		{"fields set to zero", "msgapp", []*raftpb.Message{appendTo(5, 0, 0, 0, entry(5, 1, "f"))}},
		{"others", "message", others()},
		{"a proposal", "message", []*raftpb.Message{proposal()}},
	}
	vectors := []vector{}
	for _, input := range inputs {
		v, err := capture(input.stream, input.messages)
		if err != nil {
			fmt.Fprintln(os.Stderr, "peerwire:", err)
			os.Exit(1)
		}
		v.Name = input.name
		vectors = append(vectors, v)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(vectors); err != nil {
		os.Exit(1)
	}
}

func appends() []*raftpb.Message {
	return []*raftpb.Message{
		// The first message of a stream is whole.
		appendTo(3, 3, 10, 9, entry(3, 11, "a"), entry(3, 12, "bc")),
		// The next entries of the same term.
		appendTo(3, 3, 12, 11, entry(3, 13, "")),
		// Nothing but a new commit index.
		appendTo(3, 3, 13, 13),
		// A gap.
		appendTo(3, 3, 20, 13, entry(3, 21, "d")),
		// A new term after entries of the old one, then its continuation.
		appendTo(4, 3, 21, 20, entry(4, 22, "e")),
		appendTo(4, 4, 22, 21, entry(4, 23, string(bytes.Repeat([]byte{0xff}, 300)))),
	}
}

func others() []*raftpb.Message {
	heartbeat := message(raftpb.MsgHeartbeat, 4)
	heartbeat.Commit = proto.Uint64(21)
	heartbeat.Context = []byte("read-index")
	rejected := message(raftpb.MsgAppResp, 4)
	rejected.Index, rejected.LogTerm = proto.Uint64(12), proto.Uint64(3)
	rejected.Reject, rejected.RejectHint = proto.Bool(true), proto.Uint64(9)
	vote := message(raftpb.MsgPreVote, 5)
	vote.Index, vote.LogTerm = proto.Uint64(21), proto.Uint64(4)
	vote.Context = []byte("CampaignTransfer")
	return []*raftpb.Message{heartbeat, rejected, vote, message(raftpb.MsgTimeoutNow, 1<<53-1)}
}

func proposal() *raftpb.Message {
	m := message(raftpb.MsgProp, 0)
	m.Term = nil
	m.Entries = []*raftpb.Entry{{Data: []byte{0, 1, 2}}, {Type: raftpb.EntryConfChange.Enum(), Data: []byte{9}}}
	return m
}

func message(kind raftpb.MessageType, term uint64) *raftpb.Message {
	return &raftpb.Message{Type: kind.Enum(), From: proto.Uint64(local), To: proto.Uint64(remote), Term: proto.Uint64(term)}
}

func appendTo(term, logTerm, index, commit uint64, entries ...*raftpb.Entry) *raftpb.Message {
	m := message(raftpb.MsgApp, term)
	m.LogTerm, m.Index, m.Commit, m.Entries = proto.Uint64(logTerm), proto.Uint64(index), proto.Uint64(commit), entries
	return m
}

func entry(term, index uint64, data string) *raftpb.Entry {
	e := &raftpb.Entry{Term: proto.Uint64(term), Index: proto.Uint64(index)}
	if data != "" {
		e.Data = []byte(data)
	}
	return e
}

func capture(stream string, messages []*raftpb.Message) (vector, error) {
	tr := &rafthttp.Transport{
		Logger:      zap.NewNop(),
		ID:          types.ID(local),
		ClusterID:   types.ID(cluster),
		Raft:        blackHole{},
		ServerStats: stats.NewServerStats("", ""),
		LeaderStats: stats.NewLeaderStats(zap.NewNop(), types.ID(local).String()),
	}
	if err := tr.Start(); err != nil {
		return vector{}, err
	}
	defer tr.Stop()
	server := httptest.NewServer(tr.Handler())
	defer server.Close()
	defer server.CloseClientConnections()
	// Nobody is there: this end only answers.
	tr.AddPeer(types.ID(remote), []string{"http://127.0.0.1:1"})
	body, err := dial(server.URL, stream)
	if err != nil {
		return vector{}, err
	}
	for tr.ActiveSince(types.ID(remote)).IsZero() {
		time.Sleep(time.Millisecond)
	}
	// The stream counts as active a moment before it takes messages; those sent too early would leave as posts.
	time.Sleep(100 * time.Millisecond)
	tr.Send(messages)
	var captured bytes.Buffer
	timer := time.AfterFunc(readFor, func() { body.Close() })
	defer timer.Stop()
	io.Copy(&captured, body)
	v := vector{Stream: stream, Bytes: hex.EncodeToString(captured.Bytes())}
	for _, m := range messages {
		bytes, err := proto.Marshal(m)
		if err != nil {
			return vector{}, err
		}
		v.Messages = append(v.Messages, hex.EncodeToString(bytes))
	}
	return v, nil
}

func dial(url, stream string) (io.ReadCloser, error) {
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/raft/stream/%s/%x", url, stream, remote), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"X-Server-From":         fmt.Sprintf("%x", remote),
		"X-Server-Version":      "3.7.3",
		"X-Min-Cluster-Version": "3.0.0",
		"X-Etcd-Cluster-ID":     fmt.Sprintf("%x", uint64(cluster)),
		"X-Raft-To":             fmt.Sprintf("%x", uint64(local)),
	} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the stream was refused: %s", response.Status)
	}
	return response.Body, nil
}
