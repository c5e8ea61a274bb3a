package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/task"
)

// How often an activity was tried, by a key of its input.
type attempts struct {
	mutex sync.Mutex
	of    map[string]int
}

func (a *attempts) next(key string) int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.of == nil {
		a.of = map[string]int{}
	}
	a.of[key]++
	return a.of[key]
}

// An activity that fails until it was tried often enough.
type trial struct {
	Key         string
	Good        int
	Most        int
	First, Wait time.Duration
	Backoff     float64
	Longest     time.Duration
	Total       time.Duration
}

func sayHello(ctx task.ActivityContext) (any, error) {
	var name string
	err := ctx.GetInput(&name)
	return "Hello, " + name + "!", err
}

func helloByFunction(ctx *orchestration) (any, error) {
	return await[string](ctx.CallActivity(sayHello, task.WithActivityInput("東京")))
}

// Tests of activities: what goes in and comes out, many at once, failures, retries.
func TestActivities(t *testing.T) {
	var tried attempts
	var together sync.WaitGroup // Of activities that wait for each other.
	together.Add(20)

	// With the policy, and the times at which the attempts were made.
	retry := func(handle func(error) bool) task.Orchestrator {
		return orchestrator(func(ctx *orchestration, in trial) (int, error) {
			return await[int](ctx.CallActivity("failingUntil", task.WithActivityInput(in),
				task.WithActivityRetryPolicy(&task.RetryPolicy{
					MaxAttempts: in.Most, InitialRetryInterval: in.First,
					BackoffCoefficient: in.Backoff, MaxRetryInterval: in.Longest,
					RetryTimeout: in.Total, Handle: handle})))
		})
	}
	h := withWorker(t, orchestrators{
		"chain": orchestrator(func(ctx *orchestration, n int) (int, error) {
			for i := 0; i < 5; i++ {
				var err error
				if n, err = await[int](call(ctx, "addOne", n)); err != nil {
					return 0, err
				}
			}
			return n, nil
		}),
		"noTasks": orchestrator(func(ctx *orchestration, in any) (any, error) {
			return []any{ctx.ID, ctx.Name, in}, nil
		}),
		"empty": func(*orchestration) (any, error) { return nil, nil },
		"passOn": orchestrator(func(ctx *orchestration, in any) (any, error) {
			return await[any](call(ctx, "echo", in))
		}),
		"passNothing": func(ctx *orchestration) (any, error) {
			return await[string](ctx.CallActivity("rawInput"))
		},
		"passRaw": orchestrator(func(ctx *orchestration, in string) (any, error) {
			return await[string](ctx.CallActivity("quote", task.WithRawActivityInput(in)))
		}),
		"returnsNothing": func(ctx *orchestration) (any, error) {
			result := "as it was"
			err := ctx.CallActivity("nothing").Await(&result)
			return result, err
		},
		"sizeOf": orchestrator(func(ctx *orchestration, in string) (int, error) {
			return len(in), nil
		}),
		"sizeOfResult": orchestrator(func(ctx *orchestration, n int) (int, error) {
			result, err := await[string](call(ctx, "make", n))
			return len(result), err
		}),
		"fanOut": orchestrator(func(ctx *orchestration, n int) ([]int, error) {
			return callMany(ctx, "addOne", n)
		}),
		"together": func(ctx *orchestration) (any, error) {
			return callMany(ctx, "together", 20)
		},
		"helloByFunction": helloByFunction,
		"failing": orchestrator(func(ctx *orchestration, in string) (any, error) {
			return nil, call(ctx, "failing", in).Await(nil)
		}),
		"throwing": orchestrator(func(ctx *orchestration, in string) (any, error) {
			if err := call(ctx, "echo", in).Await(nil); err != nil {
				return nil, err
			}
			return nil, errors.New(in)
		}),
		"forgiving": orchestrator(func(ctx *orchestration, name string) (string, error) {
			err := call(ctx, name, "no plums").Await(nil)
			return fmt.Sprint(err), nil
		}),
		"someOfThem": func(ctx *orchestration) (any, error) {
			tasks := []task.Task{call(ctx, "failing", "a"), call(ctx, "addOne", 1),
				call(ctx, "failing", "b"), call(ctx, "addOne", 2)}
			failures, sum := 0, 0
			for _, one := range tasks {
				if n, err := await[int](one); err != nil {
					failures++
				} else {
					sum += n
				}
			}
			return []int{failures, sum}, nil
		},
		"replayed": func(ctx *orchestration) (any, error) {
			seen := []bool{ctx.IsReplaying}
			for i := 0; i < 2; i++ {
				if err := call(ctx, "addOne", 1).Await(nil); err != nil {
					return nil, err
				}
				seen = append(seen, ctx.IsReplaying)
			}
			return seen, nil
		},
		"retrying":    retry(nil),
		"retryingNot": retry(func(error) bool { return false }),
		"retryingSome": retry(func(err error) bool {
			return !strings.Contains(err.Error(), "attempt 2")
		}),
	}, activities{
		"addOne": activity(addOne),
		"echo":   activity(func(in any) (any, error) { return in, nil }),
		"quote": func(ctx task.ActivityContext) (any, error) {
			var in json.RawMessage
			err := ctx.GetInput(&in)
			return string(in), err
		},
		"rawInput": func(ctx task.ActivityContext) (any, error) {
			in := "nothing came"
			err := ctx.GetInput(&in)
			return in, err
		},
		"nothing":  func(task.ActivityContext) (any, error) { return nil, nil },
		"make":     activity(func(n int) (string, error) { return strings.Repeat("x", n), nil }),
		"sayHello": sayHello,
		"together": activity(func(n int) (int, error) {
			together.Done()
			together.Wait()
			return n, nil
		}),
		"failing":   activity(func(in string) (any, error) { return nil, errors.New(in) }),
		"panicking": activity(func(in string) (any, error) { panic(in) }),
		"failingUntil": activity(func(in trial) (int, error) {
			if n := tried.next(in.Key); n < in.Good {
				return 0, fmt.Errorf("attempt %d", n)
			}
			return in.Good, nil
		}),
	})

	h.test("a chain passes each result on", func(h *hub) {
		h.equal(output[int](h, h.run("chain", 1)), 6)
	})

	h.test("an orchestrator without any activity completes at once", func(h *hub) {
		state := h.run("noTasks", 7)
		h.equal(output[[]any](h, state), []any{string(state.InstanceID), "noTasks", 7.0})
	})

	h.test("an orchestrator may take and return nothing", func(h *hub) {
		id, err := h.client.ScheduleNewOrchestration(h.ctx, "empty")
		h.must(err)
		state := h.end(id)
		h.equal(nameOf(state.RuntimeStatus), "COMPLETED")
		h.equal(state.SerializedInput, "")
		h.equal(state.SerializedOutput, "")
	})

	for _, text := range []string{`null`, `false`, `0`, `-1.5e+300`, `9007199254740991`, `""`,
		`" "`, `"null"`, `"\"\\\n\u0000"`, `"Zoë 東京 🍎"`, `[]`, `{}`,
		`[1,[2,{"three":[null]}]]`, `{"":{"a":"b"}}`} {
		text := text
		h.test("the value "+text+" comes through as it is", func(h *hub) {
			var value any
			h.must(json.Unmarshal([]byte(text), &value))
			state := h.run("passOn", value)
			h.equal(state.SerializedInput, text)
			if value == nil { // The SDK drops a result of null.
				h.equal(state.SerializedOutput, "")
				return
			}
			h.equal(output[any](h, state), value)
		})
	}

	h.test("a raw input comes through byte for byte", func(h *hub) {
		raw := "  [ 1,\t{\"ä\" :null} ]\r\n"
		id, err := h.client.ScheduleNewOrchestration(h.ctx, "noTasks", api.WithRawInput(raw))
		h.must(err)
		h.equal(h.end(id).SerializedInput, raw)
		h.equal(output[string](h, h.run("passRaw", `{"b":1, "a":2}`)), `{"b":1, "a":2}`)
	})

	h.test("an input that is no JSON fails who reads it, and no other", func(h *hub) {
		id, err := h.client.ScheduleNewOrchestration(h.ctx, "noTasks", api.WithRawInput("{"))
		h.must(err)
		state := h.end(id)
		h.equal(nameOf(state.RuntimeStatus), "FAILED")
		h.equal(state.SerializedInput, "{")
	})

	h.test("nothing comes through as nothing", func(h *hub) {
		h.equal(output[string](h, h.run("passNothing", 1)), "nothing came")
		h.equal(output[string](h, h.run("returnsNothing", 1)), "as it was")
	})

	h.test("payloads of nearly 4 MiB come through, in and out", func(h *hub) {
		const size = 4<<20 - 4<<10
		state := h.run("sizeOf", strings.Repeat("x", size))
		h.equal(output[int](h, state), size)
		h.equal(len(state.SerializedInput), size+2)
		h.equal(output[int](h, h.run("sizeOfResult", size)), size)
	})

	h.test("500 at once: all results, in the order of the calls", func(h *hub) {
		h.equal(output[[]int](h, h.run("fanOut", 500)), numbers(1, 501))
	})

	h.test("20 that wait for each other all run at once", func(h *hub) {
		h.equal(output[[]int](h, h.run("together", nil)), numbers(0, 20))
	})

	h.test("an activity may be named by its function", func(h *hub) {
		h.equal(output[string](h, h.run("helloByFunction", nil)), "Hello, 東京!")
	})

	for _, name := range []string{"failing", "throwing"} {
		name := name
		h.test("an error that nobody handles fails the orchestration: "+name, func(h *hub) {
			state := h.run(name, "no apples")
			h.equal(nameOf(state.RuntimeStatus), "FAILED")
			h.equal(state.SerializedOutput, "")
		})
	}

	for name, wanted := range map[string]string{
		"failing":   "no plums",
		"panicking": "panic: no plums",
		"nobody":    "no task activity named 'nobody' was registered",
	} {
		name, wanted := name, wanted
		h.test("a failure can be handled, and says what it was: "+name, func(h *hub) {
			h.equal(output[string](h, h.run("forgiving", name)),
				"task failed with an error: "+wanted)
		})
	}

	h.test("of several at once each fails or ends by itself", func(h *hub) {
		h.equal(output[[]int](h, h.run("someOfThem", nil)), []int{2, 5})
	})

	h.test("an orchestrator that no worker has registered fails", func(h *hub) {
		h.equal(nameOf(h.run("nobody", 1).RuntimeStatus), "FAILED")
	})

	h.test("an orchestrator knows whether it replays", func(h *hub) {
		h.equal(output[[]bool](h, h.run("replayed", 1)), []bool{true, true, false})
	})

	h.test("an activity that fails twice is tried three times", func(h *hub) {
		key := string(newID("twice"))
		state := h.run("retrying",
			trial{Key: key, Good: 3, Most: 5, First: 50 * time.Millisecond})
		h.equal(output[int](h, state), 3)
		h.equal(tried.next(key), 4)
		took := state.LastUpdatedAt.Sub(state.CreatedAt)
		h.expect(took >= 100*time.Millisecond, "two delays of 50 ms took %s", took)
	})

	h.test("the delay between attempts grows, up to its limit", func(h *hub) {
		state := h.run("retrying", trial{Key: string(newID("grow")), Good: 5, Most: 9,
			First: 50 * time.Millisecond, Backoff: 3, Longest: 200 * time.Millisecond})
		h.equal(output[int](h, state), 5)
		took := state.LastUpdatedAt.Sub(state.CreatedAt) // 50, 150, 200, 200
		h.expect(took >= 600*time.Millisecond, "delays took %s", took)
	})

	h.test("retries end with the last attempt", func(h *hub) {
		key := string(newID("ever"))
		state := h.run("retrying", trial{Key: key, Good: 99, Most: 3, First: time.Millisecond})
		h.equal(nameOf(state.RuntimeStatus), "FAILED")
		h.equal(tried.next(key), 4)
	})

	h.test("retries end when their time is over", func(h *hub) {
		key := string(newID("late"))
		state := h.run("retrying", trial{Key: key, Good: 1e6, Most: 1e6,
			First: 100 * time.Millisecond, Total: 250 * time.Millisecond})
		h.equal(nameOf(state.RuntimeStatus), "FAILED")
		made := tried.next(key) - 1
		h.expect(made >= 1 && made <= 4, "%d attempts", made)
	})

	for name, wanted := range map[string]int{"retryingNot": 1, "retryingSome": 2} {
		name, wanted := name, wanted
		h.test("a policy may refuse to retry: "+name, func(h *hub) {
			key := string(newID(name))
			state := h.run(name, trial{Key: key, Good: 5, Most: 9, First: time.Millisecond})
			h.equal(nameOf(state.RuntimeStatus), "FAILED")
			h.equal(tried.next(key), wanted+1)
		})
	}
}
