// A client and a worker in one program.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func sayHello(ctx task.ActivityContext) (any, error) {
	var name string
	err := ctx.GetInput(&name)
	return "Hello, " + name + "!", err
}

func greetings(ctx *task.OrchestrationContext) (any, error) {
	var names []string
	if err := ctx.GetInput(&names); err != nil {
		return nil, err
	}
	said := make([]string, len(names))
	for i, name := range names {
		activity := ctx.CallActivity(sayHello, task.WithActivityInput(name))
		if err := activity.Await(&said[i]); err != nil {
			return nil, err
		}
	}
	return said, nil
}

func run(ctx context.Context) error {
	connection, err := grpc.Dial("localhost:4001",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	registry := task.NewTaskRegistry()
	registry.AddOrchestratorN("greetings", greetings)
	registry.AddActivity(sayHello)
	hub := client.NewTaskHubGrpcClient(connection, backend.DefaultLogger())
	if err := hub.StartWorkItemListener(ctx, registry); err != nil {
		return err
	}
	id, err := hub.ScheduleNewOrchestration(ctx, "greetings",
		api.WithInput([]string{"Tokyo", "Seattle", "London"}))
	if err != nil {
		return err
	}
	state, err := hub.WaitForOrchestrationCompletion(ctx, id)
	if err != nil {
		return err
	}
	fmt.Println(state.SerializedOutput)
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
