package main

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc/codes"
)

const (
	refuse  = api.REUSE_ID_ACTION_ERROR
	ignore  = api.REUSE_ID_ACTION_IGNORE
	replace = api.REUSE_ID_ACTION_TERMINATE
)

// What to do if the id is in use: the action, if its status is one of these.
func reuse(action api.CreateOrchestrationAction, statuses ...api.OrchestrationStatus,
) api.NewOrchestrationOptions {
	return api.WithOrchestrationIdReusePolicy(
		&api.OrchestrationIdReusePolicy{Action: action, OperationStatus: statuses})
}

var all = append(append([]api.OrchestrationStatus{}, ended...), active...)

func without(one api.OrchestrationStatus) []api.OrchestrationStatus {
	var others []api.OrchestrationStatus
	for _, other := range all {
		if other != one {
			others = append(others, other)
		}
	}
	return others
}

// Tests of a start under an id that was used before.
func TestReuse(t *testing.T) {
	var runs atomic.Int64
	hold := make(chan struct{}) // Of an activity that is to end late.
	held := make(chan struct{})
	turns := orchestrators{
		"counted": func(ctx *orchestration) (any, error) {
			return nil, call(ctx, "count", nil).Await(nil)
		},
		"holding": func(ctx *orchestration) (any, error) {
			return nil, call(ctx, "hold", nil).Await(nil)
		},
	}
	for name, run := range lives {
		turns[name] = run
	}
	h := withWorker(t, turns, activities{
		"echo":  livesTasks["echo"],
		"count": func(task.ActivityContext) (any, error) { return runs.Add(1), nil },
		"hold": func(task.ActivityContext) (any, error) {
			held <- struct{}{}
			<-hold
			return "late", nil
		},
	})

	// Starts another under the id, which is left in that state: as one it was before.
	again := func(h *hub, id api.InstanceID, options ...api.NewOrchestrationOptions) error {
		options = append(options, api.WithInput("new"), api.WithInstanceID(id))
		got, err := h.client.ScheduleNewOrchestration(h.ctx, "echo", options...)
		if err == nil {
			h.equal(got, id)
		}
		return err
	}
	isRefused := func(h *hub, id api.InstanceID, options ...api.NewOrchestrationOptions) {
		h.Helper()
		state := h.state(id)
		h.refused(again(h, id, options...), codes.AlreadyExists,
			"orchestration instance already exists")
		h.equal(h.state(id), state)
	}
	isReplaced := func(h *hub, id api.InstanceID, options ...api.NewOrchestrationOptions) {
		h.Helper()
		old := h.state(id)
		h.must(again(h, id, options...))
		state := h.end(id)
		h.equal(output[string](h, state), "new")
		h.equal(state.Name, "echo")
		h.equal(state.SerializedCustomStatus, "")
		h.expect(!state.CreatedAt.Before(old.CreatedAt), "it was created before the old one")
	}

	for _, status := range all {
		status, others := status, without(status)
		name := nameOf(status)

		h.test("one that is "+name+" is left alone, if asked for that", func(h *hub) {
			for _, policy := range []api.NewOrchestrationOptions{
				reuse(ignore, status), reuse(ignore, all...)} {
				id := h.leftIn(status)
				state := h.state(id)
				h.must(again(h, id, policy))
				h.equal(h.state(id), state)
			}
		})
		h.test("one that is "+name+" is replaced, if asked for that", func(h *hub) {
			isReplaced(h, h.leftIn(status), reuse(replace, status))
			isReplaced(h, h.leftIn(status), reuse(replace, all...))
		})
		h.test("one that is "+name+" is in the way, if asked about others", func(h *hub) {
			id := h.leftIn(status)
			isRefused(h, id, reuse(ignore, others...))
			isRefused(h, id, reuse(replace, others...))
			isRefused(h, id, reuse(ignore))
			isRefused(h, id, reuse(replace))
			isRefused(h, id, reuse(refuse))
		})
	}
	for _, status := range active {
		status := status
		h.test("one that is "+nameOf(status)+" is in the way, if nothing is asked", func(h *hub) {
			isRefused(h, h.leftIn(status))
		})
	}
	for _, status := range ended {
		status := status
		h.test("one that has "+nameOf(status)+" is replaced, if nothing is asked", func(h *hub) {
			isReplaced(h, h.leftIn(status))
		})
	}

	for _, action := range []api.CreateOrchestrationAction{refuse, ignore, replace} {
		action := action
		h.test("an id that is free is taken, whatever is asked: "+action.String(), func(h *hub) {
			id := newID("free")
			h.must(again(h, id, reuse(action, ended...)))
			h.equal(output[string](h, h.end(id)), "new")
		})
	}

	h.test("of 20 who start it at once and leave it alone, one does", func(h *hub) {
		id := newID("race")
		var starting sync.WaitGroup
		var refusals atomic.Int64
		for i := 0; i < 20; i++ {
			starting.Add(1)
			go func() {
				defer starting.Done()
				if _, err := h.client.ScheduleNewOrchestration(h.ctx, "counted",
					api.WithInstanceID(id), reuse(ignore, all...)); err != nil {
					refusals.Add(1)
				}
			}()
		}
		starting.Wait()
		h.equal(nameOf(h.end(id).RuntimeStatus), "COMPLETED")
		h.equal(refusals.Load(), int64(0))
		h.equal(runs.Load(), int64(1))
	})

	h.test("a late result for the one that was replaced is dropped", func(h *hub) {
		id := h.start("holding", nil)
		<-held
		_, err := h.client.ScheduleNewOrchestration(h.ctx, "awaiting", api.WithInstanceID(id),
			reuse(replace, running))
		h.must(err)
		h.untilCustomStatus(id, "waiting")
		close(hold)
		h.raise(id, "go", "on")
		h.equal(output[string](h, h.end(id)), "on")
	})
}
