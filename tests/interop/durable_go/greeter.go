package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/client"
)

const greetingPatience = 120 * time.Second

// Greets whoever is named on a line of standard input, through the connection of
// client/examples: TLS, a certificate and a token, if the environment says so.
func greet(address string) error {
	channel, err := connect(address)
	if err != nil {
		return err
	}
	on := client.NewTaskHubGrpcClient(channel, logger())
	if err := work(context.Background(), on, orchestrators{
		"greeting": orchestrator(func(ctx *orchestration, name string) (string, error) {
			return await[string](call(ctx, "sayHello", name))
		}),
	}, activities{
		"sayHello": activity(func(name string) (string, error) {
			return "Hello, " + name + "!", nil
		}),
	}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if said, err := greeting(on, lines.Text()); err != nil {
			fmt.Println("failed", err)
		} else {
			fmt.Println("said", said)
		}
	}
	return nil
}

func greeting(on *client.TaskHubGrpcClient, name string) (said string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), greetingPatience)
	defer cancel()
	id, err := on.ScheduleNewOrchestration(ctx, "greeting", api.WithInput(name))
	if err != nil {
		return "", err
	}
	state, err := on.WaitForOrchestrationCompletion(ctx, id)
	if err != nil {
		return "", err
	}
	return said, json.Unmarshal([]byte(state.SerializedOutput), &said)
}
