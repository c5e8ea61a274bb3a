package main

import (
	"context"
	"fmt"
	"os"
)

const usage = `Processes that the tests start:

  durable_go worker ADDRESS LABEL [STUCK...]   a worker, to be killed
  durable_go survivor ADDRESS                  work that sees its server killed
  durable_go greeter ADDRESS                   a client and a worker, with TLS and a token
`

func main() {
	switch args := os.Args[1:]; {
	case len(args) >= 3 && args[0] == "worker":
		beWorker(args[1], args[2], args[3:])
	case len(args) == 2 && args[0] == "survivor":
		survive(args[1])
	case len(args) == 2 && args[0] == "greeter":
		if err := greet(args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

// Says `LABEL NAME` for whatever it begins. What is named in STUCK (`turn`, `task`) it
// never ends.
func beWorker(address, label string, stuck []string) {
	begin := func(name string) {
		fmt.Println(label, name)
		for _, one := range stuck {
			if one == name {
				select {}
			}
		}
	}
	turns := orchestrators{
		"killable": orchestrator(func(ctx *orchestration, n int) ([]int, error) {
			if !ctx.IsReplaying {
				begin("turn")
			}
			return callMany(ctx, "killable", n)
		}),
	}
	tasks := activities{
		"killable": activity(func(n int) (int, error) {
			begin("task")
			return n, nil
		}),
	}
	if err := work(context.Background(), connectPlain(address), turns, tasks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}
