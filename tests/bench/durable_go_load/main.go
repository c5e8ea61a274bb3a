// durable_go_load: runs orchestrations with the published Go SDK of Durable Task, its
// client and its worker in one process, and measures.
//
//	durable_go_load ADDRESS ping|chain:N|fan:N COUNT IN_FLIGHT [SERVER_PID] [SLICES]
//
// The works, the arguments and the line of JSON for each slice are orchestration_load's,
// but an orchestration has ended when the client, which waits for it, is told so; and
// `end_us` is the time from its start until then. Go 1.19 builds it, in its folder:
//
//	go build -o FOLDER/durable_go_load .
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const usage = "usage: durable_go_load ADDRESS ping|chain:N|fan:N COUNT IN_FLIGHT " +
	"[SERVER_PID] [SLICES]"
const payload = "0123456789 0123456789 0123456789"

func main() {
	args := os.Args[1:]
	if len(args) < 4 || len(args) > 6 {
		fail(usage)
	}
	orchestrator := workOf(args[1])
	numbers := []int{0, 0, 0, 1} // COUNT, IN_FLIGHT, SERVER_PID, SLICES
	for i, arg := range args[2:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			fail(usage)
		}
		numbers[i] = n
	}
	count, inFlight, pid, slices := numbers[0], numbers[1], numbers[2], numbers[3]
	if count < 1 || inFlight < 1 || slices < 1 {
		fail(usage)
	}

	connection, err := grpc.Dial(args[0],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		fail(err)
	}
	on := client.NewTaskHubGrpcClient(connection, silence{})
	registry := task.NewTaskRegistry()
	must(registry.AddOrchestratorN("Load", orchestrator))
	must(registry.AddActivityN("Act", func(task.ActivityContext) (any, error) {
		return payload, nil
	}))
	must(on.StartWorkItemListener(context.Background(), registry))

	report := newReport(pid, (count+slices-1)/slices)
	var running sync.WaitGroup
	next := make(chan struct{})
	for i := 0; i < inFlight; i++ {
		running.Add(1)
		go func() {
			defer running.Done()
			for range next {
				runOne(on, report)
			}
		}()
	}
	for i := 0; i < count; i++ {
		next <- struct{}{}
	}
	close(next)
	running.Wait()
}

func runOne(on *client.TaskHubGrpcClient, report *report) {
	ctx, begin := context.Background(), time.Now()
	id, err := on.ScheduleNewOrchestration(ctx, "Load", api.WithInput(payload))
	must(err)
	started := time.Since(begin)
	state, err := on.WaitForOrchestrationCompletion(ctx, id, api.WithFetchPayloads(false))
	must(err)
	if state.RuntimeStatus != api.RUNTIME_STATUS_COMPLETED {
		fail(id, "has", state.RuntimeStatus)
	}
	report.ended(started, time.Since(begin))
}

func workOf(text string) task.Orchestrator {
	name, number, _ := strings.Cut(text, ":")
	n, err := strconv.Atoi(number)
	call := func(ctx *task.OrchestrationContext) task.Task {
		return ctx.CallActivity("Act", task.WithActivityInput(payload))
	}
	switch {
	case text == "ping":
		return func(*task.OrchestrationContext) (any, error) { return nil, nil }
	case name == "chain" && err == nil:
		return func(ctx *task.OrchestrationContext) (any, error) {
			for i := 0; i < n; i++ {
				if err := call(ctx).Await(nil); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}
	case name == "fan" && err == nil:
		return func(ctx *task.OrchestrationContext) (any, error) {
			tasks := make([]task.Task, n)
			for i := range tasks {
				tasks[i] = call(ctx)
			}
			for _, one := range tasks {
				if err := one.Await(nil); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}
	}
	fail(usage)
	return nil
}

// What is measured, a slice after the other.
type report struct {
	pid, slice int

	mutex        sync.Mutex
	count        int
	begin        time.Time
	serverCPU    float64
	starts, ends []time.Duration
}

func newReport(pid, slice int) *report {
	cpu, _ := usageOf(pid)
	return &report{pid: pid, slice: slice, begin: time.Now(), serverCPU: cpu}
}

func (r *report) ended(start, end time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.count++
	r.starts, r.ends = append(r.starts, start), append(r.ends, end)
	if r.count%r.slice == 0 {
		r.print()
	}
}

func (r *report) print() {
	cpu, rss := usageOf(r.pid)
	n := float64(len(r.ends))
	fmt.Printf(`{"ended": %d, "per_second": %.0f, "server_us": %.1f, `+
		`"server_rss_mib": %.1f, "start_us_p50": %d, "start_us_p99": %d, `+
		`"end_us_p50": %d, "end_us_p99": %d}`+"\n",
		r.count, n/time.Since(r.begin).Seconds(), 1e6*(cpu-r.serverCPU)/n, rss,
		percentile(r.starts, 0.5), percentile(r.starts, 0.99),
		percentile(r.ends, 0.5), percentile(r.ends, 0.99))
	r.starts, r.ends, r.begin, r.serverCPU = nil, nil, time.Now(), cpu
}

func percentile(all []time.Duration, p float64) int64 {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all[int(p*float64(len(all)-1))].Microseconds()
}

// The CPU seconds and the MiB of a process, from /proc; zero without one.
func usageOf(pid int) (cpu, rss float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return 0, 0
	}
	// Its name, in parentheses, may hold spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	number := func(i int) float64 {
		n, _ := strconv.ParseFloat(fields[i], 64)
		return n
	}
	const ticksPerSecond = 100
	cpu = (number(11) + number(12)) / ticksPerSecond
	rss = number(21) * float64(os.Getpagesize()) / (1 << 20)
	return cpu, rss
}

func must(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(what ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"durable_go_load:"}, what...)...)
	os.Exit(1)
}

// A logger of the SDK that keeps quiet.
type silence struct{}

func (silence) Debug(...any)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(...any)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(...any)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(...any)          {}
func (silence) Errorf(string, ...any) {}
