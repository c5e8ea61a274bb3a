// durable_go_server: the Go project's own sidecar server on its SQLite backend, to measure
// against, as durable as ours and tuned as far as it lets one.
//
//	durable_go_server FILE [PARALLEL]
//
// It prints `address=HOST:PORT`, as leasehold-server does, and serves until it is killed.
// That project's program has SQLite's rollback journal and does one orchestration and one
// activity at a time; here there is a write-ahead log that is synced at each commit, a page
// cache that holds everything, and PARALLEL (default 64) of each at a time. Go 1.19 builds
// it, in its folder:
//
//	go build -o FOLDER/durable_go_server .
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/backend/sqlite"
	"google.golang.org/grpc"
)

// For each connection that the backend opens.
const pragmas = "?_pragma=journal_mode(wal)&_pragma=synchronous(full)" +
	"&_pragma=busy_timeout(10000)&_pragma=cache_size(-262144)" +
	"&_pragma=wal_autocheckpoint(4000)&_pragma=temp_store(memory)&_txlock=immediate"

func main() {
	parallel := 64
	switch len(os.Args) {
	case 3:
		n, err := strconv.Atoi(os.Args[2])
		must(err)
		parallel = n
	case 2:
	default:
		fail("usage: durable_go_server FILE [PARALLEL]")
	}

	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	store := sqlite.NewSqliteBackend(
		sqlite.NewSqliteOptions("file:"+os.Args[1]+pragmas), silence{})
	executor, register := backend.NewGrpcExecutor(store, silence{})
	register(server)
	most := backend.WithMaxParallelism(int32(parallel))
	hub := backend.NewTaskHubWorker(store,
		backend.NewOrchestrationWorker(store, executor, silence{}, most),
		backend.NewActivityTaskWorker(store, executor, silence{}, most), silence{})
	must(hub.Start(context.Background()))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	fmt.Printf("address=%s\n", listener.Addr())
	must(server.Serve(listener))
}

func must(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "durable_go_server:", what)
	os.Exit(1)
}

// A logger that keeps quiet.
type silence struct{}

func (silence) Debug(...any)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(...any)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(...any)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(...any)          {}
func (silence) Errorf(string, ...any) {}
