package main

import (
	"sync"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

// Tests of time: timers, scheduled starts, a clock that replays.
func TestTime(t *testing.T) {
	var mutex sync.Mutex
	seen := map[api.InstanceID][][]time.Time{} // What each replay read from the clock.

	h := withWorker(t, orchestrators{
		"sleeper": orchestrator(func(ctx *orchestration, delay time.Duration,
		) (time.Duration, error) {
			start := ctx.CurrentTimeUtc
			err := ctx.CreateTimer(delay).Await(nil)
			return ctx.CurrentTimeUtc.Sub(start), err
		}),
		"inAnyOrder": func(ctx *orchestration) (any, error) {
			late := ctx.CreateTimer(300 * time.Millisecond)
			early := ctx.CreateTimer(100 * time.Millisecond)
			start := ctx.CurrentTimeUtc
			if err := early.Await(nil); err != nil {
				return nil, err
			}
			woken := ctx.CurrentTimeUtc.Sub(start)
			err := late.Await(nil)
			return []time.Duration{woken, ctx.CurrentTimeUtc.Sub(start)}, err
		},
		"manyTimers": orchestrator(func(ctx *orchestration, n int) (int, error) {
			timers := make([]task.Task, n)
			for i := range timers {
				timers[i] = ctx.CreateTimer(time.Duration(i) * time.Millisecond)
			}
			_, err := awaitAll[any](timers)
			return n, err
		}),
		"ticking": func(ctx *orchestration) (any, error) {
			times := []time.Time{ctx.CurrentTimeUtc}
			for i := 0; i < 5; i++ {
				if err := call(ctx, "nothing", nil).Await(nil); err != nil {
					return nil, err
				}
				times = append(times, ctx.CurrentTimeUtc)
			}
			mutex.Lock()
			defer mutex.Unlock()
			seen[ctx.ID] = append(seen[ctx.ID], times)
			return times, ctx.CreateTimer(0).Await(nil)
		},
		"leavesTimers": func(ctx *orchestration) (any, error) {
			ctx.CreateTimer(50 * time.Millisecond)
			ctx.CreateTimer(time.Hour)
			return "done", nil
		},
		"awaiting": func(ctx *orchestration) (any, error) {
			return await[string](ctx.WaitForSingleEvent("go", -1))
		},
	}, activities{"nothing": func(task.ActivityContext) (any, error) { return nil, nil }})

	h.test("a timer fires, and never early", func(h *hub) {
		start := time.Now()
		state := h.run("sleeper", 500*time.Millisecond)
		slept := output[time.Duration](h, state)
		h.expect(slept >= 500*time.Millisecond, "the orchestrator slept %s", slept)
		h.expect(time.Since(start) >= 500*time.Millisecond, "it ended early")
		took := state.LastUpdatedAt.Sub(state.CreatedAt)
		h.expect(took >= 500*time.Millisecond, "its times are %s apart", took)
	})

	for name, delay := range map[string]time.Duration{"now": 0, "the past": -time.Hour} {
		delay := delay
		h.test("a timer for "+name+" fires at once", func(h *hub) {
			slept := output[time.Duration](h, h.run("sleeper", delay))
			h.expect(slept > 0, "its clock went by %s", slept)
		})
	}

	h.test("timers fire in the order of their times", func(h *hub) {
		woken := output[[]time.Duration](h, h.run("inAnyOrder", nil))
		h.expect(woken[0] >= 100*time.Millisecond && woken[0] < woken[1] &&
			woken[1] >= 300*time.Millisecond, "woken after %s", woken)
	})

	h.test("200 timers of one orchestration all fire", func(h *hub) {
		h.equal(output[int](h, h.run("manyTimers", 200)), 200)
	})

	h.test("timers of 100 orchestrations all fire", func(h *hub) {
		all := make([]api.InstanceID, 100)
		for i := range all {
			all[i] = h.start("sleeper", 200*time.Millisecond)
		}
		for _, id := range all {
			slept := output[time.Duration](h, h.end(id))
			h.expect(slept >= 200*time.Millisecond, "slept %s", slept)
		}
	})

	h.test("a timer of 200 years is no harm", func(h *hub) {
		id := h.start("sleeper", 200*365*24*time.Hour)
		h.untilStatus(id, running)
		h.terminate(id)
		h.equal(nameOf(h.end(id).RuntimeStatus), "TERMINATED")
	})

	h.test("the clock goes forward with every turn, and replays see the same", func(h *hub) {
		state := h.run("ticking", nil)
		times := output[[]time.Time](h, state)
		for i := range times[1:] {
			h.expect(times[i].Before(times[i+1]), "turns at %s", times)
		}
		mutex.Lock()
		defer mutex.Unlock()
		h.expect(len(seen[state.InstanceID]) >= 2, "there was no replay")
		for _, replay := range seen[state.InstanceID] {
			h.equal(replay, times)
		}
	})

	h.test("timers that nobody waits for do not hold an orchestration", func(h *hub) {
		state := h.run("leavesTimers", nil)
		h.equal(output[string](h, state), "done")
		time.Sleep(300 * time.Millisecond)
		h.equal(h.state(state.InstanceID), state)
	})

	h.test("a start in the future stays pending until then", func(h *hub) {
		at := time.Now().Add(1200 * time.Millisecond)
		id := h.start("sleeper", 0, api.WithStartTime(at))
		if state := h.state(id); time.Now().Before(at) {
			h.equal(nameOf(state.RuntimeStatus), "PENDING")
		}
		state, err := h.client.WaitForOrchestrationStart(h.ctx, id)
		h.must(err)
		h.expect(!time.Now().Before(at), "it started early")
		h.expect(state.RuntimeStatus != pending, "it is pending")
		output[time.Duration](h, h.end(id))
	})

	h.test("a start in the past is a start now", func(h *hub) {
		past := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		output[time.Duration](h, h.run("sleeper", 0, api.WithStartTime(past)))
	})

	h.test("an event for one that has not started yet waits for it", func(h *hub) {
		at := time.Now().Add(700 * time.Millisecond)
		id := h.start("awaiting", nil, api.WithStartTime(at))
		h.raise(id, "go", "at last")
		h.equal(output[string](h, h.end(id)), "at last")
		h.expect(!time.Now().Before(at), "it started early")
	})

	h.test("one that has not started yet can be terminated at once", func(h *hub) {
		id := h.start("awaiting", nil, api.WithStartTime(time.Now().Add(time.Hour)))
		h.terminate(id, api.WithOutput("too late"))
		state := h.end(id)
		h.equal(nameOf(state.RuntimeStatus), "TERMINATED")
		h.equal(state.SerializedOutput, `"too late"`)
	})
}
