package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

// A child to be called: its name, what it gets, its id if it is to have one.
type child struct {
	Name  string
	Input any
	ID    string
	Most  int // Attempts.
}

func (c child) call(ctx *orchestration) task.Task {
	policy := &task.RetryPolicy{MaxAttempts: c.Most, InitialRetryInterval: time.Millisecond}
	return ctx.CallSubOrchestrator(c.Name, task.WithSubOrchestratorInput(c.Input),
		task.WithSubOrchestrationInstanceID(c.ID), task.WithSubOrchestrationRetryPolicy(policy))
}

// The id of a child that is not given one.
func childID(parent api.InstanceID, number int) api.InstanceID {
	return api.InstanceID(fmt.Sprintf("%s:%04x", parent, number))
}

// Those of a family of two children each: parents first.
func familyIDs(root api.InstanceID, depth int) []api.InstanceID {
	all := []api.InstanceID{root}
	for n := 0; n < 2 && depth > 0; n++ {
		all = append(all, familyIDs(childID(root, n), depth-1)...)
	}
	return all
}

// Tests of orchestrations that start others: results, failures, ids, what ends with whom.
func TestChildren(t *testing.T) {
	var tried attempts
	h := withWorker(t, orchestrators{
		"double": orchestrator(func(ctx *orchestration, n int) (int, error) {
			return await[int](call(ctx, "twice", n))
		}),
		"whoAmI": func(ctx *orchestration) (any, error) { return ctx.ID, nil },
		"calls": orchestrator(func(ctx *orchestration, in child) (any, error) {
			return await[any](in.call(ctx))
		}),
		"callsRaw": orchestrator(func(ctx *orchestration, in string) (any, error) {
			input := task.WithRawSubOrchestratorInput(in)
			return await[any](ctx.CallSubOrchestrator("double", input))
		}),
		"callsMany": orchestrator(func(ctx *orchestration, n int) ([]int, error) {
			tasks := make([]task.Task, n)
			for i := range tasks {
				tasks[i] = child{Name: "double", Input: i}.call(ctx)
			}
			return awaitAll[int](tasks)
		}),
		"nested": orchestrator(func(ctx *orchestration, depth int,
		) ([]api.InstanceID, error) {
			if depth == 0 {
				return []api.InstanceID{ctx.ID}, nil
			}
			below, err := await[[]api.InstanceID](child{Name: "nested", Input: depth - 1}.call(ctx))
			return append([]api.InstanceID{ctx.ID}, below...), err
		}),
		"failing": orchestrator(func(ctx *orchestration, text string) (any, error) {
			if err := call(ctx, "twice", 1).Await(nil); err != nil {
				return nil, err
			}
			return nil, errors.New(text)
		}),
		"forgiving": orchestrator(func(ctx *orchestration, in child) (string, error) {
			if err := in.call(ctx).Await(nil); err != nil {
				return err.Error(), nil
			}
			return "no error", nil
		}),
		"failingUntil": orchestrator(func(ctx *orchestration, in trial) (any, error) {
			n, err := await[int](call(ctx, "attempt", in.Key))
			if err == nil && n < in.Good {
				err = fmt.Errorf("attempt %d", n)
			}
			return []any{n, ctx.ID}, err
		}),
		"countdown": orchestrator(func(ctx *orchestration, n int) (string, error) {
			err := call(ctx, "twice", n).Await(nil)
			if n > 0 {
				ctx.ContinueAsNew(n - 1)
			}
			return "done", err
		}),
		"awaiting": func(ctx *orchestration) (any, error) {
			return await[string](ctx.WaitForSingleEvent("go", -1))
		},
		// Has two children, and they have, so deep; the last ones wait.
		"family": orchestrator(func(ctx *orchestration, depth int) (any, error) {
			if depth == 0 {
				return nil, ctx.WaitForSingleEvent("go", -1).Await(nil)
			}
			one := child{Name: "family", Input: depth - 1}
			_, err := awaitAll[any]([]task.Task{one.call(ctx), one.call(ctx)})
			return nil, err
		}),
		"oneEndsOneWaits": func(ctx *orchestration) (any, error) {
			first := child{Name: "double", Input: 1}.call(ctx)
			second := child{Name: "awaiting"}.call(ctx)
			if err := first.Await(nil); err != nil {
				return nil, err
			}
			ctx.SetCustomStatus("one has ended")
			return nil, second.Await(nil)
		},
	}, activities{
		"twice":   activity(func(n int) (int, error) { return 2 * n, nil }),
		"attempt": activity(func(key string) (int, error) { return tried.next(key), nil }),
	})

	h.test("a child's result reaches its parent", func(h *hub) {
		h.equal(output[int](h, h.run("calls", child{Name: "double", Input: 21})), 42)
		h.equal(output[int](h, h.run("callsRaw", " 21 ")), 42)
	})

	h.test("a child without an id gets that of its parent and its number", func(h *hub) {
		state := h.run("calls", child{Name: "whoAmI"})
		id := childID(state.InstanceID, 0)
		h.equal(output[api.InstanceID](h, state), id)
		h.equal(h.state(id).Name, "whoAmI")
	})

	h.test("a child gets the id it is given", func(h *hub) {
		id := newID("given")
		one := child{Name: "double", Input: 4, ID: string(id)}
		h.equal(output[int](h, h.run("calls", one)), 8)
		state := h.state(id)
		h.equal(output[int](h, state), 8)
		h.equal(state.Name, "double")
		h.equal(state.SerializedInput, "4")
	})

	h.test("50 children at once", func(h *hub) {
		wanted := numbers(0, 50)
		for i := range wanted {
			wanted[i] *= 2
		}
		h.equal(output[[]int](h, h.run("callsMany", 50)), wanted)
	})

	h.test("children of children, 30 deep, have ids longer than a client may give",
		func(h *hub) {
			ids := output[[]api.InstanceID](h, h.run("nested", 30))
			h.equal(len(ids), 31)
			h.equal(string(ids[30]), string(ids[0])+strings.Repeat(":0000", 30))
			h.hasStatus(ids[30], completed)
		})

	h.test("a child that fails fails its parent", func(h *hub) {
		state := h.run("calls", child{Name: "failing", Input: "too far"})
		h.equal(nameOf(state.RuntimeStatus), "FAILED")
		h.hasStatus(childID(state.InstanceID, 0), failed)
	})

	h.test("a child's failure can be handled, and says what it was", func(h *hub) {
		state := h.run("forgiving", child{Name: "failing", Input: "too far"})
		h.equal(output[string](h, state), "task failed with an error: too far")
	})

	for _, id := range []api.InstanceID{"", newID("again")} {
		id := id
		h.test(fmt.Sprintf("a child that fails is tried again; its id is given: %v", id != ""),
			func(h *hub) {
				key := string(newID("key"))
				got := output[[]any](h, h.run("calls", child{Name: "failingUntil", ID: string(id),
					Input: trial{Key: key, Good: 3}, Most: 4}))
				h.equal(got[0], 3.0)
				if id != "" {
					h.equal(got[1], string(id))
				}
				h.hasStatus(api.InstanceID(got[1].(string)), completed)
			})
	}

	h.test("a child is not tried for ever", func(h *hub) {
		key := string(newID("key"))
		one := child{Name: "failingUntil", Input: trial{Key: key, Good: 9}, Most: 3}
		state := h.run("calls", one)
		h.equal(nameOf(state.RuntimeStatus), "FAILED")
		h.equal(tried.next(key), 4)
	})

	h.test("a child under the id of one that runs fails, and that one goes on", func(h *hub) {
		id := h.start("awaiting", nil)
		h.untilStatus(id, running)
		text := output[string](h, h.run("forgiving", child{Name: "double", ID: string(id)}))
		h.expect(text != "no error", "the child did not fail")
		h.raise(id, "go", "on")
		h.equal(output[string](h, h.end(id)), "on")
	})

	h.test("a child under the id of one that has ended takes its place", func(h *hub) {
		id := h.run("double", 1).InstanceID
		one := child{Name: "double", Input: 3, ID: string(id)}
		h.equal(output[int](h, h.run("calls", one)), 6)
		h.equal(output[int](h, h.state(id)), 6)
	})

	h.test("a child that goes on as new answers its parent at its end", func(h *hub) {
		h.equal(output[string](h, h.run("calls", child{Name: "countdown", Input: 5})), "done")
	})

	h.test("a child that is terminated is a failure to its parent", func(h *hub) {
		id := h.start("forgiving", child{Name: "awaiting"})
		victim := childID(id, 0)
		h.untilStatus(victim, running)
		h.terminate(victim, api.WithOutput("enough"))
		h.expect(output[string](h, h.end(id)) != "no error", "it was none")
	})

	h.test("an event can be raised for a child by its id", func(h *hub) {
		id := h.start("calls", child{Name: "awaiting"})
		h.untilStatus(childID(id, 0), running)
		h.raise(childID(id, 0), "go", "on")
		h.equal(output[string](h, h.end(id)), "on")
	})

	// A family that waits: its ids.
	family := func(h *hub, depth int) []api.InstanceID {
		ids := familyIDs(h.start("family", depth), depth)
		for _, id := range ids {
			h.untilStatus(id, running)
		}
		return ids
	}

	for name, options := range map[string][]api.TerminateOptions{
		"by itself":  {api.WithOutput("all")},
		"when asked": {api.WithRawOutput(`"all"`), api.WithRecursiveTerminate(true)},
	} {
		options := options
		h.test("a termination takes children and children's children along "+name, func(h *hub) {
			ids := family(h, 2)
			h.equal(len(ids), 7)
			h.terminate(ids[0], options...)
			for _, id := range ids {
				state := h.end(id)
				h.equal(nameOf(state.RuntimeStatus), "TERMINATED")
				h.equal(state.SerializedOutput, `"all"`)
			}
		})
	}

	h.test("a termination that is not recursive leaves children alone", func(h *hub) {
		ids := family(h, 1)
		h.terminate(ids[0], api.WithRecursiveTerminate(false))
		h.equal(nameOf(h.end(ids[0]).RuntimeStatus), "TERMINATED")
		time.Sleep(200 * time.Millisecond)
		for _, id := range ids[1:] {
			h.hasStatus(id, running)
			h.raise(id, "go", nil)
			h.equal(nameOf(h.end(id).RuntimeStatus), "COMPLETED")
		}
	})

	h.test("a termination leaves children that have ended as they are", func(h *hub) {
		id := h.start("oneEndsOneWaits", nil)
		h.untilCustomStatus(id, "one has ended")
		h.terminate(id)
		h.equal(nameOf(h.end(childID(id, 1)).RuntimeStatus), "TERMINATED")
		h.equal(output[int](h, h.state(childID(id, 0))), 2)
	})

	for _, recursive := range []bool{true, false} {
		recursive := recursive
		name := map[bool]string{true: "a recursive purge takes children along",
			false: "a purge that is not recursive leaves children"}[recursive]
		h.test(name, func(h *hub) {
			ids := output[[]api.InstanceID](h, h.run("nested", 2))
			h.must(h.client.PurgeOrchestrationState(h.ctx, ids[0],
				api.WithRecursivePurge(recursive)))
			h.isGone(ids[0])
			for _, id := range ids[1:] {
				if recursive {
					h.isGone(id)
				} else {
					h.hasStatus(id, completed)
				}
			}
		})
	}

	h.test("a recursive purge leaves a child that runs", func(h *hub) {
		ids := family(h, 1)
		h.terminate(ids[0], api.WithRecursiveTerminate(false))
		h.end(ids[0])
		h.must(h.client.PurgeOrchestrationState(h.ctx, ids[0], api.WithRecursivePurge(true)))
		h.isGone(ids[0])
		for _, id := range ids[1:] {
			h.raise(id, "go", nil)
			h.equal(nameOf(h.end(id).RuntimeStatus), "COMPLETED")
		}
	})
}
