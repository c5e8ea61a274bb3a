// Room says a line in a room, hears the others, leaves, and sees the lease go.
//
// usage: room ADDRESS ID TEXT ECHOES
//
// The room is the server-side instance context that ID names: all who use the
// same ID, from whatever process or language, are in it. Ends after so many echoes
// and when the room is gone.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "leasehold.example/room/leasehold/v1"
)

func run(address, room, text string, echoes int) error {
	channel, err := connect(address)
	if err != nil {
		return err
	}
	defer channel.Close()
	echo := pb.NewEchoClient(channel)
	instances := pb.NewInstancesClient(channel)

	watch, err := instances.Watch(context.Background(),
		&pb.WatchInstancesRequest{IdPrefix: room})
	if err != nil {
		return err
	}
	// From its first answer on, no event is missed.
	if _, err = watch.Recv(); err != nil {
		return err
	}

	in, leave := context.WithCancel(
		metadata.AppendToOutgoingContext(context.Background(), "instance-id", room))
	defer leave()

	// Busy for as long as this call is open: the lease does not run.
	hold, err := instances.Hold(in, &pb.HoldRequest{})
	if err != nil {
		return err
	}
	held, err := hold.Recv()
	if err != nil {
		return err
	}
	generation := held.GetInstance().GetGeneration()
	fmt.Printf("holds %s: generation %d\n", room, generation)

	// From the oldest echo on that the server has.
	oldest := uint64(0)
	join, err := echo.Join(in, &pb.JoinRequest{AfterSequence: &oldest})
	if err != nil {
		return err
	}
	if _, err = join.Recv(); err != nil {
		return err
	}

	var header metadata.MD
	said, err := echo.Echo(in, &pb.EchoRequest{Text: text}, grpc.Header(&header))
	if err != nil {
		return err
	}
	fmt.Printf("said %d: %s (instance-generation: %s)\n", said.GetSequence(), text,
		header.Get("instance-generation")[0])

	for heard := 0; heard < echoes; {
		event, err := join.Recv()
		if err != nil {
			return err
		}
		if other := event.GetEcho(); other != nil {
			fmt.Printf("heard %d: %s\n", other.GetSequence(), other.GetText())
			heard++
		}
	}

	leave()
	fmt.Printf("left %s\n", room)
	for {
		event, err := watch.Recv()
		if err != nil {
			return err
		}
		if event.GetEvent() == pb.WatchInstancesResponse_CLOSED &&
			event.GetInstance().GetGeneration() == generation {
			fmt.Printf("gone %s: %s\n", room, event.GetReason())
			return nil
		}
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 5 {
		log.Fatal("usage: room ADDRESS ID TEXT ECHOES")
	}
	echoes, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatalf("ECHOES: %q is no number, such as 4", os.Args[4])
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], echoes); err != nil {
		log.Fatal(err)
	}
}
