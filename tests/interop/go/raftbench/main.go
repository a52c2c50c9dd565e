// Command raftbench runs three nodes of go.etcd.io/raft in memory, on the
// schedule of bench/raft/cluster.ts, and prints the seconds of processor
// time it took.
//
// Usage: raftbench ENTRIES BATCH SIZE
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

var ids = []uint64{0x8e9e05c52164694d, 0x91bc3c398fb3c146, 0xfd422379fda50e48}

const (
	compactEvery   = 10_000
	catchUpEntries = 5_000
)

type member struct {
	id        uint64
	node      *raft.RawNode
	storage   *raft.MemoryStorage
	inbox     [][]byte
	applied   uint64
	compacted uint64
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func newMember(id uint64) *member {
	storage := raft.NewMemoryStorage()
	must(storage.ApplySnapshot(&pb.Snapshot{Metadata: &pb.SnapshotMetadata{
		ConfState: &pb.ConfState{Voters: ids}, Index: proto.Uint64(1), Term: proto.Uint64(1),
	}}))
	node, err := raft.NewRawNode(&raft.Config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storage,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 512, CheckQuorum: true, PreVote: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
	})
	must(err)
	return &member{id: id, node: node, storage: storage}
}

func (m *member) work(members []*member) bool {
	worked := false
	inbox := m.inbox
	m.inbox = nil
	for _, b := range inbox {
		worked = true
		msg := &pb.Message{}
		must(proto.Unmarshal(b, msg))
		must(m.node.Step(msg))
	}
	for m.node.HasReady() {
		worked = true
		rd := m.node.Ready()
		if !raft.IsEmptyHardState(rd.HardState) {
			must(m.storage.SetHardState(rd.HardState))
		}
		must(m.storage.Append(rd.Entries))
		for _, msg := range rd.Messages {
			b, err := proto.Marshal(msg)
			must(err)
			for _, to := range members {
				if to.id == msg.GetTo() {
					to.inbox = append(to.inbox, b)
				}
			}
		}
		for _, e := range rd.CommittedEntries {
			m.applied = e.GetIndex()
		}
		m.node.Advance(rd)
	}
	if m.applied-m.compacted > compactEvery+catchUpEntries {
		m.compacted = m.applied - catchUpEntries
		must(m.storage.Compact(m.compacted))
	}
	return worked
}

func settle(members []*member) {
	for worked := true; worked; {
		worked = false
		for _, m := range members {
			worked = m.work(members) || worked
		}
	}
}

// cpuTime is the processor time of all threads so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func run(entries, batch, size int) time.Duration {
	var members []*member
	for _, id := range ids {
		members = append(members, newMember(id))
	}
	leader := members[0]
	must(leader.node.Campaign())
	settle(members)
	if leader.node.BasicStatus().RaftState != raft.StateLeader {
		log.Fatal("no leader")
	}
	first := leader.applied
	start := cpuTime()
	for proposed := 0; proposed < entries; {
		for i := 0; i < batch && proposed < entries; i, proposed = i+1, proposed+1 {
			must(leader.node.Propose(make([]byte, size)))
		}
		settle(members)
	}
	elapsed := cpuTime() - start
	for _, m := range members {
		if m.applied != first+uint64(entries) {
			log.Fatalf("member applied %d of %d", m.applied, first+uint64(entries))
		}
	}
	return elapsed
}

func main() {
	var args []int
	for _, arg := range os.Args[1:] {
		n, err := strconv.Atoi(arg)
		must(err)
		args = append(args, n)
	}
	if len(args) != 3 {
		log.Fatal("usage: raftbench ENTRIES BATCH SIZE")
	}
	run(min(args[0], 20_000), args[1], args[2])
	fmt.Println(run(args[0], args[1], args[2]).Seconds())
}
