package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
)

var processes = flag.String("processes", "", "the program of main.go")

var large = grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20))

// A worker on a connection of its own; what it gives ends it.
func (h *hub) worker(turns orchestrators, tasks activities, options ...grpc.DialOption,
) func() {
	h.Helper()
	return h.workerOn(connectPlain(*address, options...), turns, tasks)
}

func (h *hub) workerOn(on *client.TaskHubGrpcClient, turns orchestrators, tasks activities,
) func() {
	h.Helper()
	ctx, cancel := context.WithCancel(h.ctx)
	h.Cleanup(cancel)
	h.must(work(ctx, on, turns, tasks))
	return cancel
}

func (h *hub) awaitThat(what string, so func() bool) {
	h.Helper()
	for !so() {
		h.expect(h.ctx.Err() == nil, "waited for %s", what)
		time.Sleep(20 * time.Millisecond)
	}
}

// Still so after a while.
func (h *hub) stays(id api.InstanceID, wanted api.OrchestrationStatus) {
	h.Helper()
	time.Sleep(300 * time.Millisecond)
	h.hasStatus(id, wanted)
}

// A logger of the SDK that keeps the warnings.
type warnings struct {
	silence
	mutex sync.Mutex
	said  []string
}

func (w *warnings) Warnf(format string, args ...any) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *warnings) has(text string) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return strings.Contains(strings.Join(w.said, "\n"), text)
}

// A worker in a process of its own, and the lines that it says.
type process struct {
	command *exec.Cmd
	mutex   sync.Mutex
	said    map[string]bool
}

func (h *hub) process(args ...string) *process {
	h.Helper()
	p := &process{command: exec.Command(*processes, args...), said: map[string]bool{}}
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	h.must(err)
	h.must(p.command.Start())
	h.Cleanup(func() { p.kill() })
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mutex.Lock()
			p.said[lines.Text()] = true
			p.mutex.Unlock()
		}
	}()
	return p
}

func (p *process) hasSaid(line string) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.said[line]
}

func (p *process) kill() {
	_ = p.command.Process.Kill() // Or is dead.
	_ = p.command.Wait()
}

// Tests of several workers: who gets what, who is gone, who takes over. One after the
// other, as workers of this SDK cannot say what they have.
func TestWorkers(t *testing.T) {
	h := newHub(t, connectPlain(*address, large))
	test := func(sentence string, body func(h *hub)) {
		h.Run(sentence, func(t *testing.T) { body(newHub(t, h.client)) })
	}
	waits := orchestrators{
		"waits": func(ctx *orchestration) (any, error) {
			return awaitAll[int]([]task.Task{ctx.WaitForSingleEvent("go", -1),
				ctx.WaitForSingleEvent("go", -1)})
		},
	}

	test("work waits for a worker", func(h *hub) {
		id := h.start("patient", 1)
		h.stays(id, pending)
		h.worker(orchestrators{"patient": orchestrator(
			func(_ *orchestration, n int) (int, error) { return n, nil })}, nil)
		h.equal(output[int](h, h.end(id)), 1)
	})

	test("a worker that is gone and comes back goes on", func(h *hub) {
		stop := h.worker(waits, nil)
		id := h.start("waits", nil)
		h.untilStatus(id, running)
		h.raise(id, "go", 1)
		stop()
		h.raise(id, "go", 2)
		h.stays(id, running)
		h.worker(waits, nil)
		h.equal(output[[]int](h, h.end(id)), []int{1, 2})
	})

	test("two workers share the work", func(h *hub) {
		var did [2]atomic.Int64
		for i := range did {
			i := i
			h.worker(orchestrators{
				"shared": func(ctx *orchestration) (any, error) {
					return callMany(ctx, "share", 40)
				},
			}, activities{"share": activity(func(n int) (int, error) {
				did[i].Add(1)
				time.Sleep(20 * time.Millisecond)
				return n, nil
			})})
		}
		h.awaitThat("both to work", func() bool {
			h.equal(output[[]int](h, h.run("shared", nil)), numbers(0, 40))
			return did[0].Load() > 20 && did[1].Load() > 20
		})
	})

	test("a worker that stops amid a turn leaves it to the next", func(h *hub) {
		begun := make(chan struct{})
		never := make(chan struct{})
		stop := h.worker(orchestrators{"left": func(*orchestration) (any, error) {
			close(begun)
			<-never
			return nil, nil
		}}, nil)
		id := h.start("left", nil)
		<-begun
		stop()
		h.worker(orchestrators{"left": func(*orchestration) (any, error) {
			return 42, nil
		}}, nil)
		h.equal(output[int](h, h.end(id)), 42)
	})

	test("one worker may do whatever there is, by any name", func(h *hub) {
		h.worker(orchestrators{"*": func(ctx *orchestration) (any, error) {
			text, err := await[string](ctx.CallActivity("any activity"))
			return ctx.Name + ": " + text, err
		}}, activities{"*": func(task.ActivityContext) (any, error) { return "done", nil }})
		h.equal(output[string](h, h.run("any name, 東京", nil)), "any name, 東京: done")
	})

	test("a health ping is no more to a worker than a warning", func(h *hub) {
		var log warnings
		h.workerOn(connectWith(*address, &log), lives, livesTasks)
		h.awaitThat("a ping", func() bool { return log.has("unknown work item type") })
		h.equal(output[int](h, h.run("echo", 1)), 1)
		h.expect(!log.has("grpc error code"), "the stream was cut: %s", log.said)
	})

	big := orchestrators{
		"big": orchestrator(func(ctx *orchestration, n int) (int, error) {
			size := 0
			for i := 0; i < n; i++ {
				text, err := await[string](call(ctx, "make", 1<<20))
				if err != nil {
					return 0, err
				}
				size += len(text)
			}
			return size, nil
		}),
		"small": func(ctx *orchestration) (any, error) {
			return await[string](call(ctx, "make", 3))
		},
	}
	make := activities{"make": activity(func(n int) (string, error) {
		return strings.Repeat("x", n), nil
	})}

	test("a history of 12 MiB reaches a worker that takes it", func(h *hub) {
		h.worker(big, make, large)
		h.equal(output[int](h, h.run("big", 12)), 12<<20)
	})

	test("a history that its worker does not take holds no other up", func(h *hub) {
		var log warnings
		h.workerOn(connectWith(*address, &log), big, make)
		id := h.start("big", 6)
		h.awaitThat("its refusal", func() bool { return log.has("code ResourceExhausted") })
		for i := 0; i < 50; i++ {
			h.equal(output[string](h, h.run("small", nil)), "xxx")
		}
		h.expect(h.state(id).RuntimeStatus != completed, "it was taken")
	})

	for _, what := range []string{"turn", "task"} {
		what := what
		test("a worker is killed amid a "+what+": another does its work", func(h *hub) {
			stuck := h.process("worker", *address, "stuck", what)
			good := h.process("worker", *address, "good")
			var ids []api.InstanceID
			h.awaitThat("both to work", func() bool {
				ids = append(ids, h.start("killable", 10))
				return stuck.hasSaid("stuck "+what) && good.hasSaid("good task")
			})
			stuck.kill()
			for _, id := range ids {
				h.equal(output[[]int](h, h.end(id)), numbers(0, 10))
			}
		})
	}
}
