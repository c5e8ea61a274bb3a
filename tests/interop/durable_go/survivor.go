package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	each   = 8 // Orchestrations of a kind.
	steps  = 40
	events = 150
)

type descent struct{ Sum, Left int }

// Work that outlives its server: starts orchestrations of every kind, says `did` for each
// activity and `done` once all have ended as they should, however often the server has been
// killed meanwhile.
func survive(address string) {
	ctx, on := context.Background(), connectPlain(address)
	if err := work(ctx, on, survivors, activities{
		"addOne": activity(func(n int) (int, error) {
			time.Sleep(100 * time.Millisecond)
			fmt.Println("did")
			return n + 1, nil
		}),
	}); err != nil {
		fail("%v", err)
	}

	wanted := map[api.InstanceID]any{}
	for n := 0; n < each; n++ {
		wanted[start(ctx, on, "chain", n)] = n + steps
		wanted[start(ctx, on, "sleeper", n)] = n
		wanted[start(ctx, on, "parent", n)] = []int{n, steps, steps + 1, steps + 2}
		wanted[start(ctx, on, "descent", descent{Sum: n, Left: steps})] = n + steps
	}
	collector := start(ctx, on, "collector", []int{})
	repeated := map[int]bool{} // Events that may have been heard twice.
	for n := 0; n <= events; n++ {
		repeated[n] = insist(func() error {
			return on.RaiseEvent(ctx, collector, "item", api.WithEventPayload(n))
		})
		time.Sleep(30 * time.Millisecond)
	}

	for id, result := range wanted {
		text, _ := json.Marshal(result)
		if got := end(ctx, on, id); got != string(text) {
			fail("%s: wanted %s, got %s", id, text, got)
		}
	}
	var got []int
	if err := json.Unmarshal([]byte(end(ctx, on, collector)), &got); err != nil {
		fail("%v", err)
	}
	last := -1
	var once []int
	for _, n := range got {
		if n != last {
			once = append(once, n)
		} else if !repeated[n] {
			fail("event %d came twice", n)
		}
		last = n
	}
	all := make([]int, events)
	for n := range all {
		all[n] = n
	}
	if !reflect.DeepEqual(once, all) {
		fail("wanted each event, in order; got %v", got)
	}
	fmt.Println("done")
}

var survivors = orchestrators{
	"chain": orchestrator(func(ctx *orchestration, n int) (int, error) {
		for i := 0; i < steps; i++ {
			var err error
			if n, err = await[int](call(ctx, "addOne", n)); err != nil {
				return 0, err
			}
		}
		return n, nil
	}),
	"sleeper": orchestrator(func(ctx *orchestration, n int) (int, error) {
		for i := 0; i < steps; i++ {
			if err := ctx.CreateTimer(100 * time.Millisecond).Await(nil); err != nil {
				return 0, err
			}
		}
		return n, nil
	}),
	"parent": orchestrator(func(ctx *orchestration, n int) ([]int, error) {
		var children []task.Task
		for i := 0; i < 3; i++ {
			children = append(children,
				ctx.CallSubOrchestrator("chain", task.WithSubOrchestratorInput(i)))
		}
		results, err := awaitAll[int](children)
		return append([]int{n}, results...), err
	}),
	"descent": orchestrator(func(ctx *orchestration, in descent) (int, error) {
		if in.Left == 0 {
			return in.Sum, nil
		}
		next, err := await[int](call(ctx, "addOne", in.Sum))
		ctx.ContinueAsNew(descent{Sum: next, Left: in.Left - 1}, task.WithKeepUnprocessedEvents())
		return 0, err
	}),
	"collector": orchestrator(func(ctx *orchestration, got []int) ([]int, error) {
		n, err := await[int](ctx.WaitForSingleEvent("item", -1))
		if n < events {
			ctx.ContinueAsNew(append(got, n), task.WithKeepUnprocessedEvents())
		}
		return got, err
	}),
}

// Starts one. Whoever starts it twice, as it did not hear the answer, starts one.
func start(ctx context.Context, on *client.TaskHubGrpcClient, name string, input any,
) api.InstanceID {
	id := api.InstanceID(fmt.Sprintf("%s-%d", name, time.Now().UnixNano()))
	policy := &api.OrchestrationIdReusePolicy{
		Action: api.REUSE_ID_ACTION_IGNORE,
		OperationStatus: []api.OrchestrationStatus{api.RUNTIME_STATUS_PENDING,
			api.RUNTIME_STATUS_RUNNING, api.RUNTIME_STATUS_COMPLETED},
	}
	insist(func() error {
		_, err := on.ScheduleNewOrchestration(ctx, name, api.WithInstanceID(id),
			api.WithInput(input), api.WithOrchestrationIdReusePolicy(policy))
		return err
	})
	return id
}

// What it returned.
func end(ctx context.Context, on *client.TaskHubGrpcClient, id api.InstanceID) string {
	state, err := on.WaitForOrchestrationCompletion(ctx, id) // Insists by itself.
	if err != nil || state.RuntimeStatus != api.RUNTIME_STATUS_COMPLETED {
		fail("%s is lost: %v %v", id, state, err)
	}
	return state.SerializedOutput
}

// The call, again and again while there is no server. Whether it was needed.
func insist(call func() error) bool {
	for again := false; ; again = true {
		err := call()
		if err == nil {
			return again
		}
		if status.Code(err) != codes.Unavailable {
			fail("%v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
