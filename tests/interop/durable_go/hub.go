// What the programs and the tests of this folder share: connections, workers, and plain
// functions as orchestrators and activities.
package main

import (
	"context"
	"os"

	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// What a running orchestrator has in hand.
type orchestration = task.OrchestrationContext

type orchestrators map[string]task.Orchestrator
type activities map[string]task.Activity

// SDK_LOG=1 lets the SDK say what it does.
func logger() backend.Logger {
	if os.Getenv("SDK_LOG") != "" {
		return backend.DefaultLogger()
	}
	return silence{}
}

// A client of the SDK on a connection of its own.
func connectPlain(address string, options ...grpc.DialOption) *client.TaskHubGrpcClient {
	return connectWith(address, logger(), options...)
}

func connectWith(address string, logger backend.Logger,
	options ...grpc.DialOption) *client.TaskHubGrpcClient {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection, err := grpc.Dial(address, options...)
	if err != nil {
		panic(err)
	}
	return client.NewTaskHubGrpcClient(connection, logger)
}

// A worker of the SDK until the context is cancelled.
func work(ctx context.Context, on *client.TaskHubGrpcClient, turns orchestrators,
	tasks activities) error {
	registry := task.NewTaskRegistry()
	for name, run := range turns {
		if err := registry.AddOrchestratorN(name, run); err != nil {
			return err
		}
	}
	for name, run := range tasks {
		if err := registry.AddActivityN(name, run); err != nil {
			return err
		}
	}
	return on.StartWorkItemListener(ctx, registry)
}

// A function of the input as an orchestrator.
func orchestrator[In, Out any](
	run func(ctx *orchestration, in In) (Out, error)) task.Orchestrator {
	return func(ctx *orchestration) (any, error) {
		var in In
		if err := ctx.GetInput(&in); err != nil {
			return nil, err
		}
		return run(ctx, in)
	}
}

// A function of the input as an activity.
func activity[In, Out any](run func(in In) (Out, error)) task.Activity {
	return func(ctx task.ActivityContext) (any, error) {
		var in In
		if err := ctx.GetInput(&in); err != nil {
			return nil, err
		}
		return run(in)
	}
}

func addOne(n int) (int, error) { return n + 1, nil }

func call(ctx *orchestration, name string, input any) task.Task {
	return ctx.CallActivity(name, task.WithActivityInput(input))
}

func await[T any](one task.Task) (T, error) {
	var result T
	err := one.Await(&result)
	return result, err
}

// The results of all, in their order; the first error among them.
func awaitAll[T any](tasks []task.Task) ([]T, error) {
	results := make([]T, len(tasks))
	for i, one := range tasks {
		if err := one.Await(&results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func callMany(ctx *orchestration, name string, n int) ([]int, error) {
	tasks := make([]task.Task, n)
	for i := range tasks {
		tasks[i] = call(ctx, name, i)
	}
	return awaitAll[int](tasks)
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
