package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"google.golang.org/grpc/codes"
)

var lives = orchestrators{
	"echo": orchestrator(func(ctx *orchestration, in any) (any, error) {
		return await[any](call(ctx, "echo", in))
	}),
	"failing": func(*orchestration) (any, error) {
		return nil, errors.New("as it must")
	},
	"awaiting": func(ctx *orchestration) (any, error) {
		ctx.SetCustomStatus("waiting")
		return await[any](ctx.WaitForSingleEvent("go", -1))
	},
	"collecting": func(ctx *orchestration) (any, error) {
		var got []int
		for len(got) < 3 {
			ctx.SetCustomStatus("0123"[len(got) : len(got)+1])
			n, err := await[int](ctx.WaitForSingleEvent("item", -1))
			if err != nil {
				return nil, err
			}
			got = append(got, n)
		}
		return got, nil
	},
}
var livesTasks = activities{"echo": activity(func(in any) (any, error) { return in, nil })}

// One that was left in that state.
func (h *hub) leftIn(status api.OrchestrationStatus) api.InstanceID {
	h.Helper()
	switch status {
	case completed:
		return h.run("echo", 1).InstanceID
	case failed:
		return h.run("failing", nil).InstanceID
	case pending:
		return h.start("awaiting", nil, api.WithStartTime(time.Now().Add(time.Hour)))
	}
	id := h.start("awaiting", nil)
	h.untilCustomStatus(id, "waiting")
	if status == terminated {
		h.terminate(id)
		h.end(id)
	} else if status == suspended {
		h.suspend(id)
	}
	return id
}

func (h *hub) suspend(id api.InstanceID) {
	h.Helper()
	h.must(h.client.SuspendOrchestration(h.ctx, id, "a pause"))
	h.untilStatus(id, suspended)
}

func (h *hub) resume(id api.InstanceID) {
	h.Helper()
	h.must(h.client.ResumeOrchestration(h.ctx, id, ""))
}

// Tests of the life of an instance seen from outside: start, look, suspend, end, purge.
func TestLifecycle(t *testing.T) {
	h := withWorker(t, lives, livesTasks)

	h.test("the state says what is known", func(h *hub) {
		before := time.Now()
		id := h.start("awaiting", map[string]int{"a": 1})
		started, err := h.client.WaitForOrchestrationStart(h.ctx, id)
		h.must(err)
		h.equal(started.InstanceID, id)
		h.equal(started.Name, "awaiting")
		h.equal(nameOf(started.RuntimeStatus), "RUNNING")
		h.equal(started.SerializedInput, `{"a":1}`)
		h.equal(started.SerializedOutput, "")
		age := started.CreatedAt.Sub(before)
		h.expect(age.Abs() < time.Minute, "created %s after its start", age)
		h.expect(started.IsRunning() && !started.IsComplete(), "it does not run")
		h.raise(id, "go", "done")
		state := h.end(id)
		h.equal(output[string](h, state), "done")
		h.expect(state.IsComplete(), "it is not complete")
		h.equal(state.CreatedAt, started.CreatedAt)
		h.expect(!state.LastUpdatedAt.Before(started.LastUpdatedAt), "updated before")
		h.equal(h.state(id), state)
	})

	h.test("payloads are left out if they are not asked for", func(h *hub) {
		id := h.start("awaiting", "text")
		h.raise(id, "go", "done")
		h.end(id)
		no := api.WithFetchPayloads(false)
		looks := map[string]func(context.Context, api.InstanceID,
			...api.FetchOrchestrationMetadataOptions) (*api.OrchestrationMetadata, error){
			"fetch": h.client.FetchOrchestrationMetadata,
			"start": h.client.WaitForOrchestrationStart,
			"end":   h.client.WaitForOrchestrationCompletion,
		}
		for name, look := range looks {
			state, err := look(h.ctx, id, no)
			h.must(err)
			h.equal(nameOf(state.RuntimeStatus), "COMPLETED")
			got := state.SerializedInput + state.SerializedOutput + state.SerializedCustomStatus
			h.expect(got == "", "%s has %q", name, got)
		}
	})

	h.test("an instance that does not exist is not found, at once", func(h *hub) {
		id := newID("nobody")
		h.isGone(id)
		_, err := h.client.WaitForOrchestrationStart(h.ctx, id)
		h.equal(err, api.ErrInstanceNotFound)
		_, err = h.client.WaitForOrchestrationCompletion(h.ctx, id)
		h.equal(err, api.ErrInstanceNotFound)
	})

	h.test("an id that is not given is made", func(h *hub) {
		a, b := h.run("echo", 1), h.run("echo", 2)
		h.expect(a.InstanceID != b.InstanceID, "both are %s", a.InstanceID)
	})

	for _, id := range []api.InstanceID{"Zoë-東京?x=1#%20 'a'", "a@b", "A", "a", "0"} {
		id := id
		h.test("the id "+string(id)+" is one like any other", func(h *hub) {
			h.equal(h.start("echo", id, api.WithInstanceID(id)), id)
			state := h.end(id)
			h.equal(state.InstanceID, id)
			h.equal(output[api.InstanceID](h, state), id)
		})
	}

	h.test("an id of 100 characters is taken, a longer one refused", func(h *hub) {
		id := newID("long")
		id += api.InstanceID(strings.Repeat("x", 100-len(id)))
		h.start("echo", 1, api.WithInstanceID(id))
		_, err := h.client.ScheduleNewOrchestration(h.ctx, "echo", api.WithInstanceID(id+"x"))
		h.refused(err, codes.InvalidArgument, "length")
	})

	h.test("a start without a name is refused", func(h *hub) {
		_, err := h.client.ScheduleNewOrchestration(h.ctx, "")
		h.refused(err, codes.InvalidArgument, "")
	})

	h.test("a wait for a start that runs out is an error; the instance goes on", func(h *hub) {
		at := time.Now().Add(time.Second)
		id := h.start("echo", 1, api.WithStartTime(at))
		ctx, cancel := context.WithTimeout(h.ctx, 200*time.Millisecond)
		defer cancel()
		_, err := h.client.WaitForOrchestrationStart(ctx, id)
		h.expect(errors.Is(err, context.DeadlineExceeded), "got %v", err)
		h.equal(output[int](h, h.end(id)), 1)
	})

	h.test("a wait for an end that runs out is an error; the instance goes on", func(h *hub) {
		id := h.start("awaiting", nil)
		ctx, cancel := context.WithTimeout(h.ctx, 200*time.Millisecond)
		defer cancel()
		_, err := h.client.WaitForOrchestrationCompletion(ctx, id)
		h.expect(errors.Is(err, context.DeadlineExceeded), "got %v", err)
		h.raise(id, "go", 1)
		h.equal(output[int](h, h.end(id)), 1)
	})

	h.test("everybody who waits is answered", func(h *hub) {
		id := h.start("awaiting", nil)
		var waiting sync.WaitGroup
		outputs := make([]string, 30)
		for i := range outputs {
			i := i
			waiting.Add(1)
			go func() {
				defer waiting.Done()
				state, err := h.client.WaitForOrchestrationCompletion(h.ctx, id)
				if err == nil {
					outputs[i] = state.SerializedOutput
				}
			}()
		}
		h.untilCustomStatus(id, "waiting")
		h.raise(id, "go", 5)
		waiting.Wait()
		for _, one := range outputs {
			h.equal(one, "5")
		}
	})

	h.test("200 started at once all end", func(h *hub) {
		ids := make([]api.InstanceID, 200)
		for i := range ids {
			ids[i] = h.start("echo", i)
		}
		for i, id := range ids {
			h.equal(output[int](h, h.end(id)), i)
		}
	})

	h.test("one that is suspended does nothing until it is resumed", func(h *hub) {
		id := h.start("collecting", nil)
		h.raise(id, "item", 1)
		h.untilCustomStatus(id, "1")
		h.suspend(id)
		h.raise(id, "item", 2)
		ctx, cancel := context.WithTimeout(h.ctx, 300*time.Millisecond)
		defer cancel()
		_, err := h.client.WaitForOrchestrationCompletion(ctx, id)
		h.expect(errors.Is(err, context.DeadlineExceeded), "got %v", err)
		state := h.state(id)
		h.equal(nameOf(state.RuntimeStatus), "SUSPENDED")
		h.expect(state.IsRunning(), "one that is suspended counts as running")
		h.resume(id)
		h.untilCustomStatus(id, "2")
		h.hasStatus(id, running)
		h.raise(id, "item", 3)
		h.equal(output[[]int](h, h.end(id)), numbers(1, 4))
	})

	h.test("one that is suspended before it begins does when resumed", func(h *hub) {
		id := h.start("collecting", nil)
		h.must(h.client.SuspendOrchestration(h.ctx, id, ""))
		for n := 1; n < 4; n++ {
			h.raise(id, "item", n)
		}
		h.untilStatus(id, suspended)
		h.resume(id)
		h.equal(output[[]int](h, h.end(id)), numbers(1, 4))
	})

	h.test("suspending twice and resuming once is resumed", func(h *hub) {
		id := h.leftIn(suspended)
		h.suspend(id)
		h.raise(id, "go", 1)
		h.resume(id)
		h.equal(output[int](h, h.end(id)), 1)
	})

	h.test("resuming one that runs is no harm", func(h *hub) {
		id := h.leftIn(running)
		h.resume(id)
		h.raise(id, "go", 1)
		h.equal(output[int](h, h.end(id)), 1)
	})

	// This SDK answers a termination only when its orchestrator is resumed.
	h.test("one that is terminated while suspended ends once resumed", func(h *hub) {
		id := h.leftIn(suspended)
		h.terminate(id, api.WithOutput("enough"))
		h.resume(id)
		state := h.end(id)
		h.equal(nameOf(state.RuntimeStatus), "TERMINATED")
		h.equal(state.SerializedOutput, `"enough"`)
	})

	for text, option := range map[string]api.TerminateOptions{
		`{"why":["enough"]}`: api.WithOutput(map[string][]string{"why": {"enough"}}),
		"raw, no JSON":       api.WithRawOutput("raw, no JSON"),
		"":                   api.WithRecursiveTerminate(true),
	} {
		text, option := text, option
		h.test("a termination may have an output: "+text, func(h *hub) {
			id := h.leftIn(running)
			h.terminate(id, option)
			state := h.end(id)
			h.equal(nameOf(state.RuntimeStatus), "TERMINATED")
			h.equal(state.SerializedOutput, text)
		})
	}

	h.test("an event and a termination at once: it ends, and stays so", func(h *hub) {
		for i := 0; i < 20; i++ {
			id := h.start("awaiting", nil)
			h.raise(id, "go", 1)
			h.terminate(id)
			state := h.end(id)
			h.expect(state.RuntimeStatus == completed || state.RuntimeStatus == terminated,
				"it has %s", nameOf(state.RuntimeStatus))
			h.equal(h.state(id), state)
		}
	})

	for _, status := range ended {
		status := status
		h.test("what has "+nameOf(status)+" stays so", func(h *hub) {
			id := h.leftIn(status)
			state := h.state(id)
			h.terminate(id, api.WithOutput("again"))
			h.must(h.client.SuspendOrchestration(h.ctx, id, ""))
			h.resume(id)
			h.raise(id, "go", 1)
			time.Sleep(100 * time.Millisecond)
			h.equal(h.state(id), state)
		})

		h.test("a purge takes one that has "+nameOf(status)+"; its id is free", func(h *hub) {
			id := h.leftIn(status)
			h.must(h.client.PurgeOrchestrationState(h.ctx, id))
			h.isGone(id)
			h.equal(h.client.PurgeOrchestrationState(h.ctx, id), api.ErrInstanceNotFound)
			h.equal(output[int](h, h.run("echo", 7, api.WithInstanceID(id))), 7)
		})
	}

	for _, status := range active {
		status := status
		h.test("a purge finds nothing while one is "+nameOf(status), func(h *hub) {
			id := h.leftIn(status)
			h.equal(h.client.PurgeOrchestrationState(h.ctx, id), api.ErrInstanceNotFound)
			h.hasStatus(id, status)
		})
	}

	h.test("to end, suspend or resume one that does not exist is refused", func(h *hub) {
		id := newID("nobody")
		h.refused(h.client.TerminateOrchestration(h.ctx, id), codes.NotFound, "")
		h.refused(h.client.SuspendOrchestration(h.ctx, id, ""), codes.NotFound, "")
		h.refused(h.client.ResumeOrchestration(h.ctx, id, ""), codes.NotFound, "")
	})

	h.test("to purge one that does not exist finds nothing", func(h *hub) {
		err := h.client.PurgeOrchestrationState(h.ctx, newID("nobody"))
		h.equal(err, api.ErrInstanceNotFound)
	})
}
