package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc/codes"
)

// What goes from one generation of an orchestration to the next.
type countdown struct{ Left, Sum int }
type collection struct {
	Got  []int
	Most int
}

// Tests of events, custom status, continue-as-new.
func TestEvents(t *testing.T) {
	collect := func(keep ...task.ContinueAsNewOption) task.Orchestrator {
		return orchestrator(func(ctx *orchestration, in collection) ([]int, error) {
			n, err := await[int](ctx.WaitForSingleEvent("item", -1))
			if in.Got = append(in.Got, n); len(in.Got) < in.Most {
				ctx.ContinueAsNew(in, keep...)
			}
			return in.Got, err
		})
	}
	// Waits for "go", goes on as new, and looks whether an event came along.
	leave := func(keep ...task.ContinueAsNewOption) task.Orchestrator {
		return orchestrator(func(ctx *orchestration, second bool) (string, error) {
			if !second {
				ctx.ContinueAsNew(true, keep...)
				return "", ctx.WaitForSingleEvent("go", -1).Await(nil)
			}
			text, err := await[string](ctx.WaitForSingleEvent("extra", 300*time.Millisecond))
			if errors.Is(err, task.ErrTaskCanceled) {
				return "nothing", nil
			}
			return text, err
		})
	}
	h := withWorker(t, orchestrators{
		"awaitsOne": orchestrator(func(ctx *orchestration, name string) (any, error) {
			ctx.SetCustomStatus("waiting")
			return await[any](ctx.WaitForSingleEvent(name, -1))
		}),
		"awaitsMany": orchestrator(func(ctx *orchestration, n int) ([]int, error) {
			if err := ctx.CreateTimer(300 * time.Millisecond).Await(nil); err != nil {
				return nil, err
			}
			events := make([]task.Task, n)
			for i := range events {
				events[i] = ctx.WaitForSingleEvent("number", -1)
			}
			return awaitAll[int](events)
		}),
		"awaitsDifferent": func(ctx *orchestration) (any, error) {
			return awaitAll[string]([]task.Task{ctx.WaitForSingleEvent("a", -1),
				ctx.WaitForSingleEvent("b", -1), ctx.WaitForSingleEvent("c", -1)})
		},
		"approval": orchestrator(func(ctx *orchestration, most time.Duration,
		) (string, error) {
			decision, err := await[string](ctx.WaitForSingleEvent("decision", most))
			if errors.Is(err, task.ErrTaskCanceled) {
				return "too late", nil
			}
			return decision, err
		}),
		// Of two that wait for the same event the first has given up when it comes.
		"contention": func(ctx *orchestration) (any, error) {
			first := ctx.WaitForSingleEvent("go", 100*time.Millisecond)
			second := ctx.WaitForSingleEvent("go", -1)
			ctx.SetCustomStatus("both wait")
			if err := first.Await(nil); !errors.Is(err, task.ErrTaskCanceled) {
				return "the first got it", err
			}
			ctx.SetCustomStatus("one waits")
			return await[string](second)
		},
		"nowOrNever": func(ctx *orchestration) (any, error) {
			if err := ctx.WaitForSingleEvent("go", -1).Await(nil); err != nil {
				return nil, err
			}
			before, err := await[string](ctx.WaitForSingleEvent("before", 0))
			if err != nil {
				return nil, err
			}
			never := ctx.WaitForSingleEvent("never", 0).Await(nil)
			return []any{before, errors.Is(never, task.ErrTaskCanceled)}, nil
		},
		"countdown": orchestrator(func(ctx *orchestration, in countdown) (int, error) {
			next, err := await[int](call(ctx, "addOne", in.Left))
			in.Sum += next
			if in.Left--; in.Left >= 0 {
				ctx.ContinueAsNew(in)
			}
			return in.Sum, err
		}),
		"restless": orchestrator(func(ctx *orchestration, left int) (string, error) {
			if left > 0 {
				ctx.ContinueAsNew(left - 1)
			}
			return "done", nil
		}),
		"leavesTimers": orchestrator(func(ctx *orchestration, round int) (int, error) {
			ctx.CreateTimer(50 * time.Millisecond)
			call(ctx, "addOne", 1)
			err := ctx.CreateTimer(100 * time.Millisecond).Await(nil)
			if round < 2 {
				ctx.CreateTimer(10 * time.Millisecond)
				ctx.ContinueAsNew(round + 1)
			}
			return round, err
		}),
		"collectsKeeping": collect(task.WithKeepUnprocessedEvents()),
		"leaves":          leave(),
		"keeps":           leave(task.WithKeepUnprocessedEvents()),
		"reporting": orchestrator(func(ctx *orchestration, all []string) (any, error) {
			for _, one := range all {
				ctx.SetCustomStatus(one)
				if err := ctx.WaitForSingleEvent("next", -1).Await(nil); err != nil {
					return nil, err
				}
			}
			return "reported", nil
		}),
	}, activities{"addOne": activity(addOne)})

	for _, text := range []string{
		`"yes"`, `0`, `false`, `{"deep":[1,null]}`, `"東京"`, `""`} {
		text := text
		h.test("an event with "+text+" reaches one that waits", func(h *hub) {
			id := h.start("awaitsOne", "go")
			h.untilCustomStatus(id, "waiting")
			h.must(h.client.RaiseEvent(h.ctx, id, "go", api.WithRawEventData(text)))
			h.equal(h.end(id).SerializedOutput, text)
		})
	}

	h.test("an event without data is nothing", func(h *hub) {
		id := h.start("awaitsOne", "go")
		h.must(h.client.RaiseEvent(h.ctx, id, "go"))
		h.equal(h.end(id).SerializedOutput, "")
	})

	h.test("an event of nearly 4 MiB comes through", func(h *hub) {
		id := h.start("awaitsOne", "go")
		text := strings.Repeat("x", 4<<20-4<<10)
		h.raise(id, "go", text)
		h.expect(output[string](h, h.end(id)) == text, "another text came")
	})

	h.test("names of events ignore case", func(h *hub) {
		id := h.start("awaitsOne", "Go")
		h.raise(id, "gO", 1)
		h.equal(output[int](h, h.end(id)), 1)
	})

	h.test("200 events raised before they are awaited are kept, in order", func(h *hub) {
		id := h.start("awaitsMany", 200)
		for n := 0; n < 200; n++ {
			h.raise(id, "number", n)
		}
		h.equal(output[[]int](h, h.end(id)), numbers(0, 200))
	})

	h.test("events of several names, in any order", func(h *hub) {
		id := h.start("awaitsDifferent", nil)
		for _, name := range []string{"c", "a", "b"} {
			h.raise(id, name, name)
		}
		h.equal(output[[]string](h, h.end(id)), []string{"a", "b", "c"})
	})

	h.test("an event nobody waits for is no harm", func(h *hub) {
		id := h.start("awaitsOne", "go")
		h.raise(id, "other", 1)
		h.raise(id, "go", 2)
		h.equal(output[int](h, h.end(id)), 2)
	})

	h.test("an event in time wins against its time-out", func(h *hub) {
		id := h.start("approval", time.Hour)
		h.raise(id, "decision", "approved")
		h.equal(output[string](h, h.end(id)), "approved")
	})

	h.test("a time-out wins against an event that does not come", func(h *hub) {
		h.equal(output[string](h, h.run("approval", 200*time.Millisecond)), "too late")
	})

	h.test("one that has given up leaves its event to the next", func(h *hub) {
		id := h.start("contention", nil)
		h.untilCustomStatus(id, "one waits")
		h.raise(id, "go", "the second got it")
		h.equal(output[string](h, h.end(id)), "the second got it")
	})

	h.test("without any time to wait only what is there counts", func(h *hub) {
		id := h.start("nowOrNever", nil)
		h.raise(id, "before", "it is there")
		h.raise(id, "go", nil)
		h.equal(output[[]any](h, h.end(id)), []any{"it is there", true})
	})

	h.test("an event for an instance that does not exist is refused", func(h *hub) {
		err := h.client.RaiseEvent(h.ctx, newID("nobody"), "go")
		h.refused(err, codes.NotFound, "")
	})

	h.test("an event for one that has ended is no harm", func(h *hub) {
		state := h.run("restless", 0)
		h.raise(state.InstanceID, "go", 1)
		h.equal(h.state(state.InstanceID), state)
	})

	h.test("50 generations pass on their input; id and birthday stay", func(h *hub) {
		id := h.start("countdown", countdown{Left: 50})
		created := h.state(id).CreatedAt
		state := h.end(id)
		h.equal(output[int](h, state), 51*52/2)
		h.equal(state.CreatedAt, created)
		var last countdown
		h.must(json.Unmarshal([]byte(state.SerializedInput), &last))
		h.equal(last.Left, 0)
	})

	h.test("50 generations that do nothing else end all the same", func(h *hub) {
		h.equal(output[string](h, h.run("restless", 50)), "done")
	})

	h.test("timers and activities stay behind with their generation", func(h *hub) {
		h.equal(output[int](h, h.run("leavesTimers", 0)), 2)
	})

	h.test("events are kept from generation to generation, in order", func(h *hub) {
		id := h.start("collectsKeeping", collection{Most: 60})
		for n := 0; n < 60; n++ {
			h.raise(id, "item", n)
		}
		h.equal(output[[]int](h, h.end(id)), numbers(0, 60))
	})

	for name, wanted := range map[string]string{
		"keeps": "it came along", "leaves": "nothing"} {
		name, wanted := name, wanted
		h.test("a generation "+name+" what it did not look at, as it says", func(h *hub) {
			id := h.start(name, false)
			h.raise(id, "EXTRA", "it came along")
			h.raise(id, "go", nil)
			h.equal(output[string](h, h.end(id)), wanted)
		})
	}

	h.test("the custom status is seen while it runs, and stays at the end", func(h *hub) {
		all := []string{"1", `{"step": 2}`, "Zoë 東京 🍎", strings.Repeat("x", 1<<16)}
		id := h.start("reporting", all)
		for _, one := range all {
			h.untilCustomStatus(id, one)
			h.raise(id, "next", nil)
		}
		state := h.end(id)
		h.equal(output[string](h, state), "reported")
		h.equal(state.SerializedCustomStatus, all[3])
	})
}
